"""Doing the job of a folder, or saying which Lava there is."""

import importlib.metadata
import importlib.util
import json
import os
import sys
from pathlib import Path

from .convolving import without_signal
from .failures import HardwareError, report_and_exit
from .job import Job
from .shims import WithoutTorch, import_lava
from .simulation import Simulation


def main(arguments: list[str]) -> None:
    """Do what the command line asks: the job of a folder, or ``--check``."""
    if arguments == ["--check"]:
        check()
    else:
        work(Path(arguments[0]))


def work(folder: Path) -> None:
    """Do the job of a folder."""
    worker = os.getpid()

    def hook(_: object, error: BaseException, __: object) -> None:
        if os.getpid() == worker:  # not in the processes that Lava forks
            report_and_exit(folder, error)

    sys.excepthook = hook
    job = Job(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
    if job.hardware:
        check_hardware(job)
    sys.meta_path.insert(0, WithoutTorch)
    with without_signal():
        import_lava()
    Simulation(job, folder).run()
    os._exit(0)


def check() -> None:
    """Print the versions of Lava, or fail on import."""
    sys.meta_path.insert(0, WithoutTorch)
    with without_signal():
        import_lava()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("lava-nc", "lava-dl")]
    sys.stdout.write(", ".join(versions) + "\n")
    sys.stdout.flush()
    os._exit(0)


def check_hardware(job: Job) -> None:
    """Raise when this machine cannot run a job on Loihi 2."""
    if job.graph:
        raise HardwareError("networks that are no chains run on Lava's simulator only")
    if importlib.util.find_spec("lava.utils.loihi2_profiler") is None:
        raise HardwareError(
            "Intel's lava-loihi extension is not installed; it and a Loihi 2 board come "
            "with membership in Intel's neuromorphic research community"
        )
