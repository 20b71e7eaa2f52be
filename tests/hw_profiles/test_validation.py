"""What the model says of public measurements, row by row as docs/validation.md shows it."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from tests.hw_profiles.quartz import SWEEP, network
from tests.hw_profiles.sana_fe import (
    RUNS,
    SANA_FE,
    chain_from_neurons,
    energy_by_unit,
    firing,
    priced,
    run_sana_fe,
    sana_fe_profile,
)
from tests.hw_profiles.validation import (
    MAPPINGS,
    cases,
    mapping_row,
    pilotnet,
    pilotnet_counts,
    price,
)
from tssl.graph import resolve
from tssl.hw_profiles import estimate, load_profile, map_to_cores
from tssl.recipe import load_recipe

PAGE = (Path(__file__).parents[2] / "docs" / "validation.md").read_text(encoding="utf-8")
CASES = cases()
ALLOWED = {  # lowest and highest error, by the beginning of the name
    "Loihi 2, PilotNet LIF, dynamic": (-0.10, 0.07),
    "Loihi 2, PilotNet LIF, time": (-0.02, 0.02),
    "Loihi 2, PilotNet LIF, inferences": (-0.02, 0.02),
    "Loihi 2, PilotNet LIF, static": (-0.01, 0.01),
    "Loihi 2, PilotNet SDNN, dynamic": (-0.20, -0.10),
    "Loihi 2, PilotNet SDNN, energy per frame, static": (-0.20, -0.15),
    "Loihi 2, PilotNet SDNN, energy per frame": (-0.40, -0.30),
    "Loihi 2, PilotNet SDNN, frames": (0.9, 1.1),
    "Loihi 2, PilotNet SDNN, static": (-0.20, -0.15),
    "Loihi 2, PilotNet SDNN, latency": (-0.01, 0.01),
    "Loihi 2, PilotNet SDNN, the same": (-0.01, 0.01),
    "Loihi 1, k nearest": (0.15, 0.28),
    **{f"Loihi 1, Quartz, {point.steps} steps, dynamic": (-0.32, -0.04) for point in SWEEP},
    **{f"Loihi 1, Quartz, {point.steps} steps, time": (-0.95, -0.6) for point in SWEEP},
    "Loihi 1, Quartz CIFAR-10, static": (0.3, 0.33),
    "Loihi 1, Quartz CIFAR-10, the same": (0.1, 0.15),
    "Loihi 1, Quartz MNIST, static": (11, 12),
    "ODIN": (-0.005, 0.005),
    "TrueNorth": (-0.025, 0.005),
    "SANA-FE, 10 to 20 dense, step (detailed)": (-0.05, 0.0),
    "SANA-FE, 40 layers of 10 dense, step (detailed)": (-0.05, 0.0),
    "SANA-FE, 30 to 40 to 10 dense, step (detailed)": (-0.05, 0.0),
    "SANA-FE, 200 to 900 to 300 dense, step (detailed)": (-0.20, -0.15),
    "SANA-FE, 784 to 600 to 400 to 10 dense, step (detailed)": (-0.60, -0.50),
    "SANA-FE": (-0.001, 0.001),
}


def test_there_are_cases():
    assert len(CASES) > 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case):
    low, high = next(band for name, band in ALLOWED.items() if case.name.startswith(name))
    assert low <= case.error <= high
    assert case.row in PAGE


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_band_of_pilotnet_holds_the_measurement(share):
    costs = price("loihi2", pilotnet(), pilotnet_counts(active_share=share))
    dynamic = costs.by_part["dynamic"]
    assert dynamic.low < 68.35e-6 < dynamic.high
    assert dynamic.kind == "estimate"


def test_the_busiest_core_of_pilotnet_is_in_the_third_layer():
    """Only what comes from that layer reaches the measured time; the model must agree."""
    costs = price("loihi2", pilotnet(), pilotnet_counts(active_share=0.5, time_steps=16))
    assert max(costs.loads, key=lambda load: load.seconds).layer == "conv3"


@pytest.mark.parametrize(
    ("name", "network", "ours", "compiler"), MAPPINGS, ids=[each[0] for each in MAPPINGS]
)
def test_cores_beside_the_compilers(name, network, ours, compiler):
    mapped = map_to_cores(load_profile("loihi2"), network())
    assert tuple(entry.cores for entry in mapped) == ours
    assert mapping_row(name, ours, compiler) in PAGE


@pytest.mark.parametrize("sizes", [(10, 20), (200, 900, 300), (784, 1500, 400, 10)])
def test_against_the_formulas_of_sana_fe_spike_by_spike(sizes):
    """A second implementation, message by message: energy within 1 %, simple timing within 5 %."""
    network, profile = chain_from_neurons(*sizes), sana_fe_profile()
    mapping = map_to_cores(profile, network)
    costs = estimate(profile, network, firing(network, sizes, 3), mapping)
    joules, seconds = _by_message(mapping)
    assert costs.by_part["dynamic"].value == pytest.approx(3 * joules, rel=0.01)
    assert costs.step_time.value == pytest.approx(seconds, rel=0.05)


def _by_message(mapping):
    """Return energy and time of a step in which every neuron but the last layer's fires."""
    energy, time = SANA_FE["energy"], SANA_FE["time"]
    held = [(index, layer, len(part)) for index, (layer, part) in enumerate(
        (layer, part) for layer, entry in enumerate(mapping)
        for part in np.array_split(np.arange(entry.neurons), entry.cores))]  # fmt: skip
    joules, sent, received = 0.0, np.zeros(len(held)), np.zeros(len(held))
    for core, layer, neurons in held:
        last = layer == len(mapping) - 1
        joules += neurons * energy["neuron_update_active"]
        sent[core] += neurons * time["neuron_update_active"]
        for _ in range(0 if last else neurons):
            joules += energy["spike_within_tile"]
            sent[core] += time["spike_out"]
            for target, where, synapses in held:
                if where != layer + 1:
                    continue
                across, along = _distance(core, target)
                joules += energy["message"] + synapses * energy["synaptic_operation"]
                joules += across * energy["hop_east_west"] + along * energy["hop_north_south"]
                sent[core] += time["message_out"]
                received[target] += time["message_in"] + synapses * time["synaptic_operation"]
    return joules, max(sent.max(), received.max()) + time["barrier"]


def _distance(one, other):
    """Return columns and rows between two cores: 8 x 4 tiles of 4 cores, in a snake."""
    places = []
    for tile in (one // 4, other // 4):
        row, along = divmod(tile, 8)
        places.append((7 - along if row % 2 else along, row))
    return abs(places[0][0] - places[1][0]), abs(places[0][1] - places[1][1])


def test_the_recipe_of_quartz_has_its_shape():
    recipe = load_recipe(Path(__file__).with_name("quartz.toml"))
    found = [prod(node.output_shape) for node in resolve(recipe.network, (1, 28, 28))]
    assert found == [layer.neurons for layer in network().layers]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_against_sana_fe(run):
    """Where SANA-FE is installed: the same constants and mapping, step by step."""
    sanafe = pytest.importorskip("sanafe", reason="SANA-FE (GPL) is not installed; never required")
    costs = priced(run)
    energy, simple, detailed = run_sana_fe(sanafe, run)
    assert costs.by_part["dynamic"].value == pytest.approx(energy["total"], rel=1e-5)
    for unit, joules in energy_by_unit(costs).items():
        assert joules == pytest.approx(energy[unit], rel=1e-5)
    assert costs.step_time.value == pytest.approx(simple, rel=1e-5)
    assert (energy["total"], simple) == pytest.approx((run.joules, run.simple), rel=1e-6)
    assert detailed == pytest.approx(run.detailed, rel=0.01)  # no two loads of it are quite equal
