"""The data set of a recipe: pictures as they are, events as the network's steps."""

import numpy as np
import pytest

from tests.trainer import tiny
from tests.workflow import blinking
from tssl.datasets import Frames
from tssl.errors import ConfigError, DataError
from tssl.recipe import Recipe, recipe_from_tables
from tssl.workflow.data import frames_of, load_splits, seen_before


def recipe(name: str, *, time_steps: int = 10, bin_us: int | None = None) -> Recipe:
    data = {"name": name} if bin_us is None else {"name": name, "bin_us": bin_us}
    tables = tiny.recipe().model_dump(exclude_none=True)
    tables["network"]["time_steps"] = time_steps
    return recipe_from_tables({**tables, "data": data}, "test")


def test_pictures() -> None:
    train, test = load_splits(recipe("rows"), None)
    assert (train.split, test.split) == ("train", "test")
    assert train.time_steps == 0
    assert frames_of(recipe("rows")) is None


def test_events_come_in_the_networks_steps() -> None:
    own = Frames(time_steps=10, bin_us=blinking.STEP_US)
    assert frames_of(recipe("blinking")) == own
    asked = recipe("blinking", time_steps=20, bin_us=100)
    assert frames_of(asked) == Frames(time_steps=20, bin_us=100)
    train, test = load_splits(asked, None)
    for data, split in ((train, "train"), (test, "test")):
        assert data.inputs.shape == (blinking.SAMPLES, 20, 2, 3, 3)
        expected = blinking.dataset(split, Frames(time_steps=20, bin_us=100))
        assert np.array_equal(data.inputs[:], expected.inputs[:])


def test_pictures_cannot_be_cut_into_frames() -> None:
    with pytest.raises(ConfigError, match=r"data\.bin_us: data set rows holds pictures"):
        load_splits(recipe("rows", bin_us=100), None)


@pytest.mark.parametrize(
    ("provenance", "told"),
    [
        (
            {"data": "/data/digits"},
            "stars: are not here; in training, the data came from /data/digits",
        ),
        ({"data": "stars"}, "stars: are not here"),
        ({}, "stars: are not here"),
    ],
)
def test_an_error_of_the_data_says_where_they_were(provenance: dict[str, str], told: str) -> None:
    with pytest.raises(DataError) as caught, seen_before(provenance):
        raise DataError("stars: are not here")
    assert str(caught.value) == told


def test_other_errors_pass() -> None:
    with pytest.raises(ConfigError, match=r"^unknown$"), seen_before({"data": "/data/digits"}):
        raise ConfigError("unknown")
