"""Read NIR networks into runs, and say how well the chip's integers follow the graph."""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.checkpoint import Checkpoint
from tssl.chip import BoolArray, ChipNetwork, IntArray
from tssl.engine import Compiled
from tssl.errors import CheckpointError, NirFileError
from tssl.exchange import nir
from tssl.exchange.assembly import NO_DATA
from tssl.exchange.nir import Lowered, Nir, Rule, Timing
from tssl.machine.files import make_directory, printable, write_text, written_together
from tssl.tables import Shown, Table
from tssl.trainer.run_directory import RunDirectory
from tssl.version import __version__
from tssl.workflow.arrays import check_steps
from tssl.workflow.tables import decays, layers_read

__all__ = [
    "Agreement",
    "NIR_STEPS",
    "NirChoice",
    "NirReport",
    "ReadOutcome",
    "nir_report",
    "read",
    "read_into",
]

NIR_STEPS = 100
"""Time steps of a network that says none."""
SOURCE = "graph.nir"
"""The graph, in the folder of the run that was made of it."""


@dataclass(frozen=True, kw_only=True)
class NirChoice:
    """What a user says of a NIR file.

    Parameters
    ----------
    dt
        Time step, in the unit of the file's time constants; inferred from the file when None.
    rule
        ``euler`` or ``exp``; inferred from the file when None.
    as_nir
        Read the file as NIR defines it where its maker's neurons do otherwise.
    steps
        Time steps of a sample, where no data give them.

    Raises
    ------
    ConfigError
        When there are no steps, or too many.
    """

    dt: float | None = None
    rule: Rule | None = None
    as_nir: bool = False
    steps: int = NIR_STEPS

    def __post_init__(self) -> None:
        check_steps(self.steps)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ReadOutcome(Shown):
    """A NIR network as tssl has it."""

    lowered: Lowered
    directory: Path

    @property
    def headline(self) -> str:
        """Where the run is, how its equations became steps, and how good its modules are."""
        facts = facts_of(self.lowered.checkpoint)
        there = self.lowered.checkpoint.provenance.get("there")
        known = "" if there is None else f", accuracy there {there['accuracy']:.2%}"
        steps = f"dt = {facts['dt']:g}, rule {facts['rule']}"
        return f"{self.directory}: {facts['file']}, {steps}{known}"

    def tables(self) -> list[Table]:
        """Return decays, layers, and what a user should know."""
        document = self.document()
        notes = [[note] for note in self.lowered.notes]
        return [
            decays(document),
            layers_read(document["layers"]),
            *([Table("Notes", ["what a user should know"], notes)] if notes else []),
        ]

    def document(self) -> dict[str, Any]:
        """Return what was read as JSON data."""
        graph = self.lowered.checkpoint.graph
        layers = [
            {
                "layer": node.name,
                "kind": node.kind,
                "node": self.lowered.layers.get(node.name),
                "sources": list(node.sources),
                "shape": list(node.output_shape),
            }
            for node in graph
        ]
        return {
            "schema_version": 1,
            "directory": str(self.directory),
            **self.lowered.checkpoint.provenance["nir"],
            "layers": layers,
        }


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far the spikes of a layer on the chip are those of the graph in double precision.

    A neuron that is read counts as fired at the last step where its potential is the largest.
    """

    layer: str
    node: str
    compared: int
    reference: int
    chip: int
    differ: int
    first: str


@dataclass(frozen=True, kw_only=True, eq=False)
class NirReport:
    """Of an exported NIR network: its steps, decays, and the first witness.

    Parameters
    ----------
    facts
        As they stand in the checkpoint: time step, rule, evidence, decays, notes.
    agreements
        By layer; empty where the graph is not beside the run.
    samples
        What both were fed.
    """

    facts: dict[str, Any]
    agreements: tuple[Agreement, ...]
    samples: str

    def document(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        rows = [asdict(each) for each in self.agreements]
        return {**self.facts, "reference": rows, "samples": self.samples}


def read(path: Path, choice: NirChoice) -> Lowered:
    """Read a NIR file into a checkpoint.

    Raises
    ------
    NirFileError
        When the file is no NIR graph.
    ConfigError
        When time step or rule are asked for.
    UnsupportedLayerError
        When a chip has nothing that fires the same spikes.
    """
    graph = nir.read(path)
    timing = nir.timing(graph, choice.dt, choice.rule)
    graph, notes = nir.check_conventions(graph, timing, as_nir=choice.as_nir)
    lowered = nir.lower(
        graph, timing, name=printable(path.stem), time_steps=choice.steps, provenance={}
    )
    lowered = replace(lowered, notes=(*notes, *lowered.notes))
    facts = {
        "file": printable(path.name),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "version": graph.version,
        "dt": timing.dt,
        "rule": timing.rule,
        "unit_gain": timing.unit_gain,
        "evidence": timing.evidence,
        "input_shape": list(lowered.input_shape),
        "always_on": lowered.always_on,
        "nodes": dict(lowered.layers),
        "decays": [{**asdict(each), "error": each.error} for each in lowered.decays],
        "at_threshold": sorted(graph.at_threshold),
        "notes": list(lowered.notes),
    }
    lowered.checkpoint.provenance.update(tssl=__version__, nir=facts)
    return lowered


def read_into(path: Path, run: Path, choice: NirChoice) -> ReadOutcome:
    """Read a NIR file and keep the network as a run, which `tssl export` takes.

    Raises
    ------
    ConfigError, OutputError
        When the folder holds a run already, or cannot be written; and those of :func:`read`.
    """
    directory = RunDirectory(run)
    directory.check_free()
    lowered = read(path, choice)
    checkpoint = lowered.checkpoint
    content = path.read_bytes()
    make_directory(run)
    with written_together(run, directory.best.name) as folder:
        (folder / SOURCE).write_bytes(content)
        write_text(folder / directory.recipe.name, checkpoint.recipe.to_toml())
        checkpoint.save(folder / directory.best.name)
    return ReadOutcome(lowered=lowered, directory=run)


def is_foreign(checkpoint: Checkpoint) -> bool:
    """Return whether a network came without a data set."""
    return checkpoint.recipe.data.name == NO_DATA


def with_steps(checkpoint: Checkpoint, steps: int | None) -> Checkpoint:
    """Return a checkpoint whose samples are shown for so many steps."""
    if steps is None:
        return checkpoint
    recipe = checkpoint.recipe
    network = recipe.network.model_copy(update={"time_steps": steps})
    return replace(checkpoint, recipe=recipe.model_copy(update={"network": network}))


def facts_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what a checkpoint knows of the NIR file it came from.

    Raises
    ------
    CheckpointError
        When it knows nothing.
    """
    facts = checkpoint.provenance.get("nir")
    if not isinstance(facts, dict):
        raise CheckpointError(
            f"network {checkpoint.recipe.name}: came without a data set and from no NIR file; give "
            "the folder that `tssl nir read` wrote"
        )
    return facts


def nir_report(
    checkpoint: Checkpoint, graph: Path | None, network: ChipNetwork, proof: IntArray, samples: str
) -> NirReport:
    """Compare the engine with the graph in double precision, the first witness.

    Parameters
    ----------
    graph
        The NIR file, if it is at hand.
    proof
        Input ``(time or 1, samples, inputs)``, values that are always on included.
    """
    facts = facts_of(checkpoint)
    if graph is None or not graph.exists():
        return NirReport(facts=facts, agreements=(), samples=samples)
    if hashlib.sha256(graph.read_bytes()).hexdigest() != facts["sha256"]:
        raise NirFileError(f"{printable(graph)}: is another file than the network was read from")
    source = nir.read(graph)
    source = nir.firing_at(source, facts.get("at_threshold", source.at_threshold))
    timing = Timing(dt=facts["dt"], rule=facts["rule"], unit_gain=facts["unit_gain"])
    steps = network.time_steps or len(proof)
    found = _agreements(source, timing, facts, network, proof, steps)
    return NirReport(facts=facts, agreements=found, samples=samples)


def _largest(potential: NDArray[Any]) -> BoolArray:
    """Return where the largest potential of each sample is, ``(samples, neurons)``."""
    found: BoolArray = np.arange(potential.shape[1]) == potential.argmax(axis=1)[:, None]
    return found


def _agreements(
    source: Nir,
    timing: Timing,
    facts: dict[str, Any],
    network: ChipNetwork,
    proof: IntArray,
    steps: int,
) -> tuple[Agreement, ...]:
    own: Any = proof[..., : proof.shape[2] - facts["always_on"]]
    own = np.broadcast_to(own, (steps, *own.shape[1:])).astype(np.float64)
    traces = nir.simulate(source, timing, own.reshape(*own.shape[:2], *facts["input_shape"]))
    recording = Compiled(network).run(proof, steps)
    found = []
    for layer, node in facts["nodes"].items():
        wanted = traces[node].spikes.reshape(*own.shape[:2], -1)
        fired = recording.trains[layer][..., : wanted.shape[2]] > 0
        if not source.nodes[node].of.fires:
            potential = traces[node].potential[-1].reshape(own.shape[1], -1)
            wanted[-1], fired[-1] = _largest(potential), _largest(recording.output_potential)
        differ = wanted != fired
        first = "none"
        if differ.any():
            step, sample, neuron = np.argwhere(differ)[0]
            first = f"step {step}, sample {sample}, neuron {neuron}"
        found.append(
            Agreement(
                layer=layer,
                node=node,
                compared=wanted.size,
                reference=int(wanted.sum()),
                chip=int(fired.sum()),
                differ=int(differ.sum()),
                first=first,
            )
        )
    return tuple(found)
