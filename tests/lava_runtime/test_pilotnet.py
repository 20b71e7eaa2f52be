"""Our integers against PilotNet's recorded ones, which lava-dl ships for every layer and step.

lava-dl compares them with Loihi 2 hardware (``test_hdf5_nx.py``), one layer at one step at a
time; here all of them are compared. How they were recorded is not written down; it was found
by trying, and nothing else fits:

- ``conv-*`` and ``fc-0`` to ``fc-2`` hold 24 steps with a reset every 17 steps, which reaches
  layer ``i`` (from 1) at step ``i``; biases work from step 0, before any input has arrived.
- ``fc-3-*`` come from another run: 25 steps, a reset every 16 steps that reaches all layers a
  step earlier, driven by ``input-s`` instead of ``input``.
- Where a neuron fires, the stored potential is 128 and not the 0 that Lava's simulator shows.
- There is no ``input-u`` or ``input-v``, so of the input neurons only spikes are compared.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from tests.lava_runtime.networks import lava_file
from tssl import netx
from tssl.chip import ChipNetwork, CubaState, IntArray, cuba_step
from tssl.engine import count_operations, run_chunk
from tssl.results import OpCounts

NAMES = [f"conv-{index}" for index in range(5)] + [f"fc-{index}" for index in range(4)]
MARK_OF_A_SPIKE = 128
STEPS, PERIOD = 24, 17


class Moment(NamedTuple):
    """All neurons of a layer at one step."""

    spikes: IntArray
    current: IntArray
    potential: IntArray


class Setting(NamedTuple):
    """How a run was made."""

    steps: int
    period: int
    first_reset: int
    """Step at which the first layer is reset for the first time."""


FIRST = Setting(steps=STEPS, period=PERIOD, first_reset=1)
SECOND = Setting(steps=STEPS + 1, period=16, first_reset=0)


def stored(name: str) -> IntArray:
    """Return ``(time, neurons)``, neurons in (C, H, W) order."""
    values = np.load(lava_file(f"gts/pilotnet_lif/{name}.npy"))
    return values.transpose().reshape(values.shape[-1], -1).astype(np.int64)


@pytest.fixture(scope="module")
def network() -> ChipNetwork:
    return netx.read(lava_file("gts/pilotnet_lif/network.net"))


def image() -> IntArray:
    """Return the biases of the input neurons, ``(1, 1, neurons)``."""
    values = np.load(lava_file("gts/pilotnet_lif/image.npy"))
    return values.transpose().reshape(1, 1, -1).astype(np.int64)


def recorded(network: ChipNetwork, train: IntArray, setting: Setting) -> dict[str, list[Moment]]:
    """Step all layers together, each a step behind the one before, as the chip does."""
    states = [layer.neuron.rest((1, layer.neurons)) for layer in network.layers]
    waiting = [np.zeros((1, layer.synapses.inputs), np.int64) for layer in network.layers]
    moments: dict[str, list[Moment]] = {name: [] for name in NAMES}
    for step in range(setting.steps):
        sent = [train[min(step, len(train) - 1)][None]]
        for index, layer in enumerate(network.layers):
            since = step - setting.first_reset - index
            if since >= 0 and since % setting.period == 0:
                states[index] = layer.neuron.rest((1, layer.neurons))
            activation = layer.synapses.sums(waiting[index][None], 1)[0]
            spikes, states[index] = cuba_step(layer.neuron, states[index], activation, layer.bias)
            sent.append(spikes.astype(np.int64))
            moments[NAMES[index]].append(moment(sent[-1], states[index]))
        waiting = sent[:-1]
    return moments


def moment(spikes: IntArray, state: CubaState) -> Moment:
    return Moment(spikes[0], state.current[0], state.potential[0])


def assert_equal(layer: str, quantity: str, ours: IntArray, theirs: IntArray) -> int:
    assert ours.shape == theirs.shape
    places = np.argwhere(ours != theirs)
    if len(places):
        step, neuron = places[0]
        pytest.fail(
            f"layer {layer}, neuron {neuron}, step {step}: {quantity} {ours[step, neuron]} "
            f"against {theirs[step, neuron]} stored ({len(places)} differences)"
        )
    return ours.size


def assert_layer(layer: str, suffixes: list[str], moments: list[Moment]) -> Iterator[int]:
    spikes, current, potential = (np.array(values) for values in zip(*moments, strict=True))
    yield assert_equal(layer, "spikes", spikes, stored(layer + suffixes[0]))
    yield assert_equal(layer, "current", current, stored(layer + suffixes[1]))
    shown = np.where(spikes == 1, MARK_OF_A_SPIKE, potential)
    yield assert_equal(layer, "potential", shown, stored(layer + suffixes[2]))


@pytest.mark.slow
def test_every_layer_at_every_step(network):
    """Spikes, current and potential of 118 908 neurons at 24 steps: 8.6 million integers."""
    moments = recorded(network, stored("input"), FIRST)
    compared = 0
    for name in NAMES[:-1]:
        assert any(moment.spikes.any() for moment in moments[name])
        compared += sum(assert_layer(name, ["", "-u", "-v"], moments[name]))
    assert compared == 3 * STEPS * sum(layer.neurons for layer in network.layers[:-1])


@pytest.mark.slow
def test_the_output_neuron(network):
    moments = recorded(network, stored("input-s"), SECOND)
    assert sum(assert_layer("fc-3", ["-s", "-u", "-v"], moments["fc-3"])) == 3 * SECOND.steps


def test_the_engine(network):
    """The first sample, 17 steps, without the delay of transport; the second, as far as stored."""
    recording = run_chunk(network, image(), PERIOD)
    pairs = list(zip(recording.trains, ["input", *NAMES[:-1]], strict=False))
    assert pairs[-1] == ("dense8", "fc-2")
    for late, (name, file) in enumerate(pairs):
        ours, theirs = recording.trains[name][:, 0], stored(file)
        first, second = theirs[late : late + PERIOD], theirs[late + PERIOD :]
        assert_equal(name, "spikes", ours[: len(first)], first)
        assert_equal(name, "spikes of sample 1", ours[: len(second)], second)


# --- operations --------------------------------------------------------------------------
#
# Intel's benchmark of this network on Loihi 2 counts synaptic operations. Its input stays
# silent there and biases drive the network; a re-simulation with a reset every 16 steps gave
# 2,269,217 operations per step through non-zero weights and 2,974,501 through all, the former
# within a percent of the chip's counter (reference/hardware_facts.md 12.1).

BENCHMARK_STEPS = 16
MEASURED = {"conv2": 1_604_873, "conv3": 452_130, "conv4": 144_321, "conv5": 62_329}
MEASURED_OF_ALL, MEASURED_WITH_ZEROS = 2_269_217, 2_974_501


def counted(network: ChipNetwork, train: IntArray) -> OpCounts:
    return count_operations(network, train, run_chunk(network, train, BENCHMARK_STEPS))


def test_operations_beside_the_benchmark_of_loihi_2(network):
    """493 of 2,269,217 operations per step more: 0.022 %.

    What reaches the first two layers agrees to the unit; conv4 and conv5 get 278 and 1,561 more,
    the dense layers 1,346 less. Why is not known. Other alignments of the resets (all layers at
    once, two steps per layer, one layer early) lie 11,000 lower and differ in conv3 already.
    """
    counts = counted(network, np.zeros((1, 1, network.input.neurons), np.int64))
    assert counts.stored_zeros is not None
    per_layer = counts.synaptic_operations.sum(axis=1)
    by_name = dict(zip(counts.layers, (per_layer / BENCHMARK_STEPS).tolist(), strict=True))
    assert [round(by_name[name]) for name in ("conv2", "conv3")] == [1_604_872, 452_130]
    assert by_name["conv4"] - MEASURED["conv4"] == 278.125
    assert by_name["conv5"] - MEASURED["conv5"] == 1_561.0
    assert per_layer.sum() / BENCHMARK_STEPS == MEASURED_OF_ALL + 493.375
    zeros = counts.stored_zeros.sum() / BENCHMARK_STEPS
    assert per_layer.sum() / BENCHMARK_STEPS + zeros == MEASURED_WITH_ZEROS - 2_287.0


def test_operations_of_the_stored_image(network):
    """With its image the network does an eighth more than the benchmark's silent input asks."""
    counts = counted(network, image())
    assert counts.synaptic_operations.sum() / BENCHMARK_STEPS == 2_554_454.1875
    assert counts.stored_zeros is not None
    assert counts.stored_zeros.sum() / BENCHMARK_STEPS == 462_237.5


def test_operations_of_the_stored_image_by_brute_force(network):
    """Convolution by convolution, on the nose, another way: correlate what is present."""
    recording = run_chunk(network, image(), BENCHMARK_STEPS)
    counts = count_operations(network, image(), recording)
    assert counts.stored_zeros is not None
    source = recording.trains["input"]
    for index, layer in enumerate(network.layers[:3]):
        present = replace(layer.synapses, weight=(layer.synapses.weight != 0).astype(int))
        every = replace(present, weight=np.ones_like(layer.synapses.weight))
        for step in (0, BENCHMARK_STEPS - 1):
            spikes = source[step : step + 1].astype(np.int64)
            through = int(present.sums(spikes, 1).sum())
            assert counts.synaptic_operations[index, step] == through
            stored = int(every.sums(spikes, 1).sum())
            assert counts.stored_zeros[index, step] == stored - through
        source = recording.trains[layer.name]
