"""Sigma-delta networks through the verbs: what is shown, counted, mapped, priced."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.lava_runtime import test_sigma_delta as networks
from tssl import netx
from tssl.chip import (
    INPUT,
    ChipNetwork,
    Connection,
    DenseSynapses,
    IntArray,
    Layer,
    SigmaDeltaNeuron,
    with_relays,
)
from tssl.engine import Compiled, count_operations
from tssl.errors import UnsupportedLayerError
from tssl.hw_profiles.cost.reference import frames_of, passes
from tssl.hw_profiles.mapping.capacity import map_to_cores
from tssl.hw_profiles.mapping.fields import check_limits
from tssl.hw_profiles.profile.library import load_profile
from tssl.lava_runtime import BackendOptions, SampleProgress
from tssl.lava_runtime.plain import loading_lines
from tssl.workflow.diff import diff
from tssl.workflow.inputs import InputChoice
from tssl.workflow.inspect import inspect
from tssl.workflow.proof import verify
from tssl.workflow.run import RunOutcome, run

STEPS = 6


@pytest.fixture
def film(rng: np.random.Generator, tmp_path: Path) -> tuple[ChipNetwork, Path, IntArray]:
    """A network, its file, and three films in ``x.npy`` beside it."""
    network, path = networks.dense(rng), tmp_path / "n.net"
    netx.write(path, network)
    train = networks.video(rng, network, 3, STEPS)
    np.save(tmp_path / "x.npy", train.transpose(1, 0, 2))
    return network, path, train


def silent(*_: object) -> AbstractContextManager[SampleProgress]:
    return nullcontext(lambda _: None)


def ran(path: Path, **record: list[str]) -> RunOutcome:
    choice = InputChoice(file=path.with_name("x.npy"))
    options = BackendOptions()
    return run(
        path, "engine", choice, None, options, lambda *_: nullcontext(lambda _: None), record
    )


def test_what_is_counted(film):
    network, path, train = film
    result = ran(path).result
    trains = {**Compiled(network).run(train, STEPS).trains}
    for index, layer in enumerate(network.layers):
        messages = operations = active = 0
        for step in range(STEPS):
            for sample in range(3):
                heard, sent = trains[layer.source][step, sample], trains[layer.name][step, sample]
                present = layer.synapses.weight[:, heard != 0] != 0
                operations += int(present.sum())
                messages += int((sent != 0).sum())
                active += int((present.any(axis=1) | (sent != 0)).sum())
        assert result.counts.spikes[index].sum() == messages
        assert result.counts.synaptic_operations[index].sum() == operations
        assert result.counts.active_updates[index].sum() == active
        assert result.counts.unchanged[index] == 3 * STEPS * layer.neurons - messages
    assert result.counts.input_spikes.sum() == np.count_nonzero(trains[INPUT])
    assert (result.counts.unchanged > 0).any()


def test_a_result_holds_values_and_is_read_by_the_largest(film):
    network, path, train = film
    outcome = ran(path, a=["current", "potential"])
    result = outcome.result.load(outcome.directory)
    values = Compiled(network, frozenset({"a"})).run(train, STEPS)
    assert result.output_spikes.min() < 0
    assert np.array_equal(result.output_spikes, values.trains["c"].transpose(1, 0, 2))
    assert np.array_equal(result.predictions, result.output_spikes[:, -1].argmax(axis=1))
    traces = {str(name): trace for name, trace in result.traces.items()}
    assert np.array_equal(traces["a:current"], values.states["a"].current.transpose(1, 0, 2))
    assert np.array_equal(traces["a:potential"], values.states["a"].potential.transpose(1, 0, 2))
    assert [table.title for table in result.tables()][1] == "Messages of 3 samples"


def test_what_inspect_shows(film):
    network, path, _ = film
    document = inspect(path).document()
    assert document["input_neuron"] == {"threshold": 2}
    assert [each["neuron"] for each in document["layers"]] == ["sigma-delta"] * 2 + ["sigma"]
    assert [each["threshold"] for each in document["layers"]] == [1, 0, None]
    lines = loading_lines(network, "n.net", None)
    assert lines[-1].startswith("frames = net.in_layer.neuron.a_in")
    assert "reset" not in "".join(lines[3:])


def test_what_diff_shows(film, tmp_path: Path):
    network, path, _ = film
    first, *others = network.layers
    other = replace(network, layers=(replace(first, neuron=SigmaDeltaNeuron(threshold=9)), *others))
    netx.write(tmp_path / "other.net", other)
    found = diff(path, tmp_path / "other.net")
    assert found.layers[0].what == ("threshold 1 and 9",)
    assert all(layer.equal for layer in found.layers[1:])


@pytest.mark.lava
def test_verify_compares_sums_and_values(film):
    network, path, train = film
    choice = InputChoice(file=path.with_name("x.npy"))
    proof = verify(path, choice, BackendOptions(), lambda _: None)
    (statement,) = proof.stages
    assert proof.verdict == "PASS"
    kinds = [(row.layer, row.quantity) for row in statement.rows[:4]]
    assert kinds == [
        ("input", "messages"), ("input", "what arrived"), ("input", "value"), ("a", "messages"),
    ]  # fmt: skip
    neurons = network.input.neurons + network.neurons
    assert sum(row.compared for row in statement.rows) == 3 * train[..., 0].size * neurons + 9


def test_random_input_of_input_neurons_changes_in_both_directions(film):
    from tssl.workflow.inputs import load_inputs

    network, *_ = film
    inputs = load_inputs(network, InputChoice(seed=3, samples=4, steps=5))
    assert inputs.train.shape == (5, 4, 5)
    assert inputs.train.min() < 0 < inputs.train.max()
    assert Compiled(network).run(inputs.train, 5).trains["a"].any()


def test_chips_that_have_such_neurons(film):
    network, *_ = film
    profile = load_profile("loihi2")
    check_limits(profile, network, (-9, 9))
    assert [mapping.cores for mapping in map_to_cores(profile, network)] == [1] * 4
    check_limits(load_profile("spinnaker2"), network, (-9, 9))
    with pytest.raises(UnsupportedLayerError, match="layer input: has delta neurons, Intel Loihi"):
        check_limits(load_profile("loihi1"), network, (-9, 9))


def test_without_spikes_a_film_takes_a_pass_for_each_frame_that_moves(film):
    network, _, train = film
    still = np.repeat(train[:1], STEPS, axis=0)
    still[4:] += 5
    compiled = Compiled(network)
    for frames, steps in ((train, STEPS), (still, 2)):
        counts = count_operations(network, frames, compiled.run(frames, STEPS))
        assert frames_of(network, counts) == steps
    once, often = passes(network, 1), passes(network, STEPS)
    assert often.synaptic_operations.sum() == STEPS * once.synaptic_operations.sum()
    assert often.time_steps == STEPS


def test_operations_of_a_sample_do_not_depend_on_the_others(film):
    network, _, train = film
    compiled = Compiled(network)
    whole = count_operations(network, train, compiled.run(train, STEPS))
    parts = [
        count_operations(network, part, compiled.run(part, STEPS))
        for part in (train[:, :1], train[:, 1:])
    ]
    assert np.array_equal((parts[0] + parts[1]).spikes, whole.spikes)
    assert np.array_equal((parts[0] + parts[1]).active_updates, whole.active_updates)


def test_dense_synapses_hold_values_back_themselves(rng: np.random.Generator):
    network = networks.dense(rng)
    last = network.output
    skip = Connection(source="a", synapses=DenseSynapses(weight=networks.weights(rng, 3, 7)))
    both = Layer(name="c", connections=(*last.connections, skip), neuron=last.neuron)
    graph = replace(network, layers=(*network.layers[:2], both))
    assert with_relays(graph) is graph
