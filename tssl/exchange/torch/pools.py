"""Pools of PyTorch, as nodes of NIR."""

import numpy as np

from tssl.exchange.nir import NirNode
from tssl.exchange.torch.place import Floats, Place
from tssl.geometry import Shape

__all__ = ["ADAPTIVE", "MAXIMUM", "adaptive", "average", "maximum"]

ADAPTIVE, MAXIMUM = "AdaptiveAvgPool2d", "MaxPool2d"
_ANY = 0.5
"""Between the number of spikes of a silent window, 0, and the least of any other, 1."""
_WITHIN = "windows must lie inside the maps; leave it out"


def average(place: Place) -> NirNode:
    """Return an ``AvgPool2d``."""
    place.refuse_unless("ceil_mode", _WITHIN, wanted=False)
    place.refuse_unless("divisor_override", "multiply the weights behind it instead", wanted=None)
    numbers = {key: place.array(key) for key in ("kernel_size", "stride", "padding")}
    if numbers["padding"].any():
        place.refuse_unless(
            "count_include_pad", "each window needs one divisor; use True", wanted=True
        )
    return NirNode(name=place.name, kind="AvgPool2d", numbers=numbers)


def adaptive(place: Place, shape: Shape) -> NirNode:
    """Return an ``AdaptiveAvgPool2d`` of one size for all windows, for maps of a shape.

    Raises
    ------
    UnsupportedLayerError
        When its windows would differ in size.
    """
    wanted = place.value("output_size")
    sizes = wanted if isinstance(wanted, tuple | list) else (wanted, wanted)
    if len(shape) != 3:
        raise place.refusal(f"takes maps (C, H, W), and what reaches it has the shape {shape}")
    counts = [side if size is None else size for size, side in zip(sizes, shape[1:], strict=True)]
    if any(count < 1 or side % count for count, side in zip(counts, shape[1:], strict=True)):
        raise place.refusal(
            f"output_size = {wanted} does not divide maps of {shape[1]} x {shape[2]}, so that its "
            "windows differ in size; use AvgPool2d"
        )
    kernel = np.array(shape[1:]) / counts
    numbers = {"kernel_size": kernel, "stride": kernel, "padding": np.zeros(2)}
    return NirNode(name=place.name, kind="AvgPool2d", numbers=numbers)


def maximum(place: Place, before: NirNode | None, shape: Shape) -> tuple[NirNode, NirNode]:
    """Return a ``MaxPool2d`` of spikes: how many neurons of a window fire, and whether any does.

    The zeros around maps change no maximum of spikes.

    Parameters
    ----------
    before
        What it stands behind; None for the input.
    shape
        Of what reaches it.

    Raises
    ------
    UnsupportedLayerError
        When these are no spikes, or its windows reach beyond the maps.
    """
    if before is None or not before.of.fires:
        raise place.refusal(
            "stands behind no neurons, and the chip has no maximum of currents; put it directly "
            "behind neurons, where it is a maximum of spikes, or use AvgPool2d"
        )
    place.refuse_unless("ceil_mode", _WITHIN, wanted=False)
    place.refuse_unless("return_indices", "only maxima can be sent; use False", wanted=False)
    rows, columns = _windows(place, shape)
    numbers = {
        "weight": np.ones((shape[0], 1, rows, columns)),
        "bias": np.zeros(shape[0]),
        "groups": np.array(shape[0]),
        **{key: place.array(key) for key in ("stride", "padding", "dilation")},
    }
    return (
        NirNode(name=f"{place.name}_count", kind="Conv2d", numbers=numbers),
        NirNode(name=place.name, kind="Threshold", numbers={"threshold": np.array(_ANY)}),
    )


def _windows(place: Place, shape: Shape) -> tuple[int, int]:
    """Return height and width of windows that fit into maps."""
    kernel: Floats = np.broadcast_to(place.array("kernel_size"), (2,))
    if len(shape) != 3 or (kernel > np.add(shape[1:], 2 * place.array("padding"))).any():
        raise place.refusal(
            f"has windows of {kernel[0]:g} x {kernel[1]:g}, and what reaches it has the shape "
            f"{shape}; maps (C, H, W) that hold a window are needed"
        )
    return int(kernel[0]), int(kernel[1])
