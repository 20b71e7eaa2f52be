"""A bundle is checked by an interpreter that has Lava and nothing of ours."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.lava_runtime.networks import (
    block_net,
    conv_net,
    conv_recurrent_net,
    dense_net,
    recurrent_net,
)
from tssl import netx
from tssl.chip import ChipNetwork, ClassReadOut
from tssl.engine import run_chunk
from tssl.errors import ConfigError, OutputError
from tssl.lava_runtime.bundle import check_folder, write_bundle
from tssl.lava_runtime.plain import loading_lines


def made(folder: Path, maker, rng: np.random.Generator, *, steps: int = 7) -> Path:
    network = maker(rng)
    block = network.input.neuron is not None
    train = rng.integers(0, 40 if block else 9, (1 if block else steps, 3, network.input.neurons))
    netx.write(folder / "net.net", network)
    expected = run_chunk(network, train, steps)
    assert all(spikes.any() for name, spikes in expected.trains.items() if name != "out")
    lines = loading_lines(network, "network.net", (0, 9))
    content = (folder / "net.net").read_bytes()
    write_bundle(folder / "bundle", content, network, train, expected, lines)
    return folder / "bundle"


def check(python: str, bundle: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [python, str(bundle / "check.py"), *options]
    return subprocess.run(
        command, cwd="/", capture_output=True, text=True, timeout=120, check=False
    )


def test_the_clean_interpreter_has_nothing_of_ours(clean_python):
    for name in ("tssl", "torch", "numba"):
        ran = subprocess.run(
            [clean_python, "-c", f"import {name}"], cwd="/", capture_output=True, check=False
        )
        assert b"ModuleNotFoundError" in ran.stderr


@pytest.mark.lava
@pytest.mark.parametrize(
    "maker",
    [dense_net, conv_net, block_net, recurrent_net, conv_recurrent_net],
    ids=lambda maker: maker.__name__,
)
def test_a_bundle_passes_its_own_check(rng, tmp_path, clean_python, maker):
    bundle = made(tmp_path, maker, rng)
    ran = check(clean_python, bundle)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[-1].endswith("on sim: PASS")
    layers = json.loads((bundle / "bundle.json").read_text())["layers"]
    assert len(lines) == len(layers) + 2
    assert all("PASS" in line for line in lines)


@pytest.mark.lava
def test_a_wrong_spike_is_named(rng, tmp_path, clean_python):
    bundle = made(tmp_path, dense_net, rng)
    path = bundle / "expected" / "layer_1.npy"
    spikes = np.load(path)
    spikes[2, 3, 5] ^= 1
    np.save(path, spikes)
    ran = check(clean_python, bundle)
    assert ran.returncode == 4
    there = int(spikes[2, 3, 5])
    assert f"layer b, neuron 5, step 3, sample 2: {there} expected, {1 - there} found" in ran.stdout
    assert ran.stdout.endswith("FAIL\n")


@pytest.mark.lava
def test_no_board_here(rng, tmp_path, clean_python):
    ran = check(clean_python, made(tmp_path, dense_net, rng), "--backend", "loihi2")
    assert ran.returncode == 5
    assert ran.stderr.startswith("check.py: loihi2 failed: Intel's lava-loihi extension")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.lava
def test_a_time_out(rng, tmp_path, clean_python):
    ran = check(clean_python, made(tmp_path, dense_net, rng), "--timeout", "0.2")
    assert ran.returncode == 5
    assert "did not finish within 0.2 seconds" in ran.stderr


def test_python_without_lava(rng, tmp_path, clean_python):
    """Its own numpy, but no Lava."""
    bundle = made(tmp_path, dense_net, rng)
    hook = tmp_path / "hook"
    (hook / "lava").mkdir(parents=True)  # an empty package in front of the real one
    (hook / "lava" / "__init__.py").write_text("")
    ran = subprocess.run(
        [clean_python, str(bundle / "check.py")],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(hook)},
        timeout=60,
        check=False,
    )
    assert ran.returncode == 5
    assert "No module named 'lava." in ran.stderr


def test_a_folder_with_other_things_is_refused(rng, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty and not a bundle"):
        check_folder(tmp_path)


def test_a_bundle_may_be_written_again(rng, tmp_path):
    bundle = made(tmp_path, dense_net, rng)
    made(tmp_path, dense_net, rng)
    assert "check.py" in (bundle / "README.md").read_text()


def test_only_classes_of_one_output_each_are_counted(rng, tmp_path):
    def votes(rng: np.random.Generator) -> ChipNetwork:
        return replace(dense_net(rng), read_out=ClassReadOut(2))

    bundle = made(tmp_path, votes, rng)
    assert "labels" not in (bundle / "README.md").read_text()
    ran = check(sys.executable, bundle, "--labels", "classes.npy")
    assert ran.returncode == 2
    assert "--labels: check.py counts classes of one output each" in ran.stderr
    made(tmp_path, dense_net, rng)
    assert "`--labels FILE` names others" in (bundle / "README.md").read_text()
    assert "read_out" not in json.loads((bundle / "bundle.json").read_text())


def test_a_place_that_cannot_be_written(rng, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        check_folder(tmp_path / "file" / "bundle")
