"""Look inside a ``.net`` file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tssl import netx
from tssl.chip import ChipNetwork, Layer, depths, is_relay, with_relays
from tssl.lava_runtime.plain import SHIMS, loading_lines
from tssl.machine.files import printable
from tssl.tables import Shown, Table
from tssl.wording import several
from tssl.workflow.notes import notes_of
from tssl.workflow.tables import layers_of_network


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Inspection(Shown):
    """A network, the notes stored with it, and the Python that loads it with lava-dl."""

    network: ChipNetwork
    notes: dict[str, Any]
    lines: tuple[str, ...]

    @property
    def relays(self) -> list[Layer]:
        """What Lava and chips add, since paths to a layer differ in length."""
        own = {layer.name for layer in self.network.layers}
        return [layer for layer in with_relays(self.network).layers if layer.name not in own]

    @property
    def headline(self) -> str:
        """The network and its size."""
        layers = several(len(self.network.layers), "layer")
        return f"{self.network.name}: {layers}, {several(self.network.neurons, 'neuron')}"

    def tables(self) -> list[Table]:
        """Return the layers."""
        return [layers_of_network(self.document())]

    def document(self) -> dict[str, Any]:
        """Return everything but the weights as JSON data."""
        network, encoding = self.network, self.network.encoding
        return {
            "schema_version": 1,
            "name": network.name,
            "digest": network.digest,
            "time_steps": network.time_steps,
            "input_shape": list(network.input.shape),
            "input_neuron": None if network.input.neuron is None else network.input.neuron.facts,
            "output_fires": not network.output.neuron.never_fires,
            "read_out": network.read_out.document,
            "encoding": None if encoding is None else encoding.document,
            "depth": max(depths(network).values()),
            "layers": [layer_facts(layer) for layer in network.layers],
            "relays": [layer_facts(layer) for layer in self.relays],
            "lava_dl": {"shims": list(SHIMS), "lines": list(self.lines)},
            "notes": self.notes,
        }


def inspect(net: Path) -> Inspection:
    """Read a network and its notes.

    Raises
    ------
    NetFileError, UnsupportedLayerError
        See :func:`tssl.netx.read`.
    DataError
        When the notes are damaged.
    """
    network = netx.read(net)
    lines = lava_dl_lines(net, network)
    return Inspection(network=network, notes=notes_of(net).document, lines=lines)


def lava_dl_lines(net: Path, network: ChipNetwork, name: str | None = None) -> tuple[str, ...]:
    """Return the lines of Python that load the network of a file with lava-dl; none if it cannot.

    Parameters
    ----------
    name
        Of the file in the lines, when it will be called otherwise.

    Raises
    ------
    DataError
        When the notes of the network are damaged.
    """
    if netx.is_graph(network):
        return ()
    span = notes_of(net).input_range
    return loading_lines(network, name or printable(net), span, netx.loadable_layers(net))


def layer_facts(layer: Layer) -> dict[str, Any]:
    """Return what one would want to know about a layer."""
    weights = layer.weights
    sources = [each.source for each in layer.arriving]
    return {
        "layer": layer.name,
        "kind": netx.kind_of(layer),
        "relay": is_relay(layer),
        "source": ", ".join(sources),
        "sources": sources,
        "input_shape": list(layer.connections[0].synapses.input_shape),
        "output_shape": list(layer.output_shape),
        "neurons": layer.neurons,
        "weights": int(weights.size),
        "zero_weights": int((weights == 0).sum()),
        "smallest_weight": int(weights.min()),
        "largest_weight": int(weights.max()),
        "weight_bits": layer.weight_bits,
        "synapses": sum(int(each.synapses.fan_out().sum()) for each in layer.connections),
        "neuron": layer.neuron.kind,
        "threshold": None,
        "current_decay": None,
        "voltage_decay": None,
        **layer.neuron.facts,
        "bias": bool(layer.bias.any()),
        "largest_delay": layer.longest_delay,
    }
