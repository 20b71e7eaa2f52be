"""Frames of events: which bin an event falls into, and that packing loses nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tssl.datasets.events import Events, Frames, PackedFrames, framed, pack
from tssl.errors import ConfigError, DataError

SHAPE = (2, 3, 4)
EVENT = st.tuples(
    st.integers(0, (1 << 23) - 1), st.integers(0, 1), st.integers(0, 2), st.integers(0, 3)
)


def events(*given: tuple[int, int, int, int]) -> Events:
    """Return events given as (time, polarity, y, x)."""
    return Events(*np.array(given, np.int64).reshape(-1, 4).T)


@given(st.lists(EVENT), st.integers(1, 40), st.one_of(st.integers(1, 9), st.integers(1, 1 << 23)))
def test_frames_equal_a_loop_over_events(given, time_steps, bin_us):
    expected = np.zeros((time_steps, *SHAPE), bool)
    for time, polarity, y, x in given:
        if time // bin_us < time_steps:
            expected[time // bin_us, polarity, y, x] = True
    frames = Frames(time_steps=time_steps, bin_us=bin_us)
    assert np.array_equal(framed(events(*given), frames, SHAPE), expected)


def test_bins_are_closed_below_and_late_events_are_left_out():
    times = [0, 2999, 3000, 5999, 6000]
    frames = framed(
        events(*((time, 0, 0, 0) for time in times)), Frames(time_steps=2, bin_us=3000), SHAPE
    )
    assert frames[:, 0, 0, 0].tolist() == [True, True]
    for time, at in zip(times, [[1, 0], [1, 0], [0, 1], [0, 1], [0, 0]], strict=True):
        one = framed(events((time, 1, 2, 3)), Frames(time_steps=2, bin_us=3000), SHAPE)
        assert one[:, 1, 2, 3].tolist() == at, "the first bin is the first step"
        assert one.sum() == sum(at)


@pytest.mark.parametrize(("steps", "bin_us"), [(0, 1), (1, 0), (-1, 5)])
def test_frames_of_nothing_are_refused(steps: int, bin_us: int):
    with pytest.raises(ConfigError, match="at least 1 is needed"):
        Frames(time_steps=steps, bin_us=bin_us)


FRAMES = arrays(
    np.uint8,
    st.tuples(*(st.integers(1, 4) for _ in range(5))),
    elements=st.integers(0, 1),
)


@given(FRAMES)
def test_packing_loses_nothing(frames):
    packed = pack(frames)
    assert packed.shape == frames.shape
    assert (packed.ndim, packed.size, len(packed)) == (5, frames.size, len(frames))
    assert packed.dtype == packed[:].dtype == np.uint8
    assert np.array_equal(packed[:], frames)


def test_indexing_is_numpys(rng: np.random.Generator):
    frames = rng.integers(0, 2, (7, 3, 2, 3, 5)).astype(np.uint8)
    packed = pack(frames)
    for chosen in (slice(2, 5), slice(None, None, -2), np.array([6, 0, 0]), 3, slice(0, 0)):
        assert np.array_equal(packed[chosen], frames[chosen])
    assert len(list(packed)) == 7
    with pytest.raises(IndexError):
        packed[7]


def test_a_sample_of_nmnist_takes_its_bits():
    packed = pack(np.zeros((2, 30, 2, 34, 34), np.uint8))
    assert packed.bits.shape == (2, 8670)
    with pytest.raises(ValueError, match="read-only"):
        packed.bits[0] = 1


@pytest.mark.parametrize(
    "bits",
    [np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.int8), np.zeros(3, np.uint8)],
    ids=["too few", "signed", "one axis"],
)
def test_bits_that_do_not_fit_are_refused(bits: np.ndarray):
    with pytest.raises(DataError, match=r"need uint8 of shape \(samples, 3\)"):
        PackedFrames(bits=bits, frame_shape=(2, 1, 3, 3))
