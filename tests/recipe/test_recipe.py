"""Recipes: what is accepted, and one clear line that names the key for what is not."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from tssl.commands.options import settings_of
from tssl.errors import ConfigError
from tssl.graph.kinds.conv import ConvEntry
from tssl.graph.kinds.dense import DenseEntry
from tssl.recipe import load_recipe, recipe_from_tables
from tssl.workflow.recipes import shipped_recipes

SHIPPED = shipped_recipes()
CONV = {"type": "conv", "channels": 2, "kernel": 3}
POOL = {"type": "pool", "kernel": 2}
DENSE = {"type": "dense", "neurons": 10}
NAN, INFINITY = float("nan"), float("inf")


def tables(**network: Any) -> dict[str, Any]:
    layers = {"layers": [CONV, POOL, DENSE], **network}
    return copy.deepcopy({"name": "x", "data": {"name": "digits"}, "network": layers})


def with_value(path: str, value: object) -> dict[str, Any]:
    """Set the value at a dotted path; layers count from 0, as in messages."""
    given = tables()
    table, last = at(given, path)
    table[last] = value
    return given


def at(given: dict[str, Any], path: str) -> tuple[Any, str | int]:
    """Return the table or list that holds a dotted path, and the last key."""
    table: Any = given
    *parents, last = (int(name) if name.isdigit() else name for name in path.split("."))
    for name in parents:
        table = table[name] if isinstance(name, int) else table.setdefault(name, {})
    return table, last


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_from_tables(tables(), "test").to_toml())
    return path


# --- what is accepted ----------------------------------------------------------------


def test_recipes_are_shipped():
    assert "digits" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_load_and_survive_toml(name, tmp_path):
    recipe = load_recipe(SHIPPED[name])
    assert recipe.name == name
    assert recipe.description
    copied = tmp_path / "copy.toml"
    copied.write_text(recipe.to_toml())
    assert load_recipe(copied) == recipe
    assert load_recipe(copied).to_toml() == recipe.to_toml()


def test_defaults_are_those_of_the_paper():
    recipe = recipe_from_tables(tables(layers=[DENSE]), "test")
    network, training = recipe.network, recipe.training
    assert (network.time_steps, network.tau_m, network.tau_s, network.threshold) == (5, 5, 3, 1)
    assert (training.rule, training.loss, training.seed) == ("tssl-bp", None, 0)
    assert (training.batch_size, training.lr) == (50, 5e-4)
    assert (recipe.encoding.mean, recipe.encoding.std, recipe.encoding.resolution) == (0, 1, 15)
    assert network.layers == (DenseEntry(type="dense", neurons=10),)


def test_defaults_are_spelled_out_in_toml():
    text = recipe_from_tables(tables(), "test").to_toml()
    assert all(f"\n{key} = " in text for key in ("lr", "seed", "tau_m", "resolution", "rule"))


def test_a_single_number_is_a_pair():
    layers = recipe_from_tables(tables(), "test").network.layers
    assert isinstance(layers[0], ConvEntry)
    assert layers[0].kernel == (3, 3)
    given = with_value("network.layers.0.kernel", [2, 3])
    (first, *_) = recipe_from_tables(given, "test").network.layers
    assert isinstance(first, ConvEntry)
    assert (first.kernel, first.stride, first.padding) == ((2, 3), (1, 1), (0, 0))


def test_names_of_layers():
    network = recipe_from_tables(tables(), "test").network
    assert network.layer_names == ("conv1", "pool2", "dense3")


@pytest.mark.parametrize("steps", [5, 10, 20])
def test_time_steps_of_the_kernel_loss(steps):
    assert recipe_from_tables(tables(time_steps=steps), "test").network.time_steps == steps


def test_recipes_cannot_be_changed():
    recipe = recipe_from_tables(tables(), "test")
    with pytest.raises(ValueError, match="frozen"):
        recipe.name = "other"


# --- overrides -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("training.lr=1e-3", "training", "lr", 1e-3),
        ("lr=1", "training", "lr", 1.0),
        ("time_steps=10", "network", "time_steps", 10),
        (" epochs = 3 ", "training", "epochs", 3),
        ("training.loss=count", "training", "loss", "count"),
        ('loss="softmax"', "training", "loss", "softmax"),
        ("network.tau_s='2.5'", "", "", None),
        ("encoding.mean=-0.5", "encoding", "mean", -0.5),
        ('layers=[{"type": "dense", "neurons": 3}]', "network", "layer_names", ("dense1",)),
    ],
)
def test_overrides_are_typed(recipe_file, override, section, key, value):
    if value is None:  # a text is no number
        with pytest.raises(ConfigError, match=r"network\.tau_s: must be a valid number"):
            load_recipe(recipe_file, settings_of([override]))
        return
    found = getattr(getattr(load_recipe(recipe_file, settings_of([override])), section), key)
    assert found == value
    assert type(found) is type(value)


def test_a_bare_name_is_the_recipes_own(recipe_file):
    recipe = load_recipe(recipe_file, {"name": "other", "description": "it's mine"})
    assert (recipe.name, recipe.description) == ("other", "it's mine")
    assert recipe.data.name == "digits"


def test_the_last_override_wins(recipe_file):
    for texts in (["seed=1", "training.seed=2"], ["training.seed=3", "seed=1", "training.seed=2"]):
        assert load_recipe(recipe_file, settings_of(texts)).training.seed == 2


def test_a_setting_keeps_its_type(recipe_file):
    settings = {"name": "2", "description": "[1, 2]", "lr": 0.5}
    recipe = load_recipe(recipe_file, settings)
    assert (recipe.name, recipe.description, recipe.training.lr) == ("2", "[1, 2]", 0.5)
    with pytest.raises(ConfigError, match=r"training\.epochs: must be a valid integer"):
        load_recipe(recipe_file, {"epochs": "3"})
    with pytest.raises(ConfigError, match=r"training\.seed: must be a valid integer"):
        load_recipe(recipe_file, settings_of(["seed='3'"]))


def test_an_override_reaches_a_section_that_the_file_lacks(tmp_path):
    path = tmp_path / "short.toml"
    path.write_text(
        'name = "x"\n[data]\nname = "digits"\n[network]\nlayers = [{type = "dense", neurons = 2}]'
    )
    assert load_recipe(path, {"resolution": 3}).encoding.resolution == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lr", "--set 'lr': expected KEY=VALUE"),
        ("=3", "--set '=3': expected KEY=VALUE"),
        ("", "expected KEY=VALUE"),
        ("lrr=3", "setting 'lrr': unknown key; did you mean 'lr'?"),
        ("training.lrr=3", "unknown key 'training.lrr'; did you mean 'lr'?"),
        ("trainig.lr=3", "unknown key 'trainig'; did you mean 'training'?"),
        ("training.=3", "unknown key 'training.'; known keys: batch_size"),
        (".=3", "unknown key ''; known keys: augmentation"),
        ("name.x=3", "setting 'name.x': name is not a table"),
        ("network.layers.1=3", "setting 'network.layers.1': layers is not a table"),
        ("network.layers.x.neurons=3", "layers has no 'x'; places are 0 to "),
        ("network.layers.99.neurons=3", "layers has no '99'; places are 0 to "),
        ("lr=0.1=2", "training.lr: must be a valid number (given: '0.1=2')"),
        ("seed=true", "training.seed: must be a valid integer (given: True)"),
        ("threshold=NaN", "network.threshold: must be a finite number"),
    ],
)
def test_bad_overrides(recipe_file, override, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_recipe(recipe_file, settings_of([override]))


# --- what is refused -----------------------------------------------------------------

LAYER = "network.layers.0"
BAD_VALUES = [
    ("name", "../x"),
    ("name", ""),
    ("name", ".hidden"),
    ("name", "a/b"),
    ("name", "line\n"),
    ("name", 3),
    ("description", 3),
    ("data", "digits"),
    ("data.name", 3),
    ("encoding.resolution", 0),
    ("encoding.resolution", 5000),
    ("encoding.std", 0),
    ("encoding.mean", INFINITY),
    ("network", 3),
    ("network.time_steps", 0),
    ("network.time_steps", 5.5),
    ("network.time_steps", "five"),
    ("network.time_steps", True),
    ("network.time_steps", 10**40),
    ("network.tau_m", 0.5),
    ("network.tau_s", NAN),
    ("network.tau_s", 5000),
    ("network.threshold", -1),
    ("network.threshold", INFINITY),
    ("network.layers", []),
    ("network.layers", 3),
    ("network.layers.0", "conv"),
    (f"{LAYER}.type", "convolution"),
    (f"{LAYER}.type", 3),
    (f"{LAYER}.channels", 0),
    (f"{LAYER}.channels", True),
    (f"{LAYER}.kernel", 0),
    (f"{LAYER}.kernel", True),
    (f"{LAYER}.kernel", "3"),
    (f"{LAYER}.kernel", [3]),
    (f"{LAYER}.kernel", [3, 3, 3]),
    (f"{LAYER}.kernel", [3, 0]),
    (f"{LAYER}.stride", -1),
    (f"{LAYER}.padding", -1),
    (f"{LAYER}.padding", 0.5),
    (f"{LAYER}.threshold", 0),
    (f"{LAYER}.weight_scale", NAN),
    ("network.layers.1.gain", -1),
    ("network.layers.2.neurons", -4),
    ("network.layers.2.neurons", "10"),
    ("training", [1]),
    ("training.loss", 3),
    ("training.target_filter", "thrice"),
    ("training.epochs", 0),
    ("training.batch_size", 1.5),
    ("training.lr", 0),
    ("training.lr", "1e-3"),
    ("training.lr", 10**400),
    ("training.validation", 0.7),
    ("training.seed", -1),
    ("training.seed", 1 << 63),
    ("training.clip_norm", False),
]


@pytest.mark.parametrize(("path", "value"), BAD_VALUES, ids=lambda given: repr(given)[:40])
def test_bad_values_name_their_key(path, value):
    with pytest.raises(ConfigError) as caught:
        recipe_from_tables(with_value(path, value), "my.toml")
    message = str(caught.value)
    key = re.escape(path)
    assert re.match(rf"my\.toml: {key}(\.[01])?: (must|at least|a pair|a number)\b", message)
    assert "\n" not in message
    for jargon in ("tuple", "dictionary", "instance", "discriminator", "Input", "parse", "pattern"):
        assert jargon not in message
    if not isinstance(value, dict):
        assert "(given: " in message


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("nam", "name"),
        ("conv", ""),
        ("data.nme", "name"),
        ("data.lr", ""),
        ("encoding.resolutoin", "resolution"),
        ("network.tau_n", "tau_"),
        ("network.neurons", ""),
        ("training.lrr", "lr"),
        (f"{LAYER}.kernal", "kernel"),
        (f"{LAYER}.neurons", "neuron"),
        ("network.layers.1.dilation", ""),
        ("network.layers.2.treshold", "threshold"),
    ],
)
def test_unknown_keys(path, meant):
    """What is proposed is known in that very table."""
    with pytest.raises(ConfigError) as caught:
        recipe_from_tables(with_value(path, 1), "my.toml")
    expected = f"; did you mean '{meant}" if meant else "; known keys: "
    assert str(caught.value).startswith(f"my.toml: unknown key '{path}'{expected}")
    assert path.rpartition(".")[2] not in str(caught.value).partition(";")[2].split()


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("name", "name"),
        ("data", "data"),
        ("network", "network"),
        ("network.layers", "network.layers"),
        (f"{LAYER}.type", f"{LAYER}.type"),
        (f"{LAYER}.kernel", f"{LAYER}.kernel"),
        ("network.layers.2.neurons", "network.layers.2.neurons"),
    ],
)
def test_missing_keys(path, key):
    given = tables()
    table, last = at(given, path)
    del table[last]
    with pytest.raises(ConfigError, match=rf"^my\.toml: key '{re.escape(key)}' is missing"):
        recipe_from_tables(given, "my.toml")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([CONV, POOL], "network: the last layer must have neurons that learn; it is a pool"),
        ([DENSE, CONV], r"network: layer conv2 takes images, and cannot follow a dense layer"),
        (
            [DENSE, POOL, DENSE],
            r"network: layer pool2 takes images, and cannot follow a dense layer",
        ),
        (
            [CONV, {"type": "concat", "from": ["conv1", "input"], "flat": True}, POOL, DENSE],
            "network: layer pool3 takes images, and concat2 sends none",
        ),
    ],
)
def test_impossible_chains(layers, message):
    with pytest.raises(ConfigError, match=message):
        recipe_from_tables(tables(layers=layers), "my.toml")


@pytest.mark.parametrize("name", ["a.b", "_a", "1st", "", "a b", "a\n"])
def test_names_that_no_layer_may_have(name):
    message = (
        "network.layers.0.name: must be letters from A to Z, digits, '_' and '-', and begin with "
        "a letter"
    )
    with pytest.raises(ConfigError, match=message):
        recipe_from_tables(tables(layers=[{**CONV, "name": name}, DENSE]), "my.toml")


def test_pools(tmp_path):
    """What is not said: the gain of the official code for sums, none for averages."""

    def read(**fields):
        given = tables(layers=[CONV, {"type": "pool", **fields}, DENSE])
        recipe, written = recipe_from_tables(given, "my.toml"), tmp_path / "written.toml"
        written.write_text(recipe.to_toml())
        assert load_recipe(written) == recipe
        return recipe.network.layers[1]

    plain, average = read(kernel=2), read(kernel="global", mode="average")
    assert (plain.kernel, plain.mode, plain.gain) == ((2, 2), "sum", 1.1)
    assert (average.kernel, average.mode, average.gain) == ("global", "average", 1.0)
    assert read(kernel=[1, 2], mode="average", gain=0.7).gain == 0.7
    assert read(kernel="global").gain == 1.1
    assert (plain.stride, plain.padding) == (None, (0, 0))
    overlapping = read(kernel=3, stride=2, padding=[1, 0])
    assert (overlapping.stride, overlapping.padding) == ((2, 2), (1, 0))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel": "all"}, r"network.layers.1.kernel.0: must be a valid integer \(given: 'all'\)"),
        ({"kernel": 2, "mode": "max"}, r"network.layers.1.mode: must be 'sum', 'average' or 'or'"),
        ({"mode": "average"}, r"key 'network.layers.1.kernel' is missing"),
        ({"kernel": "global", "stride": 2}, r"one window of each map; leave stride and padding"),
        ({"kernel": "global", "padding": 1}, r"one window of each map; leave stride and padding"),
        ({"kernel": [3, 2], "padding": [1, 2]}, r"padding = \(1, 2\) is more than half of kernel"),
        ({"kernel": 2, "stride": 0}, r"network.layers.1.stride.0: must be greater than 0"),
    ],
)
def test_pools_that_do_not_exist(fields, message):
    with pytest.raises(ConfigError, match=message):
        recipe_from_tables(tables(layers=[CONV, {"type": "pool", **fields}, DENSE]), "my.toml")


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_integers_are_not_rounded(precision):
    given = {**tables(), "training": {"forward": "chip", "precision": precision}}
    with pytest.raises(ConfigError, match=rf"precision = '{precision}' would round the integers"):
        recipe_from_tables(given, "my.toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"name = ", "is not valid TOML"),
        (b"\xff\xfe", "is not valid TOML"),
        (b"", "key 'name' is missing"),
    ],
)
def test_files_that_are_no_recipe(tmp_path, content, message):
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{re.escape(str(path))}: {message}"):
        load_recipe(path)


def test_a_layer_is_set_by_its_place(recipe_file):
    before = load_recipe(recipe_file).network.layers
    after = load_recipe(recipe_file, {"network.layers.0.type": before[0].type}).network.layers
    assert after == before
    place = next(i for i, layer in enumerate(before) if layer.type == "dense")
    changed = load_recipe(recipe_file, {f"network.layers.{place}.neurons": 7}).network.layers
    assert [layer.neurons for i, layer in enumerate(changed) if i == place] == [7]
    assert [layer for i, layer in enumerate(changed) if i != place] == [
        layer for i, layer in enumerate(before) if i != place
    ]
