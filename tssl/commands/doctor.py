"""`tssl doctor`."""

import click

from tssl.commands.options import (
    LAVA_PYTHON_OPTION,
    common,
)
from tssl.terminal import Output


@click.command()
@LAVA_PYTHON_OPTION
@common
def doctor(output: Output, lava_python: str | None) -> None:
    """Say what works here, what each missing part costs, and the command that brings it.

    \b
    Example:
      tssl doctor
    """
    from tssl.workflow.doctor import diagnose

    diagnosis = diagnose(lava_python)
    if output.as_json:
        output.document(diagnosis.document())
    else:
        rows = [[each.subject, f"{each.detail}; for {each.gives}"] for each in diagnosis.shown]
        output.table("Here", ["what", "found; what works with it"], rows)
        for each in diagnosis.missing:
            output.line(f"missing: {each.subject} ({each.detail})")
            output.line(f"  does not work without it: {each.gives}")
            output.line(f"  to get it: {each.fix}")
    if not diagnosis.healthy:
        raise click.exceptions.Exit(5)
