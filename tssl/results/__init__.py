"""What running a network yields: spikes, the one read-out, and counted operations."""

from tssl.results.counting import OperationCounter, collect, count_operations
from tssl.results.operations import OpCounts
from tssl.results.recording import Recording, read_out
from tssl.results.result import InputSource, RunResult

__all__ = [
    "InputSource",
    "OpCounts",
    "OperationCounter",
    "Recording",
    "RunResult",
    "collect",
    "count_operations",
    "read_out",
]
