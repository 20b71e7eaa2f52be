"""What leads to the neurons of a layer: synapses, and where their spikes come from.

Spike trains are ``(time, batch, neurons)`` with feature maps flattened in (C, H, W)
order. A train of time length 1 stands for an input that is the same at every step.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip.numbers import INT32_LIMIT, BoolArray, IntArray, frozen_integers
from tssl.errors import RangeError, UnsupportedLayerError
from tssl.geometry import Geometry, Shape

Train = NDArray[np.integer[Any]]

MAX_DELAY = 62
MOST_NEURONS = 1 << 24
"""Of one layer: sixteen Loihi 2 chips full, and what its state takes still fits into memory."""


class Identity(NamedTuple):
    """What tells synapses from others that could compute something else."""

    facts: list[object]
    arrays: list[IntArray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapses(ABC):
    """A linear map of whole numbers, as the chip multiplies them.

    Raises
    ------
    UnsupportedLayerError, RangeError
        When weights and geometry do not fit together, or are no whole numbers.
    """

    form: ClassVar[str]
    """What they are, in a word."""
    wraps: ClassVar[bool]
    """Whether a sum wraps at 24 bits; otherwise one that overflows 32 is refused."""
    largest_step: ClassVar[int]
    """Largest power of two between weights that no bits of a weight are spent on."""

    weight: IntArray
    geometry: Geometry | None = None
    """The windows of a convolution; None where every input may reach every output."""

    @property
    @abstractmethod
    def input_shape(self) -> Shape:
        """Shape of one step of what arrives, (C, H, W) or (neurons,)."""

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Shape of one step of the sums."""

    @property
    @abstractmethod
    def delay(self) -> IntArray | None:
        """Steps that a spike spends in each synapse, of ``weight``'s shape; None without delays."""

    @property
    @abstractmethod
    def has_one_weight(self) -> bool:
        """Whether one stored weight leads from each neuron to one other, or to itself."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """What decides the sums."""

    @abstractmethod
    def sums(self, train: Train, time_steps: int) -> IntArray:
        """Return the weighted sums of a train, ``(time or 1, batch, outputs)``.

        Raises
        ------
        RangeError
            When one would overflow the bits in which Lava forms it.
        """

    @abstractmethod
    def reached(self, train: Train) -> BoolArray:
        """Return which outputs receive at least one spike through a non-zero weight."""

    @abstractmethod
    def fan_out(self) -> IntArray:
        """Return the non-zero synapses that a spike of each input drives, ``(inputs,)``."""

    @abstractmethod
    def stored(self) -> IntArray:
        """Return the synapses of each input, zeros included, ``(inputs,)``."""

    @abstractmethod
    def inputs_of(self, outputs: IntArray) -> BoolArray:
        """Return which inputs have a synapse with one of these outputs, ``(inputs,)``.

        Parameters
        ----------
        outputs
            Their numbers, in any order.
        """

    @abstractmethod
    def lists(self) -> set[bytes]:
        """Return a key of each list of synapses; inputs that store the same share a list."""

    @abstractmethod
    def distinct_weights(self) -> int:
        """Return the weights of one output when inputs of equal weights are added up first."""

    @property
    def longest_delay(self) -> int:
        """Most steps that a spike spends in a synapse."""
        return 0 if self.delay is None else int(self.delay.max())

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return math.prod(self.input_shape)

    @property
    def outputs(self) -> int:
        """Number of sums."""
        return math.prod(self.output_shape)

    @property
    def weight_bits(self) -> int:
        """Bits per weight, sign included; even weights spend none on the lowest bit.

        Nor do those of a convolution on further bits that none of them has: its exponent.
        """
        shared = int(np.gcd.reduce(self.weight.reshape(-1)))
        step = min(self.largest_step, max(1, shared & -shared))
        smallest, largest = int(self.weight.min()), int(self.weight.max())
        return max(largest // step, -smallest // step - 1, 0).bit_length() + 1

    def _store(self, dimensions: int) -> None:
        """Keep a read-only copy of the weights."""
        object.__setattr__(self, "weight", frozen_integers(self.weight))
        if self.weight.ndim != dimensions or self.weight.size == 0:
            raise UnsupportedLayerError(
                f"weights of shape {self.weight.shape}; {dimensions} non-empty dimensions are "
                "expected"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Connection:
    """Synapses, and the layer whose spikes they weigh.

    Parameters
    ----------
    source
        Name of that layer, or ``"input"``. Spikes of the layer that the connection leads to
        arrive one step later: a recurrence.
    """

    source: str
    synapses: Synapses


def presence(train: Train) -> IntArray:
    """Return 1 where a train has a spike of any value, and 0 elsewhere."""
    return (train != 0).astype(np.int64)


def check_sum(sums: IntArray, shift: int) -> None:
    """Refuse weighted sums that have no room in 32 bits when they are shifted up so far.

    Raises
    ------
    RangeError
        When one has none.
    """
    largest = int(np.abs(sums).max(initial=0))
    if largest << shift >= INT32_LIMIT:
        raise RangeError(
            f"a weighted input sum of {largest} overflows 32 bits; use smaller inputs or weights"
        )
