"""Inputs and labels of a user's own: the array in a file, what it means, and random spikes."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import MOST_STEPS, IntArray
from tssl.errors import ConfigError, DataError
from tssl.geometry import Shape
from tssl.machine.files import printable
from tssl.machine.npy import is_archive, members, names, read_npy

__all__ = [
    "DENSITY",
    "INPUTS",
    "LABELS",
    "Trains",
    "array_of",
    "check_steps",
    "opened",
    "random_spikes",
    "trains_of",
]

INPUTS, LABELS = "x", "y"
"""Names of the arrays in a ``.npz`` file that holds several."""
DENSITY = 0.3
"""Of random spikes, unless one is asked for."""


class Trains(NamedTuple):
    """Integers that enter a network.

    Parameters
    ----------
    values
        ``(time or 1, samples, inputs)``.
    time_steps
        Of a sample; None for samples that stay the same at every step.
    """

    values: IntArray
    time_steps: int | None


def array_of(path: Path, name: str) -> NDArray[Any]:
    """Return the array in a ``.npy`` file, or the one of that name, or the only one, of a ``.npz``.

    Raises
    ------
    DataError
        When there is none, or the file cannot be read.
    """
    if not is_archive(path):
        return read_npy(path)
    held = names(path)
    chosen = name if name in held else held[0] if len(held) == 1 else None
    if chosen is None:
        raise DataError(
            f"{printable(path)}: holds {', '.join(sorted(held)) or 'nothing'}; one array, or one "
            f"called {name}, is expected"
        )
    return members(path, (chosen,))[chosen]


def opened(given: Path | NDArray[Any], name: str, called: str) -> tuple[NDArray[Any], str]:
    """Return an array that is given, or that in a file, and what messages call it.

    Parameters
    ----------
    name
        See :func:`array_of`.
    called
        What messages call an array that a program gives.

    Raises
    ------
    DataError
        See :func:`array_of`.
    """
    if isinstance(given, Path):
        return array_of(given, name), printable(given)
    return np.asarray(given), called


def trains_of(inputs: NDArray[Any], shape: Shape) -> Trains:
    """Return what enters a network for an array of samples.

    Parameters
    ----------
    inputs
        Whole numbers, ``(samples, *shape)`` for samples that stay the same, or
        ``(samples, time, *shape)``; ``shape`` may be flattened.
    shape
        Of one step of the network's input.

    Raises
    ------
    DataError
        When the array is empty, fits neither form, or a value is not a whole number of 32 bits,
        which is what a spike carries. The message does not name the file.
    """
    with np.errstate(invalid="ignore"):  # casting NaN; noticed by the comparison below
        messages = inputs.astype(np.int32) if inputs.dtype.kind in "iufb" else None
    if messages is None or not np.array_equal(messages, inputs):
        raise DataError(
            f"inputs must be whole numbers of 32 bits; these {inputs.dtype} are not all"
        )
    size = int(np.prod(shape))
    forms = {tuple(shape), (size,)}
    integers = messages.astype(np.int64)
    if integers.shape[1:] in forms:
        found = Trains(integers.reshape(1, len(integers), size), None)
    elif integers.ndim > 1 and integers.shape[2:] in forms:
        turned = integers.reshape(*integers.shape[:2], size).transpose(1, 0, 2)
        found = Trains(np.ascontiguousarray(turned), integers.shape[1])
    else:
        sizes = ", ".join(map(str, shape))
        raise DataError(
            f"inputs of shape {inputs.shape} do not fit the network: expected "
            f"(samples, time, {sizes}) or (samples, {sizes})"
        )
    if not integers.size:
        raise DataError(f"is of shape {inputs.shape}: holds no samples or no time steps")
    return found


def check_steps(steps: int) -> None:
    """Refuse a number of time steps that no sample can have.

    Raises
    ------
    ConfigError
        When it is below 1 or above :data:`tssl.chip.MOST_STEPS`.
    """
    if steps < 1:
        raise ConfigError(f"--steps {steps}: at least 1 is needed")
    if steps > MOST_STEPS:
        raise ConfigError(f"--steps {steps}: at most {MOST_STEPS} are possible")


def random_spikes(
    rng: np.random.Generator, shape: tuple[int, ...], density: float = DENSITY
) -> NDArray[np.bool_]:
    """Return where random spikes are in an array of such a shape."""
    return rng.random(shape) < density
