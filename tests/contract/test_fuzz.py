"""Spoilt files of every kind: a reader refuses each in one line, or reads what it says.

A failure names its kind and case; ``--rng-seed CASE`` runs that case alone. ``make fuzz`` draws new
cases for as long as one likes (``tests/contract/fuzz.py``); one that fails is added to ``FAILED``.
"""

import atexit
import gzip
import hashlib
import io
import json
import pickle
import re
import resource
import shutil
import struct
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tomli_w
import torch

from tests.contract import nir_files
from tests.contract.mutations import EVIL, altered, pick, regrown, respelled, spoiled
from tests.datasets.formats.test_events import GOOD as EVENTS
from tests.datasets.formats.test_pictures import PICTURE
from tests.datasets.formats.test_sound import SHORT as SOUND
from tests.datasets.test_cifar10 import ARCHIVE as CIFAR_ARCHIVE
from tests.datasets.test_cifar10 import CONTENTS as CIFAR_CONTENTS
from tests.datasets.test_cifar10 import batch, put, small_source
from tests.datasets.test_nmnist import FILES as RECORDINGS
from tests.datasets.test_packed import tarred, zipped
from tests.datasets.test_tactile import FILES as TACTILE
from tests.datasets.test_tactile import small_source as small_tactile
from tests.graphs import graph_net, sew_net, skipped_input_net
from tests.lava_runtime.networks import MAKERS
from tests.test_checkpoint import checkpoint
from tests.trainer import tiny
from tssl import datasets, netx
from tssl.checkpoint import Checkpoint, load_tensors, save_tensors
from tssl.chip import ChipNetwork, CubaNeuron, Encoding
from tssl.datasets import Frames, Reading
from tssl.datasets.cifar10 import read_batch
from tssl.datasets.formats import pictures, sound
from tssl.datasets.idx import IdxFile, read_idx
from tssl.engine import Engine
from tssl.errors import CheckpointError, DataError, NetFileError, TsslError
from tssl.graph import resolve
from tssl.hw_profiles import check_limits, estimate, load_profile, map_to_cores, profile_names
from tssl.machine.files import read_toml
from tssl.recipe import load_recipe
from tssl.results import RunResult
from tssl.trainer.run_directory import RunDirectory
from tssl.workflow.inputs import InputChoice, Inputs, load_inputs
from tssl.workflow.inspect import inspect
from tssl.workflow.run import run_network

pytestmark = pytest.mark.timeout(240)
CASES = 40
FAILED = {"nmnist": (305551993, 305552079), "npy": (305559985,), "nir-tree": (1016, 1178)}
"""Cases that a reader failed once, by kind."""
SECONDS = 10.0
"""Of the processor, for one case: more is a hang, however busy the machine is."""
MEBIBYTE = 1 << 20
RECIPES = Path(datasets.__file__).parents[1] / "trainer" / "recipes"


Rng = np.random.Generator


@dataclass(frozen=True)
class Kind:
    """A kind of file: how a good one is spoilt in a folder, and what reading it must give.

    ``spoil`` returns what it did; ``read`` raises a ``TsslError``, or asserts that what it
    read is right.
    """

    name: str
    spoil: Callable[[Rng, Path], str]
    read: Callable[[Path], None]


def run_case(kind: Kind, number: int, folder: Path) -> bool:
    """Return whether the file of a case was accepted."""
    rng = np.random.default_rng([zlib.crc32(kind.name.encode()), number])
    said = kind.spoil(rng, folder)
    started = time.process_time()
    problem, accepted, cause = "", True, None
    try:
        kind.read(folder)
    except TsslError as error:
        problem, accepted = _problem(str(error)), False
    except Exception as error:  # noqa: BLE001 - whatever a reader lets out
        problem, cause = f"{type(error).__name__}: {error}", error
    seconds = time.process_time() - started
    if seconds > SECONDS:
        problem = f"took {seconds:.1f} s"
    if problem:
        text = f"{kind.name}, case {number} ({said}): {problem}; repeat with --rng-seed {number}"
        raise AssertionError(text) from cause
    return accepted


def _problem(message: str) -> str:
    """Say what is wrong with an error's message."""
    if "\n" in message or len(message) > 10_000:
        return f"not one line: {message[:500]!r}"
    return ""


# ----------------------------------------------------------------------------- .net files


NETWORKS = (*MAKERS, sew_net, graph_net, skipped_input_net)


def kept_folder() -> Path:
    """Return a new folder that goes with the process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return folder


@cache
def network(number: int) -> ChipNetwork:
    made = NETWORKS[number % len(NETWORKS)](np.random.default_rng(7))
    return replace(made, encoding=Encoding(offset=0.1, gain=15.0, quantum=1 / 15), time_steps=5)


@cache
def sealed(number: int) -> bytes:
    """Return a ``.net`` file as an export writes it."""
    one = network(number)
    notes = {"proof": {"digest": one.digest, "verdict": "PASS", "stages": []}, "data": "digits"}
    with tempfile.TemporaryDirectory() as folder:
        netx.write(Path(folder) / "x.net", one, notes)
        return (Path(folder) / "x.net").read_bytes()


@cache
def foreign(number: int) -> bytes:
    """Return the same network as others write it: without attributes, in an older or packed way."""
    options = ({}, {"chunks": True, "compression": "gzip", "shuffle": True})[number // 6 % 2]
    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(sealed(number)), "r") as good, h5py.File(buffer, "w") as file:

        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                file.create_dataset(name, data=item[()], **(options if item.shape else {}))

        good.visititems(visit)
    return buffer.getvalue()


def spoil_sealed(rng: Rng, folder: Path) -> str:
    number = int(rng.integers(len(NETWORKS)))
    (folder / "x.net").write_bytes(spoiled(sealed(number), rng))
    (folder / "number").write_text(str(number))
    return "bytes"


def spoil_foreign(rng: Rng, folder: Path) -> str:
    number = int(rng.integers(2 * len(NETWORKS)))
    (folder / "x.net").write_bytes(spoiled(foreign(number), rng))
    return "bytes"


def spoil_tree(rng: Rng, folder: Path) -> str:
    """Change the tree of a file as a tool would, which makes the seal wrong or takes it away."""
    number = int(rng.integers(len(NETWORKS)))
    buffer = io.BytesIO(sealed(number))
    with h5py.File(buffer, "r+") as file:
        said = regrown(file, rng)
        keep_seal = rng.random() < 0.3
        if not keep_seal:
            del file.attrs["tssl_sha256"]
    (folder / "x.net").write_bytes(buffer.getvalue())
    (folder / "number").write_text(str(number))
    return f"{said}, {'with' if keep_seal else 'without'} seal"


def read_net(folder: Path) -> None:
    """Whatever is read is a network that can be looked at, run, written and read again."""
    path = folder / "x.net"
    found = netx.read(path)
    json.dumps(inspect(path).document(), ensure_ascii=False).encode()
    assert_legal(found)
    netx.write(folder / "again.net", found)
    assert_same(netx.read(folder / "again.net"), found)
    if found.input.neurons * sum(layer.neurons for layer in found.layers) < 1 << 20:
        train = np.random.default_rng(0).integers(0, 3, (1, 2, found.input.neurons))
        inputs = Inputs(train=train, time_steps=3, labels=None, text="")
        run_network(found, inputs, Engine(), lambda _: None)


def read_sealed(folder: Path) -> None:
    """A file that still has its seal holds what was written."""
    read_net(folder)
    with h5py.File(folder / "x.net", "r") as file:
        has_seal = "tssl_sha256" in file.attrs
    found, notes = netx.read(folder / "x.net"), netx.read_notes(folder / "x.net")
    proof = notes.get("proof")
    if isinstance(proof, dict) and "digest" in proof and proof["digest"] is not None:
        assert proof["digest"] == found.digest, "a network is taken for a proven one"
    if has_seal:
        assert_same(found, network(int((folder / "number").read_text())))


def assert_legal(found: ChipNetwork) -> None:
    """All numbers are such that Lava holds them."""
    assert found.time_steps is None or found.time_steps >= 1
    assert min(found.input.shape) >= 1
    for layer in found.layers:
        assert abs(layer.synapses.weight).max() < 1 << 31
        assert -(1 << 15) <= layer.bias.min() <= layer.bias.max() < 1 << 15
        assert_legal_neuron(layer.neuron)
        assert layer.synapses.fan_out().shape == (layer.synapses.inputs,)


def assert_legal_neuron(neuron: CubaNeuron) -> None:
    for decay in neuron.arrays[:2]:
        assert 0 <= decay.min() <= decay.max() <= 4096
    threshold = neuron.arrays[2]
    assert -(1 << 57) <= threshold.min() <= threshold.max() < 1 << 57  # times 64, in 64 bits


def assert_same(found: ChipNetwork, expected: ChipNetwork) -> None:
    assert found.digest == expected.digest
    for name in ("name", "encoding", "time_steps"):
        assert getattr(found, name) == getattr(expected, name), name


# ----------------------------------------------------------------- checkpoints and recipes


@cache
def good_checkpoint() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint().save(Path(folder) / "x")
        return (Path(folder) / "x").read_bytes()


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def joined(header: Any, tensors: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def spoil_checkpoint(rng: Rng, folder: Path) -> str:
    data, way = spoilt_tensors(good_checkpoint(), rng)
    (folder / "x.safetensors").write_bytes(data)
    return way


def spoilt_tensors(data: bytes, rng: Rng) -> tuple[bytes, str]:
    """Return a spoilt safetensors file, and what was done to it."""
    header, tensors = split(data)
    way = pick(rng, ("bytes", "length", "header", "type"))
    if way == "bytes":
        data = spoiled(data, rng)
    elif way == "length":
        length = pick(rng, (0, 1, 7, len(data), 1 << 31, (1 << 64) - 1, 100_000_001))
        data = struct.pack("<Q", length) + data[8:]
    elif way == "header":
        data = joined(altered(header, rng), tensors)
    else:
        name = pick(rng, [key for key in header if key != "__metadata__"])
        header[name]["dtype"] = pick(rng, ("I32", "U32", "F16", "BF16", "F64", "BOOL", "F8_E4M3"))
        data = joined(header, tensors)
    return data, way


def read_checkpoint(folder: Path) -> None:
    """The file has a seal: what is read is what was saved."""
    found, expected = Checkpoint.load(folder / "x.safetensors"), checkpoint()
    assert found.recipe == expected.recipe
    assert (found.input_shape, found.encoding) == (expected.input_shape, expected.encoding)
    for name, weight in expected.weights.items():
        assert np.array_equal(found.weights[name], weight), name


def spoil_document(rng: Rng, folder: Path) -> str:
    """Save another document, or other weights, with a seal that is right."""
    path = folder / "x.safetensors"
    path.write_bytes(good_checkpoint())
    tensors, document = load_tensors(path)
    name = pick(rng, tuple(tensors))
    place = tuple(int(rng.integers(size)) for size in tensors[name].shape)
    if rng.random() < 0.3:
        tensors[name][place] = pick(rng, (np.nan, np.inf, -np.inf, 3e38))
    else:
        document = altered(document, rng)
    save_tensors(path, tensors, document)
    return "document or weights"


def read_document(folder: Path) -> None:
    """Saved and loaded again, the checkpoint is the same."""
    found = Checkpoint.load(folder / "x.safetensors")
    found.save(folder / "again.safetensors")
    again = Checkpoint.load(folder / "again.safetensors")
    assert (again.recipe, again.encoding, again.plan) == (found.recipe, found.encoding, found.plan)
    assert all(np.isfinite(weight).all() for weight in found.weights.values())


@cache
def good_state() -> Path:
    """Return the folder of a run that stopped in its second epoch."""
    folder = kept_folder()
    tiny.fit(folder).fit(tiny.Watcher(stop_after=8))
    return folder


def spoil_state(rng: Rng, folder: Path) -> str:
    run, good = RunDirectory(folder), RunDirectory(good_state())
    shutil.copy(good.recipe, run.recipe)
    data, way = spoilt_tensors(good.state.read_bytes(), rng)
    run.state.write_bytes(data)
    return way


def read_state(folder: Path) -> None:
    """The file has a seal: training goes on from where it stopped."""
    found, expected = tiny.fit(folder), tiny.fit(good_state())
    assert found.progress == expected.progress
    for ours, theirs in zip(found.network.parameters(), expected.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        moments, restored = found.optimizer.state[ours], expected.optimizer.state[theirs]
        assert all(torch.equal(moments[key], restored[key]) for key in moments)


def spoil_recipe(rng: Rng, folder: Path) -> str:
    return spoil_toml(rng, folder, pick(rng, sorted(RECIPES.glob("*.toml"))))


def spoil_toml(rng: Rng, folder: Path, good: Path) -> str:
    text = good.read_text()
    way = pick(rng, ("bytes", "lines", "tables", "tables"))
    data = text.encode()
    if way == "bytes":
        data = spoiled(data, rng)
    elif way == "lines":
        data = respelled(text, rng).encode()
    else:
        data = tomli_w.dumps(altered(read_toml(good), rng, EVIL)).encode()
    (folder / "x.toml").write_bytes(data)
    return f"{way} of {good.name}"


def read_recipe(folder: Path) -> None:
    """Written out with all defaults, the recipe is the same."""
    recipe = load_recipe(folder / "x.toml")
    (folder / "again.toml").write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(folder / "again.toml") == recipe
    resolve(recipe.network, (3, 32, 32))


def spoil_profile(rng: Rng, folder: Path) -> str:
    good = PACKAGE / "hw_profiles" / f"{pick(rng, profile_names())}.toml"
    return spoil_toml(rng, folder, good)


def read_profile(folder: Path) -> None:
    """A profile that is read can be printed and gives limits that a network can be held to."""
    profile = load_profile(folder / "x.toml")
    json.dumps(profile.model_dump(mode="json"), ensure_ascii=False).encode()
    found = RunResult.load(result_folder())
    check_limits(profile, network(0), None)
    cost = estimate(profile, network(0), found.counts, map_to_cores(profile, network(0)))
    json.dumps(cost.document(), ensure_ascii=False).encode()
    limits = profile.limits
    assert 0 <= limits.largest_weight < 1 << 65
    assert 0 <= limits.largest_threshold < 1 << 65


# --------------------------------------------------------------------------------- data


IDX = np.random.default_rng(3).integers(0, 10, (6, 4, 5), np.uint8)
IDX_CONTENT = struct.pack(">HBB3I", 0, 8, 3, *IDX.shape) + IDX.tobytes()
IDX_FILE = IdxFile(name="x", shape=IDX.shape, sha256=hashlib.sha256(IDX_CONTENT).hexdigest())


def spoil_idx(rng: Rng, folder: Path) -> str:
    way = pick(rng, ("plain", "in gzip", "gzip"))
    data = spoiled(IDX_CONTENT, rng) if way != "gzip" else IDX_CONTENT
    if way != "plain":
        data = gzip.compress(data, mtime=0)
    (folder / "x").write_bytes(spoiled(data, rng) if way == "gzip" else data)
    return way


def read_pictures(folder: Path) -> None:
    assert np.array_equal(read_idx(folder / "x", IDX_FILE), IDX)


def spoil_cifar(rng: Rng, folder: Path) -> str:
    way = pick(rng, ("archive", "tar", "file", "names"))
    for old in (folder / "cifar").glob("*"):
        old.unlink()
    if way == "file":
        contents = dict(CIFAR_CONTENTS)
        contents["data_1"] = spoiled(contents["data_1"], rng)
        put(folder / "cifar", contents)
        return way
    data = CIFAR_ARCHIVE
    if way == "archive":
        data = spoiled(data, rng)
    elif way == "tar":
        data = gzip.compress(spoiled(gzip.decompress(data), rng), mtime=0)
    else:
        names = {name: f"{pick(rng, ('../' * 5, '/', '', 'a/..//'))}{name}" for name in ("data_1",)}
        data = gzip.compress(
            tarred({names.get(name, name): data for name, data in CIFAR_CONTENTS.items()})
        )
    put(folder / "cifar", {"small.tar.gz": data})
    return way


def read_cifar(folder: Path) -> None:
    found = small_source().load("train", data_dir=folder / "cifar", cache=folder, progress=None)
    contents = [read_batch(CIFAR_CONTENTS[name], batch(name, b"")) for name in ("data_1", "data_2")]
    assert np.array_equal(found.inputs[:], np.concatenate([each.pixels for each in contents]))


def spoil_pickle(rng: Rng, folder: Path) -> str:
    """Spoil a batch as if its digest were right; nothing in it may run."""
    (folder / "x").write_bytes(spoiled(CIFAR_CONTENTS["data_1"], rng))
    return "bytes"


def read_pickle(folder: Path) -> None:
    pictures = read_batch((folder / "x").read_bytes(), batch("x", b""))
    assert pictures.pixels.shape == (2, 3, 32, 32)
    assert pictures.labels.dtype == np.int64


def spoil_events(rng: Rng, folder: Path) -> str:
    way = pick(rng, ("zip", "in zip", "tar.gz", "in tar.gz", "tar"))
    files = dict(RECORDINGS)
    if way.startswith("in "):
        name = pick(rng, tuple(files))
        files[name] = spoiled(files[name], rng)
    data = zipped(files) if way.endswith("zip") else tarred(files)
    if way == "tar":
        data = spoiled(data, rng)
    data = gzip.compress(data, mtime=0) if way.endswith("gz") else data
    if way in ("zip", "tar.gz"):
        data = spoiled(data, rng)
    suffix = way.removeprefix("in ")
    for old in folder.glob("nmnist.*"):
        old.unlink()
    (folder / f"nmnist.{suffix}").write_bytes(data)
    return way


def read_events(folder: Path) -> None:
    found = datasets.load(
        "nmnist", "train", data_dir=folder, frames=Frames(time_steps=4, bin_us=1000), cache=folder
    )
    assert found.inputs.shape[1:] == (4, 2, 34, 34)
    assert len(found) >= 1


def spoil_recordings(rng: Rng, folder: Path) -> str:
    files = dict(TACTILE)
    way = pick(rng, ("zip", "in zip"))
    if way == "in zip":
        name = pick(rng, tuple(files))
        files[name] = spoiled(files[name], rng)
    data = zipped(files)
    (folder / "Ev-Small.zip").write_bytes(spoiled(data, rng) if way == "zip" else data)
    return way


def read_recordings(folder: Path) -> None:
    """Read as if what is there were the published file."""
    source = small_tactile((folder / "Ev-Small.zip").read_bytes())
    frames = Frames(time_steps=4, bin_us=40_000)
    found = source.load("train", frames=frames, data_dir=folder, cache=folder, progress=None)
    assert found.inputs.shape == (3, 4, 2, 1, 39)


# ----------------------------------------------------------------------- results and .npy


@cache
def result_folder() -> Path:
    """Return the folder of a good result."""
    folder = kept_folder()
    train = np.random.default_rng(1).integers(0, 4, (1, 5, 9))
    inputs = Inputs(train=train, time_steps=4, labels=np.arange(5) % 4, text="random")
    run_network(network(0), inputs, Engine(), lambda _: None).save(folder)
    return folder


def good_result() -> tuple[bytes, str]:
    arrays, document = RunResult.files(result_folder())
    return arrays.read_bytes(), document.read_text()


def spoil_result(rng: Rng, folder: Path) -> str:
    arrays, text = good_result()
    way = pick(rng, ("bytes", "arrays", "document", "text"))
    if way == "bytes":
        arrays = spoiled(arrays, rng)
    elif way == "arrays":
        arrays = spoilt_arrays(arrays, rng)
    elif way == "document":
        text = json.dumps(altered(json.loads(text), rng))
    else:
        text = spoiled(text.encode(), rng).decode("latin-1")
    (folder / "result.npz").write_bytes(arrays)
    (folder / "result.json").write_text(text, encoding="latin-1", errors="replace")
    return way


def spoilt_arrays(data: bytes, rng: Rng) -> bytes:
    with np.load(io.BytesIO(data)) as file:
        arrays = dict(file)
    name = pick(rng, tuple(arrays))
    value = np.array(arrays[name])
    place = tuple(int(rng.integers(size)) for size in value.shape)
    value[place] = pick(rng, (0, 1, 3, 200))
    arrays[name] = pick(rng, (
        value, value.astype(float), value.astype("U3"), value[None], value.T, value[:-1],
        value.astype(complex), -value.astype(np.int64), np.zeros(0), np.array(3),
    ))  # fmt: skip
    if rng.random() < 0.2:
        del arrays[name]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def read_result(folder: Path) -> None:
    """A result that is read adds up, can be shown and saved again."""
    found = RunResult.load(folder)
    json.dumps(found.document(), ensure_ascii=False).encode()
    assert found.output_spikes.sum() == found.counts.spikes[-1].sum()
    assert found.spike_counts.sum() == found.counts.spikes.sum()
    assert found.accuracy is None or 0 <= found.accuracy <= 1
    found.save(folder / "again")
    assert RunResult.load(folder / "again").document() == found.document()


def spoil_npy(rng: Rng, folder: Path) -> str:
    buffer = io.BytesIO()
    values = rng.integers(0, 4, (3, 9)).astype(pick(rng, ("i8", "u1", "f4", "?")))
    np.save(buffer, pick(rng, (values, values[:, None].repeat(4, axis=1))))
    data = buffer.getvalue()
    way = pick(rng, ("bytes", "shape", "type", "pickle"))
    if way == "bytes":
        data = spoiled(data, rng)
    elif way == "shape":
        shape = pick(rng, (b"(1<<60,)", b"(-3,  9)", b"(99999999999, 9)", b"(True, 9)", b"()"))
        data = data.replace(b"(3, 9)", shape)
    elif way == "type":
        data = data.replace(
            b"'descr': '", pick(rng, (b"'descr': '>", b"'descr': 'O", b"'descr': ["))
        )
    else:
        buffer = io.BytesIO()
        np.save(buffer, np.array([Trap(folder / "sprung")], object), allow_pickle=True)
        data = buffer.getvalue()
    (folder / "x.npy").write_bytes(data)
    return way


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return (Path.touch, (self.path,))


def read_npy(folder: Path) -> None:
    found = load_inputs(network(0), InputChoice(file=folder / "x.npy"))
    assert found.train.shape[2] == 9
    assert not (folder / "sprung").exists()


OWN_DATA = {
    **EVENTS,
    "png": (pictures.read, PICTURE, {}),
    "wav": (sound.read, SOUND, {"bands": 2}),
}


def own_data(name: str) -> Kind:
    """Return a kind of files of a user's own."""
    read, content, how = OWN_DATA[name]

    def spoil(rng: Rng, folder: Path) -> str:
        (folder / "x").write_bytes(spoiled(content, rng))
        return "bytes"

    return Kind(f"own-{name}", spoil, lambda folder: read(folder / "x", Reading(**how)))


KINDS = (
    Kind("net-bytes", spoil_sealed, read_sealed),
    Kind("net-of-others-bytes", spoil_foreign, read_net),
    Kind("net-tree", spoil_tree, read_sealed),
    Kind("checkpoint", spoil_checkpoint, read_checkpoint),
    Kind("checkpoint-document", spoil_document, read_document),
    Kind("state", spoil_state, read_state),
    Kind("recipe", spoil_recipe, read_recipe),
    Kind("profile", spoil_profile, read_profile),
    Kind("idx", spoil_idx, read_pictures),
    Kind("cifar10", spoil_cifar, read_cifar),
    Kind("cifar10-pickle", spoil_pickle, read_pickle),
    Kind("nmnist", spoil_events, read_events),
    Kind("tactile", spoil_recordings, read_recordings),
    Kind("result", spoil_result, read_result),
    Kind("npy", spoil_npy, read_npy),
    *map(own_data, OWN_DATA),
    Kind("nir-bytes", nir_files.spoil_bytes, nir_files.read_graph),
    Kind("nir-tree", nir_files.spoil_tree, nir_files.read_graph),
)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_past_failures_have_a_kind() -> None:
    assert FAILED.keys() <= {kind.name for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_spoilt_files(kind: Kind, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Some must be refused, and nothing may grow."""
    number = request.config.getoption("--rng-seed")
    if number is not None:
        run_case(kind, number, tmp_path)
        return
    before = peak_bytes()
    cases = (*range(CASES), *FAILED.get(kind.name, ()))
    refused = sum(not run_case(kind, case, tmp_path) for case in cases)
    assert refused > len(cases) // 10
    assert peak_bytes() - before < 600 * MEBIBYTE


def test_a_changed_network_is_not_taken_for_the_proven_one(tmp_path: Path) -> None:
    """Neither with its old notes in a file of its own, nor changed by a tool in its file."""
    path = tmp_path / "x.net"
    path.write_bytes(sealed(0))
    notes = netx.read_notes(path)
    netx.write(tmp_path / "other.net", network(1), notes)
    with pytest.raises(NetFileError, match="proof in it is of another network"):
        inspect(tmp_path / "other.net")
    with h5py.File(path, "r+") as file:
        file["layer/1/neuron/vThMant"][()] += 1
    with pytest.raises(NetFileError, match="was altered after tssl wrote it"):
        inspect(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["tssl_sha256"]
    with pytest.raises(NetFileError, match="proof in it is of another network"):
        inspect(path)


def test_a_changed_encoding_is_noticed(tmp_path: Path) -> None:
    """The digest of a network does not cover its encoding; the seal does."""
    path = tmp_path / "x.net"
    data = sealed(0)
    assert data.count(b'"gain": 15.0') == 1
    with h5py.File(buffer := io.BytesIO(data), "r+") as file:
        text = file.attrs["tssl"].replace(b'"gain": 15.0', b'"gain": 75.0')
        file.attrs["tssl"] = np.bytes_(text)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(NetFileError, match="was altered after tssl wrote it"):
        netx.read(path)


# --------------------------------------------------------------------------- never pickles

PACKAGE = Path(datasets.__file__).parents[1]
RUNS_CODE = (
    r"pickle\.loads?\(", r"allow_pickle\s*=\s*True", r"torch\.load\(", r"\bmarshal\b",
    r"\bshelve\b", r"joblib", r"\byaml\b", r"(?<![.\w])(eval|exec)\(", r"extractall",
    r"\.extract\(",
)  # fmt: skip


def test_no_file_is_loaded_by_what_runs_code() -> None:
    """The one unpickler is that of CIFAR-10, which knows nothing to run."""
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert len(sources) > 50
    found = [
        (path.name, pattern)
        for path, source in sources.items()
        for pattern in RUNS_CODE
        if re.search(pattern, source)
    ]
    assert found == []
    unpicklers = [path.name for path, source in sources.items() if "pickle.Unpickler)" in source]
    assert unpicklers == ["cifar10.py"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_pickle_runs_even_with_the_right_digest(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps({b"data": Trap(tmp_path / "sprung"), b"labels": []}, protocol)
    with pytest.raises(DataError, match="which no CIFAR-10 batch needs"):
        read_batch(content, batch("x", content))
    assert not (tmp_path / "sprung").exists()
    pickle.loads(content)  # the trap works
    assert (tmp_path / "sprung").exists()


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    traps = np.array([Trap(tmp_path / "sprung")], object)
    np.save(tmp_path / "x.npy", traps, allow_pickle=True)
    with pytest.raises(DataError):
        load_inputs(network(0), InputChoice(file=tmp_path / "x.npy"))
    arrays, text = good_result()
    (tmp_path / "result.json").write_text(text)
    with np.load(io.BytesIO(arrays)) as file:
        np.savez(tmp_path / "result.npz", **{**file, "predictions": traps})
    with pytest.raises(DataError):
        RunResult.load(tmp_path)
    assert not (tmp_path / "sprung").exists()


# -------------------------------------------------------------------------- states


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, document: tensors.update(
            {"exp_avg:weights.dense1": np.zeros((12, 1), "f4")}
        ),
        lambda tensors, document: tensors.update({"weights.dense1": np.zeros((1, 16), "f4")}),
        lambda tensors, document: tensors.update({"weights.dense1": np.zeros((12, 16), "i4")}),
        lambda tensors, document: tensors.update(
            {"weights.dense1": np.full((12, 16), np.nan, np.float32)}
        ),
        lambda tensors, document: document.update(activity="text"),
        lambda tensors, document: document.update(loss_sum=[1.0]),
        lambda tensors, document: document.update(correct=True, seconds="x"),
    ],
)  # fmt: skip
def test_states_that_were_made_up(tmp_path: Path, change: Callable[..., None]) -> None:
    run, good = RunDirectory(tmp_path), RunDirectory(good_state())
    shutil.copy(good.recipe, run.recipe)
    tensors, document = load_tensors(good.state)
    change(tensors, document)
    save_tensors(run.state, tensors, document)
    with pytest.raises(CheckpointError):
        tiny.fit(tmp_path)
