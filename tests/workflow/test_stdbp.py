"""Networks of neurons that fire once: trained by times, exported, proven, run."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.hw_profiles.profile.test_profile import LOIHI2
from tests.trainer import tiny
from tests.trainer.test_stdbp import CONV, DENSE, POOL, recipe
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.chip import CLASS, INPUT, ChipNetwork, ConvSynapses, IntArray, SpikeArray
from tssl.engine import run_chunk
from tssl.exporter import quantize
from tssl.hw_profiles import load_profile
from tssl.lava_runtime import BackendOptions
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.samples import chip_encoding
from tssl.workflow.export import ExportOptions, ExportOutcome, export
from tssl.workflow.inputs import InputChoice, encode
from tssl.workflow.run import run

STEPS = 24
LAYERS = [
    {**CONV, "weight_scale": 2.0, "bias": True},
    POOL,
    {"type": "dense", "neurons": 12, "neuron": "rel-psp", "bias": True},
    {**DENSE, "bias": True},
]


def quiet(_: str, __: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)


def exported(folder: Path, options: ExportOptions) -> ExportOutcome:
    fitted = tiny.fit(folder / "run", recipe(*LAYERS, lr=0.05, settings={"bias_spike": 0.1}))
    fitted.fit(tiny.Watcher())
    return export(folder / "run", "loihi2", folder / "x.net", options, lambda _: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ExportOutcome:
    folder = tmp_path_factory.mktemp("stdbp")
    return exported(folder, ExportOptions(lava=False, proof_samples=20))


@pytest.fixture(scope="module")
def train(made: ExportOutcome) -> IntArray:
    return encode(made.network, tiny.dataset("test"))


def times_of(spikes: SpikeArray) -> IntArray:
    """Return the first step ``(samples, neurons)``, -1 of silent neurons."""
    return np.where(spikes.any(axis=0), spikes.argmax(axis=0), -1)


def in_integers(network: ChipNetwork, of: Recipe) -> SpikingNetwork:
    """Return the trainer's network with the chip's integers for weights and thresholds."""
    tables = of.model_dump(mode="json", exclude_none=True, by_alias=True)
    arrays: dict[str, Any] = {}
    for entry, layer in zip(tables["network"]["layers"], network.layers, strict=True):
        if entry["type"] == "pool":
            continue
        entry["threshold"] = float(np.max(layer.neuron.threshold))
        arrays[layer.name] = layer.synapses.weight.astype(np.float32)
        if entry["bias"]:
            maps = layer.bias.reshape(layer.output_shape[0], -1)
            arrays[f"{layer.name}_bias"] = maps[:, 0].astype(np.float32)
    found = SpikingNetwork(recipe_from_tables(tables, "integers"), (1, 4, 4), torch.Generator())
    found.load_weights(arrays)
    return found.eval()


def test_pixels_spike_once_the_brightest_first(made: ExportOutcome, train: IntArray) -> None:
    pixels = tiny.dataset("test").inputs.reshape(60, 16).astype(int)
    level = np.rint(pixels * 8 / 16).astype(int)
    assert train.shape == (STEPS, 60, 16)
    for step in range(STEPS):
        assert np.array_equal(train[step], (level == 8 - step) & (level > 0))
    assert made.input_range == (0, 1)
    assert netx.read(made.path).encoding == made.network.encoding


def test_first_spikes_are_the_trainers_times(made: ExportOutcome, train: IntArray) -> None:
    recording = run_chunk(made.network, train, STEPS)
    trainer = in_integers(made.network, recipe(*LAYERS))
    images = torch.from_numpy(train.astype(np.float32)).unflatten(2, (1, 4, 4))
    with torch.no_grad():
        forward = trainer(images, record_all=True)
    fired = 0
    for layer in made.network.layers:
        spikes = recording.trains[layer.name]
        assert spikes.sum(axis=0).max() == 1, "once"
        ours = forward.traces[layer.name].spikes.flatten(2).numpy()
        assert np.array_equal(times_of(spikes), times_of(ours))
        fired += int(spikes.sum())
        silencing = layer.own[0].synapses
        assert isinstance(silencing, ConvSynapses)
        assert silencing.weight.shape == (1, 1, 1, 1)
    assert fired > 60 * 10
    trains, potential = recording.trains[made.network.output.name], recording.output_potential
    read = CLASS.answers(trains.transpose(1, 0, 2), potential)
    assert read.tolist() == forward.output.psp[0].argmax(dim=1).tolist()
    assert made.chip_accuracy > 0.5, "of three classes, seen through one neuron of each map"


@pytest.mark.parametrize("bits", [4, 6, 7])
def test_a_chip_with_other_weights(made: ExportOutcome, bits: int, tmp_path: Path) -> None:
    """What silences a neuron has all bits of the chip's weights, in the witness, too."""
    chip = tmp_path / "chip.toml"
    text = LOIHI2.replace("weight_bits = { value = 8", f"weight_bits = {{ value = {bits}")
    chip.write_text(text, encoding="utf-8")
    options = ExportOptions(lava=False, proof_samples=20)
    run = made.path.parent / "run"
    outcome = export(run, str(chip), tmp_path / "x.net", options, lambda _: None)
    assert outcome.profile.limits.weight_bits == bits
    assert outcome.proof.verdict == "PASS without Lava"


def test_neurons_forget_nothing(made: ExportOutcome) -> None:
    for layer in netx.read(made.path).layers:
        assert (layer.neuron.current_decay, layer.neuron.voltage_decay) == (0, 0)


def test_all_inputs_at_once_cannot_wake_a_neuron_again(made: ExportOutcome) -> None:
    """Whatever comes, and however late."""
    rng = np.random.default_rng(1)
    when = rng.integers(0, STEPS + 4, (200, 16))
    train = (when == np.arange(STEPS)[:, None, None]).astype(np.int64)
    recording = run_chunk(made.network, train, STEPS)
    for layer in made.network.layers:
        assert recording.trains[layer.name].sum(axis=0).max() <= 1


def test_what_is_run_again_is_what_was_exported(made: ExportOutcome, tmp_path: Path) -> None:
    out = run(made.path, "engine", InputChoice(), tmp_path / "R", BackendOptions(), quiet)
    assert out.result.accuracy == made.chip_accuracy


def test_a_strong_layer_gets_a_smaller_scale() -> None:
    """So many large weights that no exponent of the chip's could silence a neuron."""
    tables = recipe({**DENSE, "threshold": 1000.0}).model_dump(mode="json", exclude_none=True)
    weight = np.ones((tiny.CLASSES, 400), np.float32)
    found = Checkpoint(
        recipe=recipe_from_tables(tables, "strong"),
        input_shape=(1, 20, 20),
        encoding=chip_encoding(recipe(DENSE).encoding, 16),
        weights={"dense1": weight},
        provenance={},
    )
    calibration = found.encoding.train(np.full((2, 400), 8), STEPS)
    limits = load_profile("loihi2").limits
    made = quantize(found, limits, calibration, (0, 1))
    (report,) = made.reports
    (silencing,) = report.layer.own
    largest = int(silencing.synapses.weight.min())
    assert -(254 << 7) <= largest <= -int(report.layer.synapses.weight.clip(0).sum(axis=1).max())
    assert report.layer.synapses.weight.max() < 254
    assert not made.network.input.neuron
    assert report.layer.arriving[0].source == INPUT


@pytest.mark.lava
def test_lava_agrees(tmp_path: Path) -> None:
    outcome = exported(tmp_path, ExportOptions(lava=True, proof_samples=4))
    assert outcome.proof.verdict == "PASS"
    assert len(outcome.proof.stages) == 2
    assert outcome.lines == (), "lava-dl has no words for a synapse from a neuron to itself"
