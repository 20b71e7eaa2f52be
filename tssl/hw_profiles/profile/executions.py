"""Kinds of execution: what a profile of each must give. Their rules of cost stand in ``cost/``."""

from typing import Literal, NamedTuple

__all__ = ["EXECUTIONS", "Execution", "ExecutionName"]

ExecutionName = Literal["barrier", "tick", "asynchronous", "conventional"]

_CORES = ("limits.weight_bits", "limits.cores_per_chip", "limits.neurons_per_core")


class Execution(NamedTuple):
    """What a profile says of a chip that is used in one way; times and prices by their keys."""

    lasting: tuple[str, ...]
    """Times of which, where all are given, one must not be 0: no throughput is without limit."""
    timed: tuple[str, ...]
    """Times without which the time of a sample is not known."""
    needed: tuple[str, ...] = _CORES
    """Without these the chip cannot be mapped; all else may be missing."""
    has_cores: bool = True
    """Whether layers are mapped to cores of neurons."""
    main_price: str = "synaptic_operation"
    """The price that contains all others where prices are all-in."""


EXECUTIONS: dict[ExecutionName, Execution] = {
    "barrier": Execution(
        lasting=("barrier", "minimum_step"),
        timed=("synaptic_operation", "neuron_update_inactive"),
        needed=(*_CORES, "time.barrier", "time.minimum_step", "time.barrier_rule"),
    ),
    "tick": Execution(lasting=("tick",), timed=("tick",)),
    "asynchronous": Execution(lasting=("synaptic_operation",), timed=("synaptic_operation",)),
    "conventional": Execution(
        lasting=("mac",), timed=("mac",), needed=(), has_cores=False, main_price="mac"
    ),
}
"""The kinds of execution by their name in ``chip.execution``."""
