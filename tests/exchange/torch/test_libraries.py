"""The libraries themselves, trained for an epoch or two or not at all, where they are installed."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.exchange.torch.library_spikes import CASES

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "torch_libraries.py"
FOLDER = os.environ.get("TSSL_TORCH_LIBRARIES")


def is_there(library: str) -> bool:
    inside = FOLDER is not None and Path(FOLDER, library).is_dir()
    return inside or importlib.util.find_spec(library) is not None


def skip_without(library: str) -> None:
    if not is_there(library):
        pytest.skip(f"{library} is not installed, and TSSL_TORCH_LIBRARIES names no folder with it")


@pytest.mark.slow
@pytest.mark.parametrize("library", ["snntorch", "spikingjelly", "norse"])
def test_spikes_there_and_here(library: str) -> None:
    skip_without(library)
    ran = subprocess.run(
        [sys.executable, SCRIPT, library, "--epochs", "2", "--no-lava"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "same counts 360/360" in ran.stdout
    assert "proof PASS without Lava" in ran.stdout
    (line,) = ran.stdout.splitlines()
    found = dict(part.rsplit(" ", 1) for part in line.split("  "))
    assert found["there by tssl"] == found["there"]


@pytest.mark.slow
@pytest.mark.parametrize("library", ["snntorch", "spikingjelly", "norse"])
def test_potentials_there_and_here(library: str) -> None:
    if not is_there(library):
        pytest.skip(f"{library} is not installed, and TSSL_TORCH_LIBRARIES names no folder with it")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.exchange.torch.read_there", library],
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPT.parents[1],
    )
    assert ran.returncode == 0, ran.stderr
    distance, spread = map(float, ran.stdout.split())
    assert distance < 1e-5 < 0.01 < spread


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_spike_of_untrained_networks(name: str) -> None:
    skip_without(CASES[name].library)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.exchange.torch.library_spikes", name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    layers = ran.stdout.strip().split(", ")
    assert all(re.fullmatch(r"\S+ 0 of [1-9]\d*", each) for each in layers), ran.stdout
