"""Times and units in HDF5, written as the Spiking Heidelberg Digits are."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.contract.mutations import spoiled
from tssl import datasets
from tssl.datasets import Frames, Reading, given_source
from tssl.datasets.formats import spikes
from tssl.errors import ConfigError, DataError, TsslError

FRAMES = Frames(time_steps=4, bin_us=250_000)
SAMPLES = [([0.0, 0.3, 0.99], [4, 0, 6]), ([0.26], [2]), ([], []), ([0.5, 0.5], [1, 1])]


def write(path: Path, samples=SAMPLES, labels=(0, 1, 0, 1), keys=(b"null", b"eins")) -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group("spikes")
        for at, (name, kind) in enumerate((("times", np.float16), ("units", np.uint16))):
            column = group.create_dataset(name, (len(samples),), h5py.vlen_dtype(kind))
            for number, sample in enumerate(samples):
                column[number] = np.array(sample[at], kind)
        file["labels"] = np.array(labels, np.uint16)
        if keys:
            file["extra/keys"] = np.array(keys)
    return path


def load(path: Path, split: str = "train", **reading: object) -> datasets.Dataset:
    source = given_source(path, Reading(**reading))
    return datasets.load(source, split, data_dir=None, frames=FRAMES)


def test_two_files(tmp_path: Path):
    write(tmp_path / "shd_train.h5")
    write(tmp_path / "shd_test.h5", SAMPLES[:2], (1, 0))
    train, test = load(tmp_path), load(tmp_path, "test")
    assert train.class_names == ("null", "eins")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 1], [1, 0])
    assert train.shape == (1, 1, 7)
    expected = np.zeros((4, 7), np.uint8)
    expected[0, 4] = expected[1, 0] = expected[3, 6] = 1
    assert np.array_equal(train.inputs[0][:, 0, 0], expected)
    assert "1 recording without events is left out" in train.warnings[0]
    assert load(tmp_path, size=(1, 700)).shape == (1, 1, 700)
    with pytest.raises(ConfigError, match=r"data\.split_seed: .* has a test split"):
        load(tmp_path, split_seed=1)


def test_one_file(tmp_path: Path):
    path = write(tmp_path / "x.hdf5", SAMPLES * 300, (0, 1, 0, 1) * 300, keys=())
    train = load(path)
    assert train.class_names == ("0", "1")
    assert "240 of 1200 samples" in train.warnings[0]
    assert np.bincount(load(path, "test").labels)[1] == 120


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": (0, 1)}, "uint16 labels of shape .2,., 4 times and 4 units; expected"),
        ({"labels": (0, 1, 0, 60000)}, "labels of 4 samples are 0 to 60000; they begin at 0"),
        ({"samples": [([0.1, 0.2], [1]), *SAMPLES[1:]]}, "sample 0: has 2 times and 1 units"),
        ({"samples": [([np.nan], [1]), *SAMPLES[1:]]}, "sample 0: has times that are no seconds"),
        ({"samples": [([0.3, 0.1], [1, 2]), *SAMPLES[1:]]}, "event 2 is at .* must not go back"),
    ],
)
def test_what_is_refused(changes: dict, message: str, tmp_path: Path):
    write(tmp_path / "train.h5", **changes)
    write(tmp_path / "test.h5")
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_files_that_are_none(tmp_path: Path):
    (tmp_path / "x.h5").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"x\.h5: holds no spikes/times, spikes/units and labels"):
        load(tmp_path / "x.h5")


def test_spoilt_files(tmp_path: Path):
    content = write(tmp_path / "good.h5").read_bytes()
    for case in range(120):
        path = tmp_path / "x.h5"
        path.write_bytes(spoiled(content, np.random.default_rng(case)))
        spikes._block.cache_clear()
        said = ""
        try:
            load(path)
        except TsslError as error:
            said = str(error)
        assert "\n" not in said, case
