"""How large the state of a layer gets: observed on data, and bounded for all data."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from tssl.chip import (
    ACTIVATION_SHIFT,
    DECAY_ONE,
    STATE_LIMIT,
    Layer,
    SpikeArray,
    Train,
    driven_current,
    driven_potential,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranges:
    """Extremes of a layer's state over calibration data, before wrap and saturation.

    Parameters
    ----------
    current, potential
        Largest magnitude of synaptic current and membrane potential; of neurons that fire once,
        until they do: what comes then keeps them silent however large it gets.
    current_bound
        Magnitude that no input within the given range can make the current exceed.
    spikes
        The layer's spike train, ``(time, samples, neurons)``.
    """

    current: int
    potential: int
    current_bound: int
    spikes: SpikeArray

    @property
    def headroom_bits(self) -> float:
        """Binary orders of magnitude between the observed current and its wrap."""
        return float(np.log2(STATE_LIMIT / max(1, self.current)))

    @property
    def potential_headroom_bits(self) -> float:
        """Likewise for the membrane potential, which saturates; negative when it would."""
        return float(np.log2(STATE_LIMIT / max(1, self.potential)))

    @property
    def can_wrap(self) -> bool:
        """Whether some input, however unlikely, could wrap the current."""
        return self.current_bound >= STATE_LIMIT  # the lower end of the range is open


Spans = Mapping[str, tuple[int, int]]
"""Smallest and largest value that can arrive, by source."""


def observe(
    layer: Layer,
    trains: Mapping[str, Train],
    time_steps: int,
    spans: Spans,
    once: Collection[str] = (),
) -> Ranges:
    """Run a layer and return the extremes of its state.

    Parameters
    ----------
    trains
        Calibration input of each source, ``(time or 1, samples, inputs)``.
    spans
        What its sources can send at all.
    once
        Layers whose neurons fire once, and the input if it is one spike each.
    """
    largest_current = largest_potential = 0
    spikes: list[SpikeArray] = []
    waiting = np.ones((), bool)
    for step in layer.steps(trains, time_steps):
        current = driven_current(layer.cuba, step.before, step.activation)
        potential = driven_potential(layer.cuba, step.before, current, layer.bias)
        largest_current = max(largest_current, int(np.abs(current * waiting).max()))
        largest_potential = max(largest_potential, int(np.abs(potential * waiting).max()))
        spikes.append(step.spikes.astype(np.uint8))
        if layer.name in once:
            waiting = waiting & ~step.spikes
    return Ranges(
        current=largest_current,
        potential=largest_potential,
        current_bound=current_bound(layer, time_steps, spans, once),
        spikes=np.stack(spikes),
    )


def current_bound(layer: Layer, time_steps: int, spans: Spans, once: Collection[str] = ()) -> int:
    """Bound the current over all inputs within their ranges, held for all time steps.

    Every synapse gets the input that pushes hardest in one direction; the geometric sum
    of the decay over ``time_steps`` multiplies that, unless each source sends one spike.
    """
    kept = 1 - int(layer.cuba.arrays[0].min()) / DECAY_ONE
    steps = sum(kept**step for step in range(time_steps))
    upward, downward = [np.zeros((), np.int64)] * 2, [np.zeros((), np.int64)] * 2
    for each in layer.connections:
        low, high = (0, 1) if each.source == layer.name else spans[each.source]
        weights = each.synapses.weight.reshape(len(each.synapses.weight), -1)
        of = int(each.source in once)
        up, down = (
            np.maximum(weights * low, weights * high),
            np.minimum(weights * low, weights * high),
        )
        upward[of] = upward[of] + up.clip(0).sum(axis=1)
        downward[of] = downward[of] + down.clip(None, 0).sum(axis=1)
    most = (upward[0] * steps + upward[1]).max(), -(downward[0] * steps + downward[1]).min()
    return int(np.ceil(max(most) * (1 << ACTIVATION_SHIFT)))
