"""Yang 2020: recordings of autograd through another package's neuron, and every surrogate."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainer.recorded import Recorded, check_present, files, network_of, recipe_of, worst
from tests.trainer.test_rules import CONSTANTS, current
from tests.trainer.tiny import rule_of
from tssl.errors import ConfigError
from tssl.recipe import Recipe
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.neuron import Activity, Neurons

FILES = files("yang_*.npz")
BOUNDS = {torch.float64: 1e-10, torch.float32: 1e-5}
RULES = {"reset": "surrogate-reset", "detached": "surrogate"}
NAMES = {"sigmoid02": "sigmoid", "atan2": "arctan", "rect": "rectangular"}


def test_the_files_are_there() -> None:
    check_present(FILES, 5)


def recipe_of_file(file: Recorded, rule: str) -> Recipe:
    config = file.meta["config"]
    layers: list[dict[str, Any]] = []
    for number, threshold in enumerate(config["thresholds"]):
        shape = file[f"w.{number}"].shape
        layer = {"type": "dense", "neurons": shape[0], "threshold": threshold}
        if len(shape) == 4:
            padding = config["padding"][number]
            layer = {"type": "conv", "channels": shape[0], "kernel": shape[2], "padding": padding,
                     "threshold": threshold}  # fmt: skip
        layers.append({**layer, "name": f"layer{number}"})
    network = {
        "time_steps": file.meta["n_steps"],
        "tau_m": config["tau_m"],
        "tau_s": config["tau_s"],
        "layers": layers,
    }
    counts = {f"{key}_count": config[key] for key in ("desired", "undesired") if key in config}
    return recipe_of(
        network,
        rule=rule,
        settings={"surrogate": NAMES[config["surrogate"]]},
        loss=config["loss"],
        target_filter="once",
        **counts,
    )


@pytest.mark.parametrize("kind", BOUNDS)
@pytest.mark.parametrize("mode", RULES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recordings(path: Path, mode: str, kind: torch.dtype) -> None:
    file, bound = Recorded(path), BOUNDS[kind]
    inputs = file["input"].to(kind)
    if inputs.dim() == 3:
        inputs = inputs[:, :, None, None]
    shape = (inputs.shape[2], inputs.shape[3], inputs.shape[4])
    recipe = recipe_of_file(file, RULES[mode])
    network = SpikingNetwork(recipe, shape, torch.Generator().manual_seed(0)).to(kind)
    with torch.no_grad():
        for number in range(len(recipe.network.layers)):
            network.weights[f"layer{number}"].copy_(file[f"w.{number}"])
    forward = network(inputs[0] if len(inputs) == 1 else inputs, record_all=True)
    loss = network.loss.function(forward.output, file["labels"].long())
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(file["loss"]), rel=bound)
    for number in range(len(recipe.network.layers)):
        trace = forward.traces[f"layer{number}"]
        assert torch.equal(trace.spikes, file[f"spk.{number}"].to(kind))
        assert worst(trace.voltage, file[f"u.{number}"]) < bound
        assert worst(trace.psp, file[f"psp.{number}"]) < bound
        gradient = network.weights[f"layer{number}"].grad
        assert gradient is not None
        assert worst(gradient, file[f"{mode}.g.{number}"]) < bound


SLOPES = {  # written out once more
    "sigmoid": lambda x: 5 * torch.exp(-5 * x.clamp(-1.6, 1.6)).div(
        (1 + torch.exp(-5 * x.clamp(-1.6, 1.6))) ** 2
    ),
    "arctan": lambda x: 1 / (1 + (torch.pi * x) ** 2),
    "rectangular": lambda x: ((x > -0.5) & (x < 0.5)).to(x),
}  # fmt: skip


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, distance: Tensor, name: str) -> Tensor:
        ctx.save_for_backward(distance)
        ctx.name = name
        return (distance > 0).to(distance)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (distance,) = ctx.saved_tensors
        return gradients[0] * SLOPES[ctx.name](distance), None


@pytest.mark.parametrize("tau_m", [5.0, float("inf")])
@pytest.mark.parametrize("rule", ["surrogate", "surrogate-reset"])
@pytest.mark.parametrize("name", SLOPES)
def test_autograd_gives_the_same(name: str, rule: str, tau_m: float) -> None:
    """Through the neuron written out, with and without a leak."""
    given = current(9, 4, 6)
    neurons = Neurons(**{**CONSTANTS, "tau_m": tau_m}, record=True)
    trace = rule_of(rule=rule, settings={"surrogate": name})(given, neurons, Activity())
    trace.psp.square().sum().backward()
    ours = given.grad
    assert ours is not None
    again = given.detach().requires_grad_()
    v, a, potentials = torch.zeros_like(again[0]), torch.zeros_like(again[0]), []
    for arriving in again:
        u = (1 - 1 / tau_m) * v + arriving
        s = _Spike.apply(u - 1.0, name)
        v = u * (1 - (s.detach() if rule == "surrogate" else s))
        a = (1 - 1 / 3) * a + s / 3
        potentials.append(a)
    torch.stack(potentials).square().sum().backward()
    assert again.grad is not None
    assert torch.allclose(ours, again.grad, atol=1e-13)
    assert ours.any()


@pytest.mark.parametrize("layer", [{"neuron": "plif"}, {"recurrent": True}, {"norm": "batch"}])
@pytest.mark.parametrize("rule", ["surrogate", "surrogate-reset"])
def test_every_neuron_with_a_potential(rule: str, layer: dict[str, Any]) -> None:
    layers = [{"type": "dense", "neurons": 5, **layer}, {"type": "dense", "neurons": 3}]
    recipe = recipe_of(
        {"time_steps": 5, "layers": layers}, rule=rule, settings={"surrogate": "rectangular"}
    )
    network = network_of(recipe, 4, torch.float64)
    output = network(torch.rand(2, 1, 1, 4).double() * 3).output
    network.loss.function(output, torch.tensor([0, 2])).backward()
    for name, weight in network.weights.items():
        assert (weight.grad is not None) == weight.requires_grad, name
        assert weight.grad is None or weight.grad.isfinite().all()


@pytest.mark.parametrize(
    ("rule", "settings", "message"),
    [
        ("surrogate", {"surrogate": "tanh"}, "settings: surrogate: .*'sigmoid', 'arctan' or 'rect"),
        ("surrogate-reset", {"width": 2}, "training.settings: unknown key 'width'; known keys: su"),
        ("surrogate-arctan", {"surrogate": "sigmoid"}, "rule surrogate-arctan has none"),
    ],
)
def test_settings_are_checked(rule: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rule_of(rule=rule, settings=settings)
