"""What every kind of layer says of itself, and what several share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from tssl.errors import ConfigError
from tssl.geometry import Geometry, Shape
from tssl.graph.node import NORM, Node, Parameter
from tssl.neurons import NEURONS, Lif, Reset
from tssl.settings import Above0, AtLeast0, Entries, NonNegative, Number, Share, TimeConstant

__all__ = [
    "Block",
    "FiringEntry",
    "Kind",
    "LayerEntry",
    "Named",
    "NeuronEntry",
    "Parts",
    "Place",
    "neuron_of",
    "parameters_of",
    "sliding",
]


if TYPE_CHECKING:
    NeuronName = str
else:
    NeuronName = Literal[tuple(NEURONS)]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            "must be letters from A to Z, digits, '_' and '-', and begin with a letter"
        )
    return name


class LayerEntry(Entries):
    """A layer in a recipe.

    Parameters
    ----------
    type
        Its kind.
    name
        Its own name; its kind and number when None.
    sources
        ``from`` in a file: the layers before it that it listens to, or ``"input"``; what they send
        adds up. The layer just before it when None.
    dropout
        Share of its outputs that is taken away in training, for all time steps of a sample; the
        others are raised in proportion.
    """

    type: str
    name: Annotated[str, AfterValidator(_checked_name)] | None = None
    sources: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(None, alias="from")
    dropout: Share = 0.0

    @property
    def flattens(self) -> bool:
        """Whether it flattens what reaches it, though others of its kind give maps for maps."""
        return False


class FiringEntry(LayerEntry):
    """What a recipe says of neurons, of a layer or of a block of layers.

    Parameters
    ----------
    neuron
        ``lif`` leaks, ``if`` does not, and ``plif`` learns how much: its membrane takes in the
        share 1/tau_m of what arrives and loses the same share of itself, and tau_m is trained from
        where it begins. ``rel-psp`` loses neither current nor potential, and fires once. ``li``
        leaks and ``i`` does not, and neither fires: the potential of a last layer is read.
    tau_m, tau_s, threshold
        Of its neurons, and of the synapses that lead to them; the network's when None.
    reset, refractory
        Of its neurons; the network's when None.
    weight_scale
        Factor of its initial weights.
    """

    neuron: NeuronName = "lif"
    tau_m: TimeConstant | None = None
    tau_s: TimeConstant | None = None
    threshold: Above0 | None = None
    reset: Reset | None = None
    refractory: NonNegative | None = None
    weight_scale: Above0 = 1.0

    @model_validator(mode="after")
    def _check_constants(self) -> "FiringEntry":
        for constant, advice in NEURONS[self.neuron].without.items():
            if getattr(self, constant, None) not in (None, False):
                raise ValueError(f"neuron = {self.neuron!r} {advice}")
        return self


class NeuronEntry(FiringEntry):
    """A layer of spiking neurons in a recipe.

    Parameters
    ----------
    bias
        Whether a trained number is added to the membrane potential at every step: one for each
        neuron, or for each map of a convolution. It begins at zero.
    norm
        ``batch`` normalises what the weights give over time steps, samples and positions, for each
        neuron or map, then scales and shifts it by trained numbers. In use, running means and
        variances take the place of a batch's; weights and biases take them in at export.
    norm_scale, norm_shift
        Where the trained numbers of its norm begin. With a scale of 0 a layer begins silent, and a
        residual block around it as the identity.
    own_thresholds
        Whether training finds a threshold for each neuron, or map of a convolution; ``threshold``
        is where they begin.
    """

    bias: Annotated[bool, Field(strict=True)] = False
    norm: Literal["batch"] | None = None
    norm_scale: AtLeast0 = 1.0
    norm_shift: Number = 0.0
    own_thresholds: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _check_bias(self) -> "NeuronEntry":
        if self.bias and self.norm is not None:
            raise ValueError("norm = 'batch' has a trained shift of its own; leave bias out")
        if self.norm is None and (self.norm_scale, self.norm_shift) != (1.0, 0.0):
            raise ValueError("norm_scale and norm_shift belong to norm = 'batch'; add it")
        return self

    @property
    def first(self) -> dict[str, float]:
        """Where its parameters begin that do not begin as all of their role do, by role."""
        if self.norm is None:
            return {}
        return dict(zip(NORM, (self.norm_scale, self.norm_shift), strict=False))


class Named(NamedTuple):
    """A source as a recipe names it.

    Parameters
    ----------
    sends
        Names of the layers whose spikes add up to what it sends: itself, or parts of a block.
    shape
        Of what it sends.
    """

    name: str
    sends: tuple[str, ...]
    shape: Shape


class Place(NamedTuple):
    """Where a layer stands.

    Parameters
    ----------
    named
        The sources that a recipe names, in order.
    sources
        Names of the layers it listens to.
    shape
        Of what reaches it, where its sources add up; of the first source elsewhere.
    neuron
        The network's, for layers that do not say otherwise.
    fires
        Whether nothing reaches it but spikes of layers, each by itself: no input, no pool.
    once
        Whether all these layers have neurons that fire once.
    """

    name: str
    named: tuple[Named, ...]
    sources: tuple[str, ...]
    shape: Shape
    neuron: Lif
    fires: bool
    once: bool = False


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of layer.

    Parameters
    ----------
    entry
        What a recipe says of such a layer.
    node
        Turns an entry and its place into a node; raises ``ConfigError`` when the layer does not
        fit what reaches it.
    may_end
        Whether a network may end with it; it then has neurons that learn.
    adds_up
        Whether what its sources send adds up, so that they have one shape.
    shape
        ``image`` when it takes and gives maps (C, H, W), ``flat`` when it gives (neurons,) for
        anything, ``same`` when it gives the shape that it takes.
    unfolded
        Turns a node and its weights into dense ones ``(neurons, inputs)``, where the chip has no
        synapses of its geometry; None where it has.
    """

    entry: type[LayerEntry]
    node: Callable[[Any, Place], Node]
    may_end: bool = True
    adds_up: bool = True
    shape: Literal["image", "flat", "same"] = "flat"
    unfolded: Callable[[Node, NDArray[np.float64]], NDArray[np.float64]] | None = None


class Parts(NamedTuple):
    """What a block is made of.

    Parameters
    ----------
    layers
        Entries with names and sources of their own.
    sends
        Names of the layers whose spikes add up to what the block sends.
    """

    layers: tuple[LayerEntry, ...]
    sends: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A kind of layer in recipes that is several in a network.

    Parameters
    ----------
    parts
        Turns an entry and its place into layers.
    shape
        See :class:`Kind`.
    """

    entry: type[LayerEntry]
    parts: Callable[[Any, Place], Parts]
    shape: Literal["image", "flat"]
    may_end: bool = False
    adds_up: bool = True


def neuron_of(entry: FiringEntry, place: Place) -> Lif:
    """Return the neuron of a layer, before training.

    Raises
    ------
    ConfigError
        When no training can begin at such a neuron.
    """
    kind, common = NEURONS[entry.neuron], place.neuron
    neuron = kind.make(
        Lif(
            tau_m=entry.tau_m or common.tau_m,
            tau_s=entry.tau_s or common.tau_s,
            threshold=entry.threshold or common.threshold,
            reset=entry.reset or common.reset,
            refractory=common.refractory if entry.refractory is None else entry.refractory,
        )
    )
    problem = kind.problem(neuron)
    if problem is not None:
        raise ConfigError(
            f"network.layers: {place.name} has neuron = {entry.neuron!r} with {problem}"
        )
    return neuron


def parameters_of(
    entry: NeuronEntry, name: str, weights: dict[str, Parameter], channels: int
) -> dict[str, Parameter]:
    """Return the parameters of a layer: its weights, and what its neurons have beside them.

    Parameters
    ----------
    channels
        How many biases it would have, or channels to normalise.
    """
    sizes = {
        **({"bias": channels} if entry.bias else {}),
        **(dict.fromkeys(NORM, channels) if entry.norm else {}),
        **({"threshold": channels} if entry.own_thresholds else {}),
        **NEURONS[entry.neuron].parameters,
    }
    own = {role: Parameter(f"{name}_{role}", (size,)) for role, size in sizes.items()}
    return {**weights, **own}


def sliding(geometry: Geometry, place: Place, channels: int) -> Shape:
    """Return the shape of so many maps of windows over what reaches a layer.

    Raises
    ------
    ConfigError
        When not even one window fits.
    """
    rows, columns = geometry.positions((place.shape[1], place.shape[2]))
    if min(rows, columns) < 1:
        raise ConfigError(
            f"network.layers: {place.name} with kernel {geometry.kernel} does not fit an input "
            f"of shape {place.shape}"
        )
    return channels, rows, columns
