"""Pricing a stored result."""

import json
from pathlib import Path

import pytest

import tssl.hw_profiles
from tssl import netx
from tssl.cli import run_command
from tssl.costs import CostReport, Refusal
from tssl.errors import CapacityError, ConfigError, DataError, RangeError
from tssl.hw_profiles import CostOptions
from tssl.workflow.export import ExportOutcome
from tssl.workflow.report import joined, proof_table, report, reports, write_page

LOIHI2 = Path(tssl.hw_profiles.__file__).parent / "loihi2.toml"


def test_one_entry_per_profile(folder: Path) -> None:
    document = report(folder, ["loihi2", "loihi2"]).document()
    json.dumps(document, default=str)
    assert document["schema_version"] == 1
    assert [cost["profile"] for cost in document["profiles"]] == ["loihi2", "loihi2"]
    assert document["refused"] == []
    assert document["result"]["samples"] == 4
    assert document["proof"]["verdict"] == "PASS without Lava"


def test_page(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "report.html"
    write_page([report(folder, ["loihi2"])], page)
    text = page.read_text()
    assert "quantized trainer" in text
    assert "run again: same output spikes" in text
    assert 'class="spikes"' in text
    assert "not asked for" in text  # a comparison that was left out is not hidden
    assert "<script src" not in text


def test_a_chip_that_cannot_run_it_is_not_priced(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    priced = report(folder, ["loihi1", "loihi2"])
    write_page([priced], page)
    reason = "input: spikes carry values up to 15, at most 1 is possible on Intel Loihi"
    assert [type(cost) for cost in priced.costs] == [Refusal, CostReport]  # as asked for
    document = json.loads(json.dumps(priced.document(), default=str))
    assert [cost["profile"] for cost in document["profiles"]] == ["loihi2"]
    (refused,) = document["refused"]
    assert refused["profile"] == "loihi1"
    assert refused["reason"].startswith(reason)
    assert f"<b>loihi1</b>: {reason}" in page.read_text()


def test_a_network_too_large_for_one_chip_is_priced_on_the_others(
    folder: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small.toml"
    text = LOIHI2.read_text()
    assert "low = 120, high = 128" in text
    text = text.replace("low = 120, high = 128", "low = 1, high = 1")
    small.write_text(text.replace("cores_per_chip = { value = 128", "cores_per_chip = { value = 1"))
    priced = report(folder, [str(small), "loihi2"])
    assert [refusal.profile for refusal in priced.refused] == ["small"]
    assert "needs 2 cores" in priced.refused[0].reason
    with pytest.raises(CapacityError, match="needs 2 cores"):
        report(folder, [str(small), "loihi1"])


def test_all_chips_refuse(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RangeError, match="input: spikes carry values up to 15") as caught:
        report(folder, ["loihi1", "loihi1"])
    assert caught.value.exit_code == 3


def test_a_network_of_others_has_no_notes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netx, "read_notes", lambda _: {})
    priced = report(folder, ["loihi1", "loihi2"])
    (refused,) = priced.refused
    assert "input: spikes carry values up to 14, at most 1" in refused.reason
    document = json.loads((folder / "result.json").read_text())
    assert document.pop("input_range") == [0, 14], "what entered, not what could have"
    (folder / "result.json").write_text(json.dumps(document))
    assert len(report(folder, ["loihi1", "loihi2"]).priced) == 2, "an older result does not say"


@pytest.mark.parametrize("span", [3, "0..15", [0], [0, "15"], [0, 1.5], [2, 1]])
def test_a_damaged_range_of_what_entered(folder: Path, span: object) -> None:
    document = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**document, "input_range": span}))
    with pytest.raises(DataError, match="cannot be read as a run result: input_range"):
        report(folder, ["loihi2"])


def test_an_unknown_profile(folder: Path) -> None:
    with pytest.raises(ConfigError, match="loihi9"):
        report(folder, ["loihi2", "loihi9"])


def test_all_profiles_and_several_results(folder: Path, tmp_path: Path) -> None:
    found = reports([folder, folder], ["all", "loihi2"])
    names = set(tssl.hw_profiles.profile_names())
    for each in found:
        seen = [*(cost.profile for cost in each.priced), *(r.profile for r in each.refused)]
        assert sorted(seen) == sorted(names)
    document = json.loads(json.dumps(joined(found), default=str))
    assert [part["result"]["samples"] for part in document["reports"]] == [4, 4]
    assert joined(found[:1]) == found[0].document()
    page = tmp_path / "both.html"
    write_page(found, page)
    assert "Side by side" in page.read_text()


def test_input_and_output_are_priced_on_request(folder: Path, tmp_path: Path) -> None:
    priced = tmp_path / "priced.toml"
    power = '[energy.io_power_per_chip]\nvalue = 0.1\nunit = "W"\nkind = "estimate"\n'
    text = LOIHI2.read_text().replace("[time]\n", f'{power}source = "this test"\n\n[time]\n', 1)
    priced.write_text(text)
    (plain,) = report(folder, [str(priced)]).priced
    (whole,) = report(folder, [str(priced)], CostOptions(io=True)).priced
    assert "io" not in plain.by_part
    assert whole.latency is not None
    assert whole.by_part["io"].value == pytest.approx(0.1 * whole.latency.value)
    (refused,) = report(folder, ["loihi2"], CostOptions(io=True)).priced
    assert [gap.what for gap in refused.gaps] == ["input and output"]
    assert refused.total is not None


def test_proof_table(exported: ExportOutcome) -> None:
    assert proof_table(None) is None
    table = proof_table(exported.proof.document())
    assert table is not None
    assert (
        ": PASS without Lava. Not compared with Lava CPU simulator: not asked for."
        in (table["statement"])
    )
    assert all(len(row) == len(table["columns"]) for row in table["rows"])
    assert [row[-1] for row in table["rows"]] == ["PASS", "PASS", "PASS"]
    stored = exported.proof.document()
    stored["stages"][0]["rows"][1]["differences"] = 2
    wrong = proof_table(stored)
    assert wrong is not None
    assert [row[-1] for row in wrong["rows"]] == ["PASS", "FAIL", "PASS"]


@pytest.mark.parametrize(
    ("old", "new", "status", "words"),
    [
        ('unit = "J"', 'unit = "pJ"', 2, "unit = 'pJ'; it must be 'J'"),
        ('kind = "estimate"\nsource', 'kind = "estimate"\nsauce', 2, "sauce"),
        ('"marginal"', '"all_in"', 2, "already contains energy.neuron_update_active"),
        ("synapse_words_per_core = { value = 12000", "synapse_words_per_core = { value = 2", 3,
         "needs synaptic memory"),
        ("graded_spike_bits = { value = 32", "graded_spike_bits = { value = 2", 3,
         "spikes carry values up to 15"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    status: int,
    words: str,
) -> None:
    text = LOIHI2.read_text()
    assert old in text
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace(old, new, 1))
    page = tmp_path / "report.html"
    asked = ["report", str(folder), "--profile", str(wrong), "--html", str(page)]
    assert run_command(asked) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.strip().splitlines()) == 1
    assert words in shown.err
    assert not page.exists()
    assert run_command(["profiles", "check", str(wrong)]) == (2 if status == 2 else 0)
