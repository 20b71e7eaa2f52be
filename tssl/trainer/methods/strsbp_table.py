"""By how much one spike train is heard through another, on average and by their counts."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.neurons import Lif

__all__ = ["interaction", "listening", "mean_interaction", "rows_of"]

_TRAINS = 400
"""Drawn for each count; every one is paired with every other."""
_MOST_ROWS = 100
_DEGREE = 4


def rows_of(time_steps: int, refractory: int) -> int:
    """Return the largest count that the table holds: what a neuron can reach, or 100."""
    return max(_DEGREE + 1, min(_MOST_ROWS, time_steps // (refractory + 1)))


def listening(spikes: Tensor, *, tau_m: float, refractory: int) -> Tensor:
    r"""Return with which weight each neuron's next spike hears what arrives at each step.

    .. math:: z_t = 1 \text{ at a spike}, \quad 0 \text{ in the refractory steps after one}, \quad
        \text{else } \lambda z_{t+1}

    and 0 after the last spike.

    Parameters
    ----------
    spikes
        ``(time, ...)``.
    """
    first, kept = spikes.clone(), (1 - 1 / tau_m) * (1 - spikes)
    for steps in range(1, refractory + 1):
        for each in (first, kept):
            each[steps:] *= 1 - spikes[:-steps]
    heard, weight = torch.empty_like(spikes), torch.zeros_like(spikes[0])
    for t in reversed(range(len(spikes))):
        weight = torch.addcmul(first[t], kept[t], weight, out=heard[t])
    return heard


def interaction(neuron: Lif, time_steps: int, seed: int) -> Tensor:
    """Return quartics of the mean interaction, ``(rows, 5)``, the highest power first.

    Row n - 1 gives it for n spikes of the source as a function of the neuron's own count.
    """
    rows = rows_of(time_steps, neuron.refractory)
    means = mean_interaction(neuron, time_steps, rows, np.random.default_rng(seed))
    own = np.arange(1, rows + 1)
    fits = [np.polyfit(own, row, _DEGREE) for row in means]
    return torch.from_numpy(np.array(fits, np.float32))


def mean_interaction(
    neuron: Lif, time_steps: int, rows: int, rng: np.random.Generator, *, delay: int = 0
) -> NDArray[np.float64]:
    r"""Return the mean of :math:`e_{i|j} = \sum_t z_i[t] a_j[t]` over trains drawn at random.

    Both trains are independent, so the mean of the product is the product of the means: all pairs
    of trains at the price of one.

    Parameters
    ----------
    rows
        Largest count of either train.
    delay
        Steps that a spike is under way; the official code has 1.

    Returns
    -------
    means
        ``(rows, rows)``, by the counts of source and neuron.
    """
    heard, sent = (np.empty((rows, time_steps)) for _ in range(2))
    for count in range(1, rows + 1):
        for means, is_own in ((heard, True), (sent, False)):
            trains = torch.from_numpy(_drawn(rng, time_steps, count, neuron.refractory))
            if is_own:
                z = listening(trains, tau_m=neuron.tau_m, refractory=neuron.refractory)
                means[count - 1] = z.mean(dim=1).numpy()
            else:
                means[count - 1] = _filtered(trains.mean(dim=1).numpy(), neuron.tau_s, delay)
    return sent @ heard.T


def _drawn(rng: np.random.Generator, time_steps: int, count: int, rest: int) -> NDArray[np.float64]:
    """Draw trains ``(time, trains)`` of so many spikes with so many steps of rest between them."""
    free = max(count, time_steps - (count - 1) * rest)
    places = np.sort(rng.random((_TRAINS, free)).argsort(axis=1)[:, :count], axis=1)
    places = np.minimum(places + rest * np.arange(count), time_steps - 1)
    trains = np.zeros((time_steps, _TRAINS))
    trains[places.T, np.arange(_TRAINS)] = 1
    return trains


def _filtered(rate: NDArray[np.float64], tau_s: float, delay: int) -> NDArray[np.float64]:
    """Return the post-synaptic potential of a mean train ``(time,)``."""
    result, potential = np.empty_like(rate), 0.0
    arriving = np.concatenate([np.zeros(delay), rate])[: len(rate)]
    for t, step in enumerate(arriving):
        potential = (1 - 1 / tau_s) * potential + step / tau_s
        result[t] = potential
    return result
