"""What the nodes without a state do to one step of values, in double precision.

Values are ``(batch, *shape)``, maps ``(batch, C, H, W)``. NIR has no batch dimension: the axes that
a ``Flatten`` names are those behind it.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tssl.chip import MOST_NEURONS
from tssl.errors import NirFileError
from tssl.exchange.nir.description import INPUT, OUTPUT, Nir, NirNode
from tssl.geometry import Pair, Shape
from tssl.wording import several

__all__ = ["Floats", "applied", "geometry", "padding_of", "shapes"]

Floats = NDArray[np.float64]


def shapes(nir: Nir) -> dict[str, Shape]:
    """Return the shape of what each node sends at a step, by name.

    They are computed from the input's and from weights; what the file says of types is not
    trusted, because several writers are wrong.

    Raises
    ------
    NirFileError
        When something does not fit what reaches it.
    """
    with np.errstate(all="ignore"):  # what is not finite is noticed where it becomes weights
        return _shapes(nir)


def _shapes(nir: Nir) -> dict[str, Shape]:
    found = {nir.input.name: _input_shape(nir.origin, nir.input)}
    waiting = [node for node in nir.order if node.kind != INPUT]
    while waiting:  # every node is reached from the input, in a loop from one side first
        ready = next(node for node in waiting if any(one in found for one in _heard(nir, node)))
        waiting.remove(ready)
        arriving = {one: found[one] for one in _heard(nir, ready) if one in found}
        found[ready.name] = _sent(nir.origin, ready, _common(nir.origin, ready, arriving))
    for node in nir:
        if node.kind != INPUT:
            _common(nir.origin, node, {source: found[source] for source in _heard(nir, node)})
    said = nir.output.numbers["shape"].reshape(-1)
    if math.prod(found[nir.output.name]) != math.prod(said.tolist()):
        raise NirFileError(
            f"{nir.origin}: {nir.output.title}: has shape {tuple(said.tolist())}, but what reaches "
            f"it has {found[nir.output.name]}"
        )
    return found


def _heard(nir: Nir, node: NirNode) -> list[str]:
    return nir.sources[node.name] + nir.late_sources[node.name]


def _sent(origin: str, node: NirNode, arriving: Shape) -> Shape:
    try:
        shape = applied(node, np.zeros((1, *arriving))).shape[1:]
    except (ValueError, IndexError) as error:
        raise NirFileError(
            f"{origin}: {node.title}: does not fit what reaches it, of shape {arriving}: {error}"
        ) from error
    if not 0 < math.prod(shape) <= MOST_NEURONS:
        raise NirFileError(f"{origin}: {node.title}: sends {math.prod(shape)} values")
    return shape


def _input_shape(origin: str, node: NirNode) -> Shape:
    sizes = node.numbers["shape"].reshape(-1)
    if (sizes != np.rint(sizes)).any() or not 0 < math.prod(sizes.tolist()) <= MOST_NEURONS:
        raise NirFileError(f"{origin}: {node.title}: shape {sizes.tolist()} is none")
    return tuple(int(size) for size in sizes)


def _common(origin: str, node: NirNode, arriving: dict[str, Shape]) -> Shape:
    """Return the one shape of all that arrives, and adds up."""
    first, *others = arriving.items()
    for name, shape in others:
        if shape != first[1]:
            raise NirFileError(
                f"{origin}: {node.title}: adds up {first[0]} of shape {first[1]} and {name} of "
                f"shape {shape}"
            )
    return first[1]


def applied(node: NirNode, values: Floats) -> Floats:
    """Return what a node makes of a step; neurons and their like give their input's shape.

    Raises
    ------
    ValueError
        When the values are of another shape than its weights take.
    """
    apply = _APPLIED.get(node.kind, _of_neurons)
    return apply(node, values)


def _identity(node: NirNode, values: Floats) -> Floats:
    return values


def _of_neurons(node: NirNode, values: Floats) -> Floats:
    """Check that there is one number for each neuron, or one for all."""
    for key, numbers in node.numbers.items():
        if numbers.size != 1 and numbers.shape != values.shape[1:]:
            raise ValueError(f"{key} has shape {numbers.shape}")
    return values


def _linear(node: NirNode, values: Floats) -> Floats:
    weight = node["weight"]
    if weight.ndim != 2 or weight.shape[1] != values.shape[-1]:
        hint = " (a Flatten counts its axes without the batch)" if values.ndim > 2 else ""
        raise ValueError(f"weight has shape {weight.shape}{hint}")
    _check_size(values[0].size // weight.shape[1] * len(weight))
    product = values @ weight.T
    return product + _vector(node, "bias", len(weight)) if "bias" in node.numbers else product


def _check_size(values: int) -> None:
    if values > MOST_NEURONS:
        raise ValueError(f"it sends {values} values; at most {MOST_NEURONS} are expected")


def _scale(node: NirNode, values: Floats) -> Floats:
    scale = node["scale"]
    if scale.size != 1 and scale.shape != values.shape[1:]:
        raise ValueError(f"scale has shape {scale.shape}")
    return values * (scale.reshape(-1)[0] if scale.size == 1 else scale)


def _vector(node: NirNode, key: str, size: int) -> Floats:
    values = node[key].reshape(-1)
    if values.size not in (1, size):
        raise ValueError(f"{key} has shape {node.numbers[key].shape}")
    return np.broadcast_to(values, (size,))


def _flatten(node: NirNode, values: Floats) -> Floats:
    axes = values.ndim - 1
    start, end = (_whole(node, key, -axes, axes - 1) % axes for key in ("start_dim", "end_dim"))
    if start > end:
        raise ValueError(f"start_dim {start} is behind end_dim {end}")
    shape = values.shape[1:]
    joined = math.prod(shape[start : end + 1])
    return values.reshape(len(values), *shape[:start], joined, *shape[end + 1 :])


def _whole(node: NirNode, key: str, least: int, most: int) -> int:
    (value,) = node[key].reshape(-1).tolist()
    if value != int(value) or not least <= value <= most:
        raise ValueError(f"{key} = {value:g}")
    return int(value)


def geometry(node: NirNode, key: str, least: int) -> Pair:
    """Return a pair (height, width) of whole numbers; a single one stands for both.

    Raises
    ------
    ValueError
        When it is none.
    """
    if key not in node.numbers:
        raise ValueError(f"{key} = {node.words.get(key)!r}")
    values = node[key].reshape(-1)
    if values.size not in (1, 2) or (values != np.rint(values)).any() or values.min() < least:
        raise ValueError(f"{key} = {values.tolist()}")
    if values.max() > MOST_NEURONS:
        raise ValueError(f"{key} = {values.tolist()}")
    rows, columns = np.broadcast_to(values, (2,))
    return int(rows), int(columns)


def padding_of(node: NirNode, spans: Pair) -> tuple[Pair, Pair]:
    """Return the zeros before and behind, of rows and of columns."""
    word = node.words.get("padding")
    if word == "same":
        if geometry(node, "stride", 1) != (1, 1):
            raise ValueError("padding = 'same' with a stride")
        rows, columns = ((span - 1) // 2 for span in spans)
        return (rows, spans[0] - 1 - rows), (columns, spans[1] - 1 - columns)
    rows, columns = (0, 0) if word == "valid" else geometry(node, "padding", 0)
    return (rows, rows), (columns, columns)


def _windows(
    values: Floats, kernel: Pair, stride: Pair, padding: tuple[Pair, Pair], dilation: Pair = (1, 1)
) -> Floats:
    """Return what each position sees, ``(batch, C, rows, columns, kh, kw)``."""
    if values.ndim != 4:
        raise ValueError("maps (C, H, W) are expected")
    span = tuple(gap * (size - 1) + 1 for gap, size in zip(dilation, kernel, strict=True))
    sizes = (size + sum(pads) for size, pads in zip(values.shape[2:], padding, strict=True))
    if math.prod(sizes) > MOST_NEURONS:
        raise ValueError(f"padding {padding} makes maps of more than {MOST_NEURONS} pixels")
    padded = np.pad(values, ((0, 0), (0, 0), *padding))
    seen = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(2, 3))
    return seen[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def _conv2d(node: NirNode, values: Floats, weight: Floats | None = None) -> Floats:
    """Cross-correlate; ``weight (O, I / groups, kh, kw)``."""
    weight = node["weight"] if weight is None else weight
    if weight.ndim != 4:
        raise ValueError(f"weight has shape {weight.shape}")
    groups = _whole(node, "groups", 1, len(weight))
    if len(weight) % groups or values.shape[1] != weight.shape[1] * groups:
        raise ValueError(f"weight has shape {weight.shape} in {several(groups, 'group')}")
    kernel, dilation = (weight.shape[2], weight.shape[3]), geometry(node, "dilation", 1)
    spans = tuple(gap * (size - 1) + 1 for gap, size in zip(dilation, kernel, strict=True))
    padding = padding_of(node, (spans[0], spans[1]))
    seen = _windows(values, kernel, geometry(node, "stride", 1), padding, dilation)
    _check_size(len(weight) * seen.shape[2] * seen.shape[3])
    parts = [
        np.einsum("bcyxij,ocij->boyx", inputs, kernels, optimize=True)
        for inputs, kernels in zip(
            np.split(seen, groups, axis=1), np.split(weight, groups), strict=True
        )
    ]
    return np.concatenate(parts, axis=1) + _vector(node, "bias", len(weight))[:, None, None]


def _conv1d(node: NirNode, values: Floats) -> Floats:
    """Correlate along one axis: maps of height one."""
    weight = node["weight"]
    if values.ndim != 3 or weight.ndim != 3:
        raise ValueError(f"weight has shape {weight.shape}")
    numbers = dict(node.numbers)
    for key, rows in (("stride", 1), ("padding", 0), ("dilation", 1)):
        if key in numbers:
            numbers[key] = np.array([rows, _single(node, key)])
    pair = NirNode(name=node.name, kind=node.kind, numbers=numbers, words=node.words)
    return _conv2d(pair, values[:, :, None], weight[:, :, None])[:, :, 0]


def _single(node: NirNode, key: str) -> float:
    if node.numbers[key].size != 1:
        raise ValueError(f"{key} = {node.numbers[key].tolist()}")
    return float(node.numbers[key].reshape(-1)[0])


def _sum_pool(node: NirNode, values: Floats) -> Floats:
    kernel, stride = geometry(node, "kernel_size", 1), geometry(node, "stride", 1)
    return _windows(values, kernel, stride, padding_of(node, kernel)).sum(axis=(4, 5))


def _avg_pool(node: NirNode, values: Floats) -> Floats:
    """Average; the zeros of the padding count, as in PyTorch."""
    return _sum_pool(node, values) / math.prod(geometry(node, "kernel_size", 1))


_APPLIED: dict[str, Callable[[NirNode, Floats], Floats]] = {
    INPUT: _identity,
    OUTPUT: _identity,
    "Delay": _of_neurons,
    "Affine": _linear,
    "Linear": _linear,
    "Scale": _scale,
    "Flatten": _flatten,
    "Conv1d": _conv1d,
    "Conv2d": _conv2d,
    "SumPool2d": _sum_pool,
    "AvgPool2d": _avg_pool,
}
