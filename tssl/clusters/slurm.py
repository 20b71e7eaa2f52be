"""Jobs of SLURM, through submitit."""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from tssl.clusters.cluster import Crew
from tssl.errors import BackendError, BackendUnavailableError, ConfigError
from tssl.wording import did_you_mean

__all__ = ["Slurm"]

_FOLDER = "slurm"
_RULE = "-" * 22
"""Around the traceback of a job that failed."""
_SECONDS = 0.5
"""Between two looks at the jobs."""
_TEXTS = {"partition": "slurm_partition", "account": "slurm_account", "qos": "slurm_qos",
          "constraint": "slurm_constraint"}  # fmt: skip
_NUMBERS = {"time": "timeout_min", "cpus": "cpus_per_task", "mem": "mem_gb"}
_KEYS = ("nodes", *_TEXTS, *_NUMBERS, "cluster")
_CLUSTERS = ("slurm", "local")
_MOST = 100_000
_MINUTES = 60
_PARTS_OF_EACH = 2
"""A job starts in seconds, not in milliseconds."""


@dataclass(frozen=True)
class Slurm:
    """One job for each part, so many at a time.

    Parameters
    ----------
    nodes
        Jobs at the same time, each on one node.
    cluster
        ``slurm``, or ``local`` for jobs that are processes of this machine.
    parameters
        As submitit calls them.
    """

    nodes: int
    cluster: str
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Slurm":
        """Return the jobs of some settings.

        Parameters
        ----------
        settings
            ``nodes`` (1), ``partition``, ``account``, ``qos``, ``constraint``, ``time`` in minutes
            (60), ``cpus``, ``mem`` in GB, ``cluster``.

        Raises
        ------
        ConfigError
            When a key or a value is none.
        """
        for key in settings:
            if key not in _KEYS:
                raise ConfigError(
                    f"--slurm {key!s:.40}: expected one of {', '.join(_KEYS)}"
                    f"{did_you_mean(key, _KEYS)}"
                )
        numbers = {
            key: _number(key, settings[key]) for key in ("nodes", *_NUMBERS) if key in settings
        }
        cluster = settings.get("cluster", "slurm")
        if cluster not in _CLUSTERS:
            raise ConfigError(
                f"--slurm cluster={cluster!s:.40}: expected one of {', '.join(_CLUSTERS)}"
            )
        nodes = numbers.pop("nodes", 1)
        parameters: dict[str, Any] = {_NUMBERS[key]: value for key, value in numbers.items()}
        for key, name in _TEXTS.items():
            if key in settings:
                parameters[name] = _text(key, settings[key])
        return cls(nodes, cluster, {"timeout_min": _MINUTES, **parameters})

    @property
    def text(self) -> str:
        """How the user named it."""
        return "--slurm"

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Crew]:
        """Set up submitit; jobs that are not needed any more are cancelled in the end.

        What they said stays in the folder ``slurm`` when something fails.
        """
        try:
            import submitit
        except ImportError as error:
            raise BackendUnavailableError(
                f"{self.text}: {error}; install submitit with: pip install 'tssl[cluster]'"
            ) from error
        for program in ("sbatch", "srun") if self.cluster == "slurm" else ():
            if shutil.which(program) is None:
                raise BackendUnavailableError(
                    f"{self.text}: there is no {program} on this machine; give the command where "
                    "jobs are submitted, or add cluster=local to try it here"
                )
        logs = folder / _FOLDER
        jobs = submitit.AutoExecutor(folder=logs, cluster=self.cluster)
        jobs.update_parameters(
            name="tssl-run", slurm_array_parallelism=self.nodes, **self.parameters
        )
        executor = _Jobs(jobs)
        try:
            # on this machine all jobs begin at once
            parts = self.nodes * (_PARTS_OF_EACH if self.cluster == "slurm" else 1)
            yield Crew(executor, parts, executor.look)
        finally:
            executor.shutdown(cancel_futures=True)
        shutil.rmtree(logs, ignore_errors=True)


class _Jobs(Executor):
    """Jobs of submitit as futures; those submitted at the same time are one job array."""

    def __init__(self, executor: Any) -> None:  # noqa: ANN401 - submitit's
        self._executor = executor
        self._lock = threading.Lock()
        self._new: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._jobs: dict[Future[Any], Any] = {}
        self._refused: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tssl-jobs", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """Queue a call."""
        future: Future[Any] = Future()
        with self._lock:
            self._new.append((future, lambda: self._executor.submit(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End; jobs under way are cancelled."""
        self._ended.set()
        self._thread.join()
        for job in self._jobs.values():
            job.cancel(check=False)

    def look(self) -> None:
        """Say that no jobs are taken, because of a wrong partition for instance.

        Raises
        ------
        BackendError
            With what submitit or ``sbatch`` said.
        """
        if self._refused is not None:
            raise BackendError(f"--slurm: jobs are refused: {_said(str(self._refused))}")

    def _work(self) -> None:
        while not self._ended.wait(_SECONDS):
            self._submit_new()
            for future, job in list(self._jobs.items()):
                if _finished(future, job):
                    del self._jobs[future]

    def _submit_new(self) -> None:
        with self._lock:
            new = [(future, call) for future, call in self._new if _wanted(future)]
            self._new = []
        if not new:
            return
        try:
            # what sbatch says of a refusal is in the error, too
            with redirect_stderr(StringIO()), self._executor.batch():
                jobs = [call() for _, call in new]
        except Exception as error:  # noqa: BLE001 - sbatch refuses, the disk is full
            self._refused = error
            return
        self._jobs.update(zip((future for future, _ in new), jobs, strict=True))


def _wanted(future: "Future[Any]") -> bool:
    """Return whether nobody cancelled it; from now on nobody can."""
    return future.set_running_or_notify_cancel()


def _finished(future: "Future[Any]", job: Any) -> bool:  # noqa: ANN401 - submitit's
    """Hand over what a job brought, if it has ended."""
    try:
        if not job.done():
            return False
        future.set_result(job.result())
    except Exception as error:  # noqa: BLE001 - the job's, or that it left no result
        future.set_exception(RuntimeError(_said(str(error))))
    return True


def _said(error: str) -> str:
    """Return the last line of a job's traceback, or the first of what else submitit says."""
    parts = error.split(_RULE)
    has_trace = len(parts) == len(("before", "trace", "after"))
    lines = parts[has_trace].strip().splitlines() or [error]
    return lines[-1 if has_trace else 0]


def _number(key: str, value: object) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) <= len(str(_MOST)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        unit = {"time": " of minutes", "mem": " of GB"}.get(key, "")
        raise ConfigError(
            f"--slurm {key}={value!s:.40}: a whole number{unit} from 1 to {_MOST} is needed"
        )
    return value


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ConfigError(f"--slurm {key}={value!s:.40}: a name is needed")
    return value
