"""`tssl verify`."""

from pathlib import Path
from typing import Any

import click

from tssl.commands.options import (
    NET,
    backend_options,
    common,
    input_options,
    lava_options,
)
from tssl.terminal import Output, show_proof


@click.command()
@click.argument("net", type=NET)
@input_options
@click.option("--seed", type=int, help="Take random input, from this seed.")
@click.option(
    "--density",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="D",
    help="Take random input, this share of it active [0.3 of spikes, all graded values].",
)
@lava_options
@common
def verify(output: Output, net: Path, **options: Any) -> None:  # noqa: ANN401
    """Compare our engine with Lava on NET: every layer, every step.

    Without --data or --input the network's own data set is taken; with --seed or
    --density, or when it has none, random input.

    \b
    Examples:
      tssl verify digits.net --samples 50
      tssl verify any.net --samples 5 --steps 20 --seed 1 --density 0.8
    """
    from tssl.workflow import proof as workflow
    from tssl.workflow.inputs import InputChoice

    backend = backend_options(options)
    options["samples"] = 10 if options["samples"] is None else options["samples"]
    choice = InputChoice(on_download=output.download, on_warning=output.warn, **options)
    with output.bar("verify", options["samples"]) as progress:
        proof = workflow.verify(net, choice, backend, progress)
    if output.as_json:
        output.document(proof.document())
    else:
        show_proof(output, proof.document())
    if proof.problem is not None:
        if not output.as_json:
            output.line(proof.problem)
        raise click.exceptions.Exit(4)
