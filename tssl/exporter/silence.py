"""What keeps a neuron silent that has fired: a synapse from each neuron to itself.

Neurons that forget nothing go on firing while their current is positive. The spike of a neuron
takes away, one step later and for good, at least as much current as all its inputs can bring.
"""

from collections.abc import Sequence

import numpy as np

from tssl.chip import ChipLimits, Connection, ConvSynapses, IntArray
from tssl.errors import RangeError
from tssl.geometry import Geometry, Shape

__all__ = ["largest_silence", "silencer", "strength_of"]

_PIXEL = Geometry(kernel=(1, 1))


def largest_silence(limits: ChipLimits) -> int:
    """Return the largest current that one spike can take away."""
    return limits.largest_weight << limits.weight_exponent


def strength_of(weights: Sequence[IntArray], bias: IntArray) -> int:
    """Return the largest current of a neuron whose inputs fire once each, and its bias.

    Parameters
    ----------
    weights
        Of all connections from others, ``(neurons, ...)`` or one kernel for each map.
    """
    sums = (int(each.clip(0).reshape(len(each), -1).sum(axis=1).max()) for each in weights)
    return sum(sums) + max(0, int(bias.max()))


def silencer(name: str, shape: Shape, strength: int, limits: ChipLimits) -> Connection:
    """Return the connection of a layer to itself that silences who has fired.

    All neurons lie in one map, and share one weight: as a number of the chip's, times a power of
    two, the exponent that its synapses have.

    Parameters
    ----------
    strength
        From :func:`strength_of`.

    Raises
    ------
    RangeError
        When the chip has no weight that is strong enough.
    """
    exponent = 0
    while strength > limits.largest_weight << exponent:
        exponent += 1
    if exponent > limits.weight_exponent:
        raise RangeError(
            f"layer {name}: silencing its neurons takes a weight of {strength}; the target holds "
            f"at most {largest_silence(limits)}"
        )
    unit = limits.weight_step << exponent
    weight = np.full((1, 1, 1, 1), -unit * max(1, -(-strength // unit)))
    *rows, width = shape
    map_shape = (1, int(np.prod(rows, dtype=int)), width)
    return Connection(
        source=name, synapses=ConvSynapses(weight=weight, map_shape=map_shape, geometry=_PIXEL)
    )
