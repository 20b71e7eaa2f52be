"""Turn PyTorch modules into runs that an export takes."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tssl.checkpoint import Checkpoint
from tssl.chip import CLASS, DECAY_ONE, ClassReadOut
from tssl.datasets import Dataset, Given
from tssl.errors import ConfigError
from tssl.exchange import nir
from tssl.exchange import torch as modules
from tssl.exchange.assembly import MadeLayer, checkpoint_of
from tssl.exchange.nir import Decay, Lowered, Timing
from tssl.exchange.nir.writing import OutLayer, description_bytes, graph_bytes
from tssl.geometry import Shape
from tssl.machine.files import make_directory, write_text, written_together
from tssl.recipe import recipe_from_tables
from tssl.trainer.elsewhere import answers_by_potentials, answers_by_steps
from tssl.trainer.layers import Sequential
from tssl.trainer.run_directory import RunDirectory
from tssl.trainer.samples import chip_encoding
from tssl.version import __version__
from tssl.wording import several
from tssl.workflow.data import folders_of, load_splits, source_of, with_data
from tssl.workflow.nir import SOURCE, ReadOutcome
from tssl.workflow.nir_write import float_layers
from tssl.workflow.there import MOST_SAMPLES, stored_answers

__all__ = ["ModuleChoice", "read_module"]

_OWN_STEPS = Timing(dt=1.0, rule="euler")
_PIXELS = (
    "fires at its threshold (>=); parts of a pixel are no multiples of its weights, so that a "
    "potential hardly ever equals it, and > is taken"
)
_FOREIGN_ERRORS = (
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
    AssertionError,
)
"""What modules of another library may raise that are run in a way it does not expect."""


@dataclass(frozen=True, kw_only=True)
class ModuleChoice:
    """What a user says of a network of modules.

    Parameters
    ----------
    time_steps
        Of a sample; those of a network of ``tssl.nn`` when None.
    name
        Of the network.
    data
        What it was trained on, to calibrate and test on; none when None.
    encoding
        The section ``encoding`` of a recipe, which says how these become input.
    """

    time_steps: int | None
    name: str
    data: Given | None = None
    encoding: Mapping[str, Any] | None = None
    data_dir: Path | None = None


def read_module(
    module: modules.Module, shape: Shape, run: Path, choice: ModuleChoice
) -> ReadOutcome:
    """Lower a network of modules and keep it as a run, which an export takes.

    Parameters
    ----------
    shape
        Of a sample at a step.

    Raises
    ------
    ConfigError
        When the network is no sequence, or does not fit its input or data.
    UnsupportedLayerError
        When a chip has nothing that fires the same spikes; it names the module.
    OutputError
        When the folder cannot be written.
    """
    directory = RunDirectory(run)
    directory.check_free()
    if choice.encoding is not None and choice.data is None:
        raise ConfigError(
            "encoding: says how data become input; without data, input are whole numbers"
        )
    if isinstance(module, Sequential):
        lowered, graph = _of_ours(module, shape, choice)
    else:
        lowered, graph = _of_others(module, shape, choice)
    if choice.data is not None:
        checkpoint, test = _with_data(lowered, choice, choice.data)
        lowered = _run_there(module, shape, replace(lowered, checkpoint=checkpoint), test)
    checkpoint = lowered.checkpoint
    make_directory(run)
    with written_together(run, directory.best.name) as folder:
        (folder / SOURCE).write_bytes(graph)
        write_text(folder / directory.recipe.name, checkpoint.recipe.to_toml())
        checkpoint.save(folder / directory.best.name)
    return ReadOutcome(lowered=lowered, directory=run)


def _run_there(
    module: Any,  # noqa: ANN401 - of PyTorch, with more than `Module` asks for
    shape: Shape,
    lowered: Lowered,
    test: Dataset,
) -> Lowered:
    """Run the modules themselves on test samples, and keep which of these are right.

    A library that another version of it runs otherwise is no reason to refuse a network whose
    layers are understood: a note says then that the figure is missing.
    """
    checkpoint = lowered.checkpoint
    chosen = (shape, checkpoint, test, MOST_SAMPLES)
    try:
        if isinstance(module, Sequential):
            by, read = "tssl.nn", "potentials added up"
            answers = answers_by_potentials(module, *chosen)
        else:
            by = ", ".join(checkpoint.provenance["nir"]["libraries"])
            steps = modules.Stepped(module)
            read = "potentials after the last step" if steps.is_read else "spikes counted"
            with steps.undisturbed():
                answers = answers_by_steps(steps, module, *chosen)
    except _FOREIGN_ERRORS as error:
        reason = " ".join(str(error).split())
        note = f"its accuracy there is not known: its modules do not run: {reason:.120}"
        checkpoint.provenance["nir"]["notes"].append(note)
        return replace(lowered, notes=(*lowered.notes, note))
    checkpoint.provenance["there"] = stored_answers(by, read, answers, test.fingerprint)
    return lowered


def _of_others(module: modules.Module, shape: Shape, choice: ModuleChoice) -> tuple[Lowered, bytes]:
    """Return the network of another library, and its graph as a NIR file."""
    if choice.time_steps is None:
        raise ConfigError("time_steps: how long a sample is shown is not in the modules; give it")
    found = modules.read(module, shape)
    graph, notes = found.graph, found.notes
    first = [node for node in graph.neurons[:1] if node.name in graph.at_threshold]
    if choice.data is not None and first:
        graph = nir.firing_at(graph, graph.at_threshold - {first[0].name})
        notes = (*notes, f"{first[0].title}: {_PIXELS}")
    lowered = nir.lower(
        graph,
        _OWN_STEPS,
        name=choice.name,
        time_steps=choice.time_steps,
        provenance={},
    )
    votes = ClassReadOut(found.neurons_per_class)
    if votes != CLASS:
        lowered = replace(lowered, checkpoint=replace(lowered.checkpoint, read_out=votes))
    lowered = replace(lowered, notes=(*notes, *lowered.notes))
    said: dict[str, str | float] = {"by": f"tssl {__version__}, from_torch", "dt": 1.0}
    said.update(graph.metadata)
    content = description_bytes(graph, said)
    facts = _facts(lowered, content, f"modules of {', '.join(found.libraries)}, which step so")
    facts |= {"modules": found.modules, "libraries": list(found.libraries)}
    lowered.checkpoint.provenance.update(tssl=__version__, nir=facts)
    return lowered, content


def _of_ours(module: Sequential, shape: Shape, choice: ModuleChoice) -> tuple[Lowered, bytes]:
    """Return a network of ``tssl.nn``, and its graph as a NIR file."""
    if len(shape) not in (1, 3):
        raise ConfigError(f"sample: one of (samples, C, H, W) or (samples, features), not {shape}")
    channels, height, width = (*shape, 1, 1)[:3]
    steps = module.time_steps if choice.time_steps is None else choice.time_steps
    made = [MadeLayer(entry=entry, arrays=arrays) for entry, arrays in module.described()]
    checkpoint = checkpoint_of(choice.name, (channels, height, width), steps, made, {})
    layers = float_layers(checkpoint)
    lowered = Lowered(
        checkpoint=checkpoint,
        layers={layer.name: layer.name for layer in layers},
        input_shape=shape,
        always_on=0,
        decays=tuple(decay for layer in layers for decay in _decays(layer)),
        notes=(),
    )
    content = graph_bytes(shape, layers, _OWN_STEPS.dt, {"by": f"tssl {__version__}, tssl.nn"})
    facts = _facts(lowered, content, "layers of tssl.nn, which step so")
    checkpoint.provenance.update(tssl=__version__, nir=facts)
    return lowered, content


def _decays(layer: OutLayer) -> Iterator[Decay]:
    for quantity, loss in zip(("current", "potential"), layer.losses, strict=True):
        yield Decay(
            layer=layer.name,
            node=layer.name,
            quantity=quantity,
            wanted=float(loss),
            integer=round(DECAY_ONE * float(loss)),
        )


def _facts(lowered: Lowered, content: bytes, evidence: str) -> dict[str, Any]:
    """Return what `tssl nir read` keeps of a file, here of the graph that was made."""
    return {
        "file": SOURCE,
        "sha256": hashlib.sha256(content).hexdigest(),
        "version": "of tssl",
        "dt": _OWN_STEPS.dt,
        "rule": _OWN_STEPS.rule,
        "unit_gain": False,
        "evidence": evidence,
        "input_shape": list(lowered.input_shape),
        "always_on": lowered.always_on,
        "nodes": dict(lowered.layers),
        "decays": [{**asdict(each), "error": each.error} for each in lowered.decays],
        "notes": list(lowered.notes),
    }


def _with_data(lowered: Lowered, choice: ModuleChoice, data: Given) -> tuple[Checkpoint, Dataset]:
    """Return a checkpoint that knows its data, how these become integers, and the test split."""
    if lowered.always_on:
        raise ConfigError(
            f"{choice.name}: a bias of its first layer enters synapses that filter, which takes an "
            "input that is always 1, and a data set has none; use bias=False there"
        )
    checkpoint = lowered.checkpoint
    tables = checkpoint.recipe.model_dump(mode="json", exclude_none=True, by_alias=True)
    tables["encoding"] = dict(choice.encoding or {})
    recipe = with_data(recipe_from_tables(tables, "encoding"), data)
    train, test = load_splits(recipe, choice.data_dir, data=source_of(recipe.data, data))
    outputs, read_out = checkpoint.graph.output.outputs, checkpoint.read_out
    votes = read_out.neurons_per_class if isinstance(read_out, ClassReadOut) else 1
    if outputs != votes * train.outputs or train.read_out is not CLASS:
        each = f", {votes} of each class" if votes > 1 else ""
        raise ConfigError(
            f"{choice.name}: its last layer has {several(outputs, 'neuron')}{each}, but data set "
            f"{train.name} has {train.answers}; classes are needed"
        )
    known = replace(
        checkpoint,
        recipe=recipe,
        input_shape=_shape_of_data(checkpoint, train.shape, train.name),
        encoding=chip_encoding(recipe.encoding, train.unit or train.full_scale, train.zero),
    )
    folders = folders_of(recipe.data.name, choice.data_dir)
    if folders:
        known.provenance["data_folders"] = folders
    return known, test


def _shape_of_data(checkpoint: Checkpoint, shape: Shape, name: str) -> tuple[int, int, int]:
    """Return the shape of a data set's samples, which a network that flattens them need not say."""
    own = checkpoint.input_shape
    channels, height, width = shape
    if own not in (tuple(shape), (channels * height * width, 1, 1)):
        raise ConfigError(
            f"sample: the network takes {own}, but data set {name} has samples of shape "
            f"{tuple(shape)}"
        )
    return channels, height, width
