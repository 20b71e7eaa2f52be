"""Core counts, against the tables that Intel's compiler printed for Loihi 2."""

from dataclasses import replace

import numpy as np
import pytest

from tests.hw_profiles.networks import NEURON, dense, distinct, pilotnet, recurrent
from tests.layers import reconnected
from tssl.chip import ChipNetwork, InputLayer, conv_layer, dense_layer
from tssl.errors import CapacityError
from tssl.hw_profiles import load_profile, map_to_cores
from tssl.hw_profiles.mapping.capacity import relies_on_shared_lists

LOIHI2 = load_profile("loihi2")


def cores(network, profile=LOIHI2):
    return [layer.cores for layer in map_to_cores(profile, network)]


def alone(layer, shape):
    return ChipNetwork(name="one", input=InputLayer(shape=shape), layers=(layer,))


def test_mnist_mlp_takes_the_compilers_five_cores():
    assert cores(dense(784, 128, 64, 10)) == [3, 1, 1]


def test_oxford_takes_one_core_less_than_the_compilers_five():
    assert cores(dense(200, 256, 200)) == [2, 2]  # the compiler: 3 and 2


def test_pilotnet_maps_are_exact_and_its_wide_dense_layer_is_short():
    mapped = {layer.layer: layer.cores for layer in map_to_cores(LOIHI2, pilotnet())}
    compiler = {"input": 13, "conv1": 25, "conv2": 13, "conv3": 3, "conv4": 3, "conv5": 2}
    assert {name: mapped[name] for name in compiler} == compiler
    assert mapped["dense1"] == 9  # the compiler: 12 or 13, 25 to 31 % more
    assert sum(mapped.values()) == 71  # the compiler: 74


@pytest.mark.parametrize(
    ("neurons", "words"), [(85, 27), (100, 31.5), (200, 63), (256, 81), (10, 3), (50, 12)]
)
def test_words_per_axon_follow_the_compilers(neurons, words):
    (layer,) = map_to_cores(LOIHI2, dense(40, neurons))
    assert layer.cores == 1
    assert layer.bound_by == "synaptic memory" or neurons == 10
    ours = -(-neurons * 20.25 // 64)
    if layer.bound_by == "synaptic memory":
        assert layer.utilisation == pytest.approx(40 * ours / 12000)
    assert words <= ours <= words * (1.02 if neurons > 64 else 1.34)


def test_fewer_bits_need_less_memory():
    """Intel's compiler stores a layer's weights in as many bits as they need."""
    layer = conv_layer(
        name="conv", source="input", weight=np.full((64, 16, 3, 3), 7), neuron=NEURON,
        map_shape=(16, 8, 8),
    )  # fmt: skip
    (conv,) = map_to_cores(LOIHI2, alone(layer, (16, 8, 8)))
    assert conv.shares["synaptic memory"] == pytest.approx(9 * 16 * 4 / 12000)  # 64 of 4 bits
    (wide,) = dense(40, 64).layers
    narrow = reconnected(wide, weight=np.random.default_rng(0).integers(-8, 8, (64, 40)))
    shares = [
        map_to_cores(LOIHI2, alone(each, (40,)))[0].shares["synaptic memory"]
        for each in (wide, narrow)
    ]
    assert shares[0] == pytest.approx(40 * 21 / 12000)  # 8 + 12.25 bits, 64 times
    assert shares[1] == pytest.approx(40 * 17 / 12000)  # 4 + 12.25


def test_mapping_says_what_binds():
    wide = map_to_cores(LOIHI2, dense(784, 128))[0]
    assert (wide.bound_by, wide.neurons) == ("synaptic memory", 128)
    assert wide.utilisation == pytest.approx(784 * 14 / 12000)  # 43 neurons, 14 words each
    many = map_to_cores(LOIHI2, dense(1, 4000))[0]
    assert (many.bound_by, many.cores) == ("neurons", 1)


def test_loihi1_holds_fewer_neurons_but_denser_synapses():
    loihi1 = load_profile("loihi1")
    assert cores(dense(784, 128, 64, 10), loihi1) == [1, 1, 1]
    assert cores(dense(2, 1025), loihi1) == [2]


def test_large_kernels_are_split_by_output_channels():
    layer = conv_layer(
        name="conv",
        source="input",
        weight=np.full((512, 256, 3, 3), 127),
        neuron=NEURON,
        map_shape=(256, 8, 8),
        padding=(1, 1),
    )
    (mapped,) = map_to_cores(LOIHI2, alone(layer, (256, 8, 8)))
    # 9 * 256 * 5 words hold 40 channels: 13 groups of 40; 8 columns of 8 rows each fit
    assert mapped.cores == 13
    assert mapped.utilisation == pytest.approx(9 * 256 * 5 / 12000)


def test_delays_and_recurrence_cost_memory():
    weight = distinct(100, 300)
    delay = np.full((100, 300), 3)
    plain = dense_layer(name="d", source="input", weight=weight, neuron=NEURON)
    slow = dense_layer(name="d", source="input", weight=weight, neuron=NEURON, delay=delay)
    recurrent = dense_layer(
        name="d",
        source="input",
        weight=weight,
        neuron=NEURON,
        recurrent_weight=-distinct(100, 100),
    )
    (base,) = map_to_cores(LOIHI2, alone(plain, (300,)))
    (delayed,) = map_to_cores(LOIHI2, alone(slow, (300,)))
    (looped,) = map_to_cores(LOIHI2, alone(recurrent, (300,)))
    assert base.utilisation == pytest.approx(300 * 32 / 12000)
    assert delayed.cores == 2  # 300 * 42 words are too many
    assert looped.cores == 2  # 400 * 32 words are too many


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (dense(20000, 2), ["dense1", "20000", "synaptic memory", "12000", "fewer inputs"]),
        (dense(1, 4095 * 129), ["129 cores", "128", "dense1", "Intel Loihi 2"]),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(network, words):
    with pytest.raises(CapacityError) as caught:
        map_to_cores(LOIHI2, network)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 3


def test_too_many_inputs_are_refused_on_loihi1():
    with pytest.raises(CapacityError, match=r"layer dense1: needs input axons for 5000 .* 4096"):
        map_to_cores(load_profile("loihi1"), dense(5000, 2))


def test_pilotnet_is_too_large_for_one_loihi1():
    with pytest.raises(CapacityError, match="needs 225 cores"):
        map_to_cores(load_profile("loihi1"), pilotnet())


def test_flat_input_neurons_take_cores():
    network = dense(5000, 1)
    block = InputLayer(shape=(5000,), neuron=NEURON)
    mapped = map_to_cores(LOIHI2, ChipNetwork(name="n", input=block, layers=network.layers))
    assert [(layer.layer, layer.cores) for layer in mapped] == [("input", 2), ("dense1", 1)]


def pooled(groups, size, outputs=2, **fields):
    """Return a layer whose inputs are equal in groups, as after merging a pool into it."""
    weight = np.repeat(distinct(outputs, groups), size, axis=1)
    layer = dense_layer(name="dense1", source="input", weight=weight, neuron=NEURON, **fields)
    return alone(layer, (groups * size,))


def test_inputs_with_equal_weights_share_a_synapse_list():
    (mapped,) = map_to_cores(LOIHI2, pooled(784, 4, 128))
    assert mapped.cores == 3  # as 784 inputs, not 3,136
    assert mapped.utilisation == pytest.approx(784 * 14 / 12000)


def test_shared_lists_save_input_axons_too():
    loihi1 = load_profile("loihi1")
    (mapped,) = map_to_cores(loihi1, pooled(4096, 4))
    assert (mapped.bound_by, mapped.utilisation) == ("input axons", 1.0)
    with pytest.raises(CapacityError, match="input axons for 4097"):
        map_to_cores(loihi1, pooled(4097, 4))


def test_equal_weights_with_unequal_delays_share_nothing():
    delay = np.tile(np.arange(40) % 4, (50, 1))
    same = map_to_cores(LOIHI2, pooled(10, 4, 50))[0].utilisation
    assert same == pytest.approx(10 * 16 / 12000)
    differing = map_to_cores(LOIHI2, pooled(10, 4, 50, delay=delay))[0].utilisation
    assert differing == pytest.approx(40 * 21 / 12000)  # 20.25 + 6 bits


def test_reliance_on_shared_lists_is_noticed_only_where_it_matters():
    assert relies_on_shared_lists(LOIHI2, pooled(784, 4, 128))
    assert not relies_on_shared_lists(LOIHI2, dense(784, 128))
    assert not relies_on_shared_lists(LOIHI2, pilotnet())
    assert not relies_on_shared_lists(LOIHI2, pooled(1, 2, 4000))  # neurons bind either way


def test_output_axons_spread_a_layer_whose_targets_are_many():
    loihi1 = load_profile("loihi1")
    first, second = map_to_cores(loihi1, dense(100, 1000, 6000))
    assert second.cores == 54  # 1000 inputs, 16 words each: 113 neurons a core
    assert first.bound_by == "output axons"
    assert first.cores == 14  # 4096 axons, 54 per neuron: 75 neurons a core
    assert first.utilisation == pytest.approx(72 * 54 / 4096)
    alone = map_to_cores(loihi1, dense(100, 1000))[0]
    assert alone.cores < first.cores


def test_a_recurrent_layer_takes_output_axons_to_its_own_cores():
    loihi1 = load_profile("loihi1")
    (looped,) = map_to_cores(loihi1, recurrent(1000))
    held = -(-1000 // looped.cores)
    assert looped.shares["output axons"] == pytest.approx(held * looped.cores / 4096)
    first, second = map_to_cores(loihi1, recurrent(1000, 2000))
    held = -(-1000 // first.cores)
    reached = first.cores + second.cores
    assert first.shares["output axons"] == pytest.approx(held * reached / 4096)


def test_a_recurrent_convolution_sends_to_the_cores_of_neighbouring_columns():
    shape = (16, 32, 32)
    layer = conv_layer(
        name="c", source="input", weight=np.full((16, 1, 1, 1), 9), map_shape=(1, 32, 32),
        neuron=NEURON,
    )  # fmt: skip
    own = conv_layer(
        name="own", source="c", weight=np.full((16, 16, 3, 3), 3), map_shape=shape,
        padding=(1, 1), neuron=NEURON,
    )  # fmt: skip
    looped = replace(layer, connections=(*layer.connections, *own.connections))
    (mapped,) = map_to_cores(load_profile("loihi1"), alone(looped, (1, 32, 32)))
    assert (mapped.columns, mapped.channel_groups) == (2, 1)  # three columns lie on two cores
    assert mapped.shares["output axons"] == pytest.approx(2 * 1024 / 4096)


def test_a_pool_merged_into_a_convolution_shares_its_lists():
    kernel = np.arange(1, 1 + 64 * 256 * 9).reshape(64, 256, 3, 3)
    layer = conv_layer(
        name="conv",
        source="input",
        weight=kernel.repeat(2, axis=2).repeat(2, axis=3),
        neuron=NEURON,
        map_shape=(256, 16, 16),
        stride=(2, 2),
        padding=(2, 2),
    )
    network = alone(layer, (256, 16, 16))
    (mapped,) = map_to_cores(LOIHI2, network)
    assert mapped.shares["synaptic memory"] == pytest.approx(9 * 256 * 4 / 12000)
    assert relies_on_shared_lists(LOIHI2, network)


def test_every_limited_resource_is_shown():
    (mapped,) = map_to_cores(LOIHI2, dense(784, 40))
    assert set(mapped.shares) == {"neurons", "synaptic memory", "input axons", "neuron groups"}
    assert mapped.utilisation == max(mapped.shares.values())


def test_a_synapse_to_itself_is_an_axon_and_a_word_of_each_neuron():
    layer = dense_layer(name="d", source="input", weight=distinct(100, 30), neuron=NEURON)
    own = conv_layer(
        name="own", source="d", weight=[[[[-8]]]], map_shape=(1, 10, 10), neuron=NEURON
    )
    silenced = replace(layer, connections=(*layer.connections, *own.connections))
    (plain,) = map_to_cores(LOIHI2, alone(layer, (30,)))
    (with_own,) = map_to_cores(LOIHI2, alone(silenced, (30,)))
    words = 12000 * (with_own.shares["synaptic memory"] - plain.shares["synaptic memory"])
    assert words == pytest.approx(100)
    assert with_own.shares["input axons"] / plain.shares["input axons"] == pytest.approx(130 / 30)
    (on_loihi1,) = map_to_cores(load_profile("loihi1"), alone(silenced, (30,)))
    assert on_loihi1.shares["output axons"] == pytest.approx(100 / on_loihi1.cores / 4096)
