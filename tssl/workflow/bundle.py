"""Take a network to a machine that has the chip."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from tssl import netx
from tssl.chip import CLASS, with_relays
from tssl.engine import Compiled, collect
from tssl.errors import ConfigError
from tssl.lava_runtime import bundle as runtime
from tssl.machine.files import unfinished, written_together
from tssl.workflow.export import ExportOptions, ExportOutcome
from tssl.workflow.inputs import InputChoice, completed, load_inputs
from tssl.workflow.inspect import lava_dl_lines
from tssl.workflow.origin import made_here
from tssl.workflow.run import content_of, save_result

__all__ = ["bundle", "bundle_exported", "check_folder"]


def check_folder(directory: Path, net: Path | None = None) -> None:
    """Make sure that a bundle can be written to a folder; one left unfinished is replaced.

    Parameters
    ----------
    net
        Where the network itself will be written, if that is known.

    Raises
    ------
    ConfigError
        When it holds something other than a bundle, or would.
    OutputError
        When it cannot be created.
    """
    if net is not None and net.resolve().is_relative_to(directory.resolve()):
        raise ConfigError(
            f"--bundle {directory}: would hold {net} as well; write that to another folder"
        )
    if not unfinished(directory, runtime.FACTS):
        runtime.check_folder(directory)


def bundle_exported(outcome: ExportOutcome, directory: Path, options: ExportOptions) -> None:
    """Write a folder with what was just exported, and the input that it was proven on.

    Raises
    ------
    ConfigError, DataError, OutputError
        See :func:`bundle`.
    """
    data = options.data
    if outcome.nir is not None or isinstance(data, np.ndarray):
        data = None
    fed = InputChoice(data=data, samples=options.proof_samples, data_dir=options.data_dir)
    bundle(outcome.path, directory, fed)


def bundle(net: Path, directory: Path, choice: InputChoice) -> None:
    """Write a folder with a network, input, and the spikes that the engine expects.

    What is no chain is written with its relays, as Lava runs it.

    Parameters
    ----------
    choice
        What to feed; the network's own data set, or random input, when it says nothing.

    Raises
    ------
    ConfigError
        When the folder holds something else.
    DataError
        When the network's file is replaced meanwhile.
    OutputError
        When it cannot be written.
    """
    network = netx.read(net)
    inputs = load_inputs(network, completed(choice, net))
    relayed = with_relays(network)
    started = time.perf_counter()
    expected = Compiled(relayed).run(inputs.train, inputs.time_steps)
    result = collect(
        relayed,
        [(inputs.train, expected)],
        backend="engine",
        data=inputs.text,
        labels=inputs.labels,
        started=started,
    )
    check_folder(directory)
    content = content_of(net, network)
    if relayed is not network:
        content = netx.as_bytes(relayed)
    with written_together(directory, runtime.FACTS) as folder:
        lines = lava_dl_lines(net, network, runtime.NETWORK)
        runtime.write_bundle(folder, content, relayed, inputs.train, expected, lines)
        save_result(replace(result, made=made_here()), content, folder / "result")
        if inputs.labels is not None and network.read_out is CLASS:  # check.py counts classes
            np.save(folder / "labels.npy", inputs.labels)
