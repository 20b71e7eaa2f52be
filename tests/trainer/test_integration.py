"""Neurons that never fire: potentials against plain Python, gradients against autograd's."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainer import tiny
from tests.trainer.test_tape import SHAPE, gradients
from tssl.chip import ValueReadOut
from tssl.errors import ConfigError
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.integration import integrated
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.neuron import Neurons
from tssl.trainer.potentials import Potentials

STEPS = 5
HIDDEN = {"type": "dense", "neurons": 12, "threshold": 0.4}
LAST = {"type": "dense", "neurons": 3, "neuron": "li"}
LAST_WITHOUT_LEAK = {"type": "dense", "neurons": 3, "neuron": "i"}


def recipe(*layers: dict[str, Any], **training: Any) -> Recipe:
    tables = {
        "name": "read",
        "data": {"name": "rows"},
        "network": {"time_steps": STEPS, "layers": list(layers or (HIDDEN, LAST))},
        "training": {"epochs": 2, "batch_size": 10, "lr": 0.02, **training},
    }
    return recipe_from_tables(tables, "here")


def network(*layers: dict[str, Any], **training: Any) -> SpikingNetwork:
    return SpikingNetwork(recipe(*layers, **training), SHAPE, torch.Generator().manual_seed(1))


def neurons(tau_m: float, **others: Any) -> Neurons:
    return Neurons(tau_m=tau_m, tau_s=3.0, threshold=math.inf, **others)


@pytest.mark.parametrize("tau_m", [1.0, 4.0, math.inf])
def test_potentials_are_those_of_the_equation(tau_m: float, rng: np.random.Generator):
    current = rng.normal(size=(7, 2, 4)).astype(np.float32)
    trace = integrated(torch.from_numpy(current), neurons(tau_m))
    for place in np.ndindex(2, 4):
        potential = 0.0
        for step in range(7):
            potential = (1 - 1 / tau_m) * potential + float(current[(step, *place)])
            assert trace.psp[(step, *place)].item() == pytest.approx(potential, abs=1e-5)
    assert torch.equal(trace.voltage, trace.psp)
    assert not trace.spikes.any()


@pytest.mark.parametrize("constant", [0, STEPS])
@pytest.mark.parametrize("tau_m", [1.0, 4.0, math.inf])
def test_its_gradient_is_that_of_autograd(constant: int, tau_m: float):
    current = torch.randn(1 if constant else STEPS, 2, 4, dtype=torch.float64, requires_grad=True)

    def potential(given: Tensor) -> Tensor:
        return integrated(given, neurons(tau_m, constant_steps=constant)).psp

    assert potential(current).shape == (STEPS, 2, 4)
    assert torch.autograd.gradcheck(potential, (current,))


@pytest.mark.parametrize("rule", ["tssl-bp", "surrogate", "surrogate-reset"])
@pytest.mark.parametrize("layers", [(HIDDEN, LAST), (LAST,), (HIDDEN, LAST_WITHOUT_LEAK)])
@pytest.mark.parametrize("time", [(), (STEPS,)])
def test_a_tape_gives_the_bits_of_autograd(rule: str, layers: Any, time: tuple[int, ...]):
    trained = network(*layers, rule=rule)
    assert isinstance(trained.method, Potentials)
    for seed in (1, 2):  # the second pass repeats the first
        inputs = torch.rand((*time, 6, *SHAPE), generator=torch.Generator().manual_seed(seed))
        assert trained.method.passes_tape(inputs)
        by_autograd, counts = gradients(trained, inputs, by_tape=False)
        by_tape, same = gradients(trained, inputs, by_tape=True)
        assert counts == same
        assert all(torch.equal(*pair) for pair in zip(by_autograd, by_tape, strict=True))
        assert all(each.any() for each in by_tape)


def test_what_is_trained_is_the_potential_after_the_last_step(rng: np.random.Generator):
    inputs = torch.from_numpy(rng.random((6, *SHAPE), np.float32))
    labels = torch.arange(6) % 3
    trained = network()
    output = trained(inputs).output
    said = output.voltage[-1].double()
    wanted = -torch.log_softmax(said, 1)[torch.arange(6), labels].mean()
    assert trained.loss.function(output, labels).item() == pytest.approx(wanted.item(), abs=1e-6)
    numbers = SpikingNetwork(
        recipe(), SHAPE, torch.Generator(), read_out=ValueReadOut((1.0,) * 3, (0.0,) * 3)
    )
    targets = torch.randn(6, 3)
    error = (said - targets).square().mean().item()
    assert numbers.loss.function(output, targets).item() == pytest.approx(error, abs=1e-6)


def test_a_bias_and_a_norm_lead_to_it():
    last = {"type": "dense", "neurons": 3, "neuron": "li", "tau_m": 2.0}
    biased = network(HIDDEN, {**last, "bias": True})
    with torch.no_grad():
        biased.weights["dense2_bias"].copy_(torch.tensor([1.0, -2.0, 0.5]))
    silent = biased(torch.zeros(1, *SHAPE)).output.voltage[:, 0]
    kept = torch.tensor([2 - 0.5**step for step in range(STEPS)])
    assert torch.allclose(silent, kept[:, None] * biased.weights["dense2_bias"])
    assert network(HIDDEN, {**last, "norm": "batch"})(torch.rand(4, *SHAPE)).output.psp.any()


def test_it_learns_and_wakes_no_layer_that_cannot_fire(tmp_path: Path):
    run = tiny.fit(tmp_path, recipe(epochs=8))
    assert run.fit(tiny.Watcher())
    metrics = run.progress.metrics[-1]
    assert metrics.train_accuracy > 0.9
    assert set(run.progress.firing_rates) <= {"dense1"}


@pytest.mark.parametrize(
    ("layers", "training", "words"),
    [
        ((LAST, HIDDEN), {}, "layer dense1: neuron = 'li' never fires.*only the last layer"),
        (({**LAST, "threshold": 1.0},), {}, "neuron = 'li' never fires; leave threshold out"),
        (({**LAST, "recurrent": True},), {}, "nothing follows a spike"),
        (({**LAST, "own_thresholds": True},), {}, "nothing follows a spike"),
        (({**LAST_WITHOUT_LEAK, "tau_m": 3.0},), {}, "has no leak; leave tau_m out, or use 'li'"),
        ((), {"loss": "kernel"}, "rule tssl-bp has cross-entropy, squares"),
        ((), {"rule": "st-rsbp"}, "layer dense2: has neurons that never fire, which rule st-rsbp"),
        ((), {"rule": "lee"}, "layer dense2: has neurons that never fire, which rule lee"),
    ],
)
def test_what_is_refused(layers: Any, training: dict[str, Any], words: str):
    with pytest.raises(ConfigError, match=words):
        network(*layers, **training)
