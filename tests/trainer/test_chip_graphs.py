"""Training on the chip's integers: branches, recurrence, norms, leaks, dropout, at random."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tests.exporter.networks import LIMITS, checkpoint, conv, dense, pool
from tests.trainer import chip_exact
from tests.trainer.chip_exact import Planned, inputs_of, planned, recording
from tests.trainer.test_neurons import CONCATS, GATES
from tests.trainer.test_random_networks import SHAPE, SPREADS, STEPS, drawn
from tssl.checkpoint import Checkpoint
from tssl.chip import IntArray, cuba_run
from tssl.engine import run_chunk
from tssl.errors import RangeError, TrainingError
from tssl.proof.compare import first_difference
from tssl.proof.quantized import run_quantized
from tssl.trainer.dropout import staying

SPAN = (0, 15)
RULES = ["tssl-bp", "surrogate", "surrogate-reset"]
ALL = [
    conv(3, 3, padding=1, name="a", tau_s=2.0, norm="batch"),
    conv(3, 3, padding=1, name="b", neuron="plif", tau_m=3.0, bias=True),
    conv(3, 3, padding=1, name="c", norm="batch", neuron="plif", **{"from": ["a", "b"]}),
    pool(2, name="p", gain=0.7, **{"from": ["b", "c"]}),
    pool(2, name="q", mode="average", **{"from": ["a"]}),
    dense(12, name="d", recurrent=True, tau_s=2.0, **{"from": ["p", "q"]}),
    dense(12, name="e", recurrent=True, neuron="plif", norm="batch", **{"from": ["d"]}),
    dense(12, name="f", recurrent=True, bias=True, neuron="if", **{"from": ["d"]}),
    dense(5, name="out", **{"from": ["d", "e", "f"]}),
]
EARLY = [
    dense(20, name="a", recurrent=True),
    pool(2, name="p", **{"from": ["input"]}),
    conv(20, 3, name="b", **{"from": ["p"]}),
    dense(20, name="c", tau_s=1.5, **{"from": ["b"]}),
    conv(2, 3, padding=1, name="d", tau_s=4.0, **{"from": ["input"]}),
    conv(2, 3, padding=1, name="e", tau_s=1.0, **{"from": ["input", "d"]}),
    dense(20, name="g", **{"from": ["e"]}),
    dense(5, name="out", **{"from": ["a", "c", "g"]}),
]
"""An input that stays the same, at recurrent neurons and beside spikes."""
OVERLAPPING = [
    conv(3, 3, padding=1, name="a", tau_s=2.0),
    pool(3, stride=2, padding=1, name="p", mode="or", **{"from": ["a"]}),
    pool((2, 3), stride=(2, 1), padding=(0, 1), name="q", mode="or", **{"from": ["a"]}),
    dense(12, name="d", recurrent=True, **{"from": ["p"]}),
    dense(12, name="e", tau_s=1.5, **{"from": ["q"]}),
    dense(5, name="out", **{"from": ["d", "e"]}),
]
APART = [
    pool(1, stride=(1, 2), name="i"),
    conv(3, 2, padding=1, name="a", tau_s=2.0),
    pool((1, 2), stride=(2, 2), padding=(0, 1), name="p", gain=0.7),
    conv(4, 2, padding=1, name="b", **{"from": ["p"]}),
    pool(2, padding=1, name="q", **{"from": ["b"]}),
    pool(2, stride=3, name="r", **{"from": ["a"]}),
    dense(12, name="d", recurrent=True, **{"from": ["q"]}),
    dense(12, name="e", tau_s=1.5, **{"from": ["r"]}),
    dense(5, name="out", **{"from": ["d", "e"]}),
]
"""Windows with pixels between them, or zeros around them."""
NETWORKS = {
    "all": ALL,
    "early": EARLY,
    "overlapping": OVERLAPPING,
    "apart": APART,
    "concats": CONCATS,
}


def made(layers: list[dict[str, Any]], rng: np.random.Generator, rule: str) -> Checkpoint:
    trained = checkpoint(rng, layers, SHAPE, spread=3.0, time_steps=STEPS)
    for name, array in trained.weights.items():
        role = name.partition("_")[2]
        if role in SPREADS:
            trained.weights[name] = rng.uniform(*SPREADS[role], array.shape).astype(np.float32)
    training = trained.recipe.training.model_copy(update={"rule": rule})
    return replace(trained, recipe=trained.recipe.model_copy(update={"training": training}))


def train_of(rng: np.random.Generator, steps: int) -> IntArray:
    return rng.integers(0, 16, (steps, 20, int(np.prod(SHAPE))))


def assert_exact(run: Planned, train: IntArray) -> None:
    with torch.no_grad():
        ours = recording(run, run.network.eval()(inputs_of(run.trained, train), record_all=True))
    engine = run_chunk(run.chip, train, STEPS)
    assert first_difference(run.chip, ours, engine) is None
    plan = run.plan
    ((_, witness),) = run_quantized(
        run.trained, plan.scales, plan.largest_weights, train, LIMITS.weight_bits
    )
    assert first_difference(run.chip, ours, witness) is None


@given(seed=st.integers(0, 2**32), steps=st.sampled_from([1, STEPS]))
@settings(max_examples=25)
def test_every_spike_and_potential_is_engines_and_witnesses(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    train = train_of(rng, steps)
    try:
        run = planned(drawn(rng, apart=True), train, SPAN)
    except RangeError:  # input weights that vanish beside those among the neurons
        return
    assert_exact(run, train)


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("name", NETWORKS)
def test_all_parts_fire_and_are_exact(name: str, steps: int, rng: np.random.Generator) -> None:
    train = train_of(rng, steps)
    run = planned(made(NETWORKS[name], rng, "tssl-bp"), train, SPAN)
    assert_exact(run, train)
    trains = run_chunk(run.chip, train, STEPS).trains
    assert all(0 < spikes.mean() < 1 for spikes in trains.values())


@pytest.mark.parametrize("steps", [1, STEPS])
def test_gates_are_exact(steps: int) -> None:
    """Gates of maps and of recurrent neurons, and pools that fire; errors pass all of them."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        train = train_of(rng, steps)
        run = planned(made(GATES, rng, "surrogate-arctan"), train, SPAN)
        assert_exact(run, train)
        trains = run_chunk(run.chip, train, STEPS).trains
        if all(0 < spikes.mean() < 1 for spikes in trains.values()):
            break
    else:
        pytest.fail("no network of which all layers fire was drawn")
    run.network.train()(inputs_of(run.trained, train)).output.psp.sum().backward()
    for name, weight in run.network.weights.items():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


def assert_gradients(run: Planned, train: IntArray, *, may_be_zero: bool = False) -> None:
    inputs = inputs_of(run.trained, train)
    forward = run.network(inputs, record_all=True)
    coming = torch.randn(forward.output.psp.shape, generator=torch.Generator().manual_seed(0))
    forward.output.psp.backward(coming)
    expected = chip_exact.gradients(run, forward, inputs, coming)
    for name, weight in run.network.weights.items():
        if not weight.requires_grad:
            assert weight.grad is None
            continue
        assert weight.grad is not None, name
        scale = float(expected[name].abs().max())
        assert scale > 0 or may_be_zero, name
        torch.testing.assert_close(
            weight.grad.double(), expected[name], rtol=0, atol=2e-5 * scale, msg=name
        )


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_autograd(
    name: str, rule: str, steps: int, rng: np.random.Generator
) -> None:
    train = train_of(rng, steps)
    assert_gradients(planned(made(NETWORKS[name], rng, rule), train, SPAN), train)


@given(seed=st.integers(0, 2**32), steps=st.sampled_from([1, STEPS]))
@settings(max_examples=15)
def test_gradients_of_networks_drawn_at_random(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    train = train_of(rng, steps)
    try:
        run = planned(drawn(rng, apart=True), train, SPAN)
    except RangeError:
        return
    assert_gradients(run, train, may_be_zero=True)  # some are silent


def test_what_is_frozen_and_what_learns(rng: np.random.Generator) -> None:
    run = planned(made(ALL, rng, "tssl-bp"), train_of(rng, 1), SPAN)
    frozen = {name for name, weight in run.network.weights.items() if not weight.requires_grad}
    averages = {f"{layer}_norm_{what}" for layer in "ace" for what in ("mean", "variance")}
    assert frozen == averages | {"b_leak", "c_leak", "e_leak"}
    before = run.network.numpy_weights()
    run.network.train()(inputs_of(run.trained, train_of(rng, 1)))
    assert run.network.averages == []
    assert all(np.array_equal(before[name], run.network.numpy_weights()[name]) for name in frozen)


WIDE = [
    conv(2, 3, padding=1, name="a"),
    conv(2, 3, padding=1, name="b", **{"from": ["input", "a"]}),
    conv(2, 3, padding=1, name="c", tau_s=2.0, **{"from": ["input", "a", "b"]}),
    dense(4, name="out"),
]


def wide(factor: float) -> tuple[Planned, IntArray]:
    """Return a network of large inputs at so many times the scale that quantization allows."""
    rng = np.random.default_rng(0)
    train = rng.integers(4000, 6000, (STEPS, 5, int(np.prod(SHAPE))))
    run = planned(made(WIDE, rng, "tssl-bp"), train, (0, 6000))
    scales = {name: scale * factor for name, scale in run.plan.scales.items()}
    plan = replace(run.plan, scales=scales)
    return chip_exact.replanned(run.trained, plan, train, (0, 6000)), train


def test_each_convolution_hands_over_24_bits() -> None:
    """Sums of several do not wrap again until they are a current."""
    run, train = wide(factor=400)
    images = torch.from_numpy(train.reshape(-1, *SHAPE)).double()
    weights = [layer.connections[0].synapses.weight for layer in run.chip.layers[1:3]]
    sums = [functional.conv2d(images, torch.tensor(w).double(), padding=1) for w in weights]
    assert all((1 << 23) < each.abs().max() < (1 << 24) for each in sums)
    assert_exact(run, train)


def test_sums_that_single_precision_does_not_hold_are_refused() -> None:
    run, train = wide(factor=400)
    with pytest.raises(TrainingError, match="layer a exceed 24 bits; use a smaller"):
        run.network(inputs_of(run.trained, train) * 4)


def test_dropout_masks_spikes_and_lifts_sums(rng: np.random.Generator) -> None:
    """In training; the integers of the weights are those of evaluation."""
    layers = [
        conv(3, 3, name="a", dropout=0.4),
        pool(2, name="p", dropout=0.3),
        dense(6, name="out"),
    ]
    train = train_of(rng, STEPS)
    run = planned(made(layers, rng, "tssl-bp"), train, SPAN)
    assert_exact(run, train)
    _, last = run.chip.layers
    spikes = run_chunk(run.chip, train, STEPS).trains["a"].reshape(STEPS, 20, 3, 4, 4)
    run.network.train().noise.manual_seed(5)
    masks = torch.Generator().manual_seed(5)
    stays = staying((20, 3, 4, 4), 0.4, masks).numpy()
    pixels = staying((20, 3, 2, 2), 0.3, masks).numpy()
    left = spikes * stays * pixels.repeat(2, axis=2).repeat(2, axis=3)
    sums = last.connections[0].synapses.sums(left.reshape(STEPS, 20, -1).astype(np.int64), STEPS)
    lifted = np.rint(sums / (0.6 * 0.7)).astype(np.int64)
    expected = cuba_run(last.neuron, lifted, last.bias, STEPS).spikes
    forward = run.network(inputs_of(run.trained, train), record_all=True)
    assert np.array_equal(forward.output.spikes.numpy(), expected)
    assert not np.array_equal(expected, run_chunk(run.chip, train, STEPS).trains["out"])
