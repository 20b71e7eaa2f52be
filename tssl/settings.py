"""Values that a user may write into a file of settings, checked strictly."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = [
    "Above0",
    "AtLeast0",
    "Entries",
    "NonNegative",
    "NonNegativePair",
    "Number",
    "Positive",
    "PositivePair",
    "Seed",
    "Share",
    "TimeConstant",
    "with_pairs",
]

_LARGEST, _SMALLEST = 1e30, 1e-30


def _within_float32(value: float) -> float:
    """Refuse numbers that training in single precision would turn into zero or infinity."""
    if value and not _SMALLEST <= abs(value) <= _LARGEST:
        raise ValueError(f"must be 0 or between {_SMALLEST:g} and {_LARGEST:g} in magnitude")
    return value


# strict: a text or a boolean is no number
Number = Annotated[float, Field(strict=True), AfterValidator(_within_float32)]
Above0 = Annotated[Number, Field(gt=0)]
AtLeast0 = Annotated[Number, Field(ge=0)]
TimeConstant = Annotated[Number, Field(ge=1.0, le=4096.0)]
Share = Annotated[Number, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(gt=0, le=1_000_000_000, strict=True)]
NonNegative = Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=1 << 63, strict=True)]
PositivePair = tuple[Positive, Positive]
NonNegativePair = tuple[NonNegative, NonNegative]


class Entries(BaseModel):
    """A table whose keys must be known and whose values finite and of the right type."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )


def with_pairs(values: Any, keys: tuple[str, ...]) -> Any:  # noqa: ANN401 - unvalidated
    """Let a single number stand for a pair."""
    if not isinstance(values, dict):
        return values
    single = {key: (values[key],) * 2 for key in keys if _is_single(values.get(key))}
    return {**values, **single}


def _is_single(value: object) -> bool:
    return value is not None and not isinstance(value, list | tuple | dict)
