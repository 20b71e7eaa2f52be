"""What running a network yields: spikes, the one read-out, and counted operations."""

from tssl.results.confusion import Confusion, confusion_of
from tssl.results.merging import merged
from tssl.results.operations import OpCounts
from tssl.results.recording import Recording
from tssl.results.result import InputSource, RunResult
from tssl.results.traces import QUANTITIES, SPIKES, States, TraceName

__all__ = [
    "Confusion",
    "InputSource",
    "OpCounts",
    "QUANTITIES",
    "Recording",
    "RunResult",
    "SPIKES",
    "States",
    "TraceName",
    "confusion_of",
    "merged",
]
