r"""How long a time step and an inference take, by the rule of the chip's kind.

.. math::
    T_{core} &= \max(S t_{syn} + M_{in} t_{in},\;
                U_{act} t_{act} + U_{inact} t_{inact} + K t_{out} + M_{out} t_{mout}) \\
    T_{barrier} &= \max(\max_{core} T_{core}, T_{min}, [T_{sync}]) [+ T_{sync}] \\
    T_{tick} &= \max(t_{tick}, \max_{core} T_{core}) \\
    T_{async} &= \max_{core} \sum_t T_{core} + depth \cdot t_{layer}

Every array of times has three rows: value, low and high end of the band.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tssl.hw_profiles.cost.work import FloatArray, Inference, LayerWork
from tssl.hw_profiles.profile.figure import Figure
from tssl.hw_profiles.profile.tables import Profile, Time


class Timing(NamedTuple):
    """Times per inference, each ``(value, low, high)`` in seconds."""

    latency: FloatArray
    """Of a sample alone on the chip."""
    period: FloatArray
    """Between the samples of a stream."""
    step: FloatArray | None
    """Mean time step in a stream; None where there are no steps."""
    warnings: tuple[str, ...] = ()


def bounds(figure: Figure | None) -> FloatArray:
    """Return value, low and high; zero for a figure that no source gives."""
    if figure is None:
        return np.zeros(3)
    quantity = figure.quantity
    return np.array([quantity.value, quantity.low, quantity.high])


def core_time(time: Time, layer: LayerWork, share: float | None = None) -> FloatArray:
    """Return how long a core with this share of the layer works in each step, ``(3, time)``."""
    share = layer.share if share is None else share
    receive = np.outer(bounds(time.synaptic_operation), layer.operations * share)
    receive += np.outer(bounds(time.message_in), layer.arriving + np.zeros(len(layer.spikes)))
    send = np.outer(bounds(time.spike_out), layer.spikes * share)
    for key, updated in layer.updates(time).items():
        send += np.outer(bounds(getattr(time, key)), updated * share)
    send += np.outer(bounds(time.message_out), layer.spikes * share * layer.fan)
    return np.maximum(receive, send)


def barrier_timing(profile: Profile, inference: Inference) -> Timing:
    """Return the times of a chip whose steps end when all cores are done."""
    alone, stream = _steps(profile, inference)
    barrier = _barrier(profile.time, inference.chips)
    latency = _barrier_steps(profile.time, barrier, alone).sum(axis=1)
    period = _barrier_steps(profile.time, barrier, stream).sum(axis=1)
    return Timing(latency, period, period / stream.shape[1])


def asynchronous_timing(profile: Profile, inference: Inference) -> Timing:
    """Return the times of a chip without steps, which serves events as they come."""
    time, work = profile.time, inference.work
    busiest = np.max([core_time(time, layer).sum(axis=1) for layer in work], axis=0)
    depth = max(layer.depth for layer in work)
    return Timing(busiest + depth * bounds(time.layer), busiest, None)


def tick_timing(profile: Profile, inference: Inference) -> Timing:
    """Return the times of a chip whose steps are as long as a tick, or as the work."""
    alone, stream = _steps(profile, inference)
    tick = bounds(profile.time.tick)[:, None]
    warnings: tuple[str, ...] = ()
    late = int((alone[0] > tick[0]).sum())
    if late:
        warnings = (
            f"misses its tick: in {late} of {alone.shape[1]} steps the busiest core works up to "
            f"{alone[0].max():.3g} s, a tick has {tick[0, 0]:.3g} s",
        )
    steps = np.maximum(stream, tick)
    period = steps.sum(axis=1)
    return Timing(np.maximum(alone, tick).sum(axis=1), period, period / steps.shape[1], warnings)


def _steps(profile: Profile, inference: Inference) -> tuple[FloatArray, FloatArray]:
    """Return the busiest core's time in each step, of a sample alone and of a stream."""
    time, work = profile.time, inference.work
    interval = profile.chip.steps_between_resets(len(work[0].operations))
    host = _host(time, inference.input_spikes)
    return _steps_alone(time, work, host), _steps_in_stream(time, work, host, interval)


def _steps_alone(time: Time, work: Sequence[LayerWork], host: FloatArray | float) -> FloatArray:
    """Return the busiest core's time in each step of a sample alone, ``(3, time + depth)``."""
    steps = len(work[0].operations)
    slowest = np.zeros((3, steps + max(layer.depth for layer in work)))
    slowest[:, :steps] = host
    for layer in work:
        here = slowest[:, layer.depth : layer.depth + steps]
        np.maximum(here, core_time(time, layer), out=here)
    return slowest


def _steps_in_stream(
    time: Time, work: Sequence[LayerWork], host: FloatArray | float, interval: int
) -> FloatArray:
    """Return the same for samples that follow every ``interval`` steps, ``(3, interval)``."""
    idle = np.zeros((3, interval - len(work[0].operations)))
    loads = [
        np.roll(np.hstack([core_time(time, layer), idle]), layer.depth, axis=1) for layer in work
    ]
    busy = host + np.zeros((3, len(work[0].operations)))
    return np.asarray(np.max([*loads, np.hstack([busy, idle])], axis=0))


def _host(time: Time, input_spikes: FloatArray | None) -> FloatArray | float:
    if input_spikes is None:
        return 0.0
    return np.outer(bounds(time.input_message), input_spikes)


def _barrier(time: Time, chips: int) -> FloatArray:
    several = chips > 1 and time.barrier_several_chips is not None
    return bounds(time.barrier_several_chips if several else time.barrier)


def _barrier_steps(time: Time, barrier: FloatArray, slowest: FloatArray) -> FloatArray:
    """Add barrier and minimal step to the time of the slowest core, ``(3, time)``."""
    step = np.maximum(slowest, bounds(time.minimum_step)[:, None])
    column = barrier[:, None]
    return step + column if time.barrier_rule == "added" else np.maximum(step, column)
