"""`tssl lava`: install, shims."""

import click

from tssl.commands.options import (
    LAVA_PYTHON_OPTION,
    common,
)
from tssl.terminal import Output


@click.group(no_args_is_help=False)
def lava() -> None:
    """Install Lava, the archived simulator, and adapt it to current Pythons.

    \b
    Example:
      tssl lava install
    """


@lava.command("install")
@LAVA_PYTHON_OPTION
@common
def lava_install(output: Output, lava_python: str | None) -> None:
    """Install Lava beside tssl, although its metadata ask for other versions.

    \b
    Example:
      tssl lava install
    """
    from tssl.errors import BackendUnavailableError
    from tssl.lava_runtime.install import install
    from tssl.lava_runtime.lava_sim import check

    changed = install(lava_python, output.say)
    problem = check(lava_python)
    if problem is not None:
        raise BackendUnavailableError(problem)
    if output.as_json:
        output.document({"schema_version": 1, "installed_now": changed})
    else:
        output.line("Lava's CPU simulator can be used")


@lava.command("shims")
@common
def lava_shims(output: Output) -> None:
    """Print the file with which plain lava-dl runs on Python 3.11 and later.

    What `tssl inspect NET` shows imports it. It needs nothing of tssl.

    \b
    Example:
      tssl lava shims > lava_worker.py
    """
    from tssl.lava_runtime.plain import SHIMS_FILE, shims_source

    text = shims_source().read_text(encoding="utf-8")
    if output.as_json:
        output.document({"schema_version": 1, "file": SHIMS_FILE, "text": text})
    else:
        click.echo(text, nl=False)
