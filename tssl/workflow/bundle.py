"""Take a network to a machine that has the chip."""

from pathlib import Path

from tssl import netx
from tssl.lava_runtime.bundle import check_folder, write_bundle
from tssl.lava_runtime.engine import Compiled
from tssl.workflow.inputs import InputChoice, completed, load_inputs

__all__ = ["bundle", "check_folder"]


def bundle(net: Path, directory: Path, choice: InputChoice) -> None:
    """Write a folder with a network, input, and the spikes that the engine expects.

    Parameters
    ----------
    choice
        What to feed; the network's own data set, or random input, when it says nothing.

    Raises
    ------
    ConfigError
        When the folder holds something else.
    OutputError
        When it cannot be written.
    """
    network = netx.read(net)
    inputs = load_inputs(network, completed(choice, net))
    expected = Compiled(network).run(inputs.train, inputs.time_steps)
    write_bundle(directory, net, network, inputs.train, expected)
