"""The recurrences of a layer behind which a pool lies, as Triton kernels, the pool included.

The counterpart of :mod:`tssl.trainer.gpu_kernels` for windows that fill the image. Each program
takes a block of pooled neurons through all steps, with all neurons of their windows. What the
neurons fire is added up before it is filtered, as :mod:`tssl.trainer.kernels` does.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from tssl.trainer.gpu_kernels import slope_of, surrogate_of
from tssl.trainer.neuron_kernels import Constants

__all__ = ["Windows", "backward", "forward"]

_NEURONS = 512
"""Of a program."""


class Windows(NamedTuple):
    """Windows of images that lie in memory as ``(..., height, width, channels)``."""

    rows: int
    columns: int
    width: int
    """Of the image; a multiple of ``columns``, as its height is of ``rows``."""
    channels: int
    gain: float

    @property
    def members(self) -> int:
        """Neurons of a window, and places without one, up to a power of two."""
        return int(triton.next_power_of_2(self.rows * self.columns))

    @property
    def block(self) -> int:
        """Pooled neurons of a program."""
        return max(_NEURONS // self.members, 1)


def forward(
    current: Tensor,
    response: Tensor,
    constants: Constants,
    windows: Windows,
    psp: Tensor,
    voltage: Tensor,
) -> Tensor:
    """Run the neurons from rest.

    Parameters
    ----------
    current, response, voltage
        See :func:`tssl.trainer.gpu_kernels.forward`.
    psp
        Filled: potentials ``(time, pooled neurons)``.

    Returns
    -------
    spikes
        How many there were, without axes, on the device.
    """
    steps, neurons = voltage.shape
    pooled = psp.shape[1]
    spikes = torch.zeros((), dtype=torch.int64, device=current.device)
    _forward[(triton.cdiv(pooled, windows.block),)](
        current, response, psp, voltage, spikes, pooled, neurons, steps,
        neurons if len(current) > 1 else 0, windows.width, windows.channels,
        1 - 1 / constants.tau_m, constants.threshold, 1 - 1 / constants.tau_s,
        windows.gain / constants.tau_s,
        ROWS=windows.rows, COLUMNS=windows.columns, MEMBERS=windows.members, BLOCK=windows.block,
        enable_fp_fusion=False,
    )  # fmt: skip
    return spikes


def backward(
    voltage: Tensor,
    response: Tensor,
    gradient: Tensor,
    constants: Constants,
    windows: Windows,
    error: Tensor,
) -> Tensor:
    """Take the error at the pooled potentials back to the current.

    Parameters
    ----------
    gradient
        Of the loss by the potentials, ``(time, pooled neurons)``.
    voltage, error
        See :func:`tssl.trainer.gpu_kernels.backward`.

    Returns
    -------
    fallbacks
        Neuron-steps whose error came from the surrogate, without axes, on the device.
    """
    steps, neurons = voltage.shape
    pooled = gradient.shape[1]
    fallbacks = torch.zeros((), dtype=torch.int64, device=voltage.device)
    adds_up = len(error) < steps  # over the time course of a constant input
    errors = torch.empty_like(voltage) if adds_up else error
    _backward[(triton.cdiv(pooled, windows.block),)](
        voltage, response, gradient, errors, error, fallbacks, pooled, neurons, steps,
        windows.width, windows.channels,
        1 - 1 / constants.tau_m, constants.threshold, 1 - 1 / constants.tau_s, 1 / constants.tau_s,
        windows.gain / constants.tau_s, constants.reset, constants.fallback_below,
        SPIKE_TIME=constants.spike_time, SURROGATE=constants.surrogate, ADDS_UP=adds_up,
        ROWS=windows.rows, COLUMNS=windows.columns, MEMBERS=windows.members, BLOCK=windows.block,
        enable_fp_fusion=False,
    )  # fmt: skip
    return fallbacks


@triton.jit
def _places(
    at, pooled, width, channels,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, MEMBERS: tl.constexpr,
):  # fmt: skip
    """Return where the neurons of windows lie, ``(block, members)``, and which are there."""
    member = tl.arange(0, MEMBERS)
    across = width // COLUMNS
    row, column, channel = at // (channels * across), at // channels % across, at % channels
    first = (row * ROWS * width + column * COLUMNS) * channels + channel
    inward = (member // COLUMNS * width + member % COLUMNS) * channels
    inside = (at < pooled)[:, None] & (member < ROWS * COLUMNS)[None, :]
    return first[:, None] + inward[None, :], inside


@triton.jit
def _forward(
    current, response, psp, voltage, spikes, pooled, neurons, steps, stride, width, channels,
    leak, threshold, keep, add,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, MEMBERS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    out = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    at, inside = _places(out, pooled, width, channels, ROWS, COLUMNS, MEMBERS)
    is_pooled = out < pooled
    source = at
    v = tl.zeros([BLOCK, MEMBERS], tl.float32)
    a = tl.zeros([BLOCK], tl.float32)
    count = tl.zeros([BLOCK], tl.int32)
    for t in range(steps):
        arriving = tl.load(current + source, mask=inside, other=0.0)
        u = leak * v + arriving * tl.load(response + t)
        fires = (u > threshold) & inside
        together = tl.sum(fires.to(tl.int32), 1)
        a = keep * a + add * together.to(tl.float32)
        v = tl.where(fires, 0.0, u)
        count += together
        tl.store(voltage + at, u, mask=inside)
        tl.store(psp + out, a, mask=is_pooled)
        at += neurons
        source += stride
        out += pooled
    tl.atomic_add(spikes, tl.sum(count, 0).to(tl.int64))


@triton.jit
def _backward(
    voltage, response, gradient, errors, total, fallbacks, pooled, neurons, steps, width, channels,
    leak, threshold, keep, add, add_pooled, reset, below,
    SPIKE_TIME: tl.constexpr, SURROGATE: tl.constexpr, ADDS_UP: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, MEMBERS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    out = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    first, inside = _places(out, pooled, width, channels, ROWS, COLUMNS, MEMBERS)
    is_pooled = out < pooled
    at = first
    a = tl.zeros([BLOCK, MEMBERS], tl.float32)
    for _ in range(steps):  # the potentials, kept where the errors will be
        fires = tl.load(voltage + at, mask=inside, other=0.0) > threshold
        a = keep * a + add * fires.to(tl.float32)
        tl.store(errors + at, a, mask=inside)
        at += neurons
        out += pooled
    tl.debug_barrier()
    filtered = tl.zeros([BLOCK], tl.float32)
    carry = tl.zeros([BLOCK, MEMBERS], tl.float32)
    collected = tl.zeros([BLOCK, MEMBERS], tl.float32)
    count = tl.zeros([BLOCK, MEMBERS], tl.int32)
    at -= neurons
    out -= pooled
    u = tl.load(voltage + at, mask=inside, other=0.0)
    for back in range(steps):
        has_before = inside & (back + 1 < steps)
        before = tl.load(voltage + at - neurons, mask=has_before, other=0.0)
        filtered = keep * filtered + add_pooled * tl.load(gradient + out, mask=is_pooled, other=0.0)
        coming = filtered[:, None]
        surrogate = surrogate_of(u, threshold, SURROGATE)
        slope = slope_of(u, before, threshold, surrogate, SPIKE_TIME)
        by_time = slope * (coming + reset * u * carry)
        carry = by_time + leak * carry * (1.0 - (u > threshold).to(tl.float32))
        falls_back = tl.load(errors + at, mask=inside, other=0.0) < below
        at_neuron = tl.where(falls_back, coming * surrogate, carry)
        error = at_neuron * tl.load(response + steps - 1 - back)
        count += (falls_back & inside).to(tl.int32)
        if ADDS_UP:
            collected += error
        else:
            tl.store(errors + at, error, mask=inside)
        u = before
        at -= neurons
        out -= pooled
    if ADDS_UP:
        tl.store(total + first, collected, mask=inside)
    tl.atomic_add(fallbacks, tl.sum(tl.sum(count, 1), 0).to(tl.int64))
