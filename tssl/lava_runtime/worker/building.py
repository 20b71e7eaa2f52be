"""Building a network: by lava-dl from its file, or from Lava's own processes."""

import dataclasses

import numpy as np

from .job import Job
from .neurons import kind_of
from .ports import from_lava
from .shims import Foreign


@dataclasses.dataclass(frozen=True)
class Way:
    """Synapses from another layer, and when that one begins a sample: its depth."""

    synapse: Foreign
    since: int


@dataclasses.dataclass(frozen=True)
class Layer:
    """The processes of a layer, whoever made them.

    Parameters
    ----------
    out
        Port from which its spikes come.
    depth
        Steps that the input takes to it; 0 for input neurons.
    arriving, own
        Synapses from other layers, and from itself.
    """

    neuron: Foreign
    out: Foreign
    depth: int
    arriving: list[Way]
    own: list[Foreign]

    @property
    def message_bits(self) -> int:
        """Of what it sends; 0 for spikes."""
        return 16 if kind_of(self.neuron).sends is np.int32 else 0


@dataclasses.dataclass(frozen=True)
class Network:
    """A network of Lava's processes.

    Parameters
    ----------
    process
        The one through which Lava runs them all.
    input_shape
        Of a step of input: lava-dl's (W, H, C), or flat.
    entrances
        Ports that read the input, by how many steps late they do so: as many as deeper layers
        need to reach the same neurons. None where input neurons make the input.
    """

    process: Foreign
    input_shape: tuple[int, ...]
    entrances: dict[int, list[Foreign]]
    layers: list[Layer]

    @property
    def output(self) -> Layer:
        """The last layer."""
        return self.layers[-1]

    @property
    def deepest(self) -> int:
        """The largest depth of a layer."""
        return max(layer.depth for layer in self.layers)


def build_chain(job: Job) -> Network:
    """Let lava-dl build the network from its file."""
    from lava.lib.dl.netx import hdf5, utils

    kinds = utils.NetDict(job.net)["layer"]
    count = len(kinds)
    if kinds[count - 1]["type"] == "average":  # a read-out that lava-dl writes and cannot load
        count -= 1
    kinds.f.file.close()
    network = hdf5.Network(
        net_config=job.net,
        num_layers=count,
        input_message_bits=job.input_message_bits,
        input_shape=None if job.input_shape is None else tuple(job.input_shape),
        reset_interval=None if job.one_by_one else job.period,
        reset_offset=0 if job.block else 1,
    )
    network.net_config.f.close()  # or the file stays locked
    layers = []
    for depth, block in enumerate(network.layers, start=0 if job.block else 1):
        arriving = [Way(block.synapse, depth - 1)] if hasattr(block, "synapse") else []
        own = [block.synapse_rec] if hasattr(block, "synapse_rec") else []
        layers.append(Layer(block.neuron, block.out, depth, arriving, own))
    entrance = network.in_layer.neuron.a_in if job.block else network.inp
    return Network(network, entrance.shape, {} if job.by_bias else {0: [entrance]}, layers)


def build_graph(job: Job) -> Network:
    """Build a network from Lava's own processes: one for each layer and each connection.

    Neurons are flat, in (C, H, W) order. What several connections send to one, Lava adds up.
    """
    import h5py

    layers: dict[str, Layer] = {}
    entrances: dict[int, list[Foreign]] = {}
    with h5py.File(job.net, "r") as file:
        first, *entries = children(file["layer"])
        size = int(np.prod(first["shape"][()]))
        if job.block:
            neuron = neurons(job, first, 0)
            layers["input"] = Layer(neuron, neuron.s_out, 0, [], [])
            if not job.by_bias:
                entrances[0] = [neuron.a_in]
        for entry in entries:
            connections = [(text(each, "source"), each) for each in children(entry["connection"])]
            name = text(entry, "name")
            depth = depth_of([source for source, _ in connections], layers)
            neuron = neurons(job, entry, depth)
            layers[name] = layer = Layer(neuron, neuron.s_out, depth, [], [])
            for source, connection in connections:
                is_data = source == "input" and not job.block
                bits = job.input_message_bits if is_data else layers[source].message_bits
                late = 0 if is_data or source == name else depth - 1 - layers[source].depth
                synapse = synapses(connection, bits, late)
                join(synapse.a_out, neuron.a_in)
                if source == name:
                    layer.own.append(synapse)
                else:
                    layer.arriving.append(Way(synapse, depth - 1 - late))
                if is_data:
                    entrances.setdefault(depth - 1, []).append(synapse.s_in)
                else:
                    join(layers[source].out, synapse.s_in)
    built = list(layers.values())
    return Network(built[0].neuron, (size,), entrances, built)


def children(group: Foreign) -> list[Foreign]:
    """Return the numbered entries of a group of the file."""
    return [group[str(number)] for number in range(len(group))]


def text(entry: Foreign, attribute: str) -> str:
    """Return a text that goes with an entry of the file."""
    return str(entry.attrs[attribute].decode())


def depth_of(sources: list[str], layers: dict[str, Layer]) -> int:
    """Return the depth of a layer, one more than its deepest source's."""
    depths = {layers[each].depth for each in sources if each in layers}
    return max(depths, default=0) + 1  # input from outside is sent when it is needed


def neurons(job: Job, entry: Foreign, depth: int) -> Foreign:
    """Return the neurons of an entry, reset as lava-dl would when a new sample arrives."""
    from lava.proc.lif.process import LIF, LIFReset

    of = entry["neuron"]
    if of["type"][()] == b"SDNN":
        return value_neurons(entry, depth)
    fields = {
        "shape": (int(np.prod(entry["shape"][()])),),
        "vth": value(of, "vThMant"),
        "du": value(of, "iDecay") - 1,
        "dv": value(of, "vDecay"),
        "bias_exp": 6,
    }
    if "bias" in entry:
        fields["bias_mant"] = value(entry, "bias").astype(np.int32)
    if job.one_by_one:
        return LIF(**fields)
    return LIFReset(reset_interval=job.period, reset_offset=depth + 1, **fields)


def value(group: Foreign, key: str) -> Foreign:
    """Return a number, or those of neurons in (C, H, W) order."""
    found = group[key][()]
    return from_lava(found) if np.ndim(found) else found


def value_neurons(entry: Foreign, depth: int) -> Foreign:
    """Return neurons that send values, made as lava-dl makes them."""
    from lava.proc.sdn.process import Delta, Sigma, SigmaDelta

    of, shape = entry["neuron"], (int(np.prod(entry["shape"][()])),)
    if "sigma_output" in of and depth:
        return Sigma(shape=shape)
    fields = {"shape": shape, "vth": value(of, "vThMant"), "spike_exp": 6, "state_exp": 6}
    if not depth:
        return Delta(**fields)
    bias = value(entry, "bias").astype(np.int32) if "bias" in entry else 0
    return SigmaDelta(bias=bias, **fields)


def synapses(entry: Foreign, message_bits: int, late: int = 0) -> Foreign:
    """Return the synapses of a connection, made as lava-dl makes them.

    Parameters
    ----------
    late
        Steps by which what they carry must come later, as another source is that much deeper.
    """
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import DelayDense, Dense

    weight = entry["weight"][()].astype(int)
    if entry["type"][()] == b"conv":
        if late:
            raise ValueError(f"{entry.name}: no convolution brings its messages later")
        return Conv(
            weight=weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1),
            input_shape=tuple(entry["input_shape"][()][::-1].tolist()),
            groups=int(entry["groups"][()]),
            num_message_bits=message_bits,
            **{key: entry[key][()][::-1] for key in ("stride", "padding", "dilation")},
        )
    stored, bits, exponent, _ = optimize_weight_bits(weight)
    fields = {
        "weights": stored,
        "weight_exp": exponent,
        "num_weight_bits": bits,
        "num_message_bits": message_bits,
    }
    if "delay" in entry or late:
        delays = entry["delay"][()].astype(int) if "delay" in entry else np.zeros_like(weight)
        return DelayDense(delays=delays + late, max_delay=62, **fields)
    return Dense(**fields)


def join(out: Foreign, port: Foreign) -> None:
    """Connect two ports, one of which may be flat, in (C, H, W) order, and one Lava's (W, H, C)."""
    if len(out.shape) < len(port.shape):
        out = out.reshape(port.shape[::-1]).transpose((2, 1, 0))
    elif len(out.shape) > len(port.shape):
        out = out.transpose((2, 1, 0)).flatten()
    out.connect(port)
