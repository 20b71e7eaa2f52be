"""The one kind of table that terminals and notebooks show, and what has such tables."""

import html
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from tssl.wording import THIN, count, visible

__all__ = ["THIN", "Shown", "Table", "count", "show_table"]

_VERDICTS = {"PASS": "[green]PASS[/]", "FAIL": "[bold red]FAIL[/]", "SKIPPED": "[yellow]SKIPPED[/]"}
_DIGIT = re.compile(r"\d")
_AMOUNT = re.compile(rf"[-+]?[\d{THIN}.]+(e[-+]?\d+)?( ?[%\w/]+)?")
"""A number as a table shows it, with its unit or without."""
_EDGES, _GAP = 1, 3
"""Blanks around a table, and between two of its columns."""
_PROSE = 28
"""Columns of a terminal that a text gets at least, before it breaks between words."""
_LONGEST = 200
"""Characters of a ``repr``."""


@dataclass(frozen=True)
class Table:
    """A title, the names of columns, and rows of as many cells."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]

    @property
    def numeric(self) -> list[bool]:
        """Of each column, whether it holds only numbers, with their units or without.

        These are aligned to the right, so that the units stand below each other.
        """
        columns = [[_text(row[index]) for row in self.rows] for index in range(len(self.columns))]
        return [
            all(_AMOUNT.fullmatch(text) for text in texts if _DIGIT.search(text))
            and 2 * sum(_DIGIT.search(text) is not None for text in texts) >= len(texts) > 0
            for texts in columns
        ]

    def html(self) -> str:
        """Return the table as HTML, all texts in it escaped."""
        styles = [f' style="text-align: {"right" if each else "left"}"' for each in self.numeric]
        head = _row("th", self.columns, styles)
        body = "".join(_row("td", row, styles) for row in self.rows)
        title = f"<caption>{html.escape(self.title)}</caption>"
        return f"<table>{title}<thead>{head}</thead><tbody>{body}</tbody></table>"


class Shown(ABC):
    """What a verb returns: a line as its ``repr``, in a notebook tables.

    A dataclass of this kind says ``repr=False``.
    """

    @property
    @abstractmethod
    def headline(self) -> str:
        """What matters most, in a few words."""

    @abstractmethod
    def tables(self) -> Sequence[Table]:
        """Return what there is to show, one table or more."""

    def __repr__(self) -> str:
        text = visible(f"<{type(self).__name__} {self.headline}>")
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]}…>"

    def _repr_html_(self) -> str:
        """Return the tables as HTML: what Jupyter asks for."""
        return f"<div>{''.join(table.html() for table in self.tables())}</div>"


def show_table(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Write a title and a table; columns that hold only numbers are aligned to the right.

    A table wider than the terminal goes on below itself, with the columns that name its rows again.
    """
    table = Table(title, columns, rows)
    console.print(f"[bold]{escape(title)}[/]", soft_wrap=True)
    for places in _groups(table, console.width):
        shown = RichTable(box=box.SIMPLE)
        for place in places:
            side: Literal["right", "left"] = "right" if table.numeric[place] else "left"
            shown.add_column(columns[place], justify=side, overflow="fold")
        for row in rows:
            shown.add_row(*(_cell(row[place]) for place in places))
        console.print(shown)


def _groups(table: Table, width: int) -> list[list[int]]:
    """Return which columns stand side by side, so that each group fits into a width."""
    widths = [
        _needed([column, *(_text(row[place]) for row in table.rows)])
        for place, column in enumerate(table.columns)
    ]
    names = _names(table)
    groups = [names]
    for place in range(len(names), len(widths)):
        taken = _EDGES + sum(widths[each] + _GAP for each in (*groups[-1], place))
        if groups[-1] != names and taken > width:
            groups.append(names)
        groups[-1] = [*groups[-1], place]
    return groups


def _names(table: Table) -> list[int]:
    """Return the first column, and the second where only both tell rows apart."""
    firsts = [str(row[0]) for row in table.rows]
    needs_two = len(set(firsts)) < len(firsts) and len(table.columns) > 2
    return [0, 1] if needs_two else [0]


def _needed(texts: Sequence[str]) -> int:
    """Return the columns of a terminal that texts need; long ones may break between words."""
    longest = max(map(cell_len, texts))
    word = max((cell_len(word) for text in texts for word in text.split()), default=0)
    return min(longest, max(word, _PROSE))


def _text(value: object) -> str:
    """Return a cell as text that can be measured; whole numbers get the separator of thousands."""
    if isinstance(value, int) and not isinstance(value, bool):
        return count(value)
    return visible(str(value))


def _cell(value: object) -> str:
    text = _text(value)
    return _VERDICTS.get(text, escape(text))


def _row(tag: str, cells: Sequence[object], styles: Sequence[str]) -> str:
    shown = (
        f"<{tag}{style}>{html.escape(_text(cell))}</{tag}>"
        for cell, style in zip(cells, styles, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"
