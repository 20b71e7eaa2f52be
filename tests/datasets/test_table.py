"""One contract for every entry of the table, and what a Dataset refuses."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tssl import datasets
from tssl.datasets import DATASETS, SPLITS, Dataset
from tssl.datasets.events import pack
from tssl.errors import ConfigError, DataError

FRAMES = np.arange(24, dtype=np.uint8).reshape(2, 3, 1, 2, 2) % 2


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every request to a port where nobody listens: no test downloads megabytes."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_the_table_is_not_empty():
    assert {"cifar10", "digits", "mnist", "fashion-mnist", "nmnist"} <= set(DATASETS)


def test_listing_costs_no_import():
    code = (
        "import sys; from tssl.datasets import DATASETS; "
        "print(sorted({'pooch', 'requests', 'sklearn', 'scipy', 'torch'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(DATASETS))
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.usefixtures("offline")
def test_every_entry_loads_as_described_or_says_what_to_do(name: str, split: str, tmp_path: Path):
    description = datasets.describe(name, cache=tmp_path)
    assert description.name == name
    assert description.licence
    if not description.ready:
        with pytest.raises(DataError, match="--data-dir") as raised:
            datasets.load(name, split, data_dir=None, cache=tmp_path)
        assert "\n" not in str(raised.value)
        return
    data = datasets.load(name, split, data_dir=None, cache=tmp_path)
    assert (data.name, data.split) == (name, split)
    assert data.shape == description.shape
    assert len(data) == len(data.inputs) == getattr(description, split)
    assert (data.classes, data.full_scale) == (description.classes, description.full_scale)
    assert data.outputs == (description.classes or description.numbers)
    if data.classes:
        assert set(data.labels.tolist()) == set(range(data.classes))
    assert data.inputs[:].max() == data.full_scale
    assert data.source
    frames = datasets.framing(name, time_steps=5)
    assert data.time_steps == (0 if frames is None else frames.time_steps)


@pytest.mark.parametrize("name", sorted(DATASETS))
@pytest.mark.usefixtures("offline")
def test_describing_reads_and_creates_nothing(name: str, tmp_path: Path):
    datasets.describe(name, data_dir=tmp_path, cache=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_are_told_what_there_is():
    known = r"'mnis' is unknown \(did you mean 'mnist'\?\); there are cifar10, digit-ang"
    with pytest.raises(ConfigError, match=known):
        datasets.load("mnis", "train", data_dir=None)
    with pytest.raises(ConfigError, match="'mnis' is unknown"):
        datasets.describe("mnis")
    with pytest.raises(ConfigError, match="split = 'valid'; expected one of train, test"):
        datasets.load("digits", "valid", data_dir=None)


def test_a_data_folder_that_is_none_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="none: the data folder is not a folder"):
        datasets.load("mnist", "train", data_dir=tmp_path / "none")
    with pytest.raises(DataError, match="none: the data folder is not a folder"):
        datasets.describe("mnist", data_dir=tmp_path / "none")


def test_pictures_have_no_frames():
    assert datasets.framing("digits", time_steps=5) is None
    frames = datasets.Frames(time_steps=5, bin_us=1000)
    with pytest.raises(ConfigError, match="data set digits holds pictures"):
        datasets.load("digits", "train", data_dir=None, frames=frames)


def test_frames_of_events_are_the_data_sets_own_unless_asked_for():
    own = datasets.framing("nmnist", time_steps=30)
    assert own == datasets.Frames(time_steps=30, bin_us=3000)
    asked = datasets.framing("nmnist", time_steps=7, bin_us=500)
    assert asked == datasets.Frames(time_steps=7, bin_us=500)
    with pytest.raises(ConfigError, match="time_steps = 0; at least 1 is needed"):
        datasets.framing("nmnist", time_steps=0)
    with pytest.raises(ConfigError, match="'mnis' is unknown"):
        datasets.framing("mnis", time_steps=1)


def small(**changes: object) -> Dataset:
    fields = {
        "name": "small",
        "split": "train",
        "inputs": np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2),
        "labels": np.array([0, 2]),
        "classes": 3,
        "full_scale": 7,
        "source": "here",
    }
    return Dataset(**{**fields, **changes})


def test_arrays_are_read_only_views():
    inputs = np.zeros((2, 1, 2, 2), np.uint8)
    data = small(inputs=inputs)
    assert data.shape == (1, 2, 2)
    assert len(data) == 2
    assert np.shares_memory(data.inputs, inputs), "48 MB need no copy"
    assert inputs.flags.writeable, "the caller's array stays as it was"
    for array in (data.inputs, data.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("inputs", [FRAMES, pack(FRAMES)], ids=["plain", "packed"])
def test_events_are_frames_of_one_shape(inputs: object):
    data = small(inputs=inputs, time_steps=3, full_scale=1)
    assert data.shape == (1, 2, 2)
    assert data.inputs.shape == (2, 3, 1, 2, 2)
    assert np.array_equal(data.inputs[np.array([1, 0])], FRAMES[::-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": np.zeros((2, 1, 2, 2))}, "inputs are float64"),
        ({"inputs": np.zeros((2, 2, 2), np.uint8)}, r"inputs are uint8 of shape \(2, 2, 2\)"),
        ({"inputs": np.zeros((0, 1, 2, 2), np.uint8)}, r"shape \(0, 1, 2, 2\).*not empty"),
        ({"labels": np.zeros(2, np.int32)}, "labels are int32"),
        ({"labels": np.zeros((2, 1), np.int64)}, r"labels are int64 of shape \(2, 1\)"),
        ({"labels": np.zeros(3, np.int64)}, "2 inputs but 3 labels"),
        ({"labels": np.array([-1, 0])}, r"labels -1\.\.0 are outside 0\.\.2"),
        ({"labels": np.array([0, 3])}, r"labels 0\.\.3 are outside 0\.\.2"),
        ({"full_scale": 6}, "a pixel of 7 exceeds full_scale = 6"),
        ({"time_steps": 3}, r"of shape \(2, 1, 2, 2\); expected .* \(samples, 3, C, H, W\)"),
        ({"inputs": FRAMES}, r"of shape \(2, 3, 1, 2, 2\); expected .* \(samples, C, H, W\)"),
        ({"inputs": pack(FRAMES)}, r"of shape \(2, 3, 1, 2, 2\)"),
        ({"inputs": FRAMES, "time_steps": 2}, r"of shape \(2, 3, 1, 2, 2\)"),
        ({"full_scale": 0}, "full_scale = 0; expected 1 to 255"),
        ({"full_scale": 256}, "full_scale = 256; expected 1 to 255"),
        ({"class_names": ("a", "b")}, "2 class names for 3 classes"),
        ({"inputs": FRAMES + 1, "time_steps": 3, "full_scale": 1}, "of 2 exceeds full_scale = 1"),
        ({"inputs": pack(FRAMES[:1]), "time_steps": 3, "full_scale": 1}, "1 inputs but 2 labels"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], message: str):
    with pytest.raises(DataError, match=r"data set small, train \(here\): .*" + message):
        small(**changes)


def test_a_data_set_shows_itself():
    digits = datasets.load("digits", "test", data_dir=None)
    assert repr(digits) == "<Dataset digits, test split: 360 samples of 1 x 8 x 8, 10 classes>"
    classes = digits.tables()[1].rows
    assert [int(number) for _, number in classes] == [35, 36, 35, 37, 37, 37, 37, 36, 33, 37]
    assert digits._repr_html_().startswith("<div><table>")
    angles = datasets.load("digit-angles", "test", data_dir=None)
    assert repr(angles).endswith("1 number>")
    assert len(angles.tables()) == 1
