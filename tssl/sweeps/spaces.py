"""Values that a sweep tries for a key: some, or all between two ends."""

import json
import math
from typing import Any, TypeAlias

from pydantic import model_validator

from tssl.settings import Entries

__all__ = ["Choices", "Range", "Space"]


class Choices(Entries):
    """Some values, each as a recipe has it.

    Parameters
    ----------
    values
        At least one, all different.
    """

    values: tuple[Any, ...]

    @model_validator(mode="after")
    def _check(self) -> "Choices":
        if not self.values:
            raise ValueError("has no values; give at least one")
        texts = [json.dumps(value, sort_keys=True) for value in self.values]
        if len(set(texts)) < len(texts):
            twice = next(text for text in texts if texts.count(text) > 1)
            raise ValueError(f"has the value {twice} twice")
        return self

    @property
    def ends(self) -> tuple[Any, ...]:
        """All values: each of them must be allowed."""
        return self.values


class Range(Entries):
    """All values from ``low`` to ``high``, both included; whole numbers where both ends are.

    Parameters
    ----------
    log
        Whether a search takes ratios, and not differences, to be equally far.
    """

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> "Range":
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError("needs finite ends")
        if self.low >= self.high:
            raise ValueError(f"from {self.low} to {self.high} is empty; the lower end comes first")
        if self.log and self.low <= 0:
            raise ValueError(f"begins at {self.low}; a logarithmic range begins above 0")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The smallest and the largest value."""
        return (self.low, self.high)


Space: TypeAlias = Choices | Range
