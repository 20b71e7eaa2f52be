"""One trial of a sweep: trainings, each exported, run and priced; what is there is kept."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tssl import netx
from tssl.engine import Engine
from tssl.errors import ConfigError, DataError, TargetError
from tssl.hw_profiles import load_profile
from tssl.lava_runtime import BackendOptions
from tssl.reporting import amounts
from tssl.sweeps import WEIGHT_BITS, Point, SweepSpec, bits_of, name_of, recipe_file
from tssl.trainer.progress import EpochMetrics, LayerMetrics, TrainingProgress
from tssl.trainer.run_directory import RunDirectory
from tssl.trainer.samples import split
from tssl.workflow.data import load_splits
from tssl.workflow.export import ExportOptions, export
from tssl.workflow.inputs import InputChoice, Inputs, encode
from tssl.workflow.notes import notes_of
from tssl.workflow.report import report
from tssl.workflow.run import run, run_network
from tssl.workflow.sweep_tables import BACKEND
from tssl.workflow.train import DEFAULT_TARGET, Environment, resume, start, train

RUNS = "runs"
_RESULT = "result.json"


class End(Enum):
    """How a training ended."""

    FINISHED = "finished"
    STOPPED = "stopped"
    PRUNED = "pruned"


class TrainingWatcher(Protocol):
    """Sees the batches of a training, and may end it."""

    def batch_done(self, progress: TrainingProgress, *, samples: int) -> None:
        """Take note of a batch."""

    def stop_requested(self) -> bool:
        """Return whether to save and stop now."""


class _Watched:
    """A training that is given up when ``judge`` says so after an epoch."""

    def __init__(self, watcher: TrainingWatcher, judge: Callable[[EpochMetrics], bool]) -> None:
        self.batch_done, self._stop, self._judge = watcher.batch_done, watcher.stop_requested, judge
        self.is_hopeless = False

    def epoch_done(self, metrics: EpochMetrics, layers: list[LayerMetrics]) -> None:
        self.is_hopeless = self._judge(metrics)

    def stop_requested(self) -> bool:
        return self.is_hopeless or self._stop()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the trainings of a sweep are, and what they need beside it."""

    folder: Path
    spec: SweepSpec
    environment: Environment

    def train(
        self,
        name: str,
        settings: Mapping[str, Any],
        seed: int,
        watcher: TrainingWatcher,
        judge: Callable[[EpochMetrics], bool],
    ) -> End:
        """Train in the folder of this name, from where it is; a finished one is left as it is.

        Raises
        ------
        TsslError
            As :func:`tssl.workflow.train.start`.
        """
        directory = self.folder / RUNS / name
        if RunDirectory(directory).recipe.exists():
            fit = resume(directory, None, {}, self.environment)
        else:
            changes = {**settings, "training.seed": seed}
            fit = start(str(recipe_file(self.folder)), changes, directory, self.environment)
        if fit.is_finished and fit.run.best.exists():
            return End.FINISHED
        watched = _Watched(watcher, judge)
        if train(fit, watched).finished:
            return End.FINISHED
        return End.PRUNED if watched.is_hopeless else End.STOPPED

    def point(self, name: str, settings: Mapping[str, Any], seed: int) -> Point:
        """Export, run and price a training; a chip that refuses it is a point without figures.

        Parameters
        ----------
        settings
            What was chosen, by key of the sweep.
        """
        target = str(settings.get("target", DEFAULT_TARGET))
        directory = self.folder / RUNS / name
        net = directory / f"{_stem(settings, target)}.net"
        result = net.with_name(f"{net.stem}-{BACKEND}")
        point = Point(
            settings=settings,
            target=target,
            seed=seed,
            run=str(directory.relative_to(self.folder)),
            net=str(net.relative_to(self.folder)),
            result=str(result.relative_to(self.folder)),
        )
        try:
            if not net.exists():
                self._export(directory, net, target, settings)
            if not (result / _RESULT).exists():
                self._run(net, result)
            return replace(point, **self._figures(net, result, target))
        except (TargetError, ConfigError) as error:
            return replace(point, refused=str(error))

    def _export(self, directory: Path, net: Path, target: str, settings: Mapping[str, Any]) -> None:
        options = ExportOptions(
            data_dir=self.environment.data_dir,
            samples=self.spec.samples,
            lava=False,
            weight_bits=bits_of(settings),
        )
        export(directory, target, net, options, lambda _: None)

    def _run(self, net: Path, result: Path) -> None:
        choice = InputChoice(
            samples=self.spec.samples,
            data_dir=self.environment.data_dir,
            on_download=self.environment.on_download,
        )
        run(net, BACKEND, choice, result, BackendOptions(), lambda *_: nullcontext(lambda _: None))

    def _figures(self, net: Path, result: Path, target: str) -> dict[str, Any]:
        found = report(result, [target])
        (cost,) = found.priced
        total, all_layers = cost.total, amounts(found.result.counts)["all"]
        accuracy = notes_of(net).accuracy
        if accuracy is None:
            raise DataError(f"{net}: lacks the accuracies of its export; delete it")
        return {
            "samples": found.result.counts.samples,
            "float_accuracy": accuracy.floating,
            "chip_accuracy": found.result.score,
            "held_out_accuracy": self._held_out(net) if self.spec.optimize else None,
            "energy": None if total is None else total.value,
            "energy_low": None if total is None else total.low,
            "energy_high": None if total is None else total.high,
            "energy_kind": None if total is None else total.kind,
            "latency": None if cost.latency is None else cost.latency.value,
            "cores": cost.cores if cost.mapping else None,
            "spikes": all_layers["spikes"],
            "operations": all_layers["synaptic operations"],
        }

    def _held_out(self, net: Path) -> float | None:
        """Return the accuracy on samples that training held out: a search must not see the test."""
        recipe = RunDirectory(net.parent).load_recipe()
        data, _ = load_splits(recipe, self.environment.data_dir)
        _, chosen = split(recipe.training, len(data.labels))
        if not len(chosen):
            return None
        part = replace(data, inputs=np.asarray(data.inputs[chosen]), labels=data.labels[chosen])
        network = netx.read(net)
        inputs = Inputs(
            train=encode(network, part),
            time_steps=network.time_steps or 1,
            labels=part.labels,
            text="held out",
        )
        return run_network(network, inputs, Engine(), lambda _: None).score


def _stem(settings: Mapping[str, Any], target: str) -> str:
    """Return the name of an exported network, in which a folder of a profile's file is left out."""
    bits = {key: value for key, value in settings.items() if key.startswith(WEIGHT_BITS)}
    profile = load_profile(target).name
    return ",".join([profile, *([name_of(bits)] if bits else [])])
