"""Proving that our engine and Lava compute the same integers for a file."""

from dataclasses import replace
from pathlib import Path

from tssl import netx
from tssl.chip import ChipNetwork
from tssl.engine import Compiled
from tssl.lava_runtime import Backend, BackendOptions, SampleProgress, create_backend
from tssl.proof import Proof, Statement, compare_chunks
from tssl.workflow.inputs import InputChoice, Inputs, completed, load_inputs


def lava_statement(
    network: ChipNetwork, inputs: Inputs, backend: Backend, progress: SampleProgress
) -> Statement:
    """Compare the engine with Lava's CPU simulator."""
    chunks = backend.run(network, inputs.train, inputs.time_steps, progress)
    return compare_chunks(
        network,
        Compiled(network, network.graded).run,
        "Lava CPU simulator",
        chunks,
        inputs.time_steps,
    )


def verify(
    net: Path, choice: InputChoice, options: BackendOptions, progress: SampleProgress
) -> Proof:
    """Compare the engine with Lava on a file, every layer and every step.

    Parameters
    ----------
    choice
        What to feed; the network's own data set, or random input, when it says nothing.

    Raises
    ------
    BackendUnavailableError
        When Lava is not installed.
    """
    network = netx.read(net)
    inputs = load_inputs(network, completed(choice, net))
    lava = create_backend("sim", replace(options, net_path=net, states=network.graded))
    statement = lava_statement(network, inputs, lava, progress)
    return Proof(network=network.name, digest=network.digest, stages=(statement,))
