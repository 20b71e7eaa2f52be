"""What turns a layer's weighted input into potentials that carry a gradient."""

from typing import Protocol

from torch import Tensor

from tssl.trainer.neuron import Activity, Neurons, Trace

__all__ = ["Rule"]


class Rule(Protocol):
    """A differentiable layer of neurons."""

    def __call__(self, current: Tensor, neurons: Neurons, activity: Activity) -> Trace:
        """Return a trace of which ``psp`` carries the rule's gradient to ``current``.

        Parameters
        ----------
        current
            Weighted input, ``(time, batch, *features)``; see ``Neurons.constant_steps``.
        activity
            Filled, in the forward and in the backward pass.
        """
