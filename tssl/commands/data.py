"""`tssl data`: list, show, fetch."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from tssl.commands.options import (
    DATA,
    DATA_SETS,
    FOLDER,
    common,
    settings_of,
)
from tssl.terminal import Output
from tssl.wording import count, several

_MOST_NAMES = 20
"""Of classes in a table."""


@click.group(no_args_is_help=False)
def data() -> None:
    """List and fetch data sets.

    \b
    Example:
      tssl data fetch fashion-mnist
    """


@data.command("list")
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@common
def data_list(output: Output, data_dir: Path | None) -> None:
    """List the data sets and where they are.

    \b
    Example:
      tssl data list
    """
    from tssl import datasets

    found = [datasets.describe(name, data_dir=data_dir) for name in datasets.DATASETS]
    if output.as_json:
        output.document({"schema_version": 1, "data_sets": [asdict(entry) for entry in found]})
        return
    rows = [[d.name, d.title, d.shape, d.train, d.test, d.licence, d.found] for d in found]
    output.table("Data sets", ["name", "title", "shape", "train", "test", "licence", "found"], rows)


@data.command("show")
@click.argument("data", metavar="NAME|PATH", shell_complete=DATA)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="As in [data].")
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@common
def data_show(output: Output, data: str, overrides: tuple[str, ...], data_dir: Path | None) -> None:
    """Show what a data set, a file or a folder holds: shape, classes, samples.

    \b
    Examples:
      tssl data show digits
      tssl data show recordings --set size=[34,34]
    """
    from tssl.workflow.data import description

    found = description(data, settings_of(overrides), data_dir)
    if output.as_json:
        output.document({"schema_version": 1, **asdict(found)})
        return
    rows: list[list[object]] = [
        ["holds", found.title],
        ["found", found.found],
        ["samples to train on, to test on", f"{count(found.train)}, {count(found.test)}"],
        ["shape (C, H, W)", " x ".join(map(str, found.shape))],
        *([["frames of a sample", found.time_steps]] if found.time_steps else []),
        [f"{several(found.numbers, 'number')} of a sample", "to be told"]
        if found.numbers
        else [several(found.classes, "class", "classes"), _shortened(found.class_names)],
        ["brightest pixel", found.full_scale],
        ["licence", found.licence],
    ]
    output.table(f"Data set {found.name}", ["", ""], rows)


def _shortened(class_names: Sequence[str]) -> str:
    """Return the first names of classes, and how many follow."""
    if not class_names:
        return "not named"
    more = len(class_names) - _MOST_NAMES
    shown = ", ".join(class_names[:_MOST_NAMES])
    return shown if more <= 0 else f"{shown} and {count(more)} more"


@data.command("fetch")
@click.argument("name", shell_complete=DATA_SETS)
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@common
def data_fetch(output: Output, name: str, data_dir: Path | None) -> None:
    """Load data set NAME, downloading what is missing, and check it.

    \b
    Example:
      tssl data fetch mnist
    """
    from tssl import datasets

    loaded = [
        datasets.load(name, split, data_dir=data_dir, progress=output.download)
        for split in datasets.SPLITS
    ]
    for dataset in loaded:
        dataset.pass_on_warnings(output.warn)
    if output.as_json:
        sizes = {dataset.split: len(dataset.labels) for dataset in loaded}
        output.document({"schema_version": 1, "name": name, "samples": sizes})
        return
    for dataset in loaded:
        samples = several(len(dataset.labels), "sample")
        output.line(f"{name}, {dataset.split}: {samples} ({dataset.source})")
