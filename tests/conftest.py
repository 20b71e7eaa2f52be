"""Fixtures that every folder of tests may use."""

import importlib.util
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from tssl.chip import CubaNeuron, Layer, dense_layer

# the machines that run this are shared: a slow example is no fault; the seed is fixed so
# that a failure seen once is seen again
settings.register_profile("tssl", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("tssl")

# what Lava needs, and the folders in which their wheels keep shared libraries
_LAVA_NEEDS = ("lava", "numpy", "scipy", "h5py", "networkx", "asteval")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rng-seed", type=int, help="seed of the rng fixture (default: per test)")
    parser.addoption(
        "--lava-draws", type=int, default=6, help="random networks to compare with Lava"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first: then no process is left alone with one at the end."""
    marks = ("slow", "lava")
    slow = {item.path for item in items if any(map(item.get_closest_marker, marks))}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A seeded generator; pytest shows the printed seed when the test fails."""
    seed = request.config.getoption("--rng-seed")
    if seed is None:
        seed = zlib.crc32(request.node.nodeid.encode())
    print(f"rng seed: {seed} (repeat with --rng-seed {seed})")  # noqa: T201
    return np.random.default_rng(seed)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder ``shared`` beside the repository: reference material, data, golden files."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip(f"needs {path}, which is not part of the repository")
    return path


@pytest.fixture
def neuron() -> CubaNeuron:
    """A neuron with memory in current and voltage that fires now and then."""
    return CubaNeuron(current_decay=1024, voltage_decay=512, threshold=40)


@pytest.fixture
def dense(rng: np.random.Generator, neuron: CubaNeuron) -> Callable[..., Layer]:
    """Return a maker of random dense layers, a third of whose synapses are missing."""

    def make(
        inputs: int, outputs: int, *, name: str = "dense", source: str = "input", **fields: object
    ) -> Layer:
        weight = rng.integers(-30, 31, (outputs, inputs)) * rng.integers(0, 3, (outputs, inputs))
        given = {"weight": weight, "neuron": neuron, **fields}
        return dense_layer(name=name, source=source, **given)

    return make


@pytest.fixture(scope="session")
def clean_python(tmp_path_factory) -> str:
    """An interpreter with Lava and what it needs, but without tssl, torch or numba."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in _LAVA_NEEDS:
        found = importlib.util.find_spec(name)
        if found is None or not found.submodule_search_locations:
            pytest.skip(f"{name} is not installed: run `tssl lava install`")
        source = Path(next(iter(found.submodule_search_locations)))
        (site / name).symlink_to(source)
        libraries = source.with_name(f"{name}.libs")
        if libraries.exists():
            (site / libraries.name).symlink_to(libraries)
    return str(folder / "bin" / "python")
