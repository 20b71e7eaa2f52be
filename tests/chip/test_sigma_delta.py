"""Sigma-delta neurons against plain Python, and against what Lava's own processes sent."""

import ctypes
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tssl.chip import (
    DeltaNeuron,
    Neuron,
    SigmaDeltaNeuron,
    SigmaNeuron,
    check_messages,
    dense_layer,
)
from tssl.errors import RangeError, UnsupportedLayerError


def int32(value: int) -> int:
    return ctypes.c_int32(value).value


class Oracle:
    """Lava's formulas, one neuron, one number at a time."""

    def __init__(self, threshold: int, bias: int = 0) -> None:
        self.threshold, self.bias = threshold * 4096, int32(bias * 4096)
        self.sigma = self.value = self.residue = 0

    def sigma_delta(self, arriving: int) -> int:
        self.sigma = int32(self.sigma + arriving)
        return self.encoded(max(int32(self.sigma + self.bias), 0))

    def delta(self, value: int) -> int:
        return self.encoded(int32(value * 4096))

    def encoded(self, value: int) -> int:
        change = int32(int32(value - self.value) + self.residue)
        size = change if change == -(2**31) else abs(change)
        sent = change if size >= self.threshold else 0
        self.value, self.residue = value, change - sent
        return sent // 64  # toward minus infinity


thresholds = st.integers(-3, 40)
arriving = st.lists(st.integers(-200_000, 200_000), min_size=1, max_size=12)


@given(thresholds, st.integers(-50, 50), arriving)
def test_every_step_of_a_sigma_delta_neuron(threshold: int, bias: int, values: list[int]):
    neuron, oracle = SigmaDeltaNeuron(threshold=threshold), Oracle(threshold, bias)
    state = neuron.rest((1,))
    for value in values:
        sent, state = neuron.step(state, np.array([value]), bias)
        assert sent.tolist() == [oracle.sigma_delta(value)]
        assert [int(each[0]) for each in state] == [oracle.sigma, oracle.value, oracle.residue]


@given(thresholds, st.lists(st.integers(-250, 250), min_size=1, max_size=12))
def test_every_step_of_a_delta_neuron(threshold: int, values: list[int]):
    neuron, oracle = DeltaNeuron(threshold=threshold), Oracle(threshold)
    state = neuron.rest((1,))
    for value in values:
        sent, state = neuron.step(state, np.array([value]))
        assert sent.tolist() == [oracle.delta(value)]
        assert [int(each[0]) for each in state] == [oracle.value, oracle.residue]


# (neuron, bias, what arrived, what Lava 0.10.0 sent), from runs of lava.proc.sdn on its simulator
MEASURED: dict[str, tuple[Neuron, int, list[int], list[int]]] = {
    "no bias": (
        SigmaDeltaNeuron(threshold=2), 0,
        [4096, 4096, 4096, -4096, -20480, 8192, 12288], [0, 128, 0, 0, -128, 0, 128],
    ),
    "bias": (
        SigmaDeltaNeuron(threshold=2), 1,
        [4096, 4096, 4096, -4096, -20480, 8192, 12288], [128, 0, 128, 0, -256, 0, 192],
    ),
    "negative bias": (
        SigmaDeltaNeuron(threshold=2), -1,
        [4096, 4096, 4096, -4096, -20480, 8192, 12288], [0, 0, 128, 0, -128, 0, 0],
    ),
    "lost bits round down": (
        SigmaDeltaNeuron(threshold=0), 0, [100, 1, -37, -100, 5, 5, 5], [1, 0, -1, -1, 0, 0, 0],
    ),
    "a change equal to the threshold is sent": (
        SigmaDeltaNeuron(threshold=1), 0, [4095, 1, -1, -1, -4094, -1], [0, 64, 0, 0, -64, 0],
    ),
    "delta": (
        DeltaNeuron(threshold=3), 0, [0, 2, 3, 4, 10, 7, -7], [0, 0, 192, 0, 448, -192, -896],
    ),
    "a sum wraps at 32 bits": (
        SigmaNeuron(), 0, [2**30, 2**30, 2**30, 7, -(2**30)],
        [2**30, -(2**31), -(2**30), -(2**30) + 7, -(2**31) + 7],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MEASURED)
def test_what_lava_sent(case: str):
    neuron, bias, values, expected = MEASURED[case]
    run = neuron.run(np.array(values)[:, None, None], bias, len(values))
    assert run.spikes.dtype == np.int32
    assert run.spikes[:, 0, 0].tolist() == expected


def test_a_value_that_stays_the_same_sends_nothing():
    run = DeltaNeuron(threshold=0).run(np.full((1, 2, 3), 9), 0, 5)
    assert (run.spikes[0] == 9 * 64).all()
    assert not run.spikes[1:].any()


def test_messages_of_more_than_16_bits_are_refused():
    neuron = DeltaNeuron(threshold=0)
    neuron.run(np.array([[[511, -512]]]), 0, 1)
    check_messages(-(2**15), 2**15 - 1)
    with pytest.raises(RangeError, match=r"a message of 32768 does not fit 16 bits; use smaller"):
        neuron.run(np.array([[[512]]]), 0, 1)


@pytest.mark.parametrize("kind", [DeltaNeuron, SigmaDeltaNeuron])
def test_thresholds_that_lava_cannot_hold_are_refused(kind: type):
    kind(threshold=2**19 - 1)
    with pytest.raises(RangeError, match="threshold = 524288: times 4096 it exceeds the 32 bits"):
        kind(threshold=2**19)


def test_the_layer_that_a_message_leaves_is_named():
    layer = dense_layer(
        name="fc", source="input", weight=[[300]], neuron=SigmaDeltaNeuron(threshold=0)
    )
    with pytest.raises(RangeError, match=r"^layer fc: a message of \d+ does not fit 16 bits"):
        layer.run({"input": np.full((1, 1, 1), 64 * 300)}, 1)


def test_sigma_neurons_have_no_bias():
    with pytest.raises(UnsupportedLayerError, match=r"^layer fc: sigma neurons have no bias"):
        dense_layer(name="fc", source="input", weight=[[3]], bias=[1], neuron=SigmaNeuron())


def test_a_layer_that_must_be_cuba_says_so():
    layer = dense_layer(name="fc", source="input", weight=[[3]], neuron=SigmaNeuron())
    with pytest.raises(UnsupportedLayerError, match="layer fc: has sigma neurons; CUBA neurons"):
        _ = layer.cuba


def test_messages_that_lava_dl_recorded():
    with np.load(Path(__file__).parents[1] / "golden" / "sigma_delta" / "lava_dl.npz") as file:
        data, messages = file["input"], file["messages"]
    wave = np.sin(2 * np.pi * np.arange(15) / 15)
    values = (data[..., None] * wave).astype(np.int64)
    run = DeltaNeuron(threshold=20).run(np.moveaxis(values, -1, 0).reshape(15, 1, -1), 0, 15)
    assert np.array_equal(run.spikes[:, 0].T.reshape(messages.shape), messages)
