"""The examples of docs/own-data.md: their recipes as they are, on the real files, to Lava."""

import gzip
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tssl
from tests.documents import blocks
from tssl.lava_runtime import lava_sim

pytestmark = [pytest.mark.slow, pytest.mark.lava]

PAGE = Path(__file__).parents[2] / "docs" / "own-data.md"
RECIPES = {
    block.file: block.text for block in blocks(PAGE.read_text(encoding="utf-8")) if block.file
}


def containers(data: Path, folder: Path) -> None:
    with zipfile.ZipFile(data / "tactile_ev" / "Ev-Containers.zip") as archive:
        archive.extractall(folder)


def spoken(data: Path, folder: Path) -> None:
    with tarfile.open(data / "fsdd" / "fsdd_recordings.tar.xz") as archive:
        archive.extractall(folder, filter="data")


def pictures(data: Path, folder: Path) -> None:
    """Write some of MNIST, read by numpy from its files, as pictures."""
    pillow = pytest.importorskip("PIL.Image")
    for split, prefix, each in (("train", "train", 100), ("test", "t10k", 10)):
        images, labels = (
            np.frombuffer(gzip.decompress((data / "mnist" / f"{prefix}-{name}.gz").read_bytes()),
                          np.uint8)[skip:]
            for name, skip in (("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8))
        )  # fmt: skip
        for digit in range(10):
            place = folder / "pictures" / split / f"digit-{digit}"
            place.mkdir(parents=True)
            for number in np.flatnonzero(labels == digit)[:each]:
                pillow.fromarray(images.reshape(-1, 28, 28)[number]).save(place / f"{number}.png")


@pytest.mark.parametrize(
    ("make", "epochs", "least"),
    [(containers, 20, 0.2), (spoken, 4, 0.2), (pictures, 6, 0.6)],
    ids=["containers", "spoken", "pictures"],
)
@pytest.mark.timeout(900)
def test_from_files_to_lava(make, epochs: int, least: float, shared_dir: Path, tmp_path: Path):
    missing = lava_sim.check(None)
    if missing is not None:
        pytest.skip(missing)
    data = shared_dir / "data"
    if not data.is_dir():
        pytest.skip(f"needs the files in {data}")
    make(data, tmp_path)
    name = make.__name__
    (tmp_path / f"{name}.toml").write_text(RECIPES[f"{name}.toml"], encoding="utf-8")
    run = tssl.train(
        tmp_path / f"{name}.toml", out=tmp_path / "run", settings={"epochs": epochs}, progress=False
    )
    made = tssl.export(run, "loihi2", samples=60, proof_samples=5, progress=False)
    assert made.proof.verdict == "PASS"
    assert [stage.samples for stage in made.proof.stages] == [5, 5], "the witness, and Lava"
    assert made.chip_accuracy > least, "several times chance"
    ran = tssl.run(made, backend="sim", samples=5, progress=False)
    assert len(ran.result.labels) == 5
