"""Tactile recordings: the real zips where they are, small ones for every place and every fault."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.test_packed import zipped
from tssl import datasets
from tssl.datasets import Frames
from tssl.datasets.tactile import CONTAINERS, OBJECTS, SHAPE, TactileSource, decode
from tssl.errors import ConfigError, DataError

RECORDED = 7
FRAMES = Frames(time_steps=4, bin_us=40_000)


def recording(seed: int) -> np.ndarray:
    """Return (taxels, polarities, recorded frames), as the authors store it."""
    return np.random.default_rng(seed).integers(0, 2, (39, 2, RECORDED)).astype(np.float32)


def npy(array: np.ndarray) -> bytes:
    np.save(buffer := io.BytesIO(), array)
    return buffer.getvalue()


ARRAYS = {
    "Ev-Small/test/sample_0_label_2.npy": recording(0),
    "Ev-Small/test/sample_1_label_0.npy": recording(1),
    "Ev-Small/train/sample_10_label_2.npy": recording(2),
    "Ev-Small/train/sample_2_label_0.npy": recording(3),
    "Ev-Small/train/sample_0_label_1.npy": recording(4),
}
FILES = {name: npy(array) for name, array in ARRAYS.items()}
TRAIN = [ARRAYS[name] for name in reversed(ARRAYS) if "/train/" in name]
ARCHIVE = zipped(FILES)


def small_source(archive: bytes = ARCHIVE, **changes: object) -> TactileSource:
    fields = {
        "name": "small",
        "title": "Small",
        "classes": 3,
        "archive": "Ev-Small.zip",
        "archive_bytes": len(archive),
        "sha256": hashlib.sha256(archive).hexdigest(),
        "recorded": RECORDED,
        "train": 3,
        "test": 2,
        "mirrors": (),
    }
    return TactileSource(**{**fields, **changes})


def put(folder: Path, archive: bytes = ARCHIVE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Ev-Small.zip").write_bytes(archive)
    return folder


def load(
    source: TactileSource,
    data_dir: Path | None,
    cache: Path,
    split: str = "train",
    frames: Frames = FRAMES,
) -> datasets.Dataset:
    return source.load(split, frames=frames, data_dir=data_dir, cache=cache, progress=None)


def by_hand(recorded: np.ndarray, frames: Frames) -> np.ndarray:
    """Join the recorded frames one event after the other."""
    seen = np.zeros((frames.time_steps, *SHAPE), np.uint8)
    for taxel, polarity, at in np.argwhere(recorded == 1).tolist():
        step = at * 20_000 // frames.bin_us
        if step < frames.time_steps:
            seen[step, polarity, 0, taxel] = 1
    return seen


def check(data: datasets.Dataset) -> None:
    assert data.labels.tolist() == [1, 0, 2], "in the order of the numbers, not of the names"
    assert np.array_equal(data.inputs[:], np.stack([by_hand(one, FRAMES) for one in TRAIN]))
    assert (data.time_steps, data.full_scale, data.shape) == (4, 1, (2, 1, 39))
    assert data.warnings == ()


# ------------------------------------------------------------------------ the real thing

REAL = {
    "tactile-objects": ("Ev-Objects.zip", 36, {"train": 16, "test": 4}, 250),
    "tactile-containers": ("Ev-Containers.zip", 20, {"train": 12, "test": 3}, 325),
}
EVENTS = {
    ("tactile-objects", "train"): 1_436_943,
    ("tactile-objects", "test"): 357_289,
    ("tactile-containers", "train"): 618_078,
    ("tactile-containers", "test"): 151_245,
}
"""Ones in the published arrays."""


@pytest.fixture(scope="session")
def real_dir(shared_dir: Path) -> Path:
    folder = shared_dir / "data" / "tactile_ev"
    if not folder.is_dir():
        pytest.skip(f"needs the zips of TactileSGNet in {folder}")
    return folder


def published(archive: Path, split: str) -> dict[int, tuple[int, np.ndarray]]:
    """Return label and array of every number, read with numpy alone."""
    found = {}
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            if f"/{split}/" in name and name.endswith(".npy"):
                _, number, _, label = Path(name).stem.split("_")
                found[int(number)] = int(label), np.load(io.BytesIO(opened.read(name)))
    return found


@pytest.mark.parametrize(("name", "split"), EVENTS)
def test_real_recordings(real_dir: Path, name: str, split: str):
    archive, classes, each, recorded = REAL[name]
    expected = published(real_dir / archive, split)
    frames = datasets.framing(name, time_steps=recorded)
    data = datasets.load(name, split, data_dir=real_dir, frames=frames)
    assert np.bincount(data.labels).tolist() == [each[split]] * classes
    assert data.labels.tolist() == [expected[number][0] for number in sorted(expected)]
    seen = data.inputs[:]
    arrays = np.stack([expected[number][1] for number in sorted(expected)])
    assert np.array_equal(seen[:, :, :, 0], arrays.transpose(0, 3, 2, 1)), "one frame for each"
    assert seen.sum() == arrays.sum() == EVENTS[name, split]
    joined = datasets.load(name, split, data_dir=real_dir)
    runs = arrays.reshape(len(arrays), 39, 2, 25, recorded // 25).any(axis=-1)
    assert np.array_equal(joined.inputs[:][:, :, :, 0], runs.transpose(0, 3, 2, 1))
    assert joined.warnings == ()


def test_the_real_sets_as_described(real_dir: Path):
    for name, (archive, classes, each, _) in REAL.items():
        found = datasets.describe(name, data_dir=real_dir)
        assert found.ready
        assert found.found == str(real_dir / archive)
        assert (found.train, found.test) == (classes * each["train"], classes * each["test"])


@pytest.mark.parametrize("source", [OBJECTS, CONTAINERS], ids=lambda source: source.name)
def test_mirrors_are_of_a_commit(source: TactileSource):
    assert len(source.mirrors) == 2
    assert all(len(mirror.split("/")[-2]) == 40 for mirror in source.mirrors)
    assert len(source.sha256) == 64


# ------------------------------------------------------------------------------- frames


@pytest.mark.parametrize("time_steps", [1, 5, 25, 30, 50, 250, 325])
@pytest.mark.parametrize("name", REAL)
def test_frames_cover_the_recording_whatever_their_number(name: str, time_steps: int):
    frames = datasets.framing(name, time_steps=time_steps)
    last = (REAL[name][3] - 1) * 20_000
    assert last // frames.bin_us < time_steps
    assert frames.time_steps == time_steps


def test_25_frames_are_even():
    assert datasets.framing("tactile-objects", time_steps=25).bin_us == 200_000
    assert datasets.framing("tactile-containers", time_steps=25).bin_us == 260_000
    asked = datasets.framing("tactile-objects", time_steps=10, bin_us=60_000)
    assert asked == Frames(time_steps=10, bin_us=60_000)
    with pytest.raises(ConfigError, match="time_steps = 0; at least 1 is needed"):
        datasets.framing("tactile-objects", time_steps=0)


@pytest.mark.parametrize("bin_us", [20_000, 30_000, 60_000, 140_000, 1_000_000])
def test_recorded_frames_are_joined(tmp_path: Path, bin_us: int):
    frames = Frames(time_steps=7, bin_us=bin_us)
    data = load(small_source(), put(tmp_path), tmp_path, frames=frames)
    assert np.array_equal(data.inputs[:], np.stack([by_hand(one, frames) for one in TRAIN]))


def test_shorter_frames_than_the_recorded_ones_are_refused(tmp_path: Path):
    frames = Frames(time_steps=8, bin_us=19_999)
    with pytest.raises(ConfigError) as raised:
        load(small_source(), put(tmp_path), tmp_path, frames=frames)
    assert str(raised.value) == (
        "data set small: a frame of bin_us = 19999 is shorter than a recorded one, 20000 us; "
        "lower network.time_steps to 7 or less, or raise data.bin_us"
    )


def test_what_the_frames_leave_out_is_said(tmp_path: Path):
    late = np.zeros((39, 2, RECORDED), np.float32)
    late[3, 1, 4:] = 1
    archive = zipped({f"{split}/sample_0_label_0.npy": npy(late) for split in ("train", "test")})
    source = small_source(archive, train=1, test=1)
    put(tmp_path, archive)
    data = load(source, tmp_path, tmp_path, frames=Frames(time_steps=3, bin_us=40_000))
    assert data.warnings == (
        "data set small, train split: 33% of the events lie outside time_steps x bin_us = "
        "3 x 40000 us = 120 ms and are left out; the recordings last up to 120 ms",
    )
    with pytest.raises(DataError) as raised:
        load(source, tmp_path, tmp_path, frames=Frames(time_steps=2, bin_us=40_000))
    assert str(raised.value) == (
        f"{tmp_path / 'Ev-Small.zip'}: train/ holds no event inside time_steps x bin_us = "
        "2 x 40000 us = 80 ms; its 1 recording has its events from 80 to 120 ms; raise "
        "network.time_steps or data.bin_us"
    )


# ----------------------------------------------------------------------- where files are


def test_the_places_are_searched_in_order(tmp_path: Path):
    data_dir, cache = tmp_path / "data", tmp_path / "cache"
    for folder in (cache / "small", data_dir / "small", data_dir):
        put(folder)  # the later, the earlier it is looked into
        data = load(small_source(), data_dir, cache)
        check(data)
        description = small_source().describe(data_dir=data_dir, cache=cache)
        assert data.source == description.found == str(folder / "Ev-Small.zip")
        assert description.ready
        assert (description.train, description.test, description.shape) == (3, 2, SHAPE)
    assert load(small_source(), data_dir, cache, "test").labels.tolist() == [2, 0]


def test_back_slashes_and_other_files_in_a_zip(tmp_path: Path):
    others = dict.fromkeys(("Ev-Small/train/readme.txt", "Ev-Small/x.npy", "train/._1.npy"), b"?")
    files = {name.replace("/", "\\"): content for name, content in FILES.items()}
    archive = zipped({**others, **files})
    check(load(small_source(archive), put(tmp_path, archive), tmp_path))


def test_nothing_found_and_no_mirror_says_what_to_do(tmp_path: Path):
    description = small_source().describe(data_dir=None, cache=tmp_path)
    assert (description.found, description.ready) == ("nowhere", False)
    with pytest.raises(DataError, match=r"Ev-Small\.zip: cannot be downloaded.*with --data-dir"):
        load(small_source(), None, tmp_path)


# ------------------------------------------------------------------------- the download


@pytest.fixture
def served() -> dict[str, bytes]:
    return {"Ev-Small.zip": ARCHIVE, "corrupt Ev-Small.zip": ARCHIVE[:-1] + b"\1"}


def test_the_zip_is_downloaded_once_and_kept(tmp_path: Path, server: str, asked: list[str]):
    source = small_source(mirrors=(f"{server}/absent/", f"{server}/good/"))
    assert source.describe(data_dir=None, cache=tmp_path).found.startswith("download from http")
    for _ in range(2):
        check(load(source, None, tmp_path))
    assert len(load(source, None, tmp_path, "test")) == 2
    assert asked == ["/absent/Ev-Small.zip", "/good/Ev-Small.zip"]
    stored = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert stored == [tmp_path / "small" / "Ev-Small.zip"]
    assert stored[0].read_bytes() == ARCHIVE


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("corrupt", "is not the published file: it has SHA-256"),
        ("truncated", "IncompleteRead|is not the published file"),
        ("endless", "sends more than|is not the published file of .* but longer"),
        ("absent", "404"),
    ],
)
def test_a_bad_download_is_refused_and_nothing_is_left(
    tmp_path: Path, server: str, behaviour: str, reason: str
):
    source = small_source(mirrors=(f"{server}/{behaviour}/",))
    with pytest.raises(DataError, match=reason) as raised:
        load(source, None, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert "\n" not in str(raised.value)


# ---------------------------------------------------------------------------- the faults

NAME = "Ev-Small/train/sample_2_label_0.npy"
MEMBER = r"train/sample_2_label_0\.npy "


def changed(content: bytes | None, name: str = NAME) -> bytes:
    """Return the archive with other content of one recording, or without it."""
    files = {**FILES, name: content}
    return zipped({name: content for name, content in files.items() if content is not None})


def other(value: float) -> bytes:
    array = recording(3)
    array[5, 1, 2] = value
    return npy(array)


GOOD = FILES[NAME]
FAULTS: dict[str, tuple[bytes, str]] = {
    "no zip": (b"PK hello", "is a damaged zip file"),
    "a web page": (b"<!DOCTYPE html>", "is a damaged tar file"),
    "cut": (ARCHIVE[:-30], "is a damaged zip file"),
    "another zip": (zipped({"x.txt": b"?"}), r"holds 0 recordings in train/, expected 3"),
    "one missing": (changed(None), r"holds 2 recordings in train/, expected 3"),
    "one more": (
        changed(GOOD, "Ev-Small/train/sample_3_label_0.npy"),
        r"holds more than the 3 recordings expected in train/",
    ),
    "one twice": (
        zipped({**{name: FILES[name] for name in list(FILES)[:4]}, "train/sample_2_label_1.npy":
                GOOD}),
        "holds sample 2 of train/ twice",
    ),
    "a label too high": (
        changed(GOOD, "train/sample_3_label_3.npy"),
        r"train/sample_3_label_3\.npy has label 3; labels are 0\.\.2",
    ),
    "transposed": (
        changed(npy(recording(3).transpose(2, 1, 0).copy())),
        MEMBER + r"holds float32 of shape \(7, 2, 39\); expected float32 of \(39, 2, 7\)",
    ),
    "by columns": (changed(npy(np.asfortranarray(recording(3)))), MEMBER + "holds .*by columns"),
    "bytes": (changed(npy(recording(3).astype(np.uint8))), MEMBER + "holds uint8 of shape"),
    "big-endian": (changed(npy(recording(3).astype(">f4"))), MEMBER + "holds >f4 of shape"),
    "a half": (changed(other(0.5)), MEMBER + r"holds the value 0\.5; expected 0 and 1"),
    "not a number": (changed(other(np.nan)), MEMBER + "holds the value nan; expected 0 and 1"),
    "half an array": (changed(GOOD[:-9]), MEMBER + r"holds 2175 bytes of values, expected 2184"),
    "text": (changed(b"hello"), MEMBER + r"is no \.npy file"),
    "nothing": (changed(b""), MEMBER + r"is no \.npy file"),
    "a broken header": (changed(GOOD.replace(b"{'", b"{(")), MEMBER + r"is no \.npy file"),
    "an odd header": (changed(GOOD.replace(b"'<f4'", b'"""<f')), MEMBER + r"is no \.npy file"),
    "version 2": (changed(GOOD[:6] + b"\2" + GOOD[7:]), MEMBER + r"is a \.npy file of version"),
    "a pickle": (changed(npy(np.array([{}], object))), MEMBER + "holds object of shape"),
    "another content": (changed(npy(recording(9))), "is not the published file"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line_with_file_and_advice(tmp_path: Path, fault: str):
    archive, message = FAULTS[fault]
    with pytest.raises(DataError, match=rf"Ev-Small\.zip: {message}") as raised:
        load(small_source(), put(tmp_path, archive), tmp_path)
    text = str(raised.value)
    assert text.startswith(str(tmp_path / "Ev-Small.zip"))
    assert text.endswith(
        "; replace the file by the published Ev-Small.zip, or remove it to have it looked for "
        "elsewhere"
    )
    assert "\n" not in text


def test_a_changed_zip_of_the_same_length_is_told_by_its_digest(tmp_path: Path):
    source = replace(small_source(), sha256="0" * 64)
    with pytest.raises(DataError, match=r"it has SHA-256 [0-9a-f]{64}, expected 0{64}; replace"):
        load(source, put(tmp_path), tmp_path)


def test_a_folder_under_the_zips_name(tmp_path: Path):
    (tmp_path / "Ev-Small.zip").mkdir()
    with pytest.raises(DataError, match=r"Ev-Small\.zip: cannot be read: Is a directory; replace"):
        load(small_source(), tmp_path, tmp_path)


def test_a_member_that_is_too_large_is_not_unpacked(tmp_path: Path):
    archive = changed(GOOD + bytes(1 << 24))
    with pytest.raises(DataError, match=MEMBER + r"holds a file of \d+ bytes; at most 6280"):
        load(small_source(), put(tmp_path, archive), tmp_path)


HEADERS: dict[str, Callable[[str], str]] = {
    "vast": lambda text: text.replace("(39, 2, 7)", "(1 << 40,)"),
    "deep": lambda text: "(" * 900,
    "a call": lambda text: text.replace("False", "exit()"),
    "of Python 2": lambda text: text.replace("39,", "39L,"),
}


@pytest.mark.parametrize("way", HEADERS)
def test_headers_that_were_made_up(way: str):
    text = HEADERS[way]("{'descr': '<f4', 'fortran_order': False, 'shape': (39, 2, 7), }")
    head = b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode()
    with pytest.raises(DataError, match=r"is no \.npy file|holds 0 bytes of values"):
        decode(head, (39, 2, 7))
