"""The one kind of table that terminals and notebooks show, and what has such tables."""

import html
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

__all__ = ["THIN", "Shown", "Table", "count", "show_table"]

THIN = "\N{NARROW NO-BREAK SPACE}"
_VERDICTS = {"PASS": "[green]PASS[/]", "FAIL": "[bold red]FAIL[/]", "SKIPPED": "[yellow]SKIPPED[/]"}
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
        """Of each column, whether it holds only numbers; these are aligned to the right."""
        return [
            all(isinstance(row[index], int | float) for row in self.rows)
            for index in range(len(self.columns))
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
        text = f"<{type(self).__name__} {self.headline}>"
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]}…>"

    def _repr_html_(self) -> str:
        """Return the tables as HTML: what Jupyter asks for."""
        return f"<div>{''.join(table.html() for table in self.tables())}</div>"


def count(value: int) -> str:
    """Return a whole number, groups of thousands apart."""
    return f"{value:,}".replace(",", THIN)


def show_table(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Write a title and a table; columns that hold only numbers are aligned to the right."""
    table = RichTable(box=box.SIMPLE)
    for column, numeric in zip(columns, Table(title, columns, rows).numeric, strict=True):
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    console.print(f"[bold]{escape(title)}[/]", soft_wrap=True)
    console.print(table)


def _cell(value: object) -> str:
    text = str(value)
    return _VERDICTS.get(text, escape(text))


def _row(tag: str, cells: Sequence[object], styles: Sequence[str]) -> str:
    shown = (
        f"<{tag}{style}>{html.escape(str(cell))}</{tag}>"
        for cell, style in zip(cells, styles, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"
