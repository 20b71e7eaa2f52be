"""Whether the numbers of a network fit the fields of a chip."""

from collections.abc import Iterator

from tssl.chip import (
    INPUT,
    INTEGRATOR,
    ChipLimits,
    ChipNetwork,
    CubaNeuron,
    DenseLayer,
    IntArray,
    Layer,
    RecurrentLayer,
)
from tssl.errors import RangeError
from tssl.hw_profiles.profile import Profile


def check_limits(
    profile: Profile, network: ChipNetwork, input_range: tuple[int, int] | None
) -> None:
    """Refuse a network with a number that the chip has no room for.

    Parameters
    ----------
    input_range
        Smallest and largest integer that can enter, or None when nobody knows.

    Raises
    ------
    RangeError
        When a threshold, weight, delay or graded input spike leaves its field.
    """
    problem = next(_problems(profile.limits, network, input_range), None)
    if problem is not None:
        raise RangeError(
            f"{problem} on {profile.chip.title}; export it for this chip or use another"
        )


def _problems(
    limits: ChipLimits, network: ChipNetwork, input_range: tuple[int, int] | None
) -> Iterator[str]:
    if network.input.neuron is not None:
        yield from _threshold_problem(limits, INPUT, network.input.neuron)
    elif input_range is not None:
        yield from _input_problem(limits, input_range)
    for layer in network.layers:
        yield from _threshold_problem(limits, layer.name, layer.neuron)
        yield from _synapse_problems(limits, layer)


def _input_problem(limits: ChipLimits, input_range: tuple[int, int]) -> Iterator[str]:
    value, limit = max(input_range, key=abs), max(1, limits.largest_graded_spike)
    if abs(value) > limit:
        yield f"{INPUT}: spikes carry values up to {value}, at most {limit} is possible"


def _threshold_problem(limits: ChipLimits, layer: str, neuron: CubaNeuron) -> Iterator[str]:
    # the integrator is Lava's way to say "never fires"; its threshold is no number of the network
    if neuron.threshold > limits.largest_threshold and neuron != INTEGRATOR:
        yield (
            f"layer {layer}: threshold {neuron.threshold}, at most {limits.largest_threshold} "
            "is possible"
        )


def _synapse_problems(limits: ChipLimits, layer: Layer) -> Iterator[str]:
    yield from _weight_problem(limits, layer.name, "weight", layer.weight)
    if isinstance(layer, RecurrentLayer):
        yield from _weight_problem(limits, layer.name, "recurrent weight", layer.recurrent_weight)
    if isinstance(layer, DenseLayer) and layer.delay is not None:
        delay = int(layer.delay.max())
        if delay > limits.max_delay:
            yield f"layer {layer.name}: delay {delay}, at most {limits.max_delay} is possible"


def _weight_problem(limits: ChipLimits, layer: str, what: str, weight: IntArray) -> Iterator[str]:
    """With both signs, the sign takes the lowest bit: twice the span, every second number."""
    smallest, largest = int(weight.min()), int(weight.max())
    if smallest < 0 < largest:
        low, high = -(limits.largest_weight + limits.weight_step), limits.largest_weight
    else:
        low, high = -(limits.largest_weight + 1), limits.largest_weight + 1
    for value in (smallest, largest):
        if not low <= value <= high:
            yield f"layer {layer}: {what} {value}, only {low}..{high} is possible"
