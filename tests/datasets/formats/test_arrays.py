"""Arrays of a user's own: shapes, values, labels and splits; and what is refused."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tssl import datasets
from tssl.datasets import Frames, Reading, given_source
from tssl.errors import ConfigError, DataError

RNG = np.random.default_rng(3)
X, Y = RNG.integers(0, 256, (20, 2, 3, 4), np.uint8), np.arange(20) % 4
PARTS = {"x_train": X, "y_train": Y, "x_test": X[:8], "y_test": Y[:8]}


def load(data: object, split: str = "train", steps: int = 3, **reading: object):
    source = given_source(data, Reading(**reading))
    frames = datasets.framing(source, time_steps=steps)
    return datasets.load(source, split, data_dir=None, frames=frames)


def npz(folder: Path, **changes: np.ndarray) -> Path:
    np.savez_compressed(folder / "own.npz", **{**PARTS, **changes})
    return folder / "own.npz"


def separate(folder: Path) -> Path:
    for name, array in PARTS.items():
        np.save(folder / f"{name}.npy", np.asfortranarray(array))
    return folder


@pytest.mark.parametrize("put", [npz, separate])
def test_files(put, tmp_path: Path):
    path = put(tmp_path)
    for what in (path, str(path)):
        train, test = load(what), load(what, "test")
        assert np.array_equal(train.inputs, X)
        assert np.array_equal(train.labels, Y)
        assert np.array_equal(test.inputs, X[:8])
        assert (train.full_scale, train.classes, train.shape) == (X.max(), 4, (2, 3, 4))
        assert train.class_names == ("0", "1", "2", "3")
        assert train.source == str(path)
    assert train.name == path.stem
    described = datasets.describe(path)
    assert (described.train, described.test, described.shape) == (20, 8, (2, 3, 4))


def test_arrays_of_a_program():
    for what in (PARTS, tuple(PARTS.values())):
        assert np.array_equal(load(what, "test").inputs, X[:8])
    assert len(load((X, Y)).labels) == 16
    with pytest.raises(DataError, match=r"3 arrays; give \(x, y\) or"):
        load((X, Y, X))
    with pytest.raises(DataError, match="no use for x_val; names are x_train"):
        load({**PARTS, "x_val": X})


@pytest.mark.parametrize(
    ("shape", "time", "sample"),
    [
        ((6, 5), None, (1, 1, 5)),
        ((6, 5, 7), None, (1, 5, 7)),
        ((6, 2, 5, 7), None, (2, 5, 7)),
        ((6, 3, 5), True, (3, 1, 1, 5)),
        ((6, 3, 5, 7), True, (3, 1, 5, 7)),
        ((6, 3, 2, 5, 7), True, (3, 2, 5, 7)),
        ((6, 3, 2, 5, 7), None, (3, 2, 5, 7)),
    ],
)
def test_axes(shape: tuple[int, ...], time: bool | None, sample: tuple[int, ...]):
    values = RNG.integers(0, 9, shape)
    data = load({"x_train": values, "y_train": np.arange(6) % 2, "x_test": values,
                 "y_test": np.arange(6) % 2}, time=time)  # fmt: skip
    assert data.inputs.shape == (6, *sample)
    assert np.array_equal(data.inputs[:].ravel(), values.ravel()), "in the order they stand in"
    assert data.time_steps == (3 if len(sample) == 4 else 0)


def test_frames_of_0_and_1_are_packed():
    values = RNG.integers(0, 2, (6, 3, 5)).astype(bool)
    data = load((values, np.arange(6) % 2, values, np.arange(6) % 2), time=True)
    assert isinstance(data.inputs, datasets.PackedFrames)
    assert np.array_equal(data.inputs[:], values[:, :, None, None])
    with pytest.raises(ConfigError, match=r"time_steps = 4: .* holds 3 frames of each sample"):
        load((values, np.arange(6) % 2), time=True, steps=4)
    source = given_source((values, np.arange(6) % 2), Reading(time=True))
    with pytest.raises(ConfigError, match=r"data\.bin_us: .* holds frames already"):
        datasets.load(source, "train", data_dir=None, frames=Frames(time_steps=3, bin_us=5))


@pytest.mark.parametrize(
    ("values", "span", "pixels", "full_scale"),
    [
        ([0, 3, 16], None, [0, 3, 16], 16),
        ([0, 1, 1], None, [0, 1, 1], 1),
        ([0, 0, 0], None, [0, 0, 0], 1),
        ([-3, 0, 4], (-4, 4), [1, 4, 8], 8),
        ([0, 2000, 4095], (0, 4095), [0, 125, 255], 255),
        ([0.0, 0.5, 1.0], (0, 1), [0, 128, 255], 255),
        ([-1.0, -0.99, 3.0], (-1, 3), [0, 1, 255], 255),
    ],
)
def test_values(values: list, span, pixels: list, full_scale: int):
    x = np.array(values)[:, None].repeat(2, axis=1)
    data = load((x, np.arange(3), x, np.arange(3)), range=span)
    assert data.inputs[:, 0, 0, 0].tolist() == pixels
    assert data.full_scale == full_scale


@given(st.integers(2, 40), st.integers(2, 5), st.floats(0.05, 0.9), st.integers(0, 9))
def test_a_test_split_is_drawn_from_each_class(samples: int, classes: int, share: float, seed: int):
    x = np.arange(samples, dtype=np.uint8)[:, None]
    y = np.arange(samples) % min(classes, samples // 2 or 1)
    how = {"test_share": share, "split_seed": seed}
    train, test = load((x, y), **how), load((x, y), "test", **how)
    seen = np.concatenate([train.inputs, test.inputs]).ravel()
    assert sorted(seen.tolist()) == list(range(samples)), "each sample is in one of them"
    for label in np.unique(y):
        number, kept = (y == label).sum(), (test.labels == label).sum()
        assert abs(kept - share * number) <= 1
        assert 1 <= kept < number
    assert f"{len(test)} of {samples} samples" in train.warnings[0]
    assert f"split_seed = {seed}" in train.warnings[0]


def test_labels_may_be_text():
    names = np.array(["dog", "cat", "dog", "eel"])
    data = load((X[:4], names, X[:2], names[:2]))
    assert data.class_names == ("cat", "dog", "eel")
    assert data.labels.tolist() == [1, 0, 1, 2]
    with pytest.raises(DataError, match="y_test holds the class 'emu'; y_train does not"):
        load((X[:4], names, X[:1], np.array(["emu"])))


def test_fingerprints_tell_data_apart():
    prints = {
        load((x, y, X, Y)).fingerprint
        for x in (X, X + (X < 9).astype(np.uint8), X[:, ::-1])
        for y in (Y, (Y + 1) % 4)
    }
    assert len(prints) == 6
    assert load((X, Y, X, Y)).fingerprint == load((X.copy(), Y.astype(np.int8), X, Y)).fingerprint
    frames = RNG.integers(0, 2, (4, 3, 1, 2, 2))
    moved = np.roll(frames, 1, axis=1)
    one, other = (load((x, Y[:4], x, Y[:4])).fingerprint for x in (frames, moved))
    assert one != other


NAN = X.astype(float)
NAN[2, 1, 0, 3] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": X / 2}, r"holds float64 from 0 to 255; say .* data.range = \[0, 255\]"),
        ({"x_train": NAN}, r"x_train\[2, 1, 0, 3\] is nan; expected numbers"),
        ({"x_train": X.astype(np.int16) - 9}, r"holds int16 from -9 to 255; say which"),
        ({"x_train": X.astype(complex)}, "x_train is complex128; expected numbers"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "0 samples and 0 labels in y_train"),
        ({"x_train": X.reshape(20, 1, 2, 3, 2, 2)}, r"has shape \(20, 1, 2, 3, 2, 2\); expected"),
        ({"x_test": X[:8, :1]}, r"x_test have shape \(1, 3, 4\), those of x_train \(2, 3, 4\)"),
        ({"y_train": Y[:-1]}, "20 samples and 19 labels in y_train"),
        ({"y_train": Y - 1}, "y_train holds -1; labels begin at 0"),
        ({"y_train": Y * 1.0}, r"y_train is float64 of shape \(20,\); expected whole numbers"),
        ({"y_train": np.eye(20, dtype=int)}, r"y_train is int64 of shape \(20, 20\)"),
        ({"y_test": Y[:8] + 5000}, "has a label of 5003 among 20"),
        ({"x_test": None}, "holds y_test without x_test"),
        ({"y_test": None}, "holds x_test without y_test"),
        ({"y_train": None}, "holds no array y_train; needed are"),
    ],
)
def test_what_is_refused(changes: dict, message: str):
    given = {name: array for name, array in {**PARTS, **changes}.items() if array is not None}
    with pytest.raises(DataError, match=message) as raised:
        load(given)
    assert "\n" not in str(raised.value)


def test_settings_that_do_not_fit():
    with pytest.raises(DataError, match=r"values from 0 to 255, outside data.range = \[1, 255\]"):
        load(PARTS, range=(1, 255))
    with pytest.raises(ConfigError, match=r"data\.split_seed: .* has a test split"):
        load(PARTS, split_seed=3)
    with pytest.raises(DataError, match=r"data.time = true"):
        load((X[:, None], Y), time=False)
    with pytest.raises(DataError, match=r"data.time = false"):
        load((X[:, 0, 0], Y), time=True)


def test_what_looks_wrong_is_said():
    hwc = RNG.integers(0, 256, (4, 8, 8, 3), np.uint8)
    data = load((hwc, np.array([1, 3, 1, 3]), hwc, np.array([1, 3, 1, 3])))
    assert any("looks like (H, W, C)" in text for text in data.warnings)
    assert any("no sample to train on is of class 0" in text for text in data.warnings)
    assert load(PARTS, range=(0, 255)).warnings == ()


@pytest.mark.parametrize("way", ["cut", "text", "objects", "liar", "version"])
def test_damaged_files(way: str, tmp_path: Path):
    separate(tmp_path)
    file = tmp_path / "x_train.npy"
    content = file.read_bytes()
    if way == "objects":
        np.save(buffer := io.BytesIO(), np.array([None, 1]), allow_pickle=True)
        content = buffer.getvalue()
    changed = {
        "cut": content[:-3],
        "text": b"hello",
        "objects": content,
        "liar": content.replace(b"(20, 2, 3, 4)", b"(2, 2 ** 40,)"[:13]),
        "version": content[:6] + b"\x07\x00" + content[8:],
    }
    file.write_bytes(changed[way])
    with pytest.raises(DataError, match=r"x_train\.npy: ") as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)


def test_what_is_not_there(tmp_path: Path):
    with pytest.raises(DataError, match="none: does not exist; name the file or folder"):
        load(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"'none' is unknown; there are .* and paths"):
        load("none")
    with pytest.raises(DataError, match="holds nothing that is recognised; what can be read: arr"):
        load(tmp_path)
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"bad\.npz: is not a \.npy or \.npz file of numbers"):
        load(tmp_path / "bad.npz")
