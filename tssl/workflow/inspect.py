"""Look inside a ``.net`` file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tssl import netx
from tssl.chip import ChipNetwork, Layer


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection:
    """A network and the notes stored with it."""

    network: ChipNetwork
    notes: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """Return everything but the weights as JSON data."""
        network, encoding = self.network, self.network.encoding
        return {
            "schema_version": 1,
            "name": network.name,
            "digest": network.digest,
            "time_steps": network.time_steps,
            "input_shape": list(network.input.shape),
            "input_neuron": None if network.input.neuron is None else asdict(network.input.neuron),
            "encoding": None if encoding is None else vars(encoding),
            "layers": [layer_facts(layer) for layer in network.layers],
            "notes": self.notes,
        }


def inspect(net: Path) -> Inspection:
    """Read a network and its notes.

    Raises
    ------
    NetFileError, UnsupportedLayerError
        See :func:`tssl.netx.read`.
    """
    return Inspection(network=netx.read(net), notes=netx.read_notes(net))


def layer_facts(layer: Layer) -> dict[str, Any]:
    """Return what one would want to know about a layer."""
    weights = layer.weights
    return {
        "layer": layer.name,
        "kind": netx.kind_of(layer),
        "source": layer.source,
        "input_shape": list(layer.synapses.input_shape),
        "output_shape": list(layer.output_shape),
        "neurons": layer.neurons,
        "weights": int(weights.size),
        "zero_weights": int((weights == 0).sum()),
        "smallest_weight": int(weights.min()),
        "largest_weight": int(weights.max()),
        "weight_bits": layer.weight_bits,
        "synapses": sum(int(each.synapses.fan_out().sum()) for each in layer.connections),
        "threshold": layer.neuron.threshold,
        "current_decay": layer.neuron.current_decay,
        "voltage_decay": layer.neuron.voltage_decay,
        "bias": bool(layer.bias.any()),
        "largest_delay": max(each.synapses.longest_delay for each in layer.connections),
    }
