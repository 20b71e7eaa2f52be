"""The trainable network: shapes, constant input, pools, initial weights."""

from typing import Any

import numpy as np
import pytest
import torch

from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.methods import initial_weight
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.neuron import Pool, psp, sum_pool

SHAPE = (2, 8, 6)
LAYERS = [
    {"type": "conv", "channels": 4, "kernel": 3, "padding": 1, "weight_scale": 4},
    {"type": "pool", "kernel": 2},
    {"type": "dense", "neurons": 9, "threshold": 0.5},
    {"type": "dense", "neurons": 3, "threshold": 0.2},
]


def recipe(layers: list[dict[str, Any]] | None = None) -> Recipe:
    tables = {
        "name": "small",
        "data": {"name": "none"},
        "network": {"time_steps": 5, "layers": LAYERS if layers is None else layers},
    }
    return recipe_from_tables(tables, "test")


def network(seed: int = 0, **arguments: Any) -> SpikingNetwork:
    return SpikingNetwork(recipe(**arguments), SHAPE, torch.Generator().manual_seed(seed))


def images(samples: int = 4) -> torch.Tensor:
    return torch.rand((samples, *SHAPE), generator=torch.Generator().manual_seed(5)) * 2


def test_shapes() -> None:
    forward = network()(images())
    assert forward.output.psp.shape == (5, 4, 3)
    assert forward.output.spikes.shape == forward.output.voltage.shape == (5, 4, 3)
    shapes = {name: tuple(trace.psp.shape) for name, trace in forward.traces.items()}
    assert shapes == {"conv1": (5, 4, 4, 4, 3), "dense3": (5, 4, 9), "dense4": (5, 4, 3)}
    sizes = {name: layer.neuron_steps for name, layer in forward.activity.items()}
    assert sizes == {"conv1": 5 * 4 * 4 * 8 * 6, "dense3": 5 * 4 * 9, "dense4": 5 * 4 * 3}
    everything = network()(images(), record_all=True)
    assert everything.traces["conv1"].spikes.shape == (5, 4, 4, 8, 6)


def test_constant_input_equals_the_same_input_as_a_sequence() -> None:
    static = network().double()
    still = images().double()
    once = static(still, record_all=True)
    repeated = static(still.expand(5, *still.shape), record_all=True)
    for name, trace in once.traces.items():
        assert 0 < trace.spikes.mean() < 1, name
        assert torch.equal(trace.spikes, repeated.traces[name].spikes)
    torch.testing.assert_close(once.output.psp, repeated.output.psp, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(once.output.voltage, repeated.output.voltage)


def test_a_first_pool_sees_constant_input_once() -> None:
    layers = [{"type": "pool", "kernel": 2}, {"type": "dense", "neurons": 3}]
    pooled = network(layers=layers).double()
    still = images().double()
    once, repeated = pooled(still), pooled(still.expand(5, *still.shape))
    torch.testing.assert_close(once.output.voltage, repeated.output.voltage)


def test_sequence_may_be_longer_than_the_recipe_says() -> None:
    frames = images().expand(7, 4, *SHAPE)
    assert network()(frames).output.psp.shape == (7, 4, 3)


def test_seed_fixes_initial_weights() -> None:
    one, same, other = (network(seed).numpy_weights() for seed in (3, 3, 4))
    assert list(one) == ["conv1", "dense3", "dense4"]
    for name, weight in one.items():
        assert np.array_equal(weight, same[name])
        assert not np.array_equal(weight, other[name])


def test_initial_weights_have_the_stated_spread() -> None:
    generator = torch.Generator().manual_seed(0)
    dense = initial_weight((200, 400), generator)
    assert float(dense.std()) == pytest.approx((2 / 400) ** 0.5, rel=0.02)
    conv = initial_weight((50, 8, 5, 5), generator)
    bound = 200**-0.5
    assert -bound <= float(conv.min()) < -0.99 * bound
    assert 0.99 * bound < float(conv.max()) <= bound


def test_weight_scale() -> None:
    scaled = network().numpy_weights()["conv1"]
    bare = network(layers=[{**LAYERS[0], "weight_scale": 1}, *LAYERS[1:]]).numpy_weights()["conv1"]
    np.testing.assert_array_equal(scaled, 4 * bare)


def test_pool_adds_up_windows_of_each_channel() -> None:
    signal = torch.arange(2 * 4 * 5, dtype=torch.float64).reshape(1, 1, 2, 4, 5)
    pooled = sum_pool(signal, Pool((2, 2), 1.5))
    assert pooled.shape == (1, 1, 2, 2, 2)  # the fifth column fills no window
    assert pooled[0, 0, 0].tolist() == [[18.0, 30.0], [78.0, 90.0]]
    assert pooled[0, 0, 1, 0, 0] == 1.5 * (20 + 21 + 25 + 26)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_a_global_average_is_the_mean_of_each_map(kind: torch.dtype) -> None:
    """Behind neurons, where the kernels pool as well (single precision), and its gradient."""
    layers = [LAYERS[0], {"type": "pool", "kernel": "global", "mode": "average"}, LAYERS[3]]
    net = network(layers=layers).to(kind)
    trace = net(images().to(kind), record_all=True).traces["conv1"]
    assert 0 < trace.spikes.mean() < 1
    means = psp(trace.spikes.double(), tau_s=3.0).mean(dim=(3, 4), keepdim=True)
    assert trace.psp.shape == means.shape
    torch.testing.assert_close(trace.psp.double(), means, rtol=1e-6, atol=1e-6)
    (everywhere,) = torch.autograd.grad(trace.psp.sum(), net.weights["conv1"])
    alone = network(layers=[LAYERS[0], LAYERS[3]]).to(kind)
    unpooled = alone(images().to(kind), record_all=True).traces["conv1"].psp
    (expected,) = torch.autograd.grad(unpooled.mean(dim=(3, 4)).sum(), alone.weights["conv1"])
    torch.testing.assert_close(everywhere, expected, rtol=1e-4, atol=1e-5)


def test_loaded_weights_come_back() -> None:
    source, target = network(1), network(2)
    target.load_weights(source.numpy_weights())
    for name, weight in target.numpy_weights().items():
        assert np.array_equal(weight, source.numpy_weights()[name])
    assert torch.equal(source(images()).output.psp, target(images()).output.psp)


@pytest.mark.parametrize("name", ["train", "type", "items", "to", "data"])
def test_layers_may_have_any_name(name: str) -> None:
    """PyTorch's containers have methods of these names."""
    net = network(layers=[{**LAYERS[2], "name": name}, LAYERS[3]])
    assert [key for key, _ in net.named_parameters()] == [f"weights.{name}", "weights.dense2"]
    net(images()).output.psp.sum().backward()
    assert net.weights[name].grad is not None


def test_numpy_weights_are_copies() -> None:
    trained = network()
    trained.numpy_weights()["dense4"][:] = 0
    assert trained.weights["dense4"].any()


def test_own_threshold_of_a_layer() -> None:
    low = network(layers=[*LAYERS[:3], {**LAYERS[3], "threshold": 1e-6}])(images())
    high = network(layers=[*LAYERS[:3], {**LAYERS[3], "threshold": 1e6}])(images())
    assert low.output.spikes.any()
    assert not high.output.spikes.any()


def test_every_weight_gets_a_gradient() -> None:
    trained = network()
    trained(images()).output.psp.sum().backward()
    for name, weight in trained.weights.items():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


DROPPED = [
    {**LAYERS[0], "dropout": 0.5},
    LAYERS[1],
    {**LAYERS[2], "dropout": 0.25},
    LAYERS[3],
]


def test_dropout_silences_a_neuron_over_all_time_and_raises_the_others() -> None:
    dropping = network(layers=[{"type": "dense", "neurons": 400, "dropout": 0.25}, LAYERS[3]])
    dropping.noise.manual_seed(1)
    seen: list[torch.Tensor] = []
    rule = dropping.method.rule

    def ones(current: torch.Tensor, *arguments: Any) -> Any:
        seen.append(current)
        trace = rule(current, *arguments)
        return trace._replace(psp=torch.ones_like(trace.psp))

    dropping.method.rule = ones
    with torch.no_grad():
        dropping.weights["dense2"].copy_(torch.eye(3, 400))
        dropping(images(500))
    kept = seen[1][:, :, :3]
    assert torch.equal(kept, kept[:1].expand_as(kept))
    assert set(kept.unique().tolist()) == {0.0, float(torch.tensor(1 / 0.75))}
    assert float((kept == 0).float().mean()) == pytest.approx(0.25, abs=0.03)


def test_dropout_is_for_training_alone_and_follows_its_seed() -> None:
    dropping, plain = network(layers=DROPPED), network()
    results = []
    for seed in (1, 1, 2):
        dropping.noise.manual_seed(seed)
        results.append(dropping(images()).output.voltage)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    dropping.eval()
    torch.testing.assert_close(dropping(images()).output.voltage, plain(images()).output.voltage)


def test_pools_that_follow_no_neurons_stay_their_own() -> None:
    layers = [LAYERS[1], LAYERS[0], LAYERS[1], {"type": "pool", "kernel": [2, 1]}, LAYERS[3]]
    forward = network(layers=layers)(images())
    assert forward.traces["conv2"].psp.shape == (5, 4, 4, 2, 1)
    assert forward.output.psp.shape == (5, 4, 3)


@pytest.mark.parametrize("rule", ["tssl-bp", "surrogate", "surrogate-reset"])
def test_the_recipe_names_the_rule(rule: str) -> None:
    tables = recipe().model_dump()
    tables["training"]["rule"] = rule
    trained = SpikingNetwork(
        recipe_from_tables(tables, "test"), SHAPE, torch.Generator().manual_seed(0)
    )
    trained(images()).output.psp.sum().backward()
    assert all(weight.grad is not None for weight in trained.weights.values())


def test_recurrent_layer_has_weights_of_its_own() -> None:
    layers = [*LAYERS[:2], {**LAYERS[2], "recurrent": True}, LAYERS[3]]
    trained = network(layers=layers)
    assert list(trained.weights) == ["conv1", "dense3", "dense3_recurrent", "dense4"]
    assert trained.weights["dense3_recurrent"].shape == (9, 9)
    trained(images()).output.psp.sum().backward()
    assert all(weight.grad is not None for weight in trained.weights.values())
    before = trained(images()).output.voltage
    with torch.no_grad():
        trained.weights["dense3_recurrent"].zero_()
    assert not torch.equal(trained(images()).output.voltage, before)
