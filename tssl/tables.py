"""The one kind of table that a terminal shows."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["show_table"]

_VERDICTS = {"PASS": "[green]PASS[/]", "FAIL": "[bold red]FAIL[/]", "SKIPPED": "[yellow]SKIPPED[/]"}


def show_table(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Write a title and a table; columns that hold only numbers are aligned to the right."""
    table = Table(box=box.SIMPLE)
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    console.print(f"[bold]{escape(title)}[/]", soft_wrap=True)
    console.print(table)


def _cell(value: object) -> str:
    text = str(value)
    return _VERDICTS.get(text, escape(text))
