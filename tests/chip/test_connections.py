"""What every kind of synapses says of itself, against the matrix of all its synapses."""

from dataclasses import replace

import numpy as np
import pytest

from tssl.chip import ConvSynapses, DenseSynapses, Synapses
from tssl.geometry import Geometry


def conv(rng: np.random.Generator, **geometry: object) -> ConvSynapses:
    """Return a convolution of maps of 5 x 6 whose weights are never 0."""
    of = Geometry(kernel=(3, 2), **geometry)
    weight = rng.integers(1, 9, (4, 4 // of.groups, 3, 2))
    return ConvSynapses(weight=weight, map_shape=(4, 5, 6), geometry=of)


def matrix(synapses: Synapses) -> np.ndarray:
    """Return the weight between each output and each input, ``(outputs, inputs)``."""
    one_spike_each = np.eye(synapses.inputs, dtype=np.int64)[None]
    return synapses.sums(one_spike_each, 1)[0].T


KINDS = {
    "dense": lambda rng: DenseSynapses(weight=rng.integers(1, 9, (4, 6))),
    "conv": conv,
    "conv with stride and padding": lambda rng: conv(rng, stride=(2, 3), padding=(1, 1)),
    "conv with groups and dilation": lambda rng: conv(rng, groups=2, dilation=(1, 2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_a_core_are_those_with_a_synapse_on_it(kind, rng):
    synapses = KINDS[kind](rng)
    present = matrix(synapses) != 0
    positions = np.arange(synapses.outputs).reshape(synapses.output_shape)
    for held in (positions[..., :1], positions[1:3], positions):
        found = synapses.inputs_of(held.reshape(-1)).reshape(synapses.input_shape)
        read = present[held.reshape(-1)].any(axis=0).reshape(synapses.input_shape)
        assert not (read & ~found).any()
        maps = tuple(range(found.ndim - 1))  # a core of maps hears whole columns
        assert found.any(axis=maps).tolist() == read.any(axis=maps).tolist()


def test_a_dense_layer_stores_equal_inputs_once():
    weight = np.array([[1, 2, 1, 2], [3, 4, 3, 5]])
    dense = DenseSynapses(weight=weight)
    assert (len(dense.lists()), dense.distinct_weights()) == (3, 3)
    delayed = replace(dense, delay=np.array([[0, 0, 1, 0], [0, 0, 0, 0]]))
    assert len(delayed.lists()) == 4


def test_a_convolution_stores_a_list_for_every_input(rng):
    synapses = conv(rng)
    assert len(synapses.lists()) == synapses.inputs
    assert synapses.distinct_weights() == 4 * 3 * 2


def test_a_merged_pool_is_found_in_the_kernel(rng):
    small = np.arange(1, 9).reshape(2, 1, 2, 2)
    pooled = small.repeat(2, axis=2).repeat(2, axis=3)
    synapses = ConvSynapses(
        weight=pooled, map_shape=(1, 8, 8), geometry=Geometry(kernel=(4, 4), stride=(2, 2))
    )
    assert (synapses.merged_pool, synapses.distinct_weights()) == ((2, 2), 4)
    assert conv(rng).merged_pool == (1, 1)


def test_only_a_kernel_of_one_pixel_is_one_weight(rng):
    one = ConvSynapses(
        weight=np.full((1, 1, 1, 1), 8), map_shape=(1, 3, 3), geometry=Geometry(kernel=(1, 1))
    )
    assert one.has_one_weight
    assert not conv(rng).has_one_weight
    assert not DenseSynapses(weight=np.full((1, 1), 8)).has_one_weight
