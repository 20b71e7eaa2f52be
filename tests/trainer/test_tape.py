"""Gradients of the written-out passes are autograd's, bit for bit."""

import copy
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tssl.checkpoint import ChipPlan
from tssl.errors import TrainingError
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer import events, linear
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.tape import Tape, apply

SHAPE = (2, 8, 8)
RULES = "tssl-bp", "surrogate", "surrogate-reset"


LAYERS = [
    {"name": "layer0", "type": "dense", "neurons": 20, "threshold": 0.4, "dropout": 0.25},
    {"type": "dense", "neurons": 3, "threshold": 0.3},
]


def drawn_layers(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return two to six layers, each behind the last one and some others of its shape."""
    shapes: dict[str, tuple[int, ...]] = {}
    layers: list[dict[str, Any]] = []
    shape: tuple[int, ...] = SHAPE
    for number in range(rng.integers(2, 7)):
        name, layer = f"layer{number}", drawn_layer(rng, shape)
        others = [each for each, theirs in shapes.items() if theirs == shape][:-1]
        if others and number and rng.random() < 0.6:
            chosen = rng.choice(others, rng.integers(1, len(others) + 1), replace=False)
            layer["from"] = [f"layer{number - 1}", *map(str, chosen)]
        if others and number and rng.random() < 0.3:
            layer = {"type": "concat", "from": [f"layer{number - 1}", str(rng.choice(others))]}
        if rng.random() < 0.4:
            layer["dropout"] = 0.25
        shape = after(layer, shape)
        shapes[name] = shape
        layers.append({"name": name, **layer})
    return [*layers, {"type": "dense", "neurons": 3, "threshold": 0.3}]


def drawn_layer(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
    kinds = ["dense"] if len(shape) == 1 else ["conv", "conv", "pool", "dense"]
    kind = rng.choice(kinds)
    if kind == "conv":
        channels = int(rng.choice([2, 3]))
        return {"type": "conv", "channels": channels, "kernel": 3, "padding": 1, "weight_scale": 4}
    if kind == "pool" and shape[1] % 2 == 0:
        return {"type": "pool", "kernel": 2}
    return {"type": "dense", "neurons": int(rng.choice([5, 70])), "threshold": 0.4}


def after(layer: dict[str, Any], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of what a layer sends."""
    if layer["type"] == "dense":
        return (layer["neurons"],)
    if layer["type"] == "concat":
        return 2 * shape[0], *shape[1:]
    if layer["type"] == "conv":
        return layer["channels"], *shape[1:]
    return shape[0], *(size // layer["kernel"] for size in shape[1:])


def recipe_of(layers: list[dict[str, Any]], rule: str, loss: str = "kernel") -> Recipe:
    tables = {
        "name": "drawn",
        "data": {"name": "none"},
        "network": {"time_steps": 5, "layers": layers},
        "training": {"rule": rule, "loss": loss},
    }
    return recipe_from_tables(tables, "test")


def network_of(recipe: Recipe, *, on_chip: bool) -> SpikingNetwork:
    network = SpikingNetwork(recipe, SHAPE, torch.Generator().manual_seed(1))
    if on_chip:
        scales = dict.fromkeys(network.weights.keys(), 100.0)
        network.compute_on(
            ChipPlan(scales=scales, largest_weights=dict.fromkeys(scales, 254), weight_step=2)
        )
    return network


def gradients(
    network: SpikingNetwork, inputs: Tensor, *, by_tape: bool
) -> tuple[list[Tensor], list[Any]]:
    """Return the loss, the output and all gradients, and what layers counted."""
    network.noise.manual_seed(7)
    network.zero_grad()
    targets = torch.arange(inputs.shape[-4]) % 3
    if by_tape:
        forward, loss = network.learn(inputs, targets)
    else:
        forward = network(inputs)
        loss = network.loss.function(forward.output, targets)
        loss.backward()
    found = [weight.grad for weight in network.parameters() if weight.requires_grad]
    assert all(each is not None for each in found)
    counts = [(int(a.spikes), int(a.fallbacks), a.neuron_steps) for a in forward.activity.values()]
    tensors = [loss.detach(), forward.output.psp.detach(), *map(torch.as_tensor, found)]
    return [each.clone() for each in tensors], counts


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs_by_onednn(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on AMD's processors, where large products go another way than small ones."""
    monkeypatch.setattr(linear, "_is_amd_with_avx512", torch.backends.mkldnn.is_available)
    monkeypatch.setattr(linear, "_FEW", 1)
    assert_same_gradients(seed, on_chip=bool(seed % 2))


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs_by_events(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of layers that are large enough, however many events there are."""
    monkeypatch.setattr(events, "_FEW", 1)
    monkeypatch.setattr(events, "_DENSE", 100.0)
    monkeypatch.setattr(events, "_CONVOLUTION", 100.0)
    assert_same_gradients(seed, on_chip=bool(seed % 2))


@pytest.mark.parametrize("on_chip", [False, True], ids=["float", "chip"])
@pytest.mark.parametrize("seed", range(30))
def test_random_graphs(seed: int, on_chip: bool) -> None:
    assert_same_gradients(seed, on_chip=on_chip)


def assert_same_gradients(seed: int, *, on_chip: bool) -> None:
    rng = np.random.default_rng(seed)
    recipe = recipe_of(drawn_layers(rng), RULES[seed % len(RULES)])
    network = network_of(recipe, on_chip=on_chip)
    inputs = torch.from_numpy(rng.integers(0, 3, (6, *SHAPE))).float() / 2
    if seed % 2:
        inputs = inputs.expand(5, *inputs.shape)
    assert network._running.passes_tape(inputs)
    expected, counted = gradients(network, inputs, by_tape=False)
    for _ in range(3):  # the first is recorded, others repeat it
        gradients(network, inputs.flip(-1), by_tape=True)
        found, counts = gradients(network, inputs, by_tape=True)
        assert counts == counted
        assert any(float(each.abs().max()) > 0 for each in found[2:])
        for ours, autograds in zip(found, expected, strict=True):
            assert torch.equal(ours, autograds)


@pytest.mark.parametrize("loss", ["count", "softmax"])
def test_other_losses_than_the_usual_one(loss: str) -> None:
    network = network_of(recipe_of(LAYERS, "tssl-bp", loss), on_chip=False)
    inputs = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(3))
    for _ in range(2):
        assert_equal(network, inputs)


@pytest.mark.parametrize("loss", ["kernel", "softmax"])
@pytest.mark.parametrize("on_chip", [False, True], ids=["float", "chip"])
def test_dropout_behind_the_output_changes_nothing(on_chip: bool, loss: str) -> None:
    layers = [LAYERS[0], {**LAYERS[1], "dropout": 0.5}]
    network = network_of(recipe_of(layers, "tssl-bp", loss), on_chip=on_chip)
    without = network_of(recipe_of(LAYERS, "tssl-bp", loss), on_chip=on_chip)
    inputs = torch.ones(6, *SHAPE)
    assert_equal(network, inputs)
    found, wanted = (gradients(each, inputs, by_tape=True)[0] for each in (network, without))
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


def test_a_dropped_pool_of_which_one_source_gets_no_error() -> None:
    """In integers: of the network's input, through a pool of its own."""
    layers = [
        {"name": "seen", "type": "pool", "kernel": 2},
        {"name": "fires", "type": "conv", "channels": 2, "kernel": 3, "padding": 1},
        {"type": "pool", "kernel": 2, "from": ["fires", "seen"], "dropout": 0.25},
        {"type": "dense", "neurons": 3, "threshold": 0.3},
    ]
    network = network_of(recipe_of(layers, "tssl-bp"), on_chip=True)
    inputs = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(3)).mul(4).round() / 2
    for _ in range(2):
        assert_equal(network, inputs)


def test_another_loss_on_the_same_network() -> None:
    network = network_of(recipe_of(LAYERS, "tssl-bp"), on_chip=False)
    inputs = torch.ones(6, *SHAPE)
    assert_equal(network, inputs)
    network.loss = network_of(recipe_of(LAYERS, "tssl-bp", "count"), on_chip=False).loss
    assert_equal(network, inputs)


def test_a_copy_has_tapes_of_its_own() -> None:
    network = network_of(recipe_of(LAYERS, "tssl-bp"), on_chip=False)
    inputs = torch.ones(6, *SHAPE)
    assert_equal(network, inputs)
    other = copy.deepcopy(network)
    assert not other._tapes
    other.noise = torch.Generator()
    assert_equal(other, inputs)


def test_autograds_passes_are_let_go() -> None:
    """A context that held its own results would keep them for ever."""
    network = network_of(
        recipe_of([{**LAYERS[0], "bias": True}, LAYERS[1]], "tssl-bp"), on_chip=False
    )
    inputs, kept = torch.ones(6, *SHAPE), []
    for _ in range(3):
        forward = network(inputs, record_all=True)
        kept += [weakref.ref(trace.psp) for trace in forward.traces.values()]
        network.loss.function(forward.output, torch.arange(6) % 3).backward()
    del forward
    gc.collect()
    assert [each() for each in kept] == [None] * 6


def test_weights_that_changed_between_passes() -> None:
    """In place, as an optimiser does it; or they lie elsewhere since."""
    network = network_of(recipe_of(LAYERS, "tssl-bp"), on_chip=False)
    inputs = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(3))
    gradients(network, inputs, by_tape=True)
    assert len(network._tapes) == 1
    weight = network.weights["layer0"]
    with torch.no_grad():
        weight *= 1.5
    assert_equal(network, inputs)
    weight.data = weight.data * 0.5
    assert_equal(network, inputs)


def test_batches_of_two_sizes_in_turns() -> None:
    """Only one of them keeps its memory."""
    network = network_of(recipe_of(LAYERS, "tssl-bp"), on_chip=False)
    inputs = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(3))
    for size in (6, 2, 6, 2):
        assert_equal(network, inputs[:size])
    assert len(network._tapes) == 2
    keeping = [
        any(record.context.kept is not None for record in tape._records)
        for tape in network._tapes.values()
    ]
    gradients(network, inputs[:2], by_tape=True)
    assert keeping == [False, False]  # autograd's pass was the last
    keeping = [
        any(record.context.kept is not None for record in tape._records)
        for tape in network._tapes.values()
    ]
    assert keeping == [False, True]


def assert_equal(network: SpikingNetwork, inputs: Tensor) -> None:
    found, _ = gradients(network, inputs, by_tape=True)
    expected, _ = gradients(network, inputs, by_tape=False)
    for ours, autograds in zip(found, expected, strict=True):
        assert torch.equal(ours, autograds)


def test_a_weight_that_is_no_longer_trained() -> None:
    network = network_of(recipe_of(LAYERS, "tssl-bp"), on_chip=False)
    inputs = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(3))
    gradients(network, inputs, by_tape=True)
    network.weights["layer0"].requires_grad = False
    expected, _ = gradients(network, inputs, by_tape=False)
    found, _ = gradients(network, inputs, by_tape=True)
    assert len(found) == 3
    gradients(network, inputs, by_tape=True)
    network.weights["layer0"].grad = torch.ones_like(network.weights["layer0"])
    network.learn(inputs, torch.arange(6) % 3)
    assert network.weights["layer0"].grad is None  # or an optimiser would go on moving it
    for ours, autograds in zip(found, expected, strict=True):
        assert torch.equal(ours, autograds)


def test_what_all_layers_did_can_be_recorded() -> None:
    """Beside passes that record the output alone."""
    network = network_of(recipe_of(LAYERS, "tssl-bp"), on_chip=False)
    inputs = torch.ones(6, *SHAPE)
    gradients(network, inputs, by_tape=True)
    forward = network(inputs, record_all=True)
    assert {name: each.spikes.shape[2] for name, each in forward.traces.items()} == {
        "layer0": 20,
        "dense2": 3,
    }


def test_in_integers_the_peak_of_the_input_is_looked_at_in_every_pass() -> None:
    """The first pass is within single precision; the others are not, and repeat it."""
    layers = [{"type": "dense", "neurons": 20}, {"type": "dense", "neurons": 3}]
    network = network_of(recipe_of(layers, "tssl-bp"), on_chip=True)
    inputs = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(3)).mul(8).round() / 8
    gradients(network, inputs, by_tape=True)
    assert len(network._tapes) == 1
    for factor in (1.0, 2.0**12):
        expected, counted = gradients(network, inputs * factor, by_tape=False)
        found, counts = gradients(network, inputs * factor, by_tape=True)
        assert counts == counted
        for ours, autograds in zip(found, expected, strict=True):
            assert torch.equal(ours, autograds)
    with pytest.raises(TrainingError, match="24 bits"):
        gradients(network, inputs * 2.0**24, by_tape=True)


def test_from_floating_point_to_integers() -> None:
    network = network_of(recipe_of(LAYERS, "tssl-bp"), on_chip=False)
    gradients(network, torch.ones(6, *SHAPE), by_tape=True)
    scales = dict.fromkeys(network.weights.keys(), 100.0)
    plan = ChipPlan(scales=scales, largest_weights=dict.fromkeys(scales, 254), weight_step=2)
    network.compute_on(plan)
    expected, _ = gradients(network, torch.ones(6, *SHAPE), by_tape=False)
    found, _ = gradients(network, torch.ones(6, *SHAPE), by_tape=True)
    for ours, autograds in zip(found, expected, strict=True):
        assert torch.equal(ours, autograds)


@pytest.mark.parametrize(
    "changes",
    [
        {"bias": True},
        {"norm": "batch"},
        {"neuron": "plif"},
    ],
    ids=str,
)
def test_other_layers_are_left_to_autograd(changes: dict[str, Any]) -> None:
    layers = [{"type": "dense", "neurons": 5, **changes}, {"type": "dense", "neurons": 3}]
    network = network_of(recipe_of(layers, "tssl-bp"), on_chip=False)
    inputs = torch.ones(6, *SHAPE)
    assert not network._running.passes_tape(inputs)
    gradients(network, inputs, by_tape=True)


def test_windows_with_a_rest_are_left_to_autograd() -> None:
    layers = [
        {"type": "conv", "channels": 2, "kernel": 3, "padding": 1},
        {"type": "pool", "kernel": 3},
        {"type": "dense", "neurons": 3},
    ]
    network = network_of(recipe_of(layers, "tssl-bp"), on_chip=False)
    assert not network._running.passes_tape(torch.ones(6, *SHAPE))
    gradients(network, torch.ones(6, *SHAPE), by_tape=True)


def test_windows_that_overlap() -> None:
    layers = [
        {"type": "conv", "channels": 2, "kernel": 3, "padding": 1},
        {"type": "pool", "kernel": 3, "stride": 2, "padding": 1},
        {"type": "dense", "neurons": 3},
    ]
    network = network_of(recipe_of(layers, "tssl-bp"), on_chip=False)
    inputs = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(1))
    assert network._running.passes_tape(inputs)
    (found, counts), (expected, wanted) = (
        gradients(network, inputs, by_tape=by_tape) for by_tape in (True, False)
    )
    assert counts == wanted
    for ours, autograds in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, autograds, rtol=1e-5, atol=1e-6)
    assert any(each.any() for each in found[2:])


def test_double_precision_is_left_to_autograd() -> None:
    network = network_of(recipe_of([{"type": "dense", "neurons": 3}], "tssl-bp"), on_chip=False)
    assert not network._running.passes_tape(torch.ones(6, *SHAPE).double())


class Doubled:
    """A function with a backward pass of its own."""

    @staticmethod
    def forward(_: Any, signal: Tensor) -> Tensor:
        return 2 * signal

    @staticmethod
    def backward(_: Any, error: Tensor) -> tuple[Tensor]:
        return (2 * error,)


@pytest.mark.parametrize(
    "run",
    [
        lambda weight: apply(Doubled, weight) + 1,
        lambda weight: apply(Doubled, weight * 3),
        lambda weight: apply(Doubled, apply(Doubled, weight) * 3),
        lambda weight: weight * 3,
    ],
    ids=["at the end", "at the beginning", "between", "all of it"],
)
def test_what_the_tape_does_not_see_is_an_error(run: Callable[[Tensor], Tensor]) -> None:
    weight = torch.ones(3, requires_grad=True)
    with pytest.raises(TypeError, match="missed a function"):
        Tape(1).forward(lambda: [run(weight)], [weight])


def test_a_tensor_that_is_read_twice_gets_both_errors() -> None:
    weight = torch.ones(3, requires_grad=True)

    class Product:
        @staticmethod
        def forward(ctx: Any, one: Tensor, other: Tensor) -> Tensor:
            ctx.save_for_backward(one, other)
            return one * other

        @staticmethod
        def backward(ctx: Any, error: Tensor) -> tuple[Tensor, Tensor]:
            one, other = ctx.saved_tensors
            return error * other, error * one

    tape = Tape(1)
    tape.forward(lambda: [apply(Product, weight, apply(Doubled, weight))], [weight])
    (error,) = tape.backward(torch.full((3,), 4.0))
    assert error is not None
    assert error.tolist() == [16.0] * 3
