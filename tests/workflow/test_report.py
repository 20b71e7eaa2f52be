"""Pricing a stored result."""

import json
from pathlib import Path

import pytest

from tssl.errors import ConfigError
from tssl.lava_runtime.engine import Engine
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inputs import InputChoice, load_inputs
from tssl.workflow.report import proof_table, report
from tssl.workflow.run import run_network, save_result


@pytest.fixture
def folder(exported: ExportOutcome, tmp_path: Path) -> Path:
    inputs = load_inputs(exported.network, InputChoice(data="rows", samples=4))
    result = run_network(exported.network, inputs, Engine(), lambda _: None)
    save_result(result, exported.path, tmp_path / "result")
    return tmp_path / "result"


def test_one_entry_per_profile(folder: Path) -> None:
    document = report(folder, ["loihi2", "loihi1"], None).document()
    json.dumps(document, default=str)
    assert document["schema_version"] == 1
    assert len(document["profiles"]) == 2
    assert document["result"]["samples"] == 4
    assert document["proof"]["verdict"] == "PASS"


def test_page(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "report.html"
    report(folder, ["loihi2"], page)
    text = page.read_text()
    assert "quantized trainer" in text
    assert "not asked for" in text  # a witness that was not heard is not hidden
    assert "<script src" not in text


def test_nothing_is_written_when_a_profile_is_unknown(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="loihi9"):
        report(folder, ["loihi2", "loihi9"], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_proof_table(exported: ExportOutcome) -> None:
    assert proof_table(None) is None
    table = proof_table(exported.proof.document())
    assert table is not None
    assert table["statement"].endswith("PASS.")
    assert all(len(row) == len(table["columns"]) for row in table["rows"])
    assert [row[-1] for row in table["rows"]] == ["PASS", "PASS", "PASS", "SKIPPED"]
    stored = exported.proof.document()
    stored["stages"][0]["rows"][1]["differences"] = 2
    wrong = proof_table(stored)
    assert wrong is not None
    assert [row[-1] for row in wrong["rows"]] == ["PASS", "FAIL", "PASS", "SKIPPED"]
