"""The ``tssl`` command: its verbs, and what it says and returns when something is wrong."""

import errno
import io
import os
import re
import sys
import traceback

import click

from tssl.commands.data import data
from tssl.commands.demo import demo
from tssl.commands.diff import diff
from tssl.commands.doctor import doctor
from tssl.commands.export import export
from tssl.commands.inspect import inspect
from tssl.commands.lava import lava
from tssl.commands.nir import nir
from tssl.commands.plan import plan
from tssl.commands.profiles import profiles
from tssl.commands.recipes import recipes
from tssl.commands.report import report
from tssl.commands.run import run
from tssl.commands.sweep import sweep
from tssl.commands.train import train
from tssl.commands.verify import verify
from tssl.errors import INTERRUPTED, BackendError, TsslError
from tssl.version import __version__
from tssl.wording import nearest, visible

_REFUSED_PATHS = {
    errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EROFS,
}  # fmt: skip
"""What the system says to a path that a user may give; anything else would be a bug."""


_WAY = """\
train   a network:        tssl train digits
export  for a chip:       tssl export runs/digits --target loihi2 -o digits.net
run     the chip network: tssl run digits.net --backend engine --out result
report  its costs:        tssl report result --profile loihi2 --html report.html
`tssl demo` goes this way by itself; `tssl --help` lists all verbs."""
"""What `tssl` alone shows: the way from a recipe to a report, within 80 columns."""


def main() -> None:
    """Run the command and exit with the contract's status."""
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as we live
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # units have signs that not every terminal has
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run the command and return its exit status; a user's mistake is one line on stderr."""
    try:
        status = cli.main(args=arguments, prog_name="tssl", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # click and rich exit so when the reader has gone
        _silence_stdout()
        return 0
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", INTERRUPTED, arguments)
    except (TsslError, click.ClickException, MemoryError, ModuleNotFoundError, OSError) as error:
        return _fail(*_explained(error), arguments)
    return status or 0  # what a command gave to ``click.exceptions.Exit``


def _explained(error: Exception) -> tuple[str, int]:
    """Return message and exit status of an error that a user can cause; raise any other."""
    if isinstance(error, TsslError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        asked = context.command_path if context else "tssl"
        message = error.format_message()
        hint = _meant_choice(message) or _possible(error)
        return f"{message}{hint} (see `{asked} --help`)", error.exit_code
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}; free some, or ask for less at a time", 2
    if isinstance(error, ModuleNotFoundError):
        name = error.name or "tssl"
        if name in ("tssl", *sys.stdlib_module_names) or "." in name:
            raise error  # not a package that could be installed
        return f"{name} is not installed; pip install {name}", BackendError.exit_code
    if isinstance(error, OSError) and error.filename is None:  # those of files are TsslErrors
        _silence_stdout()
        return f"the output cannot be written: {error.strerror}", 2
    if isinstance(error, OSError) and error.errno in _REFUSED_PATHS:
        return f"{error.filename}: cannot be used: {error.strerror}", 2
    raise error


def _meant_choice(message: str) -> str:
    """Return a hint where click refuses a word that is like one of its choices."""
    match = re.search(r"'([^']*)' is not one of (.*)\.$", message)
    if match is None:
        return ""
    name = nearest(match[1], re.findall(r"'([^']*)'", match[2]))
    return "" if name is None else f" Did you mean {name!r}?"


def _possible(error: click.ClickException) -> str:
    """Return what can be given where a command, an argument or an option with names is missing."""
    context = getattr(error, "ctx", None)
    names: list[str] = []
    if context is not None and isinstance(error, click.MissingParameter) and error.param:
        items = error.param.shell_complete(context, "")
        names = [str(item.value) for item in items if item.type == "plain"]
    elif context is not None and str(error.message) == "Missing command.":
        names = context.command.list_commands(context)
    return f" There are: {', '.join(names)}." if names else ""


def _silence_stdout() -> None:
    """Spare Python's second complaint when it closes what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, status: int, arguments: list[str]) -> int:
    if "--debug" in arguments:
        click.echo(visible(traceback.format_exc()), err=True)
    one_line = " ".join(line.strip() for line in message.splitlines())
    click.echo(f"tssl: error: {visible(one_line)}", err=True)
    return status


@click.group(
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="tssl")
@click.pass_context
def cli(context: click.Context) -> None:
    """Train spiking networks with TSSL-BP, export them for Loihi, prove and price them.

    \b
    Example, two minutes, no download (`tssl demo` does it for you):
      tssl train digits
      tssl export runs/digits --target loihi2
      tssl run runs/digits/digits-loihi2.net --backend sim --data digits --out runs/digits/sim
      tssl report runs/digits/sim --profile loihi2 --html report.html
    """
    if context.invoked_subcommand is None:
        click.echo(_WAY)


for _command in (
    demo, train, export, run, verify, report, sweep, plan, inspect, diff, profiles, recipes, data,
    nir, doctor, lava,
):  # fmt: skip
    cli.add_command(_command)
