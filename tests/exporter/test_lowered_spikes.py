"""Of every learning rule: what layers send in training, and what its lowered stages send.

Whatever comes behind the exporter begins with these stages, the witness included: nothing else
would notice stages that are not what the rule trained.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.exporter.floats import Floats, run_stages
from tests.exporter.networks import after, concat, conv, dense, pool
from tests.trainer import test_random_networks
from tests.what_can_be_built import FEATURES, SHAPE, Layers, inputs, small_recipe
from tssl.checkpoint import Checkpoint
from tssl.chip import Encoding
from tssl.errors import ConfigError, UnsupportedLayerError
from tssl.exporter.lower import lower
from tssl.graph import Node
from tssl.graph.kinds import KINDS
from tssl.neurons import NEURONS, Lif
from tssl.recipe import Recipe
from tssl.trainer.methods import METHODS
from tssl.trainer.network import SpikingNetwork

SAMPLES = 3
THRESHOLD = 0.7
"""That a threshold is 1 would hide in which unit something is."""
LAST = dense(3)
MAPS = conv(2, 3)
TOGETHER: Mapping[str, Layers] = {
    "recurrent, own thresholds": [dense(6, recurrent=True, own_thresholds=True), LAST],
    "recurrent, norm": [dense(6, recurrent=True, norm="batch"), LAST],
    "recurrent, bias, leak": [dense(6, recurrent=True, bias=True, neuron="plif"), LAST],
    "recurrent maps, norm": [conv(2, 3, recurrent=3, norm="batch"), LAST],
    "recurrent last layer": [dense(6), {**LAST, "recurrent": True}],
    "maps, norm, leak": [conv(2, 3, norm="batch", neuron="plif"), LAST],
    "maps, bias, stride": [conv(2, 3, bias=True, padding=1, stride=(2, 1)), LAST],
    "iand": [
        {**MAPS, "name": "a"}, {**MAPS, "name": "b"},
        {"type": "gate", "function": "iand", "from": ["a", "b"]}, LAST,
    ],
    "concat of maps": [
        {**MAPS, "name": "a"}, {**MAPS, "name": "b", "from": ["input"]}, concat("a", "b"),
        pool(2), conv(3, 3), LAST,
    ],
    "concat of groups": [
        {**MAPS, "name": "a"}, conv(1, 3, name="b", **after("input")), concat("a", "b"),
        conv(6, 3, groups=3), LAST,
    ],
    "concat of maps and neurons": [
        {**MAPS, "name": "a"}, dense(5, name="b"), pool(2, name="p", **after("a")),
        concat("b", "p", "input"), LAST,
    ],
    "pools": [pool(2), pool(2), dense(6), LAST],
    "pools that overlap": [
        conv(3, 3, padding=1), pool(3, stride=2, padding=1), conv(4, 2), pool(2, stride=1), LAST
    ],
    "maps between pools": [
        conv(3, 3, padding=1), pool(2), conv(4, 2, dilation=2), pool("global"), LAST
    ],
    "time constants": [conv(4, 3, tau_s=4.0), pool(2), dense(6, tau_m=8.0, tau_s=1.5), LAST],
    "no filter": [conv(4, 3, tau_s=1.0, tau_m=2.0), pool(2), dense(6, tau_s=1.0), LAST],
}  # fmt: skip
SPREADS = {
    "bias": (-0.1, 0.3), "leak": (-1.0, 1.0), "threshold": (-0.7, 0.3),
    "norm_scale": (0.5, 2.0), "norm_shift": (-0.5, 0.8), "norm_mean": (-0.5, 0.8),
    "norm_variance": (0.3, 3.0),
}  # fmt: skip
"""From where parameters are drawn that begin alike, by role."""
EXCITED = 2.5
"""By which weights are larger than where they begin, so that all layers fire."""


class Case(NamedTuple):
    """Layers that a rule may train, and how samples enter, if not as in its shipped recipe."""

    layers: Layers
    entering: str | None = None


def cases() -> Iterator[tuple[str, Case]]:
    """Yield each feature by itself, some together, each neuron and each input, by title."""
    neurons = {name: [dense(6, neuron=name), {**LAST, "neuron": name}] for name in NEURONS}
    for title, layers in {**FEATURES, **TOGETHER, **neurons}.items():
        yield title, Case(layers)
    for entering in inputs():
        yield f"input = {entering}", Case([dense(6), LAST], entering)


def drawn(rng: np.random.Generator, rule: str, case: Case) -> Checkpoint | None:
    """Return a network with random parameters; None if the rule has no such network."""
    layers = [with_threshold(each) for each in case.layers]
    try:
        recipe = small_recipe(rule, layers, case.entering)
        network = SpikingNetwork(recipe, SHAPE, torch.Generator().manual_seed(0))
    except ConfigError:
        return None
    weights, fixed = network.numpy_weights(), network.method.fixed()
    for node in network.graph:
        for role, (name, shape) in node.parameters.items():
            if role in SPREADS:
                weights[name] = rng.uniform(*SPREADS[role], shape).astype(np.float32)
            elif name not in fixed:
                weights[name] = weights[name] * np.float32(EXCITED)
    spec = recipe.encoding
    encoding = Encoding(offset=0.0, gain=1.0, quantum=spec.quantum, steps=spec.steps)
    return Checkpoint(
        recipe=recipe, input_shape=SHAPE, encoding=encoding, weights=weights, provenance={}
    )


def with_threshold(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    fires = "threshold" in KINDS[layer["type"]].entry.model_fields
    return {"threshold": THRESHOLD, **layer} if fires else layer


def entered(rng: np.random.Generator, recipe: Recipe) -> Iterator[Floats]:
    """Yield integers that enter, ``(time or 1, samples, inputs)``."""
    sizes, steps = (SAMPLES, int(np.prod(SHAPE))), recipe.network.time_steps
    if recipe.encoding.input == "neurons":
        yield (rng.random((steps, *sizes)) < 0.3).astype(float)
    elif recipe.encoding.input == "time":
        times = rng.integers(0, steps, sizes)
        yield (times == np.arange(steps)[:, None, None]).astype(float)
    else:
        yield rng.integers(-4, 20, (1, *sizes)).astype(float)
        yield rng.integers(-4, 20, (steps, *sizes)).astype(float)


def trained(checkpoint: Checkpoint, integers: Floats) -> dict[str, Floats]:
    """Return the spikes of the trainer's layers, or what is known of their values."""
    network = SpikingNetwork(checkpoint.recipe, checkpoint.input_shape, torch.Generator()).double()
    network.eval().load_weights(dict(checkpoint.weights))
    given = torch.from_numpy(integers * checkpoint.encoding.quantum)
    given = given.reshape(*integers.shape[:2], *checkpoint.input_shape)
    with torch.no_grad():
        traces = network(given[0] if len(given) == 1 else given, record_all=True).traces
    return {
        node.name: sent.flatten(2).numpy()
        for node in checkpoint.graph.spiking
        for trace in [traces[node.name]]
        for sent in [trace.psp if neuron(node).values else trace.spikes]
    }


def neuron(node: Node) -> Lif:
    assert node.neuron is not None
    return node.neuron


def assert_same(checkpoint: Checkpoint, integers: Floats) -> dict[str, Floats]:
    """Compare and return what all layers send, ``(time, samples, neurons)``."""
    expected = trained(checkpoint, integers)
    found = run_stages(lower(checkpoint), integers, checkpoint.graph.time_steps)
    assert found.keys() == expected.keys()
    for name, sent in expected.items():
        shown = np.broadcast_to(sent, found[name].shape)  # values may stay the same
        np.testing.assert_allclose(found[name], shown, rtol=0, atol=1e-9, err_msg=name)
    return found


def can_lower(checkpoint: Checkpoint) -> bool:
    """Return whether the chip has such neurons; the exporter refuses others."""
    neurons = [neuron(node) for node in checkpoint.graph.spiking]
    if all(each.reset == "zero" and not each.refractory for each in neurons):
        return True
    with pytest.raises(UnsupportedLayerError):
        lower(checkpoint)
    return False


@pytest.mark.parametrize("rule", METHODS)
def test_every_rule_and_role(rule: str) -> None:
    rng, compared, active = np.random.default_rng(1), set(), []
    for title, case in cases():
        network = drawn(rng, rule, case)
        if network is None or not can_lower(network):
            continue
        for integers in entered(rng, network.recipe):
            if len(integers) == 1 and rule == "st-rsbp":  # which has no constant input
                continue
            sent = assert_same(network, integers)
            active += [each.any() and not each.all() for each in list(sent.values())[:-1]]
            compared.add(title)
    assert "`dense`" in compared
    assert np.mean(active) > 0.9  # the comparison would say little about silent layers


@given(seed=st.integers(0, 2**32), steps=st.sampled_from([1, test_random_networks.STEPS]))
def test_networks_drawn_at_random(seed: int, steps: int) -> None:
    """With branches, gates and pools in a row, as tssl-bp trains them."""
    rng = np.random.default_rng(seed)
    network = test_random_networks.drawn(rng)
    inputs = int(np.prod(network.input_shape))
    assert_same(network, rng.integers(0, 16, (steps, SAMPLES, inputs)).astype(float))
