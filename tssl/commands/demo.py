"""`tssl demo`: the whole way on bundled data."""

import io
import shlex
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

import click

from tssl.commands.options import (
    FOLDER,
    common,
    out_option,
)
from tssl.machine.processes import lava_python
from tssl.terminal import Output


@click.command()
@out_option(FOLDER, "Folder.", default="runs/demo")
@common
def demo(output: Output, out: Path) -> None:
    """Go the whole way on bundled data: train, export, run, verify, report.

    Each step is a command that is shown before it runs. Lava takes part where it is installed.

    \b
    Example:
      tssl demo --out runs/demo
    """
    from tssl.lava_runtime.lava_sim import check

    problem = check(lava_python())
    if problem is not None:
        output.say(f"without Lava, on the engine (`tssl lava install` changes that): {problem}")
    tssl = click.get_current_context().find_root().command
    for step in _demo_steps(out, with_lava=problem is None):
        output.say(f"$ tssl {shlex.join(step)}")
        flags = ["--quiet"] if output.quiet else []
        with redirect_stdout(io.StringIO()) if output.as_json else nullcontext():
            status = tssl.main(args=[*step, *flags], prog_name="tssl", standalone_mode=False)
        if status:
            raise click.exceptions.Exit(status)
    if output.as_json:
        output.document({"schema_version": 1, "directory": str(out), "lava": problem is None})
    else:
        output.line(f"Everything is in {out}; open {out / 'report.html'} in a browser.")


def _demo_steps(out: Path, *, with_lava: bool) -> list[list[str]]:
    """Return the arguments of each command of the demonstration."""
    net, result = str(out / "digits.net"), str(out / "result")
    backend, asks = ("sim", "--lava") if with_lava else ("engine", "--no-lava")
    steps = [
        ["train", "digits", "--out", str(out)],
        ["export", str(out), "--target", "loihi2", "-o", net, asks],
        ["run", net, "--backend", backend, "--out", result],
        ["verify", net, "--samples", "50"],
        ["report", result, "--profile", "loihi2", "--html", str(out / "report.html")],
    ]
    return [step for step in steps if with_lava or step[0] != "verify"]
