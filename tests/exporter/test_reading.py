"""Exported layers whose potential is read: by hand, beside their witness, and in numbers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.exporter.networks import LIMITS, QUANTUM, checkpoint, conv, dense, pool
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.chip import CLASS, NEVER, STATE_LIMIT, CubaNeuron, ValueReadOut
from tssl.engine import Compiled
from tssl.errors import RangeError
from tssl.exporter import Quantized, quantize
from tssl.hw_profiles.mapping.fields import check_limits
from tssl.hw_profiles.profile.library import load_profile
from tssl.proof import first_difference
from tssl.proof.quantized import run_quantized
from tssl.recipe import EncodingSpec
from tssl.trainer.network import SpikingNetwork

SHAPE, STEPS = (1, 8, 8), 6
NETWORKS = {
    "dense": [dense(30), dense(4, neuron="li", tau_m=3.0)],
    "bias": [dense(30), dense(4, neuron="li", bias=True)],
    "no leak": [conv(4, 3), pool(2), dense(4, neuron="i", tau_s=1.0)],
    "norm": [dense(30), dense(4, neuron="li", norm="batch")],
    "maps": [conv(4, 3, padding=1), conv(2, 3, neuron="li")],
    "branches": [
        dense(20, name="a"),
        dense(20, name="b"),
        dense(4, name="out", neuron="li", **{"from": ["a", "b"]}),
    ],
}


def trained(rng: np.random.Generator, layers: list[dict[str, Any]]) -> Checkpoint:
    made = checkpoint(rng, layers, SHAPE, spread=2.0, time_steps=STEPS)
    for name, array in made.weights.items():
        if name.endswith("_norm_variance"):
            made.weights[name] = np.abs(array) + 0.5
    training = made.recipe.training.model_copy(update={"loss": None})
    changes = {"training": training, "encoding": EncodingSpec(resolution=1 / QUANTUM)}
    return replace(made, recipe=made.recipe.model_copy(update=changes))


def exported(made: Checkpoint, integers: np.ndarray, limits: Any = LIMITS) -> Quantized:
    return quantize(made, limits, integers, (0, 16))


@pytest.mark.parametrize("name", NETWORKS)
def test_engine_and_witness_agree_to_the_bit(name: str, rng: np.random.Generator):
    made = trained(rng, NETWORKS[name])
    integers = rng.integers(0, 17, (1, 40, 64))
    result = exported(made, integers)
    chunks = run_quantized(
        made, result.scales, result.largest_weights, integers, LIMITS.weight_bits
    )
    for part, theirs in chunks:
        ours = Compiled(result.network).run(part, STEPS)
        assert first_difference(result.network, ours, theirs) is None
        assert len(np.unique(ours.output_potential)) > 40
        *hidden, last = ours.trains.values()
        assert all(train.any() for train in hidden)
        assert not last.any()
    assert result.silent == ()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_chip_says_what_was_trained(name: str, rng: np.random.Generator):
    """Up to rounding, and the few spikes before it that rounding moves."""
    made = trained(rng, NETWORKS[name])
    integers = rng.integers(0, 17, (1, 40, 64))
    result = exported(made, integers)
    network = SpikingNetwork(made.recipe, SHAPE, torch.Generator()).eval()
    network.load_weights(made.weights)
    images = torch.from_numpy(integers[0].reshape(-1, *SHAPE) * QUANTUM).float()
    with torch.no_grad():
        floats = network(images).output.voltage[-1].flatten(1).numpy()
    chip = Compiled(result.network).run(integers, STEPS).output_potential
    error = chip / (64 * result.scales[result.network.output.name]) - floats
    assert np.median(np.abs(error)) < 0.03 * floats.std()


def test_integers_by_hand(rng: np.random.Generator):
    made = trained(rng, [dense(1, neuron="li", tau_s=2.0, tau_m=4.0)])
    weight = np.zeros((1, 64), np.float32)
    weight[0, :2] = 1.0, -0.49
    made.weights["dense1"] = weight
    integers = np.zeros((1, 1, 64), int)
    integers[0, 0, :2] = 10, 3
    (layer,), (report,) = exported(made, integers).network.layers, exported(made, integers).reports
    assert report.scale == pytest.approx(8128)  # weight 1/16 (a unit of input) / 2 becomes 254
    assert layer.synapses.weight[0, :2].tolist() == [254, -124]
    assert layer.neuron == CubaNeuron(current_decay=2048, voltage_decay=1024, threshold=NEVER)
    current = potential = 0
    for _ in range(STEPS):
        current = current // 2 + 64 * (10 * 254 - 3 * 124)
        potential = potential * 3 // 4 + current
    assert Compiled(exported(made, integers).network).run(
        integers, STEPS
    ).output_potential.tolist() == [[potential]]
    assert (report.ranges.potential, report.ranges.spikes.any()) == (potential, False)


def test_half_of_the_range_is_left_to_samples_that_reach_further(rng: np.random.Generator):
    made = trained(rng, [dense(4, neuron="i", tau_s=4.0)])
    made.weights["dense1"] = np.abs(made.weights["dense1"])
    integers = rng.integers(8, 17, (1, 20, 64))
    (report,) = exported(made, integers).reports
    assert STATE_LIMIT / 4 < report.ranges.potential <= STATE_LIMIT / 2
    assert not report.ranges.can_wrap


def test_numbers_are_read_in_their_own_units(rng: np.random.Generator):
    read_out = ValueReadOut((2.0, 3.0, 1.0, 5.0), (10.0, 0.0, -1.0, 4.0))
    made = replace(trained(rng, NETWORKS["dense"]), read_out=read_out)
    integers = rng.integers(0, 17, (1, 40, 64))
    result = exported(made, integers)
    recording = Compiled(result.network).run(integers, STEPS)
    potential, scale = recording.output_potential, result.scales["dense2"]
    said = result.network.read_out.answers(np.zeros((40, STEPS, 4)), potential)
    gain, offset = np.array(read_out.gain), np.array(read_out.offset)
    assert np.allclose(said, potential / 64 / scale * gain + offset)
    assert exported(replace(made, read_out=CLASS), integers).network.read_out is CLASS


def test_a_file_holds_it(rng: np.random.Generator, tmp_path: Any):
    network = exported(trained(rng, NETWORKS["dense"]), rng.integers(0, 17, (1, 9, 64))).network
    netx.write(tmp_path / "x.net", network)
    found = netx.read(tmp_path / "x.net")
    assert found.digest == network.digest
    assert found.output.neuron.never_fires
    assert [need.what for need in found.output.neuron.needs] == ["memory", "current", "leak"]


def test_a_layer_that_fires_at_the_largest_threshold_is_not_read(rng: np.random.Generator):
    made = trained(rng, [dense(4, threshold=500.0)])
    neuron = exported(made, rng.integers(0, 17, (1, 9, 64))).network.output.neuron
    assert neuron.as_cuba("it").threshold == NEVER - 1
    assert not neuron.never_fires


def test_a_chip_holds_it_whatever_the_bits_of_its_thresholds(rng: np.random.Generator):
    network = exported(trained(rng, NETWORKS["dense"]), rng.integers(0, 17, (1, 9, 64))).network
    check_limits(load_profile("loihi2"), network, (0, 16))


def test_a_potential_that_leaves_no_room_for_weights():
    """Of very many steps; the advice helps."""

    def quantized(steps: int, tau_s: float) -> Quantized:
        rng = np.random.default_rng(0)
        layers = [dense(30), dense(4, neuron="i", tau_s=tau_s)]
        made = checkpoint(rng, layers, SHAPE, spread=2.0, time_steps=steps)
        return quantize(made, LIMITS, rng.integers(0, 17, (1, 10, 64)), (0, 16))

    message = "every weight rounds to zero .* its current, potential and biases .* smaller tau_s"
    with pytest.raises(RangeError, match=message):
        quantized(1000, 50.0)
    for steps, tau_s in ((30, 50.0), (1000, 1.0)):
        assert quantized(steps, tau_s).reports[-1].largest_weight > 0
