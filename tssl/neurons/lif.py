"""The leaky integrate-and-fire neuron behind a synapse that filters."""

from dataclasses import dataclass

from tssl.chip import DECAY_ONE

__all__ = ["Lif"]


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
        Time constants of membrane and synapse in time steps, at least 1; 1 keeps nothing.
    threshold
        Potential above which the neuron fires; one that equals it does not.
    """

    tau_m: float
    tau_s: float
    threshold: float

    @property
    def current_decay(self) -> int:
        """What the chip's synaptic current loses per step, in units of 1/4096."""
        return round(DECAY_ONE / self.tau_s)

    @property
    def voltage_decay(self) -> int:
        """What the chip's membrane potential loses per step, in units of 1/4096."""
        return round(DECAY_ONE / self.tau_m)
