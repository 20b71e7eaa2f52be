"""Pictures in folders of classes: written with Pillow or byte by byte, and spoilt."""

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.contract.mutations import spoiled
from tssl import datasets
from tssl.datasets import Reading, given_source
from tssl.datasets.formats.pictures import read
from tssl.errors import BackendUnavailableError, DataError, TsslError

pillow = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(5)
GREY, COLOUR = RNG.integers(0, 256, (4, 5), np.uint8), RNG.integers(0, 256, (4, 5, 3), np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Return a PNG file, written byte by byte: grey of 8 or 16 bits, or colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    height, width = pixels.shape[:2]
    head = (width, height, 8 * pixels.itemsize, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in pixels)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", *head)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


PICTURE = png(COLOUR)


def saved(picture: object, kind: str) -> bytes:
    picture.save(buffer := io.BytesIO(), kind)
    return buffer.getvalue()


def put(folder: Path, **contents: bytes) -> Path:
    """Write ``train_a_1=...`` to ``train/a/1.png``."""
    for name, content in contents.items():
        path = folder.joinpath(*name.split("_")).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def load(path: Path, split: str = "train", **reading: object) -> datasets.Dataset:
    return datasets.load(given_source(path, Reading(**reading)), split, data_dir=None)


def test_grey_and_colour(tmp_path: Path):
    grey = put(
        tmp_path / "grey", train_a_1=png(GREY), train_b_1=png(GREY[::-1]), test_a_1=png(GREY)
    )
    data = load(grey)
    assert np.array_equal(data.inputs, np.stack([GREY, GREY[::-1]])[:, None])
    assert (data.class_names, data.labels.tolist(), data.full_scale) == (("a", "b"), [0, 1], 255)
    colour = put(tmp_path / "c", train_a_1=png(COLOUR), train_b_1=png(GREY), test_a_1=png(COLOUR))
    data = load(colour)
    assert np.array_equal(data.inputs[0], COLOUR.transpose(2, 0, 1))
    assert np.array_equal(data.inputs[1], np.stack([GREY] * 3))
    assert datasets.describe(colour).shape == (3, 4, 5)
    assert datasets.describe(colour).class_names == ("a", "b")


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "GIF", "PPM", "PNG"])
def test_what_loses_nothing(kind: str, tmp_path: Path):
    (tmp_path / "x").write_bytes(saved(pillow.fromarray(GREY), kind))
    found = read(tmp_path / "x", Reading())
    assert np.array_equal(found, np.broadcast_to(GREY, found.shape))


def test_modes(tmp_path: Path):
    wide = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3449
    cases = {
        "16 bits": (png(wide), (wide >> 8)[None]),
        "black and white": (saved(pillow.fromarray(GREY > 99), "PNG"), (GREY > 99)[None] * 255),
        "see-through": (
            saved(pillow.fromarray(np.dstack([COLOUR, GREY])), "PNG"), COLOUR.transpose(2, 0, 1)
        ),
    }  # fmt: skip
    for name, (content, expected) in cases.items():
        (tmp_path / "x").write_bytes(content)
        assert np.array_equal(read(tmp_path / "x", Reading()), expected), name


def test_sizes(tmp_path: Path):
    put(tmp_path, train_a_1=png(GREY), train_b_1=png(GREY[:, :3]), test_a_1=png(GREY))
    with pytest.raises(
        DataError, match=r"b/1\.png: is of height and width \(4, 3\).*size = \[4, 5"
    ):
        load(tmp_path)
    data = load(tmp_path, size=(2, 6))
    assert data.inputs.shape == (2, 1, 2, 6)
    flat = np.full((9, 9), 77, np.uint8)
    (tmp_path / "flat").write_bytes(png(flat))
    assert (read(tmp_path / "flat", Reading(size=(3, 4))) == 77).all()


def test_colour_among_grey(tmp_path: Path):
    put(tmp_path, train_a_1=png(GREY), train_b_1=png(COLOUR), test_a_1=png(GREY))
    with pytest.raises(DataError, match=r"b/1\.png: has colours, and the first picture is grey"):
        load(tmp_path)


def test_spoilt_pictures(tmp_path: Path):
    kinds = [
        png(COLOUR),
        *(saved(pillow.fromarray(COLOUR), kind) for kind in ("JPEG", "BMP", "GIF")),
    ]
    for case in range(160):
        rng = np.random.default_rng(case)
        (tmp_path / "x").write_bytes(spoiled(kinds[case % len(kinds)], rng))
        try:
            found, said = read(tmp_path / "x", Reading()), ""
        except TsslError as error:
            found, said = np.zeros((1, 1, 1), np.uint8), str(error)
        assert "\n" not in said, case
        assert (found.dtype, found.ndim) == (np.uint8, 3), case


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pillow, "MAX_IMAGE_PIXELS", 10)
    for pixels in (GREY[:3], GREY.repeat(9, axis=0)):
        (tmp_path / "x").write_bytes(png(pixels))
        with pytest.raises(DataError, match=r"cannot be read as a picture: .*pixels"):
            read(tmp_path / "x", Reading())


def test_a_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(BackendUnavailableError, match=r"pictures: .* pip install 'tssl\[data\]'"):
        read(tmp_path / "x", Reading())
