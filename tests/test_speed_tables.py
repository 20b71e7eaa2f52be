"""Tables of speeds in the documents are those that the stored figures give."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("tables")


def row(variant: str, milliseconds: float, share: float) -> dict[str, Any]:
    return {
        "variant": variant,
        "milliseconds": milliseconds,
        "samples_per_second": 1e5 / milliseconds,
        "share_of_products": share,
    }


def document(*measured: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "kind": "steps",
        "command": "python benchmarks/train.py",
        "machine": {
            "processor": "Some Processor",
            "cores": 2,
            "date": "2026-01-31",
            "python": "3.11.7",
            "versions": {"torch": "2.13.0"},
        },
        "tables": list(measured),
    }


def of(batch: int, *rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "recipe": "fashion-mnist-mlp",
        "batch": batch,
        "time_steps": 5,
        "device": "cpu",
        "rounds": 15,
        "rows": list(rows),
    }


ONE = """
`python benchmarks/train.py`, 2 cores of Some Processor, 2026-01-31, Python 3.11.7, torch 2.13.0.

| 784-400-400-10, T = 5, batch 100 | time | times the first | samples/s | share of products |
|---|---|---|---|---|
| `tssl train` | 5.00 ms | 1.00 | 20,000 | 0.80 |
| Norse, `LIFCell` | 1,250 ms | 250.00 | 80 | 0.00 |

"""
SEVERAL = """
| 784-400-400-10 | T = 5, batch 1 | T = 5, batch 100 |
|---|---|---|
| `tssl train` | 0.50 ms (0.40) | 12.5 ms (0.80) |
| new | 1.00 ms (0.20) |  |
"""


def test_one_batch(tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    found = document(of(100, row("ours", 5.0, 0.8), row("norse-lif", 1250.0, 0.0032)))
    (tmp_path / "a.json").write_text(json.dumps(found))
    page = "Before.\n<!-- table: a.json -->\nold\n<!-- end of table -->\nAfter.\n"
    expected = f"Before.\n<!-- table: a.json -->\n{ONE}<!-- end of table -->\nAfter.\n"
    assert tables.written(page) == expected
    assert tables.written(expected) == expected


def test_several_batches(tables: ModuleType) -> None:
    measured = [
        of(1, row("ours", 0.5, 0.4), row("new", 1.0, 0.2)),
        of(100, row("ours", 12.5, 0.8)),
    ]
    assert "\n".join(["", *tables.steps(document(*measured))]) == SEVERAL


def test_engine(tables: ModuleType) -> None:
    found = {
        "additions_per_second": 1.2e11,
        "weights_per_second": 1.3e10,
        "rows": [
            {
                "network": "branches",
                "time_steps": 16,
                "lava_samples_per_second": 10.57,
                "engine_samples_per_second": 1380.4,
                "ratio": 130.6,
                "smallest_ratio": 120.0,
                "largest_ratio": 140.0,
                "asked_for": None,
                "synaptic_operations_per_second": 1.3e9,
            }
        ],
    }
    assert tables.engine(found) == [
        "| network | steps | Lava, samples/s | engine, samples/s | ratio (range) | asked for "
        "| G synops/s |",
        "|---|---|---|---|---|---|---|",
        "| branches | 16 | 10.6 | 1,380 | 131 (120...140) |  | 1.3 |",
        "",
        "Bounds measured in the same run on all cores: 120 G additions/s when all lies in the "
        "first cache, 13 G weights/s when weights of 16 bits are streamed from memory.",
        "",
    ]


def test_an_epoch(tables: ModuleType) -> None:
    found = {
        "recipe": "digits",
        "epoch": 4.0,
        "first_step": 2.9,
        "importing_torch": 1.5,
        "parts": [
            {"what": "steps", "seconds": 3.0},
            {"what": "rest", "seconds": 1.0},
        ],
    }
    assert tables.epoch(found) == [
        "| an epoch of `digits` | time | share |",
        "|---|---|---|",
        "| steps | 3.00 s | 75.0% |",
        "| rest | 1.00 s | 25.0% |",
        "| all of it | 4.00 s | 100.0% |",
        "",
        "The first step was done 2.9 s after the start of Python; importing PyTorch alone took "
        "1.5 s.",
        "",
    ]


def test_pages_are_in_step(tables: ModuleType) -> None:
    for path in tables.PAGES:
        text = path.read_text(encoding="utf-8")
        assert tables.BLOCK.search(text), path
        assert tables.written(text) == text, "python benchmarks/tables.py"
