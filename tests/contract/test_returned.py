"""What the verbs return: a short line as its ``repr``, in a notebook well-formed tables."""

from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

import pytest

import tssl
from tests.contract.test_python import VERBS
from tests.trainer import tiny
from tssl import datasets
from tssl.proof import Proof
from tssl.results import RunResult
from tssl.tables import Shown, Table
from tssl.workflow.calibrate import Calibration
from tssl.workflow.diff import NetworkDifference
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inspect import Inspection
from tssl.workflow.nir import ReadOutcome
from tssl.workflow.nir_write import WriteOutcome
from tssl.workflow.plan import Plan
from tssl.workflow.recorded import ResultInspection
from tssl.workflow.report import Report
from tssl.workflow.run import RunOutcome
from tssl.workflow.sweep_outcome import SweepOutcome
from tssl.workflow.train import TrainOutcome
from tssl.workflow.trained import RunInspection

FOLDER = "a<b>&'c\""
"""In every path, so that every text which is not escaped shows."""
KINDS = {
    each.__name__: each
    for each in (
        Calibration, ExportOutcome, Inspection, NetworkDifference, Plan, ReadOutcome, Report,
        ResultInspection, RunInspection, RunOutcome, RunResult, Proof, SweepOutcome, TrainOutcome,
        WriteOutcome,
    )
}  # fmt: skip


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return one of everything, made in the way of a user."""
    folder = tmp_path_factory.mktemp("returned") / FOLDER
    folder.mkdir()
    (folder / "rows.toml").write_text(tiny.recipe(epochs=2).to_toml())
    quiet = {"progress": False}
    few = {"samples": 5, "proof_samples": 1, "lava": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.DATASETS, "rows", "tests.trainer.tiny:ROWS")
        run = tssl.train(folder / "rows.toml", out=folder / "run", **quiet)
        chip = tssl.export(run, "loihi2", **few, **quiet)
        four = tssl.export(run, "loihi2", out=folder / "4.net", weight_bits=4, **few, **quiet)
        result = tssl.run(chip, samples=5, record={"all": []}, out=folder / "result", **quiet)
        log = folder / "board.csv"
        row = f"result,{chip.network.digest},1e-6,0.3"
        log.write_text("\n".join(["result,digest,time_per_step [s],total_power [W]", *[row] * 3]))
        written = tssl.nir_write(run, folder / "x.nir")
        made = [
            run,
            chip,
            chip.proof,
            result,
            result.result,
            tssl.report(result, "all"),
            tssl.diff(chip, four, data="rows", **quiet),
            tssl.inspect(chip),
            tssl.calibrate(log, "loihi2", out=folder / "mine.toml"),
            tssl.inspect(result),
            tssl.inspect(run),
            written,
            tssl.nir_read(folder / "x.nir", folder / "read"),
            tssl.plan(folder / "rows.toml", **quiet),
            tssl.sweep(
                folder / "rows.toml", over={"weight_bits": [4, 8]}, out=folder / "sweep", **quiet
            ),
        ]
        yield {type(each).__name__: each for each in made}


def test_these_are_all_that_verbs_return(returned: dict[str, Any]) -> None:
    named = set()
    for verb in VERBS.values():
        annotation = verb.__annotations__["return"]
        named |= {part.strip() for part in annotation.split("|")}
    assert named | {"RunResult"} == returned.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_repr_is_one_short_line(kind: str, returned: dict[str, Any]) -> None:
    text = repr(returned[kind])
    assert text.startswith(f"<{kind} ")
    assert text.endswith(">")
    assert len(text) <= 200
    assert "\n" not in text
    assert "array(" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_html_is_tables(kind: str, returned: dict[str, Any]) -> None:
    shown = returned[kind]
    assert isinstance(shown, Shown)
    tree = ElementTree.fromstring(shown._repr_html_())
    tables = shown.tables()
    assert {each.tag for each in tree.iter()} == {
        "div", "table", "caption", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    for table, element in zip(tables, tree, strict=True):
        cells = [[cell.text or "" for cell in row] for row in element.iter("tr")]
        assert cells[0] == list(table.columns)
        shown_rows = [[cell.replace("\u202f", "") for cell in row] for row in cells[1:]]
        assert shown_rows == [
            [str(each).replace("\u202f", "") for each in row] for row in table.rows
        ]
        assert element.findtext("caption") == table.title
        assert len(cells) > 1


def test_what_is_in_them(returned: dict[str, Any]) -> None:
    run, result = returned["TrainOutcome"], returned["RunOutcome"].result
    assert f"2 epochs, epoch {run.best.epoch} kept" in repr(run).replace(str(run.directory), "")
    assert f"{result.accuracy:.2%}" in result._repr_html_()
    assert "PASS without Lava" in repr(returned["Proof"])
    assert "the networks differ: " in repr(returned["NetworkDifference"])
    assert "loihi2" in repr(returned["Report"])
    assert "dense1" in returned["Inspection"]._repr_html_()
    assert FOLDER not in run._repr_html_()


def test_a_table_escapes_everything() -> None:
    bad = "<script>&\"'"
    text = Table(bad, [bad, "number"], [[bad, 1], ["x", 2.5]]).html()
    assert bad not in text
    tree = ElementTree.fromstring(text)
    assert [each.text for each in tree.iter("td")] == [bad, "1", "x", "2.5"]
    styles = [cell.attrib["style"] for cell in tree.iter("th")]
    assert styles == ["text-align: left", "text-align: right"]


def test_a_long_headline_is_cut() -> None:
    class Long(Shown):
        headline = "x" * 300

        def tables(self) -> Sequence[Table]:
            return []

    assert len(repr(Long())) == 200
    assert repr(Long()).endswith("x…>")
