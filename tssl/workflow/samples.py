"""What an export is calibrated on and proven with: a data set, an array, or random spikes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.checkpoint import Checkpoint
from tssl.chip import IntArray
from tssl.errors import DataError
from tssl.workflow.arrays import DENSITY, INPUTS, opened, random_spikes, trains_of
from tssl.workflow.nir import facts_of

__all__ = ["Samples", "samples_for"]


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
        An array, or a file of one; random spikes when None. Values that are one at every step
        are added behind those of the array.
    frames, proof
        Time steps of all samples together to calibrate on; samples to prove with.

    Raises
    ------
    DataError
        When the data do not fit the network.
    """
    if data is None:
        return _random(checkpoint, -(-frames // checkpoint.graph.time_steps), proof)
    facts = facts_of(checkpoint)
    values, name = opened(data, INPUTS, "data")
    try:
        train, steps = trains_of(values, tuple(facts["input_shape"]))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    ones = np.ones((*train.shape[:2], facts["always_on"]), np.int64)
    train = np.ascontiguousarray(np.concatenate([train, ones], axis=2))
    few = -(-frames // (steps or checkpoint.graph.time_steps))
    return Samples(
        calibration=train[:, :few],
        proof=train[:, :proof],
        span=(min(0, int(train.min())), max(1, int(train.max()))),
        time_steps=steps,
        text=name,
    )


def _random(checkpoint: Checkpoint, calibration: int, proof: int) -> Samples:
    """Return random spikes, as `tssl verify` draws them, other ones for the proof."""
    inputs, steps = int(np.prod(checkpoint.input_shape)), checkpoint.graph.time_steps
    trains: list[Any] = [  # in bytes, because they are many
        random_spikes(np.random.default_rng(seed), (steps, samples, inputs)).astype(np.uint8)
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
