"""Small inputs in ``tests/cases`` that once failed, each for a whole kind of fault."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tssl.cli import run_command

CASES = Path(__file__).parent / "cases"


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout, in which NaN is none."""
        document = json.loads(self.out, parse_constant=pytest.fail)
        assert isinstance(document, dict)
        return document


@pytest.fixture
def tssl(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Run the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        status = run_command([str(argument) for argument in arguments])
        return Ran(status, *capsys.readouterr())

    return run


def test_a_byte_order_mark_is_no_error(tssl: Callable[..., Ran], tmp_path: Path) -> None:
    ran = tssl("train", CASES / "bom.toml", "--epochs", 1, "--device", "cpu", "--json")
    assert ran.status == 0, ran.err
    assert ran.document["recipe"] == "onelayer"
