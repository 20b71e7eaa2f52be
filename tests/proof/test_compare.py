import numpy as np
import pytest

from tests.lava_runtime.networks import block_net, dense_net
from tssl.chip import ChipNetwork
from tssl.errors import VerificationError
from tssl.proof.compare import Difference, accumulate, compare, first_difference
from tssl.results import Recording

STEPS, SAMPLES = 5, 3


def silence(network: ChipNetwork) -> Recording:
    trains = {
        layer.name: np.zeros((STEPS, SAMPLES, layer.neurons), np.uint8) for layer in network.layers
    }
    if network.input.neuron is not None:
        trains["input"] = np.zeros((STEPS, SAMPLES, network.input.neurons), np.uint8)
    return Recording(trains, np.zeros((SAMPLES, network.output.neurons), np.int64))


def test_equal_recordings_have_no_difference(rng):
    network = dense_net(rng)
    assert first_difference(network, silence(network), silence(network)) is None
    assert all(row.equal for row in compare(network, silence(network), silence(network)))


def test_earliest_layer_wins_even_when_a_later_layer_differs_earlier(rng):
    network = dense_net(rng)
    left, right = silence(network), silence(network)
    right.trains["b"][4, 2, 7] = 1
    right.trains["c"][0, 0, 0] = 1
    assert first_difference(network, left, right) == Difference("b", 7, 4, 2, 0, 1)


def test_within_a_layer_step_comes_before_sample_before_neuron(rng):
    network = dense_net(rng)
    left, right = silence(network), silence(network)
    left.trains["a"][3, 0, 0] = 1
    left.trains["a"][2, 1, 5] = 1
    left.trains["a"][2, 1, 3] = 1
    left.trains["a"][2, 2, 0] = 1
    found = first_difference(network, left, right, first_sample=100)
    assert found == Difference("a", 3, 2, 101, 1, 0)
    assert str(found) == "layer a, neuron 3, step 2, sample 101: spikes 1 against 0"


def test_input_neurons_come_first(rng):
    network = block_net(rng)
    left, right = silence(network), silence(network)
    right.trains["input"][4, 0, 1] = 1
    right.trains["c1"][0, 0, 0] = 1
    found = first_difference(network, left, right)
    assert found is not None
    assert found.layer == "input"


def test_membrane_potential_of_the_output_is_compared_last(rng):
    network = dense_net(rng)
    left, right = silence(network), silence(network)
    right.output_potential[1, 2] = -64
    found = first_difference(network, left, right)
    assert found == Difference("c", 2, STEPS - 1, 1, 0, -64, "membrane potential")
    assert [row.equal for row in compare(network, left, right)] == [True, True, True, False]


def test_rows_count_and_accumulate(rng):
    network = dense_net(rng)
    left, right = silence(network), silence(network)
    left.trains["a"][0, 0, :4] = 1
    right.trains["a"][0, 0, 3:6] = 1
    rows = compare(network, left, right)
    assert (rows[0].left, rows[0].right, rows[0].differences) == (4, 3, 5)
    assert rows[0].compared == STEPS * SAMPLES * 12
    total = accumulate(accumulate((), rows), rows)
    assert (total[0].left, total[0].compared) == (8, 2 * rows[0].compared)
    assert not total[0].equal
    assert total[1].equal


def test_rows_of_different_layers_do_not_add(rng):
    network = dense_net(rng)
    first, second, *_ = compare(network, silence(network), silence(network))
    with pytest.raises(VerificationError, match="cannot be added"):
        first + second


def test_other_shapes_and_missing_layers_are_named(rng):
    network = dense_net(rng)
    whole, part = silence(network), silence(network)
    part.trains["b"] = part.trains["b"][:, :1]
    with pytest.raises(VerificationError, match="layer b: spikes of shape"):
        first_difference(network, whole, part)
    del part.trains["b"]
    with pytest.raises(VerificationError, match="layer b: was recorded by one backend only"):
        compare(network, whole, part)
