"""The TSSL-BP neuron in floating point: pure functions over time, time first."""

from typing import NamedTuple

import torch
from torch import Tensor


class Trace(NamedTuple):
    """What spiking neurons did, each ``(time, batch, *features)``."""

    psp: Tensor
    """Post-synaptic potential of their spikes."""
    spikes: Tensor
    """0 or 1."""
    voltage: Tensor
    """Membrane potential before a possible reset."""


def psp(x: Tensor, *, tau_s: float) -> Tensor:
    r"""Filter spikes into post-synaptic potentials.

    .. math:: a_t = (1 - 1/\tau_s)\, a_{t-1} + x_t / \tau_s, \qquad a_{-1} = 0

    Parameters
    ----------
    x
        Spikes or graded input, ``(time, *features)``.
    tau_s
        Synaptic time constant in time steps, at least 1.

    Returns
    -------
    psp
        Same shape as ``x``.

    References
    ----------
    .. [1] W. Zhang and P. Li, Temporal Spike Sequence Learning via Backpropagation for Deep
       Spiking Neural Networks, NeurIPS 2020; Euler decay as in the official code.
    """
    potential = torch.zeros_like(x[0])
    potentials = []
    for step in x:
        potential = (1 - 1 / tau_s) * potential + step / tau_s
        potentials.append(potential)
    return torch.stack(potentials)


def static_psp(time_steps: int, *, tau_s: float, like: Tensor) -> Tensor:
    r"""Return :math:`1 - (1 - 1/\tau_s)^{t+1}`, the response to a constant input of one.

    Parameters
    ----------
    like
        Gives dtype and device.

    Returns
    -------
    response
        ``(time,)``.
    """
    steps = torch.arange(1, time_steps + 1, dtype=torch.float64)
    return (1 - (1 - 1 / tau_s) ** steps).to(like)


def lif_forward(current: Tensor, *, tau_m: float, tau_s: float, threshold: float) -> Trace:
    r"""Run leaky integrate-and-fire neurons from rest.

    .. math::
        u_t = (1 - 1/\tau_m)\, v_{t-1} + I_t, \qquad s_t = [u_t > \vartheta], \qquad
        v_t = u_t (1 - s_t)

    Parameters
    ----------
    current
        Weighted input :math:`I`, ``(time, batch, *features)``.
    tau_m, tau_s
        Time constants of membrane and synapse in time steps.
    threshold
        Firing threshold; a potential equal to it does not fire.
    """
    voltages, spikes = [], []
    after_reset = torch.zeros_like(current[0])
    for step in current:
        voltage = (1 - 1 / tau_m) * after_reset + step
        fired = (voltage > threshold).to(current.dtype)
        after_reset = voltage * (1 - fired)
        voltages.append(voltage)
        spikes.append(fired)
    spike_train = torch.stack(spikes)
    return Trace(psp(spike_train, tau_s=tau_s), spike_train, torch.stack(voltages))
