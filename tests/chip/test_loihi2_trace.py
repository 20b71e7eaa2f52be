"""A published trace of a Loihi 2 chip: spikes and potentials of one neuron over 1000 steps."""

from pathlib import Path

import numpy as np
import pytest

from tssl.chip import (
    ChipNetwork,
    CubaNeuron,
    InputLayer,
    IntArray,
    cuba_run,
    cuba_step,
    dense_layer,
)
from tssl.engine import run_chunk

FOLDER = Path(__file__).parents[1] / "golden" / "loihi2"
NEURON = CubaNeuron(current_decay=4096, voltage_decay=163, threshold=25)
WEIGHT, LATENCY, PROBE_AFTER_SPIKE = 10, 1, 128
Trace = tuple[IntArray, IntArray, IntArray]


def recorded(name: str) -> Trace:
    """Return input spikes, potentials and output spikes, ``(1000,)`` each."""
    columns = np.loadtxt(FOLDER / f"lif_lava_{name}_fixed.csv", delimiter=",").T
    assert np.array_equal(columns, columns.astype(np.int64))
    entered, potential, spikes = columns.astype(np.int64)
    assert len(entered) == 1000
    assert entered.sum() == 34
    return entered, potential, spikes


def arriving(entered: IntArray, latency: int = LATENCY) -> IntArray:
    return np.concatenate([np.zeros(latency, np.int64), entered])[: len(entered)]


def computed(
    neuron: CubaNeuron = NEURON, weight: int = WEIGHT, latency: int = LATENCY
) -> tuple[IntArray, IntArray]:
    """Return potentials and spikes of ``cuba_step``, ``(1000,)`` each."""
    entered, _, _ = recorded("loihi")
    state, potential, spikes = neuron.rest((1,)), [], []
    for spike in arriving(entered, latency):
        fired, state = cuba_step(neuron, state, np.array([weight * spike]))
        spikes.append(int(fired[0]))
        potential.append(int(state.potential[0]))
    return np.array(potential), np.array(spikes)


def assert_the_chips(potential: IntArray, spikes: IntArray) -> None:
    """All spikes and, but for the four spike steps, all potentials."""
    _, theirs, fired = recorded("loihi")
    assert np.array_equal(spikes, fired)
    assert np.flatnonzero(fired).tolist() == [461, 511, 711, 761]
    assert np.array_equal(potential != theirs, fired == 1)
    assert (theirs[fired == 1] == PROBE_AFTER_SPIKE).all()
    assert not potential[fired == 1].any()
    assert len(set(theirs.tolist())) > 300


def test_one_step_is_the_chips():
    assert_the_chips(*computed())


def test_the_simulators_potentials_are_equal_throughout():
    potential, spikes = computed()
    _, theirs, fired = recorded("cpu")
    assert np.array_equal(potential, theirs)
    assert np.array_equal(spikes, fired)


def test_many_steps_are_the_chips():
    entered, _, fired = recorded("loihi")
    run = cuba_run(NEURON, WEIGHT * arriving(entered)[:, None, None], 0, 1000)
    assert np.array_equal(run.spikes[:, 0, 0], fired)


def test_a_network_on_the_engine_is_the_chip_without_its_latency():
    """The engine's last potential after 1, 2, ... steps is the potential at each step."""
    entered, _, _ = recorded("loihi")
    layer = dense_layer(name="lif", source="input", weight=np.array([[WEIGHT]]), neuron=NEURON)
    network = ChipNetwork(name="nir", input=InputLayer(shape=(1,)), layers=(layer,))
    train = entered[:, None, None]
    spikes = run_chunk(network, train, 1000).trains["lif"][:, 0, 0]
    potential = [
        int(run_chunk(network, train[:steps], steps).output_potential[0, 0])
        for steps in range(1, 1001)
    ]
    assert_the_chips(arriving(np.array(potential)), arriving(spikes.astype(np.int64)))


NEIGHBOURS = {
    "decay 162": {"neuron": CubaNeuron(current_decay=4096, voltage_decay=162, threshold=25)},
    "decay 164": {"neuron": CubaNeuron(current_decay=4096, voltage_decay=164, threshold=25)},
    "threshold 24": {"neuron": CubaNeuron(current_decay=4096, voltage_decay=163, threshold=24)},
    "threshold 26": {"neuron": CubaNeuron(current_decay=4096, voltage_decay=163, threshold=26)},
    "weight 11": {"weight": 11},
    "no input latency": {"latency": 0},
}


@pytest.mark.parametrize("changed", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_neighbours_are_told_apart(changed: dict[str, object]):
    with pytest.raises(AssertionError):
        assert_the_chips(*computed(**changed))
