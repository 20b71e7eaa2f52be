"""The quantized network in PyTorch, layer by layer as it was *trained*, pools included.

A second, independent statement of what an export should compute. From the export it takes
nothing but each layer's scale; weights, thresholds and decays come from the checkpoint, pools
stay pools, and no arithmetic is shared with ``tssl.exporter`` or ``tssl.chip``.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tssl.checkpoint import Checkpoint
from tssl.chip import INPUT, IntArray
from tssl.geometry import Geometry
from tssl.graph import NORM, NORM_EPSILON, Node
from tssl.proof.spreading import spread
from tssl.proof.values import first_messages, values_of
from tssl.results import Recording

__all__ = ["fired", "run_quantized"]

_SHIFT = 64.0
_LIMIT = 8388608.0
_DECAY = 4096.0
_LARGEST_BIAS = 4095
_NEVER = 131072
"""Threshold of neurons that never fire: of 2**23, the least above all potentials."""
_GRID = 2.0
"""Weights of both signs are even on Loihi."""

_CHUNK_BYTES = 256 << 20


class _Layer(NamedTuple):
    """A trained layer's numbers, and what they become on the chip."""

    node: Node
    weight: NDArray[Any]
    recurrent: Tensor | None
    bias: Tensor | float
    """Mantissa for each neuron, or map."""
    threshold: float
    current_decay: float
    voltage_decay: float
    factors: tuple[float, float, int]
    """Gain of the synapse filter, scale, largest weight."""
    fires_once: bool

    def weighted(self, arriving: "_Sent") -> Tensor:
        """Weight what one way brings, in the integers that this way has on the chip."""
        weight, geometry = self.placed(arriving)
        sums = _weighted(arriving.counts, weight, geometry)
        return _in_24_bits(sums) if geometry and geometry.shares_weights else sums

    def placed(self, arriving: "_Sent") -> tuple[Tensor, Geometry | None]:
        """Return the weights of one way, and their windows."""
        weight, geometry = torch.from_numpy(self.weight.astype(np.float64)), self.node.geometry
        if arriving.part is not None:
            weight = weight[:, arriving.part]
        for pool in reversed(arriving.pools):
            weight, geometry = spread(pool, weight, geometry)
        return _on_grid(weight * arriving.gain * arriving.unit, *self.factors), geometry


class _Sent(NamedTuple):
    """What arrives on one way from a layer of neurons, through pools or not."""

    counts: Tensor
    """Spikes, or sums of them, ``(time, batch, ...)``."""
    gain: float
    """Of the pools passed."""
    unit: float
    """What a count of one stands for."""
    pools: tuple[Node, ...] = ()
    """Those passed since the first whose windows overlap. Counts are not summed there: a weight of
    the chip stands for several that are trained, and is rounded once."""
    part: slice | None = None
    """Which weights of a neuron are for it, where these pools lead to neurons without maps."""


def run_quantized(
    checkpoint: Checkpoint,
    scales: Mapping[str, float],
    largest_weights: Mapping[str, int],
    train: IntArray,
    weight_bits: int,
) -> Iterator[tuple[IntArray, Recording]]:
    """Run the trained layers in the chip's integers, in chunks of bounded memory.

    Input neurons are stated by when they fire: with a bias b > 0, at every k-th step, where k is
    the smallest number of biases that reach the sum at which they fire.

    Parameters
    ----------
    scales
        Integers per unit of the trained network, by layer name.
    largest_weights
        Weights are clipped to plus or minus this, by layer name.
    train
        Encoded samples, ``(1, samples, inputs)`` or ``(time, samples, inputs)``; the biases of
        input neurons.
    weight_bits
        Of the chip's weights, the sign included; those that silence a neuron after its spike have
        all of them.

    Notes
    -----
    All numbers are integers held in float64, where they are exact: |u| < 2^24, times a
    12-bit decay, stays far below 2^53.
    """
    graph = checkpoint.graph
    run = functools.partial(_run_values, checkpoint, scales, largest_weights)
    if not any(node.neuron is not None and node.neuron.values for node in graph):
        layers = _layers(checkpoint, scales, largest_weights)
        run = functools.partial(_run, checkpoint, layers, weight_bits)
    per_sample = 4 * 8 * graph.time_steps * (graph.values + train.shape[2])
    size = max(1, _CHUNK_BYTES // per_sample)
    for first in range(0, train.shape[1], size):
        part = train[:, first : first + size]
        yield part, run(part)


def fired(bias: Tensor, firing_sum: int) -> Tensor:
    """Return when input neurons fire, for biases ``(time, ...)`` that stay the same."""
    period = torch.ceil(firing_sum / bias.clamp(min=1))
    step = torch.arange(1, len(bias) + 1).reshape(-1, *[1] * (bias.dim() - 1))
    return ((step % period == 0) & (bias > 0)).double()


def _layers(
    checkpoint: Checkpoint, scales: Mapping[str, float], largest_weights: Mapping[str, int]
) -> dict[str, _Layer]:
    """Quantize every layer from the checkpoint."""
    layers: dict[str, _Layer] = {}
    for node in checkpoint.graph.spiking:
        if node.gate is not None:
            continue
        name, neuron = node.name, node.neuron
        if neuron is None:
            raise TypeError(f"layer {name} has no neurons")
        arrays = {role: checkpoint.weights[each.name] for role, each in node.parameters.items()}
        if NORM[0] in arrays:
            arrays = _without_norm(arrays)
        share = 1.0
        if "leak" in arrays:
            share = 1 / (1 + math.exp(-float(arrays["leak"][0])))
            arrays = {role: array.astype(np.float64) * share for role, array in arrays.items()}
        threshold = neuron.threshold
        if "threshold" in arrays:
            arrays, threshold = _in_thresholds(arrays), 1.0
        own = arrays.get("recurrent")
        factors = neuron.gain, scales[name], largest_weights[name]
        layers[name] = _Layer(
            node=node,
            weight=arrays["weight"],
            recurrent=None if own is None else _on_grid(torch.from_numpy(own).double(), *factors),
            bias=_bias(arrays.get("bias"), scales[name], len(node.output_shape)),
            threshold=_NEVER if math.isinf(threshold) else round(scales[name] * threshold),
            current_decay=round(_DECAY / neuron.tau_s),
            voltage_decay=round(_DECAY * share if "leak" in arrays else _DECAY / neuron.tau_m),
            factors=factors,
            fires_once=neuron.fires_once,
        )
    return layers


def _without_norm(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Say a norm by the line that it is: its value at no input, and its slope."""
    scale, shift, mean, variance = (arrays[role].astype(np.float64) for role in NORM)
    deviation = (variance + NORM_EPSILON) ** 0.5
    slope = scale / deviation
    given = arrays["weight"].astype(np.float64)
    each = slope.repeat(len(given) // len(slope))  # a map may have weights at every position
    weight = np.moveaxis(np.moveaxis(given, 0, -1) * each, -1, 0)
    return {**arrays, "weight": weight, "bias": shift - mean * slope}


def _in_thresholds(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Say what drives a neuron in units of its own threshold.

    What neurons of a layer send each other is in these units already, see :class:`Node`.
    """
    units = np.exp(arrays["threshold"].astype(np.float64))
    scaled: dict[str, NDArray[Any]] = {}
    for role in ("weight", "bias"):
        if role in arrays:
            first = np.moveaxis(arrays[role].astype(np.float64), 0, -1)
            scaled[role] = np.moveaxis(first / units.repeat(first.shape[-1] // len(units)), -1, 0)
    return {**arrays, **scaled}


def _bias(bias: NDArray[Any] | None, scale: float, dimensions: int) -> Tensor | float:
    if bias is None:
        return 0.0
    mantissa = torch.round(torch.from_numpy(bias.astype(np.float64)) * scale)
    mantissa = mantissa.clamp(-_LARGEST_BIAS, _LARGEST_BIAS)
    return mantissa.reshape(-1, *[1] * (dimensions - 1))


def _on_grid(weight: Tensor, gain: float, scale: float, largest: int) -> Tensor:
    return (torch.round(weight * gain * scale / _GRID) * _GRID).clamp(-largest, largest)


def _entering(checkpoint: Checkpoint, train: IntArray) -> Tensor:
    """Return what enters at every step, ``(time, batch, C, H, W)``."""
    signal = torch.from_numpy(np.ascontiguousarray(train)).double()
    signal = signal.reshape(*train.shape[:2], *checkpoint.input_shape)
    if len(signal) == 1:
        signal = signal.expand(checkpoint.graph.time_steps, *signal.shape[1:])
    return signal


@torch.no_grad()
def _run_values(
    checkpoint: Checkpoint,
    scales: Mapping[str, float],
    largest_weights: Mapping[str, int],
    train: IntArray,
) -> Recording:
    """Run a network whose layers send values."""
    graph, quantum = checkpoint.graph, checkpoint.encoding.quantum
    layers = values_of(graph, checkpoint.weights, quantum, scales, largest_weights)
    sent = {INPUT: first_messages(_entering(checkpoint, train))}
    last = sent[INPUT][-1]
    for name, layer in layers.items():
        geometry = layer.node.geometry
        sums = _weighted(sent[layer.node.sources[0]], layer.weight, geometry)
        sums = _in_24_bits(sums) if geometry and geometry.shares_weights else sums
        sent[name], last = layer.run(sums)
    trains = {name: each.flatten(2).numpy().astype(np.int32) for name, each in sent.items()}
    return Recording(trains, last.flatten(1).numpy().astype(np.int64))


@torch.no_grad()
def _run(
    checkpoint: Checkpoint, layers: Mapping[str, _Layer], weight_bits: int, train: IntArray
) -> Recording:
    graph = checkpoint.graph
    signal = _entering(checkpoint, train)
    trains: dict[str, NDArray[np.uint8]] = {}
    if checkpoint.recipe.encoding.input == "neurons":
        signal = fired(signal, checkpoint.recipe.encoding.firing_sum)
        trains[INPUT] = signal.flatten(2).numpy().astype(np.uint8)
    sent = {INPUT: [_Sent(signal, 1.0, checkpoint.encoding.quantum)]}
    voltage = signal[0]
    for node in graph:
        if node.offsets:
            sent[node.name] = list(_concatenated(node, sent))
            continue
        ways = [way for source in node.sources for way in sent[source]]
        if node.neuron is None:
            sent[node.name] = [_pooled(way, node) for way in ways]
            continue
        if node.gate is not None:
            spikes = _GATES[node.gate.function](node, [way.counts for way in ways])
            sent[node.name] = [_Sent(spikes, 1.0, 1.0)]
            trains[node.name] = spikes.flatten(2).numpy().astype(np.uint8)
            continue
        layer = layers[node.name]
        activation = sum(map(layer.weighted, ways[1:]), start=layer.weighted(ways[0]))
        spikes, voltage = _neurons(activation, layer, _silence(layer, ways, weight_bits))
        sent[node.name] = [_Sent(spikes, 1.0, 1.0)]
        trains[node.name] = spikes.flatten(2).numpy().astype(np.uint8)
    return Recording(trains, voltage.flatten(1).numpy().astype(np.int64))


def _weighted(signal: Tensor, weight: Tensor, geometry: Geometry | None) -> Tensor:
    """Weight spikes, or sums of spikes, ``(time, batch, ...)``."""
    result = _MAPS[type(geometry)](signal.flatten(0, 1), weight, geometry)
    return result.unflatten(0, signal.shape[:2])


def _convolution(images: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    return F.conv2d(
        images,
        weight,
        None,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        geometry.groups,
    )


_MAPS: dict[type[Any], Callable[[Tensor, Tensor, Any], Tensor]] = {
    type(None): lambda rows, weight, _: F.linear(rows.flatten(1), weight),
    Geometry: _convolution,
}
"""By the type of the geometry; shares no code with the trainer's."""


def _silence(layer: _Layer, ways: list[_Sent], weight_bits: int) -> float:
    """Return the weight of a neuron's spike at itself that no input can make up for.

    In whole steps of a sign's and an exponent's, of which the smallest will do.
    """
    if not layer.fires_once:
        return 0.0
    kernels = (layer.placed(way)[0].clamp(min=0).flatten(1).sum(dim=1).max() for way in ways)
    bias = torch.as_tensor(layer.bias).max().clamp(min=0)
    needed, unit = float(sum(kernels) + bias), _GRID
    while needed > (2**weight_bits - 2) * unit / _GRID:
        unit *= 2
    return unit * max(1, math.ceil(needed / unit))


def _any(node: Node, ways: list[Tensor]) -> Tensor:
    """Return where anything in a window fired, and of those that fire once, fired first."""
    of, fired = node.windows, torch.stack(ways).any(dim=0)
    padded = F.pad(fired, (of.padding[1], of.padding[1], of.padding[0], of.padding[0]))
    windows = padded.unfold(3, of.kernel[0], of.stride[0]).unfold(4, of.kernel[1], of.stride[1])
    any_fired = windows.flatten(5).any(dim=5).double()
    if node.neuron is not None and node.neuron.fires_once:
        return any_fired * (any_fired.cumsum(dim=0) == 1)
    return any_fired


_GATES: Mapping[str, Callable[[Node, list[Tensor]], Tensor]] = {
    "and": lambda _, ways: torch.stack(ways).bool().all(dim=0).double(),
    "iand": lambda _, ways: (ways[1].bool() & ~ways[0].bool()).double(),
    "or": _any,
}


def _concatenated(node: Node, sent: Mapping[str, list[_Sent]]) -> Iterator[_Sent]:
    """Yield every way into a concat, with zeros where the other sources lie."""
    maps, *image = node.output_shape
    for source, before in zip(node.sources, node.offsets, strict=True):
        for way in sent[source]:
            if way.pools and not image:
                yield way._replace(part=_behind(way, before))
                continue
            counts = way.counts if image else way.counts.flatten(2)
            behind = maps - before - counts.shape[2]
            padded = F.pad(counts, (*[0] * (2 * len(image)), before, behind))
            yield way._replace(counts=padded)


def _behind(way: _Sent, before: int) -> slice:
    """Return where the pooled maps of a way lie in a concat without maps."""
    if way.part is not None:
        return slice(way.part.start + before, way.part.stop + before)
    size = way.counts.shape[2] * math.prod(way.pools[-1].output_shape[1:])
    return slice(before, before + size)


def _pooled(way: _Sent, node: Node) -> _Sent:
    gain = way.gain * node.gain
    if way.pools or not node.windows.is_tiling:
        return way._replace(gain=gain, pools=(*way.pools, node))
    sums = F.avg_pool2d(way.counts.flatten(0, 1), node.window, divisor_override=1)
    return way._replace(counts=sums.unflatten(0, way.counts.shape[:2]), gain=gain)


def _neurons(activation: Tensor, layer: _Layer, silence: float) -> tuple[Tensor, Tensor]:
    """Run CUBA neurons on weighted sums ``(time, batch, ...)``; return spikes and potential.

    Parameters
    ----------
    silence
        What a spike takes away from its neuron's own input, a step later.
    """
    current, voltage = torch.zeros_like(activation[0]), torch.zeros_like(activation[0])
    spikes: list[Tensor] = []
    for arriving in activation:
        if layer.recurrent is not None and spikes:
            arriving = arriving + _own(spikes[-1], layer.recurrent)
        if silence and spikes:
            arriving = arriving - silence * spikes[-1]
        current = torch.trunc(current * (_DECAY - layer.current_decay) / _DECAY)
        current = _wrap(current + _SHIFT * arriving)
        voltage = torch.trunc(voltage * (_DECAY - layer.voltage_decay) / _DECAY) + current
        voltage = voltage + _SHIFT * layer.bias
        voltage = voltage.clamp(1 - _LIMIT, _LIMIT - 1)
        fired = voltage > _SHIFT * layer.threshold
        voltage = voltage.masked_fill(fired, 0.0)
        spikes.append(fired.double())
    return torch.stack(spikes), voltage


def _in_24_bits(sums: Tensor) -> Tensor:
    """Return what Lava hands over of a convolution's sums."""
    return torch.remainder(sums + _LIMIT, 2 * _LIMIT) - _LIMIT


def _own(spikes: Tensor, weight: Tensor) -> Tensor:
    """Weight the spikes ``(batch, ...)`` of a layer's own neurons."""
    if weight.dim() == 2:
        return F.linear(spikes, weight)
    return _in_24_bits(F.conv2d(spikes, weight, padding="same"))


def _wrap(current: Tensor) -> Tensor:
    current = torch.where(current > _LIMIT, current - 2 * _LIMIT, current)
    return torch.where(current <= -_LIMIT, current + 2 * _LIMIT, current)
