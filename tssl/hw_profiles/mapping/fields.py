"""Whether the numbers and neurons of a network exist on a chip."""

from collections.abc import Iterator

import numpy as np

from tssl.chip import (
    INPUT,
    INTEGRATOR,
    MESSAGE_BITS,
    ChipNetwork,
    IntArray,
    Layer,
    Neuron,
    Synapses,
)
from tssl.errors import RangeError, UnsupportedLayerError
from tssl.hw_profiles.profile.figure import Figure
from tssl.hw_profiles.profile.tables import Limits, Profile

__all__ = ["check_limits"]

_INPUT_HINT = "use another chip, or smaller input: 0 and 1 are spikes on every chip"
_HINT = "if it was trained with tssl, export it for this chip; otherwise use another chip"


def check_limits(
    profile: Profile, network: ChipNetwork, input_range: tuple[int, int] | None
) -> None:
    """Refuse a network with a number, neuron or input that the chip has no room for.

    What the profile does not give is not checked; nothing is checked on a conventional device.

    Parameters
    ----------
    input_range
        Smallest and largest integer that enter, or None when that is not known.

    Raises
    ------
    UnsupportedLayerError
        When the chip has no such neuron or no such layer.
    RangeError
        When a threshold, weight, delay or graded input spike leaves its field.
    """
    if not profile.has_cores:
        return
    neuron = next(_neuron_problems(profile, network), None)
    if neuron is not None:
        raise UnsupportedLayerError(f"{neuron}; use another chip")
    graded = next(_input_problem(profile.figures, network, input_range), None)
    if graded is not None:
        raise RangeError(f"{graded} on {profile.chip.title}; {_INPUT_HINT}")
    problem = next(_problems(profile.figures, network), None)
    if problem is not None:
        raise RangeError(f"{problem} on {profile.chip.title}; {_HINT}")


_LACKS = {
    "programmable": (),
    "cuba": ("program",),
    "leaky": ("program", "current"),
    "non-leaky": ("program", "current", "leak"),
    "stateless": ("program", "memory", "current", "leak"),
    "any": (),
}
"""What neurons of a chip do not have, by the richest that it offers."""
_WITHOUT = {
    "program": "{} has none",
    "memory": "{} has none",
    "current": "the neurons of {} have none",
    "leak": "{} integrates without leak",
    "reset": "on {} it subtracts the threshold",
}


def _neuron_problems(profile: Profile, network: ChipNetwork) -> Iterator[str]:
    chip = profile.chip
    lacks = {*_LACKS[chip.neuron], *(["reset"] if chip.reset == "subtract" else [])}
    for name, neuron in _neurons(network):
        for need in neuron.needs:
            if need.what in lacks and chip.neuron != "any":
                yield f"layer {name}: {need.said}, {_WITHOUT[need.what].format(chip.title)}"


def _neurons(network: ChipNetwork) -> Iterator[tuple[str, Neuron]]:
    """Yield the neurons of all layers and of the input that can fire."""
    for name, neuron in network.groups.items():
        if neuron != INTEGRATOR:  # Lava's way to say "never fires"
            yield name, neuron


def _problems(limits: Limits, network: ChipNetwork) -> Iterator[str]:
    if network.input.neuron is not None:
        yield from _threshold_problem(limits, INPUT, network.input.neuron)
    yield from _above(limits.network_inputs, INPUT, "inputs", network.input.neurons)
    yield from _above(
        limits.network_outputs, f"layer {network.output.name}", "outputs", network.output.neurons
    )
    for layer in network.layers:
        yield from _message_problem(limits, layer)
        yield from _threshold_problem(limits, layer.name, layer.neuron)
        yield from _synapse_problems(limits, layer)
        yield from _shape_problems(limits, layer)


def _above(limit: Figure | None, who: str, what: str, value: int) -> Iterator[str]:
    if limit is not None and value > limit.value:
        yield f"{who}: {value} {what}, at most {int(limit.value)} are possible"


def _input_problem(
    limits: Limits, network: ChipNetwork, input_range: tuple[int, int] | None
) -> Iterator[str]:
    if limits.graded_spike_bits is None or input_range is None:
        return
    if network.input.neuron is not None:  # the data are biases or values, not spikes
        return
    bits = int(limits.graded_spike_bits.value)
    limit = max(1, (1 << (bits - 1)) - 1 if bits else 0)
    smallest = -limit if bits else 0
    low, high = input_range
    if high > limit:
        yield f"{INPUT}: spikes carry values up to {high}, at most {limit} is possible"
    if low < smallest:
        yield f"{INPUT}: spikes carry values down to {low}, at least {smallest} is possible"


def _message_problem(limits: Limits, layer: Layer) -> Iterator[str]:
    bits = limits.graded_spike_bits
    if layer.neuron.graded and bits is not None and bits.value < MESSAGE_BITS:
        yield (
            f"layer {layer.name}: sends messages of {MESSAGE_BITS} bits, spikes have "
            f"{int(bits.value)}"
        )


def _threshold_problem(limits: Limits, layer: str, neuron: Neuron) -> Iterator[str]:
    # one that no potential exceeds is Lava's way to say "never fires", and no number of the network
    values = neuron.facts.get("threshold")
    if limits.threshold_bits is None or neuron.never_fires or values is None:
        return
    largest = (1 << int(limits.threshold_bits.value)) - 1
    threshold = int(np.max(values))
    if threshold > largest:
        yield f"layer {layer}: threshold {threshold}, at most {largest} is possible"


def _synapse_problems(limits: Limits, layer: Layer) -> Iterator[str]:
    for each in layer.connections:
        what = "recurrent weight" if each.source == layer.name else "weight"
        yield from _weight_problem(limits, layer.name, what, each.synapses)
    yield from _above(
        limits.max_delay, f"layer {layer.name}", "steps of delay", layer.longest_delay
    )


def _weight_problem(limits: Limits, layer: str, what: str, synapses: Synapses) -> Iterator[str]:
    """With both signs, the sign takes the lowest bit: twice the span, every second number."""
    if limits.weight_bits is None:
        return
    weight = synapses.weight >> _exponent(limits, synapses)
    largest_weight = (1 << int(limits.weight_bits.value)) - 2
    smallest, largest = int(weight.min()), int(weight.max())
    if smallest < 0 < largest:
        low, high = -(largest_weight + 2), largest_weight
    else:
        low, high = -(largest_weight + 1), largest_weight + 1
    for value in (smallest, largest):
        if not low <= value <= high:
            yield f"layer {layer}: {what} {value}, only {low}..{high} is possible"


def _exponent(limits: Limits, synapses: Synapses) -> int:
    """Return the power of two beside the only weight of a convolution, as exports have them.

    Lava has none for dense weights of whole numbers: it clips them.
    """
    if limits.weight_exponent is None or not synapses.has_one_weight:
        return 0
    shared = int(np.gcd.reduce(synapses.weight.reshape(-1)))
    zeros = (shared & -shared).bit_length() - 1
    return max(0, min(int(limits.weight_exponent.value), zeros - 1))  # one is the sign's


def _shape_problems(limits: Limits, layer: Layer) -> Iterator[str]:
    who = f"layer {layer.name}"
    if limits.fan_in_per_neuron is not None:
        yield from _above(
            limits.fan_in_per_neuron, who, "synapses per neuron", int(_per_neuron(layer).max())
        )
    if limits.fan_out_per_neuron is not None:
        fan_out = max(int(each.synapses.fan_out().max()) for each in layer.arriving)
        yield from _above(limits.fan_out_per_neuron, who, "targets of one input", fan_out)
    if limits.weight_levels_per_neuron is not None:
        levels = max(len(set(row[row != 0].tolist())) for row in _rows(layer))
        yield from _above(
            limits.weight_levels_per_neuron, who, "different weights at one neuron", levels
        )
    for each in layer.connections:
        if each.synapses.geometry is not None:
            kernel = max(each.synapses.geometry.kernel)
            yield from _above(limits.kernel_size, who, "kernel pixels", kernel)
            channels, *sides = each.synapses.output_shape
            yield from _above(limits.map_size, who, "map pixels", max(sides))
            yield from _above(limits.channels, who, "channels", channels)


def _rows(layer: Layer) -> IntArray:
    """Return the weights of each neuron, or of each kernel, one per row."""
    rows = [each.synapses.weight for each in layer.connections]
    most = max(map(len, rows))  # kernels beside dense rows: each stands for all its neurons
    return np.hstack([each.reshape(len(each), -1).repeat(most // len(each), 0) for each in rows])


def _per_neuron(layer: Layer) -> IntArray:
    return np.asarray((_rows(layer) != 0).sum(axis=1))
