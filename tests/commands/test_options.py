"""What texts of the command line become, before anything else sees them."""

import pytest

from tssl.commands.options import bits_of, recorded_of, settings_of
from tssl.errors import ConfigError


def test_settings_have_the_types_of_json() -> None:
    texts = ["lr=1e-3", " seed = 3 ", "flip=true", "kernel=[3, 5]", "name=it's", "loss='count'"]
    assert settings_of(texts) == {
        "lr": 1e-3, "seed": 3, "flip": True, "kernel": [3, 5], "name": "it's", "loss": "count",
    }  # fmt: skip


def test_lists_are_written_as_in_a_recipe_too() -> None:
    layers = '[{ type = "dense", neurons = 20 }, { type = "dense", neurons = 10 }]'
    assert settings_of([f"layers={layers}", "odd=[1, x"]) == {
        "layers": [{"type": "dense", "neurons": 20}, {"type": "dense", "neurons": 10}],
        "odd": "[1, x",
    }


def test_of_a_key_that_repeats_the_last_counts_and_is_last() -> None:
    assert [*settings_of(["a=1", "b=2", "a=3"]).items()] == [("b", 2), ("a", 3)]
    assert [*bits_of(["a=4", "8", "a=6"]).items()] == [("", 8), ("a", 6)]


@pytest.mark.parametrize("text", ["", "lr", "=3", " = 3"])
def test_a_setting_without_key_or_value(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--set .*: expected KEY=VALUE"):
        settings_of([text])


@pytest.mark.parametrize("text", ["x", "dense1=", "dense1=x", "=", "-3", "4.5", "12345"])
def test_bits_that_are_no_number(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--weight-bits .*: expected N or LAYER=N"):
        bits_of([text])


def test_what_to_record() -> None:
    assert recorded_of([]) == {}
    assert recorded_of(["a", "b:spikes", "b:current", "all:spikes"]) == {
        "a": [], "b": ["spikes", "current"], "all": ["spikes"],
    }  # fmt: skip
    for texts in (["a", "a:spikes"], ["a:spikes", "a"]):  # all three stay all three
        assert recorded_of(texts) == {"a": []}
