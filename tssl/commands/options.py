"""Options that several commands share: kinds of values, what a shell completes, and groups."""

import functools
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from tssl import calls
from tssl.errors import ConfigError
from tssl.machine.files import toml_value
from tssl.machine.processes import LAVA_PYTHON, MOST_PROCESSES, lava_python
from tssl.terminal import Output

_MOST_DIGITS = 4

Command = TypeVar("Command", bound=Callable[..., Any])


class _Path(click.Path):
    """A path that is not empty, as that of an unset variable of a script would be."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """Return the path, as click does."""
        problem = self.problem(value) if os.fspath(value) else "The path is empty."
        if problem is not None:
            self.fail(problem, param, ctx)
        return super().convert(value, param, ctx)

    def problem(self, _: str | os.PathLike[str]) -> str | None:
        """Return why it cannot be what is meant; click looks for what is not there."""
        return None


class _Net(_Path):
    """The file of a network; of a folder, such as a run's, the message says which it holds."""

    def problem(self, value: str | os.PathLike[str]) -> str | None:
        """See :class:`_Path`."""
        if not os.path.isdir(value):
            return None
        nets = sorted(Path(value).glob("*.net"))
        named = f"such as {nets[0]}" if nets else "which `tssl export` writes"
        return f"{os.fspath(value)!r} is a folder; give a .net file, {named}."


class _Result(_Path):
    """The folder of a result; of a file, such as a network's, the message says what is wanted."""

    def problem(self, value: str | os.PathLike[str]) -> str | None:
        """See :class:`_Path`."""
        if not os.path.isfile(value):
            return None
        return (
            f"{os.fspath(value)!r} is a file; give the folder of a result, which `tssl run` writes."
        )


class _Seconds(click.FloatRange):
    """A number in a range, which ``nan`` is not."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, as click does."""
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


FILE = _Path(path_type=Path, dir_okay=False)
NET = _Net(path_type=Path, dir_okay=False)
FOLDER = _Path(path_type=Path, file_okay=False)
RESULT = _Result(path_type=Path, file_okay=False)
ANY_PATH = _Path(path_type=Path)


def _completed(names: Callable[[], Iterable[str]], *, paths: bool = True) -> Callable[..., Any]:
    """Return a shell completion of names, and of paths where a file may be named as well."""

    def items(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
        file = [CompletionItem(typed, type="file")] if paths else []
        return [*file, *(CompletionItem(name) for name in names() if name.startswith(typed))]

    return items  # the path is first because bash's script forgets what came before it


def _recipe_names() -> Iterable[str]:
    from tssl.workflow.recipes import shipped_recipes

    return shipped_recipes()


def _profile_names() -> Iterable[str]:
    from tssl.hw_profiles import profile_names

    return profile_names()


def _target_names() -> Iterable[str]:
    from tssl.hw_profiles import target_names

    return target_names()


def _backend_names() -> Iterable[str]:
    from tssl.lava_runtime import BACKENDS

    return BACKENDS


def _data_names() -> Iterable[str]:
    from tssl.datasets import DATASETS

    return DATASETS


RECIPES = _completed(_recipe_names)
PROFILES = _completed(_profile_names)
TARGETS = _completed(_target_names)
PROFILES_OR_ALL = _completed(lambda: ["all", *_profile_names()])
DATA_SETS = _completed(_data_names, paths=False)
DATA = _completed(_data_names)
BACKENDS = _completed(_backend_names, paths=False)


DATA_OPTION = click.option(
    "--data",
    metavar="NAME|PATH",
    help="Data set (`tssl data list`), or file or folder of your own data.",
    shell_complete=DATA,
)
"""Which data, in place of those that a recipe or a network names."""


LAVA_PYTHON_OPTION = click.option(
    "--lava-python", default=lava_python, help=f"Interpreter with Lava [{LAVA_PYTHON}]."
)


def out_option(kind: click.Path, text: str, **more: Any) -> Callable[..., Any]:  # noqa: ANN401
    """Return the option that says where a command writes; ``more`` is click's."""
    return click.option("-o", "--out", type=kind, help=text, show_default="default" in more, **more)


def settings_of(texts: Iterable[str]) -> dict[str, Any]:
    """Return the values in texts ``KEY=VALUE`` by key; of a key that repeats, only the last.

    Numbers, booleans and lists are what JSON takes for such, or lists as in a recipe, everything
    else is text.

    Raises
    ------
    ConfigError
        When a text is of another form.
    """
    settings: dict[str, Any] = {}
    for given in texts:
        key, separator, text = (part.strip() for part in given.partition("="))
        if not separator or not key:
            raise ConfigError(f"--set {given!r}: expected KEY=VALUE, e.g. training.lr=1e-3")
        settings.pop(key, None)
        settings[key] = value_of(text)
    return settings


def value_of(text: str) -> Any:  # noqa: ANN401 - any TOML value
    """Return a number, boolean or list of JSON, or a list of TOML; everything else as text."""
    with suppress(ValueError, RecursionError):  # brackets nested thousands deep
        return json.loads(text)
    if text.startswith("["):
        with suppress(ValueError, RecursionError):
            return toml_value(text)
    return text.strip("\"'")


def bits_of(texts: Iterable[str]) -> dict[str, int]:
    """Return the bits in texts ``N`` and ``LAYER=N`` by layer; ``""`` stands for all of them.

    Raises
    ------
    ConfigError
        When a text is of another form.
    """
    bits: dict[str, int] = {}
    for given in texts:
        layer, _, number = given.rpartition("=")
        if not number.isdecimal() or len(number) > _MOST_DIGITS:
            raise ConfigError(f"--weight-bits {given}: expected N or LAYER=N")
        bits.pop(layer, None)
        bits[layer] = int(number)
    return bits


def recorded_of(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return what to record in texts ``LAYER`` and ``LAYER:WHAT``, by layer; all where empty."""
    recorded: dict[str, list[str]] = {}
    for given in texts:
        layer, separator, quantity = given.partition(":")
        known = recorded.get(layer)
        if not separator:
            recorded[layer] = []
        elif known is None or known:
            recorded[layer] = [*(known or ()), quantity]
    return recorded


def jobs_of(text: str) -> dict[str, str]:
    """Return the settings of jobs in a text ``KEY=VALUE,KEY=VALUE``.

    Raises
    ------
    ConfigError
        When it is of another form, or names a key twice.
    """
    settings: dict[str, str] = {}
    for given in text.split(","):
        key, separator, value = (part.strip() for part in given.partition("="))
        if not separator or key in settings:
            raise ConfigError(
                f"--slurm {text!r:.80}: expected KEY=VALUE,..., each key once, e.g. "
                "partition=short,nodes=4"
            )
        settings[key] = value
    return settings


def common(command: Command) -> Command:
    """Add the options that every command has, and hand over an ``Output``."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
    @click.option("--quiet", is_flag=True, help="Show no progress.")
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(command)
    def wrapped(*, as_json: bool, quiet: bool, debug: bool, **options: Any) -> Any:  # noqa: ANN401
        return command(Output(as_json=as_json, quiet=quiet), **options)

    return wrapped  # type: ignore[return-value]


def input_options(command: Command) -> Command:
    """Add the options that choose what a network is fed."""
    options = [
        DATA_OPTION,
        click.option(
            "--split", type=click.Choice(["train", "test"]), default="test", show_default=True
        ),
        click.option(
            "--input", "file", type=FILE, help="Whole numbers in a .npy file, or x in a .npz file."
        ),
        click.option("--samples", type=int, help="Number of samples, from the first on [all]."),
        click.option("--steps", type=int, help="Time steps per sample [the network's own, or 16]."),
        click.option("--data-dir", type=FOLDER, help="Where to look for data files first."),
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def lava_options(command: Command) -> Command:
    """Add the options of the backends that start Lava."""
    timeout = click.option(
        "--timeout",
        type=_Seconds(min=0, max=1e9, min_open=True),
        help="Seconds that Lava may take [no limit while it advances].",
    )
    workers = click.option(
        "--workers",
        type=click.IntRange(1, MOST_PROCESSES),
        default=1,
        show_default=True,
        help="Processes of Lava's simulator, each with its share of the samples.",
    )
    return timeout(workers(LAVA_PYTHON_OPTION(command)))


def backend_options(options: dict[str, Any]) -> Any:  # noqa: ANN401 - imported only when needed
    """Take the options of :func:`lava_options` out of all and return ``BackendOptions``."""
    names = ("timeout", "workers", "lava_python")
    return calls.backend_options(**{name: options.pop(name) for name in names})


def environment_of(output: Output, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - likewise
    """Return the ``Environment`` of a training, from all options of a command."""
    names = ("data", "data_dir", "device")
    return calls.environment_of(output, **{name: options[name] for name in names})
