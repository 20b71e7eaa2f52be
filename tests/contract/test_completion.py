"""Shell completion as the installed command gives it to bash, zsh and fish."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tssl.datasets import DATASETS
from tssl.workflow.recipes import shipped_recipes

pytestmark = pytest.mark.slow

TSSL = Path(sys.executable).with_name("tssl")
PATHS = "file"


def ask(variables: dict[str, str]) -> str:
    ran = subprocess.run(
        [TSSL], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    assert ran.returncode == 0
    return ran.stdout


def completions(line: str) -> list[str]:
    """Return what bash is offered for the last word of a line; paths are the word ``file``."""
    words = line.split(" ")
    answer = ask({
        "_TSSL_COMPLETE": "bash_complete",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    })  # fmt: skip
    pairs = [entry.split(",", 1) for entry in answer.splitlines()]
    return [value if kind == "plain" else kind for kind, value in pairs]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tssl tr", ["train"]),
        ("tssl profiles ", ["calibrate", "check", "list", "show"]),
        ("tssl train --dev", ["--device"]),
        ("tssl train ", [PATHS, *shipped_recipes()]),
        ("tssl train fashion-mnist-m", [PATHS, "fashion-mnist-mlp"]),
        ("tssl recipes digi", [PATHS, "digit-angles-li", "digit-angles-sdnn", "digits"]),
        ("tssl train digits --target ", [PATHS, "hala-point", "kapoho-point", "loihi1", "loihi2"]),
        ("tssl export runs/x --target loi", [PATHS, "loihi1", "loihi2"]),
        ("tssl report result --profile a", [PATHS, "all", "akida"]),
        ("tssl profiles show xy", [PATHS, "xylo"]),
        ("tssl data fetch ", list(DATASETS)),
        ("tssl run any.net --data n", [PATHS, "nmnist", "ntidigits"]),
        ("tssl run any.net --backend ", ["engine", "sim", "loihi2"]),
        ("tssl verify ", [PATHS]),
        ("tssl report ", ["dir"]),
    ],
)
def test_completions(line: str, offered: list[str]) -> None:
    assert completions(line) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_ask_the_command(shell: str) -> None:
    script = ask({"_TSSL_COMPLETE": f"{shell}_source"})
    assert f"_TSSL_COMPLETE={shell}_complete" in script


def test_bash_completes(tmp_path: Path) -> None:
    """The function that bash is given, called as bash calls it."""
    (tmp_path / "digits.toml").touch()
    call = """
        compopt() { :; }  # only within a completion
        eval "$(_TSSL_COMPLETE=bash_source tssl)"
        COMP_WORDS=(tssl train fash) COMP_CWORD=2
        _tssl_completion tssl
        echo "${COMPREPLY[@]}"
    """
    path = f"{TSSL.parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", call],
        cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.split() == [name for name in shipped_recipes() if name.startswith("fash")]


@pytest.mark.parametrize("words", ["train d", "export r --target l", "data fetch m"])
def test_completing_imports_no_torch(words: str) -> None:
    code = """
import sys
from tssl.cli import run_command
run_command([])
sys.exit("torch" in sys.modules)
"""
    line = f"tssl {words}".split()
    asked = {"COMP_WORDS": "\n".join(line), "COMP_CWORD": str(len(line) - 1)}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked, "_TSSL_COMPLETE": "bash_complete"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0
    assert ran.stdout
