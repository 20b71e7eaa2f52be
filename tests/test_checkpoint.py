"""Checkpoints: what goes in comes out, and nothing damaged or foreign is taken for one."""

import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save_file

from tssl.checkpoint import FORMAT_VERSION, Checkpoint, load_tensors, save_tensors
from tssl.chip import Encoding
from tssl.errors import CheckpointError
from tssl.recipe import Recipe, recipe_from_tables
from tssl.version import __version__

RECIPE = recipe_from_tables(
    {
        "name": "small",
        "data": {"name": "digits"},
        "network": {
            "layers": [
                {"type": "conv", "channels": 3, "kernel": [2, 3]},
                {"type": "pool", "kernel": 2},
                {"type": "dense", "neurons": 4},
            ]
        },
    },
    "test",
)
SHAPE = (1, 5, 6)
SHAPES = {"conv1": (3, 1, 2, 3), "dense3": (4, 3 * 2 * 2)}


def checkpoint(weights: dict[str, np.ndarray] | None = None, recipe: Recipe = RECIPE) -> Checkpoint:
    drawn = np.random.default_rng(0)
    return Checkpoint(
        recipe=recipe,
        input_shape=SHAPE,
        encoding=Encoding(offset=0.25, gain=3.5, quantum=1 / 3),
        weights=weights
        or {name: drawn.normal(size=size).astype(np.float32) for name, size in SHAPES.items()},
        provenance={"epoch": 3, "accuracy": 0.5, "versions": {"torch": "2"}, "name": "Größe"},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "best.safetensors"
    checkpoint().save(target)
    return target


def document(path: Path) -> dict[str, Any]:
    return load_tensors(path)[1]


def assert_refused(path: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        Checkpoint.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_shapes_of_weights_by_hand():
    assert dict(checkpoint().graph.parameters.values()) == SHAPES


@settings(max_examples=20)
@given(
    conv=arrays(np.float32, SHAPES["conv1"], elements=st.floats(-4, 4, width=32)),
    dense=arrays(np.float32, SHAPES["dense3"], elements=st.floats(-4, 4, width=32)),
    offset=st.floats(-1, 1),
)
def test_round_trip(tmp_path_factory, conv, dense, offset):
    path = tmp_path_factory.getbasetemp() / "round-trip.safetensors"
    encoding = Encoding(offset=offset, gain=7.0, quantum=0.1)
    saved = replace(checkpoint({"conv1": conv, "dense3": dense}), encoding=encoding)
    saved.save(path)
    loaded = Checkpoint.load(path)
    assert loaded.recipe == saved.recipe
    assert loaded.input_shape == saved.input_shape
    assert loaded.encoding == saved.encoding
    assert loaded.provenance == saved.provenance
    assert loaded.weights.keys() == saved.weights.keys()
    for name, weight in saved.weights.items():
        assert loaded.weights[name].dtype == np.float32
        assert loaded.weights[name].tobytes() == weight.tobytes()  # signs of zero too


def test_transposed_weights_keep_their_order(tmp_path):
    weights = dict(checkpoint().weights)
    weights["dense3"] = np.asfortranarray(weights["dense3"])
    checkpoint(weights).save(tmp_path / "transposed")
    loaded = Checkpoint.load(tmp_path / "transposed").weights["dense3"]
    assert np.array_equal(loaded, weights["dense3"])


def test_saving_twice_gives_the_same_bytes(path, tmp_path):
    checkpoint().save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_the_header_is_plain_json(path):
    """Anybody can read a checkpoint without this project."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["conv1"]["dtype"] == "F32"
    assert json.loads(header["__metadata__"]["tssl"])["format_version"] == FORMAT_VERSION


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_truncated(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    assert_refused(path, "cannot be read as a checkpoint")


def test_any_damaged_byte_is_refused_or_harmless(path):
    """Inside the header; what follows are the weights, in which every pattern is a number."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    refused = 0
    for place in range(0, end, 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            Checkpoint.load(path)
        except CheckpointError as error:
            assert str(path) in str(error)  # noqa: PT017 - most, not all, must raise
            refused += 1
    assert refused > end // 7 // 2


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return (Path.touch, (self.path,))


def test_pickles_are_never_loaded(tmp_path):
    sprung = tmp_path / "sprung"
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(Trap(sprung)))
    assert_refused(path, "cannot be read as a checkpoint")
    assert not sprung.exists()
    pickle.loads(path.read_bytes())  # the trap works
    assert sprung.exists()


def test_missing_file_and_folder(tmp_path):
    assert_refused(tmp_path / "absent", "cannot be read as a checkpoint")
    assert_refused(tmp_path, "cannot be read as a checkpoint")


def test_foreign_safetensors(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file(checkpoint().weights, path)
    assert_refused(path, "was not written by tssl")
    save_file(checkpoint().weights, path, metadata={"format": "pt"})
    assert_refused(path, "was not written by tssl")
    save_file(checkpoint().weights, path, metadata={"tssl": "[1, 2]"})
    assert_refused(path, "was not written by tssl")
    save_file(checkpoint().weights, path, metadata={"tssl": "{"})
    assert_refused(path, "cannot be read as a checkpoint")
    save_file(checkpoint().weights, path, metadata={"tssl": "[" * 100_000})
    assert_refused(path, "cannot be read as a checkpoint")


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, "1", None])
def test_other_format_versions(path, version):
    save_tensors(path, checkpoint().weights, {**document(path), "format_version": version})
    assert_refused(path, f"format_version = {version}; this tssl reads {FORMAT_VERSION}")


@pytest.mark.parametrize("key", ["recipe", "input_shape", "encoding", "provenance"])
@pytest.mark.parametrize("value", ["absent", None, 3, [1, 2], {"x": 1}, "text"])
def test_damaged_documents(path, key, value):
    changed = document(path)
    del changed[key]
    if value != "absent":
        changed[key] = value
    save_tensors(path, checkpoint().weights, changed)
    if key == "provenance" and value == {"x": 1}:
        assert Checkpoint.load(path).provenance == value
        return
    if key == "recipe" and value != "absent":
        assert_refused(path, "key 'name' is missing|unknown key|must be a")
    else:
        assert_refused(path, "is not a tssl checkpoint")


@pytest.mark.parametrize("shape", [[0, 5, 6], [-1, 5, 6], [1, 5], [1, 5, 6.5], [True, 5, 6]])
def test_damaged_input_shapes(path, shape):
    save_tensors(path, checkpoint().weights, {**document(path), "input_shape": shape})
    assert_refused(path, "is not a tssl checkpoint")


def test_an_input_too_small_for_the_kernels(path):
    save_tensors(path, checkpoint().weights, {**document(path), "input_shape": [1, 1, 1]})
    assert_refused(path, r"conv1 with kernel \(2, 3\) does not fit")


def test_recipes_that_are_not_valid(path):
    recipe = {**document(path)["recipe"], "name": "../x"}
    save_tensors(path, checkpoint().weights, {**document(path), "recipe": recipe})
    assert_refused(path, "name: must be letters")


def test_recipes_of_another_version(path):
    own = document(path)
    recipe = {**own["recipe"], "data": {"name": "digits", "denoise_us": 5}}
    save_tensors(path, checkpoint().weights, {**own, "recipe": recipe})
    assert_refused(path, r"unknown key 'data\.denoise_us'; known keys: .*time_unit$")
    written = {**own, "recipe": recipe, "provenance": {"tssl": "7.0.0"}}
    save_tensors(path, checkpoint().weights, written)
    by = f"; tssl 7.0.0 wrote it, and this is tssl {__version__}"
    assert_refused(path, rf"unknown key 'data\.denoise_us'.*{re.escape(by)}$")


@pytest.mark.parametrize(
    "encoding",
    [
        {"offset": "0", "gain": 1.0, "quantum": 1.0},
        {"offset": 0.0, "gain": None, "quantum": 1.0},
        {"offset": 0.0, "gain": 1.0, "quantum": float("nan")},
        {"offset": 0.0, "gain": 1.0},
    ],
)
def test_damaged_encodings(path, encoding):
    save_tensors(path, checkpoint().weights, {**document(path), "encoding": encoding})
    assert_refused(path, "is not a tssl checkpoint")


def test_missing_weights(tmp_path):
    weights = dict(checkpoint().weights)
    del weights["dense3"]
    checkpoint(weights).save(tmp_path / "file")
    assert_refused(tmp_path / "file", "has no weights for layer dense3")


@pytest.mark.parametrize("shape", [(4, 11), (12, 4), (48,), (4, 12, 1)])
def test_misshapen_weights(tmp_path, shape):
    weights = {**checkpoint().weights, "dense3": np.ones(shape, np.float32)}
    checkpoint(weights).save(tmp_path / "file")
    assert_refused(tmp_path / "file", r"layer dense3 have shape .*, not \(4, 12\)")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(tmp_path, value):
    weights = {name: weight.copy() for name, weight in checkpoint().weights.items()}
    weights["conv1"][2, 0, 1, 1] = value
    checkpoint(weights).save(tmp_path / "file")
    assert_refused(tmp_path / "file", "layer conv1 has weights that are not finite")
