"""Layers of PyTorch without a state, as nodes of NIR."""

from collections.abc import Callable, Mapping

import numpy as np

from tssl.exchange.nir import NirNode
from tssl.exchange.torch.place import Place
from tssl.exchange.torch.pools import average

__all__ = ["IGNORED", "LAYERS", "NORMS", "with_norm"]

IGNORED = ("Dropout", "Dropout2d", "Identity")
"""What does nothing once a network is trained."""
NORMS = ("BatchNorm1d", "BatchNorm2d")
_WEIGHTED = ("Linear", "Affine", "Conv2d")


def _linear(place: Place) -> NirNode:
    numbers = {"weight": place.array("weight")}
    if place.value("bias") is None:
        return NirNode(name=place.name, kind="Linear", numbers=numbers)
    return NirNode(name=place.name, kind="Affine", numbers={**numbers, "bias": place.array("bias")})


def _conv2d(place: Place) -> NirNode:
    place.refuse_unless("padding_mode", "the chip pads with nothing; use 'zeros'", wanted="zeros")
    weight = place.array("weight")
    without = place.value("bias") is None
    numbers = {
        "weight": weight,
        "bias": np.zeros(len(weight)) if without else place.array("bias"),
        **{key: place.array(key) for key in ("stride", "dilation", "groups")},
    }
    padding = place.value("padding")
    if isinstance(padding, str):
        return NirNode(name=place.name, kind="Conv2d", numbers=numbers, words={"padding": padding})
    numbers["padding"] = place.array("padding")
    return NirNode(name=place.name, kind="Conv2d", numbers=numbers)


def _flatten(place: Place) -> NirNode:
    """Return a ``Flatten``, whose axes NIR counts without the batch."""
    start, end = (int(place.value(key)) for key in ("start_dim", "end_dim"))
    if start == 0 or end == 0:
        raise place.refusal("start_dim = 0 would join samples; use 1")
    axes = {
        "start_dim": np.array(start - (start > 0)),
        "end_dim": np.array(end - (end > 0)),
    }
    return NirNode(name=place.name, kind="Flatten", numbers=axes)


def with_norm(place: Place, before: NirNode | None) -> NirNode:
    r"""Return what leads to a batch norm with its running averages taken in.

    .. math:: \gamma \frac{W x + b - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta = W' x + b'

    Raises
    ------
    UnsupportedLayerError
        When it does not stand behind weights, or has no averages.
    """
    if before is None or before.kind not in _WEIGHTED:
        raise place.refusal("stands behind no weights; put it directly behind a Linear or Conv2d")
    if place.value("running_mean") is None:
        raise place.refusal("has no running averages; train with track_running_stats=True")
    mean, variance = place.array("running_mean"), place.array("running_var")
    weight = before["weight"]
    if len(weight) != len(mean):
        raise place.refusal(f"has {len(mean)} channels, and what leads to it {len(weight)}")
    factor = 1 / np.sqrt(variance + place.array("eps"))
    shift = np.zeros(len(mean))
    if place.value("weight") is not None:
        factor, shift = factor * place.array("weight"), place.array("bias")
    bias = before["bias"] if "bias" in before.numbers else np.zeros(len(mean))
    numbers = {
        **before.numbers,
        "weight": weight * factor.reshape(-1, *[1] * (weight.ndim - 1)),
        "bias": (bias - mean) * factor + shift,
    }
    kind = "Conv2d" if before.kind == "Conv2d" else "Affine"
    return NirNode(name=before.name, kind=kind, numbers=numbers, words=before.words)


LAYERS: Mapping[str, Callable[[Place], NirNode]] = {
    "Linear": _linear,
    "Conv2d": _conv2d,
    "AvgPool2d": average,
    "Flatten": _flatten,
}
"""By the class, of PyTorch, or of SpikingJelly under the same name."""
