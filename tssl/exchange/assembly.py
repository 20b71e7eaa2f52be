"""From layers in memory to a checkpoint: the door through which all networks of others come in.

A reader of a format says each layer as a recipe would, with its arrays beside it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import MOST_STEPS, Encoding
from tssl.errors import ConfigError, UnsupportedLayerError
from tssl.neurons import NEURONS
from tssl.recipe import recipe_from_tables

__all__ = ["MadeLayer", "NO_DATA", "checkpoint_of", "layer_names", "network_name"]

NO_DATA = "none"
"""Name of the data set of a network that was not trained here."""
_INTEGERS = Encoding(offset=0.0, gain=1.0, quantum=1.0)
"""Input enters as the integers that it is."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MadeLayer:
    """A layer as a recipe says it, and what training would have found.

    Parameters
    ----------
    entry
        Its table in a recipe, ``name`` and ``from`` included.
    arrays
        By role, see :class:`tssl.graph.node.Node`. The synapse filter has the gain 1/tau_s.
    """

    entry: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def checkpoint_of(
    name: str,
    input_shape: tuple[int, int, int],
    time_steps: int,
    layers: Sequence[MadeLayer],
    provenance: Mapping[str, Any],
    plan: ChipPlan | None = None,
) -> Checkpoint:
    """Return a checkpoint whose input are integers, which enter as they are.

    Parameters
    ----------
    time_steps
        Steps for which a sample is shown unless data say otherwise, at most
        :data:`tssl.chip.MOST_STEPS`.
    plan
        Of a network of integers, so that an export takes these.

    Raises
    ------
    ConfigError
        When the layers are no network.
    UnsupportedLayerError
        When an array is not finite in single precision, or has another shape than its layer.
    """
    if not 1 <= time_steps <= MOST_STEPS:
        raise ConfigError(f"{time_steps} time steps: 1 to {MOST_STEPS} are possible")
    tables = {
        "name": network_name(name),
        "data": {"name": NO_DATA},
        "encoding": {"resolution": 1.0},
        "network": {"time_steps": time_steps, "layers": [dict(each.entry) for each in layers]},
        "training": {} if _is_read(layers[-1]) else {"loss": "count"},
    }
    checkpoint = Checkpoint(
        recipe=recipe_from_tables(tables, name),
        input_shape=input_shape,
        encoding=_INTEGERS,
        weights={},
        provenance=dict(provenance),
        plan=plan,
    )
    for each in layers:
        for role, parameter in checkpoint.graph[each.entry["name"]].parameters.items():
            array = _single(each, role)
            if array.shape != parameter.shape:
                raise UnsupportedLayerError(
                    f"{name}: layer {each.entry['name']}: its {role} has shape {array.shape}, "
                    f"not {parameter.shape}"
                )
            checkpoint.weights[parameter.name] = array
    return checkpoint


def _is_read(layer: MadeLayer) -> bool:
    return NEURONS[layer.entry.get("neuron", "lif")].is_read


def _single(layer: MadeLayer, role: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # noticed by the next line
        array = np.ascontiguousarray(layer.arrays[role], np.float32)
    if not np.isfinite(array).all():
        raise UnsupportedLayerError(
            f"layer {layer.entry['name']}: its {role} is not finite in single precision"
        )
    return array


def network_name(text: str) -> str:
    """Return a text as the name of a network: letters, digits, ``.``, ``_`` and ``-``."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")
    return name or "network"


def layer_names(texts: Sequence[str]) -> dict[str, str]:
    """Return a name that a recipe allows for each text, no two of them equal."""
    found: dict[str, str] = {}
    taken = {"input"}
    for text in texts:
        stem = re.sub(r"[^A-Za-z0-9_-]", "_", text)
        stem = stem if stem[:1].isalpha() and stem.isascii() else f"n{stem}"
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name)
        found[text] = name
    return found
