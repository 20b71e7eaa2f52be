"""What every neuron of a recipe says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tssl.neurons.model import Lif

__all__ = ["NeuronKind"]


@dataclass(frozen=True, kw_only=True)
class NeuronKind:
    """A neuron that a recipe can name.

    Parameters
    ----------
    make
        Returns the neuron before training, for the constants that a recipe gives.
    parameters
        What training finds beside weights and biases: sizes by role.
    without
        Constants that it does not have, and what to say to somebody who gives one.
    problem
        Says why no training can begin at a neuron; None where one can.
    share
        Part of what arrives that its membrane takes in.
    is_read
        Whether its potential is read and it sends nothing, so that only the last layer has it.
    """

    make: Callable[[Lif], Lif]
    parameters: Mapping[str, int] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    problem: Callable[[Lif], str | None] = lambda _: None
    share: Callable[[Lif], float] = lambda _: 1.0
    is_read: bool = False
