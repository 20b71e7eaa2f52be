"""Folders with a file a sample: classes, splits, and what is refused; recordings as samples."""

from pathlib import Path

import numpy as np
import pytest

from tssl import datasets
from tssl.datasets import Frames, Reading, given_source
from tssl.errors import ConfigError, DataError

FRAMES = Frames(time_steps=4, bin_us=10)
Event = tuple[int, int, int, int]


def recording(*events: Event) -> bytes:
    """Return events (x, y, t, p) in N-MNIST's bytes, written one by one."""
    return b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, t, p in events)


ONE = recording((1, 2, 3, 1), (0, 4, 12, 0), (5, 0, 39, 1))


def put(folder: Path, *names: str, content: bytes = ONE) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def load(
    path: Path, split: str = "train", frames: Frames = FRAMES, frames_of: str | None = None,
    **reading: object,
):  # fmt: skip
    source = given_source(path, Reading(frames=frames_of, **reading))
    return datasets.load(source, split, data_dir=None, frames=frames)


def test_classes_in_folders_of_splits(tmp_path: Path):
    put(tmp_path, "Train/cat/1.bin", "Train/cat/2.bin", "Train/ape/9.bin", "Test/cat/3.bin")
    data = load(tmp_path)
    assert data.class_names == ("ape", "cat")
    assert data.labels.tolist() == [0, 1, 1]
    assert data.shape == (2, 5, 6), "as far as the events go"
    expected = np.zeros((4, 2, 5, 6), np.uint8)
    expected[0, 1, 2, 1] = expected[1, 0, 4, 0] = expected[3, 1, 0, 5] = 1
    assert np.array_equal(data.inputs[0], expected)
    assert (load(tmp_path, "test").labels.tolist(), data.warnings) == ([1], ())
    assert data.name == tmp_path.name


def test_classes_without_splits(tmp_path: Path):
    put(tmp_path, *(f"{name}/{number}.bin" for name in "ab" for number in range(10)))
    train, test = load(tmp_path, test_share=0.3), load(tmp_path, "test", test_share=0.3)
    assert np.bincount(train.labels).tolist() == [7, 7]
    assert np.bincount(test.labels).tolist() == [3, 3]
    assert "6 of 20 samples, 0.3 of each class, are held out" in train.warnings[0]
    other = given_source(tmp_path, Reading(test_share=0.3, split_seed=1))
    first = given_source(tmp_path, Reading(test_share=0.3, split_seed=0))
    names = [[one.name for one in source.found.samples["test"]] for source in (first, other)]
    assert names[0] != names[1]


def test_classes_come_in_turn(tmp_path: Path):
    """What takes the first samples sees all classes."""
    names = ["a/1", "a/2", "a/3", "b/1", "c/1", "c/2"]
    put(tmp_path, *(f"train/{name}.bin" for name in names), "test/a/1.bin")
    source = given_source(tmp_path)
    found = [str(Path(one.name).relative_to(tmp_path)) for one in source.found.samples["train"]]
    order = ["a/1", "b/1", "c/1", "a/2", "c/2", "a/3"]
    assert found == [f"train/{name}.bin" for name in order]
    assert load(tmp_path).labels.tolist() == [0, 1, 2, 0, 2, 0]


def test_numbers_sort_as_numbers(tmp_path: Path):
    put(tmp_path, *(f"{number}/{one}.bin" for number in (1, 2, 10) for one in range(2)))
    assert load(tmp_path).class_names == ("1", "2", "10")


def test_a_table_of_labels(tmp_path: Path):
    put(tmp_path, "a.bin", "sub/b.bin", "c.bin", "d.bin")
    rows = "file,label,split\na.bin,yes,train\nsub/b.bin,no,train\nc.bin,yes,test\nd.bin,no,test\n"
    (tmp_path / "labels.csv").write_text(rows)
    data = load(tmp_path)
    assert (data.class_names, data.labels.tolist()) == (("no", "yes"), [0, 1])
    (tmp_path / "labels.csv").write_text("file,label\na.bin,1\nsub/b.bin,1\nc.bin,2\nd.bin,2\n")
    assert len(load(tmp_path)) == len(load(tmp_path, "test")) == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", r"labels\.csv: needs rows, and the columns file, label"),
        ("name,label\na.bin,1\n", "needs rows, and the columns file, label"),
        ("file,label\na.bin\n", "line 2: needs a file, a label"),
        ("file,label,split\na.bin,1,valid\n", "line 2: needs a file, .* a split, train or test"),
        ("file,label\n../a.bin,1\n", "line 2: '../a.bin' leads out of the folder"),
        ("file,label\n/etc/passwd,1\n", "line 2: '/etc/passwd' leads out of the folder"),
        ("file,label\nnone.bin,1\n", "line 2: 'none.bin' is not there"),
        ('file,label\n"a.bin,1\n', "cannot be read"),
    ],
)
def test_tables_that_are_wrong(rows: str, message: str, tmp_path: Path):
    put(tmp_path, "a.bin")
    (tmp_path / "labels.csv").write_text(rows)
    with pytest.raises(DataError, match=message) as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)


def test_folders_that_are_wrong(tmp_path: Path):
    put(tmp_path / "one", "a/1.bin", "a/2.bin")
    with pytest.raises(DataError, match="all of class 'a'; a folder for each of at least two"):
        load(tmp_path / "one")
    put(tmp_path / "single", "a/1.bin", "b/2.bin")
    with pytest.raises(DataError, match="one sample of each class, so that none can be held out"):
        load(tmp_path / "single")
    put(tmp_path / "mixed", "a/1.bin", "b/2.png", "b/3.png")
    with pytest.raises(DataError, match="1 recordings of 5 bytes an event and 2 pictures; keep"):
        load(tmp_path / "mixed")
    put(tmp_path / "new", "train/a/1.bin", "train/b/1.bin", "test/c/1.bin")
    with pytest.raises(DataError, match="class 'c' is in test/ and not in train/"):
        load(tmp_path / "new")
    put(tmp_path / "none", "train/a/1.bin", "train/b/1.bin", "test/read.me")
    with pytest.raises(DataError, match="holds no sample in test/"):
        load(tmp_path / "none")
    put(tmp_path / "others", "a/1.doc", "b/1.doc")
    with pytest.raises(DataError, match="holds nothing that is recognised; what can be read"):
        load(tmp_path / "others")


def test_other_files_are_left_out_and_said(tmp_path: Path):
    put(tmp_path, *(f"{name}/{number}.bin" for name in "ab" for number in range(3)))
    put(tmp_path, "a/notes.txt", ".DS_Store", "a/.hidden.bin", "__MACOSX/a/1.bin", "README.md")
    data = load(tmp_path)
    assert data.class_names == ("a", "b")
    assert "1 other file is left out" in data.warnings[0]


def test_settings_that_nothing_uses(tmp_path: Path):
    put(tmp_path, "train/a/1.bin", "train/b/1.bin", "test/a/1.bin")
    with pytest.raises(ConfigError, match=r"data\.bands: recordings of 5 bytes .* no use for it"):
        load(tmp_path, bands=3)
    with pytest.raises(ConfigError, match=r"data\.split_seed: .* a test split"):
        load(tmp_path, split_seed=3)


# ------------------------------------------------------------------- what recordings share


def test_frames_cover_the_longest_recording(tmp_path: Path):
    put(tmp_path, "train/a/1.bin", "train/b/1.bin")
    put(tmp_path, "test/a/1.bin", content=recording((0, 0, 99, 0)))
    source = given_source(tmp_path)
    assert datasets.framing(source, time_steps=10) == Frames(time_steps=10, bin_us=10)
    assert datasets.framing(source, time_steps=3) == Frames(time_steps=3, bin_us=34)


def test_an_empty_recording_is_left_out_and_said(tmp_path: Path):
    put(tmp_path, *(f"train/{name}/{number}.bin" for name in "ab" for number in range(3)))
    put(tmp_path, "test/a/1.bin", "test/b/1.bin")
    put(tmp_path, "train/a/1.bin", content=b"")
    data = load(tmp_path)
    assert data.labels.tolist() == [0, 1, 1, 0, 1]
    (said,) = data.warnings
    assert "1 recording without events is left out, as" in said
    assert "train/a/1.bin" in said


@pytest.mark.parametrize(
    ("content", "reading", "message"),
    [
        (ONE[:-1], {}, r"holds 14 bytes, which is not a whole number of events .* unfinished"),
        (
            recording((9, 2, 3, 1)),
            {"size": (5, 6)},
            "event 1 has x = 9, outside the sensor, .* 2 x",
        ),
        (
            recording((1, 2, 30, 1), (1, 2, 3, 1)),
            {},
            "event 2 is at 3 us, after one at 30 us: times",
        ),
    ],
)
def test_recordings_that_are_wrong(content: bytes, reading: dict, message: str, tmp_path: Path):
    put(tmp_path, "train/a/1.bin", "train/b/1.bin", "test/a/1.bin")
    put(tmp_path, "train/b/1.bin", content=content)
    with pytest.raises(DataError, match=r"train/b/1\.bin: .*" + message):
        load(tmp_path, **reading)


def test_all_recordings_empty(tmp_path: Path):
    put(tmp_path, "train/a/1.bin", "train/b/1.bin", "test/a/1.bin", content=b"")
    with pytest.raises(DataError, match="holds no event in any of its recordings"):
        load(tmp_path)
    with pytest.raises(DataError, match="train split holds no event in its 2 recordings"):
        load(tmp_path, size=(3, 3))


def counts_by_hand(events: list[Event], steps: int, shape: tuple[int, int]) -> np.ndarray:
    found = np.zeros((steps, 2, *shape), int)
    for x, y, t, p in events:
        if t // FRAMES.bin_us < steps:
            found[t // FRAMES.bin_us, p, y, x] += 1
    return found


def test_counts_and_signed_counts(tmp_path: Path, rng: np.random.Generator):
    columns = [rng.integers(0, top, 300) for top in (3, 2, 45, 2)]
    columns[2].sort()
    events = [tuple(map(int, event)) for event in zip(*columns, strict=True)] + [(0, 0, 45, 0)] * 20
    put(tmp_path, "train/a/1.bin", "test/b/1.bin", "train/b/1.bin", content=recording(*events))
    expected = counts_by_hand(events, 5, (2, 3))
    frames = Frames(time_steps=5, bin_us=10)
    data = load(tmp_path, frames=frames, frames_of="counts")
    assert expected.max() > 15
    assert np.array_equal(data.inputs[0], expected.clip(max=15))
    assert (data.full_scale, data.zero) == (15, 0)
    assert "2 counts are above 15 and become 15" in data.warnings[-1]
    data = load(tmp_path, frames=frames, frames_of="signed")
    assert np.array_equal(
        data.inputs[0].astype(int) - data.zero, (expected[:, 1:] - expected[:, :1]).clip(-15, 15)
    )
    assert (data.full_scale, data.zero, data.shape) == (30, 15, (1, 2, 3))
    assert datasets.describe(given_source(tmp_path, Reading(frames="signed"))).shape == (1, 2, 3)


def test_one_polarity_has_no_sign(tmp_path: Path):
    for name in ("train/a", "train/b", "test/a"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.csv").write_text("x,t_us\n1,5\n")
    with pytest.raises(ConfigError, match=r"'signed': .* has 1 polarities, and two are needed"):
        load(tmp_path, frames_of="signed")
