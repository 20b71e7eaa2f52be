"""What the packages promise is there, sorted, and nothing twice."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import tssl

ROOMS = [
    "tssl",
    *sorted(f"tssl.{entry.name}" for entry in pkgutil.iter_modules(tssl.__path__) if entry.ispkg),
]
LISTED = [
    name
    for name in [
        "tssl.trainer.methods",
        "tssl.trainer.loss",
        "tssl.recipe",
        "tssl.machine.files",
        *ROOMS,
    ]
    if hasattr(importlib.import_module(name), "__all__")
]


def test_there_are_lists() -> None:
    assert {"tssl", "tssl.chip", "tssl.datasets", "tssl.exporter", "tssl.hw_profiles"} <= set(
        LISTED
    )
    assert {"tssl.lava_runtime", "tssl.reporting", "tssl.trainer.methods"} <= set(LISTED)


@pytest.mark.parametrize("name", LISTED)
def test_names_are_there_sorted_and_unique(name: str) -> None:
    module = importlib.import_module(name)
    names = list(module.__all__)
    assert names == sorted(set(names))
    missing = [entry for entry in names if not hasattr(module, entry)]
    assert missing == []


@pytest.mark.parametrize("name", [room for room in ROOMS if room != "tssl"])
def test_init_promises_what_it_imports_from_its_own_room(name: str) -> None:
    """A name that a room's ``__init__`` fetches for others is in its list."""
    module = importlib.import_module(name)
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    fetched = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{name}.")
        for alias in node.names
    }
    assert fetched <= set(getattr(module, "__all__", fetched))


@pytest.mark.parametrize("name", ["tssl.workflow"])
def test_rooms_without_a_list_fetch_nothing(name: str) -> None:
    """So that importing a verb does not load the rooms of the others."""
    assert getattr(importlib.import_module(name), "__all__", []) == []
