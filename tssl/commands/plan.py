"""`tssl plan`."""

from typing import Any

import click

from tssl.commands.options import DATA_OPTION, FOLDER, RECIPES, common, environment_of, settings_of
from tssl.commands.spaces import spaces_of, whole_numbers
from tssl.terminal import Output


@click.command()
@click.argument("source", metavar="RECIPE|NET", shell_complete=RECIPES)
@click.option("--samples", type=click.IntRange(1), help="Samples of a run [all of its data].")
@click.option("--over", multiple=True, metavar="KEY=V1,V2,...", help="As of `tssl sweep`.")
@click.option("--seeds", metavar="N,N,...", help="As of `tssl sweep`.")
@click.option("--trials", type=click.IntRange(1), help="As of `tssl sweep --optimize`.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@DATA_OPTION
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@common
def plan(output: Output, source: str, **options: Any) -> None:  # noqa: ANN401
    """Say what training RECIPE, a sweep over it, or running NET needs: time, memory, disk.

    A few steps are timed on this machine; nothing is kept.

    \b
    Examples:
      tssl plan fashion-mnist-mlp
      tssl plan digits --over tau_m=3,5 --over weight_bits=2..8 --seeds 0,1,2
      tssl plan digits.net --samples 10000
    """
    from tssl.workflow import plan as workflow

    environment = environment_of(output, options)
    trials, seeds = options["trials"], options["seeds"]
    found = workflow.plan(
        source,
        spaces_of(options["over"], search=trials is not None),
        settings_of(options["overrides"]),
        environment,
        samples=options["samples"],
        seeds=None if seeds is None else whole_numbers("--seeds", seeds),
        trials=trials,
    )
    if output.as_json:
        output.document(found.document())
        return
    output.tables(found.tables())
    output.line(found.headline)
