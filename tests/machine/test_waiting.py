"""Threads sleep soon, unless the user has said how they wait."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
import tssl
print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules, "numba" in sys.modules)
"""


def said(**settings: str) -> list[str]:
    """Return what a process sees that imports tssl."""
    own = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**own, **settings}, capture_output=True, check=True
    )
    return done.stdout.decode().split()


def test_importing_tssl_sets_it_before_openmp_is_loaded() -> None:
    assert said() == ["10000", "False", "False"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
    ids=str,
)
def test_the_users_own_setting_stays(settings: dict[str, str], expected: str) -> None:
    assert said(**settings)[0] == expected
