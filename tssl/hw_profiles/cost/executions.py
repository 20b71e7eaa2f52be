"""What differs between the kinds of execution when a network is priced: one rule for each."""

from collections.abc import Callable
from typing import NamedTuple

from tssl.costs import EnergyTerm, Gap
from tssl.hw_profiles.cost.energy import core_terms
from tssl.hw_profiles.cost.steps import conventional_terms, conventional_timing
from tssl.hw_profiles.cost.timing import (
    Timing,
    asynchronous_timing,
    barrier_timing,
    tick_timing,
)
from tssl.hw_profiles.cost.work import Inference
from tssl.hw_profiles.profile.executions import ExecutionName
from tssl.hw_profiles.profile.tables import Profile

__all__ = ["RULES", "Rule", "rule_of", "stream_steps", "timing_of"]


class Rule(NamedTuple):
    """How chips that are used in one way are priced."""

    timing: Callable[[Profile, Inference], Timing]
    """Return the times of an inference; the profile gives the times that the kind needs."""
    period: Callable[[Profile, int], str]
    """Return what the period of a stream is, in words, for samples of so many steps."""
    terms: Callable[[Profile, Inference], tuple[list[EnergyTerm], Gap | None]] = core_terms
    """Return what the operations pay, or why nobody can say."""
    only_time: str | None = None
    """The time that alone says how well all times are known; None where each of them counts."""
    assumed: str | None = None
    """What a time step is, for the list of assumptions."""
    untimed: str | None = None
    """What is not known where no source gives a time per synaptic operation."""


def stream_steps(profile: Profile, time_steps: int) -> str:
    """Return the period of a stream in whose steps all layers work, in words."""
    interval = profile.chip.steps_between_resets(time_steps)
    source = f"sum of the {interval} steps of a sample in a stream, all layers at work"
    if interval != time_steps:
        source += f", {interval - time_steps} of them idle until the reset"
    return source


RULES: dict[ExecutionName, Rule] = {
    "barrier": Rule(timing=barrier_timing, period=stream_steps),
    "tick": Rule(
        timing=tick_timing,
        period=stream_steps,
        only_time="tick",
        assumed="A time step is a fixed tick; the report says when the work does not fit it.",
        untimed="Whether the work fits a tick is not checked.",
    ),
    "asynchronous": Rule(
        timing=asynchronous_timing,
        period=lambda *_: "time that the busiest core works on a sample",
        assumed="There are no time steps: events are served as fast as the busiest core can, and "
        "leave after one transit time per layer.",
    ),
    "conventional": Rule(
        timing=conventional_timing,
        period=lambda *_: "time of a sample, one after another",
        terms=conventional_terms,
        only_time="mac",
    ),
}
"""The rules by the name in ``chip.execution``."""


def rule_of(profile: Profile) -> Rule:
    """Return the rule by which a chip is priced."""
    return RULES[profile.chip.execution]


def timing_of(profile: Profile, inference: Inference) -> Timing | str:
    """Return the times of an inference, or why they cannot be given.

    Notes
    -----
    What has no rate in the profile takes no time; the assumptions list it.
    """
    missing = [key for key in profile.execution.timed if getattr(profile.time, key) is None]
    if missing:
        return f"the profile gives no time.{missing[0]}"
    return rule_of(profile).timing(profile, inference)
