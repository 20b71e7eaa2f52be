"""Settings that say how data of one's own are read, beside `--data`."""

from pathlib import Path

import numpy as np
import pytest

import tssl
from tssl.errors import ConfigError
from tssl.recipe import GIVEN
from tssl.workflow.data import recipe_with, source_of
from tssl.workflow.recipes import recipe_path
from tssl.workflow.train import Environment, start

DIGITS = recipe_path("digits")


def test_a_path_takes_the_place_of_the_name() -> None:
    recipe = recipe_with(DIGITS, {"data.range": [0, 16]}, Path("own.npz"))
    assert recipe.data.name is None
    assert recipe.data.path == str(Path("own.npz").absolute())
    assert recipe.data.range == (0, 16)


def test_a_name_takes_the_place_of_a_path(tmp_path: Path) -> None:
    text = DIGITS.read_text().replace(
        'name = "digits"\n\n[enc', 'path = "a"\nrange = [0, 1]\n\n[enc'
    )
    own = tmp_path / "own.toml"
    own.write_text(text)
    recipe = recipe_with(own, {}, None)
    assert recipe.data.range == (0, 1)
    assert recipe_with(own, {}, "mnist").data.model_dump(exclude_none=True) == {"name": "mnist"}
    other = recipe_with(own, {}, _saved(tmp_path / "b.npz", split=True)).data
    assert (other.path, other.range) == (str(tmp_path / "b.npz"), (0, 1))
    with pytest.raises(ConfigError, match="named data sets, as mnist, have no use for it"):
        recipe_with(own, {"range": [0, 2]}, "mnist")


def test_arrays_of_a_program() -> None:
    recipe = recipe_with(DIGITS, {"data.range": [0, 16]}, (np.zeros(3), np.zeros(3)))
    assert (recipe.data.name, recipe.data.range) == (GIVEN, (0, 16))


def test_the_advice_of_the_message_works(tmp_path: Path) -> None:
    """Floating point needs a range; the setting that the message names is one."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 16, (40, 8, 8)), np.arange(40) % 10
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y)
    given = Environment(data=tmp_path / "own.npz")
    with pytest.raises(Exception, match=r"RECIPE --set 'data\.range=\[0\.\d+, 15\.\d+\]'"):
        start("digits", {}, tmp_path / "run", given)
    fit = start("digits", {"data.range": [0, 16]}, tmp_path / "run", given)
    assert fit.recipe.data.range == (0, 16)


def _saved(path: Path, *, split: bool) -> Path:
    """Save 40 pictures, with a test split or without."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 8, 8)).astype(np.uint8), np.arange(40) % 10
    test = {"x_test": x[:20], "y_test": y[:20]} if split else {}
    np.savez(path, x_train=x, y_train=y, **test)
    return path


def _own(tmp_path: Path, lines: str) -> Path:
    """Write the recipe `digits` for data of one's own."""
    text = DIGITS.read_text().replace('name = "digits"\n\n[enc', f"{lines}\n\n[enc")
    own = tmp_path / "own.toml"
    own.write_text(text)
    return own


def test_what_a_recipe_says_of_its_data_holds_where_it_is_of_use(tmp_path: Path) -> None:
    """A test split is drawn as the recipe says, where other data have none; bins are for events."""
    whole = _saved(tmp_path / "whole.npz", split=False)
    parted = _saved(tmp_path / "parted.npz", split=True)
    own = _own(tmp_path, 'path = "whole.npz"\ntest_share = 0.5\nsplit_seed = 3\nbin_us = 1000')
    same, other = (recipe_with(own, {}, each).data for each in (whole, parted))
    assert (same.test_share, same.split_seed, same.bin_us) == (0.5, 3, None)
    assert (other.test_share, other.split_seed, other.bin_us) == (None, None, None)
    assert other.path == str(parted)
    arrays = {key: np.load(parted)[key] for key in ("x_train", "y_train", "x_test", "y_test")}
    assert recipe_with(own, {}, arrays).data.test_share is None


def test_what_somebody_says_of_these_data_is_refused_where_it_is_of_no_use(tmp_path: Path) -> None:
    parted = _saved(tmp_path / "parted.npz", split=True)
    own = _own(tmp_path, 'path = "whole.npz"\ntest_share = 0.5')
    for key in ("data.test_share", "test_share"):
        with pytest.raises(
            ConfigError, match=r"data\.test_share: .*parted\.npz has a test split; le"
        ):
            source_of(recipe_with(own, {key: 0.3}, parted).data)
    with pytest.raises(ConfigError, match=r"data\.bands: arrays have no use for it"):
        source_of(recipe_with(DIGITS, {"data.bands": 3}, parted).data)


def test_export_and_run_on_other_data(tmp_path: Path) -> None:
    """Both know how the first data were split, and take those that are split already."""
    whole = _saved(tmp_path / "whole.npz", split=False)
    parted = _saved(tmp_path / "parted.npz", split=True)
    quick = {"settings": {"epochs": 1, "data.test_share": 0.25}, "progress": False}
    run = tssl.train("digits", data=whole, out=tmp_path / "run", **quick)
    assert run.recipe.data.test_share == 0.25
    choice = {"lava": False, "samples": 5, "proof_samples": 2, "progress": False}
    chip = tssl.export(run, "loihi2", data=parted, out=tmp_path / "other.net", **choice)
    assert chip.samples == 5
    own = tssl.export(run, "loihi2", out=tmp_path / "own.net", **choice)
    result = tssl.run(own, data=parted, out=tmp_path / "result", progress=False).result
    assert result.counts.samples == 20
    assert tssl.run(own, out=tmp_path / "same", progress=False).result.counts.samples == 10
