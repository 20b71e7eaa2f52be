"""`tssl report`."""

from pathlib import Path
from typing import Any

import click

from tssl.commands.options import (
    ANY_PATH,
    FILE,
    FOLDER,
    PROFILES_OR_ALL,
    RESULT,
    common,
)
from tssl.terminal import Output

_MOST_IN_FULL = 2


@click.command()
@click.argument("results", type=RESULT, nargs=-1, required=True, metavar="RESULT...")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    required=True,
    metavar="NAME",
    help="Hardware profile, may be repeated; `all` for every shipped one.",
    shell_complete=PROFILES_OR_ALL,
)
@click.option("--html", type=FILE, help="Also write one self-contained web page.")
@click.option("--io", is_flag=True, help="Price input and output too, where the profile can.")
@click.option(
    "--placement",
    type=click.Choice(["rule", "search"]),
    default="rule",
    show_default=True,
    help="Cores on the mesh by a simple rule, or by search for short ways.",
)
@click.option(
    "--data",
    type=ANY_PATH,
    help="Your own data for the page's pictures [where the run found them].",
)
@click.option(
    "--data-dir",
    type=FOLDER,
    help="Where to look for the data of the page's pictures [where the run found them].",
)
@click.option(
    "--run",
    "runs",
    type=FOLDER,
    multiple=True,
    help="Folder of a RESULT's training run, for its learning curve [as stored at export].",
)
@common
def report(output: Output, results: tuple[Path, ...], html: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Estimate energy and latency of each RESULT, a folder written by `tssl run`.

    \b
    Examples:
      tssl report result --profile loihi2 --profile loihi1 --html report.html
      tssl report mlp cnn --profile all --html report.html
    """
    from tssl.hw_profiles import CostOptions
    from tssl.workflow import report as workflow

    chosen = CostOptions(io=options["io"], search=options["placement"] == "search")
    found = workflow.reports(results, options["profiles"], chosen)
    if html is not None:
        for missing in _write_page(found, html, options):
            output.warn(missing)
    if output.as_json:
        output.document(workflow.joined(found))
        return
    _print_reports(output, found)
    if html is not None:
        output.line(f"{html}: open it in a browser")


def _write_page(found: list[Any], html: Path, options: dict[str, Any]) -> list[str]:
    """Write the page and return what is missing in it."""
    from tssl.workflow.report import write_page

    return write_page(found, html, options["data_dir"], options["data"], options["runs"])


def _print_reports(output: Output, found: list[Any]) -> None:
    """Write all costs side by side, and in full where there are few."""
    from tssl.reporting import (
        show_comparison,
        show_costs,
        show_operations,
        show_quoted,
        show_result,
    )

    sheets = [each.sheet for each in found]
    for each, sheet in zip(found, sheets, strict=True):
        show_result(sheet.result, output.results)
        show_operations(sheet.result, output.results, each.input_neurons)
    costs = [cost for sheet in sheets for cost in (*sheet.costs, *sheet.refused)]
    too_many = len(costs) > _MOST_IN_FULL
    if len(costs) > 1:
        show_comparison(sheets, output.results, reasons=too_many)
    show_quoted(sheets, output.results)
    if too_many:
        output.line("In full: --html or --json, or at most two profiles at a time.")
        return
    for cost in costs:
        show_costs(cost, output.results)
