"""Training of networks that send what changed: forward against plain Python, backward by hand."""

import numpy as np
import pytest
import torch

from tests.exporter.networks import LIMITS
from tests.trainer import tiny
from tssl.checkpoint import Checkpoint
from tssl.chip import INPUT, DeltaNeuron
from tssl.engine import Compiled
from tssl.errors import ConfigError, UnsupportedLayerError
from tssl.exporter.quantization import Quantized, quantize
from tssl.hw_profiles.profile.library import load_profile
from tssl.proof import first_difference
from tssl.proof.quantized import run_quantized
from tssl.recipe import Recipe, recipe_from_tables
from tssl.trainer.methods.sigma_delta import told
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.samples import chip_encoding
from tssl.workflow.nir_write import _float as nir_of

STEPS = 3
DENSE = {"type": "dense", "neurons": 9, "neuron": "sigma-delta", "bias": True}
LAST = {"type": "dense", "neurons": 3, "neuron": "sigma-delta"}
CONV = {"type": "conv", "channels": 4, "kernel": 3, "padding": 1, "neuron": "sigma-delta",
        "bias": True}  # fmt: skip


def recipe(*layers: dict[str, object], encoding: str = "changes", **network: object) -> Recipe:
    tables = {
        "name": "rows",
        "data": {"name": "rows"},
        "encoding": {"input": encoding, "resolution": 8},
        "network": {
            "time_steps": STEPS, "threshold": 0.05, "layers": list(layers or (DENSE, LAST)),
            **network,
        },
        "training": {"rule": "sigma-delta", "epochs": 3, "batch_size": 10, "lr": 0.02},
    }  # fmt: skip
    return recipe_from_tables(tables, "here")


def made(of: Recipe, seed: int = 0) -> tuple[SpikingNetwork, Checkpoint]:
    """Return a network whose biases are drawn too, and its checkpoint."""
    generator = torch.Generator().manual_seed(seed)
    network = SpikingNetwork(of, (1, 4, 4), generator)
    with torch.no_grad():
        for name, parameter in network.weights.items():
            if "bias" in name:
                parameter.copy_(torch.rand(parameter.shape, generator=generator) - 0.4)
    checkpoint = Checkpoint(
        recipe=of,
        input_shape=(1, 4, 4),
        encoding=chip_encoding(of.encoding, 16),
        weights=network.numpy_weights(),
        provenance={},
    )
    return network, checkpoint


def test_what_is_told_of_values(rng: np.random.Generator):
    values = rng.normal(size=(7, 2, 4)).clip(0)
    known, messages = told(torch.from_numpy(values), 0.3, 1 / 64)
    for place in np.ndindex(2, 4):
        total = before = rest = 0.0
        for step in range(7):
            change = values[(step, *place)] - before + rest
            sent = change if abs(change) >= 0.3 else 0.0
            before, rest = values[(step, *place)], change - sent
            assert messages[(step, *place)] == np.floor(sent * 64)
            total += np.floor(sent * 64) / 64
            assert known[(step, *place)].item() == pytest.approx(total, abs=1e-12)
    assert (messages == 0).any()


def test_errors_pass_what_is_told_as_they_are():
    values = torch.tensor([[0.01], [0.5], [0.52]], requires_grad=True)
    known, _ = told(values, 0.3, 1 / 64)
    (known * torch.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [[1.0], [2.0], [3.0]]
    assert known.detach()[0].item() == pytest.approx(0.0, abs=1e-7)


def test_a_picture_is_the_rectified_network_up_to_what_is_not_told(rng: np.random.Generator):
    network, _ = made(recipe(DENSE, LAST, threshold=1e-9))
    pictures = torch.from_numpy(rng.normal(size=(5, 1, 4, 4))).float()
    weights = list(network.weights.values())
    hidden = torch.relu(pictures.flatten(1) @ weights[0].T + weights[1])
    wanted = hidden @ weights[2].T
    output = network(pictures).output.voltage
    assert len(output) == STEPS
    error = (output[-1] - wanted).abs().max()
    assert 0 < error < 9 / 64 * weights[2].abs().max()


def test_it_learns():
    network, _ = made(recipe())
    data = tiny.dataset()
    optimiser = torch.optim.Adam(network.weights.values(), lr=0.02)
    inputs = torch.from_numpy(data.inputs / 16).float()
    labels = torch.tensor(data.labels)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = network.loss.function(network(inputs).output, labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 < losses[0]


def exported(of: Recipe, seed: int = 0) -> tuple[Checkpoint, Quantized, np.ndarray]:
    _, checkpoint = made(of, seed)
    rng = np.random.default_rng(seed)
    calibration = rng.integers(0, 9, (1, 40, 16))
    limits = load_profile("loihi2").limits
    return checkpoint, quantize(checkpoint, limits, calibration, (0, 8)), calibration


@pytest.mark.parametrize("layers", [(DENSE, LAST), (DENSE, DENSE, LAST), (CONV, CONV, LAST)])
@pytest.mark.parametrize("seed", [0, 1])
def test_engine_and_witness_agree_on_what_was_trained(layers, seed: int):
    checkpoint, quantized, calibration = exported(recipe(*layers), seed)
    assert quantized.network.input.neuron == DeltaNeuron(threshold=0)
    kinds = [layer.neuron.kind for layer in quantized.network.layers]
    assert kinds == ["sigma-delta"] * (len(layers) - 1) + ["sigma"]
    films = np.repeat(calibration, STEPS, axis=0)
    films[1:] += np.random.default_rng(seed).integers(-1, 2, films[1:].shape)
    for train in (calibration, films):
        chunks = run_quantized(
            checkpoint, quantized.scales, quantized.largest_weights, train, LIMITS.weight_bits
        )
        for part, theirs in chunks:
            ours = Compiled(quantized.network).run(part, STEPS)
            assert first_difference(quantized.network, ours, theirs) is None
            assert all(sent.any() for sent in ours.trains.values())


def test_the_chip_shows_the_values_that_were_trained():
    """Up to rounded weights: outputs differ by a few per cent of their spread."""
    network, _ = made(recipe(DENSE, DENSE, LAST))
    _, quantized, calibration = exported(recipe(DENSE, DENSE, LAST))
    pictures = torch.from_numpy(calibration[0].reshape(-1, 1, 4, 4) / 8).float()
    floats = network(pictures).output.voltage[-1].detach().numpy()
    chip = Compiled(quantized.network).run(calibration, STEPS).output_potential
    line = np.polyfit(floats.reshape(-1), chip.reshape(-1), 1)
    error = np.abs(np.polyval(line, floats) - chip).max() / np.ptp(chip)
    assert error < 0.05
    assert line[0] > 0


def test_values_fit_messages_and_weights_keep_bits():
    _, quantized, _ = exported(recipe(DENSE, DENSE, LAST))
    for report in quantized.reports[:-1]:
        assert report.ranges.potential <= 255 * 4096
        assert np.abs(report.ranges.spikes.astype(np.int64)).max() < 2**15
    assert min(np.abs(report.layer.weights).max() for report in quantized.reports) >= 30


def test_a_witness_that_forgets_what_was_not_told_is_noticed(monkeypatch: pytest.MonkeyPatch):
    checkpoint, quantized, calibration = exported(recipe())
    from tssl.proof import values as witness

    right = witness.values_of

    def mistaken(*given, **named):
        layers = right(*given, **named)
        return {
            name: layer if layer.threshold is None else layer._replace(threshold=0.0)
            for name, layer in layers.items()
        }

    monkeypatch.setattr("tssl.proof.quantized.values_of", mistaken)
    ((_, theirs),) = run_quantized(
        checkpoint, quantized.scales, quantized.largest_weights, calibration, LIMITS.weight_bits
    )
    ours = Compiled(quantized.network).run(calibration, STEPS)
    assert first_difference(quantized.network, ours, theirs) is not None


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (lambda: recipe(encoding="graded"), r"encoding.input = 'graded': rule sigma-delta has"),
        (lambda: recipe({**LAST, "neuron": "lif"}), r"layer dense1: rule sigma-delta has layers"),
        (lambda: recipe(DENSE, {**LAST, "bias": True}), r"layer dense2: has bias = true"),
        (lambda: recipe(CONV, {"type": "pool", "kernel": 2}, LAST), r"layer pool2: is a pool"),
        (lambda: recipe({**DENSE, "recurrent": True}, LAST), r"layer dense1: has recurrent"),
        (lambda: recipe({**DENSE, "name": "a"}, {**DENSE, "name": "b"},
                        {**LAST, "from": ["a", "b"]}), r"dense3: has the sources a, b"),
    ],
)  # fmt: skip
def test_what_it_does_not_have(of, says: str):
    with pytest.raises(ConfigError, match=says):
        SpikingNetwork(of(), (1, 4, 4), torch.Generator())


def test_other_rules_do_not_train_such_neurons():
    of = recipe_from_tables(
        {"name": "rows", "data": {"name": "rows"}, "network": {"layers": [DENSE, LAST]}}, "here"
    )
    with pytest.raises(ConfigError, match="layer dense1: has sigma-delta neurons, which rule"):
        SpikingNetwork(of, (1, 4, 4), torch.Generator())


def test_nir_has_no_such_node(tmp_path):
    _, checkpoint = made(recipe())
    with pytest.raises(UnsupportedLayerError, match="layer dense1: has sigma-delta neurons, for"):
        nir_of(checkpoint, tmp_path / "x.nir", 1e-3)


def test_the_input_is_told_once(rng: np.random.Generator):
    _, quantized, calibration = exported(recipe())
    sent = Compiled(quantized.network).run(calibration, STEPS).trains[INPUT]
    assert np.array_equal(sent[0], 64 * calibration[0])
    assert not sent[1:].any()
