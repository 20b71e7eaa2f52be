"""Small inputs in ``tests/cases`` that once failed, each for a whole kind of fault."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tssl.hw_profiles
from tests.command import Ran, in_this_process

CASES = Path(__file__).parent / "cases"
PROFILES = Path(tssl.hw_profiles.__file__).parent


@pytest.fixture
def tssl(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Run the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return in_this_process(capsys)


def test_a_byte_order_mark_is_no_error(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    ran = tssl("train", CASES / "bom.toml", "--epochs", 1, "--device", "cpu", "--json")
    assert ran.status == 0, ran.err
    assert ran.document["recipe"] == "onelayer"


def rows_of(text: str, title: str) -> list[str]:
    """Return the lines that begin a row of the table with a title."""
    lines = text.partition(title)[2].splitlines()
    rule = next(number for number, line in enumerate(lines) if "───" in line)
    below = itertools.takewhile(str.strip, lines[rule + 1 :])
    return [line[2:] for line in below if line[2] != " "]


def ran_on(tssl: Callable[..., Ran], net: str, out: str) -> None:
    ran = tssl("run", CASES / net, "--input", CASES / "input9.npy", "--backend", "engine",
               "--out", out, "--quiet")  # fmt: skip
    assert ran.status == 0, ran.err


def test_a_network_without_a_name_is_called_by_its_file(
    tssl: Callable[..., Ran], tmp_path: Path
) -> None:
    ran_on(tssl, "name_a.net", "A")
    ran_on(tssl, "name_b.net", "B")
    shown = tssl("report", "A", "B", "--profile", "loihi2", "--html", "page.html")
    rows = rows_of(shown.out, "Side by side")
    assert [row.split()[0] for row in rows] == ["name_a", "name_b"]
    assert "name_a, name_b" in (tmp_path / "page.html").read_text(encoding="utf-8")
    documents = tssl("report", "A", "B", "--profile", "loihi2", "--json").document["reports"]
    named = [(each["label"], each["directory"]) for each in documents]
    assert named == [("name_a", "A"), ("name_b", "B")]
    assert [each["profiles"][0]["network"] for each in documents] == ["name_a", "name_b"]


def test_results_of_one_network_are_told_apart_by_their_folders(
    tssl: Callable[..., Ran], tmp_path: Path
) -> None:
    folders = [f"{seed}/result" for seed in "1234"]
    for folder in folders:
        ran_on(tssl, "name_a.net", folder)
    shown = tssl("report", *folders, "--profile", "loihi2", "--html", "page.html")
    rows = rows_of(shown.out, "Side by side")
    wanted = [f"name_a ({folder})" for folder in folders]
    assert [row[: len(wanted[0])] for row in rows] == wanted
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(f"<h2>{name}</h2>" in page for name in wanted)
    documents = tssl("report", *folders, "--profile", "loihi2", "--json").document["reports"]
    assert [each["label"] for each in documents] == wanted


def test_two_profiles_of_one_chip_are_told_apart(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    ran_on(tssl, "name_a.net", "A")
    (tmp_path / "mine.toml").write_bytes((PROFILES / "loihi2.toml").read_bytes())
    shown = tssl("report", "A", "--profile", "loihi2", "--profile", "mine.toml")
    assert shown.status == 0, shown.err
    rows = rows_of(shown.out, "Side by side")
    assert len(rows) == 2
    assert "(loihi2)" in rows[0]
    assert "(mine)" in rows[1]


def test_a_refusal_says_which_result(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    ran_on(tssl, "name_a.net", "A")
    ran_on(tssl, "name_b.net", "B")
    shown = tssl("report", "A", "B", "--profile", "truenorth", "--profile", "loihi2")
    assert "Not priced: name_a on truenorth: " in shown.out
    assert "Not priced: name_b on truenorth: " in shown.out
    alone = tssl("report", "B", "--profile", "truenorth")
    assert alone.status == 3
    assert alone.err.startswith("tssl: error: B: ")


def test_graded_input_is_refused_where_spikes_carry_no_value(tssl: Callable[..., Ran]) -> None:
    ran = tssl("run", CASES / "name_a.net", "--input", CASES / "graded9.npy", "--steps", 8,
               "--backend", "engine", "--out", "G", "--json")  # fmt: skip
    assert ran.status == 0, ran.err
    given = np.load(CASES / "graded9.npy")
    assert ran.document["input_range"] == [given.min(), given.max()]
    refused = tssl("report", "G", "--profile", "loihi1")
    assert refused.status == 3
    assert f"spikes carry values up to {given.max()}, at most 1 is possible" in refused.err
    assert "use another chip, or smaller input" in refused.err
    assert tssl("report", "G", "--profile", "loihi2").status == 0
    ran_on(tssl, "name_a.net", "A")
    assert tssl("report", "A", "--profile", "loihi1").status == 0


def test_patience_without_a_held_out_sample_is_refused(
    tssl: Callable[..., Ran], tmp_path: Path
) -> None:
    recipe = CASES / "no_held_out.toml"
    ran = tssl("train", recipe, "--set", "validation=0.0001", "--set", "patience=3")
    assert ran.status == 2
    assert "patience = 3 needs held-out samples" in ran.err
    assert "training.validation = 0.0001 of 1437 samples is none; use at least 0.0007" in ran.err
    assert not list(tmp_path.iterdir())
    least = ["--set", "validation=0.0007", "--set", "patience=3", "--epochs", 1]
    assert tssl("train", recipe, *least, "--device", "cpu").status == 0


@pytest.mark.parametrize("share", ["0", "0.0001"])
def test_without_a_held_out_sample_the_last_epoch_is_kept_and_said_to_be(
    tssl: Callable[..., Ran], tmp_path: Path, share: str
) -> None:
    trained = tssl("train", CASES / "no_held_out.toml", "--set", f"validation={share}",
                   "--device", "cpu", "--out", "run")  # fmt: skip
    assert trained.status == 0, trained.err
    assert "held-out" not in trained.out + trained.err
    assert "2 epochs; nothing is held out, the last is kept: epoch 2" in trained.out
    document = tssl("train", "--resume", "run", "--json").document
    assert document["choice"] == "nothing is held out, the last is kept"
    assert document["best"] == document["last"]
    exported = tssl("export", "run", "--target", "loihi2", "-o", "x.net", "--no-lava")
    inspected = tssl("inspect", "x.net")
    said = [trained, exported, inspected, tssl("inspect", "x.net", "--json")]
    assert [ran.status for ran in said] == [0] * 4
    texts = [ran.out + ran.err for ran in said] + [(tmp_path / "run/metrics.csv").read_text()]
    assert not [text for text in texts if re.search(r"\bnan\b", text, re.IGNORECASE)]


def late_recordings(folder: Path, *, first_us: int) -> Path:
    """Write recordings of three digits whose events begin at a time, 0.05 seconds apart."""
    for split in ("Train", "Test"):
        for label in range(3):
            path = folder / split / str(label) / f"{label + 1}.bin"
            path.parent.mkdir(parents=True)
            times = [first_us + 50_000 * step for step in range(4)]
            path.write_bytes(b"".join(b"\1\2" + time.to_bytes(3, "big") for time in times))
    return folder


def test_events_that_all_come_too_late(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    late = late_recordings(tmp_path / "late", first_us=300_000)
    recipe = CASES / "events_too_late.toml"
    ran = tssl("train", recipe, "--data-dir", late, "--device", "cpu")
    assert ran.status == 2
    assert "holds no event inside time_steps x bin_us = 10 x 3000 us = 30 ms" in ran.err
    assert "from 300 to 450 ms" in ran.err
    assert "weight_scale" not in ran.err
    assert not (tmp_path / "runs").exists()
    longer = ["--set", "bin_us=40000", "--device", "cpu", "--out", "run"]
    seen = tssl("train", recipe, "--data-dir", late, *longer)
    assert seen.status == 0, seen.err
    share = "warning: data set nmnist, train split: 50% of the events lie outside"
    assert seen.err.count(share) == 1


def test_a_page_without_pictures_says_why(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    spikes = tmp_path / "spikes.npy"
    spikes.write_bytes((CASES / "input9.npy").read_bytes())
    tssl("run", CASES / "name_a.net", "--input", "spikes.npy", "--backend", "engine", "--out", "A")
    asked = ["report", "A", "--profile", "loihi2", "--html", "page.html"]
    assert "warning" not in tssl(*asked).err
    assert 'class="spikes"' in (tmp_path / "page.html").read_text(encoding="utf-8")
    spikes.unlink()
    why = f"Not shown: {spikes} is not there any more."
    assert tssl(*asked).err == f"warning: page.html, pictures of name_a: {why}\n"
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert why in page
    assert 'class="spikes"' not in page
