"""What an export is calibrated on and proven with: a data set, an array, or random spikes."""

from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tssl.checkpoint import Checkpoint
from tssl.chip import IntArray
from tssl.errors import DataError
from tssl.machine.files import pointer_hint, printable
from tssl.workflow.nir import facts_of

__all__ = ["Samples", "array_of", "of_array", "samples_for"]

DENSITY = 0.3
"""Of random spikes."""
_INT32 = 1 << 31


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Integers for an export.

    Parameters
    ----------
    calibration, proof
        ``(time or 1, samples, inputs)``.
    span
        Smallest and largest integer that can enter.
    time_steps
        Of a sample; None for those of the network.
    text
        What it is, for people.
    """

    calibration: IntArray
    proof: IntArray
    span: tuple[int, int]
    time_steps: int | None
    text: str


def samples_for(
    checkpoint: Checkpoint, data: Path | NDArray[Any] | None, frames: int, proof: int
) -> Samples:
    """Return samples for a network that came without a data set.

    Parameters
    ----------
    data
        An array, or a file of one; random spikes when None.
    frames, proof
        Time steps of all samples together to calibrate on; samples to prove with.

    Raises
    ------
    DataError
        When the data do not fit the network.
    """
    if data is None:
        return _random(checkpoint, -(-frames // checkpoint.graph.time_steps), proof)
    values, name = (array_of(data), printable(data)) if isinstance(data, Path) else (data, "data")
    facts = facts_of(checkpoint)
    found = of_array(values, name, tuple(facts["input_shape"]), facts["always_on"], proof)
    few = -(-frames // (found.time_steps or checkpoint.graph.time_steps))
    return replace(found, calibration=found.calibration[:, :few])


def _random(checkpoint: Checkpoint, calibration: int, proof: int) -> Samples:
    """Return random spikes, as `tssl verify` draws them, other ones for the proof."""
    inputs, steps = int(np.prod(checkpoint.input_shape)), checkpoint.graph.time_steps
    trains: list[Any] = [  # in bytes, because they are many
        (np.random.default_rng(seed).random((steps, samples, inputs)) < DENSITY).astype(np.uint8)
        for seed, samples in enumerate((calibration, proof))
    ]
    own = inputs - facts_of(checkpoint)["always_on"]
    for train in trains:
        train[..., own:] = 1
    return Samples(
        calibration=trains[0],
        proof=trains[1],
        span=(0, 1),
        time_steps=None,
        text=f"random spikes, density {DENSITY:g}, seeds 0 and 1",
    )


def array_of(path: Path) -> NDArray[Any]:
    """Return the array in a ``.npy`` file, or the one called ``x``, or the only one, of a ``.npz``.

    Raises
    ------
    DataError
        When there is none.
    """
    name = printable(path)
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            keys = found.files
            key = "x" if "x" in keys else keys[0] if len(keys) == 1 else None
            if key is None:
                raise DataError(
                    f"{name}: holds {', '.join(sorted(keys)) or 'nothing'}; one array, or one "
                    "called x, is expected"
                )
            return np.asarray(found[key])
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, EOFError, BadZipFile, TokenError, SyntaxError) as error:
        raise DataError(
            f"{name}: is not a .npy or .npz file of numbers{pointer_hint(path)}"
        ) from error
    except MemoryError as error:
        raise DataError(f"{name}: does not fit into memory: {error}") from error


def of_array(
    values: NDArray[Any], name: str, shape: tuple[int, ...], always_on: int, proof: int
) -> Samples:
    """Return the samples of an array ``(samples, *shape)`` or ``(samples, time, *shape)``.

    Parameters
    ----------
    shape
        Of one step of the network's own input; it may be flattened.
    always_on
        Values behind it that are one at every step; they are added where the array has them not.
    proof
        Samples for the proof, the first so many.

    Raises
    ------
    DataError
        When the shape fits neither, or a value is no whole number of 32 bits.
    """
    inputs = int(np.prod(shape))
    with np.errstate(invalid="ignore"):  # casting NaN; noticed by the comparison
        integers = values.astype(np.int64) if values.dtype.kind in "iufb" else None
    if integers is None or not np.array_equal(integers, values):
        raise DataError(f"{name}: inputs must be whole numbers; these {values.dtype} are not all")
    if integers.size and np.abs(integers).max() >= _INT32:
        raise DataError(f"{name}: an input does not fit the 32 bits of a spike")
    forms = (tuple(shape), (inputs,))
    if integers.size and integers.shape[1:] in forms:
        train = integers.reshape(1, len(integers), inputs)
    elif integers.size and integers.ndim > 2 and integers.shape[2:] in forms:
        train = integers.reshape(*integers.shape[:2], inputs).transpose(1, 0, 2)
    else:
        sizes = ", ".join(map(str, shape))
        raise DataError(
            f"{name}: has shape {values.shape}; the network takes (samples, time, {sizes}) or "
            f"(samples, {sizes}), not empty"
        )
    ones = np.ones((*train.shape[:2], always_on), np.int64)
    train = np.ascontiguousarray(np.concatenate([train, ones], axis=2))
    return Samples(
        calibration=train,
        proof=train[:, :proof],
        span=(min(0, int(train.min())), max(1, int(train.max()))),
        time_steps=len(train) if len(train) > 1 else None,
        text=name,
    )
