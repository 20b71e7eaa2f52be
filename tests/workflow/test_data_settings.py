"""Settings that say how data of one's own are read, beside `--data`."""

from pathlib import Path

import numpy as np
import pytest

from tssl.errors import ConfigError
from tssl.recipe import GIVEN
from tssl.workflow.data import recipe_with
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
    other = recipe_with(own, {}, tmp_path / "b").data
    assert (other.path, other.range) == (str(tmp_path / "b"), (0, 1))
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
