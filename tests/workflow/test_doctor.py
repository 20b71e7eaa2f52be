"""The doctor finds what is missing and says what mends it."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import in_this_process
from tssl.errors import OutputError
from tssl.lava_runtime import lava_sim
from tssl.machine.files import tomllib
from tssl.workflow import doctor
from tssl.workflow.doctor import Finding, diagnose


@pytest.fixture(autouse=True)
def lava_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lava_sim, "check", lambda _: None)


def finding(subject: str, python: str | None = None) -> Finding:
    (found,) = [f for f in diagnose(python).findings if f.subject == subject]
    return found


def test_here_everything_required_is_there() -> None:
    diagnosis = diagnose(None)
    assert diagnosis.healthy
    document = json.loads(json.dumps(diagnosis.document()))
    assert document["schema_version"] == 1
    subjects = [entry["subject"] for entry in document["findings"]]
    assert {"Python", "torch", "Lava", "data set digits", "scratch folder"} <= set(subjects)
    assert all(entry["fix"] == "" for entry in document["findings"] if entry["ok"])


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["numpy>=1", "surely-not-there>=1", "nor-this; extra == 'dev'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: needed)
    found = finding("surely-not-there")
    assert (found.ok, found.fix) == (False, "pip install surely-not-there")
    assert not diagnose(None).healthy


def test_every_package_that_tssl_needs_is_looked_for() -> None:
    subjects = {found.subject for found in diagnose(None).findings}
    project = Path(__file__).parents[2] / "pyproject.toml"
    for line in tomllib.loads(project.read_text())["project"]["dependencies"]:
        if "python_version" not in line:
            assert re.split("[><=]", line)[0] in subjects


def test_what_cannot_be_downloaded_is_not_to_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent")
    found = finding("data set nmnist")
    assert not found.ok
    assert "docs/recipes.md" in found.fix


def test_what_is_missing_says_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent")
    for found in diagnose(None).findings:
        assert found.gives
        assert found.ok or found.fix
    assert finding("data set nmnist").gives == "`tssl train nmnist-cnn`"
    assert finding("data set shd").gives == "`--data shd`"


@pytest.mark.parametrize("name", doctor._EXTRAS)
def test_packages_of_extras(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The extra that brings a package is the one that pyproject.toml says."""
    extra, _ = doctor._EXTRAS[name]
    project = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    assert any(re.split(r"[\[><=]", line)[0] == name for line in extras[extra])
    version = importlib.metadata.version

    def without(asked: str) -> str:
        if asked == name:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(asked)

    monkeypatch.setattr(importlib.metadata, "version", without)
    found = finding(name)
    assert (found.ok, found.required, found.fix) == (False, False, f"pip install 'tssl[{extra}]'")
    assert diagnose(None).healthy


def test_what_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(lava_sim, "check", lambda _: "no lava")
    ran = in_this_process(capsys)("doctor")
    assert ran.status == 0
    assert (
        "missing: Lava (no lava)\n  does not work without it: `tssl run --backend sim`" in ran.out
    )
    assert "  to get it: tssl lava install\n" in ran.out
    assert re.search(r"packages +\d+ of \d+; for every verb", ran.out)


def test_missing_lava_is_no_illness(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(lava_sim, "check", lambda python: asked.append(python) or "no lava")
    found = finding("Lava", "some-python")
    assert asked == ["some-python"]
    assert (found.ok, found.detail, found.fix) == (False, "no lava", "tssl lava install")
    assert diagnose(None).healthy


def test_without_a_package_that_the_backends_need() -> None:
    """``None`` in ``sys.modules`` makes Python raise as if the package were not there."""
    code = (
        "import sys; sys.modules['h5py'] = None\n"
        "from tssl.workflow.doctor import diagnose\n"
        "(found,) = [f for f in diagnose(None).findings if f.subject == 'Lava']\n"
        "print(found.ok, found.detail, found.fix, sep='|')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert ran.stdout.strip() == (
        "False|cannot be looked for: h5py is not installed|pip install h5py"
    )


def test_scratch_folder_that_lava_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(_: str | None) -> None:
        raise OutputError("/tmp: scratch files cannot be written: No space left on device")

    monkeypatch.setattr(lava_sim, "check", check)
    found = finding("Lava")
    assert not found.ok
    assert "No space left" in found.detail
    assert "scratch folder" in found.fix


def test_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10 << 30, 10 << 30, 5 << 20)
    )
    found = finding("scratch folder")
    assert not found.ok
    assert "5 MiB free" in found.detail
    assert found.fix == "free 256 MiB there"


@pytest.mark.parametrize(("version", "ok"), [((3, 9), False), ((3, 10), True), ((3, 14), True)])
def test_python_version(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], ok: bool
) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", (*version, 1))
    found = finding("Python")
    assert found.ok is ok
    assert bool(found.fix) is not ok
