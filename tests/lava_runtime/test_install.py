import subprocess
import sys
from types import SimpleNamespace

import pytest

from tssl.errors import BackendUnavailableError
from tssl.lava_runtime import install as room
from tssl.lava_runtime.install import LAVA, NEEDED, install, installed

COMPLETE = {**LAVA, **dict.fromkeys(NEEDED, "1.0")}


@pytest.fixture
def pip(monkeypatch):
    """Records calls of pip instead of making them."""
    calls: list[list[str]] = []
    result = SimpleNamespace(returncode=0, stderr="")

    def run(command, **_):
        calls.append(command)
        return result

    monkeypatch.setattr(room.subprocess, "run", run)
    return SimpleNamespace(calls=calls, result=result)


def test_nothing_is_done_when_all_is_there(monkeypatch, pip):
    monkeypatch.setattr(room, "installed", lambda _: COMPLETE)
    lines: list[str] = []
    assert install("/py", lines.append) is False
    assert pip.calls == []
    assert lines == ["lava-nc 0.10.0, lava-dl 0.6.0: already there in /py"]


def test_missing_parts_are_installed(monkeypatch, pip):
    found = {name: version for name, version in COMPLETE.items() if name not in ("h5py", "lava-dl")}
    monkeypatch.setattr(room, "installed", lambda _: found)
    lines: list[str] = []
    assert install("/py", lines.append) is True
    assert [call[5:] for call in pip.calls] == [
        ["h5py"],
        ["--no-deps", "--ignore-requires-python", "lava-dl==0.6.0"],
    ]
    assert len(lines) == 2


def test_another_version_is_replaced(monkeypatch, pip):
    monkeypatch.setattr(room, "installed", lambda _: {**COMPLETE, "lava-nc": "0.9.0"})
    install("/py", lambda _: None)
    assert pip.calls[0][-1] == "lava-nc==0.10.0"


def test_without_pip_the_command_for_uv_is_told(monkeypatch, pip):
    monkeypatch.setattr(room, "installed", lambda _: dict.fromkeys(NEEDED, "1.0"))
    pip.result.returncode, pip.result.stderr = 1, "/py: No module named pip\n"
    command = "uv pip install --python /py --no-deps lava-nc==0.10.0 lava-dl==0.6.0"
    with pytest.raises(BackendUnavailableError, match=command):
        install("/py", lambda _: None)


def test_pips_own_reason_and_the_command_are_told(monkeypatch, pip):
    monkeypatch.setattr(room, "installed", lambda _: dict.fromkeys(NEEDED, "1.0"))
    pip.result.returncode, pip.result.stderr = 1, "WARNING: x\nERROR: No matching distribution\n"
    with pytest.raises(BackendUnavailableError, match=r"No matching distribution.*-m pip install"):
        install("/py", lambda _: None)


def test_a_real_interpreter_without_pip(tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = str(venv / "bin" / "python")
    assert installed(python) == {}
    with pytest.raises(BackendUnavailableError, match="has no pip"):
        install(python, lambda _: None)


def test_not_an_interpreter():
    with pytest.raises(BackendUnavailableError, match="TSSL_LAVA_PYTHON"):
        installed("/bin/false")


def test_own_interpreter_reports_numpy():
    assert "numpy" in installed()
