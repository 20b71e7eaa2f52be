"""What a training will need: counted from its graph, and measured on a few steps."""

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from tssl.chip import INPUT
from tssl.graph import Graph, Node
from tssl.machine.cores import cores
from tssl.trainer.evaluation import evaluate
from tssl.trainer.fit import Fit
from tssl.trainer.memory import BYTES_PER_WEIGHT, bytes_per_sample
from tssl.trainer.progress import EpochMetrics, LayerMetrics, TrainingProgress

__all__ = ["Pace", "measure", "memory_of_step", "operations_of_step", "weights_of"]

_STEPS = 12
_SECONDS = 5.0
_EVALUATED = 500
_FILES = 4
"""That an epoch writes, each of which a disk takes about as long for as for the state."""


class Pace(NamedTuple):
    """How fast a training is on this machine."""

    step: float
    """Seconds of a batch, on all cores."""
    step_alone: float
    """Seconds of a batch on one core."""
    evaluation: float
    """Seconds of a sample that is only looked at."""
    keeping: float
    """Seconds of writing what an epoch leaves."""
    cores: int


def weights_of(graph: Graph) -> int:
    """Return the number of parameters that training finds, running averages included."""
    return sum(math.prod(each.shape) for each in graph.parameters.values())


def memory_of_step(graph: Graph, batch: int) -> int:
    """Return the bytes that a training step holds: weights, optimiser, and what errors need."""
    return BYTES_PER_WEIGHT * weights_of(graph) + batch * bytes_per_sample(graph)


def operations_of_step(graph: Graph, batch: int, *, constant: bool) -> int:
    """Return the floating-point operations of the products of a training step.

    A multiply-add counts as two. There are three products for each connection, forward, by the
    weights and by the input; the last is not needed where the input is the network's own.

    Parameters
    ----------
    constant
        Whether the input stays the same: it is then weighted once, and not at every step.
    """
    return batch * sum(_operations(graph, node, constant=constant) for node in graph.spiking)


def _operations(graph: Graph, node: Node, *, constant: bool) -> int:
    found = 0
    weight, own = node.parameters.get("weight"), node.parameters.get("recurrent")
    if weight is not None:
        from_input = node.sources == (INPUT,)
        steps = 1 if from_input and constant else graph.time_steps
        found += steps * (2 if from_input else 3) * _product(node, weight.shape)
    if own is not None:
        found += graph.time_steps * 3 * _product(node, own.shape)
    return found


def _product(node: Node, shape: tuple[int, ...]) -> int:
    return 2 * node.outputs * math.prod(shape[1:])


class _FewSteps:
    """Ends a training after some steps, and knows how long each took."""

    def __init__(self) -> None:
        self._steps: list[float] = []
        self._before = 0.0

    def batch_done(self, progress: TrainingProgress, *, samples: int) -> None:
        before = 0.0 if progress.batch == 1 else self._before
        self._before = progress.seconds
        self._steps.append(progress.seconds - before)

    def epoch_done(self, metrics: EpochMetrics, layers: list[LayerMetrics]) -> None:
        """Nothing: what an epoch adds is measured apart."""

    def stop_requested(self) -> bool:
        steps = self._steps
        return len(steps) > _STEPS or (len(steps) > 1 and sum(steps[1:]) > _SECONDS)

    @property
    def step(self) -> float:
        """The median of the steps; the first, which may compile, is none of them."""
        return statistics.median(self._steps[1:])


def measure(fit: Fit) -> Pace:
    """Train for a few steps in the folder of a run, and look at some samples of the test set.

    Parameters
    ----------
    fit
        Of more epochs than these steps take.

    Notes
    -----
    The median step counts: a machine that does other work too goes on doing it.
    """
    fit.settle_every = 1
    everywhere = _FewSteps()
    fit.fit(everywhere)
    alone = everywhere
    if cores() > 1:
        alone = _FewSteps()
        with _one_thread():
            fit.fit(alone)
    looked = slice(min(_EVALUATED, len(fit.test)))
    began = time.perf_counter()
    evaluate(fit.network, fit.test, looked)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    fit.save_state()
    keeping = _FILES * (time.perf_counter() - began)
    return Pace(everywhere.step, alone.step, seconds / looked.stop, keeping, cores())


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
