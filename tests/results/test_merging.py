"""Adding up the results of parts is exactly running all at once."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.test_counting import assert_equal_counts
from tssl.chip import ChipNetwork, CubaNeuron, InputLayer, IntArray, dense_layer
from tssl.engine import Engine, collect
from tssl.errors import DataError
from tssl.results import RunResult, TraceName, merged

STEPS, INPUTS, SAMPLES = 4, 5, 12
RECORD = (TraceName("a", "spikes"), TraceName("b", "potential"))


def network(seed: int) -> ChipNetwork:
    rng = np.random.default_rng(seed)
    neuron = CubaNeuron(current_decay=1024, voltage_decay=512, threshold=40)
    layers = [
        dense_layer(name="a", source="input", weight=rng.integers(-30, 61, (6, INPUTS)),
                    neuron=neuron),
        dense_layer(name="b", source="a", weight=rng.integers(-30, 61, (3, 6)), neuron=neuron),
    ]  # fmt: skip
    return ChipNetwork(name="n", input=InputLayer(shape=(INPUTS,)), layers=tuple(layers))


def run(of: ChipNetwork, train: IntArray, labels: IntArray | None) -> RunResult:
    backend = Engine(frozenset({"b"}))
    return collect(
        of, backend.run(of, train, STEPS, lambda _: None), backend="engine", data="random",
        labels=labels, started=0.0, record=RECORD,
    )  # fmt: skip


@given(
    st.integers(0, 50),
    st.sets(st.integers(1, SAMPLES - 1)),
    st.sampled_from([1, STEPS]),
    st.booleans(),
)
def test_merging_is_exact(seed: int, cuts: set[int], steps: int, has_labels: bool) -> None:
    rng = np.random.default_rng(seed)
    train = rng.integers(0, 3, (steps, SAMPLES, INPUTS))
    labels = rng.integers(0, 3, SAMPLES) if has_labels else None
    of = network(seed)
    whole = run(of, train, labels)
    edges = [0, *sorted(cuts), SAMPLES]
    parts = [
        run(of, train[:, first:stop], None if labels is None else labels[first:stop])
        for first, stop in itertools.pairwise(edges)
    ]
    found = merged(parts)
    for name in ("output_spikes", "spike_counts", "predictions", "labels"):
        one, other = getattr(found, name), getattr(whole, name)
        assert np.array_equal(one, other)
        if other is not None:
            assert one.dtype == other.dtype
    assert_equal_counts(found.counts, whole.counts)
    assert found.traces.keys() == whole.traces.keys()
    for name, values in whole.traces.items():
        np.testing.assert_array_equal(found.traces[name], values)
    assert found.input_range == whole.input_range
    assert found.accuracy == whole.accuracy
    assert found.seconds == pytest.approx(sum(part.seconds for part in parts))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"digest": "x"}, "digest is"),
        ({"backend": "sim"}, "backend is engine of one and sim"),
        ({"data": "other"}, "data is"),
        ({"labels": None}, "traces or labels"),
        ({"traces": {}}, "traces or labels"),
    ],
)
def test_parts_of_other_runs_are_refused(change: dict[str, Any], words: str) -> None:
    one = run(network(0), np.ones((1, 3, INPUTS), np.int64), np.zeros(3, np.int64))
    with pytest.raises(DataError, match=words):
        merged([one, replace(one, **change)])


def test_nothing_is_no_result() -> None:
    with pytest.raises(DataError, match="no parts"):
        merged([])
