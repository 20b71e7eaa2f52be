"""Builders of bad files for ``bad_inputs.py``; each writes into the current folder."""

import gzip
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from tssl import hw_profiles, netx
from tssl.chip import (
    INPUT,
    ChipNetwork,
    DeltaNeuron,
    InputLayer,
    SigmaDeltaNeuron,
    SigmaNeuron,
    dense_layer,
)
from tssl.recipe import load_recipe
from tssl.sweeps import Choices, SweepSpec
from tssl.workflow.recipes import recipe_path

SEAL = "sha256"
"""Entry of a document that shows whether it was altered; only the cases about that keep it."""

Make = Callable[[], object]
"""Writes into the current folder what a case needs."""


def file(name: str, content: str | bytes = "") -> Make:
    """Write a file, in folders made if need be."""

    def make() -> None:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def folder(name: str) -> Make:
    return lambda: Path(name).mkdir()


def failing(name: str) -> Make:
    """Write a program that ends with status 1 at once."""

    def make() -> None:
        Path(name).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        Path(name).chmod(0o755)

    return make


def half(source: str, target: str | None = None) -> Make:
    """Keep the first half of a file, under another name if one is given."""

    def make() -> None:
        content = Path(source).read_bytes()
        Path(target or source).write_bytes(content[: len(content) // 2])

    return make


def altered(source: str, target: str) -> Make:
    """Write a good file with its last bit turned over, under another name."""

    def make() -> None:
        content = bytearray(Path(source).read_bytes())
        content[-1] ^= 1
        Path(target).write_bytes(content)

    return make


DENSE = '{ type = "dense", neurons = 10 }'
NAMED = '{ type = "dense", neurons = 16, name = "a" }'


def recipe(layers: str = DENSE, *, data: str = "", network: str = "", tables: str = "") -> Make:
    """Write ``bad.toml``, right but for what is given."""
    lines = ['name = "bad"', "[data]", 'name = "digits"', data, "[network]"]
    return file("bad.toml", "\n".join([*lines, f"layers = [{layers}]", network, tables]))


def training(line: str) -> Make:
    return recipe(tables=f"[training]\n{line}")


def profile(old: str, new: str) -> Make:
    """Write ``bad.toml``: the shipped loihi2 with a part of its text replaced."""

    def make() -> None:
        text = (Path(hw_profiles.__file__).parent / "loihi2.toml").read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"loihi2.toml no longer contains {old!r}")
        Path("bad.toml").write_text(text.replace(old, new, 1), encoding="utf-8")

    return make


LOG = "result,digest,time_per_step [s],total_power [W],static_power [W]"


def log(*, title: str = LOG, runs: int = 3, **values: str) -> Make:
    """Write ``bad.csv``: a log of the good result, right but for what is given."""

    def make() -> None:
        digest = json.loads(Path("result/result.json").read_text(encoding="utf-8"))["digest"]
        right = {"result": "result", "digest": digest, "time": "1e-6", "total": "0.3",
                 "static": "0.2"}  # fmt: skip
        row = ",".join({**right, **values}.values())
        Path("bad.csv").write_text("\n".join([title, *[row] * runs]), encoding="utf-8")

    return make


def net(edit: Callable[[h5py.File], object]) -> Make:
    """Write ``bad.net``: the good network, changed."""

    def make() -> None:
        shutil.copyfile("digits.net", "bad.net")
        with h5py.File("bad.net", "a") as opened:
            edit(opened)

    return make


def put(key: str, value: object) -> Make:
    """Write ``bad.net`` with another value under a key; without the key when it is None."""

    def edit(opened: h5py.File) -> None:
        if key in opened:
            del opened[key]
        if value is not None:
            opened[key] = value

    return net(edit)


def film(key: str = "name", value: object = None, frames: object = 0) -> Make:
    """Write ``bad.net``, a sigma-delta network of others, changed as :func:`put` does it.

    ``x.npy`` holds a film for it: three frames of four pixels.
    """

    def make() -> None:
        layers = (
            dense_layer(
                name="a", source=INPUT, weight=[[200, -2, 250, 254], [5, 6, -7, 8]],
                neuron=SigmaDeltaNeuron(threshold=1), bias=[1, 2],
            ),
            dense_layer(name="b", source="a", weight=[[4, -3]], neuron=SigmaNeuron()),
        )  # fmt: skip
        block = InputLayer(shape=(4,), neuron=DeltaNeuron(threshold=0))
        netx.write(Path("bad.net"), ChipNetwork(name="film", input=block, layers=layers))
        with h5py.File("bad.net", "a") as opened:
            for name in list(opened.attrs):
                del opened.attrs[name]
            if key in opened:
                del opened[key]
            if value is not None:
                opened[key] = value
        np.save("x.npy", np.full((1, 3, 4), frames))

    return make


def own(**values: object) -> Make:
    """Write ``bad.net`` with other entries in the attribute that only tssl reads."""
    return net(lambda opened: _alter(opened, lambda document: document.update(values)))


def note(**values: object) -> Make:
    """Write ``bad.net`` with other notes."""
    return net(lambda opened: _alter(opened, lambda document: document["notes"].update(values)))


def _alter(opened: h5py.File, change: Callable[[dict[str, Any]], object]) -> None:
    """Change our own attribute, and take away what would show that."""
    document = json.loads(opened.attrs["tssl"])
    change(document)
    for name in list(opened.attrs):
        del opened.attrs[name]
    opened.attrs["tssl"] = np.bytes_(json.dumps(document))


def checkpoint(edit: Callable[[dict[str, Any], dict[str, Any]], object]) -> Make:
    """Write ``bad.safetensors``: the good weights and document, changed, without their seal."""

    def make() -> None:
        with safe_open("run/best.safetensors", framework="numpy") as opened:
            document = json.loads(opened.metadata()["tssl"])
            document.pop(SEAL, None)
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        edit(weights, document)
        save_file(weights, "bad.safetensors", metadata={"tssl": json.dumps(document)})

    return make


def stored(**values: object) -> Make:
    """Write ``bad.safetensors`` with other entries in its document."""
    return checkpoint(lambda weights, document: document.update(values))


def weights(**arrays: Any) -> Make:
    """Write ``bad.safetensors`` with other weights; a number fills the array that is there."""

    def edit(found: dict[str, Any], _: dict[str, Any]) -> None:
        for name, value in arrays.items():
            new = value if isinstance(value, np.ndarray) else np.full_like(found[name], value)
            found[name] = new

    return checkpoint(edit)


def result(**values: object) -> Make:
    """Change ``result.json``; None takes an entry away."""

    def make() -> None:
        path = Path("result/result.json")
        document = {**json.loads(path.read_text(encoding="utf-8")), **values}
        kept = {
            name: value for name, value in document.items() if value is not None and name != SEAL
        }
        path.write_text(json.dumps(kept), encoding="utf-8")

    return make


def arrays(**values: Any) -> Make:
    """Change ``result.npz``; None takes an array away."""

    def make() -> None:
        path = Path("result/result.npz")
        with np.load(path) as opened:
            merged = {**dict(opened), **{name.replace("__", "."): v for name, v in values.items()}}
        np.savez(path, **{name: array for name, array in merged.items() if array is not None})
        result()()

    return make


def npy(values: Any) -> Make:
    """Write ``x.npy``."""
    return lambda: np.save("x.npy", values, allow_pickle=True)


def labels(values: Any) -> Make:
    """Write ``x.npy``, two samples of digits, and their ``y.npy``."""

    def make() -> None:
        np.save("x.npy", np.zeros((2, 1, 8, 8), np.int64))
        np.save("y.npy", values)

    return make


def liar() -> None:
    """Write an ``x.npy`` of which the header promises terabytes."""
    header = io.BytesIO()
    shape = (1 << 40, 1, 8, 8)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<i8", "fortran_order": False, "shape": shape}
    )
    Path("x.npy").write_bytes(header.getvalue() + bytes(64))


class Trap:
    """A pickle that writes a file when it is opened carelessly; no test may find that file."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("trapped",)


TRAP = pickle.dumps(Trap())


def idx(name: str, magic: bytes, *sizes: int, content: bytes = b"") -> Make:
    """Write an IDX file into ``data``."""
    head = magic + np.array(sizes, ">i4").tobytes()
    return file(f"data/{name}.gz", gzip.compress(head + content))


def tar(name: str, member: str, content: bytes) -> Make:
    """Write an archive with one member into ``data``."""

    def make() -> None:
        Path("data").mkdir()
        with tarfile.open(Path("data", name), "w") as opened:
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))

    return make


def events(content: bytes, *members: str) -> Make:
    """Write an archive of N-MNIST, each recording with the same content."""

    def make() -> None:
        Path("data").mkdir()
        with zipfile.ZipFile("data/nmnist.zip", "w") as opened:
            for member in members:
                opened.writestr(member, content)

    return make


def recordings(array: np.ndarray | None, label: int = 0) -> Make:
    """Write an archive of tactile recordings, one with this array, or with none."""

    def make() -> None:
        Path("data").mkdir()
        with zipfile.ZipFile("data/Ev-Objects.zip", "w") as opened:
            opened.writestr("Ev-Objects/README.txt", "none")
            if array is not None:
                np.save(buffer := io.BytesIO(), array)
                name = f"Ev-Objects/train/sample_0_label_{label}.npy"
                opened.writestr(name, buffer.getvalue())

    return make


def samples(kind: str, content: bytes, good: bytes = bytes(5)) -> Make:
    """Write the folder ``data`` of two classes, with one recording that is like none other."""
    names = ("train/a/1", "train/a/2", "train/b/1", "test/a/1", "test/b/1")
    wrong = file(f"data/train/b/2.{kind}", content)
    return both(wrong, *(file(f"data/{name}.{kind}", good) for name in names))


def own_arrays(**values: Any) -> Make:
    """Write ``x.npz`` of own data, right but for what is given; then without a test split."""
    x, y = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8), np.arange(4) % 2
    test = {} if values else {"x_test": x, "y_test": y}
    return lambda: np.savez("x.npz", **{"x_train": x, "y_train": y, **test, **values})


def both(*makes: Make) -> Make:
    return lambda: [make() for make in makes]


def sweep(name: str = "", content: str = "") -> Make:
    """Write the folder ``sweep`` of one over two rates, not begun, and then one of its files."""

    def make() -> None:
        of = SweepSpec(
            source="digits",
            settings={},
            over={"training.lr": Choices(values=(0.001, 0.002))},
            seeds=(0,),
        )
        of.save(Path("sweep"), load_recipe(recipe_path("digits")))
        if name:
            Path("sweep", name).write_text(content, encoding="utf-8")

    return make


def named_files() -> None:
    """Write ``data``: the names of MNIST's files."""
    for split in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            file(f"data/{split}-{kind}-ubyte", b"")()
