"""Look whether everything that tssl may need is there, and say how to get what is not."""

import importlib.metadata
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tssl import datasets
from tssl.errors import OutputError
from tssl.machine.files import read_toml
from tssl.wording import count
from tssl.workflow.recipes import shipped_recipes

_SHARED_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 256 << 20
_ALL = "every verb"
_SCRATCH = "Lava's simulator, and exports"
_LAVA = "`tssl run --backend sim`, `tssl verify`, and Lava's proof of an export"
_EXTRAS = {
    "pillow": ("data", "folders of pictures as data"),
    "aedat": ("data", "recordings of events in .aedat4 files"),
    "filelock": ("sweep", "`tssl sweep`"),
    "optuna": ("sweep", "`tssl sweep`"),
    "dask": ("cluster", "`tssl run --cluster`"),
    "submitit": ("cluster", "`tssl run --slurm`"),
    "tensorboard": ("tensorboard", "`tssl train --tensorboard`"),
}
"""By package: the extra of tssl that brings it, and what needs it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    gives
        What works thanks to it, and does not without it.
    required
        Whether tssl cannot work at all without it.
    fix
        The command or deed that mends it; empty when nothing is wrong.
    """

    subject: str
    ok: bool
    detail: str
    gives: str
    fix: str = ""
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All findings."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing required is missing."""
        return all(finding.ok or not finding.required for finding in self.findings)

    @property
    def missing(self) -> list[Finding]:
        """What is not there, the required first."""
        found = [finding for finding in self.findings if not finding.ok]
        return sorted(found, key=lambda finding: not finding.required)

    @property
    def shown(self) -> list[Finding]:
        """What is there, the packages that tssl always needs in one line."""
        there = [finding for finding in self.findings if finding.ok]
        packages = [each for each in there if each.gives == _ALL and each.subject != "Python"]
        together = Finding(
            subject="packages",
            ok=True,
            detail=f"{len(packages)} of {len(_packages())}",
            gives=_ALL,
        )
        rest = [each for each in there if each not in packages]
        return [*rest[:1], together, *rest[1:]]

    def document(self) -> dict[str, Any]:
        """Return the diagnosis as JSON data."""
        return {
            "schema_version": 1,
            "healthy": self.healthy,
            "findings": [asdict(finding) for finding in self.findings],
        }


def diagnose(python: str | None) -> Diagnosis:
    """Look at interpreter, packages, Lava, data sets and scratch space.

    Parameters
    ----------
    python
        Interpreter that has Lava; None for this one.
    """
    findings = [_interpreter(), *map(_package, _packages()), _lava(python), _gpu()]
    findings += [_extra(name, *extra) for name, extra in _EXTRAS.items()]
    recipes = _recipes_by_data()
    findings += [_data_set(name, recipes.get(name, [])) for name in datasets.DATASETS]
    findings += [_space("scratch folder", Path(tempfile.gettempdir()))]
    if _SHARED_MEMORY.is_dir():
        findings.append(_space("shared memory (for Lava)", _SHARED_MEMORY))
    return Diagnosis(findings=tuple(findings))


def _interpreter() -> Finding:
    version = sys.version.split()[0]
    ok = sys.version_info[:2] >= (3, 10)
    fix = "" if ok else "use Python 3.10 or later"
    return Finding(subject="Python", ok=ok, detail=version, gives=_ALL, fix=fix)


def _packages() -> list[str]:
    """Return the names of the packages that tssl itself says it needs, here and now."""
    needed = [Requirement(text) for text in importlib.metadata.requires("tssl") or ()]
    return [each.name for each in needed if each.marker is None or each.marker.evaluate()]


def _package(name: str) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        fix = f"pip install {name}"
        return Finding(subject=name, ok=False, detail="not installed", gives=_ALL, fix=fix)
    return Finding(subject=name, ok=True, detail=version, gives=_ALL)


def _extra(name: str, extra: str, gives: str) -> Finding:
    """Look for a package that only some verbs need."""
    found = replace(_package(name), gives=gives, required=False)
    return found if found.ok else replace(found, fix=f"pip install 'tssl[{extra}]'")


def _gpu() -> Finding:
    try:
        import torch

        name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    except ImportError as error:
        name = ""
        detail = f"cannot be looked for: {error}"
    else:
        detail = name or "none that torch can use"
    return Finding(
        subject="GPU",
        ok=bool(name),
        detail=detail,
        gives="`tssl train --device cuda`; the processor trains instead",
        fix="" if name else "a CUDA GPU, and torch built for CUDA",
        required=False,
    )


def _lava(python: str | None) -> Finding:
    try:  # the runtime needs packages that may be what is missing here
        from tssl.lava_runtime.lava_sim import check

        problem = check(python)
    except ModuleNotFoundError as error:
        fix = f"pip install {error.name}"
        detail = f"cannot be looked for: {error.name} is not installed"
        return Finding(
            subject="Lava", ok=False, detail=detail, gives=_LAVA, fix=fix, required=False
        )
    except OutputError as error:
        fix = "free space in the scratch folder"
        return Finding(
            subject="Lava", ok=False, detail=str(error), gives=_LAVA, fix=fix, required=False
        )
    return Finding(
        subject="Lava",
        gives=_LAVA,
        ok=problem is None,
        detail=problem or "its CPU simulator can be used",
        fix="tssl lava install" if problem else "",
        required=False,
    )


def _recipes_by_data() -> dict[str, list[str]]:
    """Return the shipped recipes of each data set."""
    found: dict[str, list[str]] = {}
    for recipe, path in shipped_recipes().items():
        found.setdefault(str(read_toml(path)["data"].get("name")), []).append(recipe)
    return found


def _data_set(name: str, recipes: Sequence[str]) -> Finding:
    found = datasets.describe(name)
    fetch = f"tssl data fetch {name}"
    by_hand = "put its files where docs/recipes.md says under Data sets"
    fix = "" if found.ready else fetch if found.downloadable else by_hand
    return Finding(
        subject=f"data set {name}",
        ok=found.ready,
        detail=found.found,
        gives=f"`tssl train {', '.join(recipes)}`" if recipes else f"`--data {name}`",
        fix=fix,
        required=False,
    )


def _space(subject: str, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    ok = free >= _NEEDED_BYTES
    fix = "" if ok else f"free {_NEEDED_BYTES >> 20} MiB there"
    detail = f"{folder}, {count(free >> 20)} MiB free"
    return Finding(subject=subject, ok=ok, detail=detail, gives=_SCRATCH, fix=fix)
