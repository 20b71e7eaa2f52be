"""What a training, a sweep or a run will need, before it begins."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from tssl import netx
from tssl.chip import ChipNetwork
from tssl.datasets import Given
from tssl.engine import Engine
from tssl.errors import ConfigError, DataError
from tssl.graph import resolve
from tssl.machine.cores import cores
from tssl.machine.files import scratch_folder
from tssl.recipe import Recipe
from tssl.sweeps import Space, SweepSpec
from tssl.tables import Shown, Table, count
from tssl.trainer.fit import Fit
from tssl.trainer.planning import (
    Pace,
    measure,
    memory_of_step,
    operations_of_step,
    weights_of,
)
from tssl.wording import several
from tssl.workflow.data import recipe_with
from tssl.workflow.inputs import InputChoice, Inputs, completed, load_inputs
from tssl.workflow.recipes import recipe_path
from tssl.workflow.run import run_network
from tssl.workflow.sweep import prepare
from tssl.workflow.train import Environment, start

_PICTURES = 150_000
"""Bytes of what a training draws and tabulates, or a little more."""
_OF_STATE = 5 / 3
"""Weights in state, best and last, over those in the state, where two moments are beside them."""
_MEASURED_SAMPLES = 200
_ENDLESS = 1_000_000
_WHOLE_FROM = 1000
_NEURON = 200.0
"""Operations that a step of a neuron takes as long as."""


class Figure(NamedTuple):
    """One line of a plan."""

    key: str
    title: str
    value: float
    unit: str
    """``B``, ``s``, ``FLOP``, or nothing for numbers."""
    how: str
    """How it is known."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan(Shown):
    """What something will need.

    Parameters
    ----------
    name
        Of the recipe or network.
    kind
        ``training``, ``sweep`` or ``run``.
    """

    name: str
    kind: str
    figures: tuple[Figure, ...]

    def __getitem__(self, key: str) -> float:
        return next(each.value for each in self.figures if each.key == key)

    @property
    def headline(self) -> str:
        """How long it takes."""
        return f"{self.kind} of {self.name}: about {shown(self['seconds'], 's')} on this machine"

    def tables(self) -> list[Table]:
        """Return all figures, and how each is known."""
        rows = [[each.title, shown(each.value, each.unit), each.how] for each in self.figures]
        return [Table(f"Plan: {self.kind} of {self.name}", ["what", "how much", "how known"], rows)]

    def document(self) -> dict[str, Any]:
        """Return the plan as JSON data."""
        figures = {each.key: {"value": each.value, "unit": each.unit, "how": each.how}
                   for each in self.figures}  # fmt: skip
        return {"schema_version": 1, "name": self.name, "kind": self.kind, "figures": figures}


def plan(
    source: str,
    over: Mapping[str, Space],
    settings: Mapping[str, Any],
    environment: Environment,
    *,
    samples: int | None = None,
    seeds: Sequence[int] | None = None,
    trials: int | None = None,
) -> Plan:
    """Plan the run of a ``.net`` file, or the training of a recipe, or a sweep ``over`` it.

    Raises
    ------
    TsslError
        As of what is planned, or when an option is of something else.
    """
    if source.endswith(".net"):
        for name, given in (("over", over), ("seeds", seeds), ("trials", trials),
                            ("set", settings)):  # fmt: skip
            if given:
                raise ConfigError(f"--{name}: is of recipes, and {source} is a network")
        return plan_run(Path(source), samples, environment)
    if samples is not None:
        raise ConfigError(f"--samples {samples}: are of the run of a .net file; {source} is none")
    if over:
        return plan_sweep(source, over, settings, environment, seeds=seeds, trials=trials)
    if seeds is not None or trials is not None:
        raise ConfigError("--seeds and --trials: are of a sweep; give --over too")
    return plan_training(source, settings, environment)


def plan_training(recipe: str, settings: Mapping[str, Any], environment: Environment) -> Plan:
    """Count what a training needs, and time a few of its steps in a scratch folder.

    Raises
    ------
    ConfigError, DataError
        As of training.
    """
    tried = _tried(recipe, settings, environment)
    figures = [*_of_step(tried), *_of_time(_seconds(tried), tried.pace), _disk(tried.disk)]
    return Plan(name=tried.recipe.name, kind="training", figures=tuple(figures))


def plan_sweep(
    recipe: str,
    over: Mapping[str, Space],
    settings: Mapping[str, Any],
    environment: Environment,
    *,
    seeds: Sequence[int] | None = None,
    trials: int | None = None,
) -> Plan:
    """Do the same for all trainings of a sweep, of which one is timed.

    The others take as long as their products and steps are more or fewer; those of a search are
    taken to be as the recipe's own.

    Raises
    ------
    ConfigError, DataError
        As of training, and of a sweep.
    """
    with scratch_folder("tssl-plan-") as folder:
        spec = prepare(
            recipe, over, settings, folder / "sweep", environment, seeds=seeds, trials=trials,
            optimize=("accuracy",) if trials is not None else (),
        ).spec  # fmt: skip
    tried = _tried(recipe, settings, environment)
    own = _seconds(tried)
    trainings = spec.number_of_trials * (len(spec.seeds) if spec.optimize else 1)
    factor = (
        sum(_factors(recipe, spec, tried, environment.data))
        if not spec.optimize
        else float(trainings)
    )
    figures = [
        Figure("trainings", "trainings", trainings, "", "counted"),
        Figure("points", "exports", spec.number_of_points, "", "counted; their time is not in it"),
        *_of_step(tried),
        Figure("seconds_of_one", "time of one training", own, "s", "from steps that were timed"),
        *_of_time(own * factor, tried.pace),
        _disk(tried.disk * trainings),
    ]
    return Plan(name=tried.recipe.name, kind="sweep", figures=tuple(figures))


def plan_run(net: Path, samples: int | None, environment: Environment) -> Plan:
    """Count what a run of the engine needs, and time a few samples.

    Parameters
    ----------
    samples
        How many there will be; all of the network's own data when None.

    Raises
    ------
    ConfigError, DataError, NetFileError
        When the file or the data are wrong; without data, random spikes are timed.
    """
    network = netx.read(net)
    inputs = _inputs(network, net, samples, environment)
    total = samples or inputs.samples
    few = replace(inputs, train=inputs.train[:, :_MEASURED_SAMPLES], labels=None)
    run_network(network, _first(few), Engine(), lambda _: None)  # compiles
    timed = run_network(network, few, Engine(), lambda _: None)
    seconds = timed.seconds / few.samples * total
    synapses = sum(int((each.synapses.weight != 0).sum()) for layer in network.layers
                   for each in layer.connections)  # fmt: skip
    operations = int(timed.counts.synaptic_operations.sum()) / few.samples
    per_sample = network.output.neurons * inputs.time_steps + 8 * (len(network.layers) + 2)
    figures = (
        Figure("parameters", "weights that are not zero", synapses, "", "counted"),
        Figure("neurons", "neurons", network.neurons, "", "counted"),
        Figure("samples", "samples", total, "", "given" if samples else "all of its data"),
        Figure("operations", "synaptic operations of a sample", operations, "",
               f"counted on {few.samples}, {few.text}"),
        Figure("memory", "memory of the input", inputs.train.nbytes / inputs.samples * total, "B",
               "counted"),
        Figure("seconds", "time on our engine", seconds, "s",
               f"timed on {several(few.samples, 'sample')}, with {several(cores(), 'core')}"),
        Figure("disk", "disk", total * per_sample + net.stat().st_size, "B",
               "counted, before compression"),
    )  # fmt: skip
    return Plan(name=network.name, kind="run", figures=figures)


def shown(value: float, unit: str) -> str:
    """Return a figure as people read it."""
    if unit == "s":
        return _time(value)
    if unit == "B":
        return _prefixed(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))
    if unit == "FLOP":
        return _prefixed(value, 1000, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"))
    whole = float(value).is_integer() or abs(value) >= _WHOLE_FROM
    return count(round(value)) if whole else f"{value:.3g}"


class _Tried(NamedTuple):
    """A training of which a few steps were done."""

    recipe: Recipe
    fit: Fit
    """Without an end: its epochs are not the recipe's."""
    pace: Pace
    disk: int
    """Bytes of its folder in the end."""


def _tried(recipe: str, settings: Mapping[str, Any], environment: Environment) -> _Tried:
    """Train for a few steps in a scratch folder."""
    own = recipe_with(recipe_path(recipe), settings, environment.data)
    with scratch_folder("tssl-plan-") as folder:
        endless = {**settings, "training.epochs": _ENDLESS}
        fit = start(recipe, endless, folder / "run", environment)
        pace = measure(fit)
        state = fit.run.state.stat().st_size
    return _Tried(own, fit, pace, int(state * _OF_STATE) + _PICTURES)


def _is_constant(fit: Fit) -> bool:
    return not fit.train.dataset.time_steps and fit.recipe.encoding.input == "graded"


def _seconds(tried: _Tried) -> float:
    """Return how long all epochs take, each with a look at the samples held out and at the test."""
    fit, pace = tried.fit, tried.pace
    looked = len(fit.validation) + len(fit.test)
    epoch = len(fit.batches) * pace.step + looked * pace.evaluation + pace.keeping
    return tried.recipe.training.epochs * epoch


def _factors(recipe: str, spec: SweepSpec, tried: _Tried, data: Given | None) -> list[float]:
    """Return how long each training of a grid takes, in units of the recipe's own."""
    path, own = recipe_path(recipe), _work(tried.recipe, tried.fit)
    found = []
    for values in spec.grid():
        changes = {key: value for key, value in values.items() if key != "seed"}
        changed = recipe_with(path, {**spec.settings, **changes}, data)
        found.append(_work(changed, tried.fit) / own)
    return found


def _work(recipe: Recipe, fit: Fit) -> float:
    """Return what the time of a training goes with: operations, of all samples of all epochs.

    Neurons count too: with few inputs they take most of the time.
    """
    graph = resolve(recipe.network, fit.input_shape)
    products = operations_of_step(graph, 1, constant=_is_constant(fit))
    neurons = sum(node.outputs for node in graph.spiking) * graph.time_steps
    return recipe.training.epochs * (products + _NEURON * neurons)


def _of_step(tried: _Tried) -> list[Figure]:
    fit, pace = tried.fit, tried.pace
    batch, graph = fit.recipe.training.batch_size, fit.network.graph
    work = operations_of_step(graph, batch, constant=_is_constant(fit))
    return [
        Figure("parameters", "parameters", weights_of(graph), "", "counted"),
        Figure("memory", "memory of a step", memory_of_step(graph, batch), "B",
               f"counted: batch of {batch}, optimiser; without the data"),
        Figure("flop", "products of a step", work, "FLOP", "counted: forward and backward"),
        Figure("step", "time of a step", pace.step, "s",
               f"timed, with {several(pace.cores, 'core')}"),
    ]  # fmt: skip


def _of_time(seconds: float, pace: Pace) -> list[Figure]:
    """Return the time of all, and what a process for each core would make of it."""
    found = [Figure("seconds", "time", seconds, "s", "from steps that were timed")]
    if pace.cores > 1:
        gain = pace.cores * pace.step / pace.step_alone
        found.append(
            Figure("gain", f"{pace.cores} processes of one thread each", gain, "",
                   "times as many trainings in that time, if cores do not hinder each other")
        )  # fmt: skip
    return found


def _disk(size: float) -> Figure:
    return Figure("disk", "disk", size, "B", "from a state that was written")


def _inputs(
    network: ChipNetwork, net: Path, samples: int | None, environment: Environment
) -> Inputs:
    """Return samples of the network's own data, or random ones where there is none here."""
    choice = InputChoice(
        data=environment.data,
        data_dir=environment.data_dir,
        samples=samples,
        on_download=environment.on_download,
        on_warning=environment.on_warning,
    )
    full = completed(choice, net)
    if full.data is None:
        if samples is None:
            raise ConfigError(f"{net}: names no data set; give --samples N or --data NAME|PATH")
        full = replace(full, seed=0, samples=min(samples, _MEASURED_SAMPLES))
    inputs = load_inputs(network, full)
    if not inputs.samples:
        raise DataError(f"{net}: its data hold no samples")
    return inputs


def _first(inputs: Inputs) -> Inputs:
    return replace(inputs, train=inputs.train[:, :1])


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.3g} min" if minutes < 100 else f"{hours:.3g} h"


def _prefixed(value: float, base: int, units: Sequence[str]) -> str:
    power = min(int(math.log(max(value, 1), base)), len(units) - 1)
    return f"{value / base**power:.3g} {units[power]}"
