"""Layers, their names, and to whom they listen."""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field, model_validator

from tssl.chip import INPUT, MOST_STEPS
from tssl.graph.kinds import KINDS, LayerEntry
from tssl.neurons import NEURONS, Reset
from tssl.settings import Above0, Entries, NonNegative, Positive, TimeConstant
from tssl.wording import did_you_mean

__all__ = ["LayerSpec", "NetworkSpec"]

if TYPE_CHECKING:
    LayerSpec = LayerEntry
else:
    LayerSpec = Annotated[
        Union[tuple(kind.entry for kind in KINDS.values())],  # noqa: UP007 - made of a table
        Field(discriminator="type"),
    ]


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
    reset
        What a spike leaves of a neuron's potential: ``zero``, or ``subtract`` for what was above
        the threshold, which the rule lee alone has and no chip.
    refractory
        Steps after a spike in which what arrives does not count, or less; the rules lee and st-rsbp
        have such, and no chip.
    """

    time_steps: Annotated[Positive, Field(le=MOST_STEPS)] = 5
    tau_m: TimeConstant = 5.0
    tau_s: TimeConstant = 3.0
    threshold: Above0 = 1.0
    reset: Reset = "zero"
    refractory: NonNegative = 0
    layers: Annotated[tuple[LayerSpec, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> "NetworkSpec":
        last = self.layers[-1].type
        if not KINDS[last].may_end:
            raise ValueError(f"the last layer must have neurons that learn; it is a {last}")
        names = self.layer_names
        for name, layer in zip(names[:-1], self.layers, strict=False):
            neuron = getattr(layer, "neuron", None)
            if neuron is not None and NEURONS[neuron].is_read:
                raise ValueError(
                    f"layer {name}: neuron = {neuron!r} never fires, so that no layer could "
                    "receive spikes from it; only the last layer can have it; use 'lif'"
                )
        for name in names:
            if names.count(name) > 1 or name == INPUT:
                raise ValueError(f"the name {name!r} is taken; every layer needs its own")
        self._check_sources(dict(zip(names, self.layers, strict=True)))
        return self

    def _check_sources(self, layers: dict[str, LayerEntry]) -> None:
        """Refuse sources that are not there, and layers whose output no layer takes."""
        heard: set[str] = set()
        known = {INPUT: False}
        """Whether what a layer sends has lost its shape, by name."""
        for name, sources in self.sources.items():
            kind = KINDS[layers[name].type]
            for source in sources:
                if source not in known:
                    raise ValueError(
                        f"layer {name} has the source {source!r}, which is no layer before "
                        f"it{did_you_mean(source, known)}; there are {', '.join(known)}"
                    )
                if known[source] and kind.shape == "image":
                    is_dense = KINDS[layers[source].type].shape == "flat"
                    problem = "cannot follow a dense layer" if is_dense else f"{source} sends none"
                    raise ValueError(f"layer {name} takes images, and {problem}")
            if len(set(sources)) < len(sources):
                raise ValueError(f"layer {name} names one source twice: {', '.join(sources)}")
            heard |= set(sources)
            known[name] = (
                kind.shape == "flat"
                or layers[name].flattens
                or any(known[source] for source in sources)
            )
        for name in list(layers)[:-1]:
            if name not in heard:
                raise ValueError(f"layer {name}: no layer takes its output; name it in a `from`")

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
