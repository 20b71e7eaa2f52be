"""The leaky integrate-and-fire neuron with a trained leak."""

from tssl.neurons.kind import NeuronKind
from tssl.neurons.model import Lif

__all__ = ["PLIF"]


def _problem(neuron: Lif) -> str | None:
    if neuron.tau_m == 1:
        return "tau_m = 1, which training cannot change; begin above 1"
    return None


PLIF = NeuronKind(
    make=lambda given: given,
    parameters={"leak": 1},
    problem=_problem,
    share=lambda neuron: 1 / neuron.tau_m,
)
r"""Its membrane loses the share :math:`1/\tau_m` per step and takes in the same share of what
arrives; see :meth:`Lif.with_leak`."""
