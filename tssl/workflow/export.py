"""Turn a trained network into a proven ``.net`` file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tssl import netx
from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import INPUT, ChipNetwork
from tssl.costs import LayerMapping
from tssl.datasets import Dataset
from tssl.engine import Compiled, Engine
from tssl.errors import (
    BackendUnavailableError,
    CheckpointError,
    ConfigError,
    RangeError,
    VerificationError,
)
from tssl.exporter import LayerReport, Quantized, quantize, silent_layers
from tssl.hw_profiles import Profile, load_profile, map_to_cores
from tssl.lava_runtime import BackendOptions, SampleProgress, create_backend
from tssl.lava_runtime.plain import SHIMS, loading_lines
from tssl.machine.files import printable, write_json, written_together
from tssl.proof import Proof, Statement, compare_chunks
from tssl.proof.quantized import run_quantized
from tssl.trainer.evaluation import float_accuracy
from tssl.trainer.run_directory import RunDirectory
from tssl.version import __version__
from tssl.workflow.data import frames_of, load_splits
from tssl.workflow.inputs import Inputs, encode, encoded
from tssl.workflow.proof import lava_statement
from tssl.workflow.run import run_network

CALIBRATION_SAMPLES = 512
CALIBRATION_FRAMES = 2560
"""Of events, however long a sample: in deeper layers as much memory as that many pictures."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How to export.

    Parameters
    ----------
    samples
        Test samples for the accuracies.
    proof_samples
        Test samples for the proof.
    lava
        Whether to compare with Lava; when it is not installed the proof says so.
    weight_bits
        Bits by layer, ``""`` standing for all of them; later entries override earlier ones. As
        many as the target has where nothing is said.
    """

    data_dir: Path | None = None
    samples: int = 1000
    proof_samples: int = 20
    lava: bool = True
    weight_bits: Mapping[str, int] = field(default_factory=dict)
    backend: BackendOptions = field(default_factory=BackendOptions)


@dataclass(frozen=True, kw_only=True, eq=False)
class ExportOutcome:
    """What was exported and what is known about it.

    Parameters
    ----------
    float_accuracy, chip_accuracy
        On the same test samples; the latter by the engine.
    input_range
        Smallest and largest integer that the encoding can produce.
    """

    path: Path
    profile: Profile
    network: ChipNetwork
    layers: tuple[LayerReport, ...]
    mapping: list[LayerMapping]
    proof: Proof
    input_range: tuple[int, int]
    samples: int
    float_accuracy: float
    chip_accuracy: float

    @property
    def silent(self) -> tuple[str, ...]:
        """Layers that fire on no calibration sample."""
        return silent_layers(self.layers)

    @property
    def lines(self) -> tuple[str, ...]:
        """The Python that loads the file with lava-dl; none where it cannot."""
        if netx.is_graph(self.network):
            return ()
        return loading_lines(self.network, printable(self.path), self.input_range)

    def document(self) -> dict[str, Any]:
        """Return the outcome as JSON data."""
        return {
            "schema_version": 1,
            "file": str(self.path),
            "target": self.profile.name,
            "digest": self.network.digest,
            "samples": self.samples,
            "float_accuracy": self.float_accuracy,
            "chip_accuracy": self.chip_accuracy,
            "layers": [layer_document(report) for report in self.layers],
            "silent_layers": list(self.silent),
            "cores": sum(mapping.cores for mapping in self.mapping),
            "lava_dl": {"shims": list(SHIMS), "lines": list(self.lines)},
            "proof": self.proof.document(),
        }


def layer_document(report: LayerReport) -> dict[str, Any]:
    """Return what quantization did to a layer as JSON data."""
    return {
        "layer": report.layer.name,
        "scale": report.scale,
        "weight_bits": report.layer.weight_bits,
        "smallest_weight": int(report.layer.weights.min()),
        "largest_weight": int(report.layer.weights.max()),
        "threshold": report.layer.neuron.threshold,
        "largest_current": report.ranges.current,
        "largest_voltage": report.ranges.potential,
        "current_headroom_bits": report.ranges.headroom_bits,
        "voltage_headroom_bits": report.ranges.potential_headroom_bits,
        "current_bound": report.ranges.current_bound,
        "can_wrap": report.ranges.can_wrap,
    }


def export(
    run: Path, target: str, output: Path | None, options: ExportOptions, progress: SampleProgress
) -> ExportOutcome:
    """Quantize, check against the target, prove, and only then write.

    Parameters
    ----------
    run
        Folder of a training run (its best weights are taken) or a checkpoint file.
    target
        Name or path of a hardware profile.
    output
        The ``.net`` file; ``RUN/NAME-TARGET.net`` when None. ``.proof.json`` goes beside it.

    Raises
    ------
    TargetError
        When the network does not fit the target.
    VerificationError
        When the proof fails.
    """
    profile = load_profile(target)
    source = checkpoint_file(run)
    checkpoint = Checkpoint.load(source)
    path = output or source.parent / f"{checkpoint.recipe.name}-{profile.name}.net"
    if path.suffix != ".net":
        raise ConfigError(f"{path}: the name of an exported network must end in .net")
    train, test = load_splits(checkpoint.recipe, options.data_dir)
    bits = _bits_of_layers(checkpoint, options.weight_bits)
    quantized = calibrated(checkpoint, profile, train, bits)
    mapping = map_to_cores(profile, quantized.network)
    proof = _prove(checkpoint, quantized, profile, test, options, progress)
    outcome = ExportOutcome(
        path=path,
        profile=profile,
        network=quantized.network,
        layers=quantized.reports,
        mapping=mapping,
        proof=proof,
        input_range=input_range(checkpoint, train),
        samples=min(options.samples, len(test.labels)),
        float_accuracy=float_accuracy(checkpoint, test, options.samples),
        chip_accuracy=_chip_accuracy(quantized.network, test, options.samples),
    )
    _write(outcome, checkpoint)
    return outcome


def checkpoint_file(run: Path) -> Path:
    """Return the checkpoint of a run folder, or the file itself.

    Raises
    ------
    CheckpointError
        When there is none.
    """
    if run.is_file():
        if run.suffix == ".net":
            raise CheckpointError(f"{run}: is exported already; give the folder of a training run")
        return run
    if not run.exists():
        raise CheckpointError(f"{run}: does not exist; give the folder of a training run")
    directory = RunDirectory(run)
    if not directory.best.exists():
        hint = "train it first" if not directory.recipe.exists() else "no epoch is finished yet"
        raise CheckpointError(f"{run}: holds no {directory.best.name}; {hint}")
    return directory.best


def input_range(checkpoint: Checkpoint, dataset: Dataset) -> tuple[int, int]:
    """Return the smallest and the largest integer that the encoding can produce."""
    return checkpoint.encoding.span(0, dataset.full_scale)


def _bits_of_layers(checkpoint: Checkpoint, given: Mapping[str, int]) -> dict[str, int]:
    """Return the bits of each layer that is named, alone or with all others."""
    names = [node.name for node in checkpoint.graph.spiking]
    bits: dict[str, int] = {}
    for name, number in given.items():
        if type(number) is not int:
            who = f"layer {name}" if name else "all layers"
            raise ConfigError(f"weight bits of {who}: {number!r} is not a whole number")
        bits.update(dict.fromkeys([name] if name else names, number))
    return bits


def calibrated(
    checkpoint: Checkpoint,
    profile: Profile,
    train: Dataset,
    weight_bits: Mapping[str, int] | None = None,
) -> Quantized:
    """Quantize a network for a target, calibrated on training samples.

    Raises
    ------
    RangeError
        When layers that fire on none of them cut the output off.
    """
    samples, steps = CALIBRATION_SAMPLES, checkpoint.recipe.network.time_steps
    if train.time_steps or checkpoint.encoding.steps:
        samples = -(-CALIBRATION_FRAMES // (train.time_steps or steps))
    integers = encoded(checkpoint.encoding, train, samples, time_steps=steps)
    span = input_range(checkpoint, train)
    quantized = quantize(checkpoint, profile.limits, integers, span, weight_bits)
    if not _reaches_output(quantized):
        raise RangeError(
            f"layer {quantized.silent[0]}: is dead: it never fires on {integers.shape[1]} "
            "training samples; train it longer, with a larger weight_scale or a lower threshold"
        )
    return quantized


def _reaches_output(quantized: Quantized) -> bool:
    """Return whether spikes reach the last layer, around silent branches or not, and it fires."""
    reached = {INPUT}
    for layer in quantized.network.layers:
        sources = {each.source for each in layer.connections}
        if layer.name not in quantized.silent and sources & reached:
            reached.add(layer.name)
    return quantized.network.layers[-1].name in reached


def chip_plan(checkpoint: Checkpoint, profile: Profile, train: Dataset) -> ChipPlan:
    """Return the grid of integers that exporting for a target would choose."""
    quantized = calibrated(checkpoint, profile, train)
    return ChipPlan(
        scales=quantized.scales,
        largest_weights=quantized.largest_weights,
        weight_step=profile.limits.weight_step,
    )


def _prove(
    checkpoint: Checkpoint,
    quantized: Quantized,
    profile: Profile,
    test: Dataset,
    options: ExportOptions,
    progress: SampleProgress,
) -> Proof:
    network = quantized.network
    inputs = Inputs(
        train=encode(network, test, options.proof_samples),
        time_steps=checkpoint.recipe.network.time_steps,
        labels=None,
        text="proof",
    )
    trainer = run_quantized(checkpoint, quantized.scales, quantized.largest_weights, inputs.train)
    engine = Compiled(network).run
    stages = [
        compare_chunks(network, engine, "quantized trainer", trainer, inputs.time_steps),
        _lava(network, inputs, options, progress),
    ]
    proof = Proof(network=network.name, digest=network.digest, stages=tuple(stages))
    if proof.problem is not None:
        raise VerificationError(f"{proof.problem}; nothing was written")
    return proof


def _lava(
    network: ChipNetwork, inputs: Inputs, options: ExportOptions, progress: SampleProgress
) -> Statement:
    """Ask Lava; it may be missing, unless an interpreter that has it was named."""
    try:
        if options.lava:
            return lava_statement(network, inputs, create_backend("sim", options.backend), progress)
        reason = "not asked for"
    except BackendUnavailableError as error:
        if options.backend.python is not None:
            raise
        reason = str(error)
    return Statement(witness="Lava CPU simulator", samples=0, time_steps=0, skipped=reason)


def _chip_accuracy(network: ChipNetwork, test: Dataset, samples: int) -> float:
    inputs = Inputs(
        train=encode(network, test, samples),
        time_steps=network.time_steps or 1,
        labels=test.labels[:samples],
        text="accuracy",
    )
    accuracy = run_network(network, inputs, Engine(), lambda _: None).accuracy
    return float("nan") if accuracy is None else accuracy


def _write(outcome: ExportOutcome, checkpoint: Checkpoint) -> None:
    frames = frames_of(checkpoint.recipe)
    notes = {
        "tssl": __version__,
        "target": outcome.profile.name,
        "data": checkpoint.recipe.data.name,
        "bin_us": None if frames is None else frames.bin_us,
        "input_range": outcome.input_range,
        "recipe": checkpoint.recipe.model_dump(mode="json", exclude_none=True, by_alias=True),
        "training": checkpoint.provenance,
        "accuracy": {
            "samples": outcome.samples,
            "float": outcome.float_accuracy,
            "chip": outcome.chip_accuracy,
        },
        "proof": outcome.proof.document(),
    }
    proof = outcome.path.with_suffix(".proof.json")
    with written_together(proof.parent, proof.name) as folder:
        net = folder / outcome.path.name
        netx.write(net, outcome.network, notes)
        if netx.read(net).digest != outcome.network.digest:
            raise VerificationError(
                f"{outcome.path}: reads back as another network; nothing was written"
            )
        write_json(folder / proof.name, outcome.proof.document())
