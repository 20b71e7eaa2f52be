"""How data become the input of a network: integers, and these spikes."""

import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.chip.numbers import INT32_LIMIT, IntArray
from tssl.errors import RangeError


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Turn samples into integers, ``round((x - offset) * gain)``, and these into input.

    As graded spikes, the same integers enter at every time step; ties round to even. With
    ``steps``, an integer is when a spike comes: k at step ``steps - k``, counted from 0, so that
    the largest come first, and none where k is below 1. The trainer, the engine and Lava all call
    these functions.

    Parameters
    ----------
    offset, gain
        In units of the data set's own values (pixels 0...255, say).
    quantum
        Value that one unit of what enters stands for in the trained network.
    steps
        In which single spikes come, or None for graded spikes.

    Raises
    ------
    RangeError
        When one of them is not a finite number.
    """

    offset: float
    gain: float
    quantum: float
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and (type(self.steps) is not int or self.steps < 1):
            raise RangeError(f"encoding: steps = {self.steps!r:.40} is not a number of steps")
        for name in ("offset", "gain", "quantum"):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not abs(value) <= sys.float_info.max:
                raise RangeError(f"encoding: {name} = {value!r:.40} is not a finite number")

    def integers(self, inputs: NDArray[np.generic]) -> IntArray:
        """Return the graded spikes, same shape as ``inputs``.

        Raises
        ------
        RangeError
            When one does not fit the 32 bits that a spike carries.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # noticed by the comparison below
            graded = np.rint((inputs.astype(np.float64) - self.offset) * self.gain)
        if not (np.abs(graded) < INT32_LIMIT).all():
            raise RangeError(f"{self}: an input spike does not fit 32 bits")
        return graded.astype(np.int64)

    def train(self, integers: IntArray, time_steps: int) -> IntArray:
        """Return what enters for integers ``(samples, ...)``, ``(time or 1, samples, inputs)``."""
        flat = integers.reshape(1, len(integers), -1)
        if self.steps is None:
            return flat
        first = np.where(flat > 0, self.steps - flat, time_steps)
        spikes: Any = np.zeros((time_steps, *flat.shape[1:]), np.uint8)  # they are many
        for step in range(min(self.steps, time_steps)):
            spikes[step] = first[0] == step
        return spikes

    def span(self, low: float, high: float) -> tuple[int, int]:
        """Return the smallest and the largest integer that enters for samples in a range."""
        if self.steps is not None:
            return 0, 1
        ends = self.integers(np.array([low, high]))
        return int(ends[0]), int(ends[1])

    @property
    def document(self) -> dict[str, Any]:
        """What :class:`Encoding` takes, as JSON data."""
        return {name: value for name, value in asdict(self).items() if value is not None}
