"""Every bad input of the table ends in one clear line and leaves nothing behind."""

from pathlib import Path

import pytest

from tests.contract.bad_inputs import ALL, CASES, HEADER, good_files, row, run_case

PAGE = Path(__file__).parents[2] / "docs" / "bad-input.md"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good files; not to be written to."""
    folder = tmp_path_factory.mktemp("good")
    good_files(folder)
    return folder


def test_there_are_cases_of_every_kind() -> None:
    assert len(ALL) == sum(map(len, CASES.values())) >= 90
    assert {case.code for case in ALL.values()} == {2, 3, 5, 6}  # 4 is Lava's: tests/test_cli.py
    commands = {case.command.split()[0] for case in ALL.values()}
    assert {"train", "export", "run", "verify", "report", "inspect", "profiles", "recipes", "data",
            "lava"} <= commands  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_bad_input(name: str, good: Path, tmp_path: Path) -> None:
    case = ALL[name]
    ran = run_case(case, good, tmp_path / "case")
    assert ran.code == case.code, ran.err
    assert ran.err.startswith("tssl: error: ")
    assert ran.err.count("tssl: error:") == ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert case.names in ran.message
    assert case.says in ran.message
    assert ran.after == ran.before


def test_the_page_is_in_step() -> None:
    """Same rows in the same order; of the messages, which name versions too, what is promised."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert lines.count(HEADER.splitlines()[0]) == len(CASES)
    assert [line[3:] for line in lines if line.startswith("## ")] == list(CASES)
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) == len(ALL)
    for line, case in zip(rows, ALL.values(), strict=True):
        beginning = row(case, "").removesuffix("``  `` |")
        assert line.startswith(beginning), "python -m tests.contract.bad_inputs > docs/bad-input.md"
        message = line.removeprefix(beginning)
        assert case.names in message
        assert case.says in message
