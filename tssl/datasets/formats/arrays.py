"""Arrays of a user's own: ``x_train, y_train, x_test, y_test``, from files or from memory."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.datasets.dataset import Dataset, Description, Progress
from tssl.datasets.events import Frames, PackedFrames, pack
from tssl.datasets.formats._splits import SPLIT_KEYS, check_unused, held_out
from tssl.datasets.formats._targets import Targets, targets_of
from tssl.datasets.reading import Reading
from tssl.errors import ConfigError, DataError
from tssl.machine.npy import Array, members, read_npy

__all__ = ["ArraySource", "SequenceSource", "given", "opened"]

NAMES = ("x_train", "y_train", "x_test", "y_test")
_KEYS = ("time", "range", "targets", *SPLIT_KEYS)
_BYTE = 255
_AXES = {False: "(N, C, H, W), (N, H, W) or (N, features)",
         True: "(N, T, C, H, W), (N, T, H, W) or (N, T, features)"}  # fmt: skip
_COLOURS = (1, 3, 4)


def opened(path: Path, reading: Reading) -> "ArraySource | SequenceSource | None":
    """Return the arrays at a path, or None when there is no ``x_train``."""
    if path.is_dir():
        files = {name: path / f"{name}.npy" for name in NAMES}
        if not files["x_train"].exists():
            return None
        arrays = {name: read_npy(file) for name, file in files.items() if file.exists()}
    elif path.suffix.lower() == ".npz":
        arrays = members(path, NAMES)
    else:
        return None
    return _source(os.path.realpath(path), str(path), arrays, reading)


def given(
    data: "Mapping[str, Array] | Sequence[Array]", reading: Reading
) -> "ArraySource | SequenceSource":
    """Return arrays of a program: by name, or ``(x, y)``, or all four in the usual order."""
    if not isinstance(data, Mapping):
        if len(data) not in (2, 4):
            raise DataError(
                f"data: {len(data)} arrays; give (x, y) or ({', '.join(NAMES)}), or a dictionary "
                "with these names"
            )
        data = dict(zip(NAMES, data, strict=False))
    unknown = sorted(set(map(str, data)) - set(NAMES))
    if unknown:
        raise DataError(f"data: has no use for {', '.join(unknown)}; names are {', '.join(NAMES)}")
    arrays = {name: np.asarray(array) for name, array in data.items()}
    return _source("arrays", "arrays given in Python", arrays, reading)


class _Part(NamedTuple):
    inputs: Array
    labels: NDArray[Any]


def _source(
    path: str, source: str, arrays: dict[str, Array], reading: Reading
) -> "ArraySource | SequenceSource":
    reading.only("arrays", _KEYS)
    for name in ("x_train", "y_train"):
        if name not in arrays:
            raise DataError(
                f"{source}: holds no array {name}; needed are x_train and y_train, and x_test and "
                "y_test may follow"
            )
    for one, other in (NAMES[2:], NAMES[:1:-1]):
        if one in arrays and other not in arrays:
            raise DataError(f"{source}: holds {one} without {other}")
    if "x_test" in arrays:
        check_unused(reading, source)
    axes = arrays["x_train"].ndim
    is_sequence = axes == 5 if reading.time is None else reading.time
    kind = SequenceSource if is_sequence else ArraySource
    return kind(name=Path(path).stem, source=source, arrays=arrays, reading=reading)


@dataclass(frozen=True, kw_only=True, eq=False)
class ArraySource:
    """Arrays that do not change in time.

    Parameters
    ----------
    name, source
        See :class:`Dataset`.
    arrays
        By name; those of the test split may be missing.

    Notes
    -----
    A value ``v`` becomes a pixel ``round((v - low) / (high - low) * full_scale)``. Whole numbers in
    0...255 are their own pixels, with the largest of both splits as full scale, unless
    ``data.range`` says otherwise; a range of whole numbers at most 255 wide loses nothing, and any
    other is cut into 256 levels.
    """

    name: str
    source: str
    arrays: dict[str, Array]
    reading: Reading

    _has_time = False

    def describe(self, *, data_dir: Path | None, cache: Path | None) -> Description:
        """Return what the arrays are; the folders play no part."""
        inputs = self._parts["train"].inputs
        channels, height, width = inputs.shape[-3:]
        return Description(
            name=self.name,
            title="arrays",
            shape=(channels, height, width),
            classes=len(self.class_names),
            full_scale=self._scale[1],
            train=len(self._parts["train"].labels),
            test=len(self._parts["test"].labels),
            licence="your own",
            found=self.source,
            ready=True,
            downloadable=False,
            class_names=self.class_names,
            numbers=0 if self.class_names else self._parts["train"].labels.shape[1],
            time_steps=inputs.shape[1] if self._has_time else 0,
        )

    def load(
        self, split: str, *, data_dir: Path | None, cache: Path | None, progress: Progress | None
    ) -> Dataset:
        """Return one split; the folders play no part.

        Raises
        ------
        DataError
            When an array is not what it should be.
        """
        return self._dataset(split, 0)

    def _dataset(self, split: str, time_steps: int) -> Dataset:
        part = self._parts[split]
        low, full_scale, gain = self._scale
        pixels = np.rint((part.inputs - low) * gain).astype(np.uint8) if gain else part.inputs
        inputs: NDArray[np.uint8] | PackedFrames = pixels.astype(np.uint8, copy=False)
        if time_steps and full_scale == 1:
            inputs = pack(pixels)
        return Dataset(
            name=self.name,
            split=split,
            inputs=inputs,
            labels=part.labels,
            classes=len(self.class_names),
            full_scale=full_scale,
            source=self.source,
            time_steps=time_steps,
            class_names=self.class_names,
            warnings=self._warnings if split == "train" else (),
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of labels that are text, these; of other classes the numbers; none of numbers to tell."""
        return self._labels.class_names

    @cached_property
    def _labels(self) -> Targets:
        return targets_of(self.arrays, self.source, self.reading.targets)

    @cached_property
    def _held_out(self) -> tuple[NDArray[np.bool_], str]:
        if "x_test" in self.arrays:
            return np.zeros(0, np.bool_), ""
        return held_out(self._labels.of["y_train"], self.reading)

    @cached_property
    def _parts(self) -> dict[str, _Part]:
        labels = self._labels.of
        train = self._shaped("x_train")
        if "x_test" not in self.arrays:
            kept, numbers = self._held_out[0], labels["y_train"]
            if not kept.any():
                raise DataError(f"{self.source}: too few samples for a test split; give x_test")
            return {
                "train": _Part(train[~kept], numbers[~kept]),
                "test": _Part(train[kept], numbers[kept]),
            }
        test = self._shaped("x_test")
        if test.shape[1:] != train.shape[1:]:
            raise DataError(
                f"{self.source}: samples of x_test have shape {test.shape[1:]}, those of x_train "
                f"{train.shape[1:]}"
            )
        return {"train": _Part(train, labels["y_train"]), "test": _Part(test, labels["y_test"])}

    def _shaped(self, name: str) -> Array:
        """Return an array as (N, C, H, W), with T behind N where there is time."""
        array, ahead = self.arrays[name], 2 if self._has_time else 1
        if array.dtype.kind not in "buif":
            raise DataError(f"{self.source}: {name} is {array.dtype}; expected numbers")
        own = array.shape[ahead:]
        if not 1 <= len(own) <= 3 or array.size == 0:
            other = _AXES[not self._has_time]
            raise DataError(
                f"{self.source}: {name} has shape {array.shape}; expected "
                f"{_AXES[self._has_time]}, not empty; {other} with data.time = "
                f"{str(not self._has_time).lower()}"
            )
        return array.reshape(*array.shape[:ahead], *(1,) * (3 - len(own)), *own)

    @cached_property
    def _scale(self) -> tuple[float, int, float]:
        """Return the value of pixel 0, the full scale, and pixels per unit; 0 if they are kept."""
        ends = [self._ends(name) for name in NAMES[::2] if name in self.arrays]
        low, high = min(end[0] for end in ends), max(end[1] for end in ends)
        is_whole = all(self.arrays[name].dtype.kind in "bui" for name in self.arrays if "x" in name)
        if self.reading.range is None:
            if is_whole and low >= 0 and high <= _BYTE:
                return 0, max(1, int(high)), 0
            raise DataError(
                f"{self.source}: holds {self.arrays['x_train'].dtype} from {low:g} to {high:g}; "
                "say which values are the darkest and the brightest pixel, for example "
                f"data.range = [{low:g}, {high:g}] in a recipe, or "
                f"`tssl train RECIPE --set 'data.range=[{low:g}, {high:g}]'`"
            )
        first, last = self.reading.range
        if low < first or high > last:
            raise DataError(
                f"{self.source}: holds values from {low:g} to {high:g}, outside data.range = "
                f"[{first:g}, {last:g}]"
            )
        is_whole = is_whole and float(first).is_integer() and float(last).is_integer()
        full_scale = int(last - first) if is_whole and last - first <= _BYTE else _BYTE
        return first, full_scale, full_scale / (last - first)

    def _ends(self, name: str) -> tuple[float, float]:
        array = self.arrays[name]
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            at = np.argwhere(~np.isfinite(array))[0].tolist()
            raise DataError(f"{self.source}: {name}{at} is {array[tuple(at)]}; expected numbers")
        return float(array.min()), float(array.max())

    @property
    def _warnings(self) -> tuple[str, ...]:
        said = [self._held_out[1]] if self._held_out[1] else []
        full_scale, part = self._scale[1], self._parts["train"]
        if self.reading.range is None and full_scale not in (1, _BYTE):
            said.append(f"{full_scale}, the largest value, is taken for the brightest pixel")
        channels, height, width = part.inputs.shape[-3:]
        if width in _COLOURS and min(channels, height) > max(_COLOURS):
            said.append(
                f"samples have shape {(channels, height, width)}, which looks like (H, W, C); "
                "(C, H, W) is expected"
            )
        missing = np.setdiff1d(np.arange(len(self.class_names)), part.labels)
        if len(missing):
            said.append(f"no sample to train on is of class {self.class_names[missing[0]]}")
        return tuple(f"data set {self.name}: {text}" for text in said)


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceSource(ArraySource):
    """Arrays with a time axis: a frame enters at each step, presence or a graded value."""

    _has_time = True

    @property
    def default_frames(self) -> Frames:
        """As many as there are."""
        return Frames(time_steps=self._parts["train"].inputs.shape[1], bin_us=1)

    def bin_us(self, time_steps: int) -> int:
        """Return 1: the arrays do not say how long a frame lasts, and nothing depends on it."""
        return 1

    def load(  # type: ignore[override]
        self,
        split: str,
        *,
        frames: Frames,
        data_dir: Path | None,
        cache: Path | None,
        progress: Progress | None,
    ) -> Dataset:
        """Return one split; the folders play no part.

        Raises
        ------
        ConfigError
            When the network has another number of steps.
        DataError
            When an array is not what it should be.
        """
        recorded = self.default_frames
        if frames.time_steps != recorded.time_steps:
            raise ConfigError(
                f"network.time_steps = {frames.time_steps}: {self.source} holds "
                f"{recorded.time_steps} frames of each sample; set it to that"
            )
        if frames.bin_us != recorded.bin_us:
            raise ConfigError(f"data.bin_us: {self.source} holds frames already; leave it out")
        return self._dataset(split, frames.time_steps)
