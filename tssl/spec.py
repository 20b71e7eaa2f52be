"""What a user writes: a recipe (data, encoding, network, training), validated, as TOML."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import tomli_w
from pydantic import BaseModel, Field, ValidationError, model_validator

from tssl.chip import INPUT
from tssl.errors import ConfigError
from tssl.files import read_toml
from tssl.graph.kinds import KINDS, LayerEntry
from tssl.settings import (
    Above0,
    AtLeast0,
    Entries,
    NonNegative,
    Number,
    Positive,
    Seed,
    TimeConstant,
)

__all__ = [
    "AugmentationSpec",
    "DataSpec",
    "EncodingSpec",
    "LayerSpec",
    "NetworkSpec",
    "Recipe",
    "TrainingSpec",
    "load_recipe",
    "recipe_from_tables",
]

_SPIKE_LIMIT = float(1 << 31)
_BIAS_LIMIT = (1 << 12) - 1
"""Of a neuron's bias, which has 13 bits on Loihi."""
_BRIGHT = 0.75
"""Share of the brightest value at which an input neuron fires at every step."""
_SHOWN = 80


class DataSpec(Entries):
    """Which data set the network is trained on.

    Parameters
    ----------
    name
        See ``tssl data list``.
    bin_us
        Events: microseconds of a time step; the data set's own when None.
    """

    name: str
    bin_us: Positive | None = None


class EncodingSpec(Entries):
    """How a static image becomes input, the same integers at every time step.

    A pixel ``x`` in 0...1 becomes the integer ``round((x - mean) / std * resolution)``. As a
    graded spike, the network trains on ``integer / resolution``; as the bias of an input
    neuron, it trains on the spikes that the neuron fires. Nothing is lost at export.

    Parameters
    ----------
    input
        ``graded`` spikes, or ``neurons`` that integrate the integers without a leak, fire
        when the sum reaches a threshold, and begin again at zero.
    mean, std
        Normalisation in units of the full scale of a pixel.
    resolution
        Integers per unit of the normalised input. More of them leave fewer bits to the
        weights of the first layer, because the product must fit the chip's state. With input
        neurons they cost nothing.
    input_threshold
        Of input neurons, in units of the normalised input; 0.75 of the brightest when None.
    """

    input: Literal["graded", "neurons"] = "graded"

    mean: Number = 0.0
    std: Above0 = 1.0
    resolution: Annotated[Number, Field(gt=0, le=4096)] = 15.0
    input_threshold: Above0 | None = None

    @property
    def brightest(self) -> float:
        """Largest value of the normalised input."""
        return (1 - self.mean) / self.std

    @property
    def quantum(self) -> float:
        """What one unit of what enters the first layer stands for in the trained network."""
        return 1.0 if self.input == "neurons" else 1 / self.resolution

    @property
    def firing_sum(self) -> int:
        """Sum of biases at which an input neuron fires."""
        threshold = self.input_threshold or _BRIGHT * self.brightest
        return max(1, round(threshold * self.resolution))

    @model_validator(mode="after")
    def _check_integers(self) -> "EncodingSpec":
        largest = max(abs(self.mean), abs(1 - self.mean)) / self.std * self.resolution
        if largest >= _SPIKE_LIMIT:
            raise ValueError(
                f"a pixel becomes an integer of {largest:.3g}, more than the 32 bits of a spike: "
                "use a larger std or a smaller mean or resolution"
            )
        if self.input == "neurons" and round(largest) > _BIAS_LIMIT:
            raise ValueError(
                f"a pixel becomes a bias of {largest:.5g}; input neurons take {-_BIAS_LIMIT}..."
                f"{_BIAS_LIMIT}: use a smaller resolution"
            )
        return self

    @model_validator(mode="after")
    def _check_input_neurons(self) -> "EncodingSpec":
        if self.input == "graded" and self.input_threshold is not None:
            raise ValueError("input_threshold is of input = 'neurons'; graded spikes have none")
        if self.input == "neurons" and self.brightest <= 0:
            raise ValueError(f"mean = {self.mean:g}: no input neuron would fire; use one below 1")
        return self


if TYPE_CHECKING:
    LayerSpec = LayerEntry
else:
    LayerSpec = Annotated[
        Union[tuple(kind.entry for kind in KINDS.values())],  # noqa: UP007 - made of a table
        Field(discriminator="type"),
    ]


class AugmentationSpec(Entries):
    """How training pictures are varied from epoch to epoch.

    Parameters
    ----------
    crop_padding
        Pictures are moved by up to so many pixels each way; black moves in.
    flip
        Whether every second picture is mirrored left to right.
    """

    crop_padding: Annotated[NonNegative, Field(le=64)] = 0
    flip: Annotated[bool, Field(strict=True)] = False


class NetworkSpec(Entries):
    """Layers of TSSL-BP neurons, each behind its sources.

    Parameters
    ----------
    time_steps
        Steps for which a sample is shown.
    tau_m, tau_s
        Time constants of membrane and synapse in time steps.
    threshold
        Firing threshold of the layers that do not name their own.
    """

    time_steps: Annotated[Positive, Field(le=1000)] = 5
    tau_m: TimeConstant = 5.0
    tau_s: TimeConstant = 3.0
    threshold: Above0 = 1.0
    layers: Annotated[tuple[LayerSpec, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> "NetworkSpec":
        last = self.layers[-1].type
        if not KINDS[last].has_neurons:
            raise ValueError(f"the last layer must have neurons; it is a {last}")
        names = self.layer_names
        for name in names:
            if names.count(name) > 1 or name == INPUT:
                raise ValueError(f"the name {name!r} is taken; every layer needs its own")
        self._check_sources(dict(zip(names, self.layers, strict=True)))
        return self

    def _check_sources(self, layers: dict[str, LayerEntry]) -> None:
        """Refuse sources that are not there, and layers that nobody listens to."""
        heard: set[str] = set()
        known = {INPUT: False}
        """Whether what a layer sends has lost its shape, by name."""
        for number, (name, sources) in enumerate(self.sources.items(), start=1):
            kind = KINDS[layers[name].type]
            for source in sources:
                if source not in known:
                    raise ValueError(
                        f"layer {name} listens to {source!r}, which is no layer before it; there "
                        f"are {', '.join(known)}"
                    )
                if known[source] and kind.needs_image:
                    raise ValueError(
                        f"layer {number} ({layers[name].type}) cannot follow a dense layer"
                    )
            if len(set(sources)) < len(sources):
                raise ValueError(f"layer {name} listens twice to one layer: {', '.join(sources)}")
            heard |= set(sources)
            known[name] = not kind.gives_image
        for name in list(layers)[:-1]:
            if name not in heard:
                raise ValueError(f"layer {name}: no layer listens to it; name it in a `from`")

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Their own names, or such as ``conv1``, ``pool2``, ``dense3``."""
        return tuple(
            layer.name or f"{layer.type}{number}"
            for number, layer in enumerate(self.layers, start=1)
        )

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """The layers that each one listens to, by name."""
        before = (INPUT, *self.layer_names[:-1])
        return {
            name: layer.sources or (default,)
            for name, layer, default in zip(self.layer_names, self.layers, before, strict=True)
        }


class TrainingSpec(Entries):
    """How the network is trained.

    Parameters
    ----------
    rule
        Learning rule, see ``tssl.trainer.rules.RULES``.
    forward
        ``chip`` computes spikes in the integers of a chip, so that the accuracy is that of the
        exported network; it goes on from a run trained in ``float``, or is so for the last quarter
        of its epochs.
    precision
        Of a training step's products: ``tf32`` rounds their factors to 10 bits of mantissa,
        ``bfloat16`` factors and results to 7. Weights, neurons and evaluation stay in float32,
        and so do the products among the neurons of a recurrent layer.
    reset_term
        What the rule tssl-bp makes of the reset after a spike: ``official`` as the official
        code, ``chain`` as the chain rule gives, or ``none``.
    warm_up
        When the rule tssl-bp takes a surrogate gradient: ``neuron`` for neurons that did not
        fire recently, as the official code; ``layer`` for whole layers of which fewer than a
        tenth fire at a step, as it did when the paper came out; ``none`` never.
    loss
        ``kernel`` compares post-synaptic potentials with a desired one, ``count`` their
        sums with ``desired_count`` and ``undesired_count``, ``softmax`` is cross-entropy
        over the sums.
    target_filter
        How often the desired spike train passes the synapse filter before the kernel loss
        compares it: ``once`` as the output, or ``twice`` as the official code does.
    clip_norm
        Largest norm of the gradient of all weights together.
    weight_limit
        Weights are clamped to plus or minus this after every step.
    lr_schedule
        ``constant``; ``cosine`` falls to zero over all epochs; ``step`` multiplies by
        ``lr_factor`` after every ``lr_step`` epochs.
    validation
        Share of the training set held out to choose the best epoch.
    patience
        Training ends after so many epochs without a better held-out accuracy; 0: never.
    smallest_rate
        Layers that fire less often than this, in spikes per neuron and step, start with larger
        weights; 0 leaves the weights as they are.
    """

    rule: str = "tssl-bp"
    forward: Literal["float", "chip"] = "float"
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    reset_term: Literal["official", "chain", "none"] = "official"
    warm_up: Literal["neuron", "layer", "none"] = "neuron"
    loss: Literal["kernel", "count", "softmax"] = "kernel"
    target_filter: Literal["once", "twice"] = "twice"
    desired_count: AtLeast0 = 5.0
    undesired_count: AtLeast0 = 1.0
    epochs: Positive = 10
    batch_size: Positive = 50
    lr: Above0 = 5e-4
    weight_decay: AtLeast0 = 0.01
    clip_norm: Above0 = 1.0
    weight_limit: Above0 = 4.0
    lr_schedule: Literal["constant", "cosine", "step"] = "constant"
    lr_step: Positive = 30
    lr_factor: Annotated[Above0, Field(le=1)] = 0.1
    validation: Annotated[AtLeast0, Field(le=0.5)] = 0.1
    patience: NonNegative = 0
    smallest_rate: Annotated[AtLeast0, Field(lt=0.5)] = 0.001
    seed: Seed = 0

    @model_validator(mode="after")
    def _check_precision(self) -> "TrainingSpec":
        if self.forward == "chip" and self.precision != "float32":
            raise ValueError(
                f"precision = {self.precision!r} would round the integers of forward = 'chip'; "
                "use 'float32'"
            )
        return self

    @model_validator(mode="after")
    def _check_patience(self) -> "TrainingSpec":
        if self.patience and not self.validation:
            raise ValueError("patience needs held-out samples: set validation above 0")
        return self


class Recipe(Entries):
    """Everything that decides a training run, apart from the machine."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    data: DataSpec
    encoding: EncodingSpec = EncodingSpec()
    augmentation: AugmentationSpec = AugmentationSpec()
    network: NetworkSpec
    training: TrainingSpec = TrainingSpec()

    @model_validator(mode="after")
    def _check_target(self) -> "Recipe":
        steps = self.network.time_steps
        if self.training.loss == "kernel" and steps != 5 and (steps < 10 or steps % 10):
            raise ValueError(
                f"network.time_steps = {steps}: the kernel loss has a desired spike train only "
                "for 5 steps and multiples of 10; use training.loss = 'count' or 'softmax'"
            )
        return self

    @model_validator(mode="after")
    def _check_input_neurons(self) -> "Recipe":
        """Refuse neurons that never fire, however bright their pixel."""
        encoding, steps = self.encoding, self.network.time_steps
        reached = steps * round(encoding.brightest * encoding.resolution)
        if encoding.input == "neurons" and reached < encoding.firing_sum:
            raise ValueError(
                f"encoding: no input neuron fires in {steps} steps; use a smaller "
                "input_threshold, a larger resolution or more time_steps"
            )
        return self

    def to_toml(self) -> str:
        """Return the recipe as TOML text, every default spelled out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True, by_alias=True))


_SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataSpec,
    "encoding": EncodingSpec,
    "augmentation": AugmentationSpec,
    "network": NetworkSpec,
    "training": TrainingSpec,
}
_LAYERS: dict[str, type[BaseModel]] = {name: kind.entry for name, kind in KINDS.items()}
_TABLE, _LIST = "must be a table", "must be a list"
_PLAIN = {
    "missing": "a number is missing; one number, or a pair (height, width), is expected",
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "tuple_type": _LIST,
    "too_short": "at least one layer is needed",
    "too_long": "a pair (height, width) is expected",
    "string_pattern_mismatch": "must be letters, digits, '.', '_' and '-', and not begin with "
    "one of the signs",
}
"""What pydantic says of a table or list in Python's words, in those of a TOML file."""


def load_recipe(path: Path, settings: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe file and change some of its keys.

    Parameters
    ----------
    settings
        New values by key; ``section.key``, or the bare key where only one section has it. Of
        several for one key the last counts.

    Raises
    ------
    ConfigError
        When the file cannot be read, a key is unknown or a value is not allowed.
    """
    tables = read_toml(path)
    for key, value in (settings or {}).items():
        _set(tables, key, value)
    shown = ", ".join(_short(f"{key}={value}") for key, value in (settings or {}).items())
    return recipe_from_tables(tables, f"{path} with {shown}" if settings else str(path))


def recipe_from_tables(tables: dict[str, Any], origin: str) -> Recipe:
    """Validate a recipe given as nested dictionaries; ``origin`` names it in errors."""
    try:
        return Recipe.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_first_problem(error)}") from error


def _set(tables: dict[str, Any], key: str, value: object) -> None:
    """Set one ``section.key`` in place; a bare key is looked up in the sections."""
    path = _full_key(key).split(".")
    table = tables
    for name in path[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"setting {key!r}: {name} is not a table")
    table[path[-1]] = value


def _full_key(key: str) -> str:
    if "." in key or key in Recipe.model_fields:
        return key
    found = [f"{name}.{key}" for name, model in _SECTIONS.items() if key in model.model_fields]
    if len(found) == 1:
        return found[0]
    known = sorted({field for model in _SECTIONS.values() for field in model.model_fields})
    raise ConfigError(f"setting {key!r}: unknown key{_did_you_mean(key, known)}")


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    location = [  # behind the number of a layer, pydantic puts its type
        part
        for index, part in enumerate(problem["loc"])
        if not index or not isinstance(problem["loc"][index - 1], int)
    ]
    where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in location)
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key '{where}'{_did_you_mean(str(location[-1]), _keys_at(problem['loc']))}"
    if kind == "union_tag_not_found":
        return f"key '{where}.type' is missing; it is {' or '.join(_LAYERS)}"
    if kind == "missing" and not isinstance(location[-1], int):
        return f"key '{where}' is missing"
    if kind == "union_tag_invalid":
        return f"{where}.type: must be {' or '.join(_LAYERS)} (given: {context['tag']!r})"
    message = _PLAIN.get(kind, problem["msg"]).removeprefix("Value error, ")
    message = message.replace("Input should", "must")
    given = problem["input"]
    shown = f" (given: {_short(given)})" if isinstance(given, str | int | float | list) else ""
    return f"{where}: {message}{shown}" if where else message


def _short(given: object) -> str:
    """Return a value as text that fits into a line."""
    if isinstance(given, int) and given.bit_length() > 4 * _SHOWN:
        return f"a number of {given.bit_length()} bits"
    text = repr(given)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys known in the table that holds the last part of ``location``."""
    model: type[BaseModel] = Recipe
    for part in location[:-1]:
        model = {**_SECTIONS, **_LAYERS}.get(str(part), model)
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known keys: {', '.join(known)}"
