"""From floating point to integers: values by hand, the limits kept, and honest refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.exporter.networks import LIMITS, QUANTUM, checkpoint, conv, dense, pool
from tests.layers import reconnected
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.chip import STATE_LIMIT, CubaNeuron
from tssl.engine import run_chunk
from tssl.errors import ConfigError, RangeError
from tssl.exporter import Quantized, quantize
from tssl.exporter.lower import lower
from tssl.exporter.ranges import observe
from tssl.exporter.search import reference_spikes
from tssl.trainer.network import SpikingNetwork


def with_weights(trained: Checkpoint, **weights: object) -> Checkpoint:
    arrays = {name: np.array(values, np.float32) for name, values in weights.items()}
    return replace(trained, weights={**trained.weights, **arrays})


def quantized(trained: Checkpoint, integers: np.ndarray, limits: object = LIMITS) -> Quantized:
    span = (min(0, int(integers.min())), int(integers.max()))
    return quantize(trained, limits, integers.reshape(1, len(integers), -1), span)


def tiny(rng: np.random.Generator, threshold: float = 1.0) -> Checkpoint:
    layers = [dense(1, threshold=threshold)]
    trained = checkpoint(rng, layers, (1, 1, 2), tau_s=2.0, tau_m=4.0)
    return with_weights(trained, dense1=[[1.0, -0.49]])


def test_integers_by_hand(rng):
    trained = tiny(rng)
    result = quantized(trained, np.array([[10, 3]]))
    (layer,), (report,) = result.network.layers, result.reports
    # one unit: weight 1 * quantum / tau_s = 1/32 becomes 254, so 8128 integers per unit
    assert report.scale == pytest.approx(8128)
    assert layer.synapses.weight.tolist() == [[254, -124]]  # -0.49 / 32 * 8128 = -124.46, to even
    assert layer.neuron == CubaNeuron(current_decay=2048, voltage_decay=1024, threshold=8128)
    assert report.layer is layer
    network = result.network
    assert (network.name, network.time_steps) == ("random", 5)
    assert network.encoding == trained.encoding
    assert network.input.shape == (1, 1, 2)
    # the peaks by hand: 10 * 254 - 3 * 124 = 2168 arrives at every step
    current = voltage = peak = 0
    for _ in range(5):
        current = current // 2 + 64 * 2168
        voltage = voltage * 3 // 4 + current
        peak = max(peak, voltage)
        voltage = 0 if voltage > 8128 * 64 else voltage
    assert (report.ranges.current, report.ranges.potential) == (current, peak)


@pytest.mark.parametrize(
    ("bits", "threshold", "scale"),
    [(17, 1.0, 8128.0), (12, 1.0, 4095.0), (17, 40.0, (2**17 - 1) / 40), (8, 0.5, 510.0)],
)
def test_a_narrow_threshold_limits_the_scale(rng, bits, threshold, scale):
    limits = replace(LIMITS, threshold_bits=bits)
    result = quantized(tiny(rng, threshold), np.array([[10, 3]]), limits)
    (layer,) = result.network.layers
    assert result.reports[0].scale == pytest.approx(scale)
    assert layer.neuron.threshold == round(scale * threshold) <= limits.largest_threshold


@pytest.mark.parametrize("bits", [8, 6, 4])
def test_weights_are_even_and_within_their_field(rng, bits):
    limits = replace(LIMITS, weight_bits=bits)
    layers = [conv(4, 3), pool(2), conv(6, 2), dense(10), dense(4)]
    trained = checkpoint(rng, layers, (1, 11, 11))
    result = quantized(trained, rng.integers(-4, 17, (20, 1, 11, 11)), limits)
    largest = (1 << bits) - 2
    for layer, stage, report in zip(
        result.network.layers, lower(trained), result.reports, strict=True
    ):
        assert not (layer.synapses.weight % 2).any()
        assert layer.synapses.weight.min() < 0 < layer.synapses.weight.max()
        assert np.abs(layer.synapses.weight).max() == largest
        assert layer.weight_bits <= bits
        # within half a step of the lowered weight, or cut at the largest
        wanted = (stage.arriving[0].weight * report.scale).clip(-largest, largest)
        assert np.abs(layer.synapses.weight - wanted).max() <= 1 + 1e-9
        assert layer.neuron.threshold == round(report.scale * stage.neuron.threshold)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_weight_may_have_either_sign(rng, sign):
    trained = with_weights(tiny(rng), dense1=[[sign * 1.0, -sign * 0.2]])
    (layer,) = quantized(trained, np.array([[10, 3]])).network.layers
    assert layer.synapses.weight[0, 0] == sign * 254


def test_scales_shrink_until_no_input_can_wrap_the_current(rng):
    """Zeros for calibration, so that nothing but the bound can see how large it may get."""
    trained = checkpoint(rng, [dense(12), dense(5)], (1, 6, 6))
    silent = np.zeros((1, 3, 36), int)
    roomy = quantize(trained, LIMITS, silent, (0, 16)).reports[0]
    tight = quantize(trained, LIMITS, silent, (-100, 100)).reports[0]
    assert tight.scale < roomy.scale / 2
    assert not tight.ranges.can_wrap
    assert tight.ranges.current_bound > 0.9 * STATE_LIMIT, "smaller than it had to be"
    # threshold and weights shrink together
    largest = lower(trained)[0].largest_weight
    assert tight.layer.neuron.threshold == round(tight.scale)
    assert np.abs(tight.layer.synapses.weight).max() == pytest.approx(tight.scale * largest, abs=1)
    # the worst input indeed comes close, and does not wrap
    worst = 100 * np.sign(tight.layer.synapses.weight).reshape(1, 12, 36)
    state = observe(tight.layer, {"input": worst}, 5, {"input": (-100, 100)})
    assert 0.9 * STATE_LIMIT < state.current < STATE_LIMIT


def test_the_second_layer_is_calibrated_on_spikes_of_the_first(rng):
    trained = checkpoint(rng, [dense(12), dense(5)], (1, 6, 6), spread=1.5)
    integers = rng.integers(0, 17, (30, 1, 6, 6))
    result = quantized(trained, integers)
    recording = run_chunk(result.network, integers.reshape(1, 30, 36), 5)
    for report in result.reports:
        assert report.ranges.spikes.any()
        assert np.array_equal(report.ranges.spikes, recording.trains[report.layer.name])


def test_dead_layers(rng):
    trained = checkpoint(rng, [dense(4), dense(2)], (1, 2, 2))
    dead = with_weights(trained, dense2=np.zeros((2, 4)))
    with pytest.raises(RangeError, match="layer dense2: all weights are zero; train it again"):
        quantized(dead, rng.integers(0, 17, (3, 1, 2, 2)))


@pytest.mark.parametrize("value", [30_000, 300_000])
def test_weights_that_all_round_to_zero(rng, value):
    """No weight above zero keeps the current from wrapping; the larger sums overflow 32 bits."""
    trained = checkpoint(rng, [dense(4)], (1, 2, 2))
    message = "layer dense1: every weight rounds to zero .* smaller encoding.resolution"
    with pytest.raises(RangeError, match=message):
        quantized(trained, np.full((2, 1, 2, 2), value))


@pytest.mark.parametrize(
    ("bits", "span"), [(8, (0, 128)), (8, (-128, 0)), (0, (0, 2)), (0, (-2, 1)), (1, (0, 2))]
)
def test_spikes_too_large_for_the_target(rng, bits, span):
    limits = replace(LIMITS, graded_spike_bits=bits)
    largest = max(1, (1 << bits >> 1) - 1)
    message = f"input: spikes carry values up to {max(map(abs, span))}; .* at most {largest};"
    with pytest.raises(RangeError, match=message):
        quantize(tiny(rng), limits, np.ones((1, 1, 2), int), span)


@pytest.mark.parametrize(("bits", "span"), [(8, (-127, 127)), (0, (0, 1)), (0, (-1, 1))])
def test_spikes_that_just_fit(rng, bits, span):
    limits = replace(LIMITS, graded_spike_bits=bits)
    assert quantize(tiny(rng), limits, np.ones((1, 1, 2), int), span).network.layers


def test_quantized_networks_can_be_written(rng, tmp_path):
    layers = [conv(3, 3), pool(2), conv(4, 2), pool(2), dense(10), dense(4)]
    result = quantized(checkpoint(rng, layers, (2, 13, 12)), rng.integers(0, 17, (5, 2, 13, 12)))
    netx.write(tmp_path / "x.net", result.network)
    assert netx.read(tmp_path / "x.net").digest == result.network.digest


@pytest.mark.parametrize(
    ("layers", "rate"),
    [
        ([dense(64), dense(10)], 0.97),
        ([conv(6, 3), pool(2), dense(30), dense(10)], 0.95),
    ],
    ids=["dense", "conv"],
)
def test_agreement_with_the_float_network(rng, layers, rate):
    """Spikes of random networks, the hardest case; ``rate`` of the output's bits are equal."""
    trained = checkpoint(rng, layers, (1, 8, 8), spread=1.8)
    integers = rng.integers(0, 17, (200, 1, 8, 8))
    network = SpikingNetwork(trained.recipe, (1, 8, 8), torch.Generator()).double()
    network.load_weights(trained.weights)
    with torch.no_grad():
        floats = network(torch.from_numpy(integers * QUANTUM), record_all=True)
    result = quantized(trained, integers[:50])
    chip = run_chunk(result.network, integers.reshape(1, 200, 64), 5)
    for name, trace in floats.traces.items():
        expected = trace.spikes.flatten(2).numpy()
        assert 0.02 < expected.mean() < 0.95, f"{name}: too few or many spikes to compare"
        agreement = (chip.trains[name] == expected).mean()
        print(f"{name}: {agreement:.4f} of the bits agree")  # noqa: T201 - shown on failure
        assert agreement > rate


def test_threshold_that_rounds_to_zero_is_refused(rng):
    trained = with_weights(tiny(rng, threshold=1e-5), dense1=[[1.0, -0.49]])
    with pytest.raises(RangeError, match=r"layer dense1: threshold 1e-05 rounds to zero"):
        quantized(trained, np.array([[1, 0]]))


def test_bits_of_single_layers(rng):
    trained = checkpoint(rng, [dense(20), dense(12), dense(4)], (1, 5, 5))
    integers = rng.integers(-4, 17, (1, 30, 25))
    result = quantize(trained, LIMITS, integers, (-4, 16), {"dense2": 3})
    assert result.largest_weights == {"dense1": 254, "dense2": 6, "dense3": 254}
    bits = [layer.weight_bits for layer in result.network.layers]
    assert (bits[0], bits[2]) == (8, 8)
    assert bits[1] <= 3


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (
            {"dense7": 4},
            r"dense7=4: the layers are dense1, dense2 \(did you mean .dense2.\?\)",
        ),
        ({"dense1": 1}, r"--weight-bits dense1=1: 2\.\.\.8 bits"),
        ({"dense1": 9}, r"--weight-bits dense1=9: 2\.\.\.8 bits"),
    ],
)
def test_bits_that_cannot_be(rng, bits, message):
    trained = checkpoint(rng, [dense(20), dense(4)], (1, 5, 5))
    with pytest.raises(ConfigError, match=message):
        quantize(trained, LIMITS, np.ones((1, 2, 25), int), (-4, 16), bits)


@pytest.mark.parametrize("layers", [[dense(60)], [conv(8, 3)]], ids=["dense", "conv"])
def test_few_bits_fire_more_like_the_trained_layer_when_outliers_are_cut(rng, layers):
    """One weight ten times as large as the others takes all but one level from them."""
    trained = checkpoint(rng, layers, (1, 8, 8), spread=1.8)
    (name,) = trained.weights
    trained.weights[name].flat[0] = 10 * np.abs(trained.weights[name]).max()
    integers = rng.integers(0, 17, (1, 60, 64))
    limits = replace(LIMITS, weight_bits=4)
    result = quantize(trained, limits, integers, (0, 16))
    (stage,) = lower(trained)
    largest = limits.largest_weight / np.abs(stage.arriving[0].weight).max()
    assert result.scales[name] > 2 * largest
    wanted = reference_spikes(stage, {"input": integers}, trained.graph.time_steps)
    errors = (result.reports[0].ranges.spikes != wanted).sum()
    uncut = np.rint(stage.arriving[0].weight * largest / 2).astype(int) * 2
    layer, threshold = result.network.layers[0], round(largest * stage.neuron.threshold)
    coarse = replace(
        reconnected(layer, weight=uncut), neuron=replace(layer.neuron, threshold=threshold)
    )
    assert errors < 0.8 * (coarse.run({coarse.source: integers}, 5).spikes != wanted).sum()


@pytest.mark.parametrize("layers", [[dense(30)], [conv(4, 3, padding=1)]], ids=["dense", "conv"])
def test_the_reference_is_the_trained_layer(rng, layers):
    trained = checkpoint(rng, layers, (1, 8, 8), spread=1.8)
    integers = rng.integers(0, 17, (50, 1, 8, 8))
    network = SpikingNetwork(trained.recipe, (1, 8, 8), torch.Generator()).double()
    network.load_weights(trained.weights)
    with torch.no_grad():
        floats = network(torch.from_numpy(integers * QUANTUM)).output.spikes.flatten(2).numpy()
    (stage,) = lower(trained)
    ours = reference_spikes(stage, {"input": integers.reshape(1, 50, 64)}, trained.graph.time_steps)
    assert 0.02 < floats.mean() < 0.95
    assert (ours == floats).mean() > 0.999  # its weights are rounded, finely
