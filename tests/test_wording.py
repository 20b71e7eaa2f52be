"""Hints for mistyped names: what a reader would guess, and nothing where there is no guess."""

import re
from pathlib import Path

import pytest

import tssl
from tests.command import in_this_process
from tests.hw_profiles.networks import dense
from tssl import netx
from tssl.wording import count, did_you_mean, nearest, reason_of, several, visible


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("mnst", "mnist"),
        ("MNIST", "mnist"),
        ("fashion_mnist", "fashion-mnist"),
        ("fashion mnist", "fashion-mnist"),
        ("imagenet", None),
        ("", None),
        (3, None),
    ],
)
def test_nearest(word: object, name: str | None) -> None:
    assert nearest(word, ["mnist", "fashion-mnist", "cifar10"]) == name


def test_the_words() -> None:
    assert did_you_mean("mnst", ["mnist"]) == " (did you mean 'mnist'?)"
    assert did_you_mean("mnst", []) == ""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    netx.write(tmp_path / "a.net", dense(4, 3))
    return tmp_path / "a.net"


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("trian digits", "train"),
        ("profiles shw", "show"),
        ("report x --profle loihi2", "--profile"),
        ("train digit", "digits"),
        ("plan digts", "digits"),
        ("recipes digt", "digits"),
        ("sweep digts --over lr=1 --out OUT", "digits"),
        ("train digits --data mnst --out OUT", "mnist"),
        ("train digits --set training.rule=tsslbp --out OUT", "tssl-bp"),
        ("train digits --set training.lrr=1 --out OUT", "lr"),
        ("train digits --set epocs=1 --out OUT", "epochs"),
        ("train digits --set network.layers.0.neuron=liff --out OUT", "lif"),
        ("train digits --set network.layers.0.type=dens --out OUT", "dense"),
        ("train digits --device cdua --out OUT", "cuda"),
        ("data show mnst", "mnist"),
        ("data fetch mnst", "mnist"),
        ("profiles show lohi2", "loihi2"),
        ("run NET --backend simm", "sim"),
        ("run NET --backend engine --record dens1", "dense1"),
        ("run NET --backend engine --record dense1:spike", "spikes"),
        ("run NET --backend engine --split tets", "test"),
        ("run NET --backend engine --data mnst --out OUT", "mnist"),
        ("run NET --backend engine --slurm partiton=a --out OUT", "partition"),
    ],
)
def test_every_name_that_can_be_mistyped(
    command: str, meant: str, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.replace("NET", str(net)).replace("OUT", str(tmp_path / "out")).split()
    ran = in_this_process(capsys)(*words)
    assert ran.status == 2
    assert f"id you mean '{meant}'?" in ran.err
    assert ran.err.count("\n") == 1


def test_one_separator_of_thousands() -> None:
    """A comma as the separator is only where it becomes the narrow blank at once."""
    package = Path(tssl.__file__).parent
    found = {
        path.relative_to(package).as_posix(): re.findall(r":,[.}d_{].*", path.read_text())
        for path in package.rglob("*.py")
    }
    assert {name: all(".replace(" in line for line in lines) for name, lines in found.items()
            if lines} == dict.fromkeys(
        ("wording.py", "reporting/units.py", "reporting/axes.py"), True
    )  # fmt: skip
    assert count(1234567) == "1\u202f234\u202f567"


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("profiles", ["calibrate", "check", "list", "show"]),
        ("run NET", ["engine", "sim", "loihi2"]),
        ("export NET", ["loihi1", "loihi2"]),
        ("report OUT", ["all", "loihi2"]),
        ("plan", ["digits", "mnist-cnn"]),
    ],
)
def test_what_is_missing_is_listed(
    command: str, names: list[str], net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.replace("NET", str(net)).replace("OUT", str(tmp_path)).split()
    ran = in_this_process(capsys)(*words)
    assert ran.status == 2
    shown = ran.err.partition("There are: ")[2].partition(". (see")[0].split(", ")
    assert set(shown) >= set(names)
    assert ran.err.count("\n") == 1


def test_a_folder_in_place_of_a_network(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["run", net.parent], ["verify", net.parent], ["diff", net, net.parent]):
        ran = in_this_process(capsys)(*words)
        assert ran.status == 2
        assert f"is a folder; give a .net file, such as {net}." in ran.err
    net.unlink()
    ran = in_this_process(capsys)("verify", net.parent)
    assert "is a folder; give a .net file, which `tssl export` writes." in ran.err


def test_several() -> None:
    assert several(1, "class", "classes") == "1 class"
    assert several(0, "class", "classes") == "0 classes"
    assert several(12000, "neuron") == "12\u202f000 neurons"


def test_the_reason_of_an_error() -> None:
    assert reason_of(ValueError("no\n  number")) == "no number"
    assert reason_of(KeyError("labels")) == "'labels' is missing"
    assert reason_of(EOFError()) == "it is damaged"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("back\b\rover\x7f\x9b2J\0", r"back\x08\rover\x7f\x9b2J\x00"),
        ("exe\u202etxt\u2066", r"exe\u202etxt\u2066"),
        ("two\nlines\tand [tags] \\ 1\u202f000 µJ, 手, a\u200cb", None),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str | None) -> None:
    assert visible(text) == (text if shown is None else shown)


def test_texts_of_files_do_not_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, missing = tmp_path / "a.net", tmp_path / "\x1b[2J.net"
    netx.write(net, dense(4, 3, name="net\x1b[31m"))
    ran = in_this_process(capsys)("inspect", net)
    assert ran.status == 0
    assert r"net\x1b[31m" in ran.out
    assert "\x1b" not in ran.out
    ran = in_this_process(capsys)("inspect", missing)
    assert r"\x1b[2J.net" in ran.err
    assert "\x1b" not in ran.err
