"""One figure of a profile: a value with its unit, kind, source and band."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tssl.costs import Kind, Quantity

__all__ = [
    "Axons",
    "Bits",
    "Channels",
    "Chips",
    "Cores",
    "Figure",
    "Groups",
    "Hertz",
    "Joules",
    "Levels",
    "Neurons",
    "POSITIVE",
    "Pixels",
    "RealBits",
    "Seconds",
    "Section",
    "Synapses",
    "Tiles",
    "TimeSteps",
    "WHOLE",
    "Watts",
    "Words",
    "unit_is",
]

_LARGEST = 1e18
_WIDEST = 32


class Section(BaseModel):
    """What all tables of a profile have in common: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Figure(Section):
    """One figure of a profile.

    Parameters
    ----------
    low, high
        The band, when somebody gives one.
    """

    value: float = Field(ge=0, le=_LARGEST)
    unit: str = Field(min_length=1)
    kind: Kind
    source: str = Field(min_length=1)
    low: float | None = Field(default=None, ge=0)
    high: float | None = Field(default=None, le=_LARGEST)

    @property
    def quantity(self) -> Quantity:
        """The figure as it travels to a report."""
        return Quantity(
            value=self.value,
            unit=self.unit,
            kind=self.kind,
            source=self.source,
            low=self.value if self.low is None else self.low,
            high=self.value if self.high is None else self.high,
        )

    @model_validator(mode="after")
    def _check_band(self) -> "Figure":
        if not self.source.strip():
            raise ValueError("source is blank; say who gives the figure")
        if self.low is not None and self.low > self.value:
            raise ValueError(f"low = {self.low} is above value = {self.value}")
        if self.high is not None and self.high < self.value:
            raise ValueError(f"high = {self.high} is below value = {self.value}")
        return self


def unit_is(unit: str) -> AfterValidator:
    """Return a check that a figure has this unit; prefixes such as pJ are not understood."""

    def check(figure: Figure) -> Figure:
        if figure.unit != unit:
            raise ValueError(f"unit = {figure.unit!r}; it must be {unit!r}")
        return figure

    return AfterValidator(check)


def _whole(figure: Figure) -> Figure:
    if figure.value != int(figure.value):
        raise ValueError(f"value = {figure.value}; it must be a whole number")
    return figure


def _positive(figure: Figure) -> Figure:
    if figure.value < 1:
        raise ValueError(f"value = {figure.value}; it must be at least 1")
    return figure


def _field_width(figure: Figure) -> Figure:
    if figure.value > _WIDEST:
        raise ValueError(f"value = {figure.value:g}; fields of up to {_WIDEST} bits are known")
    return figure


WHOLE = AfterValidator(_whole)
POSITIVE = AfterValidator(_positive)
Joules = Annotated[Figure, unit_is("J")]
Watts = Annotated[Figure, unit_is("W")]
Seconds = Annotated[Figure, unit_is("s")]
Hertz = Annotated[Figure, unit_is("Hz")]
Bits = Annotated[Figure, unit_is("bit"), WHOLE, AfterValidator(_field_width)]
RealBits = Annotated[Figure, unit_is("bit")]
TimeSteps = Annotated[Figure, unit_is("time steps"), WHOLE]
Chips = Annotated[Figure, unit_is("chips"), WHOLE, POSITIVE]
Cores = Annotated[Figure, unit_is("cores"), WHOLE, POSITIVE]
Neurons = Annotated[Figure, unit_is("neurons"), WHOLE, POSITIVE]
Words = Annotated[Figure, unit_is("words of 64 bit"), WHOLE, POSITIVE]
Axons = Annotated[Figure, unit_is("axons"), WHOLE, POSITIVE]
Groups = Annotated[Figure, unit_is("groups"), WHOLE, POSITIVE]
Synapses = Annotated[Figure, unit_is("synapses"), WHOLE, POSITIVE]
Levels = Annotated[Figure, unit_is("values"), WHOLE, POSITIVE]
Pixels = Annotated[Figure, unit_is("pixels"), WHOLE, POSITIVE]
Channels = Annotated[Figure, unit_is("channels"), WHOLE, POSITIVE]
Tiles = Annotated[Figure, unit_is("tiles"), WHOLE, POSITIVE]
