"""Files of events: real samples, small ones written another way, and spoilt ones."""

import io
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.contract.mutations import respelled, spoiled
from tssl import datasets
from tssl.datasets import Frames, Reading, given_source
from tssl.datasets.events import Events
from tssl.datasets.formats import aedat, cameras, lists
from tssl.datasets.formats.recordings import Recording
from tssl.errors import BackendUnavailableError, DataError, TsslError

EVENTS = [(3, 1, 5, 1), (0, 7, 5, 0), (120, 100, 900, 1), (127, 0, 70_000, 0)]
"""x, y, microseconds, polarity."""
Read = Callable[[Path, Reading], Recording]


def read(reader: Read, folder: Path, content: bytes, **reading: object) -> Recording:
    (folder / "x").write_bytes(content)
    return reader(folder / "x", Reading(**reading))


def listed(recording: Recording) -> list[tuple[int, ...]]:
    events = recording.events
    columns = (events.x, events.y, events.time_us, events.polarity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def from_first(events: list) -> list:
    return [(x, y, t - events[0][2], p) for x, y, t, p in events]


# ------------------------------------------------------------------------ made one by one


def in_bin(events: list = EVENTS) -> bytes:
    return b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, t, p in events)


def in_dat(header: str = "% Data file\n% Width 304\n% Height 240\n") -> bytes:
    packed = (
        t.to_bytes(4, "little") + (p << 28 | y << 14 | x).to_bytes(4, "little")
        for x, y, t, p in EVENTS
    )
    return header.encode() + bytes([0, 8]) + b"".join(packed)


def in_aedat2(chip: str = "") -> bytes:
    header = f"#!AER-DAT2.0\r\n# Timestamps tick is 1 us\r\n{chip}"
    if chip:
        addresses = [(t, y << 22 | x << 12 | p << 11) for x, y, t, p in EVENTS]
        addresses.insert(1, (6, 1 << 31))  # of the frames
    else:
        addresses = [(t, y << 8 | x << 1 | p) for x, y, t, p in EVENTS]
        addresses.insert(1, (6, 1 << 15))  # of a trigger
    rows = (address.to_bytes(4, "big") + t.to_bytes(4, "big") for t, address in addresses)
    return header.encode() + b"".join(rows)


def packet(events: list, *, kind: int = 1, overflow: int = 0) -> bytes:
    head = kind.to_bytes(2, "little") + bytes(2)
    numbers = (8, 4, overflow, len(events), len(events), len(events))
    head += b"".join(number.to_bytes(4, "little") for number in numbers)
    rows = (
        (x << 17 | y << 2 | p << 1 | 1).to_bytes(4, "little") + t.to_bytes(4, "little")
        for x, y, t, p in events
    )
    return head + b"".join(rows)


def in_aedat3() -> bytes:
    header = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    return header + packet(EVENTS[:2]) + packet([(1, 1, 1, 1)], kind=3) + packet(EVENTS[2:])


def in_npy(array: np.ndarray) -> bytes:
    np.save(buffer := io.BytesIO(), array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("reader", "content", "shape"),
    [
        (cameras.read_bin, in_bin(), (2, 0, 0)),
        (cameras.read_dat, in_dat(), (2, 240, 304)),
        (cameras.read_dat, in_dat(""), (2, 0, 0)),
        (aedat.read, in_aedat2(), (2, 128, 128)),
        (
            aedat.read,
            in_aedat2("# AEChip: eu.seebetter.ini.chips.davis.Davis346\r\n"),
            (2, 260, 346),
        ),
        (aedat.read, in_aedat3(), (2, 128, 128)),
    ],
    ids=["bin", "dat", "dat without a header", "aedat 2", "aedat 2, davis", "aedat 3.1"],
)
def test_cameras(reader: Read, content: bytes, shape: tuple, tmp_path: Path):
    recording = read(reader, tmp_path, content)
    assert recording.shape == shape
    expected = EVENTS if reader is cameras.read_bin else from_first(EVENTS)
    assert listed(recording) == expected


def test_time_stamps_of_aedat_3_overflow(tmp_path: Path):
    content = in_aedat3() + packet([(0, 0, 4, 0)], overflow=1)
    assert listed(read(aedat.read, tmp_path, content))[-1] == (0, 0, (1 << 31) + 4 - 5, 0)


ARRAY = np.array(EVENTS)
FIELDS = np.zeros(len(EVENTS), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
for _name, _column in zip(("x", "y", "t", "on"), ARRAY.T, strict=True):
    FIELDS[_name] = _column
TEXT = "\n".join(",".join(map(str, event)) for event in EVENTS)
NAMED = "t_ms,y,x,p\n" + "\n".join(f"{t / 1000},{y},{x},{p}" for x, y, t, p in EVENTS)


@pytest.mark.parametrize(
    ("reader", "content", "unit"),
    [
        (lists.read_npy, in_npy(ARRAY), "us"),
        (lists.read_npy, in_npy(FIELDS), "us"),
        (lists.read_npy, in_npy(ARRAY * [1, 1, 1e-6, 1]), "s"),
        (lists.read_npy, in_npy(np.where(ARRAY == 0, ARRAY - [0, 0, 0, 1], ARRAY)), "us"),
        (lists.read_csv, TEXT.encode(), "us"),
        (lists.read_csv, f"x,y,t,p\n{TEXT}\n".encode(), "us"),
        (lists.read_csv, NAMED.encode(), None),
        (lists.read_csv, NAMED.encode(), "ms"),
    ],
    ids=["npy", "fields", "seconds", "minus 1", "csv", "csv, headed", "csv, unit", "csv, both"],
)
def test_lists(reader: Read, content: bytes, unit: str | None, tmp_path: Path):
    recording = read(reader, tmp_path, content, time_unit=unit)
    assert listed(recording) == EVENTS
    assert recording.shape == (2, 0, 0)


def test_lists_of_units_alone(tmp_path: Path):
    recording = read(lists.read_csv, tmp_path, b"x,t_us\n4,0\n2,7\n")
    assert listed(recording) == [(4, 0, 0, 0), (2, 0, 7, 0)]
    assert recording.shape == (1, 1, 0)


@pytest.mark.parametrize(
    ("reader", "content", "reading", "message"),
    [
        (cameras.read_dat, in_dat()[:-1], {}, "not a whole number of 8"),
        (cameras.read_dat, b"% no end", {}, "ends in its header"),
        (cameras.read_dat, b"hello", {}, "behind its header stands 68 65, and not 00 08"),
        (cameras.read_dat, b"", {}, "behind its header stands nothing"),
        (aedat.read, b"hello", {}, r"AEDAT version none; 2\.0, 3\.1 and 4\.0 can be read"),
        (aedat.read, in_aedat2()[:-1], {}, "not a whole number of 8"),
        (aedat.read, in_aedat2() + bytes([1] * 8), {}, "addresses that no DVS128 has"),
        (aedat.read, in_aedat3()[:-1], {}, "ends in the middle of a packet"),
        (aedat.read, in_aedat3() + b"x", {}, "ends in the header of a packet"),
        (aedat.read, in_aedat3()[:40], {}, "ends in its header"),
        (aedat.read, b"#!AER-DAT4.0\r\n", {}, "has a damaged header"),
        (lists.read_npy, in_npy(ARRAY), {}, "call them t_us, t_ms or t_s in the file, or set"),
        (lists.read_npy, in_npy(ARRAY[:, :3]), {}, r"is int64 of shape \(4, 3\); expected events"),
        (lists.read_npy, in_npy(ARRAY + 0.5), {"time_unit": "us"}, "event 1 has x = 3.5"),
        (lists.read_npy, in_npy(ARRAY * np.nan), {"time_unit": "us"}, "event 1 has x = nan"),
        (lists.read_npy, in_npy(ARRAY * [1, 1, 1e18, 1]), {"time_unit": "s"}, "of .* cannot be"),
        (lists.read_npy, b"hello", {}, "is no .npy file, or its header is damaged"),
        (lists.read_npy, in_npy(np.full((3, 2, 4), 0.5)), {}, "holds the value 0.5; expected 0"),
        (lists.read_csv, NAMED.encode(), {"time_unit": "s"}, "says t_ms; data.time_unit = 's' con"),
        (lists.read_csv, b"x,y,q\n1,2,3", {}, "has columns x, y, q; expected x, y, t, p"),
        (lists.read_csv, TEXT.encode() + b"\n1,2", {}, "is no table of numbers"),
        (lists.read_csv, b"x,t\n1,a", {}, "is no table of numbers"),
        (lists.read_csv, b"\xff\xfe", {}, "is no text"),
    ],
)  # fmt: skip
def test_what_is_refused(reader: Read, content: bytes, reading: dict, message: str, tmp_path: Path):
    with pytest.raises(DataError, match=message) as raised:
        read(reader, tmp_path, content, **reading)
    assert "\n" not in str(raised.value)


def test_units_that_cannot_be(tmp_path: Path):
    for split in ("train", "test"):
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "1.npy").write_bytes(in_npy(ARRAY))
    source = given_source(tmp_path, Reading(time_unit="s"))
    with pytest.raises(DataError, match=r"lasts from 5 to 70000 s; 0 to 3600 are possible \(is"):
        datasets.load(source, "train", data_dir=None, frames=Frames(time_steps=5, bin_us=1000))


NOTHING = Events(*np.zeros((4, 0), np.int64))
GOOD: dict[str, tuple[Read, bytes, dict]] = {
    "bin": (cameras.read_bin, in_bin(), {}),
    "dat": (cameras.read_dat, in_dat(), {}),
    "aedat2": (aedat.read, in_aedat2(), {}),
    "aedat3": (aedat.read, in_aedat3(), {}),
    "npy": (lists.read_npy, in_npy(ARRAY), {"time_unit": "us"}),
    "fields": (lists.read_npy, in_npy(FIELDS), {"time_unit": "us"}),
    "tactile": (lists.read_npy, in_npy(np.eye(6).reshape(3, 2, 6)), {}),
    "csv": (lists.read_csv, NAMED.encode(), {}),
}


@pytest.mark.parametrize("name", GOOD)
def test_spoilt_files(name: str, tmp_path: Path):
    """Each is refused in one line, or read as events."""
    reader, content, reading = GOOD[name]
    for case in range(150):
        rng = np.random.default_rng(case)
        is_text = name == "csv" and case % 2
        bad = respelled(content.decode(), rng).encode() if is_text else spoiled(content, rng)
        try:
            recording, said = read(reader, tmp_path, bad, **reading), ""
        except TsslError as error:
            recording, said = Recording(NOTHING, (1, 1, 1)), str(error)
        assert "\n" not in said, case
        assert len({len(axis) for axis in recording.events}) == 1, case
        assert all(axis.dtype == np.int64 for axis in recording.events), case


def test_a_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "aedat", None)
    with pytest.raises(BackendUnavailableError, match=r"install .* pip install 'tssl\[data\]'"):
        read(aedat.read, tmp_path, b"#!AER-DAT4.0\r\n")


# ----------------------------------------------------------------------- real recordings


@pytest.fixture(scope="session")
def samples(shared_dir: Path) -> Path:
    folder = shared_dir / "data" / "format_samples"
    if not folder.is_dir():
        pytest.skip(f"needs the recordings in {folder}")
    return folder


def test_real_recordings(samples: Path):
    """Where the numbers were read off the bytes by hand, or with struct, is said beside them."""
    ncars = cameras.read_dat(samples / "sample_ncars.dat", Reading())
    assert listed(ncars)[:2] == [(25, 8, 0, 0), (67, 35, 35, 0)]  # 0x00020019, 0x0008c043
    content = (samples / "sample_ncars.dat").read_bytes()
    pairs = struct.iter_unpack("<II", content[content.index(b"\0\x08") + 2 :])
    expected = [(x & 0x3FFF, x >> 14 & 0x3FFF, t, x >> 28) for t, x in pairs]
    assert listed(ncars) == expected
    nmnist = cameras.read_bin(samples / "sample_nmnist.bin", Reading())
    assert len(nmnist.events.x) == 4325
    assert nmnist.events.x.max() < 34
    davis = aedat.read(samples / "sample.aedat4", Reading())
    assert davis.shape == (2, 240, 320)
    assert listed(davis)[:3] == [(154, 204, 0, 0), (149, 206, 3, 0), (148, 199, 4, 1)]
    assert (np.diff(davis.events.time_us) >= 0).all()


def test_half_a_real_recording_and_spoilt_ones(samples: Path, tmp_path: Path):
    content = (samples / "sample.aedat4").read_bytes()
    with pytest.raises(DataError, match="cannot be read as AEDAT 4: "):
        read(aedat.read, tmp_path, content[:500_000])
    for case in range(40):  # its head, where panics of its reader come from
        bad = spoiled(content[:1500], np.random.default_rng(case)) + content[1500:]
        said = ""
        try:
            read(aedat.read, tmp_path, bad)
        except DataError as error:
            said = str(error)
        assert "\n" not in said, case


def test_real_gestures(shared_dir: Path, tmp_path: Path):
    archive = shared_dir / "data" / "dvsgesture_samples" / "dvsgesture_10_samples.tar.xz"
    if not archive.exists():
        pytest.skip(f"needs {archive}")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    files = sorted(tmp_path.glob("*.bin"))
    rows = "".join(
        f"{file.name},{file.stem[3:]},{split}\n" for split in datasets.SPLITS for file in files[:2]
    )
    (tmp_path / "labels.csv").write_text(f"file,label,split\n{rows}")
    data = datasets.load(
        given_source(tmp_path), "train", data_dir=None, frames=Frames(time_steps=29, bin_us=50_000)
    )
    assert data.class_names == ("hand_clapping", "right_hand_wave")
    assert data.shape == (2, 128, 128)
    assert data.warnings == (), "1.45 s are covered"
    content = np.frombuffer(files[0].read_bytes(), np.uint8).reshape(-1, 5)
    first = {(int(p) >> 7, int(y), int(x)) for x, y, p, *_ in content[:200]}
    assert {tuple(place) for place in np.argwhere(data.inputs[0][0]).tolist()} >= first


def test_a_real_folder_reads_as_the_named_data_set(shared_dir: Path, tmp_path: Path):
    archive = shared_dir / "data" / "nmnist" / "nmnist_first1000_100_raw.tar.xz"
    if not archive.exists():
        pytest.skip(f"needs {archive}")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    frames = Frames(time_steps=30, bin_us=3000)
    source = given_source(tmp_path, Reading(size=(34, 34)))
    for split in datasets.SPLITS:
        own = datasets.load(source, split, data_dir=None, frames=frames)
        named = datasets.load("nmnist", split, data_dir=tmp_path, frames=frames)
        key = np.lexsort
        assert len(own) == len(named)
        rows = [
            one.inputs.bits[key((*one.inputs.bits[:, 500:520].T, one.labels))]
            for one in (own, named)
        ]
        assert np.array_equal(*rows), "in another order"
