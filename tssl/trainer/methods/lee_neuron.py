"""The neurons of Lee 2016, forward only, in units of each one's threshold."""

import torch
from torch import Tensor

from tssl.neurons import Lif, membrane_step
from tssl.trainer.neuron import Activity, Neurons, Trace, over_time
from tssl.trainer.recurrence import Gradient, spiking

__all__ = ["fire"]

_FORWARD = Gradient(spike_time=False, reset=0.0, fallback_below=0.0)
"""Of passes that nobody takes back."""


def fire(current: Tensor, neurons: Neurons, neuron: Lif, activity: Activity) -> Trace:
    r"""Run neurons that begin again at zero, or keep what was above the threshold.

    .. math:: V_i \leftarrow \lambda V_i + w_\mathrm{dyn} I_i[t] + \sum_j R_{ij} s_j[t-1]

    with :math:`w_\mathrm{dyn} = (\Delta / T_\mathrm{ref})^2` while the last spike is
    :math:`\Delta < T_\mathrm{ref}` steps away, else 1.

    Parameters
    ----------
    current
        ``(time, batch, neurons)``, or see ``Neurons.constant_steps``.
    neurons
        With a threshold of 1 and synapses of the time constant 1, so that ``psp`` of the result
        are spikes.
    neuron
        Gives the reset, and the refractory steps :math:`T_\mathrm{ref}`.
    """
    if neuron.reset == "zero" and not neuron.refractory:
        return spiking(current, neurons, _FORWARD, activity)
    current = over_time(current, neurons)
    spikes, voltages = torch.empty_like(current), torch.empty_like(current)
    after, fired = torch.zeros_like(current[0]), torch.zeros_like(current[0])
    since = torch.full_like(after, float(neuron.refractory))
    for t, arriving in enumerate(current):
        if neuron.refractory:
            since = torch.where(fired > 0, torch.ones_like(since), since + 1)
            arriving = arriving * (since / neuron.refractory).clamp(max=1).square()
        if neurons.feedback is not None:
            arriving = arriving + fired @ neurons.feedback.t()
        potential, fires, after = membrane_step(
            after, arriving, tau_m=neurons.tau_m, threshold=neurons.threshold
        )
        fired = fires.to(current)
        if neuron.reset == "subtract":
            after = potential - neurons.threshold * fired
        spikes[t], voltages[t] = fired, potential
    activity.neuron_steps += spikes.numel()
    activity.spikes = activity.spikes + spikes.sum()
    return Trace(spikes, spikes, voltages)
