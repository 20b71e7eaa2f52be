"""A sweep is what its trainings and exports are one by one, whatever stops it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tssl
from tests.trainer import tiny
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.errors import ConfigError, OutputError
from tssl.results import RunResult
from tssl.sweeps import Choices, Count, Range
from tssl.workflow import sweep as workflow
from tssl.workflow.sweep_outcome import SweepOutcome, load_sweep
from tssl.workflow.train import Environment

BITS = {"export.weight_bits": Choices(values=(3, 8))}
OVER = {"tau_m": Choices(values=(3, 5)), **BITS}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "rows.toml"
    path.write_text(tiny.recipe().to_toml())
    return path


class Watcher:
    """Stops after so many batches, of all trainings together."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after, self.batches = stop_after, 0
        self.begun: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.counts: list[Count] = []

    def batch_done(self, progress: Any, *, samples: int) -> None:
        self.batches += 1

    def stop_requested(self) -> bool:
        return self.stop_after is not None and self.batches >= self.stop_after

    def trial_begun(self, name: str, epochs: int) -> None:
        self.begun.append(name)

    def trial_ended(self, name: str, how: str) -> None:
        self.ended.append((name, how))

    def counted(self, count: Count) -> None:
        self.counts.append(count)


def run(
    recipe: Path, out: Path, over: Any = OVER, watcher: Watcher | None = None, **options: Any
) -> SweepOutcome:
    settings = options.pop("settings", {})
    environment = Environment()
    prepared = workflow.prepare(str(recipe), over, settings, out, environment, **options)
    return workflow.sweep(prepared, environment, watcher or Watcher())


def figures(outcome: SweepOutcome) -> list[dict[str, Any]]:
    return sorted((each.document() for each in outcome.points), key=lambda each: each["net"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SweepOutcome:
    """Return a sweep that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "rows.toml").write_text(tiny.recipe().to_toml())
    return run(folder / "rows.toml", folder / "sweep", seeds=(0, 1), samples=40)


def test_points_are_what_the_verbs_give_one_by_one(
    whole: SweepOutcome, recipe: Path, tmp_path: Path
) -> None:
    assert whole.finished
    assert len(whole.points) == 8
    quiet = {"progress": False}
    for point in whole.points[2:4] + whole.points[6:8]:
        tau_m, bits = point.settings["network.tau_m"], point.settings["export.weight_bits"]
        where = tmp_path / f"{tau_m}-{bits}-{point.seed}"
        settings = {"tau_m": tau_m, "seed": point.seed}
        trained = tssl.train(recipe, out=where, settings=settings, **quiet)
        chip = tssl.export(trained, "loihi2", weight_bits=bits, lava=False, samples=40, **quiet)
        result = tssl.run(chip, samples=40, **quiet)
        cost = tssl.report(result, "loihi2").priced[0]
        assert cost.total is not None
        assert cost.latency is not None
        mine = whole.directory / point.run
        one, other = (Checkpoint.load(each / "best.safetensors") for each in (mine, where))
        for name, weight in one.weights.items():
            np.testing.assert_array_equal(weight, other.weights[name])
        assert netx.read(whole.directory / point.net).digest == chip.network.digest
        kept = RunResult.load(whole.directory / point.result)
        np.testing.assert_array_equal(kept.output_spikes, result.result.output_spikes)
        assert (point.float_accuracy, point.chip_accuracy) == (
            chip.float_accuracy, result.result.accuracy,
        )  # fmt: skip
        assert (point.energy, point.energy_low, point.energy_high, point.energy_kind) == (
            cost.total.value, cost.total.low, cost.total.high, cost.total.kind,
        )  # fmt: skip
        assert (point.latency, point.cores) == (cost.latency.value, cost.cores)
        counts = result.result.counts
        assert point.spikes == counts.spikes.sum() / 40
        assert point.operations == counts.synaptic_operations.sum() / 40


def test_a_training_serves_all_its_bits(whole: SweepOutcome) -> None:
    runs = sorted(path.name for path in (whole.directory / "runs").iterdir())
    assert runs == [f"tau_m={tau_m},seed={seed}" for tau_m in (3, 5) for seed in (0, 1)]
    for name in runs:
        nets = {path.name for path in (whole.directory / "runs" / name).glob("*.net")}
        assert nets == {"loihi2,weight_bits=3.net", "loihi2,weight_bits=8.net"}


def test_the_same_again_does_nothing(whole: SweepOutcome, recipe: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in whole.directory.rglob("*")}
    files = {path: time for path, time in files.items() if "lock" not in str(path)}
    watcher = Watcher()
    again = run(recipe, whole.directory, watcher=watcher, seeds=(0, 1), samples=40)
    assert watcher.begun == []
    assert figures(again) == figures(whole) == figures(load_sweep(whole.directory))
    assert {path: path.stat().st_mtime_ns for path in files if path.is_file()} == {
        path: time for path, time in files.items() if path.is_file()
    }


def test_stopped_anywhere_it_goes_on_to_the_same(
    whole: SweepOutcome, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sweep"
    stops = 0
    for _ in range(20):
        watcher = Watcher(stop_after=7)  # an epoch has six batches
        outcome = run(recipe, out, watcher=watcher, seeds=(0, 1), samples=40)
        if outcome.finished:
            break
        stops += 1
    assert stops > 4
    assert figures(outcome) == figures(whole)
    assert outcome.count == whole.count


def test_a_full_disk_loses_nothing_finished(
    whole: SweepOutcome, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full whenever a result is written for the third time."""
    out, calls = tmp_path / "sweep", [0]
    save = RunResult.save

    def full(self: RunResult, directory: Path) -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise OutputError(f"{directory}: cannot be written: No space left on device")
        save(self, directory)

    monkeypatch.setattr(RunResult, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        run(recipe, out, seeds=(0, 1), samples=40)
    kept = load_sweep(out)
    assert len(kept.points) == 2
    assert kept.count.running == 1
    outcome = run(recipe, out, seeds=(0, 1), samples=40)
    assert figures(outcome) == figures(whole)
    assert calls[0] == 3 + 6  # one in vain, and none again


def test_seeds_have_mean_and_deviation(whole: SweepOutcome) -> None:
    for each in whole.combinations:
        values = [point.chip_accuracy for point in whole.points if point.settings == each.settings]
        assert len(values) == 2
        mean, deviation = each.figures["chip_accuracy"]
        assert mean == pytest.approx(np.mean(values))
        assert deviation == pytest.approx(np.std(values, ddof=1))


def test_what_is_written_and_shown(whole: SweepOutcome, tmp_path: Path) -> None:
    from tssl.workflow.sweep_outcome import write_csv, write_page

    write_csv(whole, tmp_path / "x.csv")
    with (tmp_path / "x.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["network.tau_m"], line["export.weight_bits"]) for line in lines] == [
        ("3", "3"), ("3", "8"), ("5", "3"), ("5", "8"),
    ]  # fmt: skip
    for line, each in zip(lines, whole.combinations, strict=True):
        assert float(line["energy"]) == each.figures["energy"].mean
        assert float(line["energy_sd"]) == each.figures["energy"].deviation
        assert int(line["on_front"]) == each.on_front
    document = json.loads(json.dumps(whole.document()))
    assert document["schema_version"] == 1
    assert document["trials"]["done"] == 4
    assert len(document["combinations"]) == 4
    write_page(whole, tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    assert "<svg" in page
    assert "src=" not in page
    assert "tssl export point --target loihi2 --weight-bits 3" in page
    assert "± " in page


def test_commands_make_the_point_again(
    whole: SweepOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    from tssl.cli import run_command

    monkeypatch.chdir(tmp_path)
    found = whole.document()["combinations"][1]["points"][1]
    for command in found["commands"]:
        assert run_command([*shlex.split(command)[1:], "--quiet"]) == 0
    kept = RunResult.load(tmp_path / "point" / "result")
    assert kept.accuracy == found["chip_accuracy"]
    assert kept.digest == netx.read(whole.directory / found["net"]).digest


def test_a_chip_that_refuses_is_a_point_without_figures(recipe: Path, tmp_path: Path) -> None:
    over = {"target": Choices(values=("loihi2", "speck")), **BITS}
    outcome = run(recipe, tmp_path / "sweep", over, seeds=(0,), samples=9)
    refused = [each for each in outcome.points if each.refused is not None]
    assert [each.target for each in refused] == ["speck", "speck"]
    assert all("nothing can be exported" in str(each.refused) for each in refused)
    assert (outcome.count.done, outcome.count.failed) == (1, 0)
    assert [each.on_front for each in outcome.combinations if each.target == "speck"] == [False] * 2


def test_a_training_that_fails_does_not_stop_the_others(recipe: Path, tmp_path: Path) -> None:
    over = {"loss": Choices(values=("magic", "kernel"))}
    outcome = run(recipe, tmp_path / "sweep", over, seeds=(0,), samples=9)
    assert outcome.finished
    assert (outcome.count.done, outcome.count.failed) == (1, 1)
    assert "training.loss = 'magic'" in outcome.problems[0]
    assert [each.settings for each in outcome.points] == [{"training.loss": "kernel"}]
    assert ["trial 0", outcome.problems[0]] in outcome.tables()[-1].rows


def test_when_nothing_works_the_first_reason_is_told(recipe: Path, tmp_path: Path) -> None:
    over = {"target": Choices(values=("speck",))}
    with pytest.raises(ConfigError, match=r"no combination works; the first: .*Speck"):
        run(recipe, tmp_path / "sweep", over, samples=9)


@pytest.mark.slow
def test_a_search_finds_and_gives_up(recipe: Path, tmp_path: Path) -> None:
    over = {"lr": Range(low=1e-6, high=0.05, log=True), "weight_bits": Range(low=2, high=8)}
    outcome = run(
        recipe, tmp_path / "sweep", over, optimize=("accuracy",), trials=12, samples=9,
        settings={"epochs": 4, "validation": 0.3},
    )  # fmt: skip
    assert outcome.finished
    assert outcome.count.finished == 12
    assert outcome.count.pruned > 0
    assert all("is dead" in why for why in outcome.problems.values())  # two bits may be too few
    assert outcome.tables()[1].title.startswith("Pareto front: chip accuracy on held-out samples")
    assert "held-out" in outcome.tables()[0].columns
    best = max(outcome.points, key=lambda each: each.held_out_accuracy or 0)
    assert outcome.front[0].figures["held_out_accuracy"].mean == best.held_out_accuracy
    assert best.held_out_accuracy is not None
    assert best.held_out_accuracy > 0.9
    for each in (each for each in outcome.points if each.refused is None):
        assert 2 <= each.settings["export.weight_bits"] <= 8
        assert each.held_out_accuracy in [right / 18 for right in range(19)]


@pytest.mark.slow
def test_a_search_for_two_goals(recipe: Path, tmp_path: Path) -> None:
    over = {"weight_bits": Range(low=2, high=8), "tau_m": Choices(values=(3, 5))}
    outcome = run(
        recipe, tmp_path / "sweep", over, optimize=("accuracy", "energy"), trials=9, samples=9,
        seeds=(0, 1),
    )  # fmt: skip
    assert outcome.count.done >= 7
    assert all("is dead" in why for why in outcome.problems.values())
    assert len(list((tmp_path / "sweep" / "runs").iterdir())) <= 4  # trainings are shared
    assert len(outcome.points) == 18
    assert outcome.front


def test_widths_are_keys_too(recipe: Path, tmp_path: Path) -> None:
    over = {"network.layers.0.neurons": Choices(values=(6, 9))}
    outcome = run(recipe, tmp_path / "sweep", over, samples=9)
    sizes = [netx.read(outcome.directory / each.net).layers[0].neurons for each in outcome.points]
    assert sizes == [6, 9]


def test_arguments_are_checked_before_optuna_is_loaded(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "check_installed", lambda: pytest.fail("too soon"))
    with pytest.raises(ConfigError, match="no number of bits"):
        run(recipe, tmp_path / "out", {"export.weight_bits": Choices(values=(0,))})
