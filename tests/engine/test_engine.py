import weakref

import numpy as np

from tests.lava_runtime.networks import block_net, dense_net
from tssl.chip import INTEGRATOR, ChipNetwork, CubaNeuron, InputLayer, dense_layer
from tssl.engine import Engine, engine
from tssl.machine.cores import cores

HALVING = CubaNeuron(current_decay=4096, voltage_decay=2048, threshold=10)


def test_two_layers_by_hand():
    """No memory in the current; the potential halves; both in units of 2**6.

    Input 1, 0, 1, 1, 0 through weight 8: v = 8, 4, 10, 13, 0. Ten is not above the
    threshold of ten, thirteen is: one spike at step 3, then reset. The read-out adds 3 then.
    """
    first = dense_layer(name="a", source="input", weight=[[8]], neuron=HALVING)
    second = dense_layer(name="b", source="a", weight=[[3], [-5]], neuron=INTEGRATOR)
    network = ChipNetwork(name="hand", input=InputLayer(shape=(1,)), layers=(first, second))
    train = np.array([1, 0, 1, 1, 0]).reshape(5, 1, 1)
    ((part, recording),) = Engine().run(network, train, 5, lambda _: None)
    assert part is train or np.array_equal(part, train)
    assert recording.trains["a"].ravel().tolist() == [0, 0, 0, 1, 0]
    assert not recording.trains["b"].any()
    # an integrator's current never decays: 3 at step 3 and still 3 at step 4, v = u
    assert recording.output_potential.tolist() == [[3 * 64, -5 * 64]]


def test_input_neurons_by_hand():
    """A bias of 6 with halving: v = 6, 9, 10.5 > 10 fires at step 2, and so on."""
    layer = dense_layer(name="a", source="input", weight=[[1]], neuron=HALVING)
    network = ChipNetwork(
        name="block", input=InputLayer(shape=(1,), neuron=HALVING), layers=(layer,)
    )
    ((_, recording),) = Engine().run(network, np.array([[[6]]]), 7, lambda _: None)
    assert recording.trains["input"].ravel().tolist() == [0, 0, 1, 0, 0, 1, 0]


def test_samples_do_not_see_each_other_nor_the_chunks(rng, monkeypatch):
    network = dense_net(rng)
    train = rng.integers(-9, 30, (6, 7, 9))
    whole = engine.run_chunk(network, train, 6)
    assert whole.trains["c"].any()
    monkeypatch.setattr(engine, "_BLOCK_BYTES", 1)
    reports: list[int] = []
    chunks = list(Engine().run(network, train, 6, reports.append))
    assert reports == [1, 2, 3, 4, 5, 6, 7]
    for name, spikes in whole.trains.items():
        assert np.array_equal(np.concatenate([c.trains[name] for _, c in chunks], 1), spikes)


def test_static_input_equals_repeated_input(rng):
    for network in (dense_net(rng), block_net(rng)):
        train = rng.integers(0, 40, (1, 3, network.input.neurons))
        static = engine.run_chunk(network, train, 6)
        repeated = np.repeat(train, 6, axis=0)
        full = engine.run_chunk(network, repeated, 6)
        assert static.trains[network.output.name].any()
        assert all(np.array_equal(static.trains[n], full.trains[n]) for n in full.trains)


def test_memory_does_not_grow_with_the_samples(rng, monkeypatch):
    """What is handed over is small and not kept, and the engine runs ahead only a little."""
    network = dense_net(rng)
    monkeypatch.setattr(engine, "_BLOCK_BYTES", 1 << 12)
    made: list[weakref.ref] = []
    original = engine.Compiled.run_part

    def run_part(*arguments: object) -> object:
        recording = original(*arguments)
        made.append(weakref.ref(recording.trains["a"].base))
        return recording

    monkeypatch.setattr(engine.Compiled, "run_part", run_part)
    for samples in (500, 5000):
        train = np.broadcast_to(rng.integers(0, 9, (1, 1, 9)), (6, samples, 9))
        most = []
        for part, recording in Engine().run(network, train, 6, lambda _: None):
            most.append((part.shape[1], sum(ref() is not None for ref in made)))
            del part, recording
        sizes, alive = zip(*most, strict=True)
        assert max(sizes) < 100
        assert max(alive) <= 2 * cores() + 2 < len(most)


def test_integers_beyond_32_bits_are_left_to_the_hub(rng):
    """Weights too wide for the kernels: slower, and as exact."""
    layer = dense_layer(name="a", source="input", weight=[[5000, -9], [3, 4]], neuron=HALVING)
    network = ChipNetwork(name="wide", input=InputLayer(shape=(2,)), layers=(layer,))
    train = rng.integers(0, 2, (4, 3, 2))
    recording = engine.run_chunk(network, train, 4)
    expected = layer.run({layer.source: train}, 4)
    assert expected.spikes.any()
    assert np.array_equal(recording.trains["a"], expected.spikes)
    assert np.array_equal(recording.output_potential, expected.state.potential)


def test_bytes_may_hold_more_than_spikes(rng):
    """Frames of events arrive in bytes: their counts are values, not spikes."""
    for network in (dense_net(rng), block_net(rng)):
        steps = 5 if network.input.neuron is None else 1
        train = rng.integers(0, 120, (steps, 4, network.input.neurons))
        whole = engine.run_chunk(network, train, 5)
        small = engine.run_chunk(network, train.astype(np.uint8), 5)
        for name, spikes in whole.trains.items():
            assert np.array_equal(small.trains[name], spikes)
        assert sum(int(spikes.sum()) for spikes in whole.trains.values()) > 50
