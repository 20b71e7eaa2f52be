"""The parts of `make gpu`, tried on the CPU: each ends in one line and a file that says how."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "gpu.py"


class Ran:
    """What the command did in a folder."""

    def __init__(
        self, out: Path, *arguments: str, dry_run: bool = True, first: Path | None = None
    ) -> None:
        command = [sys.executable, str(SCRIPT), *arguments, "--out", str(out)]
        done = subprocess.run(
            [*command, *(["--dry-run"] if dry_run else [])],
            env=os.environ | ({} if first is None else {"PYTHONPATH": str(first)}),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.status, self.lines, self.errors = (
            done.returncode,
            done.stdout.splitlines(),
            done.stderr,
        )
        self.files: dict[str, Any] = {
            file.name: json.loads(file.read_text()) for file in sorted(out.glob("??-*.json"))
        }


def parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return [part.name for part in importlib.import_module("gpu").PARTS]


def test_every_part_has_code(monkeypatch: pytest.MonkeyPatch) -> None:
    names = parts(monkeypatch)
    assert names == list(importlib.import_module("gpu_parts").PARTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("tests", "skipped"),
        ("golden", "1 passed"),
        ("steps-mlp", "eager float32 .* captured float32"),
        ("steps-cnn", "eager float32 .* captured float32"),
        ("layer", "tf32 forward"),
        ("chip", "fashion-mnist-cnn: [0-9,]{6,} integers equal"),
        ("fashion-1", "2 epoch"),
    ],
)
def test_a_part_is_done(tmp_path: Path, name: str, shown: str) -> None:
    ran = Ran(tmp_path / "out", name)
    assert ran.status == 0, ran.lines
    (line,) = ran.lines
    ((file, found),) = ran.files.items()
    assert file.endswith(f"-{name}.json")
    assert found["status"] == "done"
    assert found["dry_run"]
    assert found["machine"]["processor"]
    assert found["summary"] in line
    assert re.search(shown, line), line


def test_a_part_without_what_it_needs_is_skipped(tmp_path: Path) -> None:
    ran = Ran(tmp_path / "out", "5")
    assert ran.status == 0
    assert "skipped" in ran.lines[0]
    assert "--official" in ran.lines[0]
    assert ran.files["05-official.json"]["status"] == "skipped"


@pytest.mark.slow
def test_without_triton_the_rest_is_tried(tmp_path: Path) -> None:
    (tmp_path / "triton.py").write_text("raise ImportError\n")
    ran = Ran(tmp_path / "out", "golden", "steps-mlp", first=tmp_path)
    assert ran.status == 0, ran.lines
    golden, steps = ran.files.values()
    assert golden["status"] == "skipped"
    assert "Triton" in golden["summary"]
    assert steps["status"] == "done"
    variants = [row["variant"] for row in steps["figures"]["rows"]]
    assert variants == ["eager float32", "compiled float32", "products"]


@pytest.mark.slow
def test_a_training_goes_on_and_is_not_repeated(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = Ran(out, "cifar10", "--seconds", "0")
    assert first.status == 0
    assert first.files["08-cifar10.json"]["status"] == "unfinished"
    second = Ran(out, "cifar10")
    assert second.files["08-cifar10.json"]["status"] == "done"
    assert second.files["08-cifar10.json"]["figures"]["epochs"] == 2
    third = Ran(out, "8")
    assert "was done before" in third.lines[0]
    assert third.files == second.files


@pytest.mark.slow
def test_a_part_that_fails_says_so_and_others_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    Ran(out, "cifar10", "--seconds", "0")
    (out / "runs" / "cifar10" / "state.safetensors").write_bytes(b"spoilt")
    ran = Ran(out, "cifar10", "official")
    assert ran.status == 1
    skipped, failed = ran.lines  # in the order of the table
    assert "skipped" in skipped
    assert "failed" in failed
    assert "state.safetensors" in failed


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_says_what_to_do(tmp_path: Path) -> None:
    ran = Ran(tmp_path / "out", "1", dry_run=False)
    assert ran.status == 3
    assert ran.lines == ["PyTorch finds no CUDA device; --dry-run tries the parts on the CPU"]
    assert not ran.files


def test_an_unknown_part(tmp_path: Path) -> None:
    ran = Ran(tmp_path / "out", "12")
    assert ran.status == 2
    assert "'12' is no part; there are 1 to 11" in ran.errors
