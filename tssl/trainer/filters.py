"""Which synapse filter what a layer sends has passed.

The filter belongs to the synapses of the layer that listens, as on the chip, and is the same for
all inputs of a neuron. So it can be applied once, where spikes leave: each layer sends
post-synaptic potentials. Where listeners have different synapses, it sends the spikes themselves,
potentials of the time constant 1, and each listener filters them. Recurrent neurons listen to
themselves and send the potentials of their own synapses.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from tssl.chip import INPUT
from tssl.graph import Graph
from tssl.trainer.neuron import psp

__all__ = ["filters_of", "refiltered"]

_NONE = 1.0


def filters_of(graph: Graph) -> Mapping[str, float]:
    """Return the time constant with which what each layer sends, and the input, is filtered.

    What the last layer gives to the loss is filtered by its own.
    """
    found: dict[str, float] = {}
    for name in (INPUT, *(node.name for node in graph)):
        wanted = set(_wanted(graph, name))
        found[name] = wanted.pop() if len(wanted) == 1 else _NONE
    for node in graph.spiking:
        if node.neuron is not None and "recurrent" in node.parameters:
            found[node.name] = node.neuron.tau_s
    return found


def _wanted(graph: Graph, name: str) -> Iterator[float]:
    """Yield the time constants of the synapses that a layer's spikes reach, through pools too."""
    for reader in graph.readers[name]:
        if reader.neuron is None:
            yield from _wanted(graph, reader.name)
        else:
            yield reader.neuron.tau_s
    last = graph.output
    if name == last.name and last.neuron is not None:
        yield last.neuron.tau_s


def refiltered(potentials: Tensor, *, before: float, after: float) -> Tensor:
    r"""Return potentials of another time constant of the same spikes.

    .. math:: s_t = \tau_s a_t - (\tau_s - 1) a_{t-1}

    Parameters
    ----------
    potentials
        ``(time, ...)``, filtered with the time constant ``before``.
    """
    if before == after:
        return potentials
    spikes = before * potentials
    spikes = torch.cat([spikes[:1], spikes[1:] - (before - 1) * potentials[:-1]])
    return psp(spikes, tau_s=after)
