"""The quantized network in PyTorch, layer by layer as it was *trained*, pools included.

A second, independent statement of what the exported integers mean: it shares no arithmetic
with ``tssl.chip`` and undoes the merging of pools, so that an export can be proven against it.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tssl.checkpoint import Checkpoint
from tssl.chip import ChipNetwork, ConvLayer, IntArray, Layer
from tssl.results import Recording
from tssl.spec import ConvSpec, DenseSpec, PoolSpec

_SHIFT = 64.0
_LIMIT = 8388608.0
_DECAY = 4096.0


@torch.no_grad()
def run_quantized(checkpoint: Checkpoint, chip: ChipNetwork, train: IntArray) -> Recording:
    """Run the trained layers with the integers of their exported network.

    Parameters
    ----------
    train
        Encoded samples, ``(1, samples, inputs)``.

    Notes
    -----
    All numbers are integers held in float64, where they are exact: |u| < 2^24, times a
    12-bit decay, stays far below 2^53.
    """
    network = checkpoint.recipe.network
    layers = {layer.name: layer for layer in chip.layers}
    signal = torch.from_numpy(train).double().reshape(1, -1, *checkpoint.input_shape)
    signal = signal.expand(network.time_steps, *signal.shape[1:])
    trains: dict[str, NDArray[np.uint8]] = {}
    voltage = signal[0]
    pooled = _Pooled(signal, window=(1, 1), maps=tuple(signal.shape[2:]))
    for name, spec in zip(network.layer_names, network.layers, strict=True):
        if isinstance(spec, PoolSpec):
            pooled = _pool(pooled, spec)
            continue
        signal, voltage = _neurons(_weighted(pooled, layers[name], spec), layers[name])
        trains[name] = signal.flatten(2).numpy().astype(np.uint8)
        pooled = _Pooled(signal, window=(1, 1), maps=tuple(signal.shape[2:]))
    return Recording(trains, voltage.flatten(1).numpy().astype(np.int64))


class _Pooled(NamedTuple):
    """A signal ``(time, batch, ...)`` and the pools it went through since the last neurons."""

    signal: Tensor
    window: tuple[int, int]
    maps: tuple[int, ...]
    """Shape of one step before those pools."""


def _pool(before: _Pooled, spec: PoolSpec) -> _Pooled:
    sums = F.avg_pool2d(before.signal.flatten(0, 1), spec.kernel, divisor_override=1)
    window = (before.window[0] * spec.kernel[0], before.window[1] * spec.kernel[1])
    return _Pooled(sums.unflatten(0, before.signal.shape[:2]), window, before.maps)


def _weighted(pooled: _Pooled, layer: Layer, spec: ConvSpec | DenseSpec) -> Tensor:
    """Weight pooled spikes with the layer's own weights, taken out of the merged ones."""
    weight = torch.tensor(layer.weight, dtype=torch.float64)
    folded = pooled.signal.flatten(0, 1)
    rows, columns = pooled.window
    if isinstance(spec, ConvSpec):
        kernel = weight[:, :, ::rows, ::columns]
        result = F.conv2d(folded, kernel, stride=spec.stride, padding=spec.padding)
    else:
        if pooled.window != (1, 1):
            height, width = folded.shape[2:]
            maps = weight.reshape(len(weight), *pooled.maps)
            weight = maps[:, :, : height * rows : rows, : width * columns : columns].flatten(1)
        result = F.linear(folded.flatten(1), weight)
    return result.unflatten(0, pooled.signal.shape[:2])


def _neurons(activation: Tensor, layer: Layer) -> tuple[Tensor, Tensor]:
    """Run CUBA neurons on weighted sums ``(time, batch, ...)``; return spikes and potential."""
    neuron = layer.neuron
    if isinstance(layer, ConvLayer):  # Lava's convolution hands over 24 bits
        activation = torch.remainder(activation + _LIMIT, 2 * _LIMIT) - _LIMIT
    current, voltage = torch.zeros_like(activation[0]), torch.zeros_like(activation[0])
    spikes = []
    for arriving in activation:
        current = torch.trunc(current * (_DECAY - neuron.current_decay) / _DECAY)
        current = _wrap(current + _SHIFT * arriving)
        voltage = torch.trunc(voltage * (_DECAY - neuron.voltage_decay) / _DECAY) + current
        voltage = voltage.clamp(1 - _LIMIT, _LIMIT - 1)
        fired = voltage > _SHIFT * neuron.threshold
        voltage = voltage.masked_fill(fired, 0.0)
        spikes.append(fired.double())
    return torch.stack(spikes), voltage


def _wrap(current: Tensor) -> Tensor:
    current = torch.where(current > _LIMIT, current - 2 * _LIMIT, current)
    return torch.where(current <= -_LIMIT, current + 2 * _LIMIT, current)
