"""A convolution, and neurons."""

from typing import Any, Literal

from pydantic import model_validator

from tssl.errors import ConfigError
from tssl.geometry import Geometry
from tssl.graph.kinds.kind import (
    Kind,
    NeuronEntry,
    Place,
    neuron_of,
    parameters_of,
    sliding,
)
from tssl.graph.node import Node, Parameter
from tssl.settings import NonNegativePair, Positive, PositivePair, with_pairs

__all__ = ["CONV", "ConvEntry"]


class ConvEntry(NeuronEntry):
    """Convolution layer of spiking neurons; pairs are (height, width).

    Parameters
    ----------
    recurrent
        Odd size of the windows in which the neurons also see their own maps' spikes, one step
        later; they do not when None.
    """

    type: Literal["conv"]
    channels: Positive
    kernel: PositivePair
    stride: PositivePair = (1, 1)
    padding: NonNegativePair = (0, 0)
    dilation: PositivePair = (1, 1)
    groups: Positive = 1
    recurrent: Positive | None = None

    @model_validator(mode="before")
    @classmethod
    def _square(cls, values: Any) -> Any:  # noqa: ANN401 - whatever the TOML holds
        return with_pairs(values, ("kernel", "stride", "padding", "dilation"))

    @model_validator(mode="after")
    def _check_groups(self) -> "ConvEntry":
        if self.channels % self.groups:
            raise ValueError(
                f"channels = {self.channels} cannot be divided into groups = {self.groups}"
            )
        return self

    @model_validator(mode="after")
    def _check_recurrent(self) -> "ConvEntry":
        if self.recurrent is not None and self.recurrent % 2 == 0:
            raise ValueError(
                f"recurrent = {self.recurrent}: windows around a neuron have an odd size"
            )
        return self


def _node(entry: ConvEntry, place: Place) -> Node:
    incoming = place.shape[0]
    if incoming % entry.groups:
        raise ConfigError(
            f"network.layers: {place.name} has groups = {entry.groups}, which do not divide the "
            f"{incoming} channels that reach it"
        )
    geometry = Geometry(
        kernel=entry.kernel,
        stride=entry.stride,
        padding=entry.padding,
        dilation=entry.dilation,
        groups=entry.groups,
    )
    weight = Parameter(place.name, (entry.channels, incoming // entry.groups, *entry.kernel))
    weights = {"weight": weight}
    if entry.recurrent is not None:
        own = (entry.channels, entry.channels, entry.recurrent, entry.recurrent)
        weights["recurrent"] = Parameter(f"{place.name}_recurrent", own)
    return Node(
        name=place.name,
        kind=entry.type,
        sources=place.sources,
        input_shape=place.shape,
        output_shape=sliding(geometry, place, entry.channels),
        neuron=neuron_of(entry, place),
        parameters=parameters_of(entry, place.name, weights, entry.channels),
        geometry=geometry,
        dropout=entry.dropout,
        weight_scale=entry.weight_scale,
        first=entry.first,
    )


CONV = Kind(entry=ConvEntry, node=_node, shape="image")
