"""A hardware profile: a TOML file in which every figure has a unit, a kind and a source."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from tssl.chip import ChipLimits
from tssl.costs import Kind, Quantity
from tssl.errors import ConfigError
from tssl.files import read_toml

_FOLDER = Path(__file__).parent


class _Section(BaseModel):
    """What all tables of a profile have in common: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Figure(_Section):
    """One figure of a profile.

    Parameters
    ----------
    low, high
        The band, when somebody gives one.
    """

    value: float = Field(ge=0)
    unit: str
    kind: Kind
    source: str = Field(min_length=1)
    low: float | None = Field(default=None, ge=0)
    high: float | None = None

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
        if self.low is not None and self.low > self.value:
            raise ValueError(f"low = {self.low} is above value = {self.value}")
        if self.high is not None and self.high < self.value:
            raise ValueError(f"high = {self.high} is below value = {self.value}")
        return self


def _in(unit: str) -> AfterValidator:
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


_Count = AfterValidator(_whole)
Joules = Annotated[Figure, _in("J")]
Watts = Annotated[Figure, _in("W")]
Seconds = Annotated[Figure, _in("s")]
Bits = Annotated[Figure, _in("bit"), _Count]


class Chip(_Section):
    """Who makes it and how it is used.

    Parameters
    ----------
    operating_point
        Voltage, mode and number of chips that the prices stand for, in words.
    energy_model
        "marginal": prices add up; "all_in": the price of a synaptic operation already
        contains everything else, so all other prices must be zero.
    reset_interval
        Which intervals between resets the chip offers, in time steps.
    """

    title: str
    vendor: str
    description: str
    operating_point: str
    energy_model: Literal["marginal", "all_in"]
    reset_interval: Literal["any", "power of two"]

    def steps_between_resets(self, time_steps: int) -> int:
        """Return the shortest interval on offer that holds a sample of so many steps."""
        return time_steps if self.reset_interval == "any" else 1 << (time_steps - 1).bit_length()


class Limits(_Section):
    """What the fields, a core and the chip hold.

    Parameters
    ----------
    synapse_overhead_bits
        Synaptic memory that a dense synapse takes beyond its weight.
    """

    weight_bits: Bits
    threshold_bits: Bits
    graded_spike_bits: Bits
    max_delay: Annotated[Figure, _in("time steps"), _Count]
    cores_per_chip: Annotated[Figure, _in("cores"), _Count]
    neurons_per_core: Annotated[Figure, _in("neurons"), _Count]
    synapse_words_per_core: Annotated[Figure, _in("words of 64 bit"), _Count]
    synapse_overhead_bits: Annotated[Figure, _in("bit")]
    input_axons_per_core: Annotated[Figure, _in("axons"), _Count]


class Energy(_Section):
    """What is paid per operation, and all the time."""

    synaptic_operation: Joules
    neuron_update_active: Joules
    neuron_update_inactive: Joules
    spike_within_tile: Joules
    static_power_per_chip: Watts


class Time(_Section):
    """How long operations take.

    Parameters
    ----------
    barrier_rule
        "added": the barrier begins when the slowest core is done; "folded": it runs
        beside the work, and only the longer of both counts.
    """

    synaptic_operation: Seconds
    neuron_update_active: Seconds
    neuron_update_inactive: Seconds
    barrier: Seconds
    minimum_step: Seconds
    barrier_rule: Literal["added", "folded"]

    @model_validator(mode="after")
    def _check_step(self) -> "Time":
        if not self.barrier.quantity.low and not self.minimum_step.quantity.low:
            raise ValueError("barrier and minimum_step cannot both be 0: a step takes time")
        return self


class Profile(_Section):
    """A chip as the cost model sees it; ``name`` is the name of its file."""

    chip: Chip
    figures: Limits = Field(alias="limits")
    energy: Energy
    time: Time
    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Under which ``load_profile`` finds it."""
        return self._name

    @property
    def limits(self) -> ChipLimits:
        """Widths of the fields that an exported network must fit."""
        return ChipLimits(
            weight_bits=int(self.figures.weight_bits.value),
            threshold_bits=int(self.figures.threshold_bits.value),
            graded_spike_bits=int(self.figures.graded_spike_bits.value),
            max_delay=int(self.figures.max_delay.value),
        )

    @model_validator(mode="after")
    def _check_energy_model(self) -> "Profile":
        contained = {
            name: figure.value
            for name, figure in self.energy
            if name != "synaptic_operation" and figure.value
        }
        if self.chip.energy_model == "all_in" and contained:
            raise ValueError(
                f"chip.energy_model = 'all_in' already contains energy.{next(iter(contained))}; "
                "set its value to 0"
            )
        return self


def profile_names() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_profile(name_or_path: str | Path) -> Profile:
    """Read a shipped profile by name, or any profile by the path of its ``.toml`` file.

    Raises
    ------
    ConfigError
        When there is no such profile, a key is unknown or missing, or a value is wrong.
    """
    path = _path(name_or_path)
    tables = read_toml(path)
    try:
        profile = Profile.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(_explained(path, error)) from error
    profile._name = path.stem
    return profile


def _path(name_or_path: str | Path) -> Path:
    if str(name_or_path) in profile_names():
        return _FOLDER / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if path.suffix == ".toml":
        return path
    raise ConfigError(
        f"there is no hardware profile {str(name_or_path)!r}; shipped are "
        f"{', '.join(profile_names())}, and a path must end in .toml"
    )


def _explained(path: Path, error: ValidationError) -> str:
    """Return one line about one thing that is wrong.

    Of a misspelt key, which is also a missing one, the misspelling is shown.
    """
    problems = error.errors(include_url=False)
    shown = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    location = [str(part) for part in shown["loc"]]
    known = ", ".join(_known_keys(Profile, location[:-1]))
    if shown["type"] == "extra_forbidden":
        text = f"is no key of a profile; allowed here are {known}"
    elif shown["type"] == "missing":
        text = f"is missing; the keys here are {known}"
    elif shown["type"] == "model_type":
        text = "must be a table"
    else:
        text = shown["msg"].removeprefix("Value error, ")
        if isinstance(shown["input"], str | float | int):
            text += f", not {shown['input']!r}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ": ".join([str(path), *filter(None, [".".join(location)]), text]) + more


def _known_keys(model: type[BaseModel], location: list[str]) -> list[str]:
    """Return the keys of the table at ``location``."""
    for part in location:
        fields = _by_key(model)
        annotation: Any = fields[part].annotation if part in fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(_by_key(model))


def _by_key(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}
