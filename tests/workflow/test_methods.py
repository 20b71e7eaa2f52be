"""Networks of other learning methods, from recipe to Lava."""

from pathlib import Path

import pytest

from tests.trainer import tiny
from tests.trainer.test_lee import tables
from tests.trainer.test_strsbp import HIDDEN, OUT, rows
from tssl.errors import UnsupportedLayerError
from tssl.recipe import Recipe, recipe_from_tables
from tssl.workflow.export import ExportOptions, ExportOutcome, export
from tssl.workflow.train import Environment, start, train

LAYER = {"type": "dense", "own_thresholds": True, "threshold": 0.5}


def lee(**fields: object) -> Recipe:
    layers = ({**LAYER, **fields, "neurons": size} for size in (12, tiny.CLASSES))
    return recipe_from_tables(tables(*layers), "test")


def exported(folder: Path, recipe: Recipe, *, lava: bool) -> ExportOutcome:
    file = folder / "recipe.toml"
    file.write_text(recipe.to_toml())
    train(start(str(file), {}, folder / "run", Environment(device="cpu")), tiny.Watcher())
    options = ExportOptions(lava=lava)
    return export(folder / "run", "loihi2", folder / "x.net", options, lambda _: None)


@pytest.mark.lava
@pytest.mark.parametrize(
    "recipe",
    [
        lee(recurrent=True),
        rows(HIDDEN, {**HIDDEN, "recurrent": True}, {**OUT, "recurrent": True}),
    ],
    ids=["lee", "st-rsbp"],
)
def test_they_are_trained_exported_and_proven(tmp_path: Path, recipe: Recipe) -> None:
    made = exported(tmp_path, recipe, lava=True)
    assert made.proof.verdict == "PASS"
    assert not made.silent


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({"reset": "subtract"}, "train with reset = 'zero'"),
        ({"refractory": 3}, "train with refractory = 0"),
    ],
)
def test_what_the_chip_has_not_is_refused(
    tmp_path: Path, fields: dict[str, object], advice: str
) -> None:
    with pytest.raises(UnsupportedLayerError, match=f"layer dense1: was trained .*{advice}"):
        exported(tmp_path, lee(**fields), lava=False)
