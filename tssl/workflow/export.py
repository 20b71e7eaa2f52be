"""Turn a trained network into a proven ``.net`` file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl import netx
from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import INPUT, ChipNetwork, IntArray
from tssl.costs import LayerMapping
from tssl.datasets import Dataset, Given
from tssl.engine import Compiled, Engine
from tssl.errors import (
    BackendUnavailableError,
    ConfigError,
    RangeError,
    VerificationError,
)
from tssl.exporter import LayerReport, Quantized, quantize, silent_layers
from tssl.hw_profiles import Profile, load_profile, map_to_cores
from tssl.lava_runtime import BackendOptions, SampleProgress, create_backend
from tssl.lava_runtime.plain import SHIMS, loading_lines
from tssl.machine.files import printable
from tssl.proof import Proof, Statement, compare_chunks
from tssl.proof.quantized import run_quantized
from tssl.tables import Shown, Table
from tssl.trainer.evaluation import float_accuracy
from tssl.workflow import nir, tables
from tssl.workflow.data import (
    folders_of,
    frames_of,
    known_folder,
    load_splits,
    seen_before,
    source_of,
    with_data,
)
from tssl.workflow.export_files import data_facts, write_exported
from tssl.workflow.inputs import Inputs, encode, encoded
from tssl.workflow.nir import NirChoice, NirReport, is_foreign
from tssl.workflow.proof import lava_statement
from tssl.workflow.provenance import metrics_of
from tssl.workflow.run import run_network
from tssl.workflow.samples import samples_for
from tssl.workflow.sources import bits_of_layers, network_of
from tssl.workflow.there import There, there_of

CALIBRATION_SAMPLES = 512
CALIBRATION_FRAMES = 2560
"""Of events, however long a sample: in deeper layers as much memory as that many pictures."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How to export.

    Parameters
    ----------
    data
        To calibrate and test on, in place of what the network was trained on. Of a network that
        came without a data set: its inputs, an array or a file of one; random spikes when None.
    samples
        Test samples for the accuracies.
    proof_samples
        Test samples for the proof.
    lava
        Whether to compare with Lava; when it is not installed the proof says so.
    weight_bits
        Bits by layer, ``""`` standing for all of them; later entries override earlier ones. As
        many as the target has where nothing is said.
    nir
        What to make of a ``.nir`` file.
    """

    data: Given | NDArray[Any] | None = None
    data_dir: Path | None = None
    nir: NirChoice = field(default_factory=NirChoice)
    samples: int = 1000
    proof_samples: int = 20
    lava: bool = True
    weight_bits: Mapping[str, int] = field(default_factory=dict)
    backend: BackendOptions = field(default_factory=BackendOptions)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ExportOutcome(Shown):
    """What was exported and what is known about it.

    Parameters
    ----------
    float_accuracy, chip_accuracy
        On the same test samples; the latter by the engine. Of a network that says numbers they are
        R². Not a number for a network that came without a data set.
    input_range
        Smallest and largest integer that the encoding can produce.
    nir
        Of a network that came from a NIR file.
    there
        Of a network of PyTorch modules: how good they are themselves on the same test samples.
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
    nir: NirReport | None = None
    there: There | None = None

    @property
    def accuracy(self) -> dict[str, Any]:
        """How good it is at the test samples, as JSON data."""
        return {
            "samples": self.samples,
            "float": self.float_accuracy,
            "chip": self.chip_accuracy,
            **({} if self.there is None else {"there": self.there.document()}),
        }

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

    @property
    def rates(self) -> str:
        """How good it is before and after, in words."""
        measure = self.network.read_out.measure
        return f"{measure} float {self.float_accuracy:.2%}, chip {self.chip_accuracy:.2%}"

    @property
    def headline(self) -> str:
        """What was written, and how good it is."""
        known = self.rates if self.samples else "no labels"
        return f"{self.path} for {self.profile.name}: {known}, proof {self.proof.verdict}"

    def tables(self) -> list[Table]:
        """Return what quantization did, the cores, the proof, and the NIR graph's own spikes."""
        report = None if self.nir is None else self.nir.document()
        return [
            tables.quantization([tables.layer_facts(each) for each in self.layers]),
            tables.cores(self.profile.name, self.mapping),
            *([] if self.there is None else [tables.accuracies(self.accuracy)]),
            *self.proof.tables(),
            *([] if report is None else [tables.agreement(report)]),
        ]

    def document(self) -> dict[str, Any]:
        """Return the outcome as JSON data."""
        return {
            "schema_version": 1,
            "file": str(self.path),
            "target": self.profile.name,
            "digest": self.network.digest,
            "samples": self.samples,
            "measure": self.network.read_out.measure,
            "float_accuracy": self.float_accuracy,
            "chip_accuracy": self.chip_accuracy,
            **({} if self.there is None else {"there": self.there.document()}),
            "layers": [tables.layer_facts(each) for each in self.layers],
            "silent_layers": list(self.silent),
            "cores": sum(mapping.cores for mapping in self.mapping),
            "lava_dl": {"shims": list(SHIMS), "lines": list(self.lines)},
            "proof": self.proof.document(),
            **({} if self.nir is None else {"nir": self.nir.document()}),
        }


def export(
    run: Path, target: str, output: Path | None, options: ExportOptions, progress: SampleProgress
) -> ExportOutcome:
    """Quantize, check against the target, prove, and only then write.

    Parameters
    ----------
    run
        Folder of a training run (its best weights are taken), a checkpoint, or a ``.nir`` file.
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
    _ = profile.limits  # refuses what is no target before data are read
    checkpoint, file = network_of(run, options.nir)
    path = output or file.parent / f"{checkpoint.recipe.name}-{profile.name}.net"
    if path.suffix != ".net":
        raise ConfigError(f"{path}: the name of an exported network must end in .net")
    if is_foreign(checkpoint):
        outcome = _foreign(checkpoint, file, path, profile, options, progress)
        write_exported(outcome, checkpoint, {"bin_us": None})
        return outcome
    if isinstance(options.data, np.ndarray):
        raise ConfigError(
            f"{file}: data: one array is for networks that came without a data set; give a data "
            "set, a path, or x_train, y_train, x_test and y_test"
        )
    checkpoint = replace(checkpoint, recipe=with_data(checkpoint.recipe, options.data))
    source = source_of(checkpoint.recipe.data, options.data)
    name, kept = checkpoint.recipe.data.name, checkpoint.provenance.get("data_folders")
    folder = known_folder(name, options.data_dir, kept)
    with seen_before(checkpoint.provenance):
        train, test = load_splits(checkpoint.recipe, folder, data=source)
    bits = bits_of_layers(checkpoint, options.weight_bits)
    quantized = calibrated(checkpoint, profile, train, bits)
    mapping = map_to_cores(profile, quantized.network)
    proven = encode(quantized.network, test, options.proof_samples)
    outcome = ExportOutcome(
        path=path,
        profile=profile,
        network=quantized.network,
        layers=quantized.reports,
        mapping=mapping,
        proof=_prove(checkpoint, quantized, proven, profile, options, progress),
        input_range=input_range(checkpoint, train),
        samples=min(options.samples, len(test.labels)),
        float_accuracy=float_accuracy(checkpoint, test, options.samples),
        chip_accuracy=_chip_accuracy(quantized.network, test, options.samples),
        there=there_of(checkpoint.provenance, test.fingerprint, options.samples),
    )
    frames = frames_of(checkpoint.recipe, source)
    facts = {
        "bin_us": None if frames is None else frames.bin_us,
        "learning": metrics_of(file.parent),
        **data_facts(train, test, folders_of(name, folder)),
    }
    write_exported(outcome, checkpoint, facts)
    return outcome


def _foreign(
    checkpoint: Checkpoint,
    source: Path,
    path: Path,
    profile: Profile,
    options: ExportOptions,
    progress: SampleProgress,
) -> ExportOutcome:
    """Quantize and prove a network that came without a data set."""
    data = options.data
    if isinstance(data, str):
        data = Path(data)
    if not (data is None or isinstance(data, Path | np.ndarray)):
        raise ConfigError(f"{source}: data: an array or a file of one is expected")
    samples = samples_for(checkpoint, data, CALIBRATION_FRAMES, options.proof_samples)
    checkpoint = nir.with_steps(checkpoint, samples.time_steps)
    bits = bits_of_layers(checkpoint, options.weight_bits)
    quantized = quantize(checkpoint, profile.limits, samples.calibration, samples.span, bits)
    if not _reaches_output(quantized):
        raise RangeError(
            f"layer {quantized.silent[0]}: is dead: it never fires on {samples.text}; give input "
            "on which it does with --data"
        )
    mapping = map_to_cores(profile, quantized.network)
    graph = source if source.suffix == ".nir" else source.parent / nir.SOURCE
    return ExportOutcome(
        path=path,
        profile=profile,
        network=quantized.network,
        layers=quantized.reports,
        mapping=mapping,
        proof=_prove(checkpoint, quantized, samples.proof, profile, options, progress),
        input_range=samples.span,
        samples=0,
        float_accuracy=float("nan"),
        chip_accuracy=float("nan"),
        nir=nir.nir_report(checkpoint, graph, quantized.network, samples.proof, samples.text),
    )


def input_range(checkpoint: Checkpoint, dataset: Dataset) -> tuple[int, int]:
    """Return the smallest and the largest integer that the encoding can produce."""
    return checkpoint.encoding.span(0, dataset.full_scale)


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
        by_others = "nir" in checkpoint.provenance
        larger = "larger initial weights" if by_others else "a larger weight_scale"
        raise RangeError(
            f"layer {quantized.silent[0]}: is dead: it never fires on {integers.shape[1]} "
            f"training samples; train it longer, with {larger} or a lower threshold"
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
    train: IntArray,
    profile: Profile,
    options: ExportOptions,
    progress: SampleProgress,
) -> Proof:
    network = quantized.network
    inputs = Inputs(
        train=train,
        time_steps=checkpoint.recipe.network.time_steps,
        labels=None,
        text="proof",
    )
    trainer = run_quantized(
        checkpoint,
        quantized.scales,
        quantized.largest_weights,
        inputs.train,
        profile.limits.weight_bits,
    )
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
    score = run_network(network, inputs, Engine(), lambda _: None).score
    return float("nan") if score is None else score
