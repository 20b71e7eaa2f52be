"""A data set that lies in a folder, ``rows.txt``, and nowhere else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.trainer import tiny
from tssl.datasets import Dataset, Description
from tssl.errors import DataError

NAME = "lying"


def put(folder: Path) -> Path:
    """Put the data set into a folder, which is made."""
    folder.mkdir(parents=True)
    (folder / "rows.txt").write_text("here")
    return folder


class Lying:
    """The data set as an entry of ``DATASETS``: ``"tests.workflow.lying:LYING"``."""

    def __init__(self, cache: Path = Path("none")) -> None:
        self.cache = cache

    def describe(self, *, data_dir: Path | None, **_: Any) -> Description:
        found = self._found(data_dir)
        own = tiny.ROWS.describe()
        return replace(own, name=NAME, found=str(found), ready=found is not None)

    def load(self, split: str, *, data_dir: Path | None, **_: Any) -> Dataset:
        found = self._found(data_dir)
        if found is None:
            raise DataError("rows.txt: cannot be downloaded")
        return replace(tiny.dataset(split), name=NAME, source=str(found))

    def _found(self, data_dir: Path | None) -> Path | None:
        paths = [folder / "rows.txt" for folder in (data_dir, self.cache) if folder is not None]
        return next(filter(Path.exists, paths), None)


LYING = Lying()
