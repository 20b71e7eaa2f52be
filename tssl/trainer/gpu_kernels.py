"""The recurrences of a layer as Triton kernels: forward and backward in one launch each.

The counterpart of :mod:`tssl.trainer.kernels` on CUDA devices; :mod:`tssl.trainer.gpu_pools` has
those with a pool. Each program takes a block of
neurons through all steps, with their state in registers. The forward pass keeps the membrane
potential, from which the backward pass has everything else; the fusion of multiplications with
additions is switched off, so that spikes are those of the plain PyTorch code. Single precision.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from tssl.trainer.neuron_kernels import ARCTAN, RECTANGULAR, Constants

__all__ = ["backward", "forward", "slope_of", "surrogate_of"]

_BLOCK = 256
_ARCTAN, _RECTANGULAR = tl.constexpr(ARCTAN), tl.constexpr(RECTANGULAR)


def forward(
    current: Tensor, response: Tensor, constants: Constants, psp: Tensor, voltage: Tensor
) -> Tensor:
    """Run the neurons from rest.

    Parameters
    ----------
    current
        ``(time, neurons)``, or ``(1, neurons)`` for a constant input.
    response
        ``(time,)``, factor of the current at each step.
    psp, voltage
        Filled, ``(time, neurons)``.

    Returns
    -------
    spikes
        How many there were, without axes, on the device.
    """
    steps, neurons = voltage.shape
    spikes = torch.zeros((), dtype=torch.int64, device=current.device)
    _forward[(triton.cdiv(neurons, _BLOCK),)](
        current, response, psp, voltage, spikes, neurons, steps, _stride(current),
        1 - 1 / constants.tau_m, constants.threshold, 1 - 1 / constants.tau_s, 1 / constants.tau_s,
        BLOCK=_BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    return spikes


def backward(
    voltage: Tensor, response: Tensor, gradient: Tensor, constants: Constants, error: Tensor
) -> Tensor:
    """Take the error at the potentials back to the current.

    Parameters
    ----------
    voltage
        As :func:`forward` filled it, ``(time, neurons)``.
    gradient
        Of the loss by the potentials, ``(time, neurons)``.
    error
        Filled: ``(time, neurons)``, or ``(1, neurons)`` for a constant input.

    Returns
    -------
    fallbacks
        Neuron-steps whose error came from the surrogate, without axes, on the device.
    """
    steps, neurons = voltage.shape
    fallbacks = torch.zeros((), dtype=torch.int64, device=voltage.device)
    adds_up = len(error) < steps  # over the time course of a constant input
    errors = torch.empty_like(voltage) if adds_up else error
    _backward[(triton.cdiv(neurons, _BLOCK),)](
        voltage, response, gradient, errors, error, fallbacks, neurons, steps,
        1 - 1 / constants.tau_m, constants.threshold, 1 - 1 / constants.tau_s, 1 / constants.tau_s,
        constants.reset, constants.fallback_below,
        SPIKE_TIME=constants.spike_time, SURROGATE=constants.surrogate, ADDS_UP=adds_up,
        BLOCK=_BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    return fallbacks


def _stride(current: Tensor) -> int:
    """Return how far one step lies behind another; a constant input has but one."""
    return current.shape[1] if len(current) > 1 else 0


@triton.jit
def _forward(
    current, response, psp, voltage, spikes, neurons, steps, stride,
    leak, threshold, keep, add, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < neurons
    source = at
    v = tl.zeros([BLOCK], tl.float32)
    a = tl.zeros([BLOCK], tl.float32)
    count = tl.zeros([BLOCK], tl.int32)
    for t in range(steps):
        arriving = tl.load(current + source, mask=inside, other=0.0)
        u = leak * v + arriving * tl.load(response + t)
        fires = (u > threshold) & inside
        a = keep * a + add * fires.to(tl.float32)
        v = tl.where(fires, 0.0, u)
        count += fires.to(tl.int32)
        tl.store(voltage + at, u, mask=inside)
        tl.store(psp + at, a, mask=inside)
        at += neurons
        source += stride
    tl.atomic_add(spikes, tl.sum(count, 0).to(tl.int64))


@triton.jit
def _clamped(x, low, high):
    """Clamp as PyTorch does, which keeps a NaN."""
    return tl.minimum(
        tl.maximum(x, low, propagate_nan=tl.PropagateNan.ALL),
        high,
        propagate_nan=tl.PropagateNan.ALL,
    )


@triton.jit
def surrogate_of(u, threshold, SURROGATE: tl.constexpr):
    """Return the slope that the rule takes where it has no spike time."""
    if SURROGATE == _ARCTAN:
        angle = 3.14159265 * (u - threshold)
        return 1.0 / (1.0 + angle * angle)
    elif SURROGATE == _RECTANGULAR:  # noqa: RET505 - Triton compiles but one branch
        return (tl.abs(u - threshold) < 0.5).to(tl.float32)
    else:
        z = tl.exp(_clamped((threshold - u) * 5.0, -8.0, 8.0))
        return 5.0 * z / ((1.0 + z) * (1.0 + z))


@triton.jit
def slope_of(u, before, threshold, surrogate, SPIKE_TIME: tl.constexpr):
    """Return the slope at the potentials; ``before`` are those of one step before."""
    if SPIKE_TIME:
        steep = 1.0 / (u - tl.where(before > threshold, 0.0, before))
        return tl.where(u > threshold, _clamped(steep, 0.0, 8.0), 0.0)
    else:  # noqa: RET505
        return surrogate


@triton.jit
def _backward(
    voltage, response, gradient, errors, total, fallbacks, neurons, steps,
    leak, threshold, keep, add, reset, below,
    SPIKE_TIME: tl.constexpr, SURROGATE: tl.constexpr, ADDS_UP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    first = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = first < neurons
    at = first
    a = tl.zeros([BLOCK], tl.float32)
    for _ in range(steps):  # the potentials, kept where the errors will be
        fires = tl.load(voltage + at, mask=inside, other=0.0) > threshold
        a = keep * a + add * fires.to(tl.float32)
        tl.store(errors + at, a, mask=inside)
        at += neurons
    tl.debug_barrier()
    filtered = tl.zeros([BLOCK], tl.float32)
    carry = tl.zeros([BLOCK], tl.float32)
    collected = tl.zeros([BLOCK], tl.float32)
    count = tl.zeros([BLOCK], tl.int32)
    at -= neurons
    u = tl.load(voltage + at, mask=inside, other=0.0)
    for back in range(steps):
        has_before = inside & (back + 1 < steps)
        before = tl.load(voltage + at - neurons, mask=has_before, other=0.0)
        filtered = keep * filtered + add * tl.load(gradient + at, mask=inside, other=0.0)
        surrogate = surrogate_of(u, threshold, SURROGATE)
        slope = slope_of(u, before, threshold, surrogate, SPIKE_TIME)
        by_time = slope * (filtered + reset * u * carry)
        carry = by_time + leak * carry * (1.0 - (u > threshold).to(tl.float32))
        falls_back = tl.load(errors + at, mask=inside, other=0.0) < below
        at_neuron = tl.where(falls_back, filtered * surrogate, carry)
        error = at_neuron * tl.load(response + steps - 1 - back)
        count += (falls_back & inside).to(tl.int32)
        if ADDS_UP:
            collected += error
        else:
            tl.store(errors + at, error, mask=inside)
        u = before
        at -= neurons
    if ADDS_UP:
        tl.store(total + first, collected, mask=inside)
    tl.atomic_add(fallbacks, tl.sum(count, 0).to(tl.int64))
