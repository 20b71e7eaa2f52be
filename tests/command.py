"""The ``tssl`` command in the process of the tests, and what it left behind."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tssl.cli import run_command


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout, in which NaN is none."""
        document = json.loads(self.out, parse_constant=pytest.fail)
        assert isinstance(document, dict)
        assert document["schema_version"] == 1
        return document


def in_this_process(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Return what runs the command in this process."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        status = run_command([str(argument) for argument in arguments])
        return Ran(status, *capsys.readouterr())

    return run
