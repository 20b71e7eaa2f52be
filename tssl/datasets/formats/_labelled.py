"""Samples with their labels and splits, whatever each of them is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from tssl.datasets.dataset import Description
from tssl.errors import DataError

__all__ = ["Labelled", "Sample"]

T = TypeVar("T", covariant=True)


@dataclass(frozen=True)
class Sample(Generic[T]):
    """One sample.

    Parameters
    ----------
    name
        As its file is called, for people.
    read
        Returns what is in it; raises ``DataError`` that says what is wrong, not with which file.
    """

    name: str
    label: int
    read: Callable[[], T]


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled(Generic[T]):
    """All samples that there are.

    Parameters
    ----------
    name, source
        See :class:`tssl.datasets.Dataset`.
    class_names
        In the order of the labels.
    samples
        Of ``"train"`` and ``"test"``.
    warnings
        What a user may not expect, a sentence each.
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    samples: Mapping[str, list[Sample[T]]]
    warnings: tuple[str, ...] = ()

    def read(self, sample: Sample[T]) -> T:
        """Return what is in a sample; errors name it.

        Raises
        ------
        DataError
            When it cannot be read.
        """
        try:
            return sample.read()
        except DataError as error:
            raise DataError(f"{sample.name}: {error}") from error

    def description(self, title: str, shape: tuple[int, int, int], full_scale: int) -> Description:
        """Return what the data are."""
        return Description(
            name=self.name,
            title=title,
            shape=shape,
            classes=len(self.class_names),
            full_scale=full_scale,
            train=len(self.samples["train"]),
            test=len(self.samples["test"]),
            licence="your own",
            found=self.source,
            ready=True,
            downloadable=False,
            class_names=self.class_names,
        )
