"""What Python 3.10 refuses when a module is imported, and tools on later ones do not report."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    each for folder in ("tssl", "benchmarks", "examples") for each in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("file", FILES, ids=lambda each: str(each.relative_to(ROOT)))
def test_named_tuples_have_no_other_base(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            assert "NamedTuple" not in bases or len(bases) == 1, f"{file}:{node.lineno}"
