"""Write ``docs/cli.md`` from the commands: ``python -m tests.cli_reference > docs/cli.md``."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tssl.cli import cli

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
COMMON = ("--json", "--quiet", "--debug")
PREFACE = """# Command line

<!-- written by `python -m tests.cli_reference > docs/cli.md`; change tssl/commands/ instead -->

Results go to stdout, progress to stderr. Every command has `--json` (one JSON document on stdout),
`--quiet` (no progress), `--debug` (the traceback of an error) and `--help`.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | a bug of tssl |
| 2 | wrong usage, configuration, data or file |
| 3 | the target cannot do it |
| 4 | verification failed |
| 5 | a backend or dependency is missing or failed |
| 6 | time-out |
| 130 | interrupted; a training's state is saved |

## Completion

The shell completes commands, options, recipes, hardware profiles, data sets and paths, after one
line in its start-up file:

| shell | file | line |
|---|---|---|
| bash 4.4 or newer | `~/.bashrc` | `eval "$(_TSSL_COMPLETE=bash_source tssl)"` |
| zsh | `~/.zshrc`, after `compinit` | `eval "$(_TSSL_COMPLETE=zsh_source tssl)"` |
| fish | `~/.config/fish/completions/tssl.fish` | `_TSSL_COMPLETE=fish_source tssl \\| source` |

`tssl` must be on the PATH: activate `.venv` first, or write its full path into the line.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([PREFACE, *(_section(path, command) for path, command in _leaves(cli))])


def _leaves(group: click.Group, path: str = "tssl") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _section(path: str, command: click.Command) -> str:
    pieces = click.Context(command).command.collect_usage_pieces(click.Context(command))
    text, _, examples = inspect.cleandoc(command.help or "").partition("\n\n\b\n")
    lines = inspect.cleandoc(examples).splitlines()[1:]  # less the word "Examples:"
    rows = [_row(option) for option in command.params if isinstance(option, click.Option)]
    options = [row for row in rows if row]
    table = ["", "| option | default | |", "|---|---|---|", *options] if options else []
    example = ["```console", *(f"$ {line.strip()}" for line in lines), "```"]
    usage = ["```text", " ".join([path, *pieces]), "```"]
    return "\n".join([f"## {path}", "", text, "", *usage, "", *example, *table, ""])


def _row(option: click.Option) -> str:
    if option.opts[-1] in COMMON:
        return ""
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" {option.metavar or option.type.name.split()[0].upper()}"
    plain = isinstance(option.default, str | int | float) and not isinstance(option.default, bool)
    default = f"`{option.default}`" if plain else "required" if option.required else ""
    said = [option.help.replace("|", "\\|")] if option.help else []
    if isinstance(option.type, click.Choice):
        value, kinds = "", ", ".join(f"`{choice}`" for choice in option.type.choices)
        said.append(f"One of {kinds}.")
    return f"| {names}{value} | {default} | {' '.join(said)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
