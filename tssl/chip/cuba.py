"""The current-based (CUBA) leaky integrate-and-fire neuron of Loihi, in integers."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from tssl.chip.neuron import Need, Neuron, Run, Seen
from tssl.chip.numbers import (
    ACTIVATION_SHIFT,
    BIAS_SHIFT,
    DECAY_ONE,
    STATE_LIMIT,
    THRESHOLD_SHIFT,
    BoolArray,
    IntArray,
    decayed,
    saturated,
    wrapped,
)
from tssl.errors import RangeError

NEVER = STATE_LIMIT >> THRESHOLD_SHIFT
"""Threshold of neurons whose potential is read: the least that no potential of 24 bits exceeds."""

OneOrEach = int | tuple[int, ...]
"""A number that all neurons of a group share, or one for each where they differ."""


@dataclass(frozen=True, kw_only=True)
class CubaNeuron(Neuron):
    """Parameters of a group of CUBA neurons, shared by all or one for each.

    Parameters
    ----------
    current_decay, voltage_decay
        Fraction of the synaptic current and membrane potential lost per time step, in
        units of 2**-12: an integer 0...4096.
    threshold
        Mantissa of the firing threshold; a neuron fires when its membrane potential
        exceeds ``threshold * 2**6``. Lava sets no limit to it: from 131072 on the neuron
        never fires, below zero it always does. What a chip allows is in its profile.

    Raises
    ------
    RangeError
        When a decay is outside 0...4096, or values for each neuron differ in number.

    Notes
    -----
    Values for each neuron are given as any sequence, in (C, H, W) order. Equal ones become the
    one number that they are, so that a network has one digest however its file says it.
    """

    kind: ClassVar[str] = "CUBA"
    programmed: ClassVar[bool] = False
    shift: ClassVar[int] = ACTIVATION_SHIFT

    current_decay: OneOrEach
    voltage_decay: OneOrEach
    threshold: OneOrEach

    def __post_init__(self) -> None:
        for name in ("current_decay", "voltage_decay", "threshold"):
            object.__setattr__(self, name, _one_or_each(getattr(self, name)))
        for name in ("current_decay", "voltage_decay"):
            for value in np.unique(getattr(self, name)):
                if not 0 <= value <= DECAY_ONE:
                    raise RangeError(f"{name} = {value} is outside 0..{DECAY_ONE}")
        if len(self.sizes) > 1:
            raise RangeError(f"values for each neuron, but of {sorted(self.sizes)} neurons")

    @property
    def sizes(self) -> set[int]:
        """For how many neurons there are values: empty when all neurons share them."""
        fields = (self.current_decay, self.voltage_decay, self.threshold)
        return {len(value) for value in fields if isinstance(value, tuple)}

    @cached_property
    def arrays(self) -> tuple[IntArray, IntArray, IntArray]:
        """Decays of current and voltage, and threshold; each of shape () or (neurons,)."""
        current, voltage = np.array(self.current_decay), np.array(self.voltage_decay)
        return current, voltage, np.array(self.threshold)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What a chip must have: memory, and a current or a leak where they decay over time."""
        current, voltage = int(self.arrays[0].min()), int(self.arrays[1].max())
        found = [Need("memory", "has neurons with memory")]
        if current != DECAY_ONE:
            said = f"has a synaptic current that decays over time (current_decay {current})"
            found.append(Need("current", said))
        if voltage:
            said = f"has a leaky membrane potential (voltage_decay {voltage})"
            found.append(Need("leak", said))
        if self.never_fires:
            return tuple(found)
        return (*found, Need("reset", "a spike resets its membrane potential to zero"))

    @property
    def never_fires(self) -> bool:
        """Whether their threshold is :data:`NEVER`, so that their potential is read."""
        return self.threshold == NEVER

    @property
    def decays(self) -> dict[str, IntArray]:
        """Those of current and potential."""
        return {"current": self.arrays[0], "potential": self.arrays[1]}

    @property
    def firing_level(self) -> int | None:
        """Their threshold, where it is one for all."""
        threshold = self.arrays[2]
        if threshold.ndim or self.never_fires:
            return None
        return int(threshold) << THRESHOLD_SHIFT

    def as_cuba(self, who: str) -> "CubaNeuron":
        """Return them as they are."""
        del who
        return self

    def rest(self, shape: tuple[int, ...]) -> "CubaState":
        """Return the state before the first time step, all zero."""
        return CubaState(np.zeros(shape, np.int64), np.zeros(shape, np.int64))

    def step(
        self, state: "CubaState", activation: IntArray, bias: IntArray | int = 0
    ) -> tuple[BoolArray, "CubaState"]:
        """Advance by one time step, see :func:`cuba_step`."""
        return cuba_step(self, state, activation, bias)

    def seen(self, state: "CubaState") -> Seen:
        """Return the state itself."""
        return Seen(*state)


def _one_or_each(value: int | Sequence[int] | IntArray) -> OneOrEach:
    """Return one integer where all are equal, otherwise a tuple."""
    if np.ndim(value) == 0:
        return operator.index(value)  # type: ignore[arg-type]
    values = tuple(np.asarray(value).reshape(-1).tolist())
    return values[0] if len(set(values)) == 1 else values


class CubaState(NamedTuple):
    """State of a group of CUBA neurons, both of shape ``(*batch, neurons)``."""

    current: IntArray
    potential: IntArray


def driven_current(neuron: CubaNeuron, state: CubaState, activation: IntArray) -> IntArray:
    """Return the next synaptic current *before* it wraps to 24 bits."""
    return decayed(state.current, neuron.arrays[0]) + (activation << ACTIVATION_SHIFT)


def driven_potential(
    neuron: CubaNeuron, state: CubaState, current: IntArray, bias: IntArray | int
) -> IntArray:
    """Return the next membrane potential *before* it saturates and resets."""
    return decayed(state.potential, neuron.arrays[1]) + current + (bias << BIAS_SHIFT)


def cuba_step(
    neuron: CubaNeuron, state: CubaState, activation: IntArray, bias: IntArray | int = 0
) -> tuple[BoolArray, CubaState]:
    r"""Advance CUBA leaky integrate-and-fire neurons by one time step.

    .. math::
        u_t &= \operatorname{wrap}\bigl([u_{t-1}(1 - d_u 2^{-12})]_0 + 2^6 a_t\bigr) \\
        v_t &= \operatorname{clip}\bigl([v_{t-1}(1 - d_v 2^{-12})]_0 + u_t + 2^6 b\bigr) \\
        s_t &= v_t > 2^6 \vartheta, \qquad v_t \leftarrow 0 \text{ where } s_t

    with :math:`[\cdot]_0` rounding toward zero.

    Parameters
    ----------
    neuron
        Decays :math:`d_u, d_v` and the threshold mantissa :math:`\vartheta`.
    state
        Synaptic current :math:`u_{t-1}` and membrane potential :math:`v_{t-1}`.
    activation
        Sum of the weights of arriving spikes :math:`a_t`, ``(*batch, neurons)``.
    bias
        Mantissa of the constant input :math:`b`; a scalar or ``(neurons,)``.

    Returns
    -------
    spikes
        ``(*batch, neurons)``; True where the neuron fired at this time step.
    state
        The new state. The argument is left unchanged.

    Notes
    -----
    The comparison is strict: a potential equal to the threshold does not fire.
    The current wraps on overflow but the potential saturates.

    References
    ----------
    Equal, bit for bit, to ``PyLifModelBitAcc`` in lava-nc/lava
    (``lava.proc.lif.models``) with ``du = current_decay - 1``.
    """
    current = wrapped(driven_current(neuron, state, activation))
    potential = saturated(driven_potential(neuron, state, current, bias))
    spikes = potential > neuron.arrays[2] << THRESHOLD_SHIFT
    return spikes, CubaState(current, np.where(spikes, 0, potential))


def cuba_run(
    neuron: CubaNeuron, activation: IntArray, bias: IntArray | int, time_steps: int
) -> Run:
    """Run neurons from rest, see :meth:`Neuron.run`."""
    return neuron.run(activation, bias, time_steps)
