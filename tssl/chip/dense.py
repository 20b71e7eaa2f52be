"""All-to-all synapses, which may have delays."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import ClassVar

import numpy as np

from tssl.chip.connections import MAX_DELAY, Identity, Synapses, Train, check_sum, presence
from tssl.chip.lava_storage import stored_shift
from tssl.chip.numbers import BoolArray, IntArray, exact_product, frozen_integers
from tssl.errors import RangeError, UnsupportedLayerError
from tssl.geometry import Shape

__all__ = ["DenseSynapses"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseSynapses(Synapses):
    """All-to-all synapses, ``weight`` of shape ``(outputs, inputs)``.

    Parameters
    ----------
    delay
        Steps that a spike spends in the synapse, 0...62, of ``weight``'s shape, or None.
    """

    form: ClassVar[str] = "dense"
    wraps: ClassVar[bool] = False
    largest_step: ClassVar[int] = 2

    delay: IntArray | None = None

    def __post_init__(self) -> None:
        self._store(dimensions=2)
        if self.delay is not None:
            delay = frozen_integers(self.delay)
            _check_delay(delay, self.weight.shape)
            object.__setattr__(self, "delay", delay if delay.any() else None)

    @property
    def input_shape(self) -> Shape:
        return (self.weight.shape[1],)

    @property
    def output_shape(self) -> Shape:
        return (self.weight.shape[0],)

    @property
    def has_one_weight(self) -> bool:
        return False  # Lava has no exponent for dense weights, and every neuron has its own

    @property
    def identity(self) -> Identity:
        delays = [] if self.delay is None else [self.delay]
        return Identity([], [self.weight, *delays])

    def sums(self, train: Train, time_steps: int) -> IntArray:
        sums = _delayed_product(train, self.weight, self.delay, time_steps)
        check_sum(sums, max(0, stored_shift(self.weight)))
        return sums

    def reached(self, train: Train) -> BoolArray:
        present = (self.weight != 0).astype(np.int64)
        return _delayed_product(presence(train), present, self.delay, len(train)) > 0

    def fan_out(self) -> IntArray:
        return np.asarray((self.weight != 0).sum(axis=0), np.int64)

    def stored(self) -> IntArray:
        return np.full(self.inputs, self.outputs)

    def inputs_of(self, outputs: IntArray) -> BoolArray:
        return np.full(self.inputs, len(outputs) > 0)

    def lists(self) -> set[bytes]:
        stored = self.weight if self.delay is None else np.vstack([self.weight, self.delay])
        rows = np.ascontiguousarray(stored.T)
        return {blake2b(row.data, digest_size=16).digest() for row in rows}

    def distinct_weights(self) -> int:
        return len(self.lists())


def _delayed_product(
    train: Train, weight: IntArray, delay: IntArray | None, time_steps: int
) -> IntArray:
    """Return ``Σ_d (weight where delay = d) · train[t - d]``."""
    if delay is None:
        rows = train.reshape(-1, train.shape[-1]).astype(np.int64)
        return exact_product(rows, weight).reshape(*train.shape[:2], len(weight))
    train = np.broadcast_to(train, (time_steps, *train.shape[1:]))
    sums = np.zeros((*train.shape[:2], len(weight)), np.int64)
    for steps in np.unique(delay):
        if steps < time_steps:
            chosen = np.where(delay == steps, weight, 0)
            early = train[: time_steps - steps]
            sums[steps:] += _delayed_product(early, chosen, None, time_steps)
    return sums


def _check_delay(delay: IntArray, shape: Shape) -> None:
    if delay.shape != shape:
        raise UnsupportedLayerError(f"delays of shape {delay.shape} for weights of shape {shape}")
    if delay.min() < 0 or delay.max() > MAX_DELAY:
        raise RangeError(f"delays {delay.min()}..{delay.max()} are outside 0..{MAX_DELAY}")
