"""Sound through a simple cochlea: a bank of filters, half-wave rectification, spikes.

With peak-normalised samples ``x[n]`` at the rate ``f``, bands ``b = 0 ... B - 1`` and edges
``e_k = low (high / low)^(k / B)``::

    y_b = x through a Butterworth band-pass (order 1: two poles) between e_b and e_(b+1)
    r_b[n] = max(y_b[n], 0)
    c_b[n] = sum over m <= n of r_b[m] * 1000 / f        (amplitude x milliseconds)

Band ``b`` fires at sample ``n`` when ``floor(c_b[n] / threshold)`` grows: an integrate-and-fire
neuron without a leak, whose charge is reduced by the threshold at a spike.
"""

import struct
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.events import Events
from tssl.datasets.formats.recordings import Recording
from tssl.datasets.reading import Reading
from tssl.errors import ConfigError, DataError

__all__ = ["BANDS", "BAND_HZ", "SPIKE_THRESHOLD", "cochlea", "read"]

BANDS = 32
BAND_HZ = (100.0, 3600.0)
SPIKE_THRESHOLD = 0.5
"""Amplitude x milliseconds, the loudest sample having amplitude 1."""

_DAMAGED = (OSError, ValueError, TypeError, OverflowError, MemoryError, EOFError, IndexError,
            ZeroDivisionError, AttributeError, NameError, struct.error, Warning)  # fmt: skip
"""What scipy raises of damaged files; of one without data that a variable has no value."""


def read(path: Path | BinaryIO, reading: Reading) -> Recording:
    """Return the spikes of a ``.wav`` file, which may be open; several channels are averaged."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message="Chunk.*not understood")
            rate, samples = wavfile.read(path)
    except _DAMAGED as error:
        reason = " ".join(str(error).split())
        raise DataError(f"cannot be read as sound: {reason}") from error
    sound = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        sound -= 128  # silence
    if not np.isfinite(sound).all():
        raise DataError("holds samples that are no finite numbers")
    sound = sound.mean(axis=1) if sound.ndim == 2 and sound.size else sound.ravel()
    return cochlea(sound, int(rate), reading)


def cochlea(sound: NDArray[np.float64], rate: int, reading: Reading) -> Recording:
    """Return the spikes that sound ``(samples,)`` causes, the bands being x.

    Raises
    ------
    ConfigError
        When the highest band is beyond half the rate.
    """
    bands, threshold = reading.bands or BANDS, reading.spike_threshold or SPIKE_THRESHOLD
    low, high = reading.band_hz or BAND_HZ
    if not high < rate / 2:
        raise ConfigError(
            f"data.band_hz = [{low:g}, {high:g}]: sound at {rate} Hz has frequencies below "
            f"{rate / 2:g} only; lower the second number"
        )
    peak = np.abs(sound).max(initial=0)
    where, when = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    if peak > 0:
        from scipy.signal import sosfilt

        for band, sections in enumerate(_filters(rate, bands, low, high)):
            rectified = np.maximum(sosfilt(sections, sound / peak), 0)
            steps = np.floor(np.cumsum(rectified) * (1000 / rate / threshold))
            at = np.flatnonzero(np.diff(steps, prepend=0) > 0)
            where.append(np.full(len(at), band))
            when.append(at * 1_000_000 // rate)
    x, times = np.concatenate(where), np.concatenate(when)
    order = np.argsort(times, kind="stable")
    nothing = np.zeros(len(x), np.int64)
    events = Events(time_us=times[order], polarity=nothing, y=nothing, x=x[order])
    return Recording(events, (1, 1, bands))


@lru_cache(maxsize=4)
def _filters(rate: int, bands: int, low: float, high: float) -> list[Any]:
    from scipy.signal import butter

    edges = low * (high / low) ** (np.arange(bands + 1) / bands)
    return [
        butter(1, edges[band : band + 2], "bandpass", fs=rate, output="sos")
        for band in range(bands)
    ]
