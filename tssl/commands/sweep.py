"""`tssl sweep`."""

from pathlib import Path
from typing import Any

import click

from tssl.commands.options import (
    DATA_OPTION,
    FILE,
    FOLDER,
    RECIPES,
    common,
    environment_of,
    out_option,
    settings_of,
)
from tssl.commands.spaces import spaces_of, whole_numbers
from tssl.errors import INTERRUPTED
from tssl.terminal import Output, SweepBar


@click.command()
@click.argument("recipe", metavar="RECIPE|DIR", shell_complete=RECIPES)
@click.option(
    "--over",
    multiple=True,
    metavar="KEY=V1,V2,...",
    help="Values to try, or LOW..HIGH[:log]; of the recipe, `target`, `export.weight_bits`.",
)
@click.option("--seeds", metavar="N,N,...", help="Train each combination with these [recipe's].")
@out_option(FOLDER, "Folder of the sweep [sweeps/NAME].")
@click.option(
    "--optimize",
    metavar="GOALS",
    help="Search instead of trying all: accuracy, or accuracy,energy; needs --trials.",
)
@click.option("--trials", type=click.IntRange(1), help="Combinations that a search tries.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Test samples for accuracy and energy.",
)
@DATA_OPTION
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--csv", type=FILE, help="Also write a table, a line for each combination.")
@click.option("--html", type=FILE, help="Also write a page with the plot and all commands.")
@common
def sweep(output: Output, recipe: str, **options: Any) -> None:  # noqa: ANN401
    """Train, export, run and price RECIPE in many variants; show those of DIR.

    The same command again, or at the same time on other machines that share the folder, does what
    is left. Keys of export and target share a training.

    \b
    Examples:
      tssl sweep digits --over tau_m=3,5 --over export.weight_bits=2..8 --seeds 0,1,2 --out bits
      tssl sweep digits --over lr=1e-4..1e-2:log --optimize accuracy --trials 30 --out lr
      tssl sweep bits --html bits.html
    """
    from tssl.sweeps import is_sweep

    folder = Path(recipe)
    outcome = _look(folder, options) if is_sweep(folder) else _work(output, recipe, options)
    _write(outcome, options)
    if output.as_json:
        output.document(outcome.document())
    else:
        output.tables(outcome.tables())
        output.line(outcome.headline)
    if not outcome.finished and not is_sweep(folder):
        output.say("saved; give the same command again to go on")
        raise click.exceptions.Exit(INTERRUPTED)


def _look(folder: Path, options: dict[str, Any]) -> Any:  # noqa: ANN401 - SweepOutcome
    """Return what there is in the folder of a sweep."""
    from tssl.workflow.sweep_outcome import load_sweep

    of_begin = ("over", "seeds", "out", "optimize", "trials", "overrides", "data", "data_dir")
    given = [name for name in of_begin if options[name]]
    if given:
        name = {"overrides": "set"}.get(given[0], given[0]).replace("_", "-")
        raise click.UsageError(
            f"{folder}: is a sweep, which --{name} cannot change; give the recipe to go on with it"
        )
    return load_sweep(folder)


def _work(output: Output, recipe: str, options: dict[str, Any]) -> Any:  # noqa: ANN401
    """Do what is left of a sweep."""
    from tssl.workflow import sweep as workflow

    optimize = options["optimize"]
    environment = environment_of(output, options)
    prepared = workflow.prepare(
        recipe,
        spaces_of(options["over"], search=optimize is not None),
        settings_of(options["overrides"]),
        options["out"],
        environment,
        seeds=None if options["seeds"] is None else whole_numbers("--seeds", options["seeds"]),
        optimize=() if optimize is None else tuple(optimize.split(",")),
        trials=options["trials"],
        samples=options["samples"],
    )
    with SweepBar(output, trials=prepared.spec.number_of_trials) as bar:
        return workflow.sweep(prepared, environment, bar)


def _write(outcome: Any, options: dict[str, Any]) -> None:  # noqa: ANN401 - SweepOutcome
    from tssl.workflow.sweep_outcome import write_csv, write_page

    if options["csv"] is not None:
        write_csv(outcome, options["csv"])
    if options["html"] is not None:
        write_page(outcome, options["html"])
