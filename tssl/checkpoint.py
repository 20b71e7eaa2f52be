"""A trained network on disk: recipe, float32 weights and where they come from."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tssl.chip import (
    CLASS,
    DECAY_ONE,
    CubaNeuron,
    DeltaNeuron,
    Encoding,
    Neuron,
    ReadOut,
    read_out_of,
)
from tssl.errors import CheckpointError, ConfigError, RangeError
from tssl.graph import Graph, resolve
from tssl.machine.files import pointer_hint, written
from tssl.recipe import EncodingSpec, Recipe, recipe_from_tables
from tssl.wording import of_version, reason_of

__all__ = [
    "Array",
    "Checkpoint",
    "ChipPlan",
    "FORMAT_VERSION",
    "chip_plan",
    "input_neuron",
    "load_tensors",
    "save_tensors",
]

FORMAT_VERSION = 1
_SEAL = "sha256"

Array = NDArray[Any]

_DAMAGE = (  # what safetensors, numpy and json raise on damaged files
    OSError,
    SafetensorError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    OverflowError,
    MemoryError,
)


@dataclass(frozen=True, kw_only=True)
class ChipPlan:
    """The grid of integers that a network was trained on, so that an export must use it.

    Parameters
    ----------
    scales
        Integers per unit of the trained network, by layer.
    largest_weights
        Magnitude that the integer weights of a layer may have.
    weight_step
        Weights are multiples of it.
    """

    scales: dict[str, float]
    largest_weights: dict[str, int]
    weight_step: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A trained network.

    Parameters
    ----------
    recipe
        What was trained.
    input_shape
        Of one sample, (C, H, W).
    encoding
        How samples become input integers.
    weights
        By the name of the parameter, see ``tssl.graph.Parameter``.
    provenance
        Epoch, accuracies, versions, seed: JSON data for people.
    plan
        Of a network that was trained with the chip's integers, else None.
    read_out
        What its output says, in units of the trained network.
    """

    recipe: Recipe
    input_shape: tuple[int, int, int]
    encoding: Encoding
    weights: dict[str, Array]
    provenance: dict[str, Any]
    plan: ChipPlan | None = None
    read_out: ReadOut = CLASS

    @cached_property
    def graph(self) -> Graph:
        """The network that was trained.

        Raises
        ------
        ConfigError
            When the recipe does not fit ``input_shape``.
        """
        return resolve(self.recipe.network, self.input_shape)

    @property
    def input_neuron(self) -> Neuron | None:
        """Of what samples enter, or None where they enter as graded spikes."""
        return input_neuron(self.recipe.encoding)

    def save(self, path: Path) -> None:
        """Write the checkpoint as safetensors (no pickle)."""
        document = {
            "format_version": FORMAT_VERSION,
            "recipe": self.recipe.model_dump(mode="json", exclude_none=True, by_alias=True),
            "input_shape": self.input_shape,
            "encoding": self.encoding.document,
            "provenance": self.provenance,
            "plan": None if self.plan is None else asdict(self.plan),
        }
        if self.read_out.document is not None:
            document["read_out"] = self.read_out.document
        save_tensors(path, self.weights, document)

    @staticmethod
    def load(path: Path) -> "Checkpoint":
        """Read a checkpoint.

        Raises
        ------
        CheckpointError
            When it is missing, damaged, of another version, or its weights do not fit.
        """
        tensors, document = load_tensors(path)
        try:
            checkpoint = Checkpoint(
                recipe=recipe_from_tables(document["recipe"], str(path)),
                input_shape=_image_shape(document["input_shape"]),
                encoding=_encoding(document["encoding"]),
                weights=tensors,
                provenance=dict(document["provenance"].items()),
                plan=chip_plan(document.get("plan")),
                read_out=read_out_of(document.get("read_out")),
            )
        except ConfigError as error:  # it names the file
            known = document.get("provenance")
            version = known.get("tssl") if isinstance(known, dict) else None
            raise CheckpointError(f"{error}{of_version(version)}") from error
        except (KeyError, TypeError, ValueError, AttributeError, RangeError) as error:
            raise CheckpointError(
                f"{path}: is not a tssl checkpoint: {reason_of(error)}"
            ) from error
        checkpoint.check(path)
        return checkpoint

    def check(self, path: Path) -> None:
        """Refuse weights that are missing, misshapen or not finite; ``path`` is for the error."""
        try:
            parameters = self.graph.parameters
        except ConfigError as error:
            raise CheckpointError(f"{path}: {error}") from error
        for name, (_, shape) in parameters.items():
            if name not in self.weights:
                raise CheckpointError(f"{path}: has no weights for layer {name}")
            weight = self.weights[name]
            if weight.shape != shape:
                raise CheckpointError(
                    f"{path}: weights of layer {name} have shape {weight.shape}, not {shape}"
                )
            if weight.dtype != np.float32:
                raise CheckpointError(
                    f"{path}: weights of layer {name} are {weight.dtype}, not float32"
                )
            if not np.isfinite(weight).all():
                raise CheckpointError(
                    f"{path}: layer {name} has weights that are not finite numbers; train again "
                    "with a smaller learning rate"
                )


def input_neuron(spec: EncodingSpec) -> Neuron | None:
    """Return the neuron that a value enters, or None when it enters as spikes.

    One that sends changes sends them all. One that a value enters as its bias has no leak, and no
    synapses whose current could decay. It fires when its potential exceeds the threshold, so when
    the sum of biases *reaches* one more.
    """
    if spec.input == "changes":
        return DeltaNeuron(threshold=0)
    if spec.input != "neurons":
        return None
    return CubaNeuron(current_decay=DECAY_ONE, voltage_decay=0, threshold=spec.firing_sum - 1)


def save_tensors(path: Path, tensors: dict[str, Array], document: dict[str, Any]) -> None:
    """Write arrays and one JSON document into a safetensors file."""
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    document = json.loads(json.dumps(document))
    sealed = json.dumps({**document, _SEAL: _seal(arrays, document)})
    data = save(arrays, metadata={"tssl": sealed})
    with written(path) as temporary:
        temporary.write_bytes(data)


def load_tensors(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read arrays and document of a safetensors file of this format version.

    Raises
    ------
    CheckpointError
        When it is missing, damaged or of another version.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        document = json.loads(metadata.get("tssl", "null"))
        json.dumps(document, ensure_ascii=False).encode()  # half a character cannot be printed
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint: {reason}{pointer_hint(path)}"
        ) from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: was not written by tssl")
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        shown = " ".join(str(version).split())
        raise CheckpointError(
            f"{path}: format_version = {shown:.40}; this tssl reads {FORMAT_VERSION}; train again"
        )
    stored = document.pop(_SEAL, None)  # the first ones had none
    if stored is not None and stored != _seal(tensors, document):
        raise CheckpointError(f"{path}: was altered after tssl wrote it; train again")
    return tensors, document


def chip_plan(values: Any) -> ChipPlan | None:  # noqa: ANN401 - unvalidated JSON
    """Return the plan in a document, or None when there is none.

    Raises
    ------
    ValueError, TypeError, AttributeError
        When it is not one.
    """
    if values is None:
        return None
    plan = ChipPlan(**values)
    numbers = [*plan.scales.values(), *plan.largest_weights.values(), plan.weight_step]
    if not all(type(number) in (int, float) and 0 < number < math.inf for number in numbers):
        raise ValueError(f"plan = {values}")
    if plan.scales.keys() != plan.largest_weights.keys():
        raise ValueError(f"plan = {values}: names other layers in its two parts")
    return plan


def _seal(tensors: dict[str, Array], document: dict[str, Any]) -> str:
    """Return what shows whether an array or the document was altered."""
    state = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name, array in sorted(tensors.items()):
        state.update(repr((name, array.dtype.str, array.shape)).encode())
        state.update(array.tobytes())
    return state.hexdigest()


def _image_shape(values: Any) -> tuple[int, int, int]:  # noqa: ANN401 - unvalidated JSON
    channels, height, width = values
    if not all(type(value) is int and value > 0 for value in values):
        raise ValueError(f"input_shape = {values}")
    return channels, height, width


def _encoding(values: Any) -> Encoding:  # noqa: ANN401 - unvalidated JSON
    encoding = Encoding(**values)
    if not (encoding.gain > 0 and encoding.quantum > 0):
        raise ValueError(f"encoding = {values}")
    return encoding
