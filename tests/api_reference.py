"""Write ``docs/api.md`` from the docstrings: ``python -m tests.api_reference > docs/api.md``."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tssl
import tssl.workflow
from tssl import errors
from tssl.tables import Shown

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
PREFACE = """# Python

<!-- written by `python -m tests.api_reference > docs/api.md`; change the docstrings instead -->

`import tssl` gives the verbs of the [command line](cli.md), with the same options, files and
errors. A verb takes what the one before it returned, or the path of what it wrote. What a verb
returns has one short line as its `repr`, and shows itself as tables in a notebook; `document()` is
what `--json` prints. A path is a text or a `pathlib.Path`. `Given` is data by name, by path or as
arrays: see `data` of `tssl.train`.

`examples/first_steps.ipynb` in the repository goes the whole way in a notebook. There, progress is
a live bar when `ipywidgets` is installed, and otherwise a line for each epoch; interrupting the
kernel once stops training after the batch under way, and saves it.
"""
_SECTION = re.compile(r"^(Parameters|Raises|Returns|Examples)\n-+\n", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?([^`]+)`")


def page() -> str:
    """Return the whole page."""
    parts = [PREFACE, "## Verbs", ""]
    parts += [_verb(name, function) for name, function in verbs()]
    parts += ["## What they return", ""]
    parts += [_class(kind) for kind in returned()]
    tree = inspect.cleandoc(errors.__doc__ or "").split("::\n")[1].split("\n\nA message")[0]
    parts += ["## Errors", "", "All are in `tssl.errors`, with the exit status of the command:", ""]
    parts += ["```text", inspect.cleandoc(tree), "```", ""]
    return "\n".join(parts)


def verbs() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield what ``tssl`` has of functions, by name."""
    for name in tssl.__all__:
        member = getattr(tssl, name)
        if inspect.isfunction(member):
            yield name, member


def returned() -> list[type[Shown]]:
    """Return the classes of what verbs return, by name."""
    for module in pkgutil.iter_modules(tssl.workflow.__path__):
        importlib.import_module(f"tssl.workflow.{module.name}")
    kinds = [kind for kind in Shown.__subclasses__() if kind.__module__.startswith("tssl.")]
    return sorted(kinds, key=lambda kind: kind.__name__)


def _verb(name: str, function: Callable[..., Any]) -> str:
    node = _source(inspect.unwrap(function))
    assert isinstance(node, ast.FunctionDef)
    arguments = [*_arguments(node.args.args, node.args.defaults)]
    if node.args.kwonlyargs:
        arguments += ["*", *_arguments(node.args.kwonlyargs, node.args.kw_defaults)]
    lines = [f"tssl.{name}(", *(f"    {each}," for each in arguments)]
    signature = "\n".join([*lines, f") -> {_type(node.returns)}"])
    return f"### tssl.{name}\n\n```text\n{signature}\n```\n\n{_markdown(function)}\n"


def _source(thing: object) -> ast.stmt:
    return ast.parse(inspect.getsource(thing)).body[0]  # type: ignore[arg-type]


def _arguments(names: list[ast.arg], defaults: list[Any]) -> Iterator[str]:
    missing: list[Any] = [None] * (len(names) - len(defaults))
    for argument, default in zip(names, [*missing, *defaults], strict=True):
        value = "" if default is None else f" = {ast.unparse(default)}"
        yield f"{argument.arg}: {_type(argument.annotation)}{value}"


def _type(annotation: ast.expr | None) -> str:
    """Return an annotation as it is written, without quotes around all of it."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return "" if annotation is None else ast.unparse(annotation)


def _markdown(thing: object) -> str:
    """Return a docstring in Markdown."""
    text, *sections = _SECTION.split(inspect.getdoc(thing) or "")
    parts = [_inline(text.strip())]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        if title == "Examples":
            code = body.replace("  # doctest: +SKIP", "").strip()
            parts.append(f"```pycon\n{code}\n```")
        else:
            rows = [f"- `{name}`: {said}" for name, said in entries(body)]
            parts.append("\n".join([f"**{title}**", "", *rows]))
    return "\n\n".join(parts)


def entries(body: str) -> Iterator[tuple[str, str]]:
    """Yield names and texts of a section: names begin a line, their text is indented below."""
    for block in re.split(r"\n(?=\S)", body.strip()):
        name, _, said = block.partition("\n")
        yield name, _inline(" ".join(said.split()))


def _inline(text: str) -> str:
    return _ROLE.sub(r"`\1`", text).replace("``", "`")


def _class(kind: type[Shown]) -> str:
    node = _source(kind)
    assert isinstance(node, ast.ClassDef)
    text, *sections = _SECTION.split(inspect.cleandoc(ast.get_docstring(node) or ""))
    said = {
        name: words
        for listed, words in entries(sections[1] if sections else "")
        for name in listed.split(", ")
    }
    rows = [f"| `{name}` | `{kind}` | {words} |" for name, kind, words in _members(node, said)]
    head = ["| | type | |", "|---|---|---|"]
    return "\n".join([f"### {kind.__name__}", "", _inline(text.strip()), "", *head, *rows, ""])


def _members(node: ast.ClassDef, said: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and meaning of fields and properties, those of ``Shown`` left out."""
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            name = each.target.id
            yield name, _cell(_type(each.annotation)), _cell(said.get(name, ""))
        elif isinstance(each, ast.FunctionDef) and any(
            isinstance(mark, ast.Name) and mark.id == "property" for mark in each.decorator_list
        ):
            first = (ast.get_docstring(each) or "").split("\n\n")[0]
            if each.name != "headline":
                yield each.name, _cell(_type(each.returns)), _cell(_inline(" ".join(first.split())))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
