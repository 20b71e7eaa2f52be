"""Results to disk and back, and damaged ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.test_counting import STEPS, assert_equal_counts, collected, in_chunks
from tssl.errors import DataError
from tssl.results import RunResult
from tssl.results.result import SCHEMA_VERSION


@pytest.fixture
def parts(rng: np.random.Generator) -> Any:
    return in_chunks(rng)


@pytest.mark.parametrize("labels", [None, np.array([0, 1, 2, 3, 0, 1, 2, 3])])
def test_a_result_survives_the_disk(parts: Any, tmp_path: Path, labels: np.ndarray | None):
    result = collected(parts, labels=labels)
    result.save(tmp_path / "run")
    again = RunResult.load(tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "result.json",
        "result.npz",
    ]
    for name in ("backend", "network", "digest", "data", "seconds", "accuracy"):
        assert getattr(again, name) == getattr(result, name)
    for name in ("output_spikes", "spike_counts", "predictions", "labels"):
        assert np.array_equal(getattr(again, name), getattr(result, name))
    assert again.output_spikes.dtype == np.uint8
    assert_equal_counts(again.counts, result.counts)
    assert again.document() == result.document()


def test_the_document_is_json_with_a_schema(parts: Any, tmp_path: Path):
    collected(parts).save(tmp_path)
    document = json.loads((tmp_path / "result.json").read_text())
    assert document["schema_version"] == SCHEMA_VERSION
    assert (document["samples"], document["time_steps"]) == (8, STEPS)
    assert document["layers"] == ["a", "b"]


@pytest.fixture
def saved(parts: Any, tmp_path: Path) -> Path:
    """The folder of a good result."""
    collected(parts).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("result.json", "holds no result.json; give a folder that `tssl run` wrote"),
        ("result.npz", "result.npz: is missing; run the network again"),
    ],
)
def test_a_missing_file_is_a_data_error(saved: Path, name: str, message: str):
    (saved / name).unlink()
    with pytest.raises(DataError, match=message):
        RunResult.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema_version = 99; this tssl reads 1; run the network again"),
        ({"schema_version": None}, "schema_version = None"),
        ({"backend": ...}, "cannot be read as a run result: .*backend"),
        ({"layers": ...}, "cannot be read as a run result"),
        ({"layers": 3}, "cannot be read as a run result"),
        ({"layers": ["a"]}, "cannot be read as a run result"),
        ({"samples": "8"}, "cannot be read as a run result"),
        ({"samples": 9}, "cannot be read as a run result"),
        ({"seconds": None}, "cannot be read as a run result"),
        ({"source": "digits"}, "cannot be read as a run result"),
        ({"source": {"place": "x"}}, "cannot be read as a run result"),
        ({"source": {"data": 3}}, "source: data is no text"),
        ({"source": {"file": "\udc00.npy"}}, "surrogates not allowed"),
        ({"input_range": [3, 1]}, "input_range = "),
    ],
)
def test_a_changed_document_is_a_data_error(saved: Path, change: dict[str, Any], message: str):
    path = saved / "result.json"
    document = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not ...}))
    with pytest.raises(DataError, match=message):
        RunResult.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"predictions": None},
        {"counts.spikes": None},
        {"counts.unknown": np.zeros(1)},
        {"predictions": np.array([None] * 8)},  # objects would need pickle
        {"predictions": np.zeros(7, np.int64)},
        {"labels": np.zeros(7, np.int64)},
        {"spike_counts": np.zeros((8, 3), np.int64)},
        {"output_spikes": np.zeros((8, 5, 4), np.uint8)},
        {"counts.spikes": np.zeros((2, 5), np.int64)},
        {"counts.stored_zeros": np.zeros((2, 5), np.int64)},
        {"counts.neurons": np.zeros(3, np.int64)},
    ],
    ids=lambda change: "-".join(f"{key}{np.shape(value)}" for key, value in change.items()),
)
def test_changed_arrays_are_a_data_error(saved: Path, change: dict[str, Any]):
    path = saved / "result.npz"
    with np.load(path) as file:
        arrays = {**file, **change}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(DataError, match=r"result\.npz: cannot be read as a run result"):
        RunResult.load(saved)


def test_any_truncation_or_flipped_byte_is_a_data_error_or_harmless(saved: Path):
    path = saved / "result.npz"
    content = path.read_bytes()
    refused = 0
    damaged = [content[:size] for size in range(0, len(content), 61)]
    for position in range(0, len(content), 3):
        flip = bytes([content[position] ^ (1 << position % 8)])
        damaged.append(content[:position] + flip + content[position + 1 :])
    for data in (*damaged, b"PK", b"\x93NUMPY", b"\x80\x04.", b"text"):
        path.write_bytes(data)
        try:
            RunResult.load(saved)
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)  # noqa: PT017 -- most bytes, not all, are vital
    assert refused > len(damaged) / 2


def test_a_single_array_in_the_place_of_the_archive_is_a_data_error(saved: Path):
    with (saved / "result.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"result\.npz"):
        RunResult.load(saved)
