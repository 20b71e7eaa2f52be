"""What a message or a page recommends exists: options, commands and keys of recipes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import tssl
from tssl.cli import cli
from tssl.graph.kinds import KINDS
from tssl.recipe import (
    AugmentationSpec,
    DataSpec,
    EncodingSpec,
    NetworkSpec,
    Recipe,
    TrainingSpec,
)

PACKAGE = Path(tssl.__file__).parent
ROOT = PACKAGE.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES.remove(ROOT / "docs" / "bad-input.md")  # it shows misspelt ones

LOADS = {"train", "export", "run", "verify", "report", "data list", "data fetch"}
SHOWN_BY = {
    "clusters/": {"run"},
    "datasets/": LOADS,
    "exchange/": {"export", "nir read"},
    "exporter/": {"export"},
    "hw_profiles/": {"export", "report"},
    "hw_profiles/calibration/": {"profiles calibrate"},
    "lava_runtime/": {"export", "run", "verify"},
    "lava_runtime/loihi2.py": {"run"},
    "reporting/": {"report"},
    "sweeps/": {"sweep"},
    "trainer/": {"train"},
    "trainer/run_directory.py": {"train", "demo"},
    "workflow/arrays.py": {"export", "run", "verify"},
    "workflow/bundle.py": {"export"},
    "workflow/data.py": {"train", "export"},
    "workflow/doctor.py": {"train"},
    "workflow/export.py": {"export"},
    "workflow/inputs.py": {"run", "verify"},
    "workflow/nir.py": {"export", "nir read"},
    "workflow/nir_write.py": {"nir write"},
    "workflow/notes.py": {"run", "verify"},
    "workflow/plan.py": {"plan"},
    "workflow/probe.py": {"report"},
    "workflow/provenance.py": {"report"},
    "workflow/recipes.py": {"train", "sweep", "plan", "recipes"},
    "workflow/recorded.py": {"inspect"},
    "workflow/report.py": {"report"},
    "workflow/run.py": {"run"},
    "workflow/samples.py": {"export"},
    "workflow/shards.py": {"run"},
    "workflow/spread.py": {"run"},
    "workflow/sources.py": {"export"},
    "workflow/sweep.py": {"sweep"},
    "workflow/sweep_outcome.py": {"sweep"},
    "workflow/sweep_tables.py": {"sweep"},
    "workflow/train.py": {"train"},
    "workflow/trial.py": {"sweep"},
    "commands/options.py": {"train"},
    "commands/spaces.py": {"sweep", "plan"},
    "commands/": set(),  # the verb that the file is named for
}
"""Which commands may show a message from a file; the longest beginning of its path counts."""

ONLY_THERE = {
    "--weight-bits": {"export"},
    "--seed": {"verify"},
    "--density": {"verify"},
    "--labels": {"run"},
    "--slurm": {"run"},
    "--no-lava": {"export"},
}
"""Options that messages repeat as they were given, and the commands to which they can be given."""

OTHER_PROGRAMS = (
    "lava_runtime/install.py",
    "lava_runtime/bundle.py",
    "lava_runtime/_bundle_check.py",
    "lava_runtime/worker/",
    "lava_runtime/lava_sim.py:--check",
)
"""Files, or options in them, that are of pip or of programs that a bundle has."""

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
COMMAND = re.compile(r"\btssl ((?:[a-z]+(?: (?=[a-z]))?)+)")
SECTIONS = {
    "data": DataSpec,
    "encoding": EncodingSpec,
    "augmentation": AugmentationSpec,
    "network": NetworkSpec,
    "training": TrainingSpec,
}
LAYERS = tuple(kind.entry for kind in KINDS.values())
KEYS = {key for model in (Recipe, *SECTIONS.values(), *LAYERS) for key in model.model_fields}
FULL_KEY = re.compile(rf"\b({'|'.join(SECTIONS)})\.(?!net\b)([a-z_]+)")  # network.net is a file
ADVISED_KEY = re.compile(r"\b(?:raise|lower|set|smaller|larger|lower) (?:its )?([a-z]+_[a-z_]+)\b")


class Message(NamedTuple):
    """A text in the package that a user may read."""

    file: str
    line: int
    function: str
    text: str


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{before}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")


COMMANDS = dict(commands(cli))
OPTIONS = {
    name: {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    for name, command in COMMANDS.items()
}
EVERYWHERE = {"--help", "--version"}


def messages() -> Iterator[Message]:
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield from _texts(tree, str(path.relative_to(PACKAGE)), "")


def _texts(node: ast.AST, file: str, function: str) -> Iterator[Message]:
    """Yield the texts below a node, those of f-strings in one piece; no docstrings, no options."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef) and not function else function
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue  # a docstring
        if isinstance(child, ast.Call) and ast.unparse(child.func) == "click.option":
            for keyword in child.keywords:
                yield from _texts(keyword, file, inside)
        elif isinstance(child, ast.JoinedStr):
            parts = (
                part.value if isinstance(part, ast.Constant) else "{}" for part in child.values
            )
            yield Message(file, child.lineno, inside, "".join(map(str, parts)))
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            if not OPTION.fullmatch(child.value):  # an argument
                yield Message(file, child.lineno, inside, child.value)
        else:
            yield from _texts(child, file, inside)


MESSAGES = list(messages())


def shown_by(message: Message) -> set[str]:
    """Return the commands that may show a message."""
    verb = Path(message.file).stem
    if message.file.startswith("commands/") and verb in cli.commands:
        return {name for name in COMMANDS if name.split()[0] == verb}
    fitting = [start for start in SHOWN_BY if message.file.startswith(start)]
    assert fitting, f"{message.file}:{message.line} names an option; add its file to SHOWN_BY"
    return SHOWN_BY[max(fitting, key=len)]


def is_of_another_program(message: Message, option: str) -> bool:
    names = (message.file, f"{message.file}:{option}")
    return any(name in OTHER_PROGRAMS for name in names) or "torchrun" in message.text


def longest_command(words: str) -> str | None:
    """Return the command that words after ``tssl`` begin with; None when there is none."""
    parts = words.split()
    names = (" ".join(parts[:count]) for count in (2, 1) if len(parts) >= count)
    return next((name for name in names if name in COMMANDS), None)


def said_with_commands(text: str) -> Iterator[tuple[str | None, str]]:
    """Yield every option in a text and the command that stands before it in the same code."""
    for option in OPTION.finditer(text):
        before = re.split(r"[`;\n]", text[: option.start()])[-1]
        named = list(COMMAND.finditer(before))
        yield (longest_command(named[-1][1]) if named else None), option[0]


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) > 15
    recommended = [m for m in MESSAGES if OPTION.search(m.text)]
    assert len(recommended) > 50
    assert sum("tssl " in message.text for message in MESSAGES) > 10
    assert sum(bool(FULL_KEY.search(message.text)) for message in MESSAGES) > 10


def test_no_message_recommends_an_option_that_the_command_lacks() -> None:
    wrong = []
    for message in MESSAGES:
        for command, option in said_with_commands(message.text):
            if is_of_another_program(message, option) or option in EVERYWHERE:
                continue
            readers = ONLY_THERE.get(option) or ({command} if command else shown_by(message))
            lacking = [name for name in readers if option not in OPTIONS[name]]
            if lacking:
                wrong.append(f"{message.file}:{message.line}: {option} in {lacking}")
    assert wrong == []


@pytest.mark.parametrize("text", ["`tssl explode x`", "run `tssl data install`"])
def test_a_command_that_does_not_exist_is_noticed(text: str) -> None:
    assert list(unknown_commands(text))


def unknown_commands(text: str) -> Iterator[str]:
    """Yield the commands in code of a text that do not exist."""
    blocks = re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)
    shown = [code for block in blocks for code in re.findall(r"^\$? *tssl [a-z].*$", block, re.M)]
    for code in [*shown, *re.findall(r"`(tssl [a-z][^`]*)`", text)]:
        for words in COMMAND.findall(code):
            found = longest_command(words)
            group = found is not None and isinstance(COMMANDS[found], click.Group)
            if found is None or (group and words.split()[1:]):
                yield words


@pytest.mark.parametrize("message", [m for m in MESSAGES if "tssl " in m.text], ids=str)
def test_no_message_recommends_a_command_that_does_not_exist(message: Message) -> None:
    assert list(unknown_commands(message.text)) == []


def test_no_message_recommends_a_key_that_no_recipe_has() -> None:
    full = [
        f"{message.file}:{message.line}: {section}.{key}"
        for message in MESSAGES
        for section, key in FULL_KEY.findall(message.text)
        if key not in SECTIONS[section].model_fields
    ]
    bare = [
        f"{message.file}:{message.line}: {key}"
        for message in MESSAGES
        for key in ADVISED_KEY.findall(message.text)
        if key not in KEYS
    ]
    assert full + bare == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_shows_a_command_or_option_that_does_not_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    assert list(unknown_commands(text)) == []
    wrong = [
        f"{command} {option}"
        for command, option in said_with_commands(text)
        if command is not None and option not in OPTIONS[command] | EVERYWHERE
    ]
    assert wrong == []
