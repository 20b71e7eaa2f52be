"""One rule for what an export noted with a network: missing is none, another form is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command import in_this_process
from tests.lava_runtime.networks import dense_net
from tssl import netx
from tssl.errors import DataError
from tssl.recipe import GIVEN
from tssl.version import __version__
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inputs import InputChoice, completed, load_inputs
from tssl.workflow.inspect import inspect
from tssl.workflow.notes import Notes, notes_of

CURVE = {"epoch": [1.0, 2.0], "loss": [0.5, 0.25]}
ACCURACY = {"float": 0.5, "chip": 0.25, "samples": 8}
THERE = {"by": "snntorch", "read": "spikes counted", "accuracy": 0.75, "samples": 8, "ties": 1}
STAGE = {"witness": "w", "skipped": "", "rows": []}
ROW = {"layer": "l", "quantity": "spikes", "compared": 1, "left": 1, "differences": 0}


@pytest.fixture
def noted(tmp_path: Path) -> Any:
    """Write a network with given notes."""

    def write(**notes: object) -> Path:
        netx.write(tmp_path / "bad.net", dense_net(np.random.default_rng(0)), notes)
        return tmp_path / "bad.net"

    return write


def test_what_an_export_writes_is_read(exported: ExportOutcome) -> None:
    notes, stored = notes_of(exported.path), netx.read_notes(exported.path)
    assert notes.document == stored
    assert notes.input_range == exported.input_range
    assert notes.own_data == notes.data == stored["data"] == "rows"
    assert notes.accuracy is not None
    assert notes.accuracy.chip == exported.chip_accuracy
    assert notes.recipe is not None
    assert notes.recipe.text == "rows, rule tssl-bp, seed 0"
    assert notes.proof is not None
    assert notes.proof.verdict == exported.proof.verdict
    assert notes.measured_elsewhere == {}


def test_notes_of_others_are_empty(noted: Any) -> None:
    path = noted()
    assert notes_of(path) == Notes()
    assert notes_of(path).own_data is None
    assert notes_of(noted(mine=[1, 2])).document == {"mine": [1, 2]}
    unset = dict.fromkeys(set(Notes.model_fields) - {"document"})
    assert notes_of(noted(**unset)).accuracy is None, "null is as good as missing"


def test_accuracies_elsewhere(noted: Any) -> None:
    measured = {**ACCURACY, "there": THERE}
    assert notes_of(noted(accuracy=measured)).measured_elsewhere == measured
    assert notes_of(noted(accuracy=ACCURACY)).measured_elsewhere == {}


def test_a_path_counts_more_than_a_name(noted: Any) -> None:
    assert notes_of(noted(data="x", recipe={"data": {"path": "/x"}})).own_data == Path("/x")
    assert notes_of(noted(data=GIVEN, recipe={"data": {"name": GIVEN}})).own_data is None


NEWER = {"data": {"name": "rows", "denoise_us": 5}}


def test_a_recipe_of_a_newer_version_is_refused_only_where_its_data_are_read(noted: Any) -> None:
    path = noted(data="rows", recipe=NEWER, tssl="7.0.0")
    notes = notes_of(path)
    assert notes.own_data == "rows"
    assert notes.document["recipe"] == NEWER
    network = netx.read(path)
    assert load_inputs(network, completed(InputChoice(seed=0), path)).samples == 1
    with pytest.raises(DataError) as caught:
        load_inputs(network, completed(InputChoice(), path))
    assert str(caught.value) == (
        "the recipe stored with the network: key 'data.denoise_us' is unknown; tssl 7.0.0 wrote "
        f"it, and this is tssl {__version__}; give its input with --input, or use the tssl that "
        "exported it"
    )


def test_a_recipe_of_a_newer_version_is_shown(
    noted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tssl = in_this_process(capsys)
    path = noted(data="rows", recipe=NEWER, tssl="7.0.0")
    assert tssl("inspect", path).status == 0
    result, page = path.parent / "result", path.parent / "page.html"
    assert tssl("run", path, "--backend", "engine", "--out", result).status == 2
    np.save(path.parent / "x.npy", np.zeros((2, *netx.read(path).input.shape), np.int64))
    fed = ("--input", path.parent / "x.npy", "--steps", 4)
    assert tssl("run", path, "--backend", "engine", *fed, "--out", result).status == 0
    assert tssl("report", result, "--profile", "loihi2", "--html", page).status == 0
    assert "denoise_us = 5" in page.read_text()


DAMAGED: list[tuple[str, object]] = [
    *(("input_range", span) for span in (3, "0..15", [0], [0, "15"], [0, 1.5], [5, 1])),
    ("input_range", [0, 1 << 31]),
    ("bin_us", "400"),
    ("data", 3),
    ("class_names", 3),
    ("fingerprints", {"test": 3}),
    ("recipe", "x"),
    ("recipe.data", {"recipe": {"data": {"name": "x", "time": 3}}}),
    ("training", [1]),
    ("learning", 3),
    ("learning", [1]),
    ("learning.epoch", {"learning": {"epoch": 3}}),
    ("learning", {**CURVE, "loss": [1]}),
    ("learning", {**CURVE, "loss": [1, float("nan")]}),
    ("learning", {**CURVE, "loss": [1, 1e308]}),
    ("learning.loss", {"learning": {**CURVE, "loss": [1, "2"]}}),
    ("accuracy", 3),
    ("accuracy.float", {"accuracy": {**ACCURACY, "float": "0.5"}}),
    ("accuracy.chip", {"accuracy": {**ACCURACY, "chip": True}}),
    ("accuracy.samples", {"accuracy": {**ACCURACY, "samples": "8"}}),
    ("accuracy.there.accuracy", {"accuracy": {**ACCURACY, "there": {**THERE, "accuracy": "1"}}}),
    ("accuracy.there.samples", {"accuracy": {**ACCURACY, "there": {**THERE, "samples": "8"}}}),
    ("accuracy.there", {"accuracy": {**ACCURACY, "there": {"by": 3}}}),
    ("accuracy.samples", {"accuracy": {"float": 0.5, "chip": 0.5}}),
    ("proof.stages", {"proof": {"verdict": "PASS", "digest": None}}),
    ("proof.stages", {"proof": {"verdict": "PASS", "stages": 3}}),
    ("proof.stages", {"proof": {"verdict": "PASS", "stages": [3]}}),
    ("proof.stages", {"proof": {"verdict": "PASS", "stages": [{**STAGE, "rows": [{}]}]}}),
    *(
        (
            "proof.stages",
            {"proof": {"verdict": "", "stages": [{**STAGE, "rows": [{**ROW, key: "1"}]}]}},
        )
        for key in ("compared", "left", "differences")
    ),
    ("proof.stages", {"proof": {"verdict": "PASS", "stages": [{"witness": "w", "rows": []}]}}),
]


@pytest.mark.parametrize(("where", "value"), DAMAGED, ids=json.dumps)
def test_any_damaged_note_is_refused_by_all_who_read(where: str, value: Any, noted: Any) -> None:
    path = noted(**(value if "." in where else {where: value}))
    for read in (notes_of, inspect, lambda net: completed(InputChoice(seed=1), net)):
        with pytest.raises(DataError, match=rf"bad\.net: .*{where}.*; export it again"):
            read(path)
