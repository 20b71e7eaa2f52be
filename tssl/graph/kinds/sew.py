"""The blocks of SEW ResNet: two layers and a way around them.

References
----------
.. [1] W. Fang et al., Deep Residual Learning in Spiking Neural Networks, NeurIPS 2021.
"""

from typing import Any, Literal

from pydantic import model_validator

from tssl.errors import ConfigError
from tssl.graph.kinds.conv import ConvEntry
from tssl.graph.kinds.dense import DenseEntry
from tssl.graph.kinds.gate import GateEntry
from tssl.graph.kinds.kind import (
    Block,
    FiringEntry,
    LayerEntry,
    NeuronEntry,
    Parts,
    Place,
    neuron_of,
)
from tssl.neurons import NEURONS
from tssl.settings import Positive, PositivePair, with_pairs

__all__ = ["SEW", "SEW_DENSE", "SewDenseEntry", "SewEntry"]


_NEURONS = FiringEntry.model_fields.keys() - LayerEntry.model_fields.keys()


class _Residual(FiringEntry):
    """A residual block of spikes.

    Its layers have batch norms; that of the second begins at zero, so that the block begins as the
    identity. Where the shape changes, the way around is a layer, too. Dropout is of the second
    layer.

    Parameters
    ----------
    gate
        How the branch A and the way around x become one: ``add`` sends both, whose spikes add up
        at whoever listens; ``and`` fires where both do, ``iand`` where x does and A does not.
    """

    gate: Literal["add", "and", "iand"] = "add"


class SewEntry(_Residual):
    """Two convolutions of 3x3 and a way around them.

    Parameters
    ----------
    channels
        Of its maps; as many as reach it when None.
    stride
        Of the first convolution, and of the way around.
    """

    type: Literal["sew"]
    channels: Positive | None = None
    stride: PositivePair = (1, 1)

    @model_validator(mode="before")
    @classmethod
    def _square(cls, values: Any) -> Any:  # noqa: ANN401 - whatever the TOML holds
        return with_pairs(values, ("stride",))


class SewDenseEntry(_Residual):
    """Two all-to-all layers and a way around them.

    Parameters
    ----------
    neurons
        Of its layers; as many as reach it when None.
    """

    type: Literal["sew-dense"]
    neurons: Positive | None = None


def _parts(entry: SewEntry, place: Place) -> Parts:
    channels = entry.channels or place.shape[0]
    fields = {"type": "conv", "channels": channels}
    inner = {**fields, "kernel": (3, 3), "padding": (1, 1)}
    around = {**fields, "kernel": (1, 1), "stride": entry.stride}
    is_same = entry.stride == (1, 1) and channels == place.shape[0]
    return _residual(
        entry,
        place,
        ConvEntry,
        [{**inner, "stride": entry.stride}, inner],
        None if is_same else around,
    )


def _dense_parts(entry: SewDenseEntry, place: Place) -> Parts:
    neurons = entry.neurons or place.shape[0]
    fields = {"type": "dense", "neurons": neurons}
    is_same = place.shape == (neurons,)
    return _residual(entry, place, DenseEntry, [fields, fields], None if is_same else fields)


def _residual(
    entry: _Residual,
    place: Place,
    kind: type[NeuronEntry],
    branch: list[dict[str, Any]],
    around: dict[str, Any] | None,
) -> Parts:
    first, second, shortcut = (f"{place.name}_{part}" for part in ("1", "2", "shortcut"))
    own = {
        "norm": "batch",
        **{name: getattr(entry, name) for name in _NEURONS},
    }
    last = {**own, **_identity(entry, place), "dropout": entry.dropout}
    layers: list[LayerEntry] = [
        kind.model_validate({**branch[0], **own, "name": first, "from": place.sources}),
        kind.model_validate({**branch[1], **last, "name": second, "from": (first,)}),
    ]
    ways = place.sources
    if around is not None:
        given = {**around, **own, "name": shortcut, "from": place.sources}
        layers.append(kind.model_validate(given))
        ways = (shortcut,)
    if entry.gate != "add" and len(ways) > 1:
        raise ConfigError(
            f"network.layers: {place.name} has gate = '{entry.gate}', which takes one layer's "
            f"spikes; what reaches it is a sum of {', '.join(ways)}"
        )
    if entry.gate == "add":
        return Parts(tuple(layers), (*ways, second))
    gate = {"type": "gate", "name": f"{place.name}_{entry.gate}", "function": entry.gate}
    layers.append(GateEntry.model_validate({**gate, "from": (second, *ways)}))
    return Parts(tuple(layers), (layers[-1].name or "",))


def _identity(entry: _Residual, place: Place) -> dict[str, float]:
    """Return where the norm of a branch begins that leaves the way around as it is."""
    if entry.gate != "and":
        return {"norm_scale": 0.0}
    neuron = neuron_of(entry, place)
    always = 2 * neuron.threshold / NEURONS[entry.neuron].share(neuron)
    return {"norm_scale": 0.0, "norm_shift": always}


SEW = Block(entry=SewEntry, parts=_parts, shape="image")
SEW_DENSE = Block(entry=SewDenseEntry, parts=_dense_parts, shape="flat")
