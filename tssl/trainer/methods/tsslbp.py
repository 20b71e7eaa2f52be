"""TSSL-BP: the error travels through inter- and intra-neuron spike-time dependencies."""

from torch import Tensor

from tssl.recipe import TrainingSpec
from tssl.trainer.methods.method import Material
from tssl.trainer.neuron import Activity, Neurons
from tssl.trainer.potentials import Potentials
from tssl.trainer.recurrence import Gradient, RecurrenceRule

_WARM_RATE = 0.1
"""Spikes per neuron and step at which a layer has warmed up, in the published version."""


def tssl_bp(current: Tensor, *, tau_m: float, tau_s: float, threshold: float) -> Tensor:
    r"""Return the post-synaptic potentials of spiking neurons, differentiable by TSSL-BP.

    With :math:`g = \partial L / \partial a`, :math:`r = 1 - 1/\tau_s`,
    :math:`\delta_t = u_t - v_{t-1}` and :math:`\varphi = \mathrm{clamp}(1/\delta, 0, 8)`, the
    error at the input current is computed in one pass backwards in time:

    .. math::
        A_t &= g_t/\tau_s + r A_{t+1} \\
        D_t &= s_t \varphi_t (A_t + u_t D_{t+1}/\tau_m)
               + (1 - s_t)(1 - 1/\tau_m) D_{t+1} \\
        e_t &= D_t \text{ where } a_t \ge 1/(4\tau_s), \text{ else }
               A_t\, z/(0.2 (1+z)^2), \quad z = e^{\mathrm{clamp}((\vartheta - u_t)/0.2, -8, 8)}

    The last case is the official code's warm-up for neurons without recent spikes; it never
    enters the carry :math:`D`.

    Parameters
    ----------
    current
        Weighted input, ``(time, batch, *features)``.
    tau_m, tau_s
        Time constants of membrane and synapse in time steps.
    threshold
        Firing threshold.

    Returns
    -------
    psp
        Same shape as ``current``.

    References
    ----------
    .. [1] W. Zhang and P. Li, Temporal Spike Sequence Learning via Backpropagation for Deep
       Spiking Neural Networks, NeurIPS 2020; the O(T) form equals the official code
       (stonezwr/TSSL-BP, December 2020) to rounding.
    """
    return rule_of(TrainingSpec())(current, Neurons(tau_m, tau_s, threshold), Activity()).psp


def make(material: Material) -> Potentials:
    """Return the method with the recipe's ``reset_term`` and ``warm_up``."""
    return Potentials(material, rule_of(material.recipe.training))


def rule_of(training: TrainingSpec) -> RecurrenceRule:
    """Return the rule with the recipe's ``reset_term`` and ``warm_up``."""

    def gradient(neurons: Neurons) -> Gradient:
        return Gradient(
            spike_time=True,
            reset=_reset(training, neurons),
            fallback_below=1 / (4 * neurons.tau_s) if training.warm_up == "neuron" else 0.0,
            warm_rate=_WARM_RATE if training.warm_up == "layer" else 0.0,
        )

    return RecurrenceRule(gradient)


def _reset(training: TrainingSpec, neurons: Neurons) -> float:
    """Return the factor of u D at a spike; see ``TrainingSpec.reset_term``."""
    chain_rule = -(1 - 1 / neurons.tau_m)
    return {"official": 1 / neurons.tau_m, "chain": chain_rule, "none": 0.0}[training.reset_term]
