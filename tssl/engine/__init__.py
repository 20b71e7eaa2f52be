"""Our bit-exact engine: what ``tssl.chip`` says, compiled and event-driven; and what it counts."""

from tssl.engine.counting import OperationCounter, collect, count_operations
from tssl.engine.engine import Compiled, Engine, run_chunk

__all__ = [
    "Compiled",
    "Engine",
    "OperationCounter",
    "collect",
    "count_operations",
    "run_chunk",
]
