"""The sigma-delta neurons of Lava, which send only what changed, in integers.

A message says by how much a value changed, in units of ``2**-6`` of the numbers in the file. The
neuron that receives it adds up what it gets, so that a value that stays the same costs nothing.
``docs/sigma-delta.md`` says what was measured on Lava.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from tssl.chip.neuron import Neuron, Seen
from tssl.chip.numbers import IntArray, wrapped_32
from tssl.errors import RangeError

__all__ = [
    "DELTA_SHIFT",
    "MESSAGE_BITS",
    "MESSAGE_SHIFT",
    "DeltaNeuron",
    "DeltaState",
    "SigmaDeltaNeuron",
    "SigmaDeltaState",
    "SigmaNeuron",
    "check_messages",
]

MESSAGE_SHIFT = 6
"""Binary places of a message, as netx sets them."""
DELTA_SHIFT = 12
"""Binary places of a state: those of a message, and six that no message carries."""
MESSAGE_BITS = 16
"""Of a message on the chip, its sign included. Lava's simulator carries 32."""
_LARGEST_MESSAGE = (1 << (MESSAGE_BITS - 1)) - 1
_LARGEST_THRESHOLD = (1 << (31 - DELTA_SHIFT)) - 1


class DeltaState(NamedTuple):
    """State of a group of neurons that encode values, ``(*batch, neurons)`` each."""

    value: IntArray
    """The value of the step before."""
    residue: IntArray
    """By how much it differs from what was sent, lost bits apart."""


class SigmaDeltaState(NamedTuple):
    """State of a group of sigma-delta neurons, ``(*batch, neurons)`` each."""

    sigma: IntArray
    """Sum of all that arrived."""
    value: IntArray
    """The activation of the step before."""
    residue: IntArray
    """By how much it differs from what was sent, lost bits apart."""


@dataclass(frozen=True, kw_only=True)
class DeltaNeuron(Neuron):
    """Neurons of an input that send by how much its values changed.

    Parameters
    ----------
    threshold
        A change is sent once it reaches ``threshold`` in units of the input; the comparison is
        not strict, so that 0 sends every change. Smaller changes are kept and add up.

    Raises
    ------
    RangeError
        When Lava cannot hold the threshold.
    """

    kind: ClassVar[str] = "delta"
    sends: ClassVar[type[np.int32]] = np.int32
    fed_by_bias: ClassVar[bool] = False
    bias_bits: ClassVar[int] = 0
    places: ClassVar[tuple[str, ...]] = ("input",)

    threshold: int

    def __post_init__(self) -> None:
        _check_threshold(self.threshold)

    def rest(self, shape: tuple[int, ...]) -> DeltaState:
        return DeltaState(np.zeros(shape, np.int64), np.zeros(shape, np.int64))

    def step(
        self, state: DeltaState, activation: IntArray, bias: IntArray | int = 0
    ) -> tuple[IntArray, DeltaState]:
        del bias  # an input has none
        value = wrapped_32(activation << DELTA_SHIFT)
        return _encoded(self.threshold, value, state)

    def seen(self, state: DeltaState) -> Seen:
        """Return the input's value for both: nothing is decoded before it."""
        return Seen(state.value, state.value)


@dataclass(frozen=True, kw_only=True)
class SigmaDeltaNeuron(Neuron):
    r"""Rectified neurons that add up what arrives, and send by how much their value changed.

    .. math::
        \sigma_t &= \sigma_{t-1} + a_t, \qquad x_t = \max(\sigma_t + 2^{12} b, 0) \\
        d_t &= x_t - x_{t-1} + r_{t-1}, \qquad
        s_t = d_t \text{ where } |d_t| \ge 2^{12} \vartheta, \text{ else } 0 \\
        r_t &= d_t - s_t, \qquad m_t = \lfloor s_t / 2^6 \rfloor

    all in 32 bits, which wrap. The message :math:`m_t` loses six bits that the residue
    :math:`r_t` does not get back.

    Parameters
    ----------
    threshold
        :math:`\vartheta`; a change that reaches it is sent, so that 0 sends every change.

    Raises
    ------
    RangeError
        When Lava cannot hold the threshold.

    References
    ----------
    Equal, bit for bit, to ``PySigmaDeltaModelFixed`` in lava-nc/lava (``lava.proc.sdn.models``)
    with ``spike_exp = state_exp = 6``, as netx sets them.
    """

    kind: ClassVar[str] = "sigma-delta"
    sends: ClassVar[type[np.int32]] = np.int32
    bias_bits: ClassVar[int] = 32 - DELTA_SHIFT
    places: ClassVar[tuple[str, ...]] = ("layer",)

    threshold: int

    def __post_init__(self) -> None:
        _check_threshold(self.threshold)

    def rest(self, shape: tuple[int, ...]) -> SigmaDeltaState:
        return SigmaDeltaState(*(np.zeros(shape, np.int64) for _ in SigmaDeltaState._fields))

    def step(
        self, state: SigmaDeltaState, activation: IntArray, bias: IntArray | int = 0
    ) -> tuple[IntArray, SigmaDeltaState]:
        sigma = wrapped_32(state.sigma + activation)
        value = np.maximum(wrapped_32(sigma + (bias << DELTA_SHIFT)), 0)
        sent, after = _encoded(self.threshold, value, DeltaState(state.value, state.residue))
        return sent, SigmaDeltaState(sigma, *after)

    def seen(self, state: SigmaDeltaState) -> Seen:
        """Return the sum of what arrived, and the activation."""
        return Seen(state.sigma, state.value)


@dataclass(frozen=True, kw_only=True)
class SigmaNeuron(Neuron):
    """Neurons of an output that add up what arrives and show the sum at every step.

    What they send is read from outside, so that it need not fit into a message.
    """

    kind: ClassVar[str] = "sigma"
    sends: ClassVar[type[np.int32]] = np.int32
    bias_bits: ClassVar[int] = 0
    places: ClassVar[tuple[str, ...]] = ("layer",)

    def rest(self, shape: tuple[int, ...]) -> IntArray:
        return np.zeros(shape, np.int64)

    def step(
        self, state: IntArray, activation: IntArray, bias: IntArray | int = 0
    ) -> tuple[IntArray, IntArray]:
        del bias  # a layer of such neurons has none
        total = wrapped_32(state + activation)
        return total, total

    def seen(self, state: IntArray) -> Seen:
        """Return the sum for both."""
        return Seen(state, state)


def check_messages(smallest: int, largest: int) -> None:
    """Refuse messages for which a chip has no room.

    Raises
    ------
    RangeError
        When the smallest or largest of some does not fit.
    """
    for message in (smallest, largest):
        if not -_LARGEST_MESSAGE - 1 <= message <= _LARGEST_MESSAGE:
            raise RangeError(
                f"a message of {message} does not fit {MESSAGE_BITS} bits; "
                "use smaller inputs or weights"
            )


def _encoded(threshold: int, value: IntArray, before: DeltaState) -> tuple[IntArray, DeltaState]:
    """Return the messages that tell of a new value, and the state behind it."""
    change = wrapped_32(wrapped_32(value - before.value) + before.residue)
    size = np.where(change == -(1 << 31), change, np.abs(change))  # which has no positive twin
    sent = np.where(size >= threshold << DELTA_SHIFT, change, 0)
    messages = sent >> (DELTA_SHIFT - MESSAGE_SHIFT)
    check_messages(int(messages.min(initial=0)), int(messages.max(initial=0)))
    return messages, DeltaState(value, change - sent)


def _check_threshold(threshold: int) -> None:
    if abs(threshold) > _LARGEST_THRESHOLD:
        raise RangeError(
            f"threshold = {threshold}: times {1 << DELTA_SHIFT} it exceeds the 32 bits of Lava; "
            f"{-_LARGEST_THRESHOLD}..{_LARGEST_THRESHOLD} are possible"
        )
