"""`tssl doctor`."""

import click

from tssl.commands.options import (
    LAVA_PYTHON,
    common,
)
from tssl.terminal import Output


@click.command()
@click.option("--lava-python", envvar=LAVA_PYTHON, help=f"Interpreter with Lava [{LAVA_PYTHON}].")
@common
def doctor(output: Output, lava_python: str | None) -> None:
    """Check the installation; each finding comes with the command that fixes it.

    \b
    Example:
      tssl doctor
    """
    from tssl.workflow.doctor import diagnose

    diagnosis = diagnose(lava_python)
    if output.as_json:
        output.document(diagnosis.document())
    else:
        rows = [
            ["ok" if f.ok else "missing", f.subject, f.detail, f.fix] for f in diagnosis.findings
        ]
        output.table("tssl doctor", ["", "what", "found", "fix"], rows)
    if not diagnosis.healthy:
        raise click.exceptions.Exit(5)
