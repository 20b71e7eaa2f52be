"""The leaky integrate-and-fire neuron behind a synapse that filters."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from tssl.chip import DECAY_ONE

__all__ = ["Lif", "Reset", "membrane_step"]

Reset = Literal["zero", "subtract"]


@dataclass(frozen=True, kw_only=True)
class Lif:
    r"""Parameters of the TSSL-BP neuron.

    .. math::
        a_t &= (1 - 1/\tau_s)\, a_{t-1} + s_t / \tau_s \\
        v_t &= (1 - 1/\tau_m)\, v_{t-1} + W a_t, \qquad \text{spike and } v_t \leftarrow 0
        \text{ where } v_t > \vartheta

    Parameters
    ----------
    tau_m, tau_s
        Time constants of membrane and synapse in time steps, at least 1; 1 keeps nothing. A
        membrane with an infinite one has no leak: an integrate-and-fire neuron.
        A synapse with an infinite one keeps what arrives, and takes it in as it is.
    threshold
        Potential above which the neuron fires; one that equals it does not. A neuron with an
        infinite one never fires: its potential is read.
    fires_once
        Whether it stays silent after its first spike.
    reset
        What a spike leaves of the potential: ``zero``, or what was above the threshold, which the
        chip's neuron and most learning methods do not have.
    values
        Whether it sends by how much its rectified value changed, and no spikes: a sigma-delta
        neuron, whose ``threshold`` is the least change that it sends.
    refractory
        Steps after a spike in which what arrives counts less or not at all, as the learning method
        says; the chip's neuron and most methods have none.
    """

    tau_m: float
    tau_s: float
    threshold: float
    fires_once: bool = False
    reset: Reset = "zero"
    refractory: int = 0
    values: bool = False

    @property
    def never_fires(self) -> bool:
        """Whether its potential is read, and it sends nothing."""
        return math.isinf(self.threshold)

    @property
    def gain(self) -> float:
        """What a synapse passes on of a spike at its step: 1/tau_s, or all where none is lost."""
        return 1.0 if math.isinf(self.tau_s) else 1 / self.tau_s

    def with_leak(self, parameter: float) -> "Lif":
        r"""Return the neuron whose membrane loses :math:`\omega = \sigma(w)` of itself per step.

        Parameters
        ----------
        parameter
            The trained :math:`w`.

        References
        ----------
        .. [1] W. Fang et al., Incorporating Learnable Membrane Time Constant to Enhance Learning
           of Spiking Neural Networks, ICCV 2021.
        """
        return replace(self, tau_m=1 + math.exp(-parameter))

    @property
    def leak_parameter(self) -> float:
        """The number that :meth:`with_leak` turns into this membrane."""
        return -math.log(self.tau_m - 1)

    @property
    def current_decay(self) -> int:
        """What the chip's synaptic current loses per step, in units of 1/4096."""
        return round(DECAY_ONE / self.tau_s)

    @property
    def voltage_decay(self) -> int:
        """What the chip's membrane potential loses per step, in units of 1/4096."""
        return round(DECAY_ONE / self.tau_m)


def membrane_step(
    after_reset: Any,  # noqa: ANN401 - an array of NumPy or PyTorch, and the like comes back
    arriving: Any,  # noqa: ANN401
    *,
    tau_m: float,
    threshold: float,
) -> tuple[Any, Any, Any]:
    r"""Advance the membrane by one step; of NumPy arrays or tensors of any shape.

    .. math::
        u_t = (1 - 1/\tau_m)\, v_{t-1} + I_t, \qquad s_t = [u_t > \vartheta], \qquad
        v_t = u_t (1 - s_t)

    Parameters
    ----------
    after_reset
        :math:`v_{t-1}`.
    arriving
        The weighted current :math:`I_t`.

    Returns
    -------
    potential, fires, after_reset
        :math:`u_t`, :math:`s_t` as truth values, :math:`v_t`.

    Notes
    -----
    The compiled loops of the trainer, for CPU and GPU, compute the same bits; tests compare them.
    """
    potential = (1 - 1 / tau_m) * after_reset + arriving
    fires = potential > threshold
    return potential, fires, potential * ~fires
