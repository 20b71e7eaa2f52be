"""Names and limits of netx files, and what Lava would do to networks that break them."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.chip import (
    DELTA_SHIFT,
    INPUT,
    LARGEST_GEOMETRY,
    MAX_DELAY,
    THRESHOLD_SHIFT,
    ChipNetwork,
    ConvSynapses,
    DenseSynapses,
    IntArray,
    Layer,
    Neuron,
    Synapses,
    recurrent_storage_problem,
    storage_problem,
)
from tssl.errors import UnsupportedLayerError
from tssl.geometry import Geometry, Shape

FORMAT_VERSION = 1
ATTRIBUTE = "tssl"
SEAL = "tssl_sha256"
NAME = "name"
UNREADABLE = ("pool", "unpool", "convT", "average", "concat", "dense_comp")
GRAPH = "concat"
"""Type of a layer that lists its connections. lava-dl knows the word and raises on it; a word that
it does not know, it would skip, and load a network without the layer."""
CONNECTION = "connection"
SOURCE = "source"
MAP_SHAPE = "input_shape"
KINDS: dict[tuple[type[Synapses], ...], str] = {
    (ConvSynapses,): "conv",
    (DenseSynapses,): "dense",
    (DenseSynapses, DenseSynapses): "dense_rec",
}
"""What netx calls a layer, by the kinds of its connections."""
NEURON_KEYS = ("iDecay", "vDecay", "vThMant")
_DECAY_TYPES = ("bool", "int16", "uint16", "int32", "uint32", "int64")


def is_graph(network: ChipNetwork) -> bool:
    """Return whether a network is more than a chain of layers that netx has words for."""
    if not network.is_chain or any(kinds_of(layer) not in KINDS for layer in network.layers):
        return True
    sent = [network.input.shape, *(layer.output_shape for layer in network.layers)]
    read = [layer.synapses.input_shape for layer in network.layers]
    return any(len(shape) > 1 and shape != found for shape, found in zip(read, sent, strict=False))


def kinds_of(layer: Layer) -> tuple[type[Synapses], ...]:
    """Return the kinds of synapses of a layer's connections, in their order."""
    return tuple(type(each.synapses) for each in layer.connections)


def seal(document: str, digest: str) -> str:
    """Return what shows whether our document or the network with this digest was altered."""
    return hashlib.sha256(f"{document}\n{digest}".encode()).hexdigest()


def neuron_problem(key: str, value: NDArray[Any] | None, shape: Shape) -> str | None:
    """Say what Lava would do to a number of some neurons, or None when it takes it as it is.

    Parameters
    ----------
    value
        As it is in the file.
    shape
        Of the neurons, (C, H, W) or (neurons,).

    Notes
    -----
    Lava computes in the type of the file, one or a broadcast value for each neuron of (W, H, C).
    """
    if value is None or value.dtype.kind not in "iub":
        return "Lava's run fails on numbers that are not stored as integers"
    lavas = shape[::-1]
    extra = max(0, value.ndim - len(lavas))
    if key != "vThMant" and value.shape[:extra] == (1,) * extra:
        value = value.reshape(value.shape[extra:])
    try:
        fits = not value.ndim or np.broadcast_shapes(value.shape, lavas) == lavas
    except ValueError:
        fits = False
    if not fits:
        return f"Lava takes one number, or an array that fits its neurons {lavas}"
    if key != "vThMant":
        known = ", ".join(_DECAY_TYPES)
        is_known = value.dtype.name in _DECAY_TYPES
        return None if is_known else f"Lava fails on {value.dtype}; store it as {known}"
    limits = np.iinfo(np.int8 if value.dtype.kind == "b" else value.dtype)
    lowest, highest = limits.min >> THRESHOLD_SHIFT, limits.max >> THRESHOLD_SHIFT
    if not lowest <= value.min() <= value.max() <= highest:
        return f"times 64 it does not fit {value.dtype}, in which Lava computes; store it as int64"
    if value.max() > np.iinfo(np.int64).max >> THRESHOLD_SHIFT:
        return "times 64 it does not fit int64, in which tssl computes"
    return None


def delta_problem(value: NDArray[Any] | None) -> str | None:
    """Say what Lava would do to the threshold of sigma-delta neurons, or None when it takes it.

    Parameters
    ----------
    value
        As it is in the file.
    """
    if value is None or value.dtype.kind not in "iubf":
        return "it must be stored as an integer"
    if value.shape not in ((), (1,)):
        return "Lava takes one number for all sigma-delta neurons of a layer"
    if value.dtype.kind == "f":
        is_whole = float(value.item()).is_integer()
        return None if is_whole else "a fraction, of which Lava keeps twelve binary places"
    if value.dtype.itemsize == 1 and value.dtype.kind != "b":
        return f"times {1 << DELTA_SHIFT} it does not fit {value.dtype}, on which Lava fails"
    limits = np.iinfo(np.int64 if value.dtype.kind == "b" else value.dtype)
    if not limits.min >> DELTA_SHIFT <= value.item() <= limits.max >> DELTA_SHIFT:
        return (
            f"times {1 << DELTA_SHIFT} it does not fit {value.dtype}, in which Lava computes; "
            "store it as int64"
        )
    return None


def check_bias(what: str, bias: IntArray, neuron: Neuron) -> None:
    """Refuse biases that Lava would wrap, or fail on."""
    if not neuron.bias_bits:
        raise UnsupportedLayerError(
            f"{what} belongs to {neuron.kind} neurons, which have none: Lava fails on it"
        )
    limit = 1 << (neuron.bias_bits - 1)
    if not -limit <= bias.min() <= bias.max() < limit:
        raise UnsupportedLayerError(
            f"{what} spans {bias.min()}..{bias.max()}; Lava keeps biases in {neuron.bias_bits} bits"
        )


def check_storage(name: str, weight: IntArray) -> None:
    """Refuse a dense matrix that Lava would load with other weights."""
    problem = storage_problem(weight)
    if problem is not None:
        raise UnsupportedLayerError(f"layer {name}: the weight matrix {problem}")


def check_recurrent_storage(name: str, weight: IntArray, own: IntArray) -> None:
    """Refuse a pair of matrices that Lava would load with other weights."""
    problem = recurrent_storage_problem(weight, own)
    if problem is not None:
        raise UnsupportedLayerError(f"layer {name}: {problem}")


def check_messages_heard(network: ChipNetwork) -> None:
    """Refuse recurrent messages that Lava would take as spikes.

    lava-dl gives recurrent synapses the message bits of what arrives from outside.
    """
    graded = set(network.graded)
    if network.input.neuron is None:
        graded.add(INPUT)  # without neurons, whoever runs it says how many bits the input has
    for layer in network.layers:
        if layer.own and layer.neuron.graded and layer.arriving[0].source not in graded:
            raise UnsupportedLayerError(
                f"layer {layer.name}: its own messages come back beside spikes; Lava then takes "
                "every message for 1"
            )


def check_geometry(name: str, geometry: Geometry) -> None:
    """Refuse a convolution whose geometry Lava cannot hold."""
    numbers = [*geometry.kernel, *geometry.stride, *geometry.padding, *geometry.dilation]
    if max(*numbers, geometry.groups) > LARGEST_GEOMETRY:
        raise UnsupportedLayerError(
            f"layer {name}: kernel, stride, padding, dilation or groups above "
            f"{LARGEST_GEOMETRY}, which Lava cannot hold"
        )


def full_delay(delay: IntArray, weight: IntArray, name: str) -> IntArray:
    """Return one delay per synapse, from one, one per output, per input or per synapse."""
    outputs, inputs = weight.shape
    if delay.shape not in ((), (outputs,), (inputs,), weight.shape):
        raise UnsupportedLayerError(
            f"layer {name}: delays of shape {delay.shape} for weights {weight.shape}; Lava takes "
            f"a scalar, ({outputs},) by output, ({inputs},) by input, or one for each synapse"
        )
    if delay.max() > MAX_DELAY:  # lava-dl clamps longer ones, and negative ones beside them
        delay = np.clip(delay, 0, MAX_DELAY)
    if delay.min() < 0:
        raise UnsupportedLayerError(f"layer {name}: a delay of {delay.min()}; Lava fails on it")
    if delay.shape == (outputs,):
        delay = delay[:, None]
    return np.broadcast_to(delay, weight.shape)


def kernels(name: str, weight: IntArray) -> IntArray:
    """Return convolution weights without the fifth axis of length one that slayer writes."""
    if weight.ndim == 5 and weight.shape[4] == 1:
        return weight[..., 0]
    if weight.ndim != 4:
        raise UnsupportedLayerError(
            f"layer {name}: weights of shape {weight.shape}; expected (O, I / groups, kh, kw)"
        )
    return weight
