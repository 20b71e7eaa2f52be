"""What is typed at `tssl sweep`, and what it prints."""

import sys
from pathlib import Path
from typing import Any

import pytest

import tssl
from tests.command import Ran, in_this_process
from tests.trainer import tiny
from tssl import datasets
from tssl.commands.spaces import spaces_of, whole_numbers
from tssl.errors import BackendUnavailableError, ConfigError
from tssl.sweeps import Choices, Range


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("3", (3,)),
        ("3,5", (3, 5)),
        (" 3 , 5 ,", (3, 5)),
        ("1e-3,0.5", (0.001, 0.5)),
        ("loihi2,loihi1", ("loihi2", "loihi1")),
        ("true,false", (True, False)),
        ("2..5", (2, 3, 4, 5)),
        ("-1..1", (-1, 0, 1)),
        ("[3, 5],[5, 7]", ([3, 5], [5, 7])),
        ('[{"a": 1, "b": "x,y]"}],[]', ([{"a": 1, "b": "x,y]"}], [])),
        ("a..b", ("a..b",)),
        ("../x.toml,y", ("../x.toml", "y")),
    ],
)
def test_values_of_a_grid(text: str, values: tuple[Any, ...]) -> None:
    assert spaces_of([f"k={text}"], search=False) == {"k": Choices(values=values)}


@pytest.mark.parametrize(
    ("text", "low", "high", "log"),
    [("2..5", 2, 5, False), ("1e-4..1e-2:log", 1e-4, 1e-2, True), ("-0.5..1", -0.5, 1, False)],
)
def test_ranges_of_a_search(text: str, low: float, high: float, *, log: bool) -> None:
    found = spaces_of([f"k={text}"], search=True)
    assert found == {"k": Range(low=low, high=high, log=log)}


@pytest.mark.parametrize("text", ["", "k", "=3", "k=", "k=,", "k=3,3", "k=3..1", "k=0..1:log"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--over"):
        spaces_of([text], search=True)


def test_seeds() -> None:
    assert whole_numbers("--seeds", "0, 1,2") == (0, 1, 2)
    for text in ("", "1,", "-1", "x", "1.5", "9" * 30):
        with pytest.raises(ConfigError, match="--seeds"):
            whole_numbers("--seeds", text)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Any:
    monkeypatch.setitem(datasets.DATASETS, "rows", "tests.trainer.tiny:ROWS")
    monkeypatch.chdir(tmp_path)
    Path("rows.toml").write_text(tiny.recipe().to_toml())
    return in_this_process(capsys)


def test_it_works_and_shows(command: Any) -> None:
    over = ("--over", "weight_bits=4,8", "--seeds", "0,1", "--samples", "20")
    ran: Ran = command("sweep", "rows.toml", *over, "--out", "x", "--json", "--html", "x.html")
    assert ran.status == 0, ran.err
    assert ran.document["finished"]
    assert len(ran.document["combinations"]) == 2
    assert "seed=0: chip accuracy" in ran.err
    assert "<svg" in Path("x.html").read_text()
    again: Ran = command("sweep", "x", "--json", "--csv", "x.csv")
    assert again.document == ran.document
    assert again.err == ""
    assert len(Path("x.csv").read_text().splitlines()) == 3
    shown: Ran = command("sweep", "x")
    assert "mean ± standard deviation of 2" in shown.out
    assert "Pareto front" in shown.out
    assert "x: 2 of 2 trials, 2 combinations" in shown.out


@pytest.mark.parametrize("package", ["optuna", "filelock"])
def test_without_optuna_it_says_what_to_install(
    command: Any, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    ran: Ran = command("sweep", "rows.toml", "--over", "weight_bits=4,8", "--out", "x")
    assert ran.status == 5
    assert ran.err.count("\n") == 1
    assert "pip install 'tssl[sweep]'" in ran.err
    assert not Path("x").exists()
    with pytest.raises(BackendUnavailableError, match="tssl"):
        tssl.sweep("rows.toml", over={"weight_bits": [4]}, out="x", progress=False)


def test_the_folder_may_be_empty_but_nothing_else(command: Any) -> None:
    Path("x").mkdir()
    Path("x", "mine").write_text("")
    ran: Ran = command("sweep", "rows.toml", "--over", "weight_bits=4", "--out", "x")
    assert ran.status == 2
    assert "is not empty" in ran.err
    assert [path.name for path in Path("x").iterdir()] == ["mine"]
