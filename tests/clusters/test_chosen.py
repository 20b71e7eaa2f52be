"""Which cluster a user names, and what of it is refused; no cluster is reached."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tssl.clusters import chosen_cluster
from tssl.clusters.dask_scheduler import DaskScheduler
from tssl.clusters.local import LocalProcesses
from tssl.clusters.slurm import Slurm
from tssl.commands.options import jobs_of
from tssl.errors import ConfigError


def test_nothing_is_this_process() -> None:
    assert chosen_cluster(None, None) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("local:3", LocalProcesses(3)),
        ("tcp://node1:8786", DaskScheduler("tcp://node1:8786")),
        ("tls://10.0.0.1:8786", DaskScheduler("tls://10.0.0.1:8786")),
        ("tcp://[fe80::1]:8786", DaskScheduler("tcp://[fe80::1]:8786")),
    ],
)
def test_addresses(text: str, wanted: object) -> None:
    assert chosen_cluster(text, None) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "node1:8786", "tcp://node1", "tcp://:8786", "tcp://a b:1", "http://node1:8786", "local",
     "local:0", "local:65", "local:-1", "local:99999", 3],
)  # fmt: skip
def test_what_is_no_address(text: Any) -> None:
    with pytest.raises(ConfigError, match=r"--cluster .*expected tcp://HOST:PORT"):
        chosen_cluster(text, None)


def test_an_executor_is_lent(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        cluster = chosen_cluster(executor, None)
        assert cluster is not None
        with cluster.opened(tmp_path) as crew:
            assert crew.executor is executor
        assert executor.submit(int, "7").result() == 7  # it is not ours to shut down


def test_only_one() -> None:
    with pytest.raises(ConfigError, match="either --cluster or --slurm"):
        chosen_cluster("local:1", {"nodes": 1})


def test_jobs() -> None:
    found = Slurm.of(jobs_of("partition=short,nodes=8, time=30,mem=4,cpus=2,account=a1"))
    assert (found.nodes, found.cluster) == (8, "slurm")
    assert found.parameters == {
        "slurm_partition": "short", "slurm_account": "a1", "timeout_min": 30, "mem_gb": 4,
        "cpus_per_task": 2,
    }  # fmt: skip
    assert Slurm.of({}) == Slurm(1, "slurm", {"timeout_min": 60})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"node": 2}, "--slurm node: expected one of nodes, partition"),
        ({"nodes": 0}, "--slurm nodes=0: a whole number from 1"),
        ({"nodes": True}, "--slurm nodes=True"),
        ({"nodes": "²"}, "--slurm nodes="),
        ({"time": "1:00"}, "--slurm time=1:00: a whole number of minutes"),
        ({"mem": "4G"}, "--slurm mem=4G: a whole number of GB"),
        ({"mem": 10**30}, "--slurm mem=1000"),
        ({"partition": ""}, "--slurm partition=: a name"),
        ({"partition": "a\n#SBATCH --wrap"}, "--slurm partition="),
        ({"cluster": "kubernetes"}, "--slurm cluster=kubernetes: expected one of slurm, local"),
    ],
)
def test_wrong_jobs(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Slurm.of(settings)


@pytest.mark.parametrize("text", ["", "nodes", "nodes=1,", "nodes=1,nodes=2"])
def test_what_are_no_settings(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--slurm .*expected KEY=VALUE"):
        jobs_of(text)
