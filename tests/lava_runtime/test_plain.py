"""The lines of Python that load a network with lava-dl alone compute what the engine computes."""

import ast
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.documents import blocks
from tests.lava_dl import equal, expected_states, run_code, run_lines
from tests.lava_runtime.networks import block_net, conv_net, dense_net, recurrent_net
from tssl import netx
from tssl.chip import ChipNetwork
from tssl.engine import run_chunk
from tssl.lava_runtime.plain import SHIMS, loading_lines, shims_source

STEPS = 7
PAGE = Path(__file__).parents[2] / "docs" / "lava.md"


def written(folder: Path, network: ChipNetwork) -> ChipNetwork:
    """Write a network as ``x.net``, and return it with the steps that the file says."""
    network = replace(network, time_steps=STEPS)
    netx.write(folder / "x.net", network)
    return network


def graded(rng: np.random.Generator, network: ChipNetwork, samples: int = 3) -> np.ndarray:
    """Return integers that must not be taken for ones."""
    if network.input.neuron is not None:
        return rng.integers(0, 60, (1, samples, network.input.neurons))
    return rng.integers(-3, 12, (STEPS, samples, network.input.neurons))


def recurrent_without_biases(rng: np.random.Generator) -> ChipNetwork:
    """Return what an export can be: before its first input, nothing happens in it."""
    network = recurrent_net(rng)
    silent = np.zeros((), int)
    return replace(network, layers=tuple(replace(each, bias=silent) for each in network.layers))


@pytest.mark.lava
@pytest.mark.parametrize("maker", [dense_net, conv_net, block_net], ids=lambda of: of.__name__)
def test_the_lines_compute_what_the_engine_computes(rng, tmp_path, clean_python, maker):
    """All spikes of all layers and samples; u and v of all neurons behind the last one."""
    network = written(tmp_path, maker(rng))
    train = graded(rng, network)
    lines = [*SHIMS, *loading_lines(network, "x.net", (-3, 11))]
    ours = expected_states(network, train, STEPS)
    assert all(layer.spikes.any() for layer in ours[:-1])
    assert equal(ours, run_lines(clean_python, tmp_path, lines, network, train, STEPS))


@pytest.mark.lava
def test_one_sample_of_a_network_with_recurrence(rng, tmp_path, clean_python):
    network = written(tmp_path, recurrent_without_biases(rng))
    train = graded(rng, network, samples=1)
    lines = [*SHIMS, *loading_lines(network, "x.net", None)]
    ours = expected_states(network, train, STEPS)
    (recurrent,) = [i for i, each in enumerate(network.layers) if each.own]
    assert ours[recurrent].spikes.any()
    assert equal(ours, run_lines(clean_python, tmp_path, lines, network, train, STEPS))


@pytest.mark.lava
@pytest.mark.parametrize("left_out", ["input_message_bits=32, ", "reset_offset=1"])
def test_without_an_argument_the_numbers_differ(rng, tmp_path, clean_python, left_out):
    """Without a warning from lava-dl; so the comparison above can fail."""
    network = written(tmp_path, dense_net(rng))
    train = graded(rng, network)
    lines = [*SHIMS, *loading_lines(network, "x.net", (-3, 11))]
    fewer = [line.replace(left_out, "") for line in lines]
    assert fewer != lines
    ours = expected_states(network, train, STEPS)
    assert not equal(ours, run_lines(clean_python, tmp_path, fewer, network, train, STEPS))


@pytest.mark.lava
@pytest.mark.parametrize("maker", [dense_net, conv_net], ids=lambda of: of.__name__)
def test_the_example_of_the_documents(rng, tmp_path, clean_python, maker):
    """What docs/lava.md does behind the lines: one sample, the output's spikes and potentials."""
    network = written(tmp_path, maker(rng))
    train = graded(rng, network)
    lines = [*SHIMS, *loading_lines(network, "x.net", (-3, 11))]
    (example,) = [
        block.text for block in blocks(PAGE.read_text("utf-8")) if "net.run" in block.text
    ]
    kept = "np.savez('found.npz', spikes=spikes, potential=potential)"
    run_code(clean_python, tmp_path, "\n".join([*lines, example, kept]), train)
    expected = run_chunk(network, train[:, :1], STEPS)
    with np.load(tmp_path / "found.npz") as found:
        spikes = found["spikes"].reshape(network.output.neurons, STEPS)
        assert np.array_equal(found["potential"].reshape(-1), expected.output_potential[0])
    assert expected.output_potential.any()
    fired = expected.trains[network.output.name][:, 0].T
    assert fired.any() == (maker is dense_net)  # the other's outputs only add up
    assert np.array_equal(spikes, fired)


@pytest.mark.lava
def test_python_310_without_shims(rng, tmp_path):
    """Lava as it was released, with all that its packages ask for."""
    python = os.environ.get("TSSL_LAVA_PYTHON")
    if python is None:
        pytest.skip("TSSL_LAVA_PYTHON names no interpreter")
    code = "import sys, lava.lib.dl.netx; sys.exit(sys.version_info[:2] != (3, 10))"
    if subprocess.run([python, "-c", code], capture_output=True, check=False).returncode:
        pytest.skip(f"{python} is no Python 3.10 that has all of Lava")
    network = written(tmp_path, conv_net(rng))
    train = graded(rng, network)
    lines = loading_lines(network, "x.net", (-3, 11))
    ours = expected_states(network, train, STEPS)
    assert equal(ours, run_lines(python, tmp_path, lines, network, train, STEPS))


def options_of(lines: tuple[str, ...]) -> dict[str, object]:
    """Return the arguments of the network in the lines, names as their names."""
    (call,) = [
        node
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Network")
    ]
    return {
        str(word.arg): word.value.id if isinstance(word.value, ast.Name)
        else ast.literal_eval(word.value)
        for word in call.keywords
    }  # fmt: skip


def test_what_the_lines_say(rng):
    network = replace(conv_net(rng), time_steps=5)
    assert options_of(loading_lines(network, "a'b.net", (0, 15))) == {
        "net_config": "a'b.net", "input_shape": (6, 7, 2), "input_message_bits": 32,
        "reset_interval": 5, "reset_offset": 1,
    }  # fmt: skip
    dense = options_of(loading_lines(dense_net(rng), "x.net", (0, 1)))
    assert dense == {"net_config": "x.net", "reset_interval": "steps", "reset_offset": 1}
    block = options_of(loading_lines(replace(block_net(rng), time_steps=4), "x.net", (0, 9), 3))
    assert block == {
        "net_config": "x.net", "num_layers": 3, "input_shape": (4, 5, 2), "reset_interval": 4,
        "reset_offset": 0,
    }  # fmt: skip
    assert options_of(loading_lines(recurrent_net(rng), "x.net", (0, 1))) == {"net_config": "x.net"}


def test_a_read_out_that_lava_dl_cannot_load(rng, tmp_path):
    """lava-dl writes an entry "average" last and refuses to load it."""
    path = tmp_path / "x.net"
    netx.write(path, dense_net(rng))
    assert netx.loadable_layers(path) is None
    with h5py.File(path, "a") as file:
        count = len(file["layer"])
        file[f"layer/{count}/type"] = np.bytes_("average")
    assert netx.loadable_layers(path) == count


def test_the_worker_imports_nothing_of_ours():
    """The shims need no other file at all; the others find each other beside them."""
    folder = shims_source().parent
    imported = {path.name: imports_of(path) for path in folder.glob("*.py")}
    assert "numpy" in imported["shims.py"]
    assert not any(name.startswith(".") for name in imported["shims.py"])
    for name in set().union(*imported.values()):
        if name.startswith("."):
            assert f"{name[1:]}.py" in imported
        else:
            assert name.split(".")[0] not in ("tssl", "torch")


def imports_of(path: Path) -> set[str]:
    """Return what a file imports, dots of relative imports included."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {
        "." * node.level + str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)
    }
