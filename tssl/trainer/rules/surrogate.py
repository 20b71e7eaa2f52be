"""Surrogate gradients: a spike counts as a steep sigmoid of the membrane potential."""

from torch import Tensor

from tssl.spec import TrainingSpec
from tssl.trainer.neuron import Activity, Neurons, Trace
from tssl.trainer.recurrence import Gradient, spiking
from tssl.trainer.rules import Rule


def detached(_: TrainingSpec) -> Rule:
    """Return the usual rule: the reset is taken for a constant."""

    def rule(current: Tensor, neurons: Neurons, activity: Activity) -> Trace:
        gradient = Gradient(spike_time=False, reset=0.0, fallback_below=0.0)
        return spiking(current, neurons, gradient, activity)

    return rule


def with_reset(_: TrainingSpec) -> Rule:
    r"""Return the complete gradient, through the reset as well.

    The potential after a reset is :math:`u (1 - s)`, so
    :math:`\partial u_{t+1}/\partial u_t = \lambda (1 - s_t) - \lambda u_t \sigma'(u_t)`.

    References
    ----------
    .. [1] Y. Yang, Temporal Surrogate Back-propagation for Spiking Neural Networks,
       arXiv:2011.09964, 2020.
    """

    def rule(current: Tensor, neurons: Neurons, activity: Activity) -> Trace:
        gradient = Gradient(spike_time=False, reset=-(1 - 1 / neurons.tau_m), fallback_below=0.0)
        return spiking(current, neurons, gradient, activity)

    return rule
