"""Choosing a layer's scale: rounding errors against clipped weights."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import THRESHOLD_SHIFT, Layer, Run, Train
from tssl.errors import RangeError
from tssl.exporter.lower import Stage

SAMPLES = 64
"""Calibration samples that candidates are compared on."""

_CLIPPING = (1.0, 1.2, 1.45, 1.75, 2.1, 2.5, 3.0, 4.0, 6.0)
"""Largest weight over the largest that a candidate still holds."""

_SUM_LIMIT = 1 << 22
"""Weighted sums of the reference stay below, clear of a convolution's 24 bits."""


def best_scale(
    stage: Stage,
    largest: float,
    candidate: Callable[[float], Layer | None],
    trains: Mapping[str, Train],
    time_steps: int,
) -> float:
    """Return the scale whose layer fires most like the trained one on the same input.

    Of neurons that never fire, it is the one whose potential after the last step is most like it.
    A larger scale than ``largest`` rounds more finely and clips the largest weights. With
    eight bits that rarely pays; with four or fewer it decides.

    Parameters
    ----------
    largest
        The scale at which the largest weight just fits.
    candidate
        Gives the layer at a scale, or None when the scale is impossible.
    trains
        Calibration input of each source, ``(time or 1, samples, inputs)``.
    """
    if stage.is_recurrent:
        return largest  # its input depends on its own spikes: no two candidates see the same
    trains = {name: train[:, :SAMPLES] for name, train in trains.items()}
    wanted = _reference(stage, trains, time_steps)
    errors = []
    for factor in _CLIPPING:
        layer = candidate(largest * factor)
        if layer is None:
            break
        try:
            found = layer.run(trains, time_steps)
        except RangeError:  # the sums overflow; a larger scale would not help
            break
        errors.append(_difference(stage, found, wanted, largest * factor))
    return largest * _CLIPPING[int(np.argmin(errors))] if errors else largest


class _Wanted(NamedTuple):
    """What the neurons do in floating point."""

    spikes: NDArray[np.bool_]
    """``(time, samples, neurons)``."""
    potential: NDArray[np.float64]
    """After the last step, ``(samples, neurons)``."""


def _difference(stage: Stage, found: Run, wanted: _Wanted, scale: float) -> float:
    """Return how many spikes differ; or how far potentials that are read are apart, added up."""
    if not stage.neuron.never_fires:
        return int((found.spikes != wanted.spikes).sum())
    potential = found.state.potential / (scale * (1 << THRESHOLD_SHIFT))
    return float(np.abs(potential - wanted.potential).sum())


def reference_spikes(
    stage: Stage, trains: Mapping[str, Train], time_steps: int
) -> NDArray[np.bool_]:
    """Return what the neurons fire in floating point, ``(time, samples, neurons)``."""
    return _reference(stage, trains, time_steps).spikes


def _reference(stage: Stage, trains: Mapping[str, Train], time_steps: int) -> _Wanted:
    per_unit = _fine(stage, trains)
    drives = []
    for each in stage.arriving:
        weight = np.rint(each.weight * per_unit).astype(np.int64)
        drives.append(each.synapses(weight).sums(trains[each.source], time_steps) / per_unit)
    drive = sum(drives[1:], start=drives[0])
    drive = np.broadcast_to(drive, (time_steps, *drive.shape[1:]))
    current, voltage = np.zeros(drive.shape[1:]), np.zeros(drive.shape[1:])
    spikes = np.zeros(drive.shape, bool)
    silent = np.zeros(drive.shape[1:], bool)
    bias = 0.0 if stage.bias is None else stage.bias.repeat(drive.shape[2] // len(stage.bias))
    for step in range(time_steps):
        current = (1 - 1 / stage.neuron.tau_s) * current + drive[step]
        voltage = (1 - 1 / stage.neuron.tau_m) * voltage + current + bias
        spikes[step] = (voltage > stage.neuron.threshold) & ~silent
        voltage[spikes[step]] = 0.0
        if stage.neuron.fires_once:
            silent |= spikes[step]
    return _Wanted(spikes, voltage)


def _fine(stage: Stage, trains: Mapping[str, Train]) -> float:
    """Return how many integers stand for a unit of the reference's weights."""
    largest = 0.0
    for each in stage.arriving:
        row = np.abs(each.weight).reshape(len(each.weight), -1).sum(axis=1).max()
        largest += row * np.abs(trains[each.source]).max(initial=1)
    return float(_SUM_LIMIT / largest)
