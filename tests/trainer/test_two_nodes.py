"""Two nodes, each a network of its own, train together what one trains."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tssl.checkpoint import Checkpoint

ROOT = Path(__file__).parents[2]
LAYERS = '[{"type": "dense", "neurons": 16}, {"type": "dense", "neurons": 10}]'

# this shell has a network of its own, its child another one; a cable joins them
NODES = """
set -eu
ip link set lo up
unshare --net sleep 300 & other=$!
trap 'kill $other' EXIT
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.1; done
there="nsenter --target $other --net"
ip link add cable type veth peer name cable netns $other
$there ip link set lo up
ip address add 10.77.0.1/24 dev cable; ip link set cable up
$there ip address add 10.77.0.2/24 dev cable; $there ip link set cable up
export GLOO_SOCKET_IFNAME=cable
node() {
  rank=$1; shift
  "$PYTHON" -m torch.distributed.run --nnodes 2 --node-rank $rank --nproc-per-node 1 \\
    --master-addr 10.77.0.1 --master-port 29500 -m tssl train "$@" --quiet
}
export -f node; export PYTHON
$there bash -c 'node 1 "$@"' node "$@" & second=$!
node 0 "$@"
wait $second
"""


def may_have_networks() -> bool:
    try:
        ran = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--net", "sh", "-c",
             "ip link add left type veth peer name right && command -v nsenter"],
            capture_output=True, check=False, timeout=20,
        )  # fmt: skip
    except OSError:
        return False
    return ran.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not may_have_networks(), reason="needs network namespaces and iproute2")
def test_two_networks_train_what_one_trains(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    training = ["digits", "--set", f"layers={LAYERS}", "--epochs", "1"]

    def run(*command: str, out: str) -> None:
        ran = subprocess.run(
            [*command, *training, "--out", out], cwd=tmp_path, capture_output=True, text=True,
            env={**environment, "PYTHON": sys.executable}, check=False, timeout=240,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr

    run(sys.executable, "-m", "tssl", "train", out="one")
    spaces = ("unshare", "--user", "--map-root-user", "--net")
    run(*spaces, "bash", "-c", NODES, "nodes", out="two")
    alone, together = (Checkpoint.load(tmp_path / n / "last.safetensors") for n in ("one", "two"))
    for name, weight in alone.weights.items():
        np.testing.assert_allclose(together.weights[name], weight, rtol=0, atol=1e-4)
    assert together.provenance["test_accuracy"] == alone.provenance["test_accuracy"]
