"""Every command: help, an example, the common options; and what starting one costs."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from tssl.cli import cli, run_command


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from walk(child, (*path, name))


def at(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


COMMANDS = list(walk(cli))
LEAVES = [path for path in COMMANDS if not isinstance(at(path), click.Group)]
NAMES = {"ids": " ".join}


def test_there_are_the_commands_of_the_contract() -> None:
    assert {" ".join(path) for path in LEAVES} == {
        "train", "export", "run", "verify", "report", "inspect", "profiles list", "profiles show",
        "profiles check", "profiles calibrate", "recipes", "data list", "data show", "data fetch",
        "doctor", "lava install", "lava shims", "demo", "diff", "nir read", "nir write", "sweep",
        "plan",
    }  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, **NAMES)
def test_help_and_example(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: {' '.join(('tssl', *path))}")
    first = (at(path).help or "").strip().splitlines()[0]
    assert first.endswith((".", ":")) or "." in (at(path).help or "")
    group = at(path[:-1]) if len(path) > 1 else at(path)
    texts = (group.help or "") + (at(path).help or "")
    assert "Example" in texts
    assert f"tssl {path[0]}" in texts if path else "tssl train" in texts


@pytest.mark.parametrize("path", LEAVES, **NAMES)
def test_common_options(path: tuple[str, ...]) -> None:
    options = {name for parameter in at(path).params for name in parameter.opts}
    assert {"--json", "--quiet", "--debug"} <= options


@pytest.mark.parametrize("path", LEAVES, **NAMES)
def test_options_have_help(path: tuple[str, ...]) -> None:
    silent = [
        parameter.opts[-1]
        for parameter in at(path).params
        if isinstance(parameter, click.Option)
        and not parameter.help
        and not isinstance(parameter.type, click.Choice)  # its values say it
    ]
    assert silent == []


def test_starting_imports_nothing_heavy() -> None:
    heavy = ["torch", "h5py", "lava", "sklearn", "pydantic", "scipy", "safetensors", "matplotlib",
             "optuna", "filelock"]  # fmt: skip
    code = f"import sys, tssl.cli; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_training_imports_no_export() -> None:
    """Half a second before the first step."""
    others = ["h5py", "networkx", "tssl.engine", "tssl.exporter", "tssl.lava_runtime"]
    code = f"import sys, tssl.workflow.train; print([m for m in {others} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["recipes"], ["profiles", "list"], ["inspect", "--help"]])
def test_small_commands_do_without_torch_and_lava(arguments: list[str]) -> None:
    code = (
        "import sys; from tssl.cli import run_command; "
        f"status = run_command({arguments}); "
        "sys.exit(status or ('torch' in sys.modules) or ('lava' in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
