"""N-MNIST: the real recordings where they are, made-up ones in every packing, and the faults."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.test_packed import tarred, zipped
from tssl import datasets
from tssl.datasets import Frames, packed
from tssl.datasets.nmnist import SHAPE, decode
from tssl.errors import DataError

FRAMES = Frames(time_steps=4, bin_us=1000)


def recorded(*events: tuple[int, int, int, int]) -> bytes:
    """Return events (x, y, polarity, microseconds) as the camera's software writes them."""
    return b"".join(
        bytes([x, y]) + (polarity << 23 | time).to_bytes(3, "big")
        for x, y, polarity, time in events
    )


def recording(seed: int, events: int = 60) -> bytes:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, 5000, events))
    return recorded(
        *zip(
            rng.integers(0, 34, events).tolist(),
            rng.integers(0, 34, events).tolist(),
            rng.integers(0, 2, events).tolist(),
            times.tolist(),
            strict=True,
        )
    )


FILES = {
    "Train/7/00010.bin": recording(10),
    "Train/3/00002.bin": recording(2),
    "Train/3/00001.bin": recording(1),
    "Test/9/00001.bin": recording(4),
    "Test/0/00002.bin": recording(5),
}
TRAIN = [FILES["Train/3/00001.bin"], FILES["Train/3/00002.bin"], FILES["Train/7/00010.bin"]]


def put(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def load(data_dir: Path, split: str = "train", frames: Frames = FRAMES) -> datasets.Dataset:
    return datasets.load(
        "nmnist", split, data_dir=data_dir, frames=frames, cache=data_dir / "no-cache"
    )


def by_hand(content: bytes, frames: Frames) -> np.ndarray:
    """Read a file byte by byte."""
    seen = np.zeros((frames.time_steps, *SHAPE), np.uint8)
    for at in range(0, len(content), 5):
        x, y, high, middle, low = content[at : at + 5]
        step = ((high % 128) * 65536 + middle * 256 + low) // frames.bin_us
        if step < frames.time_steps:
            seen[step, high // 128, y, x] = 1
    return seen


def check(data: datasets.Dataset) -> None:
    assert data.labels.tolist() == [3, 3, 7], "in the order of the numbers"
    expected = np.stack([by_hand(content, FRAMES) for content in TRAIN])
    assert np.array_equal(data.inputs[:], expected)
    assert (data.time_steps, data.full_scale, data.shape) == (4, 1, SHAPE)


# ------------------------------------------------------------------------ the real thing


REAL = "nmnist_first1000_100_raw.tar.xz"


@pytest.fixture(scope="session")
def real_dir(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archive alone; the real one holds others that take time to look into."""
    archive = shared_dir / "data" / "nmnist" / REAL
    if not archive.exists():
        pytest.skip(f"needs {archive}")
    folder = tmp_path_factory.mktemp("real")
    (folder / REAL).symlink_to(archive)
    return folder


@pytest.fixture(scope="session")
def mnist_dir(shared_dir: Path) -> Path:
    folder = shared_dir / "data" / "mnist"
    if not folder.is_dir():
        pytest.skip(f"needs MNIST in {folder}")
    return folder


@pytest.mark.slow
def test_an_archive_without_a_test_split_is_not_it(shared_dir: Path, real_dir: Path):
    description = datasets.describe("nmnist", data_dir=shared_dir / "data")
    assert Path(description.found).resolve() == (real_dir / REAL).resolve()


@pytest.mark.slow
def test_real_recordings_have_the_labels_of_mnist(real_dir: Path, mnist_dir: Path):
    description = datasets.describe("nmnist", data_dir=real_dir)
    assert (description.train, description.test) == (1000, 100)
    assert description.ready
    for split, samples in (("train", 1000), ("test", 100)):
        data = datasets.load("nmnist", split, data_dir=real_dir)
        mnist = datasets.load("mnist", split, data_dir=mnist_dir)
        assert data.inputs.shape == (samples, 30, 2, 34, 34)
        assert np.array_equal(data.labels, mnist.labels[:samples])
        assert data.source == description.found


@pytest.mark.slow
def test_real_recordings_show_the_digits_of_mnist(real_dir: Path, mnist_dir: Path):
    """Summed over time, a recording is its digit, smeared by the camera's motion."""
    frames = Frames(time_steps=1, bin_us=1 << 20)
    events = datasets.load("nmnist", "test", data_dir=real_dir, frames=frames)
    pictures = datasets.load("mnist", "test", data_dir=mnist_dir).inputs[:100, 0] > 64
    seen = events.inputs[:].any(axis=(1, 2))
    inside = np.zeros((100, 34, 34), bool)
    for down in range(7):
        for right in range(7):
            inside[:, down : down + 28, right : right + 28] |= pictures
    share = (seen & inside).sum(axis=(1, 2)) / seen.sum(axis=(1, 2))
    assert np.median(share) > 0.85
    shuffled = (seen & np.roll(inside, 1, axis=0)).sum(axis=(1, 2)) / seen.sum(axis=(1, 2))
    assert np.median(share) > np.median(shuffled) + 0.1
    turned = (seen.transpose(0, 2, 1) & inside).sum(axis=(1, 2)) / seen.sum(axis=(1, 2))
    assert np.median(share) > np.median(turned) + 0.05, "x and y are not exchanged"


@pytest.mark.slow
def test_a_real_recording_event_for_event(real_dir: Path):
    archive = real_dir / REAL
    content = next(
        member.read()
        for member in packed.members(archive, 1 << 24)
        if member.name == "Train/0/00002.bin"
    )
    events = decode(content)
    assert len(events.x) == 5028
    assert (np.diff(events.time_us) >= 0).all()
    assert 300_000 < events.time_us[-1] < 330_000, "three saccades of a tenth of a second"
    train = datasets.load("nmnist", "train", data_dir=real_dir)
    assert train.labels[1] == 0
    assert np.array_equal(train.inputs[1], by_hand(content, Frames(time_steps=30, bin_us=3000)))


# ----------------------------------------------------------------------- where files are


def archived(prefix: str = "") -> dict[str, bytes]:
    return {f"{prefix}{name}": content for name, content in FILES.items()}


ARCHIVES = {
    "nmnist.zip": zipped(archived()),
    "N-MNIST raw.zip": zipped(archived("N-MNIST/")),
    "my_nmnist.tar": tarred(archived("./")),
    "nmnist.tar.gz": gzip.compress(tarred(archived())),
    "nmnist_part.tar.xz": lzma.compress(tarred(archived("../../"))),
}


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize("folder", ["", "nmnist"])
def test_an_archive_is_read_where_it_lies(tmp_path: Path, name: str, folder: str):
    put(tmp_path / folder, {name: ARCHIVES[name]})
    before = sorted(tmp_path.rglob("*"))
    check(load(tmp_path))
    assert load(tmp_path, "test").labels.tolist() == [9, 0]
    description = datasets.describe("nmnist", data_dir=tmp_path, cache=tmp_path / "none")
    assert (description.train, description.test, description.ready) == (3, 2, True)
    assert description.found == str(tmp_path / folder / name)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is unpacked to anywhere"


def test_the_published_pair_of_zips(tmp_path: Path):
    for split in ("Train", "Test"):
        files = {name: content for name, content in FILES.items() if name.startswith(split)}
        put(tmp_path, {f"{split}.zip": zipped(files)})
    check(load(tmp_path))
    assert load(tmp_path, "test").labels.tolist() == [9, 0]
    found = datasets.describe("nmnist", data_dir=tmp_path, cache=tmp_path).found
    assert found == f"{tmp_path / 'Test.zip'}, {tmp_path / 'Train.zip'}"


def test_the_places_are_searched_in_order(tmp_path: Path):
    data_dir, cache = tmp_path / "data", tmp_path / "cache"
    data_dir.mkdir()
    for folder in (cache / "nmnist", data_dir / "nmnist", data_dir):
        put(folder)  # the later, the earlier it is looked into
        data = datasets.load("nmnist", "train", data_dir=data_dir, frames=FRAMES, cache=cache)
        check(data)
        assert data.source == str(folder)
    put(data_dir, {"nmnist.zip": b"never opened"})
    assert datasets.describe("nmnist", data_dir=data_dir, cache=cache).found == str(data_dir)


def test_a_place_without_a_split_is_passed_over(tmp_path: Path):
    train_only = {name: content for name, content in FILES.items() if name.startswith("Train")}
    put(tmp_path, {"nmnist_a.zip": zipped(train_only), "nmnist_b.zip": ARCHIVES["nmnist.zip"]})
    put(tmp_path, {"other.zip": b"not looked at", "Train.zip": b"alone"})
    put(tmp_path, {name: content for name, content in FILES.items() if name.startswith("Test")})
    assert load(tmp_path).source == str(tmp_path / "nmnist_b.zip")


def test_an_archive_that_was_replaced_is_read_again(tmp_path: Path):
    put(tmp_path, {"nmnist.zip": ARCHIVES["nmnist.zip"]})
    assert len(load(tmp_path)) == 3
    put(tmp_path, {"nmnist.zip": zipped({**FILES, "Train/1/00003.bin": recording(3)})})
    assert load(tmp_path).labels.tolist() == [3, 3, 1, 7]


def test_other_files_are_skipped(tmp_path: Path):
    others = ["Train/3/readme.txt", "Train/x/1.bin", "Train/10/1.bin", "Train/3/._1.bin", "1.bin"]
    put(tmp_path, {**FILES, **dict.fromkeys(others, b"?")})
    check(load(tmp_path))


def test_nothing_found_says_what_to_put_where(tmp_path: Path):
    description = datasets.describe("nmnist", data_dir=tmp_path, cache=tmp_path)
    assert not description.ready
    assert (description.train, description.test) == (60_000, 10_000), "as published"
    assert description.found == "nowhere; it is not downloaded"
    with pytest.raises(DataError, match=r"cannot be downloaded; put Train/.*with --data-dir"):
        load(tmp_path)


# ---------------------------------------------------------------------------- the faults

FAULTS = {
    "cut": (recording(3)[:-2], "holds 298 bytes, which is not a whole number of events of 5"),
    "right of it": (
        recorded((1, 1, 0, 0), (34, 0, 1, 5)), "event 2 is at x = 34, y = 0, outside 34 x 34",
    ),
    "below it": (recorded((33, 255, 1, 5)), "event 1 is at x = 33, y = 255, outside"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("is_archived", [False, True])
def test_faults_name_the_file(tmp_path: Path, fault: str, is_archived: bool):
    content, message = FAULTS[fault]
    files = {**FILES, "Train/5/00007.bin": content}
    put(tmp_path, {"nmnist.zip": zipped(files)} if is_archived else files)
    place = tmp_path / "nmnist.zip" if is_archived else tmp_path
    with pytest.raises(DataError, match=message) as raised:
        load(tmp_path)
    assert str(raised.value).startswith(f"{place}: Train/5/00007.bin ")
    assert len(load(tmp_path, "test")) == 2, "the other split is whole"


def test_a_file_that_cannot_be_read(tmp_path: Path):
    (put(tmp_path) / "Train/5/00007.bin").mkdir(parents=True)
    with pytest.raises(DataError, match=r"Train/5/00007\.bin cannot be read: Is a directory"):
        load(tmp_path)


def test_a_damaged_archive_is_not_passed_over(tmp_path: Path):
    put(tmp_path, {"nmnist.tar.xz": lzma.compress(tarred(FILES))[:-99]})
    put(tmp_path / "nmnist")
    with pytest.raises(DataError, match=r"nmnist\.tar\.xz: ends in the middle"):
        load(tmp_path)
    description = datasets.describe("nmnist", data_dir=tmp_path)
    assert "nmnist.tar.xz: ends in the middle" in description.found
    assert not description.ready


def test_the_same_recording_twice_is_a_fault(tmp_path: Path):
    put(tmp_path, {"nmnist.zip": zipped({**FILES, "Train/3/2.bin": recording(3)})})
    with pytest.raises(DataError, match=r"nmnist\.zip: holds number 2 of digit 3 twice"):
        load(tmp_path)


def test_files_that_are_too_large_are_not_unpacked(tmp_path: Path):
    big = {**FILES, "Train/5/00007.bin": bytes((1 << 24) + 5)}
    put(tmp_path, {"nmnist.zip": zipped(big)})
    with pytest.raises(DataError, match=r"Train/5/00007\.bin holds a file of 16777221 bytes"):
        load(tmp_path)


# ---------------------------------------------------------------- what is not quite right


@pytest.mark.parametrize("rename", [str.lower, str.upper])
def test_folders_and_zips_in_other_letters(tmp_path: Path, rename: Callable[[str], str]):
    plain, packed_up = tmp_path / "plain", tmp_path / "packed"
    for split in ("Train", "Test"):
        files = {name: content for name, content in FILES.items() if name.startswith(split)}
        renamed = {rename(name): content for name, content in files.items()}
        put(plain, renamed)
        put(packed_up, {rename(f"{split}.zip"): zipped(renamed)})
    for folder in (plain, packed_up):
        check(load(folder))
        assert load(folder, "test").labels.tolist() == [9, 0]


def test_back_slashes_in_a_zip(tmp_path: Path):
    files = {f"N-MNIST\\{name}".replace("/", "\\"): content for name, content in FILES.items()}
    put(tmp_path, {"nmnist.zip": zipped(files)})
    check(load(tmp_path))


def only(split: str) -> dict[str, bytes]:
    return {name: content for name, content in FILES.items() if name.startswith(split)}


HALVES = {
    "a folder": (only("Train"), "{0} holds 3 recordings in Train/ and none in Test/"),
    "an archive": (
        {"nmnist.zip": zipped(only("Test"))},
        "{0}/nmnist.zip holds 2 recordings in Test/ and none in Train/",
    ),
    "a zip": ({"Train.zip": b"not opened"}, "{0}/Train.zip lies there without Test.zip"),
    "the other zip": ({"test.zip": b"not opened"}, "{0}/test.zip lies there without Train.zip"),
}


@pytest.mark.parametrize("half", HALVES)
def test_half_a_data_set_says_what_is_missing(tmp_path: Path, half: str):
    files, text = HALVES[half]
    missing = text.format(put(tmp_path, files))
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert f"cannot be downloaded; {missing}; put Train/" in str(caught.value)
    description = datasets.describe("nmnist", data_dir=tmp_path, cache=tmp_path / "none")
    assert (description.found, description.ready) == (missing, False)


def test_an_empty_recording_is_a_sample_without_events(tmp_path: Path):
    put(tmp_path, {**FILES, "Train/5/00007.bin": b"", "Train/6/00008.bin": b""})
    data = load(tmp_path)
    assert data.labels.tolist() == [3, 3, 5, 6, 7]
    assert not data.inputs[2:4].any()
    assert data.inputs[[0, 1, 4]].any(axis=(1, 2, 3, 4)).all()
    empty, _ = data.warnings
    assert empty == (
        "data set nmnist, train split: 2 of 5 recordings hold no event; they are samples without "
        "input"
    )


def test_no_event_at_all_is_a_fault(tmp_path: Path):
    put(tmp_path, {**FILES, **dict.fromkeys(only("Test"), b"")})
    with pytest.raises(DataError, match=r"Test/ holds no event in its 2 recordings"):
        load(tmp_path, "test")


def test_events_behind_the_last_frame_are_said_to_be_left_out(tmp_path: Path):
    four = [recorded((1, 1, 0, 3999), (2, 1, 0, 4000)), recorded((1, 1, 1, 0), (1, 1, 1, 7500))]
    files = {"Train/1/1.bin": four[0], "Train/2/2.bin": four[1], "Test/1/1.bin": four[0]}
    data = load(put(tmp_path, files))
    assert data.warnings == (
        "data set nmnist, train split: 50% of the events lie outside time_steps x bin_us = "
        "4 x 1000 us = 4 ms and are left out; the recordings last up to 7.5 ms",
    )
    assert load(tmp_path, frames=Frames(time_steps=8, bin_us=1000)).warnings == ()


def test_no_event_inside_the_frames_is_a_fault(tmp_path: Path):
    late = recorded((1, 1, 0, 4000), (2, 1, 0, 65000))
    put(tmp_path, {"Train/1/1.bin": late, "Test/1/1.bin": late})
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: Train/ holds no event inside time_steps x bin_us = 4 x 1000 us = 4 ms; its "
        "1 recording has its events from 4 to 65 ms; raise network.time_steps or data.bin_us"
    )
    assert load(tmp_path, frames=Frames(time_steps=5, bin_us=1000)).inputs[:].sum() == 1
