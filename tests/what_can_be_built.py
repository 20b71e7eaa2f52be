"""Write a page from the tables: ``python -m tests.what_can_be_built > docs/what-can-be-built.md``.

What a method trains is found by setting it up: each feature is put into a network that the method
takes, and the page says whether it still takes the network.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tests.lava_runtime.limits import LIMITS
from tssl.datasets import DATASETS, describe
from tssl.datasets.formats import FORMATS
from tssl.datasets.formats.trees import KINDS as FILES
from tssl.errors import TsslError
from tssl.exchange.nir.description import KINDS as NODE_KINDS
from tssl.exchange.torch.linear import IGNORED, LAYERS, NORMS
from tssl.exchange.torch.neurons import NEURONS as LIBRARY_NEURONS
from tssl.graph.kinds import KINDS
from tssl.graph.kinds.kind import FiringEntry, LayerEntry, NeuronEntry
from tssl.hw_profiles import Profile, load_profile, profile_names
from tssl.lava_runtime import BACKENDS
from tssl.neurons import NEURONS
from tssl.recipe import EncodingSpec, Recipe, load_recipe, recipe_from_tables
from tssl.trainer.loss import READING
from tssl.trainer.methods import METHODS
from tssl.trainer.network import SpikingNetwork
from tssl.wording import several
from tssl.workflow.recipes import shipped_recipes

PAGE = Path(__file__).parents[1] / "docs" / "what-can-be-built.md"
PREFACE = """# What can be built

<!-- `python -m tests.what_can_be_built > docs/what-can-be-built.md` writes it -->

This page lists the layers, neurons, methods, targets, witnesses and data of this version. It is
written from the tables of the package. [Recipes](recipes.md) explains the words, and
[Extending](extending.md) shows how to add to a table.
"""
SHAPE = (1, 8, 8)
_STEPS = 40
_DENSE = {"type": "dense", "neurons": 6}
_CONV = {"type": "conv", "channels": 2, "kernel": 3, "padding": 1}
_LAST = {"type": "dense", "neurons": 3}
_POOL = {"type": "pool", "kernel": 2}
_TWO = [{**_DENSE, "name": "a"}, {**_DENSE, "name": "b"}]
Layers = Sequence[Mapping[str, Any]]
FEATURES: Mapping[str, Layers] = {
    "`dense`": [_DENSE, _LAST],
    "`dense` with `recurrent = true`": [{**_DENSE, "recurrent": True}, _LAST],
    "`conv`": [_CONV, _LAST],
    "`conv` with `recurrent = 3`": [{**_CONV, "recurrent": 3}, _LAST],
    '`pool` with `mode = "sum"`': [_CONV, _POOL, _LAST],
    '`pool` with `mode = "average"`': [_CONV, {**_POOL, "mode": "average"}, _LAST],
    "`pool` with `stride` below `kernel`": [_CONV, {**_POOL, "kernel": 3, "stride": 2}, _LAST],
    '`pool` with `mode = "or"`': [_CONV, {**_POOL, "mode": "or"}, _LAST],
    "`from` with two sources": [*_TWO, {**_LAST, "from": ["a", "b"]}],
    "`concat`": [*_TWO, {"type": "concat", "from": ["a", "b"]}, _LAST],
    "`gate`": [*_TWO, {"type": "gate", "function": "and", "from": ["a", "b"]}, _LAST],
    "`sew`": [_CONV, {"type": "sew", "channels": 2}, _LAST],
    "`sew-dense`": [_DENSE, {"type": "sew-dense", "neurons": 6}, _LAST],
    "`bias = true`": [{**_DENSE, "bias": True}, _LAST],
    '`norm = "batch"`': [{**_DENSE, "norm": "batch"}, _LAST],
    "`dropout`": [{**_DENSE, "dropout": 0.2}, _LAST],
    "`own_thresholds = true`": [{**_DENSE, "own_thresholds": True}, _LAST],
    '`reset = "subtract"`': [{**_DENSE, "reset": "subtract"}, _LAST],
    "`refractory`": [{**_DENSE, "refractory": 2}, _LAST],
}
WITNESSES = {
    "the quantized layers": ("tssl.proof.quantized", "every export of a trained network"),
    "Lava": (
        "tssl.lava_runtime.lava_sim",
        "every export and `tssl verify`, where Lava is installed",
    ),
    "the graph": (
        "tssl.exchange.nir.reference",
        "networks from NIR files and from PyTorch modules",
    ),
}
"""What an export is compared with: its module, and when."""


def page() -> str:
    """Return the whole page."""
    parts = (_layers, _neurons, _methods, _targets, _data, _limits)
    return "\n".join([PREFACE, *(line for part in parts for line in part())])


def _table(columns: Sequence[str], rows: Iterator[Sequence[str]]) -> list[str]:
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return [*head, *(f"| {' | '.join(row)} |" for row in rows), ""]


def _first_line(thing: object) -> str:
    """Return the first paragraph of a docstring, without the verb of a function."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text.removeprefix("Return "))
    return (text[:1].upper() + text[1:]).replace("``", "`").replace("|", "\\|")


def _keys(entry: type[LayerEntry], less: Sequence[type[LayerEntry]]) -> str:
    """Return the keys of an entry of a recipe that are not those of its bases, in order."""
    known = {"type"} | {name for base in less for name in base.model_fields}
    fields = entry.model_fields.items()
    return ", ".join(f"`{field.alias or name}`" for name, field in fields if name not in known)


def _limits() -> Iterator[str]:
    yield "\n## What Lava cannot run\n"
    yield (
        "lava-dl 0.6.0 has names for more than it can load. `tests/lava_runtime/test_limits.py` "
        "loads each form with it, and compares the answer.\n"
    )
    columns = ["form of a `.net` file", "lava-dl's answer", "reason"]
    rows = ([each.form, f"`{each.answer}`", each.reason] for each in LIMITS.values())
    yield from _table(columns, rows)


def _layers() -> Iterator[str]:
    yield "## Layers\n"
    bases = [LayerEntry, FiringEntry, NeuronEntry]
    yield from _table(
        ["`type`", "what it is", "keys of its own"],
        (
            (f"`{name}`", _first_line(kind.entry), _keys(kind.entry, bases))
            for name, kind in KINDS.items()
        ),
    )
    yield from _table(
        ["layers", "keys that they share"],
        iter(
            [
                ("all", _keys(LayerEntry, [])),
                ("layers and blocks of trained neurons", _keys(FiringEntry, [LayerEntry])),
                ("`dense`, `conv`", _keys(NeuronEntry, [FiringEntry])),
            ]
        ),
    )


def _neurons() -> Iterator[str]:
    yield "## Neurons\n"
    yield from _table(
        ["`neuron`", "what it is", "keys that it does not have"],
        (
            (
                f"`{name}`",
                _first_line(sys.modules[kind.make.__module__]),
                ", ".join(f"`{key}`" for key in kind.without),
            )
            for name, kind in NEURONS.items()
        ),
    )
    yield "On the chip, every neuron becomes a current-based (CUBA) neuron."
    read = " and ".join(f"`{name}`" for name, kind in NEURONS.items() if kind.is_read)
    yield f"Only the last layer can have {read}.\n"


def _methods() -> Iterator[str]:
    yield "## Methods\n"
    yield from _table(
        ["`training.rule`", "what it is", "losses; the first is the usual one"],
        (
            (f"`{name}`", _title(name), ", ".join(f"`{loss}`" for loss in _method(name).losses))
            for name in METHODS
        ),
    )
    read = ", ".join(f"`{loss}`" for loss in READING)
    yield f"Rules that train a last layer that is read have these losses for it: {read}.\n"
    yield "### What each method trains\n"
    yield from _table(["", *(f"`{name}`" for name in METHODS)], _abilities())
    yield "An empty cell is a combination that is refused. The message names what the method has.\n"


def _title(rule: str) -> str:
    """Return what a method is; a module that has several says it in their functions."""
    module, _, name = METHODS[rule].partition(":")
    shared = sum(place.startswith(f"{module}:") for place in METHODS.values()) > 1
    found = importlib.import_module(module)
    return _first_line(getattr(found, name) if shared else found)


def _abilities() -> Iterator[Sequence[str]]:
    for title, layers in FEATURES.items():
        yield title, *(_mark(rule, layers) for rule in METHODS)
    for neuron, kind in NEURONS.items():
        first = {} if kind.is_read else {"neuron": neuron}
        layers = [{**_DENSE, **first}, {**_LAST, "neuron": neuron}]
        yield f'`neuron = "{neuron}"`', *(_mark(rule, layers) for rule in METHODS)
    for given in inputs():
        marks = (_mark(rule, [_DENSE, _LAST], given) for rule in METHODS)
        yield f'`encoding.input = "{given}"`', *marks
    yield '`forward = "chip"`', *("yes" if _has_integers(rule) else "" for rule in METHODS)


def inputs() -> Sequence[str]:
    """Return the values of ``encoding.input``."""
    kind = EncodingSpec.model_fields["input"].annotation
    return [str(value) for value in getattr(kind, "__args__", ())]


def _mark(rule: str, layers: Layers, entering: str | None = None) -> str:
    steps = () if entering == "graded" else (_STEPS,)
    try:
        built = network(rule, layers, entering)
        if entering is not None:
            built.method.enter(torch.zeros(*steps, 1, *SHAPE))
    except TsslError:
        return ""
    return "yes"


def _has_integers(rule: str) -> bool:
    try:
        _method(rule).check_integers()
    except TsslError:
        return False
    return True


@cache
def _method(rule: str) -> Any:
    return network(rule, [_DENSE, _LAST]).method


@cache
def _usual(rule: str) -> Recipe | None:
    """Return a shipped recipe that uses the rule."""
    recipes = (load_recipe(path) for path in shipped_recipes().values())
    return next((recipe for recipe in recipes if recipe.training.rule == rule), None)


def network(rule: str, layers: Layers, entering: str | None = None) -> SpikingNetwork:
    """Return a small network of such layers, see :func:`small_recipe`.

    Raises
    ------
    ConfigError
        When the rule does not train such a network.
    """
    return SpikingNetwork(small_recipe(rule, layers, entering), SHAPE, torch.Generator())


def small_recipe(rule: str, layers: Layers, entering: str | None = None) -> Recipe:
    """Return a recipe of such layers, otherwise as the shipped recipe of a rule has it.

    Parameters
    ----------
    entering
        ``encoding.input``, when it is not that of the recipe.

    Raises
    ------
    ConfigError
        When there is no such network.
    """
    usual = _usual(rule)
    about: dict[str, Any] = {"encoding": {}, "network": {"time_steps": _STEPS}}
    if usual is not None:
        given = usual.model_dump(mode="json", by_alias=True)
        about = {
            "encoding": given["encoding"],
            "network": given["network"] | {"time_steps": _STEPS},
        }
        neuron = next(each["neuron"] for each in given["network"]["layers"] if "neuron" in each)
        layers = [
            {"neuron": neuron, **each} if "neuron" in _fields(each["type"]) else each
            for each in layers
        ]
    if entering is not None:
        about["encoding"] = {"input": entering}
    about["network"] = {**about["network"], "layers": list(layers)}
    tables = {"name": "small", "data": {"name": "digits"}, **about, "training": {"rule": rule}}
    return recipe_from_tables(tables, "small")


def _fields(kind: str) -> Mapping[str, Any]:
    return KINDS[kind].entry.model_fields


def _targets() -> Iterator[str]:
    yield "## Targets\n"
    yield (
        "A *target* is a profile for which `tssl export` can make integers. Reports estimate\n"
        "energy and time on every profile.\n\n"
        "- **neuron** is the richest neuron of the chip, from `stateless` to `cuba`, which has a\n"
        "  synaptic current and a leaky membrane potential.\n"
        "- **reset** is what a spike does to the potential: set it to zero, or subtract the\n"
        "  threshold.\n"
        "- **time step** is what ends a step. `barrier`: all cores are done. `tick`: a clock.\n"
        "  `asynchronous` chips have no steps, and `conventional` processors compute layer by\n"
        "  layer.\n"
    )
    profiles = [(name, load_profile(name)) for name in profile_names()]
    yield from _table(
        ["profile", "chip", "target", "neuron", "reset", "time step"],
        (
            (
                f"`{name}`",
                each.chip.title,
                "yes" if _is_target(each) else "",
                each.chip.neuron,
                each.chip.reset,
                each.chip.execution,
            )
            for name, each in profiles
        ),
    )
    yield "## Backends\n"
    yield from _table(
        ["`--backend`", "what it is"],
        ((f"`{name}`", _first_line(_found(place))) for name, place in BACKENDS.items()),
    )
    yield "## Witnesses\n"
    yield "A witness is an implementation with which the engine is compared.\n"
    yield from _table(
        ["witness", "what it is", "when it is compared"],
        (
            (name, _first_line(importlib.import_module(module)), when)
            for name, (module, when) in WITNESSES.items()
        ),
    )


def _found(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _is_target(profile: Profile) -> bool:
    if not profile.has_cores:
        return False
    try:
        return profile.limits is not None
    except TsslError:
        return False


def _data() -> Iterator[str]:
    yield "## Data\n"
    sets = [describe(name, data_dir=None, cache=Path("none")) for name in DATASETS]
    yield from _table(
        ["data set", "what it is", "samples", "classes", "shape"],
        (
            (
                f"`{each.name}`",
                each.title,
                f"{each.train:,} + {each.test:,}",
                str(each.classes or several(each.numbers, "number")),
                " x ".join(map(str, each.shape)),
            )
            for each in sets
        ),
    )
    yield "Samples are those of training and of the test. A shape is channels, rows and columns.\n"
    yield from _table(
        ["format of your own data", "what is read"],
        ((f"`{name}`", kind.reads.replace("|", "\\|")) for name, kind in FORMATS.items()),
    )
    yield from _table(
        ["files, one for each sample", "endings"],
        ((kind.what, ", ".join(f"`{end}`" for end in kind.suffixes)) for kind in FILES),
    )
    yield from _foreign()


def _foreign() -> Iterator[str]:
    yield "## Networks of other libraries\n"
    neurons: dict[str, list[str]] = {}
    for library, name in LIBRARY_NEURONS:
        neurons.setdefault(library, []).append(f"`{name}`")
    rows = [(f"neurons of {library}", ", ".join(names)) for library, names in neurons.items()]
    for what, names in (
        ("layers of PyTorch", LAYERS),
        ("norms, behind a layer", NORMS),
        ("ignored", IGNORED),
        ("neurons of NIR", [name for name, of in NODE_KINDS.items() if of.fires]),
    ):
        rows.append((what, ", ".join(f"`{name}`" for name in names)))
    yield from _table(["what", "names"], iter(rows))
    yield "[PyTorch](pytorch.md) and [NIR](nir.md) say what each of them becomes."


if __name__ == "__main__":
    sys.stdout.write(f"{page()}\n")
