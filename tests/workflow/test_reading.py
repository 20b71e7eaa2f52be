"""A network whose potential is read, through the verbs."""

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.exporter.networks import LIMITS
from tests.exporter.test_reading import NETWORKS, exported, trained
from tssl import netx
from tssl.chip import ChipNetwork, ClassReadOut, IntArray, ReadOut, ValueReadOut
from tssl.cli import cli
from tssl.engine import Compiled
from tssl.lava_runtime import BackendOptions, SampleProgress
from tssl.workflow.inputs import InputChoice
from tssl.workflow.nir_write import write
from tssl.workflow.proof import verify
from tssl.workflow.run import RunOutcome, run

STEPS = 6


@pytest.fixture(params=["dense", "no leak"])
def net(request, rng: np.random.Generator, tmp_path: Path) -> tuple[ChipNetwork, Path, IntArray]:
    """A network, its file, and input of five samples in ``x.npy`` beside it."""
    integers = rng.integers(0, 17, (1, 40, 64))
    network = exported(trained(rng, NETWORKS[request.param]), integers, LIMITS).network
    netx.write(tmp_path / "n.net", network)
    np.save(tmp_path / "x.npy", integers[0, :5].reshape(5, 64))
    return network, tmp_path / "n.net", integers[:, :5]


def ran(path: Path, backend: str) -> RunOutcome:
    def bar(*_: object) -> AbstractContextManager[SampleProgress]:
        return nullcontext(lambda _: None)

    choice = InputChoice(file=path.with_name("x.npy"), steps=STEPS)
    return run(path, backend, choice, None, BackendOptions(), bar)


def test_the_class_is_that_of_the_largest_potential(net):
    network, path, train = net
    result = ran(path, "engine").result
    potential = Compiled(network).run(train, STEPS).output_potential
    assert np.array_equal(result.predictions, potential.argmax(axis=1))
    assert not result.output_spikes.any()


@pytest.mark.lava
def test_lava_reads_the_same_potentials(net):
    network, path, train = net
    potential = Compiled(network).run(train, STEPS).output_potential
    assert np.array_equal(ran(path, "sim").result.predictions, potential.argmax(axis=1))
    choice = InputChoice(file=path.with_name("x.npy"), steps=STEPS)
    proof = verify(path, choice, BackendOptions(), lambda _: None)
    assert proof.verdict == "PASS"
    assert proof.stages[0].rows[-1].quantity == "membrane potential"


def test_inspect_says_it(net):
    _, path, _ = net
    shown = CliRunner().invoke(cli, ["inspect", str(path)])
    assert "output: never fires; its potential is read after the last step" in shown.output
    document = json.loads(CliRunner().invoke(cli, ["inspect", str(path), "--json"]).output)
    assert document["output_fires"] is False
    assert document["read_out"] is None


NUMBERS = ValueReadOut((0.5, 1.0, 2.0, 4.0), (0.0, 1.0, -2.0, 90.0))
READ: dict[str, tuple[ReadOut, str, str]] = {
    "votes": (
        ClassReadOut(2), "read-out: 2 neurons, one behind the other, vote for a class",
        "2 neurons of the last layer",
    ),
    "numbers": (
        NUMBERS, "read-out: 0.5 x potential +0, 1 x potential +1, 2 x potential -2",
        "gain and offset of each output",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_inspect_and_nir_say_how_outputs_are_read(net, name: str):
    network, path, _ = net
    read_out, shown, lost = READ[name]
    assert not any(lost in each for each in write(path, path.with_suffix(".nir")).losses)
    netx.write(path, replace(network, read_out=read_out))
    assert shown in CliRunner().invoke(cli, ["inspect", str(path)]).output
    assert any(lost in each for each in write(path, path.with_suffix(".nir")).losses)
