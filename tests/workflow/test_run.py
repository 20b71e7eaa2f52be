"""Running a network and keeping the result."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from tests.layers import reconnected
from tssl import netx
from tssl.engine import Engine
from tssl.errors import DataError, NetFileError, OutputError
from tssl.lava_runtime import BackendOptions
from tssl.results import RunResult
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inputs import InputChoice, load_inputs
from tssl.workflow.run import (
    NETWORK_FILE,
    load_result,
    run,
    run_network,
    save_result,
)


@pytest.fixture
def result(exported: ExportOutcome) -> RunResult:
    inputs = load_inputs(exported.network, InputChoice(data="rows", samples=9))
    seen: list[int] = []
    outcome = run_network(exported.network, inputs, Engine(), seen.append)
    assert seen[-1] == 9
    return outcome


@pytest.fixture
def folder(result: RunResult, exported: ExportOutcome, tmp_path: Path) -> Path:
    save_result(result, exported.path, tmp_path / "result")
    return tmp_path / "result"


def test_result_stands_alone(result: RunResult, folder: Path, exported: ExportOutcome) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        NETWORK_FILE, "result.json", "result.npz",
    ]  # fmt: skip
    loaded, network, net = load_result(folder)
    assert net.parent == folder
    assert network.digest == exported.network.digest == loaded.digest
    assert loaded.output_spikes.any()
    assert np.array_equal(loaded.output_spikes, result.output_spikes)
    assert np.array_equal(loaded.predictions, result.predictions)
    assert loaded.accuracy == result.accuracy


def test_swapped_network_is_noticed(folder: Path, exported: ExportOutcome) -> None:
    network = exported.network
    layers = list(network.layers)
    weight = layers[0].synapses.weight.copy()
    weight[0, 0] += 2
    layers[0] = reconnected(layers[0], weight=weight)
    other = type(network)(name=network.name, input=network.input, layers=tuple(layers))
    netx.write(folder / NETWORK_FILE, other)
    with pytest.raises(DataError, match=r"not the network that this result came from"):
        load_result(folder)


@pytest.mark.parametrize("name", [NETWORK_FILE, "result.json", "result.npz"])
def test_missing_or_damaged_part(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"damaged")
    with pytest.raises((DataError, NetFileError), match=name):
        load_result(folder)
    (folder / name).unlink()
    with pytest.raises((DataError, NetFileError), match=name):
        load_result(folder)


def test_saving_over_the_networks_own_folder(result: RunResult, folder: Path) -> None:
    """``tssl run RESULT/network.net --out RESULT`` reads and writes the same file."""
    before = (folder / NETWORK_FILE).read_bytes()
    save_result(result, folder / NETWORK_FILE, folder)
    assert (folder / NETWORK_FILE).read_bytes() == before


def test_folder_below_a_file(result: RunResult, exported: ExportOutcome, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        save_result(result, exported.path, tmp_path / "file" / "result")


def test_vanished_network(result: RunResult, exported: ExportOutcome, tmp_path: Path) -> None:
    net = tmp_path / "gone.net"
    shutil.copyfile(exported.path, net)
    net.unlink()
    with pytest.raises(OutputError):
        save_result(result, net, tmp_path / "result")


def test_an_earlier_result_is_named(exported: ExportOutcome, tmp_path: Path) -> None:
    told: list[str] = []

    def again(samples: int) -> None:
        choice = InputChoice(samples=samples, on_warning=told.append)
        options = BackendOptions()
        run(exported.path, "engine", choice, tmp_path, options, lambda *_: nullcontext(print))

    again(3)
    assert told == []
    again(1)
    (line,) = told
    assert line.startswith(
        f"{tmp_path}: the result replaces an earlier one: rows on rows, test split, 3 samples, of "
    )
    assert line.endswith(" UTC")
    (tmp_path / "result.json").write_text("{")
    again(2)
    assert told[1] == f"{tmp_path}: the result replaces an earlier one, which could not be read"


def test_a_result_that_came_during_the_run_is_named(
    exported: ExportOutcome, tmp_path: Path
) -> None:
    told: list[str] = []

    def again(samples: int, *, rival: bool = False) -> None:
        @contextmanager
        def bar(*_: object) -> Iterator[Callable[[int], None]]:
            if rival:
                again(3)
            yield lambda _: None

        choice = InputChoice(samples=samples, on_warning=told.append)
        run(exported.path, "engine", choice, tmp_path, BackendOptions(), bar)

    again(1, rival=True)
    (line,) = told
    assert "replaces an earlier one: rows on rows, test split, 3 samples, of " in line
