"""Python has what the command line has: every option, under Python's names, in errors too."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import tssl
from tests.contract.test_advice import MESSAGES, OPTION, OTHER_PROGRAMS
from tests.contract.test_commands import at
from tssl.calls import in_python

VERBS: dict[str, Callable[..., Any]] = {
    "train": tssl.train,
    "export": tssl.export,
    "run": tssl.run,
    "verify": tssl.verify,
    "report": tssl.report,
    "sweep": tssl.sweep,
    "plan": tssl.plan,
    "diff": tssl.diff,
    "inspect": tssl.inspect,
    "nir read": tssl.nir_read,
    "nir write": tssl.nir_write,
    "profiles calibrate": tssl.calibrate,
}
OTHERWISE = {
    "train": {name: "settings" for name in ("epochs", "batch_size", "lr", "seed", "overrides")},
    "run": {"file": "input"},
    "verify": {"file": "input"},
    "diff": {"file": "input"},
    "inspect": {"net": "path"},
    "report": {"results": "result"},
    "sweep": {"overrides": "settings"},
    "plan": {"overrides": "settings"},
}
"""Parameters by what the command calls its options, where that differs."""
OF_TERMINALS = {"as_json", "quiet", "debug"}
OF_PYTHON = {"progress"}
NOT_IN_PYTHON = {
    "demo", "doctor", "profiles list", "profiles show", "profiles check", "recipes", "data list",
    "data show", "data fetch", "lava install", "lava shims",
}  # fmt: skip
"""Commands that look after an installation, or print what Python has as values."""


def options(command: str) -> list[click.Parameter]:
    return [each for each in at(tuple(command.split())).params if each.name not in OF_TERMINALS]


def in_function(command: str, name: str | None) -> str:
    assert name is not None
    return OTHERWISE.get(command, {}).get(name, name)


def test_every_command_is_a_verb_or_stated() -> None:
    from tests.contract.test_commands import LEAVES

    assert {" ".join(path) for path in LEAVES} == VERBS.keys() | NOT_IN_PYTHON


@pytest.mark.parametrize("command", VERBS)
def test_python_has_every_option_and_no_other(command: str) -> None:
    parameters = set(inspect.signature(VERBS[command]).parameters) - OF_PYTHON
    assert parameters == {in_function(command, each.name) for each in options(command)}


@pytest.mark.parametrize("command", VERBS)
def test_defaults_are_the_same(command: str) -> None:
    parameters = inspect.signature(VERBS[command]).parameters
    for option in options(command):
        if isinstance(option.default, bool | int | float | str):
            own = parameters[in_function(command, option.name)].default
            assert own == option.default, option.name


@pytest.mark.parametrize("command", VERBS)
def test_parameters_are_explained(command: str) -> None:
    text = inspect.getdoc(VERBS[command]) or ""
    lines = {name.strip() for line in text.splitlines() for name in line.split(",")}
    obvious = {"run", "target", "left", "right", "net", "file", "path", "progress", "data_dir"}
    assert set(inspect.signature(VERBS[command]).parameters) - lines <= obvious


def of_python(text: str) -> str:
    """Return a message as it would be raised by a verb with all parameters that there are."""
    names = {name for verb in VERBS.values() for name in inspect.signature(verb).parameters}
    return in_python(text, names)


def test_no_message_keeps_an_option() -> None:
    """Those of commands alone never get to Python; code in a message stays a command."""
    kept = []
    for message in MESSAGES:
        if message.file.startswith(("commands/", "cli.py", *OTHER_PROGRAMS)):
            continue
        outside = "".join(of_python(message.text).split("`")[::2])
        kept += [(message.file, option) for option in OPTION.findall(outside)]
    said_by_others = {("lava_runtime/lava_sim.py", "--check"), ("calls.py", "--data-dir")}
    to_terminals = {("reporting/terminal.py", "--json"), ("reporting/terminal.py", "--html")}
    commands = {("workflow/sweep_tables.py", "--no-lava")}  # how to make a point again
    torchrun = {(file, option) for file, option in kept if option == "--nproc-per-node"}
    assert set(kept) - said_by_others - to_terminals - commands - torchrun == set()


@pytest.mark.parametrize(
    ("message", "parameters", "wanted"),
    [
        ("--density 3: above 0", ["density"], "density 3: above 0"),
        ("give --data NAME|PATH or --input FILE", ["data", "input"], "give data=NAME|PATH or "
         "input=FILE"),
        ("name it with --data-dir, or", ["data_dir"], "name it with data_dir, or"),
        ("--from runs/x: no run", ["origin"], "origin runs/x: no run"),
        ("try --batch-size 8", ["settings"], "try settings['batch_size'] 8"),
        ("--seed 3", ["seed"], "seed 3"),
        ("--seed 3", ["settings"], "settings['seed'] 3"),
        ("add --set forward=chip", ["settings"], "add settings forward=chip"),
        ("go on with `tssl train --resume X`", ["resume"], "go on with `tssl train --resume X`"),
        ("torchrun --nproc-per-node 2", ["workers"], "torchrun --nproc-per-node 2"),
        ("one--two ---three --", ["two", "three"], "one--two ---three --"),
    ],
)  # fmt: skip
def test_options_become_parameters(message: str, parameters: list[str], wanted: str) -> None:
    assert in_python(message, parameters) == wanted


NET = Path(__file__).parents[1] / "cases" / "name_a.net"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tssl.verify(NET, density=3), "^density 3: above 0"),
        (lambda: tssl.verify(NET, seed=-1), "^seed -1: at least 0"),
        (lambda: tssl.run(NET, data="rows", labels=np.zeros(3)), "^labels: belong to "),
        (lambda: tssl.run(NET, data="digits", input="x.npy"), "^give either data or input"),
        (lambda: tssl.run(NET, input="x.npy", record={"zz": []}), "^record zz: no such layer"),
        (lambda: tssl.run(NET, workers=0), "^workers 0: 1 to 64 are possible"),
        (lambda: tssl.run(NET, timeout=float("nan")), "^timeout nan: seconds above 0"),
        (lambda: tssl.export("x", "loihi2", samples=0), "^samples 0: at least 1"),
        (lambda: tssl.export("x", "loihi2", dt=0.1), "x: is no .nir file; leave out dt"),
        (lambda: tssl.inspect(NET, figures="x"), "^figures x: shows what a run recorded"),
        (lambda: tssl.train("digits", device="cuda", out="x"), "^device cuda: |x: already"),
        (lambda: tssl.report("x", "loihi2", placement="best"), "^placement 'best': expected one"),
        (lambda: tssl.train("digits", device="tpu"), "^device 'tpu': expected one of auto, cpu"),
        (lambda: tssl.train("digits", target="loihi2"), "^target: belongs to training in a chip's"),
        (lambda: tssl.nir_read("x.nir", "y", rule="rk4"), "^rule 'rk4': expected one of euler"),
        (lambda: tssl.sweep("digits"), "^over: digits is no folder of a sweep"),
        (lambda: tssl.sweep("digits", over={"lr": []}), "^over lr: give different values"),
        (lambda: tssl.sweep("digits", over={"lr": "1,2"}), "^over lr: '1,2' is a text"),
        (lambda: tssl.sweep("digits", over={"lr": [1.0]}, seeds=[]), "^seeds: give at least one"),
        (lambda: tssl.plan("digits", samples=3), "^samples 3: are of the run of a"),
        (lambda: tssl.plan(NET, seeds=[1]), "^seeds: is of recipes"),
        (lambda: tssl.plan(NET, settings={"lr": 1}), "^settings: is of recipes"),
        (lambda: tssl.nir_write("x", "y.nir", dt=-1), "^dt -1: seconds above 0"),
    ],
)  # fmt: skip
def test_errors_name_parameters(
    call: Callable[[], object], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(tssl.TsslError, match=words) as error:
        call()
    outside_code = "".join(str(error.value).split("`")[::2])
    assert not OPTION.search(outside_code)
