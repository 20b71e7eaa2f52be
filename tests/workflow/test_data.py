"""The data set of a recipe: pictures as they are, events as the network's steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer import tiny
from tests.workflow import blinking, lying
from tssl import datasets
from tssl.datasets import Frames
from tssl.errors import ConfigError, DataError
from tssl.recipe import Recipe, recipe_from_tables
from tssl.workflow.data import folders_of, frames_of, known_folder, load_splits, seen_before


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


class TestKnownFolder:
    """Where a data set is looked for first: where it was, unless a user names another folder."""

    @pytest.fixture(autouse=True)
    def table(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(datasets.DATASETS, lying.NAME, "tests.workflow.lying:LYING")

    def test_where_it_was(self, tmp_path: Path) -> None:
        kept = folders_of("lying", tmp_path)
        assert kept == {"lying": str(tmp_path)}
        assert known_folder("lying", None, kept) == tmp_path

    def test_a_folder_is_remembered_from_everywhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert folders_of("lying", Path("data")) == {"lying": str(tmp_path / "data")}

    def test_a_folder_that_a_user_names_counts(self, tmp_path: Path) -> None:
        assert known_folder("lying", tmp_path, {"lying": "/gone"}) == tmp_path

    @pytest.mark.parametrize("data", [None, Path("lying"), "arrays", {"x_train": [0]}])
    def test_only_named_data_have_one(self, data: Any) -> None:
        assert folders_of(data, Path("data")) == {}
        assert known_folder(data, None, {"lying": "/gone", "arrays": "/gone"}) is None

    @pytest.mark.parametrize("kept", [None, {}, {"rows": "/gone"}, {"lying": 1}, ["lying"]])
    def test_nothing_is_known(self, kept: object) -> None:
        assert known_folder("lying", None, kept) is None

    def test_it_is_gone(self) -> None:
        with pytest.raises(DataError) as caught:
            known_folder("lying", None, {"lying": "/gone"})
        assert str(caught.value) == (
            "data set lying: was read from /gone, which is no folder any more; name the folder "
            "that holds its files with --data-dir, or run `tssl data fetch lying`"
        )

    def test_it_is_gone_and_the_data_are_in_the_usual_places(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lying.LYING, "cache", lying.put(tmp_path / "cache"))
        assert known_folder("lying", None, {"lying": "/gone"}) is None
