"""Surrogate gradients: a spike counts as a steep but smooth function of the membrane potential."""

from tssl.trainer.methods.method import Material
from tssl.trainer.neuron import Neurons
from tssl.trainer.potentials import Potentials
from tssl.trainer.recurrence import Gradient, RecurrenceRule
from tssl.trainer.slopes import arctan as arctan_slope


def detached(material: Material) -> Potentials:
    """Return the usual rule: the reset is taken for a constant."""
    setting = Gradient(spike_time=False, reset=0.0, fallback_below=0.0)
    return Potentials(material, RecurrenceRule(lambda _: setting))


def arctan(material: Material) -> Potentials:
    """Return the rule of SEW ResNet: an arctangent, and the reset taken for a constant."""
    setting = Gradient(spike_time=False, reset=0.0, fallback_below=0.0, surrogate=arctan_slope)
    return Potentials(material, RecurrenceRule(lambda _: setting))


def with_reset(material: Material) -> Potentials:
    r"""Return the complete gradient, through the reset as well.

    The potential after a reset is :math:`u (1 - s)`, so
    :math:`\partial u_{t+1}/\partial u_t = \lambda (1 - s_t) - \lambda u_t \sigma'(u_t)`.

    References
    ----------
    .. [1] Y. Yang, Temporal Surrogate Back-propagation for Spiking Neural Networks,
       arXiv:2011.09964, 2020.
    """

    def gradient(neurons: Neurons) -> Gradient:
        return Gradient(spike_time=False, reset=-(1 - 1 / neurons.tau_m), fallback_below=0.0)

    return Potentials(material, RecurrenceRule(gradient))
