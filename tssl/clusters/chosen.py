"""The cluster that a user names."""

import re
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from tssl.clusters.cluster import Cluster
from tssl.clusters.dask_scheduler import DaskScheduler
from tssl.clusters.local import Lent, LocalProcesses
from tssl.clusters.slurm import Slurm
from tssl.errors import ConfigError
from tssl.machine.processes import MOST_PROCESSES

__all__ = ["chosen_cluster"]

_LOCAL = re.compile(r"local:(\d{1,4})")
_DASK = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):\d{1,5}")


def chosen_cluster(
    cluster: str | Executor | None, slurm: Mapping[str, Any] | None
) -> Cluster | None:
    """Return what was asked for; None for this process.

    Parameters
    ----------
    cluster
        ``local:N``, the address of a Dask scheduler, or any executor.
    slurm
        Settings of jobs, see :class:`tssl.clusters.slurm.Slurm`.

    Raises
    ------
    ConfigError
        When there is no such thing, or both are given.
    """
    if cluster is not None and slurm is not None:
        raise ConfigError("give either --cluster or --slurm, not both")
    if slurm is not None:
        return Slurm.of(slurm)
    if isinstance(cluster, Executor):
        return Lent(cluster)
    return None if cluster is None else _named(cluster)


def _named(text: object) -> Cluster:
    if isinstance(text, str):
        local = _LOCAL.fullmatch(text)
        if local is not None and 1 <= int(local[1]) <= MOST_PROCESSES:
            return LocalProcesses(int(local[1]))
        if _DASK.fullmatch(text):
            return DaskScheduler(text)
    raise ConfigError(
        f"--cluster {text!s:.80}: expected tcp://HOST:PORT of a Dask scheduler, or local:N with 1 "
        f"to {MOST_PROCESSES} processes"
    )
