"""Logic of spikes, by neurons without memory."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tssl.errors import ConfigError
from tssl.geometry import Geometry
from tssl.graph.kinds.kind import Kind, LayerEntry, Place
from tssl.graph.node import Gate, Node
from tssl.neurons import REL_PSP, Lif

__all__ = ["GATE", "GateEntry", "check_spikes", "first_only", "forgetful"]


class GateEntry(LayerEntry):
    """A layer of neurons that compute a function of spikes of the same step; nothing is trained.

    Parameters
    ----------
    function
        ``and`` fires where all sources do. ``iand`` has two sources, and fires where the second
        does and the first does not.
    """

    type: Literal["gate"]
    function: Literal["and", "iand"]
    sources: Annotated[tuple[str, ...], Field(min_length=2, alias="from")]

    @model_validator(mode="after")
    def _check_sources(self) -> "GateEntry":
        if self.function == "iand" and len(self.sources) != 2:
            raise ValueError("function = 'iand' takes two sources: what silences, and what fires")
        return self


def forgetful(threshold: float) -> Lif:
    """Return a neuron that keeps nothing of a step in the next one."""
    return Lif(tau_m=1.0, tau_s=1.0, threshold=threshold)


def first_only(threshold: float) -> Lif:
    """Return a neuron that forgets nothing and fires once."""
    return REL_PSP.make(forgetful(threshold))


def check_spikes(place: Place, what: str) -> None:
    """Refuse a layer that computes with spikes where others things arrive.

    Raises
    ------
    ConfigError
        When a source is the input, a concat, or a pool that adds up.
    """
    if not place.fires:
        raise ConfigError(
            f"network.layers: {place.name} is {what} and takes spikes of layers; "
            f"{', '.join(place.sources)} are not all such: no input, no concat and no pool that "
            "adds up"
        )


def _node(entry: GateEntry, place: Place) -> Node:
    check_spikes(place, "a gate")
    if len(place.sources) != len(entry.sources):
        raise ConfigError(
            f"network.layers: {place.name} is a gate and takes each source by itself; one of "
            f"{', '.join(entry.sources)} is a sum of {', '.join(place.sources)}"
        )
    return Node(
        name=place.name,
        kind=entry.type,
        sources=place.sources,
        input_shape=place.shape,
        output_shape=place.shape,
        neuron=forgetful(0.5 if entry.function == "iand" else len(entry.sources) - 0.5),
        geometry=Geometry(kernel=(1, 1), groups=place.shape[0]),
        dropout=entry.dropout,
        gate=Gate(
            entry.function,
            (-1.0, 1.0) if entry.function == "iand" else (1.0,) * len(entry.sources),
        ),
    )


GATE = Kind(entry=GateEntry, node=_node, shape="same", may_end=False)
