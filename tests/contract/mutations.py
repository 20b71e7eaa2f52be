"""Ways to spoil a file: its bytes, the tables in it, or the tree of an HDF5 file."""

import copy
import json
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

Rng = np.random.Generator
Key = str | int

EVIL: tuple[Any, ...] = (
    True, False, 0, -1, 1, 2, 127, 4097, 1 << 31, 1 << 63, -(1 << 63), 10**30, 10**400, 0.0, -0.5,
    0.5, 1e-320, 1e30, 1e308, float("nan"), float("inf"), "", "text", "1", "ä\n", "x" * 3000,
    "[/bold]", [], [1, 2], [1, [2]], [[]], ["a", "b", "c"], {}, {"a": 1},
)  # fmt: skip
EVIL_JSON = (*EVIL, None, "\ud800", [None])
WORDS = ("", "name", "type", "shape", "data", "unknown", "a.b", "ä", "0", "x" * 200)


def pick(rng: Rng, values: Any) -> Any:
    """Return one of some values as it is; ``rng.choice`` would convert it."""
    return values[int(rng.integers(len(values)))]


# ---------------------------------------------------------------------------------- bytes


def spoiled(data: bytes, rng: Rng) -> bytes:
    """Return data with one to five places flipped, overwritten, copied, cut or put in."""
    content = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        pick(rng, _BYTE_CHANGES)(content, int(rng.integers(len(content) + 1)), rng)
    return bytes(content)


def _flip(content: bytearray, at: int, rng: Rng) -> None:
    if at < len(content):
        content[at] ^= 1 << int(rng.integers(8))


def _overwrite(content: bytearray, at: int, rng: Rng) -> None:
    content[at : at + 8] = bytes([pick(rng, (0, 127, 128, 255))]) * len(content[at : at + 8])


def _scribble(content: bytearray, at: int, rng: Rng) -> None:
    content[at : at + 1] = rng.bytes(1)


def _copy(content: bytearray, at: int, rng: Rng) -> None:
    start, length = int(rng.integers(len(content) + 1)), int(rng.integers(1, 64))
    content[at : at + length] = content[start : start + length]


def _insert(content: bytearray, at: int, rng: Rng) -> None:
    content[at:at] = rng.bytes(int(rng.integers(1, 16)))


def _remove(content: bytearray, at: int, rng: Rng) -> None:
    del content[at : at + int(rng.integers(1, 64))]


def _cut(content: bytearray, at: int, rng: Rng) -> None:
    if rng.random() < 0.3:
        del content[at:]


_BYTE_CHANGES = (_flip, _flip, _overwrite, _scribble, _copy, _insert, _remove, _cut)


# --------------------------------------------------------------------------------- tables


def altered(document: Any, rng: Rng, evil: tuple[Any, ...] = EVIL_JSON) -> Any:
    """Return a document of tables and lists with one to three entries changed."""
    document = copy.deepcopy(document)
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(document))
        if places:
            pick(rng, _TABLE_CHANGES)(*pick(rng, places), rng, evil)
    return document


def _places(document: Any) -> Any:
    """Yield every container with every key in it."""
    if isinstance(document, dict | list):
        keys: Any = document if isinstance(document, dict) else range(len(document))
        for key in list(keys):
            yield document, key
            yield from _places(document[key])


def _replace_value(table: Any, key: Key, rng: Rng, evil: tuple[Any, ...]) -> None:
    table[key] = copy.deepcopy(pick(rng, evil))


def _nudge(table: Any, key: Key, rng: Rng, evil: tuple[Any, ...]) -> None:
    value = table[key]
    if isinstance(value, int | float) and not isinstance(value, bool):
        same = float(max(-1e300, min(value, 1e300)))  # larger integers are no floats
        table[key] = pick(rng, (value + 1, value - 1, -value, value * 1000, same))


def _drop(table: Any, key: Key, rng: Rng, evil: tuple[Any, ...]) -> None:
    del table[key]


def _rename(table: Any, key: Key, rng: Rng, evil: tuple[Any, ...]) -> None:
    if isinstance(table, dict):
        table[pick(rng, (*WORDS, f"{key}_", str(key)[:-1]))] = table.pop(key)


def _add(table: Any, key: Key, rng: Rng, evil: tuple[Any, ...]) -> None:
    if isinstance(table, dict):
        table[pick(rng, WORDS)] = copy.deepcopy(pick(rng, evil))
    else:
        table.append(copy.deepcopy(table[key]))


def _wrap(table: Any, key: Key, rng: Rng, evil: tuple[Any, ...]) -> None:
    for _ in range(int(rng.integers(1, 30))):
        table[key] = [table[key]]


_TABLE_CHANGES = (_replace_value, _replace_value, _nudge, _nudge, _drop, _rename, _add, _wrap)


def respelled(text: str, rng: Rng) -> str:
    """Return a text file with lines dropped, doubled, exchanged, or cut in the middle."""
    lines = text.splitlines(keepends=True)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(lines)))
        other = int(rng.integers(len(lines)))
        change = int(rng.integers(5))
        if change == 0 and len(lines) > 1:
            del lines[at]
        elif change == 1:
            lines.insert(other, lines[at])
        elif change == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif change == 3:
            key, equals, _ = lines[at].partition("=")
            lines[at] = f"{key}{equals or '='} {pick(rng, SPELLINGS)}\n"
        else:
            lines[at] = lines[at][: int(rng.integers(len(lines[at]) + 1))]
    return "".join(lines)


SPELLINGS = (
    "nan", "-inf", "1e999", "0x7fffffffffffffff", "9" * 400, "1_0", "1979-05-27", "07:32:00",
    "true", "''", '"\\u0000"', '"""a\nb"""', "[[[[]]]]", "{a = {b = 1}}", "{", "'", "1 2", "é",
)  # fmt: skip


# ----------------------------------------------------------------------------------- HDF5

Change = Callable[[h5py.File, str, Rng], None]
_VALUES = (
    0, -1, 1, 1 << 40, np.uint64(1 << 63), np.int8(-128), 2.5, np.nan, np.inf, 1j, True, [1, 2],
    [[1, 2]], [1e300], np.zeros((0, 3)), "conv", b"dense", [b"input"], "CUBA", b"\xff", "a" * 5000,
)  # fmt: skip
_NAMES = (
    np.bytes_("input"), np.bytes_("a\nb"), np.bytes_(b"\xff\xff"), np.bytes_("[/]"), "variable", 3,
    [b"a"], h5py.Empty("S1"),
)  # fmt: skip
_IMPOSSIBLE = (
    AttributeError, KeyError, ValueError, TypeError, OSError, RuntimeError, OverflowError,
)  # fmt: skip


def regrown(file: h5py.File, rng: Rng, root: str = "layer") -> str:
    """Change one to three things below a group of an open HDF5 file; say what."""
    said = []
    for _ in range(int(rng.integers(1, 4))):
        keys: list[str] = []
        if isinstance(file.get(root), h5py.Group):
            file[root].visit(keys.append)
        key = f"{root}/{pick(rng, keys)}" if keys else root
        change = pick(rng, _TREE_CHANGES)
        said.append(f"{change.__name__} {key}")
        try:
            with np.errstate(all="ignore"):
                change(file, key, rng)
        except _IMPOSSIBLE as error:
            said[-1] += f" (impossible: {type(error).__name__})"  # this mutation, not the file
    return ", ".join(said)


def _values(file: h5py.File, key: str) -> np.ndarray:
    if file[key].size > 1 << 16:
        raise ValueError("vast already")
    return np.array(file[key][()])


def _put(file: h5py.File, key: str, value: Any, **options: Any) -> None:
    del file[key]
    file.create_dataset(key, data=value, **options)


def _value_changes(file: h5py.File, key: str, rng: Rng) -> None:
    values = _values(file, key)
    place = tuple(int(rng.integers(size)) for size in values.shape)
    values[place] = pick(rng, (values[place] + 1, -values[place], 0, 127, -128, 1 << 14))
    _put(file, key, values)


def _any_value(file: h5py.File, key: str, rng: Rng) -> None:
    _put(file, key, pick(rng, _VALUES))


def _type_changes(file: h5py.File, key: str, rng: Rng) -> None:
    kind = pick(rng, ("f8", "f4", "f2", "u1", "u8", ">i4", "i8", "?", "S3", "c16", "i1", "M8[s]"))
    _put(file, key, _values(file, key).astype(kind))


def _shape_changes(file: h5py.File, key: str, rng: Rng) -> None:
    values = _values(file, key)
    flat = values.reshape(-1)
    others = (flat, flat[:1], values.T, values[None], values[..., None], np.tile(values, 2))
    _put(file, key, pick(rng, others))


def _key_goes(file: h5py.File, key: str, rng: Rng) -> None:
    del file[key]


def _key_moves(file: h5py.File, key: str, rng: Rng) -> None:
    parent = key.rpartition("/")[0]
    file.move(key, f"{parent}/{pick(rng, ('7', 'bias', 'delay', 'weight_rec', 'x'))}")


def _key_comes(file: h5py.File, key: str, rng: Rng) -> None:
    parent = key if isinstance(file[key], h5py.Group) else key.rpartition("/")[0]
    name = pick(rng, ("bias", "delay", "weight_rec", "neuron", "messageBits", "stride", "5", "ä"))
    file[f"{parent}/{name}"] = pick(rng, (0, 1, -3, [1, 2, 3], [[1]], "text", 2.5))


def _key_doubles(file: h5py.File, key: str, rng: Rng) -> None:
    file["layer"][str(len(file["layer"]))] = file[key]


def _key_links(file: h5py.File, key: str, rng: Rng) -> None:
    del file[key]
    file[key] = pick(rng, (
        h5py.SoftLink(f"/{key}"), h5py.SoftLink("/layer/1/weight"), h5py.SoftLink("/"),
        h5py.ExternalLink("/dev/zero", "/layer"), h5py.ExternalLink("absent.net", "/layer"),
    ))  # fmt: skip


def _key_becomes_table(file: h5py.File, key: str, rng: Rng) -> None:
    del file[key]
    group = file.create_group(key)
    for depth in range(int(rng.integers(40))):
        group = group.create_group(str(depth % 2))


def _packed(file: h5py.File, key: str, rng: Rng) -> None:
    options = ({"compression": "gzip"}, {"compression": "lzf"}, {"scaleoffset": True},
               {"compression": "gzip", "shuffle": True, "fletcher32": True})  # fmt: skip
    _put(file, key, _values(file, key), **pick(rng, options))


def _vast(file: h5py.File, key: str, rng: Rng) -> None:
    """Say that there are many numbers, of which none is stored."""
    shape = pick(rng, ((1 << 29,), (1 << 15, 1 << 15), (1 << 40, 1 << 20), (3, 3, 1 << 30)))
    del file[key]
    file.create_dataset(key, shape, "i1", chunks=tuple(min(size, 64) for size in shape))


def _name_changes(file: h5py.File, key: str, rng: Rng) -> None:
    entry = file["/".join(key.split("/")[:2])]
    entry.attrs["name"] = pick(rng, _NAMES)


def _document_changes(file: h5py.File, key: str, rng: Rng) -> None:
    document = altered(json.loads(file.attrs["tssl"]), rng)
    file.attrs["tssl"] = np.bytes_(json.dumps(document))


_TREE_CHANGES: tuple[Change, ...] = (
    _value_changes, _value_changes, _value_changes, _any_value, _any_value, _type_changes,
    _shape_changes, _key_goes, _key_moves, _key_comes, _key_doubles, _key_links,
    _key_becomes_table, _packed, _vast, _name_changes, _document_changes, _document_changes,
)  # fmt: skip
