"""Numbers as targets, from a file to what a network in integers says of them."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, r2_score

from tests.command import Ran, in_this_process
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.chip import ValueReadOut
from tssl.engine import Compiled
from tssl.results import RunResult
from tssl.trainer.evaluation import said_and_wanted
from tssl.trainer.samples import Samples
from tssl.workflow.data import load_splits
from tssl.workflow.inputs import encode

RECIPE = """
name = "two"
[data]
path = "two.npz"
[encoding]
input = "changes"
resolution = 16
[network]
time_steps = 2
threshold = 0.02
layers = [
  { type = "dense", neurons = 24, neuron = "sigma-delta", bias = true },
  { type = "dense", neurons = 2, neuron = "sigma-delta" },
]
[training]
rule = "sigma-delta"
epochs = 12
batch_size = 20
lr = 4e-3
smallest_rate = 0.01
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sums over pictures of eight pixels, of other units and far from 0."""
    path, rng = tmp_path_factory.mktemp("regression"), np.random.default_rng(0)
    pixels = rng.integers(0, 256, (600, 8), dtype=np.uint8)
    mixed = pixels @ rng.normal(0, 1, (8, 2)) / 255
    targets = 40 + mixed * [3, 0.1]
    np.savez(path / "two.npz", x_train=pixels[:500], y_train=targets[:500],
             x_test=pixels[500:], y_test=targets[500:])  # fmt: skip
    (path / "two.toml").write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    from tssl.cli import run_command

    run = folder / "run"
    assert run_command(["train", str(folder / "two.toml"), "--out", str(run), "--quiet"]) == 0
    exported = ["export", str(run), "--target", "loihi2", "-o", str(folder / "two.net")]
    assert run_command([*exported, "--no-lava", "--quiet"]) == 0
    return run


@pytest.fixture
def tssl(capsys: pytest.CaptureFixture[str]):
    return in_this_process(capsys)


def result(folder: Path, tssl) -> tuple[Ran, RunResult]:
    out = folder / "result"
    ran = tssl("run", folder / "two.net", "--backend", "engine", "--out", out)
    return ran, RunResult.load(out)


def test_it_learns_and_says_so(trained: Path):
    kept = Checkpoint.load(trained / "best.safetensors")
    assert isinstance(kept.read_out, ValueReadOut)
    _, test = load_splits(kept.recipe, None)
    samples = Samples.encoded(
        test, np.arange(100), kept.encoding, "cpu", kept.input_neuron, 2, kept.read_out
    )
    said, wanted = said_and_wanted(kept, samples)
    assert r2_score(wanted, said) == pytest.approx(kept.provenance["test_accuracy"], abs=1e-6)
    assert r2_score(wanted, said) > 0.9
    assert (trained / "answers.png").exists()
    assert not (trained / "confusion.png").exists()


@pytest.mark.usefixtures("trained")
def test_what_is_said_is_the_output_in_units_of_the_targets(folder: Path, tssl):
    ran, found = result(folder, tssl)
    network = netx.read(folder / "two.net")
    with np.load(folder / "two.npz") as arrays:
        wanted = arrays["y_test"]
    assert np.array_equal(found.labels, wanted)
    assert found.accuracy is None
    assert found.figures["r2"] == pytest.approx(r2_score(wanted, found.predictions))
    assert found.figures["mse"] == pytest.approx(mean_squared_error(wanted, found.predictions))
    assert found.figures["r2"] > 0.9
    for text in ("R²", "MSE", f"{found.figures['r2']:.2%}"):
        assert text in ran.out
    recipe = Checkpoint.load(folder / "run" / "best.safetensors").recipe
    _, test = load_splits(recipe, None)
    recording = Compiled(network).run(encode(network, test), 2)
    gain, offset = (np.array(each) for each in network.read_out.document.values())
    assert found.predictions == pytest.approx(recording.output_potential * gain + offset)


@pytest.mark.usefixtures("trained")
def test_labels_beside_a_file_of_inputs(folder: Path, tssl):
    _, found = result(folder, tssl)
    network = netx.read(folder / "two.net")
    recipe = Checkpoint.load(folder / "run" / "best.safetensors").recipe
    _, test = load_splits(recipe, None)
    np.save(folder / "x.npy", encode(network, test)[0])
    np.save(folder / "y.npy", found.labels)
    ran = tssl("run", folder / "two.net", "--backend", "engine", "--input", folder / "x.npy",
               "--labels", folder / "y.npy", "--out", folder / "other", "--json")  # fmt: skip
    assert ran.document["figures"]["r2"] == pytest.approx(found.figures["r2"])
    assert ran.document["accuracy"] is None


@pytest.mark.usefixtures("trained")
def test_the_report_has_the_figures(folder: Path, tssl):
    _, found = result(folder, tssl)
    page = folder / "page.html"
    ran = tssl("report", folder / "result", "--profile", "loihi2", "--html", page)
    assert ran.status == 0
    assert f"{100 * found.figures['r2']:.2f} %" in page.read_text(encoding="utf-8")
    assert "Not shown" not in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("trained")
def test_a_network_of_numbers_takes_no_classes(folder: Path, tssl):
    np.save(folder / "wrong.npy", np.zeros((5, 3)))
    np.save(folder / "five.npy", np.zeros((5, 8), np.int64))
    for arguments, said in (
        (("--data", "digits"), "its targets are classes, and network two says numbers"),
        (("--input", folder / "five.npy", "--labels", folder / "wrong.npy"), "(5, 2), are needed"),
    ):
        ran = tssl("run", folder / "two.net", "--backend", "engine", *arguments)
        assert (ran.status, ran.err.count("\n")) == (2, 1)
        assert said in ran.err


@pytest.mark.lava
@pytest.mark.usefixtures("trained")
def test_lava_says_the_same(folder: Path, tssl):
    ran = tssl("verify", folder / "two.net", "--samples", "4", "--json")
    assert ran.document["verdict"] == "PASS"


def test_numbers_that_look_like_classes_are_numbers_when_asked(folder: Path, tssl):
    np.savez(folder / "whole.npz", x_train=np.arange(80, dtype=np.uint8).reshape(20, 4),
             y_train=np.arange(10).repeat(2))  # fmt: skip
    for setting, kept in (("classes", 10), ("numbers", 0)):
        ran = tssl("data", "show", folder / "whole.npz", "--set", f"targets={setting}", "--json")
        assert (ran.document["classes"], ran.document["numbers"]) == (kept, 1 if not kept else 0)
