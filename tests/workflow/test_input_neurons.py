"""Samples that enter as biases of neurons: trained, exported, proven, run, verified, priced."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.lava_dl import equal, expected_states, run_lines
from tests.trainer import tiny
from tests.workflow import blinking
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.chip import CubaNeuron
from tssl.engine import Engine, run_chunk
from tssl.errors import ConfigError, DataError, RangeError
from tssl.hw_profiles import load_profile
from tssl.lava_runtime import BackendOptions
from tssl.lava_runtime.lava_sim import LavaSim
from tssl.lava_runtime.plain import SHIMS
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.evaluation import trained_network
from tssl.trainer.fit import Fit
from tssl.workflow.export import ExportOptions, ExportOutcome, calibrated, export
from tssl.workflow.inputs import InputChoice, completed, load_inputs
from tssl.workflow.probe import traces_of
from tssl.workflow.proof import verify
from tssl.workflow.report import report
from tssl.workflow.run import run
from tssl.workflow.train import Environment, Origin, start, train

STEPS = 10
QUICK = ExportOptions(lava=False, proof_samples=6)


def recipe(**encoding: object) -> Recipe:
    """Return the tiny recipe with input neurons and, of the value 16, a bias of 15."""
    tables = tiny.recipe(epochs=8).model_dump(mode="json", exclude_none=True)
    tables["encoding"] = {"input": "neurons", "resolution": 15, **encoding}
    tables["network"]["time_steps"] = STEPS
    return recipe_from_tables(tables, "neurons")


def fired_by_hand(bias: int, firing_sum: int, steps: int) -> list[int]:
    """Add up, fire when the sum is reached, begin again at zero."""
    total, spikes = 0, []
    for _ in range(steps):
        total += bias
        spikes.append(int(total >= firing_sum))
        total = 0 if spikes[-1] else total
    return spikes


@contextmanager
def no_bar(_: str, __: int) -> Iterator[Callable[[int], None]]:
    """Show nothing."""
    yield lambda _: None


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    fitted = tiny.fit(tmp_path_factory.mktemp("neurons") / "run", recipe())
    fitted.fit(tiny.Watcher())
    return fitted


@pytest.fixture(scope="module")
def made(fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> ExportOutcome:
    path = tmp_path_factory.mktemp("nets") / "neurons.net"
    return export(fit.run.path, "loihi2", path, QUICK, lambda _: None)


def test_the_trainer_sees_what_the_neurons_fire(fit: Fit) -> None:
    """For every value that a pixel can have: a bias of 15/16 of it, and a sum of 11."""
    order = np.arange(len(fit.test))
    ((inputs, _),) = fit.test.batches(order, len(order))
    pixels = tiny.dataset("test").inputs
    by_value = {
        value: fired_by_hand(round(value * 15 / 16), 11, STEPS) for value in np.unique(pixels)
    }
    assert len({tuple(spikes) for spikes in by_value.values()}) > 4
    wanted = np.array([by_value[value] for value in pixels.reshape(-1)])
    assert np.array_equal(inputs.numpy().reshape(STEPS, -1), wanted.T)


def test_engine_and_trainer_agree_about_the_input(fit: Fit, made: ExportOutcome) -> None:
    inputs = load_inputs(made.network, InputChoice(data="rows"))
    ((seen, _),) = fit.test.batches(np.arange(60), 60)
    parts = [each.trains["input"] for _, each in Engine().run(
        made.network, inputs.train, STEPS, lambda _: None
    )]  # fmt: skip
    spikes = np.concatenate(parts, axis=1)
    assert 0 < spikes.mean() < 1
    assert np.array_equal(spikes, seen.numpy().reshape(STEPS, 60, -1))


def test_it_learns_and_is_exported(fit: Fit, made: ExportOutcome) -> None:
    assert made.float_accuracy > 0.8
    assert made.network.input.neuron == CubaNeuron(
        current_decay=4096, voltage_decay=0, threshold=10
    )
    assert made.input_range == (0, 15)
    assert [row.layer for row in made.mapping] == ["input", "dense1", "dense2"]
    trainer = made.proof.stages[0]
    assert trainer.verdict == "PASS"
    assert [row.layer for row in trainer.rows] == ["input", "dense1", "dense2", "dense2"]
    assert all(row.left for row in trainer.rows[:3])
    stored = netx.read(made.path)
    assert (stored.digest, stored.input.neuron) == (made.network.digest, made.network.input.neuron)
    assert completed(InputChoice(), made.path).input_range == (0, 15)


def test_the_input_takes_nothing_from_the_first_weights(fit: Fit) -> None:
    """A finer input makes graded spikes larger; those of neurons stay 1."""
    checkpoint = Checkpoint.load(fit.run.best)
    assert checkpoint.encoding.quantum == 1.0
    finer = replace(checkpoint, recipe=recipe(resolution=1500))
    finer = replace(finer, encoding=replace(checkpoint.encoding, gain=1500 / 16))
    loihi = load_profile("loihi2")
    scales = [calibrated(each, loihi, tiny.dataset()).scales for each in (checkpoint, finer)]
    assert scales[0]["dense1"] == scales[1]["dense1"]


def test_spikes_without_values_suit_loihi_1(fit: Fit, tmp_path: Path) -> None:
    outcome = export(fit.run.path, "loihi1", tmp_path / "x.net", QUICK, lambda _: None)
    assert outcome.network.input.neuron is not None


def test_the_neurons_are_counted_and_priced(made: ExportOutcome, tmp_path: Path) -> None:
    choice = InputChoice(samples=20)
    folder = tmp_path / "result"
    run(made.path, "engine", choice, folder, BackendOptions(), no_bar)
    found = report(folder, ["loihi2"])
    (cost,) = found.priced
    inputs = load_inputs(made.network, InputChoice(data="rows", samples=20)).train[0]
    fired = sum(sum(fired_by_hand(int(bias), 11, STEPS)) for bias in inputs.reshape(-1)) / 20
    row = found.document()["operations_per_inference"]["input"]
    assert row == {
        "synaptic operations": 0, "stored zeros": 0, "active updates": fired,
        "inactive updates": 16 * STEPS - fired, "spikes": fired,
    }  # fmt: skip
    paid = {term.name: term.operations for term in cost.energy if term.layer == "input"}
    assert paid["active neuron updates"] == pytest.approx(fired)
    assert paid["inactive neuron updates"] == pytest.approx(16 * STEPS - fired)
    assert {load.layer for load in cost.loads} == {"input", "dense1", "dense2"}
    assert any("biases" in each.statement for each in cost.assumptions)


def test_the_page_shows_them(made: ExportOutcome, tmp_path: Path) -> None:
    outcome = run(
        made.path, "engine", InputChoice(samples=3), tmp_path / "r", BackendOptions(), no_bar
    )
    traces, note = traces_of(made.network, outcome.result, made.path)
    assert "same output spikes" in note
    assert [trace.layer for trace in traces] == ["input", "dense1", "dense2"]
    bias = load_inputs(made.network, InputChoice(data="rows", samples=1)).train[0, 0]
    by_hand = [fired_by_hand(int(value), 11, STEPS) for value in bias]
    assert np.array_equal(traces[0].spikes, np.array(by_hand).T)


def test_training_on_the_chips_integers(fit: Fit, tmp_path: Path) -> None:
    """The trainer's spikes and potentials are those of the exported network."""
    origin = Origin(run=fit.run.path, target="loihi2")
    settings = {"training.forward": "chip", "epochs": 2}
    chip = start(None, settings, tmp_path / "chip", Environment(device="cpu"), origin)
    outcome = train(chip, tiny.Watcher())
    exported = export(tmp_path / "chip", "loihi2", tmp_path / "x.net", QUICK, lambda _: None)
    assert outcome.best is not None
    assert exported.chip_accuracy == outcome.best.test_accuracy
    network = trained_network(Checkpoint.load(chip.run.best), chip.plan).eval()
    ((inputs, _),) = chip.test.batches(np.arange(60), 60)
    trainer = network(inputs).output
    biases = load_inputs(exported.network, InputChoice(data="rows")).train
    engine = run_chunk(exported.network, biases, STEPS)
    assert engine.trains["dense2"].any()
    spikes, voltage = (each.detach().numpy() for each in (trainer.spikes, trainer.voltage))
    assert np.array_equal(spikes, engine.trains["dense2"])
    # the trainer's are those before a spike resets them
    assert np.array_equal(np.where(spikes[-1], 0, voltage[-1]), engine.output_potential)


def test_a_negative_value_never_fires(tmp_path: Path) -> None:
    """A pixel of 0 and a mean of a half: biases of -15...15."""
    of = recipe(mean=0.5, std=0.5)
    samples = tiny.fit(tmp_path / "run", of).test
    levels = samples.levels.numpy()
    assert levels.shape == (17, STEPS)
    assert not levels[:9].any()
    for value in range(9, 17):
        bias = round((value - 8) * 15 / 8)
        assert levels[value].tolist() == fired_by_hand(bias, 11, STEPS)


def test_a_threshold_of_ones_own(tmp_path: Path) -> None:
    samples = tiny.fit(tmp_path / "run", recipe(input_threshold=1.0)).test
    assert samples.levels[16].tolist() == [1] * STEPS  # a bias of 15 reaches a sum of 15
    assert samples.levels[15].tolist() == [0, 1] * (STEPS // 2)


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ({"resolution": 4096}, "a pixel becomes a bias of 4096"),
        ({"mean": 1.0}, "mean = 1: no input neuron would fire"),
        ({"input": "graded", "input_threshold": 1.0}, "belongs to input = 'neurons'"),
        ({"input_threshold": 11}, "no input neuron fires in 10 steps"),
        ({"input": "spikes"}, "'graded', 'neurons', 'time' or 'changes'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_encodings_that_cannot_be(encoding: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        recipe(**encoding)


def test_events_are_spikes_already(tmp_path: Path) -> None:
    tables = blinking.recipe().model_dump(mode="json", exclude_none=True)
    tables["encoding"]["input"] = "neurons"
    path = tmp_path / "x.toml"
    path.write_text(recipe_from_tables(tables, "x").to_toml())
    with pytest.raises(ConfigError, match="blinking holds events"):
        start(str(path), {}, tmp_path / "run", Environment(device="cpu"))


def test_a_threshold_beyond_its_field(fit: Fit) -> None:
    checkpoint = Checkpoint.load(fit.run.best)
    tables = recipe(resolution=4000).model_dump(mode="json", exclude_none=True)
    tables["network"]["time_steps"] = 50
    tables["encoding"]["input_threshold"] = 40.0
    wide = replace(checkpoint, recipe=recipe_from_tables(tables, "wide"))
    with pytest.raises(RangeError, match="neurons with a threshold of 159999; the target has"):
        calibrated(wide, load_profile("loihi2"), tiny.dataset())


def test_biases_that_lava_would_wrap(made: ExportOutcome) -> None:
    biases = np.full((1, 1, 16), 1 << 15)
    with pytest.raises(DataError, match="Lava keeps 16 bits"):
        next(iter(LavaSim().run(made.network, biases, STEPS, lambda _: None)))


def test_random_input_fills_the_range_of_the_encoding(made: ExportOutcome) -> None:
    choice = completed(InputChoice(seed=1, samples=90), made.path)
    values = load_inputs(made.network, choice).train
    assert (values.shape, values.min(), values.max()) == ((1, 90, 16), 0, 15)


@pytest.mark.lava
def test_lava_computes_the_same(fit: Fit, made: ExportOutcome, tmp_path: Path) -> None:
    """Proof at export, run, and verify: the input neurons are a layer like the others."""
    options = ExportOptions(proof_samples=6, samples=20)
    proven = export(fit.run.path, "loihi2", tmp_path / "x.net", options, lambda _: None)
    assert proven.proof.verdict == "PASS"
    assert proven.proof.stages[1].rows[0].layer == "input"
    ran = [
        run(made.path, name, InputChoice(samples=12), tmp_path / name, BackendOptions(), no_bar)
        for name in ("engine", "sim")
    ]
    assert np.array_equal(ran[0].result.output_spikes, ran[1].result.output_spikes)
    assert np.array_equal(ran[0].result.counts.input_spikes, ran[1].result.counts.input_spikes)
    checked = verify(made.path, InputChoice(samples=5), BackendOptions(), lambda _: None)
    assert checked.verdict == "PASS"
    assert checked.stages[0].rows[0].left > 0


@pytest.mark.lava
def test_with_lava_dl_alone(made: ExportOutcome, tmp_path: Path, clean_python: str) -> None:
    """The lines shown need no argument about the input; they set the biases."""
    inputs = load_inputs(made.network, InputChoice(data="rows", samples=4))
    lines = [*SHIMS, *made.lines]
    ours = expected_states(made.network, inputs.train, STEPS)
    assert all(layer.spikes.any() for layer in ours)
    assert equal(ours, run_lines(clean_python, tmp_path, lines, made.network, inputs.train, STEPS))
    assert "input_message_bits" not in "".join(lines)
