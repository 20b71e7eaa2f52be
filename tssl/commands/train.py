"""`tssl train`."""

from pathlib import Path
from typing import Any

import click

from tssl.commands.options import (
    ANY_PATH,
    DATA_OPTION,
    FOLDER,
    RECIPES,
    TARGETS,
    common,
    environment_of,
    out_option,
    settings_of,
)
from tssl.errors import INTERRUPTED
from tssl.terminal import Output, TrainingBar
from tssl.wording import several


@click.command()
@click.argument("recipe", required=False, shell_complete=RECIPES)
@DATA_OPTION
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@click.option("--epochs", type=int, help="Same as --set training.epochs=N.")
@click.option("--batch-size", type=int, help="Same as --set training.batch_size=N.")
@click.option("--lr", type=float, help="Same as --set training.lr=X.")
@click.option("--seed", type=int, help="Same as --set training.seed=N.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@out_option(FOLDER, "Folder of the run [runs/NAME].")
@click.option("--resume", type=FOLDER, help="Go on with the run in this folder.")
@click.option("--from", "origin", type=ANY_PATH, help="Start from the weights of this run.")
@click.option(
    "--target",
    metavar="PROFILE",
    help="Chip whose integers forward=chip uses, beside --from [loihi2].",
    shell_complete=TARGETS,
)
@click.option("--tensorboard", is_flag=True, help="Write RUN/tensorboard too.")
@common
def train(output: Output, recipe: str | None, resume: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Train the network of RECIPE: a name from `tssl recipes` or a TOML file.

    With forward=chip, the last quarter of the epochs computes in the chip's integers (Loihi 2's),
    those before in floating point; with --from, all do.

    \b
    Examples:
      tssl train digits
      tssl train fashion-mnist-mlp --epochs 5 --set encoding.resolution=15
      tssl train --resume runs/digits
      tssl train mine.toml --data recordings
      tssl train digits --set forward=chip
      tssl train --from runs/digits --set forward=chip --epochs 3
      torchrun --nproc-per-node 2 -m tssl train fashion-mnist-cnn
    """
    origin: Path | None = options["origin"]
    _check_usage(recipe, resume, origin, options)
    from tssl.trainer.parallel import is_first_process
    from tssl.workflow import train as workflow

    if not is_first_process():  # torchrun started several; one talks
        output = Output(as_json=False, quiet=True)
    environment = environment_of(output, options)
    flags = _flag_settings(options)
    changes = settings_of(options["overrides"])
    settings = {key: value for key, value in changes.items() if key not in flags} | flags
    if resume is not None:
        fit = workflow.resume(resume, recipe, settings, environment)
        if fit.is_finished:
            output.say(f"{resume}: all epochs are done; --epochs N trains on")
    else:
        start = None if origin is None else workflow.Origin(run=origin, target=options["target"])
        fit = workflow.start(recipe, settings, options["out"], environment, start)
    size = {"epochs": fit.recipe.training.epochs, "samples": len(fit.train)}
    with TrainingBar(output, **size, integers_ahead=fit.has_integers_ahead) as bar:
        outcome = workflow.train(fit, bar, tensorboard=options["tensorboard"])
    if is_first_process():
        _print_training(output, outcome)


def _check_usage(
    recipe: str | None, resume: Path | None, origin: Path | None, options: dict[str, Any]
) -> None:
    if recipe is None and resume is None and origin is None:
        raise click.UsageError(
            "give a RECIPE, --from RUN or --resume DIR; `tssl recipes` lists recipes"
        )
    if resume is not None and origin is not None:
        raise click.UsageError("a run goes on with its own weights: give --resume without --from")
    if resume is not None and options["out"] is not None:
        raise click.UsageError("a run goes on in its own folder: give --resume without --out")
    if options["target"] is not None and origin is None:
        raise click.UsageError(
            "--target belongs to training in a chip's integers: give --from RUN too"
        )


def _flag_settings(options: dict[str, Any]) -> dict[str, Any]:
    names = ("epochs", "batch_size", "lr", "seed")
    return {f"training.{name}": options[name] for name in names if options[name] is not None}


def _print_training(output: Output, outcome: Any) -> None:  # noqa: ANN401 - TrainOutcome
    if output.as_json:
        output.document(outcome.document())
    elif outcome.best is not None:
        output.line(
            f"{outcome.directory}: {several(len(outcome.metrics), 'epoch')}; {outcome.choice}: "
            f"epoch {outcome.best.epoch}, {outcome.best.told}"
        )
    if not outcome.finished:
        output.say(f"saved; go on with: tssl train --resume {outcome.directory}")
        raise click.exceptions.Exit(INTERRUPTED)
