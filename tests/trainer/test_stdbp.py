"""STDBP: when neurons first fire, and how errors pass, against recordings and a table by hand.

The recorded files come from an exact oracle, checked by central differences, and from third-party
code, see their README; the folder is ``TSSL_METHODS_DIR`` when it is set.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tests.trainer import tiny
from tssl.chip import CLASS
from tssl.errors import ConfigError
from tssl.geometry import Geometry
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer import first_spikes as module
from tssl.trainer.evaluation import answers
from tssl.trainer.first_spikes import Rule, earliest, first_spikes, late, patches
from tssl.trainer.network import SpikingNetwork

SHARED = Path(__file__).parents[3] / "shared" / "golden" / "methods"
FOLDER = Path(os.environ.get("TSSL_METHODS_DIR", SHARED))
INF = math.inf
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
LONG = 1e6
ROWS = [  # input times, weights, threshold, spike time, slope, causal inputs
    ([0, 1], [1, 1], 3, 2.0, 2, [1, 1]),
    ([0, 1], [1, 1], 1, 1.0, 1, [1, 0]),  # what arrives at the spike comes too late
    ([0, 1, 2], [2, -1, -1], 3.5, INF, None, None),  # falls again before it is there
    ([0, 1, 2], [2, -1, -1], 3, 2.0, 1, [1, 1, 0]),  # there, just before it falls
    ([0, INF, 4], [-1, 9, 3], 1, 6.5, 2, [1, 0, 1]),  # from below zero; one input is silent
    ([3, 1, 1], [5, 1, -1], 10, 5.0, 5, [1, 1, 1]),  # not sorted, two at once
    ([0, 0], [0.25, 0.25], 4, 8.0, 0.5, [1, 1]),
]


@pytest.fixture(params=["compiled", "general"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Compute by compiled loops, or as on a GPU."""
    if request.param == "general":
        monkeypatch.setattr(module, "_is_compiled", lambda _: False)
    return str(request.param)


every_type = pytest.mark.parametrize("kind", TOLERANCE, ids=str)


def recorded(case: str) -> dict[str, Any]:
    path = FOLDER / f"stdbp_{case}.npz"
    if not path.is_file():
        pytest.skip(f"{path} is missing; TSSL_METHODS_DIR names the folder")
    with np.load(path) as file:
        found: dict[str, Any] = {key: file[key] for key in file}
    found["meta"] = json.loads(str(found["meta"]))
    return found


def leaf(values: Any, kind: torch.dtype) -> Tensor:
    return torch.tensor(np.asarray(values, np.float64)).to(kind).requires_grad_()


def check(found: Tensor | None, expected: NDArray[Any], kind: torch.dtype) -> None:
    """Silence is equal; the largest difference is small beside the largest number."""
    assert found is not None
    values = found.detach().double().numpy()
    assert np.array_equal(np.isinf(values), np.isinf(expected))
    finite = np.isfinite(expected)
    error = np.abs(values[finite] - expected[finite]).max(initial=0)
    assert error <= TOLERANCE[kind] * np.abs(expected[finite]).max(initial=0)


@every_type
@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[1]))
def test_by_hand(row: Any, kind: torch.dtype, way: str) -> None:
    times, weight, threshold, expected, slope, causal = row
    t, w = leaf([times], kind), leaf([weight], kind)
    out = first_spikes(t, w, None, Rule(threshold, LONG)).times
    assert out.item() == expected
    if expected == INF:
        return
    out.sum().backward()
    mask = np.array(causal)
    known = np.where(mask, np.nan_to_num(times, posinf=0), 0)
    check(w.grad, (mask * (known - expected) / slope)[None], kind)
    check(t.grad, (mask * np.array(weight) / slope)[None], kind)


@every_type
def test_a_neuron_each(kind: torch.dtype, way: str) -> None:
    file = recorded("single")
    found: dict[str, list[Tensor]] = {"t": [], "dt_dw": [], "dt_dt": []}
    for times, weight, threshold in zip(file["times"], file["w"], file["theta"], strict=True):
        t, w = leaf(times[None], kind), leaf(weight[None], kind)
        out = first_spikes(t, w, None, Rule(float(threshold), 1e9)).times
        out.sum().backward()
        for name, each in zip(found, (out[0], w.grad, t.grad), strict=True):
            assert each is not None
            found[name].append(each.detach())
    fired = np.isfinite(file["t"])
    assert fired.sum() > 30
    check(torch.cat(found["t"]), file["t"], kind)
    for name in ("dt_dw", "dt_dt"):
        check(torch.cat(found[name])[torch.from_numpy(fired)], file[name][fired], kind)


class Layers:
    """A network of a file, with all its times."""

    def __init__(self, file: dict[str, Any], kind: torch.dtype) -> None:
        self.file, self.kind = file, kind
        self.weights: dict[int, Tensor] = {}
        self.times: list[Tensor] = []

    def run(self, inputs: Tensor) -> Tensor:
        signal = inputs
        for number, layer in enumerate(self.file["meta"]["layers"]):
            kind = layer["kind"]
            if kind == "earliest":
                kernel = (layer["pool"],) * 2
                signal = earliest(signal, Geometry(kernel=kernel, stride=kernel))
            else:
                rule = Rule(layer["theta"], layer["t_end"])
                signal = self.fired(number, signal, rule, layer["pad"] or 0)
            signal.retain_grad()
            self.times.append(signal)
        return signal

    def fired(self, number: int, signal: Tensor, rule: Rule, padding: int = 0) -> Tensor:
        weight = self.weights[number] = leaf(self.file[f"w.{number}"], self.kind)
        bias = torch.ones(len(weight), dtype=self.kind) if rule.threshold == 2 else None
        if weight.dim() == 2:
            return first_spikes(signal.flatten(1), weight, bias, rule).times
        rows, columns = weight.shape[2:]
        geometry = Geometry(kernel=(rows, columns), padding=(padding, padding))
        windows = patches(signal, geometry)
        found = first_spikes(windows.flatten(0, 1), weight.flatten(1), bias, rule).times
        maps = found.unflatten(0, windows.shape[:2]).movedim(2, 1)
        size = geometry.positions((signal.shape[2], signal.shape[3]))
        return maps.unflatten(2, size)


@every_type
@pytest.mark.parametrize("case", ["dense", "conv"])
def test_layers(case: str, kind: torch.dtype, way: str) -> None:
    file = recorded(case)
    layers, inputs = Layers(file, kind), leaf(file["input"], kind)
    output = late(layers.run(inputs), file["meta"]["t_late"])
    loss = functional.cross_entropy(-output, torch.from_numpy(file["labels"]))
    loss.backward()
    check(loss, file["loss"], kind)
    check(inputs.grad, file["g.input"], kind)
    for number, times in enumerate(layers.times):
        check(times, file[f"t.{number}"], kind)
        check(times.grad, file[f"gt.{number}"], kind)
    for number, weight in layers.weights.items():
        check(weight.grad, file[f"g.{number}"], kind)


@every_type
@pytest.mark.parametrize("case", ["t2fsnn_dense", "t2fsnn_conv"])
def test_third_party_code(case: str, kind: torch.dtype, way: str) -> None:
    """Its layer has an input of weight 1 at time 0 and the threshold 2; a unit of time passes."""
    file = recorded(case)
    layers, signal = Layers(file, kind), leaf(file["input"], kind)
    for number in range(sum(key.startswith("t.") for key in file)):
        if f"w.{number}" in file:
            signal = layers.fired(number, signal, Rule(2.0, 2.0), padding=1) - 1
        else:
            signal = earliest(signal, Geometry(kernel=(2, 2), stride=(2, 2)))
        layers.times.append(signal)
    loss = functional.cross_entropy(-late(signal, 1.0), torch.from_numpy(file["labels"]))
    loss.backward()
    check(loss, file["loss"], kind)
    for number, times in enumerate(layers.times):
        check(times, file[f"t.{number}"], kind)
    for number, weight in layers.weights.items():
        check(weight.grad, file[f"g.{number}"], kind)


@every_type
def test_whole_steps(kind: torch.dtype, way: str) -> None:
    file = recorded("grid")
    for steps, weight, threshold, expected in zip(
        file["steps"], file["w"], file["vth"], file["out"], strict=True
    ):
        times = np.where(steps < 0, INF, steps)
        rule = Rule(float(threshold), 1000.0, on_grid=True)
        found = first_spikes(leaf([times], kind), leaf([weight], kind), None, rule).times.item()
        assert found == (INF if expected < 0 else expected)


@every_type
def test_integers_are_those_of_the_chip(kind: torch.dtype, way: str) -> None:
    """Add up currents and potentials step by step; many crossings are exactly at a threshold."""
    rng = np.random.default_rng(4)
    steps, first = 24, rng.integers(0, 12, (30, 20)).astype(float)
    first[rng.random(first.shape) < 0.3] = INF
    weight, bias = rng.integers(-3, 6, (40, 20)), rng.integers(-2, 3, 40)
    rule = Rule(60.0, float(steps), on_grid=True)
    found = first_spikes(leaf(first, kind), leaf(weight, kind), leaf(bias, kind), rule)
    current = potential = np.zeros((30, 40))
    expected = np.full((30, 40), INF)
    for step in range(steps):
        current = current + (first == step) @ weight.T
        potential = potential + current + bias
        expected[(potential > 60) & np.isinf(expected)] = step
    silent = np.isinf(expected)
    assert 0.1 < silent.mean() < 0.6
    assert np.array_equal(found.times.detach().numpy(), expected)
    assert np.array_equal(found.potential.numpy()[silent], potential[silent])


def test_both_ways_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(2)
    times = torch.rand(12, 30, generator=generator, dtype=torch.float64) * 20
    weight = torch.rand(25, 30, generator=generator, dtype=torch.float64) - 0.3
    error = torch.randn(12, 25, generator=generator, dtype=torch.float64)
    results = []
    for is_compiled in (True, False):
        monkeypatch.setattr(module, "_is_compiled", lambda _, answer=is_compiled: answer)
        monkeypatch.setattr(module, "_BLOCK_BYTES", 8 * times.numel() * 7)
        t, w, b = (x.clone().requires_grad_() for x in (times, weight, weight[:, 0]))
        found = first_spikes(t, w, b, Rule(30.0, 20.0, steepest=0.5, push=0.1))
        found.times.backward(error)
        results.append([found.times.detach(), found.potential, t.grad, w.grad, b.grad])
    assert results[0][0].isinf().any()
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_steep_errors_are_clipped() -> None:
    t, w = leaf([[0.0]], torch.float64), leaf([[0.01]], torch.float64)
    first_spikes(t, w, None, Rule(1.0, LONG, steepest=5.0)).times.sum().backward()
    assert w.grad is not None
    assert w.grad.item() == pytest.approx(-100 * 5.0)


def test_silent_neurons_are_pushed() -> None:
    """Whoever the loss wants earlier, and whoever never fires; nobody else, and no silent input."""
    times, error = leaf([[0, 2, INF]] * 2, torch.float64), torch.zeros(2, 4, dtype=torch.float64)
    weight = leaf([[1, 1, 1], [0.1, 0, 0], [0.1, 0, 0], [0.1, 0, 0]], torch.float64)
    error[:, 0], error[0, 1], error[:, 2] = 1.0, 3.0, -1.0
    rule = Rule(4.0, 10.0, push=0.5)
    first_spikes(times, weight, None, rule).times.backward(error)
    assert weight.grad is not None
    reach = torch.tensor([10.0, 8, 0], dtype=torch.float64)
    mean = float(error.abs().sum() / 2 / 2)
    assert torch.allclose(weight.grad[1], -0.5 * reach * (3 + mean))
    assert torch.equal(weight.grad[2], torch.zeros(3, dtype=torch.float64))
    assert torch.allclose(weight.grad[3], -0.5 * reach * 2 * mean)


CONV = {"type": "conv", "channels": 3, "kernel": 2, "neuron": "rel-psp"}
POOL = {"type": "pool", "kernel": 3, "mode": "or"}
DENSE = {"type": "dense", "neurons": tiny.CLASSES, "neuron": "rel-psp"}


def recipe(*layers: dict[str, Any], steps: int = 24, **training: Any) -> Recipe:
    tables = {
        "name": "rows",
        "data": {"name": "rows"},
        "encoding": {"input": "time", "resolution": 8},
        "network": {"time_steps": steps, "threshold": 6.0, "layers": list(layers)},
        "training": {"rule": "stdbp", "epochs": 6, "batch_size": 10, "lr": 0.02, **training},
    }
    return recipe_from_tables(tables, "stdbp")


def network(*layers: dict[str, Any], **training: Any) -> SpikingNetwork:
    generator = torch.Generator().manual_seed(0)
    return SpikingNetwork(recipe(*layers, **training), (1, 4, 4), generator)


@pytest.mark.parametrize(
    ("layers", "training", "said"),
    [
        ([{**DENSE, "neuron": "lif"}], {}, ["dense1", "more than once", "rel-psp"]),
        ([{**DENSE, "recurrent": True}], {}, ["dense1 is recurrent", "dense and conv"]),
        ([{**DENSE, "norm": "batch"}], {}, ["has a norm"]),
        ([{**DENSE, "dropout": 0.5}, DENSE], {}, ["has dropout"]),
        ([CONV, {"type": "pool", "kernel": 3}, DENSE], {}, ["pool2", "adds up", "'or'"]),
        ([{**CONV, "channels": 2, "groups": 1}, {**CONV, "channels": 2, "groups": 2}, DENSE], {},
         ["conv2 has groups"]),
        ([DENSE], {"loss": "kernel"}, ["kernel", "times"]),
        ([DENSE], {"settings": {"grids": False}}, ["grid"]),
        ([DENSE], {"settings": {"bias_spike": 1.0}}, ["dense1", "bias = true"]),
        ([DENSE], {"rule": "tssl-bp"}, ["dense1", "fire once", "stdbp"]),
    ],
)  # fmt: skip
def test_what_it_does_not_have(
    layers: list[dict[str, Any]], training: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        network(*layers, **training)
    message = str(caught.value)
    assert "\n" not in message
    assert all(each in message for each in said), message


def test_other_input_is_refused() -> None:
    tables = recipe(DENSE).model_dump(mode="json", exclude_none=True, by_alias=True)
    graded = recipe_from_tables({**tables, "encoding": {"input": "graded"}}, "graded")
    with pytest.raises(ConfigError, match=r"'graded'.*one spike.*'time'"):
        SpikingNetwork(graded, (1, 4, 4), torch.Generator())


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_other_precisions_are_refused(precision: str) -> None:
    with pytest.raises(ConfigError, match=rf"'{precision}': rule stdbp has 'float32'"):
        SpikingNetwork(recipe(DENSE, precision=precision), (1, 4, 4), torch.Generator())


def test_biases_begin_where_the_recipe_says() -> None:
    made = network({**DENSE, "bias": True}, settings={"bias_spike": 0.5})
    assert made.weights["dense1_bias"].tolist() == [0.5] * tiny.CLASSES


def spikes(times: Tensor, steps: int) -> Tensor:
    """Return a train ``(time, batch, 1, 4, 4)`` for times of pixels."""
    return torch.stack([(times == step).float() for step in range(steps)])


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    times = torch.randint(0, 10, (7, 1, 4, 4), generator=generator).float()
    return spikes(torch.where(times > 8, INF, times), 9)


@pytest.mark.parametrize(
    "layers",
    [
        [DENSE],
        [CONV, POOL, DENSE],
        [CONV, {**POOL, "stride": 2, "padding": 1}, DENSE],
        [CONV, {**DENSE, "bias": True}],
    ],
)
def test_the_network_is_its_equations(layers: list[dict[str, Any]], images: Tensor) -> None:
    """Currents and potentials step by step, and the first spike of each neuron."""
    made = network(*layers)
    forward = made(images, record_all=True)
    train = torch.cat([images, torch.zeros(24 - 9, *images.shape[1:])]).double()
    for node in made.graph:
        if node.gate is not None:
            of = node.geometry
            tops = functional.max_pool2d(train.flatten(0, 1), of.kernel, of.stride, of.padding)
            windows = tops.unflatten(0, train.shape[:2])
            train = windows * (windows.cumsum(0) == 1)
        else:
            weight = made.weights[node.name].double()
            maps = functional.linear if node.geometry is None else functional.conv2d
            rows = train.flatten(2) if node.geometry is None else train
            current = maps(rows.flatten(0, 1), weight).unflatten(0, train.shape[:2]).cumsum(0)
            if "bias" in node.parameters:
                current = current + made.weights[f"{node.name}_bias"]
            potential = current.cumsum(0)
            fired = (potential > 6).double()
            train = fired * (fired.cumsum(0) == 1)
            silent = ~train.any(dim=0)
            last = forward.traces[node.name].voltage[-1]
            torch.testing.assert_close(
                last[silent].double(), potential[-1][silent], rtol=1e-5, atol=1e-5
            )
        assert train.any()
        assert torch.equal(forward.traces[node.name].spikes.double(), train)
        assert int(forward.activity[node.name].spikes) == int(train.sum())


def test_the_read_out_is_the_earliest_spike(images: Tensor) -> None:
    made = network({**DENSE, "weight_scale": 3.0})
    with torch.no_grad():
        made.weights["dense1"][0] = made.weights["dense1"][2]  # a tie goes to the lower index
        forward = made(images)
    times = -forward.output.psp[0]
    assert times.isfinite().all()
    assert (times < 24).any()
    assert answers(forward, CLASS).tolist() == times.argmin(dim=1).tolist()
    trains = forward.output.spikes.transpose(0, 1).numpy().astype(np.uint8)
    assert trains.sum(axis=1).max() == 1
    nobody = CLASS.answers(trains[:1] * 0, np.array([[0.1, 0.3, 0.2]]))
    assert nobody.tolist() == [1], "the largest potential decides"


def test_continuous_times_are_within_a_step(images: Tensor) -> None:
    """Of one layer; deeper ones see other times."""
    on_grid = network(DENSE)
    exact = network(DENSE, settings={"grid": False})
    exact.load_weights(on_grid.numpy_weights())
    with torch.no_grad():
        whole, times = (-each(images).output.psp[0] for each in (on_grid, exact))
    assert ((times >= whole) & (times <= whole + 1)).all()
    assert (times != whole).any()


@pytest.mark.parametrize("grid", [True, False])
def test_it_learns(tmp_path: Path, grid: bool) -> None:
    hidden = {"type": "dense", "neurons": 20, "neuron": "rel-psp"}
    fitted = tiny.fit(tmp_path / "run", recipe(hidden, DENSE, settings={"grid": grid}))
    watcher = tiny.Watcher()
    fitted.fit(watcher)
    assert watcher.epochs[-1].loss < watcher.epochs[0].loss
    assert watcher.epochs[-1].test_accuracy > 0.9
    rates = [layer.firing_rate for layer in fitted.progress.layer_metrics()] or [0.0]
    assert max(rates) <= 1 / 24


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ({"resolution": 30}, ["30 steps", "time_steps = 24"]),
        ({"resolution": 1, "mean": 0.9}, ["brightest", "smaller mean"]),
        ({"resolution": 8, "input_threshold": 0.5}, ["input_threshold", "'neurons'"]),
    ],
)
def test_times_that_do_not_fit(encoding: dict[str, Any], said: list[str]) -> None:
    tables = recipe(DENSE).model_dump(mode="json", exclude_none=True, by_alias=True)
    with pytest.raises(ConfigError) as caught:
        recipe_from_tables({**tables, "encoding": {"input": "time", **encoding}}, "mine.toml")
    assert all(each in str(caught.value) for each in said), str(caught.value)


def test_other_rules_see_the_same_spikes(images: Tensor) -> None:
    """And silence behind them, for all steps."""
    tables = recipe({**DENSE, "neuron": "if", "threshold": 0.5}, rule="tssl-bp", loss="count")
    made = SpikingNetwork(tables, (1, 4, 4), torch.Generator().manual_seed(0))
    longer = torch.cat([images, images.new_zeros(24 - 9, *images.shape[1:])])
    short, long = made(images).output, made(longer).output
    assert len(short.spikes) == 24
    assert torch.equal(short.spikes, long.spikes)


@pytest.mark.parametrize("share", [0.02, 0.3], ids=["mostly one spike", "several spikes"])
def test_an_input_counts_by_its_first_spike(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    spikes = (torch.rand(40, 3, 1, 5, 7, generator=generator) < share).float()
    single = spikes * (spikes.cumsum(dim=0) == 1)
    layer = {"type": "dense", "neurons": 3, "neuron": "rel-psp"}
    method = SpikingNetwork(recipe(layer, steps=40), (1, 5, 7), generator).method
    for inputs in (spikes, single):
        times = method.enter(inputs)
        for place, time in zip(inputs.flatten(1).unbind(1), times.flatten().tolist(), strict=True):
            fired = place.nonzero().flatten().tolist()
            assert time == (fired[0] if fired else float("inf"))
