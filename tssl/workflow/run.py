"""Run a network on a backend and keep the result."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tssl import netx
from tssl.chip import ChipNetwork
from tssl.errors import ConfigError, DataError, OutputError
from tssl.files import make_directory, remove, written
from tssl.lava_runtime import Backend, Progress, get_backend
from tssl.results import RunResult, collect
from tssl.workflow.inputs import Inputs

NETWORK_FILE = "network.net"


@dataclass(frozen=True, kw_only=True)
class BackendOptions:
    """Settings of the backends that start Lava.

    Parameters
    ----------
    python
        Interpreter that has Lava; None for the one that runs tssl.
    timeout
        Seconds for the whole run; None to stop only what no longer moves.
    workers
        Processes of Lava's simulator among which the samples are divided.
    """

    python: str | None = None
    timeout: float | None = None
    workers: int = 1

    def backend(self, name: str, net: Path | None) -> Backend:
        """Return a backend; ``net`` is the file that Lava shall read, None to write one.

        Raises
        ------
        ConfigError
            When there is no such backend, or several workers are asked of a board.
        """
        create: Callable[..., Backend] = get_backend(name)
        if name == "engine":
            return create()
        if name == "loihi2":
            if self.workers > 1:
                raise ConfigError(
                    f"--workers {self.workers}: a board takes one worker; leave it out"
                )
            return create(python=self.python, timeout=self.timeout, net_path=net)
        return create(python=self.python, timeout=self.timeout, net_path=net, workers=self.workers)


def run_network(
    network: ChipNetwork, inputs: Inputs, backend: Backend, progress: Progress
) -> RunResult:
    """Run all samples and count operations."""
    started = time.perf_counter()
    return collect(
        network,
        backend.run(network, inputs.train, inputs.time_steps, progress),
        backend=backend.name,
        data=inputs.text,
        labels=inputs.labels,
        started=started,
    )


@contextmanager
def result_folder(directory: Path) -> Iterator[None]:
    """Create the folder of a result before the run, so that a wrong one is noticed early.

    A folder created for a run that fails is removed again.

    Raises
    ------
    ConfigError
        When it is the folder of a training run.
    OutputError
        When it cannot be created.
    """
    if (directory / "recipe.toml").exists():
        raise ConfigError(f"{directory}: is the folder of a training run; choose another --out")
    is_new = not directory.exists()
    make_directory(directory)
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):  # it is not empty
                directory.rmdir()
        raise


def save_result(result: RunResult, net: Path, directory: Path) -> None:
    """Write a copy of the network and the result, so that the folder stands alone.

    Raises
    ------
    OutputError
        When something cannot be written; the folder then holds no result.
    """
    try:
        with written(directory / NETWORK_FILE) as temporary:
            shutil.copyfile(net, temporary)
        result.save(directory)
    except OutputError:
        for path in (*result.files(directory), directory / NETWORK_FILE):
            remove(path)
        raise


def load_result(directory: Path) -> tuple[RunResult, ChipNetwork, Path]:
    """Return a result, its network and the network's file.

    Raises
    ------
    DataError, NetFileError
        When something is missing or damaged, or the network is not the one that was run.
    """
    result = RunResult.load(directory)
    net = directory / NETWORK_FILE
    network = netx.read(net)
    if network.digest != result.digest:
        raise DataError(f"{net}: is not the network that this result came from; run it again")
    return result, network, net
