r"""Modules whose own spikes reach them one step later, as nodes of NIR in a loop.

.. math:: y_t = f(x_t + R \, y_{t-1})
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from tssl.exchange.nir import NirNode
from tssl.exchange.torch.linear import LAYERS
from tssl.exchange.torch.neurons import lif_cell, recurrent_leaky
from tssl.exchange.torch.place import Floats, Place
from tssl.geometry import Shape

__all__ = ["RECURRENT", "Loop"]


class Loop(NamedTuple):
    """Neurons, and the ways into them.

    Parameters
    ----------
    into
        What leads to the loop.
    within
        The neurons: a node, or the module that holds them.
    back
        Through which their spikes return to where the loop begins; None where they do so unchanged.
    """

    into: tuple[NirNode, ...]
    within: NirNode | Place
    back: NirNode | None


def _recurrent_leaky(place: Place, shape: Shape) -> Loop:
    """Return ``snntorch.RLeaky``, of which `recurrent` is a layer or the factors ``V``."""
    inner = place.child("recurrent")
    make = LAYERS.get(inner.kind) if inner.library == "torch" else None
    if make is not None:
        return Loop((), recurrent_leaky(place), make(inner))
    if inner.kind != "RecurrentOneToOne":
        raise inner.refusal(f"a {inner.kind} of {inner.library} is not known in an RLeaky")
    return Loop((), recurrent_leaky(place), _one_to_one(inner, shape))


def _one_to_one(place: Place, shape: Shape) -> NirNode:
    """Return the factors of each neuron's own spikes; of maps with one factor, a convolution."""
    factors = place.array("V")
    if factors.size > 1 or len(shape) < 3:
        return NirNode(name=place.name, kind="Scale", numbers={"scale": factors})
    maps, one = shape[0], np.ones(2)
    numbers = {
        "weight": np.full((maps, 1, 1, 1), factors.item()),
        "bias": np.zeros(maps),
        "stride": one,
        "padding": 0 * one,
        "dilation": one,
        "groups": np.array(maps),
    }
    return NirNode(name=place.name, kind="Conv2d", numbers=numbers)


def _lif_recurrent_cell(place: Place, shape: Shape) -> Loop:
    """Return ``norse``'s ``LIFRecurrentCell``, whose own spikes enter the synapse as others do."""
    into, back = (
        NirNode(
            name=f"{place.name}_{end}",
            kind="Linear",
            numbers={"weight": place.array(f"{end}_weights")},
        )
        for end in ("input", "recurrent")
    )
    return Loop((into,), lif_cell(place), back)


def _linear_container(place: Place, shape: Shape) -> Loop:
    """Return ``spikingjelly``'s, whose one layer takes input and own spikes side by side."""
    inner = place.child("rc")
    weight, size = inner.array("weight"), int(place.value("sub_module_out_features"))
    numbers = {"weight": weight[:, :-size]}
    if inner.value("bias") is not None:
        numbers["bias"] = inner.array("bias")
    kind = "Affine" if "bias" in numbers else "Linear"
    into = NirNode(name=f"{place.name}_input", kind=kind, numbers=numbers)
    own = {"weight": weight[:, -size:]}
    back = NirNode(name=f"{place.name}_recurrent", kind="Linear", numbers=own)
    return Loop((into,), place.child("sub_module"), back)


def _element_wise_container(place: Place, shape: Shape) -> Loop:
    """Return ``spikingjelly``'s, whose function of input and own spikes must be their sum."""
    function = place.value("element_wise_function")
    if not _adds(function):
        raise place.refusal(
            "its element_wise_function is no sum, and synapses of the chip add up; use torch.add"
        )
    return Loop((), place.child("sub_module"), None)


def _adds(function: Callable[..., Floats]) -> bool:
    """Return whether a function of two arguments adds them; PyTorch's own takes no arrays."""
    if getattr(function, "__qualname__", "") == "_VariableFunctionsClass.add":
        return True
    own, arriving = np.array([0.0, 1.0, 0.0, 1.0]), np.array([-0.625, -0.625, 1.375, 1.375])
    try:
        return np.array_equal(function(own, arriving), own + arriving)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return False


RECURRENT: Mapping[tuple[str, str], Callable[[Place, Shape], Loop]] = {
    ("snntorch", "RLeaky"): _recurrent_leaky,
    ("norse", "LIFRecurrentCell"): _lif_recurrent_cell,
    ("spikingjelly", "LinearRecurrentContainer"): _linear_container,
    ("spikingjelly", "ElementWiseRecurrentContainer"): _element_wise_container,
}
"""By library and class, for what reaches them of a shape."""
