"""What is to be said of samples in arrays: classes, as numbers or text, or numbers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.errors import DataError
from tssl.machine.npy import Array

__all__ = ["Targets", "targets_of"]

_SPLITS = ("train", "test")


class Targets(NamedTuple):
    """Targets by the name of their array, and how classes are called; none are of numbers."""

    class_names: tuple[str, ...]
    of: dict[str, NDArray[Any]]


def targets_of(arrays: Mapping[str, Array], source: str, wanted: str | None) -> Targets:
    """Return the targets in ``y_train`` and, if it is there, ``y_test``.

    Parameters
    ----------
    wanted
        ``classes`` or ``numbers``; by the type of the arrays when None.

    Raises
    ------
    DataError
        When they are not what they should be.
    """
    names = [f"y_{split}" for split in _SPLITS if f"y_{split}" in arrays]
    kinds = {arrays[name].dtype.kind for name in names}
    if wanted == "numbers" or (wanted is None and kinds == {"f"}):
        numbers = {name: _numbers(arrays, name, source) for name in names}
        widths = sorted({each.shape[1] for each in numbers.values()})
        if len(widths) > 1:
            raise DataError(f"{source}: y_train and y_test hold {widths} numbers of a sample")
        return Targets((), numbers)
    return _classes({name: _whole(arrays, name, source) for name in names}, source)


def _numbers(arrays: Mapping[str, Array], name: str, source: str) -> NDArray[np.float64]:
    """Return numbers ``(samples, outputs)``."""
    labels = arrays[name]
    if labels.dtype.kind not in "iuf" or labels.ndim not in (1, 2) or labels.size == 0:
        raise DataError(
            f"{source}: {name} is {labels.dtype} of shape {labels.shape}; expected numbers of "
            "shape (N,) or (N, outputs), not empty"
        )
    _check_length(arrays, name, source)
    if not np.isfinite(labels).all():
        at = np.argwhere(~np.isfinite(labels))[0].tolist()
        raise DataError(f"{source}: {name}{at} is {labels[tuple(at)]}; expected numbers")
    return labels.reshape(len(labels), -1).astype(np.float64)


def _whole(arrays: Mapping[str, Array], name: str, source: str) -> Array:
    """Return labels that are whole numbers from 0, or text."""
    labels = arrays[name]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iuUS":
        raise DataError(
            f"{source}: {name} is {labels.dtype} of shape {labels.shape}; expected whole "
            "numbers or text of shape (N,), or numbers with data.targets = 'numbers'"
        )
    _check_length(arrays, name, source)
    if labels.dtype.kind == "i" and int(labels.min()) < 0:
        raise DataError(f"{source}: {name} holds {labels.min()}; labels begin at 0")
    return labels


def _check_length(arrays: Mapping[str, Array], name: str, source: str) -> None:
    labels, inputs = arrays[name], arrays[name.replace("y", "x")]
    if not len(labels) or inputs.ndim == 0 or len(labels) != len(inputs):
        samples = len(inputs) if inputs.ndim else 0
        raise DataError(f"{source}: {samples} samples and {len(labels)} labels in {name}")


def _classes(found: dict[str, Array], source: str) -> Targets:
    train = found["y_train"]
    if train.dtype.kind not in "US":
        most = max(int(labels.max(initial=0)) for labels in found.values()) + 1
        numbers = {name: labels.astype(np.int64) for name, labels in found.items()}
        # checked against the samples, so that a number gone astray makes no million classes
        if most > max(1000, len(train)):
            raise DataError(f"{source}: has a label of {most - 1} among {len(train)}")
        return Targets(tuple(map(str, range(most))), numbers)
    names = np.unique(train)
    unknown = [str(one) for labels in found.values() for one in np.setdiff1d(labels, names)]
    if unknown:
        raise DataError(f"{source}: y_test holds the class {unknown[0]!r}; y_train does not")
    return Targets(
        tuple(map(str, names)),
        {name: np.searchsorted(names, labels).astype(np.int64) for name, labels in found.items()},
    )
