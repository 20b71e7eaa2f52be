"""Lowered stages in plain NumPy, from their docstrings; nothing of the trainer is used."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tssl.chip import INPUT
from tssl.exporter.lower import Arrival, Stage

Floats = NDArray[np.float64]

GRID = 64
"""Messages of a one, where neurons send values."""


def run_stages(stages: Sequence[Stage], integers: Floats, steps: int) -> dict[str, Floats]:
    """Return the spikes of all layers, or what is known of their values.

    Parameters
    ----------
    integers
        ``(time or 1, samples, inputs)``; so are results, with neurons in the place of inputs.
    """
    sent = {INPUT: np.broadcast_to(integers, (steps, *integers.shape[1:]))}
    for stage in stages:
        drive = np.sum([weighted(each, sent[each.source]) for each in stage.arriving], axis=0)
        if not stage.neuron.values:
            sent[stage.name] = fired(stage, drive)
        else:  # the last layer is read, and sends nothing
            sent[stage.name] = drive if stage is stages[-1] else told(stage, drive)
    del sent[INPUT]
    return sent


def fired(stage: Stage, drive: Floats) -> Floats:
    """Return the spikes of a layer: synapses filter what weights give, and membranes add it up."""
    neuron, bias = stage.neuron, bias_of(stage, drive)
    own = [each for each in stage.connections if each.source == stage.name]
    current, potential, spikes = (np.zeros(drive.shape[1:]) for _ in range(3))
    may_fire, train = np.ones(drive.shape[1:], bool), []
    for step in drive:
        arriving = step + sum(weighted(each, spikes[None])[0] for each in own)
        current = (1 - 1 / neuron.tau_s) * current + arriving
        potential = (1 - 1 / neuron.tau_m) * potential + current + bias
        spikes = ((potential > neuron.threshold) & may_fire).astype(float)
        potential = potential * (1 - spikes)
        may_fire &= (spikes == 0) | (not neuron.fires_once)
        train.append(spikes)
    return np.array(train)


def told(stage: Stage, drive: Floats) -> Floats:
    """Return what is known of the values of a layer, whose changes are told in messages."""
    before, total, untold = (np.zeros(drive.shape[1:]) for _ in range(3))
    known = []
    for values in np.maximum(drive + bias_of(stage, drive), 0):
        change = values - before + untold
        sent = np.where(abs(change) >= stage.neuron.threshold, change, 0)
        before, untold = values, change - sent
        total = total + np.floor(sent * GRID) / GRID
        known.append(total)
    return np.array(known)


def bias_of(stage: Stage, drive: Floats) -> Floats:
    """Return the bias of each neuron."""
    each = np.zeros(1) if stage.bias is None else stage.bias
    return np.repeat(each, drive.shape[2] // len(each))


def weighted(arrival: Arrival, train: Floats) -> Floats:
    """Return the weighted sums of what a source sends, ``(time, samples, neurons)``."""
    of = arrival.geometry
    if of is None:
        return train @ arrival.weight.T
    channels, *image = arrival.input_shape
    images = train.reshape(-1, of.groups, channels // of.groups, *image)
    padded = np.pad(images, [(0, 0)] * 3 + [(size, size) for size in of.padding])
    reach = [gap * (size - 1) + 1 for gap, size in zip(of.dilation, of.kernel, strict=True)]
    (down, right), (rows, columns) = of.stride, of.dilation
    windows = sliding_window_view(padded, reach, axis=(3, 4))
    windows = windows[:, :, :, ::down, ::right, ::rows, ::columns]
    kernels = arrival.weight.reshape(of.groups, -1, *arrival.weight.shape[1:])
    sums = np.einsum("ngcyxij,gocij->ngoyx", windows, kernels)
    return sums.reshape(*train.shape[:2], -1)
