"""Entry points of distributions that are made here, in a folder on Python's path."""

import subprocess
import sys
from pathlib import Path

import pytest

from tssl.machine.plugins import extended

MODULE = """
from tests.workflow.blinking import Blinking

FLASHES = Blinking()
"""


def distribution(folder: Path, name: str, group: str, *lines: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))


def test_names_are_added_and_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    distribution(tmp_path / "a", "one", "tssl.tests", "new = one:NEW", "old = one:OLD")
    distribution(tmp_path / "b", "two", "tssl.tests", "new = two:NEW", "more = two:MORE")
    distribution(tmp_path / "b", "three", "tssl.others", "other = three:OTHER")
    for folder in ("b", "a"):
        monkeypatch.syspath_prepend(str(tmp_path / folder))
    table = {"old": "tssl:OLD"}
    found = {"old": "tssl:OLD", "new": "one:NEW", "more": "two:MORE"}
    assert extended(table, "tssl.tests") == found
    assert table == {"old": "tssl:OLD"}


def test_a_data_set_of_another_distribution(tmp_path: Path):
    lines = ("flashes = flashes:FLASHES", "broken = nowhere:X")
    distribution(tmp_path, "flashes", "tssl.datasets", *lines)
    (tmp_path / "flashes.py").write_text(MODULE)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from tssl import datasets\n"
        "assert 'flashes' not in sys.modules\n"
        "print(datasets.describe('flashes').title, len(datasets.load('flashes', 'train', "
        "data_dir=None)))\n"
        "try: datasets.describe('broken')\n"
        "except datasets.ConfigError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shown, problem = ran.stdout.splitlines()
    assert shown == "Blinking 40"
    assert "'broken': nowhere:X cannot be loaded (No module named 'nowhere'); mend" in problem


METHOD = """
from tssl.trainer.methods.surrogate import detached


def make(material):
    print("made")
    return detached(material)
"""


def test_a_method_and_a_backend_of_another_distribution(tmp_path: Path):
    distribution(tmp_path / "m", "method", "tssl.methods", "mine = mine:make")
    distribution(tmp_path / "b", "backend", "tssl.backends", "cloud = nowhere:Cloud")
    (tmp_path / "m" / "mine.py").write_text(METHOD)
    paths = [str(tmp_path / name) for name in ("m", "b")]
    code = (
        f"import sys; sys.path[:0] = {paths!r}\n"
        "from tests.trainer import tiny\n"
        "from tssl.errors import ConfigError\n"
        "from tssl.lava_runtime import BackendOptions, create_backend\n"
        "print(type(tiny.rule_of(rule='mine')).__name__)\n"
        "try: create_backend('cloud', BackendOptions())\n"
        "except ConfigError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    made, rule, problem = ran.stdout.splitlines()
    assert (made, rule) == ("made", "RecurrenceRule")
    assert problem.startswith("backend 'cloud': nowhere:Cloud cannot be loaded")
