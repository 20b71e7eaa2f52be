"""ST-RSBP: recordings, the factored form against pairs of trains, and what it does not have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainer import tiny
from tests.trainer.recorded import Recorded, check_present, files, network_of, recipe_of, worst
from tssl.errors import ConfigError
from tssl.neurons import Lif
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.methods.strsbp import Sent, StRsbp, boosted
from tssl.trainer.methods.strsbp_layer import Ran, counted, fire
from tssl.trainer.methods.strsbp_table import interaction, listening, mean_interaction
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.neuron import Activity, Neurons, psp

FILES = files("strsbp_*.npz")
NETWORKS = [path for path in FILES if path.stem != "strsbp_boost"]
BOUNDS = {torch.float64: 1e-10, torch.float32: 1e-5}


def test_the_files_are_there() -> None:
    check_present(FILES, 7)


def network_of_file(file: Recorded, kind: torch.dtype) -> SpikingNetwork:
    meta, config = file.meta, file.meta["config"]
    layers = [
        {
            "type": "dense",
            "neurons": len(file[f"w.{number}"]),
            "threshold": layer["vth"],
            "recurrent": layer["kind"] == "recurrent" or bool(layer["lateral"]),
        }
        for number, layer in enumerate(meta["layers"])
    ]
    network = {
        "time_steps": meta["n_steps"],
        "tau_m": config["tau_m"],
        "tau_s": config["tau_s"],
        "refractory": meta["refractory"],
        "layers": layers,
    }
    settings = {
        "errors": "all",
        "margin": config["margin"],
        "inhibition": meta["layers"][-1]["lateral"],
        "solve": "transposed" if config["propagate"] == "official" else "right",
        "regularisation": config["lambda"],
        "growth": config["beta"],
        "weight_scale": config["weight_limit"],
    }
    counts = {"desired_count": config["desired"], "undesired_count": config["undesired"]}
    settings = {key: float(v) if not isinstance(v, str) else v for key, v in settings.items()}
    recipe = recipe_of(network, rule="st-rsbp", settings=settings, **counts)
    made = network_of(recipe, file["input"].shape[1], kind)
    with torch.no_grad():
        for number, layer in enumerate(meta["layers"]):
            name = f"dense{number + 1}"
            made.weights[name].copy_(file[f"w.{number}"])
            made.weights[f"{name}_interaction"] = torch.nn.Parameter(
                file["table"].to(kind), requires_grad=False
            )
            if f"w_rec.{number}" in file:
                made.weights[f"{name}_recurrent"].copy_(file[f"w_rec.{number}"])
            if layer["lateral"]:  # not as rounded to single precision
                own = made.weights[f"{name}_recurrent"]
                own.copy_(-layer["lateral"] * (1 - torch.eye(len(own), dtype=kind)))
    return made


def later(spikes: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]])


def sent_later(signal: Sent) -> Sent:
    """Return spikes as they reach the next layer of the published code, one step later."""
    return signal._replace(psp=later(signal.psp))


@pytest.mark.parametrize("kind", BOUNDS)
@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_recordings(path: Path, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    file, bound = Recorded(path), BOUNDS[kind]
    network = network_of_file(file, kind)
    method = network.method
    assert isinstance(method, StRsbp)
    monkeypatch.setattr(method, "enter", lambda x: sent_later(StRsbp.enter(method, x)))
    monkeypatch.setattr(method, "layer", lambda *a: sent_later(StRsbp.layer(method, *a)))
    monkeypatch.setattr(
        method, "_sample_weights", lambda *_: torch.tensor(file.meta["sample_weight"], dtype=kind)
    )
    forward = network(file["input"].to(kind)[:, None, None, None], record_all=True)
    loss = network.loss.function(forward.output, file["label"].reshape(1))
    loss.backward()
    cost = 2 * float(loss.detach()) / file.meta["sample_weight"]
    assert cost == pytest.approx(float(file["cost"]))
    for number, layer in enumerate(file.meta["layers"]):
        name = f"dense{number + 1}"
        trace = forward.traces[name]
        assert torch.equal(trace.spikes[:, 0], file[f"spk.{number}"].to(kind))
        assert worst(trace.voltage[:, 0], file[f"u.{number}"]) < bound
        assert worst(gradient(network, name), file[f"g.{number}"]) < bound
        if layer["kind"] == "recurrent":
            mask = file[f"w_rec.{number}"] != 0  # weights of 0 are no synapses there
            ours = gradient(network, f"{name}_recurrent") * mask
            assert worst(ours, file[f"g_rec.{number}"]) < bound


def gradient(network: SpikingNetwork, name: str) -> Tensor:
    found = network.weights[name].grad
    assert found is not None
    return found


@pytest.mark.skipif(not FILES, reason="the recordings are missing")
def test_boosting_of_an_epoch() -> None:
    (path,) = (path for path in FILES if path.stem == "strsbp_boost")
    file = Recorded(path)
    after = boosted(file["weights"], file["labels"].long(), file["correct"].bool())
    assert worst(after, file["weights_after"]) < 1e-12


def test_boosting_by_hand() -> None:
    """Class 0: one of weights 1 and 3 is wrong; class 1: nothing is."""
    weights, labels = torch.tensor([1.0, 3.0, 2.0]).double(), torch.tensor([0, 0, 1])
    after = boosted(weights, labels, torch.tensor([True, False, True]))
    assert after.tolist() == pytest.approx([1.0, 3 * np.exp(0.75 / 20), 2.0])


@pytest.mark.skipif(not FILES, reason="the recordings are missing")
def test_the_table_is_the_published_one() -> None:
    """Up to the draw: of pairs of trains there, here of all pairs of 400."""
    file = Recorded(NETWORKS[0])
    neuron = Lif(tau_m=16.0, tau_s=4.0, threshold=1.0, refractory=2)
    means = mean_interaction(neuron, 60, 15, np.random.default_rng(0), delay=1)
    ratio = means / file.arrays["table_mean"]
    assert np.abs(ratio[2:] - 1).max() < 0.12
    assert abs(ratio.mean() - 1) < 0.02


def heard_pair(own: np.ndarray, source: np.ndarray, neuron: Lif) -> float:
    """Simulate one pair: the source's spikes alone through both filters, with the resets of own."""
    current, potential, rest, total = 0.0, 0.0, 0, 0.0
    for fires, arrives in zip(own, source, strict=True):
        current = (1 - 1 / neuron.tau_s) * current + arrives / neuron.tau_s
        potential = (1 - 1 / neuron.tau_m) * potential + current
        if rest:
            potential, rest = 0.0, rest - 1
        if fires:
            total += potential
            potential, rest = 0.0, neuron.refractory
    return total


@pytest.mark.parametrize("refractory", [0, 2])
def test_the_table_is_the_mean_of_simulated_pairs(refractory: int) -> None:
    neuron = Lif(tau_m=9.0, tau_s=3.0, threshold=1.0, refractory=refractory)
    means = mean_interaction(neuron, 24, 6, np.random.default_rng(0))
    rng, pairs = np.random.default_rng(1), 600
    for count_own, count_source in ((1, 1), (5, 3), (6, 6)):
        total = 0.0
        for _ in range(pairs):
            own, source = (apart(rng, 24, n, refractory) for n in (count_own, count_source))
            total += heard_pair(own, source, neuron)
        assert means[count_source - 1, count_own - 1] == pytest.approx(total / pairs, rel=0.12)
    table = interaction(neuron, 24, seed=0).double().numpy()
    assert len(table) == (24 if not refractory else 8)
    for count in (1, 4, 8):
        assert np.polyval(table[2], count) == pytest.approx(
            np.polyval(np.polyfit(range(1, 9), interaction_row(neuron, 2), 4), count), rel=0.1
        )


def apart(rng: np.random.Generator, steps: int, count: int, rest: int) -> np.ndarray:
    """Draw places until there is rest enough between them."""
    while True:
        places = np.sort(rng.choice(steps, count, replace=False))
        if count == 1 or np.diff(places).min() > rest:
            train = np.zeros(steps)
            train[places] = 1
            return train


def interaction_row(neuron: Lif, row: int) -> np.ndarray:
    return mean_interaction(neuron, 24, 8, np.random.default_rng(5))[row]


class TestAgainstPairs:
    """A layer of five on three samples, every pair of trains simulated by itself."""

    steps, inputs, neurons = 40, 7, 5
    silent = 0.5

    def ran(self, neuron: Lif, *, recurrent: bool) -> tuple[Ran, Tensor, Tensor, Tensor | None]:
        generator = torch.Generator().manual_seed(4)
        given = (torch.rand(self.steps, 3, self.inputs, generator=generator) < 0.2).double()
        given[:, 1, 2] = 0  # a silent source
        weight = torch.rand(self.neurons, self.inputs, generator=generator).double() - 0.2
        weight[3] = -weight[3].abs()  # a silent neuron
        own = torch.rand(self.neurons, self.neurons, generator=generator).double() - 0.5
        feedback = own if recurrent else None
        arriving = psp(given, tau_s=neuron.tau_s)
        spikes, potentials = self.simulated(arriving, weight, feedback, neuron)
        table = 0.02 * torch.rand(20, 5, generator=generator).double()
        return (
            Ran(arriving, spikes, potentials, neuron, table, silent=self.silent),
            given,
            weight,
            feedback,
        )

    def simulated(
        self, arriving: Tensor, weight: Tensor, feedback: Tensor | None, neuron: Lif
    ) -> tuple[Tensor, Tensor]:
        shape = (self.steps, 3, self.neurons)
        spikes, potentials = torch.zeros(shape).double(), torch.zeros(shape).double()
        for b in range(3):
            v, rest = torch.zeros(self.neurons).double(), torch.zeros(self.neurons)
            for t in range(self.steps):
                current = weight @ arriving[t, b]
                if feedback is not None and t:
                    current = current + feedback @ potentials[t - 1, b]
                v = torch.where(rest > 0, 0.0, (1 - 1 / neuron.tau_m) * v + current)
                fires = v > neuron.threshold
                rest = torch.where(fires, float(neuron.refractory), rest - 1)
                v = torch.where(fires, 0.0, v)
                spikes[t, b] = fires
                before = potentials[t - 1, b] if t else torch.zeros(self.neurons).double()
                potentials[t, b] = (1 - 1 / neuron.tau_s) * before + fires / neuron.tau_s
        return spikes, potentials

    def pairs(self, spikes: Tensor, sources: Tensor, neuron: Lif) -> Tensor:
        """Return e of every neuron and source, ``(batch, neurons, sources)``."""
        result = torch.zeros(3, spikes.shape[2], sources.shape[2]).double()
        for b, i, j in np.ndindex(result.shape):
            train, source = spikes[:, b, i].numpy(), sources[:, b, j].numpy()
            result[b, i, j] = heard_pair(train, source, neuron)
        return result

    @pytest.mark.parametrize("silent", [0.5, 0.0])
    @pytest.mark.parametrize("refractory", [0, 2])
    @pytest.mark.parametrize("solve", [None, "right", "transposed"])
    def test_errors(self, refractory: int, solve: str | None, silent: float) -> None:
        self.silent = silent
        if solve == "transposed":
            self.inputs = self.neurons
        neuron = Lif(tau_m=8.0, tau_s=2.5, threshold=0.7, refractory=refractory)
        ran, given, weight, feedback = self.ran(neuron, recurrent=solve is not None)
        ran = ran._replace(transposed=solve == "transposed")
        counts = given.sum(dim=0).requires_grad_()
        leaves = [each for each in (weight, feedback) if each is not None]
        for leaf in leaves:
            leaf.requires_grad_()
        error = torch.linspace(-2, 3, 3 * self.neurons).double().reshape(3, self.neurons)
        counted(counts, weight, feedback, ran).backward(error)
        expected = self.by_pairs(error, given, weight.detach(), feedback, ran)
        found = [counts.grad, *(leaf.grad for leaf in leaves)]
        assert (ran.spikes.sum(dim=0) == 0).any()
        for ours, theirs in zip(found, expected, strict=True):
            assert ours is not None
            assert torch.allclose(ours, theirs, atol=1e-11)

    def by_pairs(
        self, error: Tensor, given: Tensor, weight: Tensor, feedback: Tensor | None, ran: Ran
    ) -> list[Tensor]:
        neuron, threshold = ran.neuron, ran.neuron.threshold
        e = self.pairs(ran.spikes, given, neuron)
        late = torch.cat([torch.zeros_like(ran.spikes[:1]), ran.spikes[:-1]])
        e_own = self.pairs(ran.spikes, late, neuron)
        o, o_in = ran.spikes.sum(dim=0), given.sum(dim=0)
        down, to_weight = torch.zeros_like(o_in), torch.zeros_like(weight)
        to_feedback = None if feedback is None else torch.zeros_like(feedback)
        for b in range(3):
            diagonal = torch.ones(self.neurons).double()
            for i in range(self.neurons):
                if feedback is None and o[b, i] == 0:
                    continue
                own = o[b, i].clamp(1, 20) if feedback is not None else o[b, i]
                powers = torch.stack([4 * own**3, 3 * own**2, 2 * own, torch.ones(())])
                slopes = [
                    weight[i, j] * (ran.table[int(o_in[b, j].clamp(1, 20)) - 1, :4] @ powers)
                    for j in range(self.inputs)
                ]
                if feedback is not None:
                    slopes += [
                        feedback[i, j].detach()
                        * (ran.table[int(o[b, j].clamp(1, 20)) - 1, :4] @ powers)
                        for j in range(self.neurons)
                    ]
                diagonal[i] = 1 - sum(slopes) / threshold
            kappa = error[b] / threshold / diagonal
            to_weight += kappa[:, None] * e[b]
            ratio = self.ratio(e[b], o[b], o_in[b])
            if feedback is None or to_feedback is None:
                down[b] = (kappa[:, None] * weight * ratio).sum(dim=0)
                continue
            to_feedback += kappa[:, None] * e_own[b]
            matrix = -feedback.detach() * self.ratio(e_own[b], o[b], o[b]) / threshold
            matrix[range(self.neurons), range(self.neurons)] = diagonal
            right = weight * ratio
            inverse = torch.linalg.inv(matrix)
            solution = right @ inverse if ran.transposed else inverse @ right
            down[b] = (error[b] / threshold) @ solution
        return [down, to_weight, *([] if to_feedback is None else [to_feedback])]

    def ratio(self, e: Tensor, own: Tensor, source: Tensor) -> Tensor:
        silent = (own[:, None] == 0) | (source[None, :] == 0)
        return torch.where(silent, self.silent, e / source.clamp(min=1))

    @pytest.mark.parametrize("refractory", [0, 2])
    def test_identity_of_what_is_heard(self, refractory: int) -> None:
        """All that a neuron hears adds up to its potentials at its spikes."""
        neuron = Lif(tau_m=8.0, tau_s=2.5, threshold=0.7, refractory=refractory)
        ran, _, weight, feedback = self.ran(neuron, recurrent=True)
        assert feedback is not None
        neurons = Neurons(tau_m=8.0, tau_s=2.5, threshold=0.7, feedback=feedback, record=True)
        trace = fire(ran.arriving @ weight.t(), neurons, neuron, Activity())
        assert torch.equal(trace.spikes, ran.spikes)
        z = listening(ran.spikes, tau_m=8.0, refractory=refractory)
        e = torch.einsum("tbi,tbj->bij", z, ran.arriving)
        own = torch.einsum("tbi,tbj->bij", z[1:], ran.own[:-1])
        heard = (weight * e).sum(dim=2) + (feedback * own).sum(dim=2)
        assert torch.allclose(heard, (trace.voltage * trace.spikes).sum(dim=0), atol=1e-12)


LEARNING = {
    "rule": "st-rsbp", "epochs": 12, "lr": 0.01, "weight_decay": 0.0, "batch_size": 10,
    "desired_count": 10.0, "undesired_count": 2.0, "smallest_rate": 0.05,
}  # fmt: skip
HIDDEN = {"type": "dense", "neurons": 12}
OUT = {"type": "dense", "neurons": tiny.CLASSES}


def rows(*layers: dict[str, Any], encoding: str = "neurons", **training: Any) -> Recipe:
    tables = {
        "name": "rows",
        "data": {"name": "rows"},
        "encoding": {"input": encoding},
        "network": {"time_steps": 20, "tau_m": 10.0, "tau_s": 3.0, "layers": layers},
        "training": {**LEARNING, **training},
    }
    return recipe_from_tables(tables, "test")


@pytest.mark.parametrize(
    ("layers", "settings"),
    [
        ([HIDDEN, OUT], {"boosting": True, "regularisation": 0.01}),
        ([{**HIDDEN, "recurrent": True}, OUT], {}),
        ([HIDDEN, {**HIDDEN, "recurrent": True, "refractory": 2}, {**OUT, "recurrent": True}], {}),
    ],
    ids=["boosted", "recurrent", "both"],
)
def test_it_learns_and_goes_on(
    tmp_path: Path, layers: list[dict[str, Any]], settings: dict[str, Any]
) -> None:
    """A run that was stopped ends with the bits of one that was not."""
    recipe = rows(*layers, settings=settings)
    watcher = tiny.Watcher()
    training = tiny.fit(tmp_path / "whole", recipe)
    assert training.fit(watcher)
    assert watcher.epochs[-1].train_accuracy > watcher.epochs[0].train_accuracy
    assert watcher.epochs[-1].test_accuracy > 0.8
    after = training.network.numpy_weights()
    assert not tiny.fit(tmp_path / "parts", recipe).fit(tiny.Watcher(stop_after=9))
    again = tiny.fit(tmp_path / "parts", recipe)
    assert again.fit(tiny.Watcher())
    found = again.network.numpy_weights()
    for name, array in after.items():
        assert (found[name] == array).all(), name
    assert {"dense1_interaction", "dense2_interaction"} < after.keys()
    if settings:
        weights = after["boosting"][0]
        assert weights.min() == 1
        assert weights.max() > 1


def test_weights_among_neurons_begin_at_a_fifth() -> None:
    """Of a normal distribution of variance 2 by the number of synapses."""
    wide = {**HIDDEN, "neurons": 300, "recurrent": True}
    weights = network_of(rows(wide, OUT), 16, torch.float64).numpy_weights()
    assert weights["dense1"].std() == pytest.approx((2 / 16) ** 0.5, rel=0.05)
    assert weights["dense1_recurrent"].std() == pytest.approx(0.2 * (2 / 300) ** 0.5, rel=0.05)


def test_within_the_margin_there_is_no_error() -> None:
    network = network_of(rows(HIDDEN, OUT, settings={"margin": 100.0}), 16, torch.float64)
    output = network(torch.ones(20, 2, 1, 1, 16).double()).output
    network.loss.function(output, torch.tensor([0, 1])).backward()
    assert not gradient(network, "dense1").any()


def test_a_network_of_another_rule_can_go_on(tmp_path: Path) -> None:
    """Its checkpoint has no tables."""
    network = network_of(rows(HIDDEN, OUT), 16, torch.float32)
    weights = network.numpy_weights()
    for name in ("dense1_interaction", "dense2_interaction"):
        del weights[name]
    weights["dense1"][:] = 3
    network.load_weights(weights)
    assert (network.weights["dense1"] == 3).all()


@pytest.mark.parametrize(
    ("layers", "training", "message"),
    [
        ([{"type": "conv", "channels": 2, "kernel": 3}], {}, "conv1: is a conv; .* dense layers"),
        ([{**HIDDEN, "bias": True}], {}, "has bias = true; .*st-rsbp has recurrent = true"),
        ([{**HIDDEN, "own_thresholds": True}], {}, "has own_thresholds = true"),
        ([{**HIDDEN, "reset": "subtract"}], {}, "has reset = 'subtract'; .* reset = 'zero'"),
        ([{**HIDDEN, "dropout": 0.2}], {}, "dense1: has dropout = 0.2; rule st-rsbp has none"),
        ([{**HIDDEN, "tau_s": 5.0}], {}, "tau_s = 3, and dense1 5; .* one for all"),
        ([HIDDEN, {**HIDDEN, "from": ["input"]}, {**OUT, "from": ["dense1", "dense2"]}], {},
         "dense3: has the sources dense1, dense2; .* one source"),
        ([HIDDEN, {"type": "dense", "neurons": 6, "recurrent": True}],
         {"settings": {"solve": "transposed"}}, "dense2: has 12 inputs and 6 neurons"),
        ([HIDDEN], {"precision": "bfloat16"}, "'bfloat16': rule st-rsbp has"),
        ([HIDDEN], {"loss": "softmax"}, "training.loss = 'softmax': rule st-rsbp has counts"),
        ([HIDDEN], {"settings": {"margins": 3}}, "unknown key 'margins'; did you mean 'margin'"),
    ],
)  # fmt: skip
def test_what_it_does_not_have(
    layers: list[dict[str, Any]], training: dict[str, Any], message: str
) -> None:
    if "from" not in layers[-1]:
        layers = [*layers, OUT]
    with pytest.raises(ConfigError, match=message):
        SpikingNetwork(rows(*layers, **training), (1, 4, 4), torch.Generator())


def test_graded_pixels_have_no_counts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"use encoding.input = 'neurons'"):
        tiny.fit(tmp_path, rows(HIDDEN, OUT, encoding="graded"))
