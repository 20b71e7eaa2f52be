"""`tssl diff`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tssl.commands.options import NET, common, input_options
from tssl.terminal import Output
from tssl.workflow import tables

if TYPE_CHECKING:
    from tssl.workflow.diff import NetworkDifference


@click.command()
@click.argument("left", metavar="A", type=NET)
@click.argument("right", metavar="B", type=NET)
@input_options
@click.option(
    "--density",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="D",
    help="Compare on random input, this share of it active.",
)
@common
def diff(output: Output, left: Path, right: Path, **options: Any) -> None:  # noqa: ANN401
    """Show what differs between the networks A and B, layer by layer.

    With --data, --input or --density, both run on that input, on our engine, and the spikes
    of every layer are compared too. Distances are means over the trains that differ: van
    Rossum's with a time constant of 5 steps, Victor and Purpura's with a price of 0.2 for
    moving a spike by one step. Exits with 4 when the networks differ.

    \b
    Examples:
      tssl diff eight-bits.net four-bits.net
      tssl diff old.net new.net --data digits --samples 100
    """
    from tssl.workflow.diff import diff as compare
    from tssl.workflow.inputs import InputChoice

    asked = any(options[name] is not None for name in ("data", "file", "density"))
    choice = None
    if asked:
        options["samples"] = 10 if options["samples"] is None else options["samples"]
        choice = InputChoice(on_download=output.download, on_warning=output.warn, **options)
    found = compare(left, right, choice)
    if output.as_json:
        output.document(found.document())
    else:
        _show(output, found)
    if not found.equal:
        raise click.exceptions.Exit(4)


def _show(output: Output, found: "NetworkDifference") -> None:
    for side, names in (("A", found.only_left), ("B", found.only_right)):
        if names:
            output.line(f"only in {side}: {', '.join(names)}")
    if not all(layer.equal for layer in found.layers):
        output.tables([tables.what_differs(found.layers)])
    if found.spikes:
        output.tables([tables.spikes_apart(found.spikes)])
    if found.first is not None:
        output.line(f"first difference: {found.first}")
    if found.predictions is not None:
        output.line(f"equal predictions: {found.predictions:.2%}")
    output.line("the networks are equal" if found.equal else "the networks differ")
