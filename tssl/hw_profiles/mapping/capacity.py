"""How many cores a network takes.

The rule is simple and blind to placement: a core holds one layer, never two, unless the
profile says that all layers share their cores.

- Dense layers: the fewest cores over which the neurons spread evenly so that every resource
  that the profile limits suffices. Every core listens to all inputs. Inputs with equal
  weights share an input axon and its synapse list, since a spike message names core and axon:
  the inputs of a pool that was merged into the weights are equal in groups, in a dense layer
  as in a convolution. Intel's compiler is not known to do so.
- Convolutions: kernels are stored once per core. A core holds whole columns of the map, a
  power of two of them; when the kernels do not fit, output channels are split first.
- Output axons: one per neuron and core that it sends to, so a layer may spread further because
  the next one does. Layers are therefore mapped from the last to the first. A recurrent layer
  sends to its own cores, too.
- Relays: an even split; each neuron hears one axon with a single synapse.

Against the tables that Intel's compiler printed for Loihi 2, see docs/validation.md: exact for
the feature maps of PilotNet and for the MNIST MLP; one core too few for Oxford and 9 instead
of 12 to 13 for PilotNet's 2560 x 100 layer, whose compiler stops at half-full cores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf, prod

from tssl.chip import (
    INPUT,
    ChipNetwork,
    ConvSynapses,
    Layer,
    Synapses,
    is_relay,
)
from tssl.costs import LayerMapping, Resource
from tssl.errors import CapacityError
from tssl.geometry import Shape
from tssl.hw_profiles.mapping.relays import placed
from tssl.hw_profiles.profile.figure import Figure
from tssl.hw_profiles.profile.tables import Profile

__all__ = [
    "cores_per_chip",
    "map_to_cores",
    "relies_on_shared_lists",
]

_WORD = 64
_REMEDY: dict[Resource, str] = {
    "neurons": "use a smaller feature map",
    "synaptic memory": "use fewer inputs, a smaller kernel or a convolution instead",
    "input axons": "use fewer inputs or put a pooling or strided layer before it",
    "output axons": "make the layer behind it smaller",
    "neuron groups": "use fewer kinds of neurons",
}


@dataclass(frozen=True, kw_only=True)
class _Need:
    """Over how many cores a layer spreads, and what the fullest of them must hold."""

    cores: int
    amounts: dict[Resource, int]
    columns: int = 0
    channel_groups: int = 1
    relay_of: str | None = None

    def fits(self, limits: dict[Resource, int]) -> bool:
        return self.fullest(limits)[1] <= 1

    def shares(self, limits: dict[Resource, int]) -> dict[Resource, float]:
        return {
            resource: amount / limits[resource]
            for resource, amount in self.amounts.items()
            if resource in limits
        }

    def fullest(self, limits: dict[Resource, int]) -> tuple[Resource, float]:
        shares = self.shares(limits)
        if shares.get("neuron groups", 0) <= 1:  # one layer is one group: it says little
            shares.pop("neuron groups", None)
        tightest = max(shares, key=lambda resource: shares[resource])
        return tightest, shares[tightest]


def map_to_cores(profile: Profile, network: ChipNetwork) -> list[LayerMapping]:
    """Return the cores that each layer takes, by the rule at the top of this file.

    Relays, where paths to a layer differ in length, take cores as layers do; see
    :func:`tssl.chip.with_relays`. Input that arrives as spikes from outside takes no cores; a block
    of input neurons does. A conventional device has no such cores: nothing is mapped there.

    Raises
    ------
    CapacityError
        When a layer fits no number of cores, or the network needs more cores than there are.
    """
    if not profile.has_cores:
        return []
    shared = profile.chip.cores == "shared"
    network = placed(profile, network)
    needs: dict[str, _Need] = {}
    for layer in reversed(network.layers):
        needs[layer.name] = _layer_need(profile, layer, _targets(network, layer.name, needs))
    if network.input.neuron is not None:
        targets = _targets(network, INPUT, needs)
        needs[INPUT] = _input_need(profile, network.input.shape, targets)
    sizes = {INPUT: network.input.neurons} | {each.name: each.neurons for each in network.layers}
    ordered = [name for name in (INPUT, *(each.name for each in network.layers)) if name in needs]
    if shared:
        return _shared(profile, network, {name: needs[name] for name in ordered}, sizes)
    mappings = [_mapping(profile, name, sizes[name], needs[name]) for name in ordered]
    _check_chip(profile, network, mappings)
    return mappings


def relies_on_shared_lists(profile: Profile, network: ChipNetwork) -> bool:
    """Return whether the mapping would differ if every input had a synapse list of its own."""
    if not profile.has_cores:
        return False
    limits = _limits(profile)
    for layer in network.layers:
        shared, own = (_layer_need(profile, layer, 0, share=share) for share in (True, False))
        if (shared.cores, shared.fullest(limits)) != (own.cores, own.fullest(limits)):
            return True
    return False


def _limits(profile: Profile) -> dict[Resource, int]:
    """Return the resources that the profile limits; the others are not checked."""
    figures = profile.figures
    given: dict[Resource, Figure | None] = {
        "neurons": figures.neurons_per_core,
        "synaptic memory": figures.synapse_words_per_core,
        "input axons": figures.input_axons_per_core,
        "output axons": figures.output_axons_per_core,
        "neuron groups": figures.neuron_groups_per_core,
    }
    return {name: int(figure.value) for name, figure in given.items() if figure is not None}


def _targets(network: ChipNetwork, source: str, needs: dict[str, _Need]) -> int:
    """Return the most cores of other layers to which one neuron of a layer sends."""
    reached = 0
    for layer in network.layers:
        need = needs.get(layer.name)
        heard = [each.synapses for each in layer.arriving if each.source == source]
        if need is not None and heard:
            reached += max(_cores_reached(synapses, need) for synapses in heard)
    return reached


def _cores_reached(synapses: Synapses, need: _Need) -> int:
    """Return how many of a layer's cores receive the spikes of one neuron by these synapses."""
    if need.relay_of is not None or synapses.has_one_weight:
        return 1
    if not need.columns or synapses.geometry is None:
        return need.cores
    # of the output columns that read one input column
    outputs = ceil(synapses.geometry.span[1] / synapses.geometry.stride[1])
    side_by_side = min(ceil((outputs - 1) / need.columns) + 1, need.cores // need.channel_groups)
    return need.channel_groups * side_by_side


def _layer_need(profile: Profile, layer: Layer, targets: int, *, share: bool = True) -> _Need:
    if is_relay(layer):
        need = _even_split(profile, layer.neurons, (None, targets), _weight_bits(profile, layer))
        return replace(need, relay_of=layer.source)
    kernels = [
        each.synapses
        for each in layer.connections
        if each.source != layer.name or not each.synapses.has_one_weight
    ]
    convolutions = [each for each in kernels if isinstance(each, ConvSynapses)]
    if len(convolutions) == len(kernels):
        return _conv_need(profile, layer, convolutions, targets, share=share)
    figures = profile.figures
    overhead = figures.synapse_overhead_bits.value if figures.synapse_overhead_bits else 0.0
    bits = _weight_bits(profile, layer) + overhead
    longest = max(each.longest_delay for each in kernels)
    if longest:
        bits += (int(figures.max_delay.value) if figures.max_delay else longest).bit_length()
    axons = _distinct_lists(kernels) if share else sum(each.inputs for each in kernels)
    return _even_split(profile, layer.neurons, (axons, targets), bits, _own(layer))


def _own(layer: Layer) -> list[Synapses]:
    return [each.synapses for each in layer.own]


def _private(own: Sequence[Synapses]) -> int:
    """Return how many axons each neuron has to itself alone, with a single synapse."""
    return sum(each.has_one_weight for each in own)


def _own_cores(own: Sequence[Synapses], need: _Need) -> int:
    """Return how many cores of its own layer receive the spikes of one neuron."""
    return max((_cores_reached(each, need) for each in own), default=0)


def _weight_bits(profile: Profile, layer: Layer) -> int:
    """Return the bits of a stored weight: as few as the layer needs, as Intel's compiler does."""
    if profile.figures.weight_bits is None:
        return 0
    return min(layer.weight_bits, int(profile.figures.weight_bits.value))


def _distinct_lists(kernels: Sequence[Synapses]) -> int:
    return len(set().union(*(each.lists() for each in kernels)))


def _even_split(
    profile: Profile,
    neurons: int,
    axons: tuple[int | None, int],
    bits: float,
    own: Sequence[Synapses] = (),
) -> _Need:
    """Return the need on the fewest cores that fit, or with one neuron per core.

    Parameters
    ----------
    axons
        Those that arrive, None where each neuron of a core has its own with a single synapse; and
        the cores of other layers to which each neuron sends.
    own
        Synapses among the neurons.
    """
    limits, private = _limits(profile), _private(own)
    for cores in range(1, neurons + 1):
        held, spread = ceil(neurons / cores), _Need(cores=cores, amounts={})
        arriving, driven = (held, 1) if axons[0] is None else (axons[0], held)
        amounts: dict[Resource, int] = {
            "neurons": held,
            "synaptic memory": arriving * ceil(driven * bits / _WORD)
            + private * held * ceil(bits / _WORD),
            "input axons": arriving + private * held,
            "output axons": held * (axons[1] + _own_cores(own, spread)),
            "neuron groups": 1,
        }
        need = replace(spread, amounts=amounts)
        if need.fits(limits):
            break
    return need


def _conv_need(
    profile: Profile, layer: Layer, kernels: list[ConvSynapses], targets: int, *, share: bool
) -> _Need:
    """Return the need with as few groups of output channels as fit, or one channel per core."""
    channels, height, width = layer.output_shape
    pools = [each.merged_pool if share else (1, 1) for each in kernels]
    taps = sum(each.weight[0].size // prod(pool) for each, pool in zip(kernels, pools, strict=True))
    own, limits = _own(layer), _limits(profile)
    private, weight_bits = _private(own), _weight_bits(profile, layer)

    def spread_over(groups: int, columns: int) -> _Need:
        cores = groups * ceil(width / columns)
        return _Need(cores=cores, amounts={}, columns=columns, channel_groups=groups)

    def reached(groups: int, columns: int) -> int:
        return targets + _own_cores(own, spread_over(groups, columns))

    for groups in range(1, channels + 1):
        held = ceil(channels / groups)
        columns = _columns(limits, held * height, width, partial(reached, groups))
        axons = sum(
            ceil(_pixels_seen(each, columns) / prod(pool))
            for each, pool in zip(kernels, pools, strict=True)
        )
        amounts: dict[Resource, int] = {
            "neurons": columns * height * held,
            "synaptic memory": taps * ceil(held * weight_bits / _WORD)
            + private * columns * height * held,
            "input axons": axons + private * columns * height * held,
            "output axons": columns * height * held * reached(groups, columns),
            "neuron groups": 1,
        }
        need = replace(spread_over(groups, columns), amounts=amounts)
        if need.fits(limits):
            break
    return need


def _columns(
    limits: dict[Resource, int], column_neurons: int, width: int, reached: Callable[[int], int]
) -> int:
    """Return the largest power of two of columns that a core holds, at least one.

    Parameters
    ----------
    reached
        To how many cores a neuron sends, by the columns of a core.
    """

    def fit(columns: int) -> bool:
        held = columns * column_neurons
        axons = limits.get("output axons", inf)
        return held <= limits["neurons"] and held * reached(columns) <= axons

    columns = 1
    while 2 * columns <= width and fit(2 * columns):
        columns *= 2
    return columns


def _pixels_seen(synapses: ConvSynapses, columns: int) -> int:
    """Return how many input positions reach a core; all channels of one share an axon."""
    (_, height, width), of = synapses.map_shape, synapses.geometry
    return height * min(width, (columns - 1) * of.stride[1] + of.span[1])


def _input_need(profile: Profile, shape: Shape, targets: int) -> _Need:
    """Return the need of a block of input neurons, which has no synapses."""
    if len(shape) != 3:
        return _even_split(profile, prod(shape), (0, targets), bits=0)
    channels, height, width = shape
    columns = _columns(_limits(profile), channels * height, width, lambda _: targets)
    held = columns * channels * height
    amounts: dict[Resource, int] = {"neurons": held, "output axons": held * targets}
    return _Need(cores=ceil(width / columns), amounts=amounts, columns=columns)


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
        shares=need.shares(limits),
        columns=need.columns,
        channel_groups=need.channel_groups,
        relay_of=need.relay_of,
    )


def _shared(
    profile: Profile, network: ChipNetwork, needs: dict[str, _Need], sizes: dict[str, int]
) -> list[LayerMapping]:
    """Return the mapping of layers that all lie on the same single core.

    Raises
    ------
    CapacityError
        When together they need more of a resource than the core has.
    """
    limits = _limits(profile)
    for resource, limit in limits.items():
        if resource == "neuron groups":
            continue
        amount = sum(sizes.values()) - sizes[INPUT] if resource == "neurons" else sum(
            need.amounts.get(resource, 0) for need in needs.values()
        )  # fmt: skip
        if amount > limit:
            raise CapacityError(
                f"network {network.name}: its layers need {resource} for {amount} together, the "
                f"one core of {profile.chip.title} has {limit}; {_REMEDY[resource]}"
            )
    return [_mapping(profile, name, sizes[name], need) for name, need in needs.items()]


def _check_chip(profile: Profile, network: ChipNetwork, mappings: list[LayerMapping]) -> None:
    cores = sum(mapping.cores for mapping in mappings)
    limit = profile.chips * cores_per_chip(profile)
    if cores > limit:
        largest = max(mappings, key=lambda mapping: mapping.cores)
        raise CapacityError(
            f"network {network.name}: needs {cores} cores, {profile.chip.title} has {limit}; "
            f"layer {largest.layer} alone takes {largest.cores} (bound by {largest.bound_by}): "
            "make it smaller or take a profile with more chips"
        )


def cores_per_chip(profile: Profile) -> int:
    """Return the cores of one chip, at least one."""
    figure = profile.figures.cores_per_chip
    return int(figure.value) if figure else 1
