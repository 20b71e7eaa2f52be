"""What a run on the chip does, as the cost model counts it: how often each price is paid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tssl.chip import ChipNetwork
from tssl.errors import ConfigError
from tssl.hw_profiles.cost.energy import PRICES, dynamic_terms
from tssl.hw_profiles.cost.work import FloatArray, LayerWork, inference_of
from tssl.hw_profiles.mapping.capacity import map_to_cores
from tssl.hw_profiles.mapping.relays import placed, relayed_counts
from tssl.hw_profiles.profile.tables import Profile, Time
from tssl.results import OpCounts

__all__ = ["Amounts", "amounts_of", "check_base", "selected", "timed_prices"]

RECEIVE = ("synaptic_operation", "message_in")
SEND = (
    "neuron_update_active",
    "neuron_update_inactive",
    "neuron_update_programmed",
    "spike_out",
    "message_out",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Amounts:
    """What one sample in a stream of samples does.

    Parameters
    ----------
    energy
        How often each price of energy is paid, by key of the profile.
    interval
        Time steps from sample to sample.
    chips
        On which the network lies.
    sides
        What the busiest core of each layer receives and what it sends, in each step of the stream,
        by key of the profile's times; ``(interval,)`` each.
    """

    energy: dict[str, float]
    interval: int
    chips: int
    sides: list[dict[str, FloatArray]]


def check_base(profile: Profile) -> None:
    """Refuse a profile whose prices a log of steps cannot give.

    Raises
    ------
    ConfigError
        When its steps do not end at a barrier, or a price contains others.
    """
    if profile.chip.execution != "barrier" or profile.chip.energy_model != "marginal":
        raise ConfigError(
            f"--base {profile.name}: a log gives the prices of chips whose steps end at a barrier "
            f"and whose prices add up, as loihi1 and loihi2; this one has execution = "
            f"{profile.chip.execution!r}, energy_model = {profile.chip.energy_model!r}"
        )


def amounts_of(profile: Profile, network: ChipNetwork, counts: OpCounts) -> Amounts:
    """Return what a sample does, exactly as :func:`tssl.hw_profiles.estimate` counts it.

    Raises
    ------
    TargetError
        When the network does not fit the chip.
    """
    mapping = map_to_cores(profile, network)
    on_chip = placed(profile, network)
    counted = relayed_counts(network, on_chip, counts)
    inference = inference_of(profile, on_chip, counted, mapping)
    energy: dict[str, float] = {}
    for term in dynamic_terms(profile, inference):
        key = PRICES[term.name]
        energy[key] = energy.get(key, 0.0) + term.operations
    interval = profile.chip.steps_between_resets(counts.time_steps)
    return Amounts(
        energy=energy,
        interval=interval,
        chips=inference.chips,
        sides=[side for layer in inference.work for side in _sides(profile.time, layer, interval)],
    )


def _sides(
    time: Time, layer: LayerWork, interval: int
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return what the fullest core of a layer does in each step of a stream."""
    steps = len(layer.spikes)
    done = {
        "synaptic_operation": layer.operations * layer.share,
        "message_in": layer.arriving + np.zeros(steps),
        **{key: updated * layer.share for key, updated in layer.updates(time).items()},
        "spike_out": layer.spikes * layer.share,
        "message_out": layer.spikes * layer.share * layer.fan,
    }
    idle = np.zeros(interval - steps)
    moved = {key: np.roll(np.hstack([done[key], idle]), layer.depth) for key in done}
    return (
        {key: moved[key] for key in RECEIVE},
        {key: moved[key] for key in SEND if key in moved},
    )


def timed_prices(profile: Profile, done: Sequence[Amounts]) -> tuple[str, ...]:
    """Return the keys of the profile's times that make a step, those of the barrier last.

    Kinds of neurons that no run has are left out.
    """
    there = {key for each in done for side in each.sides for key in side}
    keys = [key for key in (*RECEIVE, *SEND) if key in there]
    keys += ["barrier", "barrier_several_chips", "minimum_step"]
    return tuple(key for key in keys if getattr(profile.time, key) is not None)


def selected(
    profile: Profile, done: Amounts, keys: tuple[str, ...], times: FloatArray
) -> FloatArray:
    """Return what a mean step is made of if the times are these: of each step, what takes longest.

    Parameters
    ----------
    times
        Seconds of each key, ``(keys,)``.

    Returns
    -------
    amounts
        ``(keys,)``; times the seconds of each key it is the mean time of a step.
    """
    several = done.chips > 1 and "barrier_several_chips" in keys
    barrier = "barrier_several_chips" if several else "barrier"
    added = profile.time.barrier_rule == "added"
    nothing = np.zeros(done.interval)
    constants = ["minimum_step"] if added else [barrier, "minimum_step"]
    candidates = [[side.get(key, nothing) for key in keys] for side in done.sides]
    candidates += [[nothing + (key == constant) for key in keys] for constant in constants]
    stacked = np.array(candidates)  # (candidates, keys, steps)
    longest = np.einsum("cks,k->cs", stacked, times).argmax(axis=0)
    total = stacked[longest, :, np.arange(done.interval)].sum(axis=0)
    if added:
        total[keys.index(barrier)] += done.interval
    return np.asarray(total / done.interval)
