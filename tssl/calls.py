"""What the verbs share in Python: paths of what others returned, checks, and Python's own names.

Messages are written once, for the command line; what a verb raises in Python names its
parameters instead: ``--data-dir`` becomes ``data_dir``.
"""

import functools
import inspect
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

from tssl.errors import ConfigError, TsslError
from tssl.machine.processes import MOST_PROCESSES
from tssl.terminal import Output
from tssl.wording import did_you_mean

if TYPE_CHECKING:
    from tssl.datasets import Given as Data
    from tssl.lava_runtime import BackendOptions
    from tssl.workflow.inputs import InputChoice
    from tssl.workflow.train import Environment

__all__ = [
    "PathLike",
    "at_least",
    "backend_options",
    "environment_of",
    "in_python",
    "input_choice",
    "one_of",
    "optional_path",
    "output_of",
    "path_of",
    "verb",
]

PathLike: TypeAlias = str | Path
Given = ParamSpec("Given")
Returned = TypeVar("Returned")

_NAMES = {
    "from": "origin",
    "set": "settings",
    "profile": "profiles",
    **{
        option: f"settings['{option.replace('-', '_')}']"
        for option in ("epochs", "batch-size", "lr", "seed")
    },
}
"""Of those options that are called otherwise, unless the verb has a parameter of that name."""

_CODE = re.compile(r"(`[^`]*`)")
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])(?: (?=[A-Z]))?")


def verb(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """Return a verb whose errors name its parameters."""
    parameters = inspect.signature(function).parameters

    @functools.wraps(function)
    def wrapped(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        try:
            return function(*args, **kwargs)
        except TsslError as error:
            error.args = (in_python(str(error), parameters),)
            raise

    return wrapped


def in_python(message: str, parameters: Collection[str]) -> str:
    """Return a message with parameters in the place of options; commands in it stay as they are.

    Parameters
    ----------
    parameters
        Names of those that the verb has; options that it has not, and that are called not
        otherwise in Python either, are of other programs.
    """

    def name(found: re.Match[str]) -> str:
        option = found[1]
        own = option.replace("-", "_")
        known = own if own in parameters else _NAMES.get(option)
        if known is None:
            return found[0]
        return f"{known}=" if found[0].endswith(" ") else known

    parts = _CODE.split(message)
    return "".join(part if _CODE.fullmatch(part) else _OPTION.sub(name, part) for part in parts)


def path_of(made: Any) -> Path:  # noqa: ANN401 - any outcome
    """Return a path, or that of what a verb returned: its file, or else its folder."""
    if isinstance(made, str | Path):
        return Path(made)
    return Path(made.path if hasattr(made, "path") else made.directory)


def optional_path(given: PathLike | None) -> Path | None:
    """Return a path, or None as it is."""
    return None if given is None else Path(given)


def output_of(progress: bool) -> Output:
    """Return where a verb shows how far it is, or nothing of it."""
    return Output(as_json=False, quiet=not progress)


def input_choice(output: Output, **given: Any) -> "InputChoice":  # noqa: ANN401 - see InputChoice
    """Return what a user asks to feed a network; ``input`` is its ``file``, and texts are paths."""
    from tssl.workflow.inputs import InputChoice

    given["file"] = given.pop("input")
    for name in ("file", "labels", "data_dir"):
        if isinstance(given.get(name), str):
            given[name] = Path(given[name])
    return InputChoice(on_download=output.download, on_warning=output.warn, **given)


def at_least(least: int, **values: int | None) -> None:
    """Refuse whole numbers that are too small, by name.

    Raises
    ------
    ConfigError
        When one is.
    """
    for name, value in values.items():
        if value is not None and value < least:
            raise ConfigError(f"{name} {value}: at least {least} is needed")


def one_of(*allowed: str, **values: str | None) -> None:
    """Refuse texts other than these, by name.

    Raises
    ------
    ConfigError
        When one is.
    """
    for name, value in values.items():
        if value is not None and value not in allowed:
            raise ConfigError(
                f"{name} {value!r}: expected one of {', '.join(allowed)}"
                f"{did_you_mean(value, allowed)}"
            )


def backend_options(
    timeout: float | None, workers: int, lava_python: PathLike | None
) -> "BackendOptions":
    """Return what a backend is asked for.

    Raises
    ------
    ConfigError
        When a number is out of range.
    """
    from tssl.lava_runtime import BackendOptions

    if timeout is not None and not 0 < timeout <= 1e9:
        raise ConfigError(f"timeout {timeout}: seconds above 0 are needed")
    if not 1 <= workers <= MOST_PROCESSES:
        raise ConfigError(f"workers {workers}: 1 to {MOST_PROCESSES} are possible")
    options = BackendOptions(timeout=timeout, workers=workers)
    return options if lava_python is None else replace(options, python=str(lava_python))


def environment_of(
    output: Output, data: "Data | None", data_dir: PathLike | None, device: str
) -> "Environment":
    """Return where a training takes its data from, and whom it tells."""
    from tssl.workflow.train import Environment

    return Environment(
        data=data,
        data_dir=optional_path(data_dir),
        device=device,
        on_download=output.download,
        on_warning=output.warn,
    )
