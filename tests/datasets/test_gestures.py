"""DVS128 Gesture: gestures cut out of recordings as the tables of labels say."""

from pathlib import Path

import numpy as np
import pytest

from tests.datasets.formats.test_events import packet
from tssl import datasets
from tssl.datasets.events import Frames
from tssl.datasets.gestures import CLASSES
from tssl.errors import DataError

HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
EVENTS = [  # x, y, time stamp, polarity
    (3, 4, 1_000, 1),
    (100, 127, 1_999, 0),
    (5, 6, 2_000, 1),
    (7, 8, 2_500, 0),
    (9, 9, 9_000, 1),
]
FRAMES = Frames(time_steps=2, bin_us=500)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return the folder that holds the published one: two recordings of two gestures each."""
    folder = tmp_path / "data" / "DvsGesture"
    folder.mkdir(parents=True)
    for split, name in (("train", "user01_led"), ("test", "user24_lab")):
        (folder / f"trials_to_{split}.txt").write_text(f"{name}.aedat\n\n")
        (folder / f"{name}.aedat").write_bytes(HEADER + packet(EVENTS[:3]) + packet(EVENTS[3:]))
        (folder / f"{name}_labels.csv").write_text(
            "class,startTime_usec,endTime_usec\n2,1000,2000\n11,2000,3000\n"
        )
    return tmp_path / "data"


def load(place: Path, split: str = "train", frames: Frames = FRAMES) -> datasets.Dataset:
    return datasets.load("dvs-gesture", split, data_dir=place, frames=frames, cache=place / "none")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_gesture_begins_where_its_table_says(place: Path, split: str) -> None:
    found = load(place, split)
    assert found.labels.tolist() == [1, 10]
    assert [found.class_names[label] for label in found.labels] == [
        "right hand wave",
        "other gestures",
    ]
    seen = [np.argwhere(found.inputs[number]).tolist() for number in range(2)]
    # time, polarity, y, x; an event at the end of a gesture is of the next one
    assert seen == [[[0, 1, 4, 3], [1, 0, 127, 100]], [[0, 1, 6, 5], [1, 0, 8, 7]]]


def test_it_is_described_by_its_tables(place: Path) -> None:
    (place / "DvsGesture" / "user01_led.aedat").unlink()  # no recording is opened
    found = datasets.describe("dvs-gesture", data_dir=place, cache=place)
    assert (found.train, found.test, found.classes) == (2, 2, 11)
    assert found.class_names == CLASSES
    assert found.ready
    assert not found.downloadable
    assert datasets.framing("dvs-gesture", time_steps=30) == Frames(time_steps=30, bin_us=50_000)


def test_a_gesture_that_lasts_longer_than_the_frames_is_said(place: Path) -> None:
    (warning,) = load(place, frames=Frames(time_steps=1, bin_us=400)).warnings
    assert "50% of the events lie outside" in warning


def test_missing_data_says_where_to_get_them(tmp_path: Path) -> None:
    assert not datasets.describe("dvs-gesture", data_dir=tmp_path, cache=tmp_path).ready
    with pytest.raises(DataError, match=r"not on this machine; unpack .*DvsGesture\.tar\.gz"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("trials_to_train.txt", b"\n", r"trials_to_train\.txt: names no recording"),
        ("trials_to_train.txt", b"user09.aedat", r"user09_labels\.csv: cannot be read: No such"),
        ("user01_led_labels.csv", b"class,start\n1,2\n", r"labels\.csv, line 2: expected whole"),
        (
            "user01_led_labels.csv",
            b"class,startTime_usec,endTime_usec\n12,0,1\n",
            r"line 2: class 12 from 0 to 1; classes are 1\.\.11",
        ),
        ("user01_led.aedat", b"hello", r"user01_led\.aedat: is no AEDAT 3\.1"),
        ("user01_led.aedat", HEADER + b"x", r"user01_led\.aedat: ends in the header of a packet"),
        (
            "user01_led.aedat",
            HEADER + packet([(128, 0, 1_000, 1)]),
            r"user01_led\.aedat: has events outside 128 x 128",
        ),
        ("user01_led.aedat", HEADER, r"DvsGesture: train split holds no event"),
    ],
)
def test_damage_is_one_line(place: Path, name: str, content: bytes, message: str) -> None:
    (place / "DvsGesture" / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(place)
