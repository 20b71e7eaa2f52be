"""From a module to the NIR graph that steps as it does."""

from dataclasses import dataclass

from tssl.exchange.nir import Nir, firing_at, sums_up
from tssl.exchange.torch.chain import Chain
from tssl.exchange.torch.place import Module, Place
from tssl.exchange.torch.sequences import in_sequence
from tssl.geometry import Shape

__all__ = ["Read", "read"]

_AT_THRESHOLD = (
    "SpikingJelly fires where a potential equals the threshold, the chip only above it; in "
    "floating point the two are hardly ever equal where neurons leak"
)
_READ = "its potential after the last step is what is read"


@dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """A network of modules as a graph.

    Parameters
    ----------
    modules
        Paths of the modules that send spikes, or are read, by node.
    libraries
        Of their neurons.
    neurons_per_class
        Neurons of the last layer that vote for a class.
    notes
        What a user should know, in sentences.
    """

    graph: Nir
    modules: dict[str, str]
    libraries: tuple[str, ...]
    neurons_per_class: int
    notes: tuple[str, ...]


def read(module: Module, shape: Shape) -> Read:
    """Return the graph of modules in a sequence, for samples of this shape at a step.

    Raises
    ------
    UnsupportedLayerError
        When a module is none that is known, or does what no chip does; it is named.
    ConfigError
        When the network is no sequence, or shapes of layers do not fit each other.
    """
    chain = Chain(type(module).__name__, shape)
    for place in in_sequence(Place(chain.origin, "", module)):
        chain.add(place)
    libraries = tuple(sorted({place.library for place in chain.neurons.values()}))
    graph = chain.graph()
    at_threshold = [
        name
        for name, place in chain.neurons.items()
        if place.library == "spikingjelly" and graph.nodes[name].of.fires
    ]
    summing = [name for name in at_threshold if sums_up(graph.nodes[name])]
    notes = (_AT_THRESHOLD,) if summing != at_threshold else ()
    if graph.read is not None:
        notes = (*notes, f"{graph.read.title}: {_READ}")
    return Read(
        graph=firing_at(graph, summing),
        modules=chain.modules,
        libraries=libraries,
        neurons_per_class=chain.neurons_per_class,
        notes=notes,
    )
