"""Machine code that is kept on disk, and when it is made anew."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tssl.machine import compiling

SOURCE = "def twice(number):\n    return 2 * number\n"


def loaded(file: Path) -> Any:
    """Return the function of a file, compiled as after a start of Python."""
    spec = importlib.util.spec_from_file_location("loops", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return compiling.compiled(module.twice)


def test_a_changed_file_of_loops_compiles_all_of_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which any may be called by the function, and be a part of its code."""
    file = tmp_path / "loops.py"
    file.write_text(SOURCE)
    hits = []
    for stamp in (1, 1, 2, 2):
        monkeypatch.setattr(compiling, "_stamps_of_loops", lambda now=stamp: now)
        function = loaded(file)
        assert function(21) == 42
        hits.append(sum(function.stats.cache_hits.values()))
    assert hits == [0, 1, 0, 1]


def test_every_file_of_loops_is_seen() -> None:
    compiling._stamps_of_loops.cache_clear()
    names = [name for name, *_ in compiling._stamps_of_loops()]
    wanted = {
        f"{room}/{file}"
        for room in ("trainer", "engine")
        for file in ("kernels.py", "neuron_kernels.py")
    }
    assert wanted | {"trainer/methods/gmres_kernels.py"} <= set(names)
