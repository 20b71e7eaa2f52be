"""Small files that ask for much: memory, time, or another file. All are refused at once."""

import gzip
import io
import json
import lzma
import os
import resource
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.datasets.test_cifar10 import put, small_source
from tests.lava_runtime.networks import conv_net, dense_net
from tests.test_checkpoint import checkpoint
from tssl import datasets, netx
from tssl.checkpoint import Checkpoint
from tssl.chip import Encoding
from tssl.datasets import Frames
from tssl.datasets.idx import IdxFile, read_idx
from tssl.errors import TsslError
from tssl.hw_profiles import load_profile
from tssl.recipe import load_recipe
from tssl.results import RunResult

pytestmark = pytest.mark.slow

MEBIBYTE = 1 << 20
MOST_MEBIBYTES = 500
MOST_SECONDS = 20.0
CHILD_MEBIBYTES = 8 << 10

Bomb = Callable[[Path], object]
Change = Callable[[h5py.File], None]


def net(change: Change) -> Bomb:
    """Return a reader of a ``.net`` file of others in which something was changed."""

    def read(folder: Path) -> object:
        path = folder / "x.net"
        netx.write(path, conv_net(np.random.default_rng(0)))
        with h5py.File(path, "r+") as file:
            for name in ("tssl", "tssl_sha256"):
                del file.attrs[name]
            change(file)
        return netx.read(path)

    return read


def vast(shape: tuple[int, ...], chunk: int, **options: object) -> Change:
    """Say that weights are vast; nothing or one chunk of zeros is stored."""

    def change(file: h5py.File) -> None:
        del file["layer/1/weight"]
        chunks = tuple(min(size, chunk) for size in shape)
        data = file.create_dataset("layer/1/weight", shape, "i1", chunks=chunks, **options)
        if options:
            data[(slice(0, 1),) * len(shape)] = 1

    return change


def value(key: str, given: object) -> Change:
    def change(file: h5py.File) -> None:
        if key in file:
            del file[key]
        file[key] = given

    return change


def many_times_the_same_layer(file: h5py.File) -> None:
    for name in list(file["layer"])[1:]:
        del file["layer"][name]
    del file["layer/0/shape"]
    file["layer/0/shape"] = [1000]
    entry = file.create_group("layer/1")
    entry["type"], entry["shape"] = np.bytes_("dense"), [1000]
    entry["weight"] = np.resize(np.array([-1, 1], np.int8), (1000, 1000))
    for number in range(2, 3000):
        file[f"layer/{number}"] = entry


def one_entry_of_a_vast_chunk(file: h5py.File) -> None:
    del file["layer/1/groups"]
    data = file.create_dataset(
        "layer/1/groups", (1,), "i1", maxshape=(None,), chunks=(1 << 31,), compression="gzip"
    )
    data.id.write_direct_chunk((0,), zlib.compress(b"\1" * 8))


def a_chunk_that_goes_on(file: h5py.File) -> None:
    """Store a gzip stream of 256 MiB where HDF5 expects eight bytes."""
    del file["layer/1/groups"]
    data = file.create_dataset("layer/1/groups", (1,), "i8", chunks=(1,), compression="gzip")
    packing = zlib.compressobj(9)
    block = bytes(4 * MEBIBYTE)
    data.id.write_direct_chunk((0,), b"".join([packing.compress(block) for _ in range(64)]))


def lzf_that_goes_on(file: h5py.File) -> None:
    """Store a zero and a million copies of 264 bytes where HDF5 expects eight."""
    del file["layer/1/groups"]
    data = file.create_dataset("layer/1/groups", (1,), "i8", chunks=(1,), compression="lzf")
    data.id.write_direct_chunk((0,), b"\0\0" + b"\xe0\xff\0" * (1 << 20))


def long_text(file: h5py.File) -> None:
    del file["layer/1/type"]
    file.create_dataset("layer/1/type", (), "S2147483647", chunks=None)


def many_long_texts(file: h5py.File) -> None:
    del file["layer/1/type"]
    file.create_dataset("layer/1/type", (1 << 40,), h5py.string_dtype(), chunks=(1,))


def lengthened(folder: Path) -> object:
    """Claim that a text of variable length has four gigabytes."""
    path = folder / "x.net"
    with h5py.File(path, "w") as file:
        file["layer/0/type"] = "input"
    data = path.read_bytes()
    reference = struct.pack("<I", 5) + struct.pack("<Q", data.index(b"GCOL"))
    assert data.count(reference) == 1
    path.write_bytes(data.replace(reference, b"\xff\xff\xff\xff" + reference[4:]))
    return netx.read(path)


def endless_heap(folder: Path) -> object:
    """Damage the heap of a text such that HDF5 2.0 goes round in it for ever."""
    path = folder / "x.net"
    with h5py.File(path, "w") as file:
        file.attrs["tssl"] = "{}"
        file["layer/0/type"] = "input"
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    data[heap + 32 : heap + 4096] = bytes(4064)
    path.write_bytes(bytes(data))
    return netx.read(path)


def pipe(link: Callable[[str], object]) -> Change:
    """Link to a pipe into which nobody writes: who opens it waits for ever."""

    def change(file: h5py.File) -> None:
        name = os.path.join(os.path.dirname(str(file.filename)), "pipe")
        if not os.path.exists(name):
            os.mkfifo(name)
        del file["layer/1/weight"]
        file["layer/1/weight"] = link(name)

    return change


def outside(file: h5py.File) -> None:
    del file["layer/1/weight"]
    file.create_dataset("layer/1/weight", (4, 2, 3, 3), "i1", external=[("/dev/zero", 0, 72)])


def virtual(file: h5py.File) -> None:
    del file["layer/1/weight"]
    layout = h5py.VirtualLayout((4, 2, 3, 3), "i1")
    layout[...] = h5py.VirtualSource("/dev/zero", "x", (4, 2, 3, 3))
    file.create_virtual_dataset("layer/1/weight", layout)


def vast_maps(file: h5py.File) -> None:
    """Few weights, many neurons."""
    value("layer/0/shape", [2, 1 << 20, 1 << 20])(file)


def vast_gain(folder: Path) -> object:
    return Encoding(offset=0.0, gain=1e300, quantum=1.0).integers(np.arange(4))


def safetensors(header: Callable[[dict[str, object]], bytes]) -> Bomb:
    def read(folder: Path) -> object:
        path = folder / "x.safetensors"
        checkpoint().save(path)
        data = path.read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        path.write_bytes(header(json.loads(data[8:end])) + data[end:])
        return Checkpoint.load(path)

    return read


def headed(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def vast_tensor(header: dict[str, object]) -> bytes:
    header["conv1"]["shape"] = [1 << 31, 1 << 31]  # type: ignore[index]
    return headed(json.dumps(header))


def result(name: str, claimed: int | None, content: bytes) -> Bomb:
    """Return a reader of a result one of whose arrays says or holds too much."""

    def read(folder: Path) -> object:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}.npy", content)
        data = buffer.getvalue()
        if claimed is not None:
            size = struct.pack("<I", len(content))
            data = data.replace(size, struct.pack("<I", claimed))
        (folder / "result.npz").write_bytes(data)
        document = {"schema_version": 1, "backend": "engine", "network": "n", "digest": "0",
                    "data": "x", "samples": 1, "layers": ["a"], "seconds": 1.0}  # fmt: skip
        (folder / "result.json").write_text(json.dumps(document))
        return RunResult.load(folder)

    return read


def array_header(shape: str) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def idx(pack: Callable[[bytes], bytes]) -> Bomb:
    def read(folder: Path) -> object:
        (folder / "x").write_bytes(pack(bytes(32 * MEBIBYTE)))
        return read_idx(folder / "x", IdxFile(name="x", shape=(2, 2), sha256="0" * 64))

    return read


def xz_of_a_vast_dictionary(content: bytes) -> bytes:
    """Claim in the header of an xz block that unpacking needs four gigabytes."""
    data = bytearray(lzma.compress(content[:100], preset=0))
    size = (data[12] + 1) * 4
    place = data.index(b"\x21\x01", 12)  # the filter LZMA2 with one byte of properties
    data[place + 2] = 40
    data[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(data[12 : 12 + size - 4]))
    return bytes(data)


def cifar(archive: bytes) -> Bomb:
    def read(folder: Path) -> object:
        put(folder / "cifar", {"small.tar.gz": archive})
        source = small_source()
        return source.load("train", data_dir=folder / "cifar", cache=folder, progress=None)

    return read


def tar(size: str, pack: Callable[[bytes], bytes] = bytes) -> bytes:
    """Return an archive whose extended header claims a size."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("data_1")
        info.pax_headers = {"size": size}
        archive.addfile(info)
    return pack(buffer.getvalue() + bytes(4 * MEBIBYTE))


def events(folder: Path) -> object:
    """An archive of recordings, one of which unpacks to 32 MiB of nothing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Train/1/00001.bin", bytes(32 * MEBIBYTE))
        archive.writestr("Test/1/00001.bin", bytes(5))
    (folder / "nmnist.zip").write_bytes(buffer.getvalue())
    return datasets.load(
        "nmnist", "train", data_dir=folder, frames=Frames(time_steps=4, bin_us=1000), cache=folder
    )


def toml(text: str, read: Callable[[Path], object]) -> Bomb:
    def read_text(folder: Path) -> object:
        (folder / "x.toml").write_text(text)
        return read(folder / "x.toml")

    return read_text


BOMBS: dict[str, Bomb] = {
    "net: weights without an end": net(vast((1 << 40, 1 << 20), 64)),
    "net: weights of half a gigabyte, none stored": net(vast((1 << 29,), 1 << 10)),
    "net: weights of zeros in gzip": net(vast((1 << 15, 1 << 15), 1 << 13, compression="gzip")),
    "net: weights of zeros in lzf": net(vast((1 << 15, 1 << 15), 1 << 13, compression="lzf")),
    "net: a chunk of lzf that goes on": net(lzf_that_goes_on),
    "net: the same layer again and again": net(many_times_the_same_layer),
    "net: one entry of a vast chunk": net(one_entry_of_a_vast_chunk),
    "net: a text of two gigabytes": net(long_text),
    "net: texts without an end": net(many_long_texts),
    "net: a text with a wrong length": lengthened,
    "net: an endless heap": endless_heap,
    "net: a link to a pipe": net(pipe(lambda name: h5py.ExternalLink(name, "/x"))),
    "net: a link to itself": net(pipe(lambda _: h5py.SoftLink("/layer/1/weight"))),
    "net: weights in another file": net(outside),
    "net: weights made up of another file": net(virtual),
    "net: vast maps": net(vast_maps),
    "net: vast padding": net(value("layer/1/padding", 1 << 40)),
    "net: negative maps": net(value("layer/0/shape", [-2, -7, 6])),
    "net: no channels": net(value("layer/0/shape", [0, 7, 6])),
    "encoding: a vast gain": vast_gain,
    "safetensors: a vast header": safetensors(lambda _: struct.pack("<Q", 1 << 62)),
    "safetensors: a vast tensor": safetensors(vast_tensor),
    "safetensors: a deep header": safetensors(lambda _: headed("[" * 10**6)),
    "npz: a vast array": result("predictions", None, array_header("(1 << 40,)")),
    "npz: an array of exabytes": result(
        "predictions", None, array_header("(1_152_921_504_606_846_976,)")
    ),
    "npz: an array of a terabyte": result(
        "predictions", None, array_header("(1_099_511_627_776,)")
    ),
    "npz: four gigabytes": result("predictions", 0xFFFFFFF0, b"x" * 1234567),
    "idx: zeros in gzip": idx(gzip.compress),
    "idx: zeros in xz": idx(lambda data: lzma.compress(data, preset=0)),
    "idx: xz of a vast dictionary": idx(xz_of_a_vast_dictionary),
    "cifar10: a negative size": cifar(tar("-512")),
    "cifar10: a negative size in gzip": cifar(tar("-1536", gzip.compress)),
    "cifar10: a vast size": cifar(tar("9" * 30, gzip.compress)),
    "nmnist: zeros in zip": events,
    "recipe: deep lists": toml("a = " + "[" * 10**5, load_recipe),
    "recipe: deep keys": toml(".".join("a" * 10**3) + " = 1", load_recipe),
    "profile: deep tables": toml("a = " + "{a = " * 10**5, load_profile),
}
if h5py.version.hdf5_version_tuple >= (2,):  # older ones refuse to write it
    BOMBS["net: a chunk that goes on"] = net(a_chunk_that_goes_on)


def detonate(folder: Path) -> None:
    """Read every bomb; print name, seconds, memory and what was said, a line of JSON each."""
    resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEBIBYTES * MEBIBYTE,) * 2)
    netx.write(folder / "warm.net", dense_net(np.random.default_rng(0)))
    netx.read(folder / "warm.net")
    for number, (name, bomb) in enumerate(BOMBS.items()):
        before, started = peak(), time.process_time()
        (folder / str(number)).mkdir()
        try:
            bomb(folder / str(number))
            said = message = "accepted"
        except TsslError as error:
            said, message = "refused", str(error)[:200]
        except Exception as error:  # noqa: BLE001 - whatever a reader lets out
            said = message = f"{type(error).__name__}: {error}"
        seconds, mebibytes = time.process_time() - started, peak() - before
        line = {"name": name, "said": said, "message": message, "seconds": seconds,
                "mebibytes": mebibytes}  # fmt: skip
        print(json.dumps(line), flush=True)  # noqa: T201


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def test_bombs(tmp_path: Path) -> None:
    """In a process of their own, so that its memory is known and a hang can be ended."""
    code = f"from tests.contract.test_bombs import *; detonate(Path({str(tmp_path)!r}))"
    try:
        child = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False
        )
        output, errors = child.stdout, child.stderr
    except subprocess.TimeoutExpired as late:
        output, errors = (late.stdout or b"").decode(), "it never ended"
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["name"] for line in lines] == list(BOMBS), errors
    unlike = {line["name"]: line["message"] for line in lines if line["said"] != "refused"}
    assert unlike == {}
    assert [line for line in lines if line["seconds"] > MOST_SECONDS] == []
    assert sum(line["mebibytes"] for line in lines) < MOST_MEBIBYTES
