"""A trained and exported network, made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer import tiny
from tests.workflow import blinking
from tssl import datasets
from tssl.engine import Engine
from tssl.workflow.export import ExportOptions, ExportOutcome, export
from tssl.workflow.inputs import InputChoice, load_inputs
from tssl.workflow.run import run_network, save_result
from tssl.workflow.train import Environment, start, train

QUICK = ExportOptions(lava=False, proof_samples=6)


@pytest.fixture(autouse=True, scope="package")  # other packages look at the table, too
def rows() -> Iterator[None]:
    """The small data sets in the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.DATASETS, "rows", "tests.trainer.tiny:ROWS")
        patch.setitem(datasets.DATASETS, "blinking", "tests.workflow.blinking:BLINKING")
        yield


@pytest.fixture(scope="package")
def exported_events(tmp_path_factory: pytest.TempPathFactory) -> ExportOutcome:
    """Return an exported network that was trained on events."""
    folder = tmp_path_factory.mktemp("events")
    recipe = folder / "blinking.toml"
    recipe.write_text(blinking.recipe().to_toml())
    run = folder / "run"
    train(start(str(recipe), {}, run, Environment(device="cpu")), tiny.Watcher())
    return export(run, "loihi1", folder / "x.net", QUICK, lambda _: None)


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run; not to be written to."""
    fit = tiny.fit(tmp_path_factory.mktemp("runs") / "rows", tiny.recipe(epochs=6))
    fit.fit(tiny.Watcher())
    return fit.run.path


@pytest.fixture(scope="package")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportOutcome:
    """Return an exported network and what is known about it."""
    path = tmp_path_factory.mktemp("nets") / "rows.net"
    return export(trained, "loihi2", path, QUICK, lambda _: None)


@pytest.fixture
def folder(exported: ExportOutcome, tmp_path: Path) -> Path:
    """Return the folder of a result: four samples on the engine."""
    inputs = load_inputs(exported.network, InputChoice(data="rows", samples=4))
    result = run_network(exported.network, inputs, Engine(), lambda _: None)
    save_result(result, exported.path, tmp_path / "result")
    return tmp_path / "result"
