"""Two statements of what exported integers mean: PyTorch with pools, and the engine without."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exporter.networks import LIMITS, checkpoint, conv, dense, pool
from tests.layers import reconnected
from tssl.checkpoint import Checkpoint, input_neuron
from tssl.chip import ChipNetwork, CubaNeuron, IntArray, Layer, cuba_run
from tssl.engine import run_chunk
from tssl.exporter import Quantized, quantization, quantize
from tssl.exporter import lower as lowering
from tssl.proof.compare import compare, first_difference
from tssl.proof.quantized import fired, run_quantized
from tssl.recipe import EncodingSpec
from tssl.results import Recording

CNN = [conv(4, 3), pool(2), conv(5, (2, 3)), pool((2, 1)), dense(12), dense(5)]
STEPS = 6


def exported(
    rng: np.random.Generator, layers: list, shape: tuple[int, int, int], **network: float
) -> tuple[Checkpoint, Quantized, IntArray]:
    trained = checkpoint(rng, layers, shape, spread=1.6, time_steps=STEPS, **network)
    train = rng.integers(-4, 17, (1, 6, int(np.prod(shape))))
    return trained, quantize(trained, LIMITS, train, (-4, 16)), train


def lively(
    draw: Callable[[], tuple[Checkpoint, Quantized, IntArray]],
) -> tuple[Checkpoint, Quantized, IntArray]:
    """Return the first network drawn in which every layer fires, and none always."""
    for _ in range(10):
        trained, result, train = draw()
        spikes = run_chunk(result.network, train, STEPS).trains
        if all(0 < spikes[layer.name].mean() < 1 for layer in result.network.layers):
            return trained, result, train
    pytest.fail("in ten networks drawn a layer is silent or always fires")


def witness(trained: Checkpoint, result: Quantized, train: IntArray) -> Recording:
    scales = {report.layer.name: report.scale for report in result.reports}
    chunks = list(run_quantized(trained, scales, result.largest_weights, train, LIMITS.weight_bits))
    assert len(chunks) == 1
    return chunks[0][1]


def assert_same(trained: Checkpoint, result: Quantized, train: IntArray) -> None:
    chip = result.network
    ours, theirs = witness(trained, result, train), run_chunk(chip, train, STEPS)
    assert first_difference(chip, ours, theirs) is None
    assert all(row.equal for row in compare(chip, ours, theirs))
    for name, spikes in theirs.trains.items():
        assert ours.trains[name].shape == spikes.shape
    assert theirs.trains[chip.layers[0].name].any()


@pytest.mark.parametrize("shape", [(1, 14, 12), (1, 15, 13), (2, 17, 11), (3, 12, 15)], ids=str)
@pytest.mark.parametrize("taus", [{}, {"tau_s": 2.3, "tau_m": 7.7}, {"tau_s": 1.0}], ids=str)
def test_random_networks(rng, shape, taus):
    """Every spike of every layer, and the final potentials; odd sizes drop edges."""
    assert_same(*lively(lambda: exported(rng, CNN, shape, **taus)))


@pytest.mark.parametrize(
    "layers",
    [
        [dense(30, recurrent=True), dense(12, recurrent=True), dense(5)],
        [conv(4, 3, dilation=2), pool(2), conv(6, 2, dilation=(2, 1), padding=2), dense(5)],
        [conv(4, 3), conv(6, 3, groups=2), pool(2), conv(6, 2, groups=3), dense(5, recurrent=True)],
        [conv(4, 3), pool(2, mode="average"), pool((1, 2)), conv(6, 2), pool("global"), dense(5)],
        [conv(9, 3), pool("global", mode="average", gain=9.0), dense(5)],
    ],
    ids=["recurrent", "dilation", "groups", "averages", "global average"],
)
@pytest.mark.parametrize("frames", [1, STEPS])
def test_further_kinds_of_layer(rng, layers, frames):
    """Constant input, and one that changes at every step."""

    def draw() -> tuple[Checkpoint, Quantized, IntArray]:
        trained = checkpoint(rng, layers, (2, 14, 12), spread=2.5, time_steps=STEPS)
        train = rng.integers(-4, 17, (frames, 6, 2 * 14 * 12))
        return trained, quantize(trained, LIMITS, train, (-4, 16)), train

    assert_same(*lively(draw))


@pytest.mark.parametrize("resolution", [1, 3, 15, 16, 255, 4000])
@pytest.mark.parametrize("threshold", [None, 0.4, 1.0, 2.7])
def test_when_input_neurons_fire(resolution, threshold):
    """Two statements again: every k-th step here, a potential that adds up in ``tssl.chip``."""
    spec = EncodingSpec(input="neurons", resolution=resolution, input_threshold=threshold)
    neuron = input_neuron(spec)
    bias = np.arange(-resolution, 2 * resolution + 2)
    chip = cuba_run(neuron, np.zeros((1, len(bias)), np.int64), bias, 20).spikes
    biases = torch.from_numpy(np.broadcast_to(bias, (20, len(bias))).astype(np.float64))
    assert 0 < chip.mean() < 1
    assert not chip[:, bias <= 0].any()
    assert np.array_equal(fired(biases, spec.firing_sum).numpy(), chip)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(13, 18), st.integers(13, 18)),
    windows=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    stride=st.integers(1, 2),
    padded=st.booleans(),
)
def test_any_geometry(seed, size, windows, stride, padded):
    rng = np.random.default_rng(seed)
    layers = [
        conv(3, 2, stride=stride, padding=int(padded)), pool(windows[0]), conv(3, (1, 2)),
        pool((windows[1], 1), gain=0.8), dense(7), dense(3),
    ]  # fmt: skip
    assert_same(*exported(rng, layers, (1, *size)))


@pytest.mark.parametrize(
    "layers",
    [
        [dense(9), dense(4)],
        [pool(2), dense(9), dense(4)],
        [pool(2), pool(3), dense(9), dense(4)],
        [pool(2), pool((1, 2)), conv(3, 2), dense(4)],
        [pool(2), conv(3, 3, padding=1), pool(3), conv(4, 2, padding=(1, 0)), dense(4)],
        [conv(3, 3)],
        [pool(3, stride=2, padding=1), dense(9), dense(4)],
        [pool(2, stride=1), conv(3, 2, stride=2), pool((3, 2), stride=(2, 1)), dense(4)],
        [conv(3, 2), pool(3, stride=2, padding=1), conv(4, 2, padding=1), dense(4)],
        [conv(3, 3, padding=1), pool(3, mode="or", stride=2, padding=1), conv(4, 2), dense(4)],
    ],
)
def test_other_chains(rng, layers):
    assert_same(*exported(rng, layers, (1, 12, 12)))


def test_state_that_wraps_and_saturates(rng):
    """Far beyond what an export allows, both must still compute the same garbage."""
    trained, result, train = exported(rng, CNN, (1, 14, 12), tau_s=90.0, tau_m=90.0)
    assert_same(trained, result, train * 400)


def test_chunks_cover_all_samples(rng, monkeypatch):
    trained, result, train = exported(rng, CNN, (1, 14, 12))
    whole = witness(trained, result, train)
    monkeypatch.setattr("tssl.proof.quantized._CHUNK_BYTES", 1)
    scales = {report.layer.name: report.scale for report in result.reports}
    chunks = list(run_quantized(trained, scales, result.largest_weights, train, LIMITS.weight_bits))
    assert [part.shape[1] for part, _ in chunks] == [1] * 6
    joined = np.concatenate([recording.trains["dense6"] for _, recording in chunks], axis=1)
    np.testing.assert_array_equal(joined, whole.trains["dense6"])


def lighter(layer: Layer, spikes: IntArray, train: IntArray, tap: tuple[int, int]) -> Layer:
    """Silence the busiest neuron (or map) where it listens to its busiest input (or map)."""
    weight = layer.synapses.weight.copy()
    if layer.synapses.geometry is not None:
        sender = int(np.argmax(train.reshape(-1, *layer.synapses.map_shape).sum(axis=(0, 2, 3))))
        listener = int(np.argmax(spikes.reshape(-1, *layer.output_shape).sum(axis=(0, 2, 3))))
        weight[(listener, sender, *tap)] -= 5000
    else:
        weight[np.argmax(spikes.sum(axis=(0, 1))), np.argmax(train.sum(axis=(0, 1)))] -= 5000
    assert np.count_nonzero(weight != layer.synapses.weight) == 1
    return reconnected(layer, weight=weight)


def damaged(chip: ChipNetwork, position: int, train: IntArray, tap: tuple[int, int]) -> ChipNetwork:
    layers = list(chip.layers)
    spikes = run_chunk(chip, train, STEPS).trains
    layer = layers[position]
    layers[position] = lighter(layer, spikes[layer.name], spikes.get(layer.source, train), tap)
    return replace(chip, layers=tuple(layers))


@pytest.mark.parametrize(
    ("position", "tap"),
    [(0, (1, 1)), (1, (0, 0)), (1, (1, 1)), (1, (3, 5)), (2, (0, 0)), (3, (0, 0))],
    ids=str,
)
def test_one_wrong_weight_is_noticed(rng, position, tap):
    trained, result, train = exported(rng, CNN, (1, 14, 12))
    wrong = damaged(result.network, position, train, tap)
    ours, theirs = witness(trained, result, train), run_chunk(wrong, train, STEPS)
    difference = first_difference(wrong, ours, theirs)
    assert difference is not None
    assert difference.layer == wrong.layers[position].name


def negated(stage):
    (arriving,) = stage.arriving
    return replace(stage, connections=(replace(arriving, weight=-arriving.weight),))


def shuffled(stage):
    (arriving,) = stage.arriving
    order = np.random.default_rng(0).permutation(arriving.weight.size)
    weight = arriving.weight.reshape(-1)[order].reshape(arriving.weight.shape)
    return replace(stage, connections=(replace(arriving, weight=weight),))


def less_excitable(stage):
    neuron = replace(stage.neuron, threshold=stage.neuron.threshold * 1.5)
    return replace(stage, neuron=neuron)


@pytest.mark.parametrize("mistake", [negated, shuffled, less_excitable])
def test_a_mistake_in_lowering_is_noticed(rng, monkeypatch, mistake):
    monkeypatch.setattr(
        quantization, "lower", lambda trained: [mistake(s) for s in lowering.lower(trained)]
    )
    trained, result, train = exported(rng, CNN, (1, 14, 12))
    ours, theirs = witness(trained, result, train), run_chunk(result.network, train, STEPS)
    assert first_difference(result.network, ours, theirs) is not None


@pytest.mark.parametrize("name", ["current_decay", "voltage_decay", "threshold"])
def test_a_mistake_in_the_neurons_is_noticed(rng, monkeypatch, name):
    def mistaken(**fields):
        return CubaNeuron(**{**fields, name: fields[name] + fields[name] // 3})

    monkeypatch.setattr(quantization, "CubaNeuron", mistaken)
    trained, result, train = exported(rng, CNN, (1, 14, 12))
    ours, theirs = witness(trained, result, train), run_chunk(result.network, train, STEPS)
    assert first_difference(result.network, ours, theirs) is not None
