"""One line, with the key and what is allowed, for what is wrong in a recipe."""

import re

from pydantic import BaseModel, ValidationError

from tssl.graph.kinds import KINDS
from tssl.recipe.data import AugmentationSpec, DataSpec
from tssl.recipe.encoding import EncodingSpec
from tssl.recipe.network import NetworkSpec
from tssl.recipe.recipe import Recipe
from tssl.recipe.training import TrainingSpec
from tssl.wording import did_you_mean, nearest

SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataSpec,
    "encoding": EncodingSpec,
    "augmentation": AugmentationSpec,
    "network": NetworkSpec,
    "training": TrainingSpec,
}
_LAYERS: dict[str, type[BaseModel]] = {name: kind.entry for name, kind in KINDS.items()}
_SHOWN = 80
_TABLE, _LIST = "must be a table", "must be a list"
_PLAIN = {
    "missing": "a number is missing; one number, or a pair (height, width), is expected",
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "tuple_type": _LIST,
    "too_long": "a pair (height, width) is expected",
    "string_pattern_mismatch": "must be letters from A to Z, digits, '.', '_' and '-', and not "
    "begin with one of the signs",
}
"""What pydantic says of a table or list in Python's words, in those of a TOML file."""
_AT_LEAST = {1: "at least one layer is needed", 2: "at least two layers are needed"}
"""What a list of layers lacks, by how many it must have."""


def first_problem(error: ValidationError, model: type[BaseModel] = Recipe) -> str:
    """Return the first of pydantic's complaints about a model in a user's words.

    Places in lists are counted from 0, as ``--set`` takes them.
    """
    problem = error.errors()[0]
    location = [  # behind the number of a layer, pydantic puts its type
        part
        for index, part in enumerate(problem["loc"])
        if not index or not isinstance(problem["loc"][index - 1], int)
    ]
    where = ".".join(map(str, location))
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys_at(problem["loc"], model)
        return f"unknown key '{where}'{meant_key(str(location[-1]), known)}"
    if kind == "union_tag_not_found":
        return f"key '{where}.type' is missing; it is {' or '.join(_LAYERS)}"
    if kind == "missing" and not isinstance(location[-1], int):
        return f"key '{where}' is missing"
    if kind == "union_tag_invalid":
        hint = did_you_mean(context["tag"], _LAYERS)
        return f"{where}.type: must be {' or '.join(_LAYERS)} (given: {context['tag']!r}){hint}"
    message = _PLAIN.get(kind, problem["msg"]).removeprefix("Value error, ")
    if kind == "too_short":
        message = _AT_LEAST[context["min_length"]]
    message = message.replace("Input should", "must")
    given = problem["input"]
    shown = f" (given: {short(given)})" if isinstance(given, str | int | float | list) else ""
    if kind == "literal_error":
        shown += did_you_mean(given, re.findall(r"'([^']*)'", message))
    return f"{where}: {message}{shown}" if where else message


def short(given: object) -> str:
    """Return a value as text that fits into a line."""
    if isinstance(given, int) and given.bit_length() > 4 * _SHOWN:
        return f"a number of {given.bit_length()} bits"
    text = repr(given)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _keys_at(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """Return the keys known in the table that holds the last part of ``location``."""
    for part in location[:-1]:
        model = {**SECTIONS, **_LAYERS}.get(str(part), model)
    return sorted(field.alias or name for name, field in model.model_fields.items())


def meant_key(word: str, known: list[str]) -> str:
    """Return the end of a message about an unknown key: the one that looks like it, or all."""
    name = nearest(word, known)
    return f"; known keys: {', '.join(known)}" if name is None else f"; did you mean {name!r}?"
