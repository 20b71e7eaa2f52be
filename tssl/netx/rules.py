"""Names and limits of netx files, and what Lava would do to networks that break them."""

import hashlib

from tssl.chip import ConvLayer, IntArray, storage_problem
from tssl.errors import UnsupportedLayerError

FORMAT_VERSION = 1
ATTRIBUTE = "tssl"
SEAL = "tssl_sha256"
NAME = "name"
NEURON_TYPES = ("CUBA", "LOIHI")
UNREADABLE = ("pool", "unpool", "convT", "average", "concat", "dense_comp")
_LARGEST_GEOMETRY = 127  # Lava keeps kernel, stride, padding, dilation and groups in int8
_BIAS_LIMIT = 1 << 15  # and the bias mantissa in int16
LONGEST_DELAY = 62  # lava-dl clamps longer ones
NEURON_LIMIT = 1 << 25  # times 2**6, they must fit Lava's int32


def seal(document: str, digest: str) -> str:
    """Return what shows whether our document or the network with this digest was altered."""
    return hashlib.sha256(f"{document}\n{digest}".encode()).hexdigest()


def check_bias(what: str, bias: IntArray) -> None:
    """Refuse biases that Lava would wrap."""
    if not -_BIAS_LIMIT <= bias.min() <= bias.max() < _BIAS_LIMIT:
        raise UnsupportedLayerError(
            f"{what} spans {bias.min()}..{bias.max()}; Lava keeps biases in 16 bits"
        )


def check_storage(name: str, weight: IntArray) -> None:
    """Refuse a dense matrix that Lava would load with other weights."""
    problem = storage_problem(weight)
    if problem is not None:
        raise UnsupportedLayerError(f"layer {name}: the weight matrix {problem}")


def check_recurrent_storage(name: str, weight: IntArray, own: IntArray) -> None:
    """Accept only what survives for certain: both halves with both signs, within range."""
    for half in (weight, own):
        check_storage(name, half)
        if not half.min() < 0 < half.max():
            raise UnsupportedLayerError(
                f"layer {name}: input and recurrent weights of dense_rec must both have "
                "positive and negative entries, or Lava may alter them"
            )


def check_geometry(layer: ConvLayer) -> None:
    """Refuse a convolution whose geometry Lava cannot hold."""
    numbers = [*layer.weight.shape[2:], *layer.stride, *layer.padding, *layer.dilation]
    if max(*numbers, layer.groups) > _LARGEST_GEOMETRY:
        raise UnsupportedLayerError(
            f"layer {layer.name}: kernel, stride, padding, dilation or groups above "
            f"{_LARGEST_GEOMETRY}, which Lava cannot hold"
        )
