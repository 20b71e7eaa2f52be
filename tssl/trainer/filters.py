"""Which synapse filter what a layer sends has passed.

The filter belongs to the synapses of the layer that listens, as on the chip, and is the same for
all inputs of a neuron. So it can be applied once, where spikes leave: each layer sends
post-synaptic potentials. Where listeners have different synapses, it sends the spikes themselves,
potentials of the time constant 1, and each listener filters them.
"""

from collections.abc import Iterator, Mapping

from tssl.chip import INPUT
from tssl.errors import ConfigError
from tssl.graph import Graph

__all__ = ["filters_of"]

_NONE = 1.0


def filters_of(graph: Graph) -> Mapping[str, float]:
    """Return the time constant with which what each layer sends, and the input, is filtered.

    What the last layer gives to the loss is filtered by its own.

    Raises
    ------
    ConfigError
        When recurrent neurons would have to send two kinds of potentials.
    """
    found: dict[str, float] = {}
    for name in (INPUT, *(node.name for node in graph)):
        wanted = set(_wanted(graph, name))
        found[name] = wanted.pop() if len(wanted) == 1 else _NONE
    for node in graph.spiking:
        if node.neuron is not None and "recurrent" in node.parameters:
            _check_recurrent(node.name, node.neuron.tau_s, found[node.name])
    return found


def _wanted(graph: Graph, name: str) -> Iterator[float]:
    """Yield the time constants of the synapses that a layer's spikes reach, through pools too."""
    for reader in graph.readers[name]:
        if reader.neuron is None:
            yield from _wanted(graph, reader.name)
        else:
            yield reader.neuron.tau_s
    last = graph.output
    if name == last.name and last.neuron is not None:
        yield last.neuron.tau_s


def _check_recurrent(name: str, own: float, sent: float) -> None:
    if sent != own:
        raise ConfigError(
            f"network.layers: {name} is recurrent with tau_s = {own:g}, and layers with another "
            "tau_s listen to it; use one value for all of them"
        )
