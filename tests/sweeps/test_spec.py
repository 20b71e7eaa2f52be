import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.trainer import tiny
from tssl.errors import ConfigError
from tssl.sweeps import Choices, Range, SweepSpec, changed, name_of

VALUES = st.one_of(
    st.integers(0, 5), st.floats(0, 1), st.text(max_size=8), st.lists(st.integers(0, 3))
)


def spec(**changes: Any) -> SweepSpec:
    given = {
        "source": "rows",
        "settings": {},
        "over": {
            "network.tau_m": Choices(values=(3, 5)),
            "export.weight_bits": Choices(values=(4, 8)),
            "training.lr": Choices(values=(0.1, 0.2, 0.3)),
            "target": Choices(values=("loihi2", "loihi1")),
        },
        "seeds": (0, 7),
    }
    return SweepSpec.model_validate({**given, **changes})


def test_a_training_serves_all_of_its_exports() -> None:
    mine = spec()
    trainings = list(mine.grid())
    assert len(trainings) == mine.number_of_trials == 12
    exports = {(4, "loihi2"), (4, "loihi1"), (8, "loihi2"), (8, "loihi1")}
    done = set()
    for values in trainings:
        job = mine.job(values)
        (seed,) = job.seeds
        assert {tuple(each.values()) for each in job.exports} == exports
        for each in job.exports:
            done.add((*job.recipe.values(), seed, *each.values()))
    expected = itertools.product((3, 5), (0.1, 0.2, 0.3), (0, 7), (4, 8), ("loihi2", "loihi1"))
    assert done == set(expected)
    assert mine.number_of_points == len(done)


def test_a_search_has_one_export_and_all_seeds() -> None:
    over = {"training.lr": Range(low=0.1, high=1.0), "export.weight_bits": Range(low=2, high=8)}
    mine = spec(over=over, optimize=("accuracy", "energy"), trials=9)
    job = mine.job({"training.lr": 0.5, "export.weight_bits": 3})
    assert job.seeds == (0, 7)
    assert job.exports == ({"export.weight_bits": 3},)
    assert (mine.number_of_trials, mine.number_of_points) == (9, 18)


@given(st.lists(VALUES, min_size=2, max_size=2, unique_by=repr))
def test_other_values_have_other_names(values: list[Any]) -> None:
    names = [name_of({"network.tau_m": value, "seed": 0}) for value in values]
    for name in names:
        assert "/" not in name
        assert len(name) <= 120
    # a text and a number that read alike are no two values of one key
    if str(values[0]) != str(values[1]):
        assert names[0] != names[1]


def test_names_show_what_tells_keys_apart() -> None:
    assert name_of({"network.tau_m": 4, "seed": 0}) == "tau_m=4,seed=0"
    both = name_of({"network.layers.0.neurons": 8, "network.layers.1.neurons": 9})
    assert both == "network.layers.0.neurons=8,network.layers.1.neurons=9"
    assert len(name_of({f"key{i}": i for i in range(60)})) < 100


def test_it_comes_back_from_its_folder(tmp_path: Path) -> None:
    over = {"training.lr": Range(low=1e-4, high=1e-2, log=True), "target": Choices(values=("a",))}
    mine = spec(over=over, optimize=("accuracy",), trials=3)
    mine.save(tmp_path, tiny.recipe())
    found, recipe = SweepSpec.load(tmp_path)
    assert found == mine
    assert list(found.over) == list(mine.over)
    assert changed(recipe, tiny.recipe()) is None


def test_what_changed_in_a_recipe_is_named() -> None:
    found = changed(tiny.recipe(lr=0.01), tiny.recipe(lr=0.02))
    assert found == "training.lr was 0.01 and is 0.02"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"over": {}}, "at least one KEY"),
        ({"over": {"training.lr": {"values": []}}}, "has no values"),
        ({"over": {"training.lr": {"values": [1, 1]}}}, "has the value 1 twice"),
        ({"over": {"training.lr": {"low": 2, "high": 1}}}, "is empty"),
        ({"over": {"training.lr": {"low": 0, "high": 1, "log": True}}}, "begins above 0"),
        ({"over": {"training.lr": {"low": 1, "high": 2}}}, "a range are too many"),
        ({"optimize": ["accuracy"]}, "give both or none"),
        ({"optimize": ["energy"], "trials": 3}, "expected accuracy, or accuracy,energy"),
        ({"seeds": []}, "at least one"),
        ({"seeds": [1, 1]}, "none of them twice"),
        ({"seeds": range(100_001)}, "at most 100\u202f000"),
    ],
)
def test_what_is_no_sweep_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        spec(**changes)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema_version": 1, "source": 3}'])
def test_a_damaged_sweep_is_one_line(tmp_path: Path, text: str) -> None:
    spec().save(tmp_path, tiny.recipe())
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(ConfigError, match=r"sweep\.json"):
        SweepSpec.load(tmp_path)
