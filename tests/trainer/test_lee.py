"""Lee 2016: recordings, the identity of the membrane, signs, and what the method does not have."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainer import tiny
from tests.trainer.recorded import Recorded, check_present, files, network_of, recipe_of, worst
from tssl.checkpoint import ChipPlan
from tssl.errors import ConfigError
from tssl.recipe import recipe_from_tables
from tssl.trainer.network import Forward, SpikingNetwork

FILES = files("lee_*.npz")
TAU_M = 1 / (1 - math.exp(-1 / 20))
BOUNDS = {torch.float64: 1e-10, torch.float32: 1e-5}


def lee(
    *sizes: int, steps: int, kind: torch.dtype = torch.float64, tau_m: float = TAU_M, **fields: Any
) -> SpikingNetwork:
    """Return a network whose neurons all have thresholds of their own."""
    settings = fields.pop("settings", {})
    layer = {"type": "dense", "own_thresholds": True, **fields}
    layers = [{**layer, "neurons": size} for size in sizes[1:]]
    network = {"time_steps": steps, "tau_m": tau_m, "tau_s": 1.0, "layers": layers}
    return network_of(recipe_of(network, rule="lee", settings=settings), sizes[0], kind)


def given(network: SpikingNetwork, number: int, weight: Tensor, threshold: Tensor) -> None:
    with torch.no_grad():
        network.weights[f"dense{number + 1}"].copy_(weight)
        network.weights[f"dense{number + 1}_threshold"].copy_(threshold.log())


def run(network: SpikingNetwork, inputs: Tensor, labels: Tensor) -> Forward:
    """Go through a batch; the loss is summed over it, as the recordings' updates are."""
    shaped = inputs.to(next(network.parameters()).dtype)[:, :, None, None]
    forward: Forward = network(shaped, record_all=True)
    network.zero_grad()
    (network.loss.function(forward.output, labels) * len(labels)).backward()
    return forward


def gradients(network: SpikingNetwork, number: int) -> tuple[Tensor, Tensor]:
    """Return those of weights and thresholds of a layer."""
    weight = network.weights[f"dense{number + 1}"]
    logarithm = network.weights[f"dense{number + 1}_threshold"]
    assert weight.grad is not None
    assert logarithm.grad is not None
    return weight.grad, logarithm.grad / logarithm.detach().exp()


def test_the_files_are_there() -> None:
    check_present(FILES, 4)


@pytest.mark.parametrize("kind", BOUNDS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recordings(path: Path, kind: torch.dtype) -> None:
    file, bound = Recorded(path), BOUNDS[kind]
    meta = file.meta
    sides: dict[str, Any] = {"recurrent": True} if meta["kappa"] else {}
    network = lee(
        *meta["sizes"],
        steps=meta["n_steps"],
        kind=kind,
        reset="subtract",
        refractory=meta["t_ref"],
        settings={"inhibition": -meta["sigma"] * meta["kappa"], "errors": "all"},
        **sides,
    )
    for number in range(2):
        given(network, number, file[f"w.{number}"], file[f"vth.{number}"])
        if sides:  # not as rounded to single precision
            strength = meta["sigma"] * meta["kappa"] * math.exp(-1 / 20)
            own = network.weights[f"dense{number + 1}_recurrent"]
            own.copy_(strength * (1 - torch.eye(len(own), dtype=kind)))
    forward = run(network, file["input"], file["target"].argmax(dim=1))
    assert worst(forward.output.psp[0], file["output"].to(kind)) < bound
    for number in range(2):
        trace = forward.traces[f"dense{number + 1}"]
        assert torch.equal(trace.spikes, file[f"spk.{number}"].to(kind))
        unit = file[f"vth.{number}"]
        assert worst(trace.voltage * unit, file[f"u.{number}"]) < bound
        weights, thresholds = gradients(network, number)
        assert worst(-weights, file[f"dw.{number}"].sum(dim=0)) < bound
        assert worst(-thresholds, file[f"dth.{number}"].sum(dim=0)) < bound
        if number and "moyf.dw.1" in file:  # of lower layers, it takes another mean of 1/threshold
            assert worst(-0.002 * weights, file["moyf.dw.1"]) < bound


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def decayed(spikes: Tensor) -> Tensor:
    """Return what is left of spikes ``(time, ...)`` at the end."""
    ages = range(len(spikes) - 1, -1, -1)
    return sum(math.exp(-age / 20) * step for age, step in zip(ages, spikes, strict=True))


class TestByHand:
    """Two layers of 9-6-4 on four samples, written out sample by sample."""

    reset = "zero"

    def network(self, **fields: Any) -> SpikingNetwork:
        network = lee(9, 6, 4, steps=30, **{"reset": self.reset, **fields})
        for number, (rows, columns) in enumerate([(6, 9), (4, 6)]):
            weight = 1.4 * drawn(number, rows, columns) - 0.4
            given(network, number, weight, 0.8 + drawn(number + 7, rows))
        return network

    inputs = (drawn(5, 30, 4, 9) < 0.2).double()
    labels = torch.tensor([0, 3, 1, 1])

    @pytest.mark.parametrize("kind", ["zero", "subtract"])
    def test_neurons(self, kind: str) -> None:
        network = self.network(reset=kind)
        forward = run(network, self.inputs, self.labels)
        arriving = self.inputs
        for name, trace in forward.traces.items():
            threshold = network.weights[f"{name}_threshold"].detach().exp()
            weight = network.weights[name].detach()
            potential = torch.zeros_like(trace.spikes[0])
            for t, step in enumerate(arriving):
                potential = math.exp(-1 / 20) * potential + step @ weight.t()
                fires = potential > threshold
                assert torch.equal(trace.spikes[t], fires.double())
                left = potential - threshold if kind == "subtract" else 0 * potential
                potential = torch.where(fires, left, potential)
            assert 0.05 < trace.spikes.mean() < 0.8
            arriving = trace.spikes

    def test_identity_of_the_membrane(self) -> None:
        """With what is above the threshold kept, V = W x - threshold a at the end."""
        network = self.network(reset="subtract")
        trace = run(network, self.inputs, self.labels).traces["dense1"]
        own = network.weights["dense1_threshold"].detach().exp()
        left = (trace.voltage[-1] - trace.spikes[-1]) * own
        expected = decayed(self.inputs) @ network.weights["dense1"].detach().t()
        assert torch.allclose(left, expected - own * decayed(trace.spikes), atol=1e-12)

    @pytest.mark.parametrize("errors", ["fired", "all"])
    def test_updates(self, errors: str) -> None:
        network = self.network(settings={"errors": errors})
        with torch.no_grad():
            network.weights["dense1"][2] -= 1.2  # it is silent in some samples
        forward = run(network, self.inputs, self.labels)
        hidden, last = (forward.traces[name].spikes for name in ("dense1", "dense2"))
        upper = network.weights["dense2"].detach()
        gain = 1 / network.weights["dense1_threshold"].detach().exp()
        expected = [torch.zeros(6, 9).double(), torch.zeros(6).double(), torch.zeros(4).double()]
        silent = 0
        for b, label in enumerate(self.labels):
            counts = last[:, b].sum(dim=0)
            error = counts / counts.max()
            error[label] -= 1
            fired = hidden[:, b].any(dim=0)
            active = self.inputs[:, b].any(dim=0).sum()
            back = (error @ upper) * gain / gain[fired].square().mean().sqrt()
            back = back * (6 / fired.sum()).sqrt()
            silent += int((~fired).sum())
            if errors == "fired":
                back[~fired] = 0
            x, a = decayed(self.inputs[:, b]), decayed(hidden[:, b])
            expected[0] += (6 / active).sqrt() * torch.outer(back, x)
            expected[1] -= (6 / (active * 9)).sqrt() * back * a
            expected[2] -= (4 / (fired.sum() * 6)).sqrt() * error * decayed(last[:, b])
        assert silent, "there is something to tell apart"
        weights, thresholds = gradients(network, 0)
        assert torch.allclose(weights, expected[0], atol=1e-12)
        assert torch.allclose(thresholds, expected[1], atol=1e-12)
        assert torch.allclose(gradients(network, 1)[1], expected[2], atol=1e-12)

    def test_thresholds_of_those_who_fire_too_often_rise(self) -> None:
        """The sign: descent adds to the threshold of an output that is too large."""
        network = self.network()
        forward = run(network, self.inputs, self.labels)
        wrong = torch.ones(4).double()
        wrong[self.labels] = 0  # 2 is the true class of no sample
        fires = forward.output.spikes.sum(dim=(0, 1)) * wrong
        assert fires.sum() > 0
        down = -gradients(network, 1)[1]
        assert (down[fires > 0] > 0).all()

    def test_an_input_that_stays_the_same(self) -> None:
        """As graded spikes of every step."""
        network = self.network()
        pixels = drawn(11, 4, 9)
        network(pixels[:, None, None])
        results = []
        for inputs in (pixels[:, None, None], pixels.expand(30, 4, 9)[:, :, None, None]):
            network.zero_grad()
            forward = network(inputs, record_all=True)
            network.loss.function(forward.output, self.labels).backward()
            results.append((forward.traces["dense1"].spikes, gradients(network, 0)[0].clone()))
        (spikes, gradient), (others, other) = results
        assert torch.equal(spikes, others)
        assert torch.allclose(gradient, other, atol=1e-12)

    def test_a_winner_lowers_the_others(self) -> None:
        network = self.network(recurrent=True, settings={"inhibition": 0.3})
        own = network.weights["dense1_recurrent"]
        expected = -0.3 * math.exp(-1 / 20) * (1 - torch.eye(6).double())
        assert torch.allclose(own, expected, atol=1e-7)
        without = run(self.network(), self.inputs, self.labels).traces["dense1"].spikes
        spikes = run(network, self.inputs, self.labels).traces["dense1"].spikes
        assert 0 < spikes.sum() < without.sum()
        assert own.grad is None
        assert not own.requires_grad

    def test_a_winner_lowers_by_a_part_of_the_threshold(self) -> None:
        """The same spikes, whether a layer has one threshold or each of its neurons has it."""
        found = []
        for own in (True, False):
            network = lee(9, 6, 4, steps=30, recurrent=True, own_thresholds=own, threshold=0.5)
            with torch.no_grad():
                network.weights["dense1"].copy_(1.4 * drawn(0, 6, 9) - 0.4)
            spikes = run(network, self.inputs, self.labels).traces["dense1"].spikes
            found.append((spikes, network.weights["dense1_recurrent"]))
        (spikes, parts), (others, stored) = found
        assert 0 < spikes.mean() < 1
        assert torch.equal(spikes, others)
        assert torch.allclose(stored, 0.5 * parts)  # beside weights that are not in thresholds

    def test_regularisers(self) -> None:
        plain, given_too = (
            self.network(),
            self.network(settings={"regularisation": 0.7, "growth": 0.3, "balance": 0.2}),
        )
        forward = run(plain, self.inputs, self.labels)
        run(given_too, self.inputs, self.labels)
        weight = plain.weights["dense1"].detach()
        grown = (0.3 * (weight.square().sum(dim=1, keepdim=True) - 1)).exp()
        more = [of - without for of, without in zip(
            gradients(given_too, 0), gradients(plain, 0), strict=True
        )]  # fmt: skip
        assert torch.allclose(more[0], 4 * 0.7 * 0.3 * weight * grown)  # 4 samples, see `run`
        fired = forward.traces["dense1"].spikes.any(dim=0).double()
        pushes = sum(6 * sample - sample.sum() for sample in fired)
        assert torch.allclose(more[1], -0.2 * pushes)
        assert abs(more[1].sum()) < 1e-12

    def test_dropout_takes_neurons_away_for_all_time(self) -> None:
        network = self.network(dropout=0.5)
        network.noise.manual_seed(3)
        forward = run(network, self.inputs, self.labels)
        weight = network.weights["dense2"].grad
        assert weight is not None
        fired = forward.traces["dense1"].spikes.sum(dim=(0, 1)) > 0
        assert fired.all()
        assert torch.isfinite(weight).all()


def test_no_spike_gives_the_whole_error() -> None:
    network = lee(5, 3, steps=10, threshold=1e6)
    inputs = torch.ones(10, 2, 5).double()
    forward = run(network, inputs, torch.tensor([0, 2]))
    assert not forward.output.psp.any()
    weights, thresholds = gradients(network, 0)
    assert (weights[[0, 2]] < 0).all(), "descent raises those of true classes"
    assert not weights[1].any()
    assert not thresholds.any()


LEARNING = {"rule": "lee", "epochs": 8, "lr": 0.02, "weight_decay": 0.0, "batch_size": 10}


def tables(*layers: dict[str, Any], **network: Any) -> dict[str, Any]:
    return {
        "name": "rows",
        "data": {"name": "rows"},
        "network": {"time_steps": 12, "tau_m": 20.0, "tau_s": 1.0, "layers": layers, **network},
        "training": LEARNING,
    }


@pytest.mark.parametrize("fields", [{}, {"recurrent": True}, {"reset": "subtract"}])
def test_it_learns_and_goes_on(tmp_path: Path, fields: dict[str, Any]) -> None:
    """A run that was stopped ends with the bits of one that was not."""
    layer = {"type": "dense", "own_thresholds": True, "threshold": 0.5, **fields}
    layers = {**layer, "neurons": 12}, {**layer, "neurons": tiny.CLASSES}
    recipe = recipe_from_tables(tables(*layers), "test")
    watcher = tiny.Watcher()
    training = tiny.fit(tmp_path / "whole", recipe)
    before = training.network.numpy_weights()["dense1_threshold"].copy()
    assert training.fit(watcher)
    assert watcher.epochs[-1].test_accuracy > 0.9
    after = training.network.numpy_weights()
    assert (after["dense1_threshold"] != before).any()
    assert not tiny.fit(tmp_path / "parts", recipe).fit(tiny.Watcher(stop_after=9))
    again = tiny.fit(tmp_path / "parts", recipe)
    assert again.fit(tiny.Watcher())
    for name, array in again.network.numpy_weights().items():
        assert (array == after[name]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": [{"type": "conv", "channels": 2, "kernel": 3}]}, "conv1: is a conv; .* dense"),
        ({"layers": [{"type": "dense", "bias": True}]}, "dense1: has bias = true.*recurrent"),
        ({"layers": [{"type": "dense", "norm": "batch"}]}, "has norm = 'batch'; .*own_thresh"),
        ({"layers": [{"type": "dense", "neuron": "plif"}]}, "has neuron = 'plif'"),
        ({"tau_s": 3.0}, "dense1: has tau_s = 3; rule lee .* use tau_s = 1"),
        ({"layers": [{"type": "dense", "tau_m": 5.0}]}, "tau_m = 20, and dense1 5; .* one for all"),
    ],
)
def test_what_it_does_not_have(changes: dict[str, Any], message: str) -> None:
    changed = {"neurons": 5, **changes.pop("layers", [{"type": "dense"}])[0]}
    if changed["type"] == "conv":
        del changed["neurons"]
    layers = changed, {"type": "dense", "neurons": 3}
    recipe = recipe_from_tables(tables(*layers, **changes), "test")
    with pytest.raises(ConfigError, match=message):
        SpikingNetwork(recipe, (1, 4, 4), torch.Generator())


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"loss": "kernel"}, "training.loss = 'kernel': rule lee has counts"),
        ({"settings": {"inhibit": 0.1}}, "training.settings: unknown key 'inhibit'; did you mean"),
        ({"settings": {"inhibition": 1.5}}, "training.settings: inhibition: must be less than 1"),
    ],
)
def test_settings_are_checked(training: dict[str, Any], message: str) -> None:
    network = tables({"type": "dense", "neurons": 3})
    network["training"] = {**LEARNING, **training}
    with pytest.raises(ConfigError, match=message):
        SpikingNetwork(recipe_from_tables(network, "test"), (1, 4, 4), torch.Generator())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"own_thresholds": True}, "dense1: has own_thresholds = true; rule tssl-bp .* rule lee"),
        ({"reset": "subtract"}, "has reset = 'subtract'; rule tssl-bp has reset = 'zero'"),
        ({"refractory": 2}, "has refractory = 2; rule tssl-bp has none"),
    ],
)
def test_other_rules_refuse_its_neurons(fields: dict[str, Any], message: str) -> None:
    network = {"layers": [{"type": "dense", "neurons": 3, **fields}]}
    with pytest.raises(ConfigError, match=message):
        network_of(recipe_of(network), 5, torch.float32)


def test_a_plan_of_integers_is_refused_in_one_line() -> None:
    """As `--from` a run in integers would bring it, before any training begins."""
    recipe = recipe_from_tables(tables({"type": "dense", "neurons": 3}), "test")
    plan = ChipPlan(scales={"dense1": 9.0}, largest_weights={"dense1": 254}, weight_step=2)
    with pytest.raises(ConfigError, match="needs a rule that trains on potentials"):
        SpikingNetwork(recipe, (1, 4, 4), torch.Generator(), plan)
