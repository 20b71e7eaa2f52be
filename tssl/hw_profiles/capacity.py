"""How many cores a network takes.

The rule is simple and blind to placement: a core holds one layer, never two.

- Dense layers: the fewest cores over which the neurons spread evenly so that neurons,
  synaptic memory and input axons fit. Every core listens to all inputs. Inputs with equal
  weights share an input axon and its synapse list, since a spike message names core and axon:
  the inputs of a pool that was merged into a dense layer are equal in groups. Intel's compiler
  is not known to do so.
- Convolutions: kernels are stored once per core. A core holds whole columns of the map, a
  power of two of them; when the kernels do not fit, output channels are split first.

Against the tables that Intel's compiler printed for Loihi 2: exact for the six feature maps
of PilotNet (59 cores) and for the MNIST MLP (5); one core too few for Oxford (4, not 5) and
9 instead of 12 to 13 for PilotNet's 2560 x 100 layer, whose compiler stops at half-full cores.
"""

from dataclasses import dataclass
from hashlib import blake2b
from math import ceil, prod

import numpy as np

from tssl.chip import (
    INPUT,
    ChipNetwork,
    ConvLayer,
    DenseLayer,
    IntArray,
    Layer,
    RecurrentLayer,
    Shape,
)
from tssl.costs import LayerMapping, Resource
from tssl.errors import CapacityError
from tssl.hw_profiles.profile import Profile

_WORD = 64
_REMEDY: dict[Resource, str] = {
    "neurons": "use a smaller feature map",
    "synaptic memory": "use fewer inputs, a smaller kernel or a convolution instead",
    "input axons": "use fewer inputs or put a pooling or strided layer before it",
}


@dataclass(frozen=True, kw_only=True)
class _Need:
    """Over how many cores a layer spreads, and what the fullest of them must hold."""

    cores: int
    amounts: dict[Resource, int]

    def fits(self, limits: dict[Resource, int]) -> bool:
        return self.fullest(limits)[1] <= 1

    def fullest(self, limits: dict[Resource, int]) -> tuple[Resource, float]:
        shares = {resource: amount / limits[resource] for resource, amount in self.amounts.items()}
        tightest = max(shares, key=lambda resource: shares[resource])
        return tightest, shares[tightest]


def map_to_cores(profile: Profile, network: ChipNetwork) -> list[LayerMapping]:
    """Return the cores that each layer takes, by the rule at the top of this file.

    Input that arrives as spikes from outside takes no cores; a block of input neurons does.

    Raises
    ------
    CapacityError
        When a layer fits no number of cores, or the network needs more cores than a chip has.
    """
    mappings = []
    if network.input.neuron is not None:
        need = _input_need(profile, network.input.shape)
        mappings.append(_mapping(profile, INPUT, network.input.neurons, need))
    for layer in network.layers:
        need = _layer_need(profile, layer)
        mappings.append(_mapping(profile, layer.name, layer.neurons, need))
    _check_chip(profile, network, mappings)
    return mappings


def relies_on_shared_lists(profile: Profile, network: ChipNetwork) -> bool:
    """Return whether the mapping would differ if every input had a synapse list of its own."""
    limits = _limits(profile)
    for layer in network.layers:
        shared, own = (_layer_need(profile, layer, share=share) for share in (True, False))
        if (shared.cores, shared.fullest(limits)) != (own.cores, own.fullest(limits)):
            return True
    return False


def _limits(profile: Profile) -> dict[Resource, int]:
    figures = profile.figures
    return {
        "neurons": int(figures.neurons_per_core.value),
        "synaptic memory": int(figures.synapse_words_per_core.value),
        "input axons": int(figures.input_axons_per_core.value),
    }


def _layer_need(profile: Profile, layer: Layer, *, share: bool = True) -> _Need:
    if isinstance(layer, ConvLayer):
        return _conv_need(profile, layer)
    bits = profile.figures.weight_bits.value + profile.figures.synapse_overhead_bits.value
    if isinstance(layer, DenseLayer) and layer.delay is not None:
        bits += profile.limits.max_delay.bit_length()
    synapses = _synapse_lists(layer)
    axons = _distinct(synapses) if share else len(synapses)
    return _even_split(profile, layer.neurons, axons, bits)


def _synapse_lists(layer: Layer) -> IntArray:
    """Return what each source neuron has stored on the cores of a dense layer, one per row."""
    stored = layer.weight
    if isinstance(layer, RecurrentLayer):
        stored = np.hstack([stored, layer.recurrent_weight])
    if isinstance(layer, DenseLayer) and layer.delay is not None:
        stored = np.vstack([stored, layer.delay])
    return np.ascontiguousarray(stored.T)


def _distinct(rows: IntArray) -> int:
    return len({blake2b(row.data, digest_size=16).digest() for row in rows})


def _even_split(profile: Profile, neurons: int, axons: int, bits: float) -> _Need:
    """Return the need on the fewest cores that fit, or with one neuron per core."""
    limits = _limits(profile)
    for cores in range(1, neurons + 1):
        held = ceil(neurons / cores)
        words = axons * ceil(held * bits / _WORD)
        amounts: dict[Resource, int] = {
            "neurons": held,
            "synaptic memory": words,
            "input axons": axons,
        }
        need = _Need(cores=cores, amounts=amounts)
        if need.fits(limits):
            break
    return need


def _conv_need(profile: Profile, layer: ConvLayer) -> _Need:
    """Return the need with as few groups of output channels as fit, or one channel per core."""
    channels, height, width = layer.output_shape
    limits = _limits(profile)
    for groups in range(1, channels + 1):
        held = ceil(channels / groups)
        columns = _columns(limits["neurons"], held * height, width)
        row_bits = held * int(profile.figures.weight_bits.value)
        amounts: dict[Resource, int] = {
            "neurons": columns * height * held,
            "synaptic memory": layer.weight[0].size * ceil(row_bits / _WORD),
            "input axons": _pixels_seen(layer, columns),
        }
        need = _Need(cores=groups * ceil(width / columns), amounts=amounts)
        if need.fits(limits):
            break
    return need


def _columns(limit: int, column_neurons: int, width: int) -> int:
    """Return the largest power of two of columns that a core holds, at least one."""
    columns = 1
    while 2 * columns * column_neurons <= limit and 2 * columns <= width:
        columns *= 2
    return columns


def _pixels_seen(layer: ConvLayer, columns: int) -> int:
    """Return how many input positions reach a core; all channels of one share an axon."""
    _, height, width = layer.map_shape
    extent = layer.dilation[1] * (layer.weight.shape[3] - 1) + 1
    return height * min(width, (columns - 1) * layer.stride[1] + extent)


def _input_need(profile: Profile, shape: Shape) -> _Need:
    """Return the need of a block of input neurons, which has no synapses."""
    if len(shape) != 3:
        return _even_split(profile, prod(shape), axons=0, bits=0)
    channels, height, width = shape
    columns = _columns(_limits(profile)["neurons"], channels * height, width)
    amounts: dict[Resource, int] = {"neurons": columns * channels * height}
    return _Need(cores=ceil(width / columns), amounts=amounts)


def _mapping(profile: Profile, layer: str, neurons: int, need: _Need) -> LayerMapping:
    limits = _limits(profile)
    tightest, share = need.fullest(limits)
    if share > 1:
        raise CapacityError(
            f"layer {layer}: needs {tightest} for {need.amounts[tightest]} per core even when "
            f"spread over {need.cores} cores, a core of {profile.chip.title} has "
            f"{limits[tightest]}; {_REMEDY[tightest]}"
        )
    return LayerMapping(
        layer=layer,
        neurons=neurons,
        cores=need.cores,
        bound_by=tightest,
        utilisation=share,
    )


def _check_chip(profile: Profile, network: ChipNetwork, mappings: list[LayerMapping]) -> None:
    cores = sum(mapping.cores for mapping in mappings)
    limit = int(profile.figures.cores_per_chip.value)
    if cores > limit:
        largest = max(mappings, key=lambda mapping: mapping.cores)
        raise CapacityError(
            f"network {network.name}: needs {cores} cores, {profile.chip.title} has {limit}; "
            f"layer {largest.layer} alone takes {largest.cores} (bound by {largest.bound_by}): "
            "make it smaller; networks over several chips are not mapped yet"
        )
