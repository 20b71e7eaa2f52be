"""Tables fit into the terminal, and their numbers stand below each other."""

import io
from collections.abc import Sequence

import pytest
from rich.cells import cell_len
from rich.console import Console

from tssl.tables import Shown, Table, show_table

WIDE = [f"column {n}" for n in range(12)]


def shown(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show_table(console, "title", columns, rows)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_wide_table_goes_on_below_itself(width: int) -> None:
    rows = [[f"row{r}", *(f"r{r}c{n}" for n in range(1, 12))] for r in range(2)]
    lines = shown(WIDE, rows, width)
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    for cell in (cell for row in rows for cell in row[1:]):
        assert text.count(f" {cell} ") == 1
    parts = text.count(" row0 ")
    assert (parts == 1) == (width == 200)
    assert parts == text.count(" column 0 ")


def test_rows_of_one_name_are_told_apart_in_every_part() -> None:
    rows = [["net", f"chip{r}", *("x" * 9 for _ in WIDE[2:])] for r in range(2)]
    lines = shown(WIDE, rows)
    assert len([line for line in lines if " chip0 " in line]) > 1
    assert all(" net " in line for line in lines if " chip0 " in line or " chip1 " in line)


def test_prose_breaks_between_words() -> None:
    words = ["sentence"] * 20
    lines = shown(["name", "text"], [["a", " ".join(words)]])
    assert max(map(cell_len, lines)) <= 80
    assert " ".join(lines).split().count("sentence") == 20


@pytest.mark.parametrize(
    ("cells", "right"),
    [
        ([1, 20], True),
        (["23.6 pJ", "1.02 ns", "not supported", ""], True),
        (["92.22%", "-"], True),
        (["409/s", "23\u202f177/s"], True),
        (["-", "no labels"], False),
        (["dense1", "3"], False),
        (["11.8 to 59.0 pJ"], False),
        ([], False),
    ],
)
def test_numbers_with_units_are_aligned(cells: list[object], right: bool) -> None:
    assert Table("", ["column"], [[cell] for cell in cells]).numeric == [right]


def test_units_stand_below_each_other() -> None:
    lines = shown(["price"], [["23.6 pJ"], ["232 mW"], [1234567]])
    ends = [len(line.rstrip()) for line in lines if line.strip() and "title" not in line]
    assert len(set(ends[2:])) == 1
    assert any("1\u202f234\u202f567" in line for line in lines)


def test_control_characters_take_the_room_that_they_show() -> None:
    lines = shown(["name", "n"], [["\x1b[31mred", 1], ["plain", 1]])
    rows = [line.rstrip() for line in lines if line.rstrip().endswith("1")]
    assert rows[0].split() == [r"\x1b[31mred", "1"]
    assert len({len(row) for row in rows}) == 1


def test_a_repr_writes_control_characters_out() -> None:
    class Named(Shown):
        headline = "net\x1b[2J"

        def tables(self) -> list[Table]:
            return []

    assert repr(Named()) == r"<Named net\x1b[2J>"
