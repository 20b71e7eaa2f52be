"""What running a network yields: spikes, the one read-out, and counted operations."""

from tssl.results.operations import OpCounts
from tssl.results.recording import Recording, read_out
from tssl.results.result import InputSource, RunResult

__all__ = [
    "InputSource",
    "OpCounts",
    "Recording",
    "RunResult",
    "read_out",
]
