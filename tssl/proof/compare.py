"""Comparing what two backends recorded: every layer, every step, every neuron."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import INPUT, ChipNetwork
from tssl.errors import VerificationError
from tssl.results import Recording

__all__ = [
    "Comparison",
    "Difference",
    "POTENTIAL",
    "SPIKES",
    "accumulate",
    "compare",
    "first_difference",
]

SPIKES, MESSAGES = "spikes", "messages"
POTENTIAL = "membrane potential"
SEEN = ("what arrived", "value")
"""Of neurons that send values, at every step: sum of the messages, and what they make of it."""


class Difference(NamedTuple):
    """The earliest place where two recordings differ."""

    layer: str
    neuron: int
    """Flat index, in (C, H, W) order."""
    step: int
    """From 0; of the last step for a membrane potential."""
    sample: int
    left: int
    right: int
    quantity: str = SPIKES

    def __str__(self) -> str:
        return (
            f"layer {self.layer}, neuron {self.neuron}, step {self.step}, sample {self.sample}: "
            f"{self.quantity} {self.left} against {self.right}"
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two backends agree on one layer.

    Parameters
    ----------
    layer
        Name of the layer.
    quantity
        ``"spikes"`` or ``"messages"``, one of :data:`SEEN` where both sides recorded it, or
        ``"membrane potential"`` of the output after the last step.
    compared
        Numbers compared.
    left, right
        Sum of the numbers on each side; the spikes fired.
    differences
        Numbers that differ.
    """

    layer: str
    quantity: str
    compared: int
    left: int
    right: int
    differences: int

    def __add__(self, other: "Comparison") -> "Comparison":
        """Return the comparison of both chunks of samples, which must be of one layer."""
        if (self.layer, self.quantity) != (other.layer, other.quantity):
            raise VerificationError(f"layer {self.layer} cannot be added to layer {other.layer}")
        return Comparison(
            layer=self.layer,
            quantity=self.quantity,
            compared=self.compared + other.compared,
            left=self.left + other.left,
            right=self.right + other.right,
            differences=self.differences + other.differences,
        )

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.differences == 0


class _Pair(NamedTuple):
    """The same quantity on both sides, ``(time, samples, neurons)``."""

    layer: str
    quantity: str
    left: NDArray[np.integer[Any]]
    right: NDArray[np.integer[Any]]


def first_difference(
    network: ChipNetwork, left: Recording, right: Recording, *, first_sample: int = 0
) -> Difference | None:
    """Return the earliest difference: by layer, then step, then sample, then neuron.

    Parameters
    ----------
    left, right
        What two backends recorded for the same samples.
    first_sample
        Number of the recordings' first sample, when they are one chunk of several.

    Raises
    ------
    VerificationError
        When the recordings do not cover the same layers, steps, samples and neurons.
    """
    for pair in _pairs(network, left, right):
        places = np.argwhere(pair.left != pair.right)  # sorted by step, sample, neuron
        if len(places):
            step, sample, neuron = (int(number) for number in places[0])
            ours, theirs = pair.left[step, sample, neuron], pair.right[step, sample, neuron]
            if pair.quantity == POTENTIAL:
                step = len(left.trains[network.output.name]) - 1
            return Difference(
                layer=pair.layer,
                neuron=neuron,
                step=step,
                sample=first_sample + sample,
                left=int(ours),
                right=int(theirs),
                quantity=pair.quantity,
            )
    return None


def compare(network: ChipNetwork, left: Recording, right: Recording) -> tuple[Comparison, ...]:
    """Return one row for each layer, and one for the output's membrane potential.

    Raises
    ------
    VerificationError
        When the recordings do not cover the same layers, steps, samples and neurons.
    """
    return tuple(
        Comparison(
            layer=pair.layer,
            quantity=pair.quantity,
            compared=pair.left.size,
            left=int(pair.left.sum(dtype=np.int64)),
            right=int(pair.right.sum(dtype=np.int64)),
            differences=int(np.count_nonzero(pair.left != pair.right)),
        )
        for pair in _pairs(network, left, right)
    )


def accumulate(
    total: tuple[Comparison, ...], chunk: tuple[Comparison, ...]
) -> tuple[Comparison, ...]:
    """Add the rows of a further chunk of samples; an empty total is the beginning."""
    if not total:
        return chunk
    return tuple(row + more for row, more in zip(total, chunk, strict=True))


def _pairs(network: ChipNetwork, left: Recording, right: Recording) -> list[_Pair]:
    names = [layer.name for layer in network.layers]
    if network.input.neuron is not None:
        names.insert(0, INPUT)
    # of these the states too: a change below the threshold leaves no trace in what they send
    graded = network.graded
    pairs = []
    for name in names:
        if name not in left.trains or name not in right.trains:
            raise VerificationError(f"layer {name}: was recorded by one backend only")
        what = MESSAGES if name in graded else SPIKES
        pairs.append(_Pair(name, what, left.trains[name], right.trains[name]))
        if name in left.states and name in right.states:
            states = zip(left.states[name], right.states[name], strict=True)
            pairs += [_Pair(name, what, *both) for what, both in zip(SEEN, states, strict=True)]
    potentials = (left.output_potential[None], right.output_potential[None])
    pairs.append(_Pair(network.output.name, POTENTIAL, *potentials))
    for pair in pairs:
        if pair.left.shape != pair.right.shape:
            raise VerificationError(
                f"layer {pair.layer}: {pair.quantity} of shape {pair.left.shape} against "
                f"{pair.right.shape} cannot be compared"
            )
    return pairs
