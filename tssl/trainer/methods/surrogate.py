"""Surrogate gradients: a spike counts as a steep but smooth function of the membrane potential.

See docs/methods/yang.md.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from tssl.recipe import entries_of
from tssl.settings import Entries
from tssl.trainer.methods.method import Material
from tssl.trainer.neuron import Neurons
from tssl.trainer.potentials import Potentials
from tssl.trainer.recurrence import Gradient, RecurrenceRule
from tssl.trainer.slopes import SURROGATES
from tssl.trainer.slopes import arctan as arctan_slope


class SurrogateSettings(Entries):
    """What a recipe may set in ``training.settings`` of ``surrogate`` and ``surrogate-reset``.

    Parameters
    ----------
    surrogate
        See :mod:`tssl.trainer.slopes`.
    """

    surrogate: Literal["sigmoid", "arctan", "rectangular"] = "sigmoid"


def detached(material: Material) -> Potentials:
    """Return the usual rule: the reset is taken for a constant."""
    setting = Gradient(
        spike_time=False, reset=0.0, fallback_below=0.0, surrogate=_surrogate(material)
    )
    return Potentials(material, RecurrenceRule(lambda _: setting), own_settings=True)


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
    surrogate = _surrogate(material)

    def gradient(neurons: Neurons) -> Gradient:
        leak = 1 - 1 / neurons.tau_m
        return Gradient(spike_time=False, reset=-leak, fallback_below=0.0, surrogate=surrogate)

    return Potentials(material, RecurrenceRule(gradient), own_settings=True)


def _surrogate(material: Material) -> Callable[[Tensor, float], Tensor]:
    values = material.recipe.training.settings
    return SURROGATES[entries_of(SurrogateSettings, values, "training.settings").surrogate]
