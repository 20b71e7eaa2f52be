"""`tssl profiles`: list, show, check, calibrate."""

from pathlib import Path
from typing import Any

import click

from tssl.commands.options import (
    FILE,
    PROFILES,
    common,
    out_option,
)
from tssl.terminal import Output
from tssl.wording import count


@click.group(no_args_is_help=False)
def profiles() -> None:
    """List, show, check and calibrate hardware profiles.

    \b
    Example:
      tssl profiles show loihi2
    """


@profiles.command("list")
@common
def profiles_list(output: Output) -> None:
    """List the shipped profiles.

    \b
    Example:
      tssl profiles list
    """
    from tssl.hw_profiles import load_profile, profile_names

    if output.as_json:
        output.document({"schema_version": 1, "profiles": list(profile_names())})
        return
    rows = []
    for name in profile_names():
        profile = load_profile(name)
        prices = "yes" if profile.energy.synaptic_operation or profile.energy.mac else "none known"
        rows.append([name, profile.chip.title, profile.chip.execution, prices])
    output.table("Hardware profiles", ["name", "chip", "time steps", "energy prices"], rows)


@profiles.command("show")
@click.argument("name", shell_complete=PROFILES)
@common
def profiles_show(output: Output, name: str) -> None:
    """Show every figure of profile NAME with its kind and source.

    \b
    Example:
      tssl profiles show loihi2
    """
    from tssl.hw_profiles import load_profile

    document = load_profile(name).model_dump(mode="json", by_alias=True)
    if output.as_json:
        output.document({"schema_version": 1, "name": name, **document})
        return
    rows = [
        [f"{section}.{key}", *_columns_of(figure)]
        for section, figures in document.items()
        for key, figure in (figures or {}).items()
        if isinstance(figure, dict)
    ]
    chip = document["chip"]
    columns = ["figure", "value", "unit", "band", "kind", "source"]
    output.table(f"{name}: {chip['title']}", columns, rows)
    for key in ("operating_point", "energy_model", "execution", "neuron", "reset"):
        output.line(f"{key.replace('_', ' ')}: {chip[key]}")


def _columns_of(figure: dict[str, Any]) -> list[str]:
    """Return value and band in the unit that the value is shown in, then the rest."""
    from tssl.reporting.units import PREFIXED_UNITS, prefix_of

    value, unit = figure["value"], figure["unit"]
    low, high = (value if figure[end] is None else figure[end] for end in ("low", "high"))
    factor = 1.0
    if unit in PREFIXED_UNITS and value:
        factor, prefix = prefix_of(value)
        unit = prefix + unit
    band = "" if low == high else f"{_exact(low / factor)} to {_exact(high / factor)}"
    return [_exact(value / factor), unit, band, figure["kind"], figure["source"]]


def _exact(value: float) -> str:
    """Return a figure with all the digits that its source gives."""
    return count(int(value)) if float(value).is_integer() else f"{value:.6g}"


@profiles.command("check")
@click.argument("file", type=FILE)
@common
def profiles_check(output: Output, file: Path) -> None:
    """Check the profile in FILE.

    \b
    Example:
      tssl profiles check mychip.toml
    """
    from tssl.hw_profiles import load_profile

    profile = load_profile(file)
    if output.as_json:
        output.document({"schema_version": 1, "name": profile.name, "valid": True})
    else:
        output.line(f"{file}: is a valid profile ({profile.chip.title})")


@profiles.command("calibrate")
@click.argument("logs", type=FILE, nargs=-1, required=True, metavar="LOG...")
@click.option(
    "--base",
    required=True,
    metavar="NAME",
    help="Hardware profile whose prices are fitted; all else is taken from it.",
    shell_complete=PROFILES,
)
@out_option(FILE, "Profile to write, a .toml file.", required=True)
@common
def profiles_calibrate(output: Output, logs: tuple[Path, ...], base: str, out: Path) -> None:
    """Fit the prices of a profile to the runs in each LOG, measured on a board.

    A log is a CSV file as a bundle's check.py writes it, or what a benchmark notebook of lava-dl
    prints; the documentation has both formats, under Calibration.

    \b
    Example:
      tssl profiles calibrate board.csv --base loihi2 -o mine.toml
    """
    from tssl.workflow.calibrate import calibrate

    made = calibrate(logs, base, out)
    if output.as_json:
        output.document(made.document())
        return
    for table in made.tables():
        output.table(table.title, table.columns, table.rows)
    output.line(made.headline)
