"""`tssl nir`: read, write."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tssl.commands.options import ANY_PATH, FILE, FOLDER, Command, common, out_option
from tssl.terminal import Output, show_nir
from tssl.wording import several
from tssl.workflow import tables


def nir_options(command: Command) -> Command:
    """Add the options that say what a NIR file leaves open."""
    options: list[Callable[..., Any]] = [
        click.option(
            "--dt",
            type=float,
            help="Time step of a .nir file, in the unit of its time constants [inferred].",
        ),
        click.option(
            "--rule",
            type=click.Choice(["euler", "exp"]),
            help="How its equations become steps [inferred].",
        ),
        click.option(
            "--as-nir",
            is_flag=True,
            help="Read it as NIR defines it where its maker's neurons fire or reset otherwise.",
        ),
        click.option(
            "--steps",
            type=int,
            default=100,
            show_default=True,
            help="Time steps of a sample of a .nir file, where no data give them.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(no_args_is_help=False)
def nir() -> None:
    """Exchange networks with other libraries by NIR files.

    \b
    Examples:
      tssl nir read network.nir -o runs/theirs
      tssl nir write runs/digits -o digits.nir
    """


@nir.command("read")
@click.argument("file", type=FILE)
@out_option(FOLDER, "Folder of the run.", required=True)
@nir_options
@common
def nir_read(output: Output, file: Path, out: Path, **options: Any) -> None:  # noqa: ANN401
    """Turn FILE, a NIR graph, into a run that `tssl export` takes.

    \b
    Examples:
      tssl nir read network.nir -o runs/theirs
      tssl nir read norse.nir --dt 0.001 --rule euler -o runs/norse
    """
    from tssl.workflow import nir as workflow

    outcome = workflow.read_into(file, out, workflow.NirChoice(**options))
    document = outcome.document()
    if output.as_json:
        output.document(document)
        return
    show_nir(output, document)
    output.tables([tables.layers_read(document["layers"])])
    output.line(f"{out}: next, `tssl export {out} --target loihi2`")


@nir.command("write")
@click.argument("source", type=ANY_PATH)
@out_option(FILE, "The .nir file.", required=True)
@click.option(
    "--dt", type=float, default=1e-4, show_default=True, help="Length of a time step in seconds."
)
@common
def nir_write(output: Output, source: Path, out: Path, dt: float) -> None:
    """Write SOURCE, a run (its floats) or a .net file (its integers), as a NIR graph.

    Beside the graph of a .net file go the spikes that our engine fires on random input, as NIR
    data.

    \b
    Examples:
      tssl nir write runs/digits -o digits.nir
      tssl nir write digits.net -o digits-chip.nir --dt 0.001
    """
    from tssl.workflow import nir_write as workflow

    outcome = workflow.write(source, out, dt)
    if output.as_json:
        output.document(outcome.document())
        return
    for loss in outcome.losses:
        output.line(f"not carried: {loss}")
    if outcome.spikes is not None:
        output.line(f"{outcome.spikes}: spikes of {outcome.fed}")
    output.line(f"{out}: {outcome.mode} mode, {several(outcome.nodes, 'layer')}, dt = {dt:g} s")
