"""Look whether everything that tssl may need is there, and say how to get what is not."""

import importlib.metadata
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tssl import datasets
from tssl.errors import OutputError

_SHARED_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    required
        Whether tssl cannot work at all without it.
    fix
        The command or deed that mends it; empty when nothing is wrong.
    """

    subject: str
    ok: bool
    detail: str
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
    findings = [_interpreter(), *map(_package, _packages()), _lava(python)]
    findings += [_data_set(name) for name in datasets.DATASETS]
    findings += [_space("scratch folder", Path(tempfile.gettempdir()))]
    if _SHARED_MEMORY.is_dir():
        findings.append(_space("shared memory (for Lava)", _SHARED_MEMORY))
    return Diagnosis(findings=tuple(findings))


def _interpreter() -> Finding:
    version = sys.version.split()[0]
    ok = (3, 10) <= sys.version_info[:2] <= (3, 13)
    fix = "" if ok else "use Python 3.10, 3.11, 3.12 or 3.13"
    return Finding(subject="Python", ok=ok, detail=version, fix=fix)


def _packages() -> list[str]:
    """Return the names of the packages that tssl itself says it needs, here and now."""
    needed = [Requirement(text) for text in importlib.metadata.requires("tssl") or ()]
    return [each.name for each in needed if each.marker is None or each.marker.evaluate()]


def _package(name: str) -> Finding:
    try:
        return Finding(subject=name, ok=True, detail=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(subject=name, ok=False, detail="missing", fix=f"pip install {name}")


def _lava(python: str | None) -> Finding:
    try:  # the runtime needs packages that may be what is missing here
        from tssl.lava_runtime.lava_sim import check

        problem = check(python)
    except ModuleNotFoundError as error:
        fix = f"pip install {error.name}"
        detail = f"cannot be looked for: {error.name} is not installed"
        return Finding(subject="Lava", ok=False, detail=detail, fix=fix, required=False)
    except OutputError as error:
        fix = "free space in the scratch folder"
        return Finding(subject="Lava", ok=False, detail=str(error), fix=fix, required=False)
    return Finding(
        subject="Lava",
        ok=problem is None,
        detail=problem or "its CPU simulator can be used",
        fix="tssl lava install" if problem else "",
        required=False,
    )


def _data_set(name: str) -> Finding:
    found = datasets.describe(name)
    fetch = f"tssl data fetch {name}"
    by_hand = "put its files where docs/recipes.md says under Data sets"
    fix = "" if found.ready else fetch if found.downloadable else by_hand
    return Finding(
        subject=f"data set {name}", ok=found.ready, detail=found.found, fix=fix, required=False
    )


def _space(subject: str, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    ok = free >= _NEEDED_BYTES
    fix = "" if ok else f"free {_NEEDED_BYTES >> 20} MiB there"
    return Finding(subject=subject, ok=ok, detail=f"{folder}, {free >> 20} MiB free", fix=fix)
