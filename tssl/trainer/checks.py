"""What a training refuses before it begins."""

import numpy as np
import torch

from tssl.checkpoint import ChipPlan
from tssl.chip import CLASS
from tssl.datasets import Dataset
from tssl.errors import ConfigError, DataError
from tssl.graph import Graph
from tssl.recipe import GIVEN, Recipe
from tssl.wording import several

__all__ = ["check_data", "check_plan", "check_precision", "choose_device"]


def check_plan(recipe: Recipe, plan: ChipPlan | None) -> None:
    """Refuse what training in a chip's integers cannot be.

    Raises
    ------
    ConfigError, DataError
        With what to do.
    """
    if recipe.training.forward == "float":
        return
    if plan is None and recipe.training.epochs < 2:
        raise ConfigError(
            f"training.epochs = {recipe.training.epochs}: training.forward = 'chip' trains in "
            "floating point first; use at least 2 epochs, or name a trained run with --from"
        )


def check_precision(recipe: Recipe, device: str) -> None:
    """Refuse a precision that the device does not have.

    Raises
    ------
    ConfigError, DataError
        With what to do.
    """
    if recipe.training.precision == "tf32" and device != "cuda":
        raise ConfigError(
            "training.precision = 'tf32' is what the tensor cores of a GPU do; "
            "use --device cuda, or 'float32' or 'bfloat16' on the CPU"
        )


def check_data(recipe: Recipe, graph: Graph, dataset: Dataset) -> None:
    """Refuse data that do not fit the network or its encoding.

    Raises
    ------
    ConfigError, DataError
        With what to do.
    """
    outputs, shape = graph.output.outputs, graph.output.output_shape
    if len(shape) > 1:
        raise ConfigError(
            f"network.layers: the last layer, {graph.output.name}, gives a picture "
            f"{' x '.join(map(str, shape))}; add a dense layer with "
            f"{several(dataset.outputs, 'neuron')}"
        )
    if outputs != dataset.outputs:
        raise ConfigError(
            f"network.layers: the last layer has {several(outputs, 'neuron')}, but data set "
            f"{dataset.name} has {dataset.answers}; set "
            f"network.layers.{len(recipe.network.layers) - 1}.neurons={dataset.outputs}"
            f"{_how_classes_are_stored(recipe, dataset)}"
        )
    if dataset.time_steps and recipe.encoding.input != "graded":
        held = (
            "events, which enter as spikes; use 'graded' with resolution = 1"
            if dataset.full_scale == 1
            else "frames, which enter as whole numbers, one at a step; use 'graded'"
        )
        raise ConfigError(
            f"encoding.input = {recipe.encoding.input!r}: data set {dataset.name} holds {held}"
        )
    if len(dataset.labels) < 2:
        raise DataError(f"data set {dataset.name}: too few samples to train on")
    if dataset.read_out is CLASS and len(found := np.unique(dataset.labels)) < 2:
        raise DataError(
            f"data set {dataset.name}: all {len(dataset.labels)} training samples are of class "
            f"{found[0]}, so there is nothing to tell apart; add samples of other classes"
        )


def _how_classes_are_stored(recipe: Recipe, dataset: Dataset) -> str:
    """Return a hint for labels of a user's own that were read as numbers, otherwise nothing."""
    if dataset.classes or recipe.data.name not in (None, GIVEN):
        return ""
    return "; labels that are classes are stored as whole numbers (N,), and not as floats"


def choose_device(name: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        When CUDA is asked for and not there.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: PyTorch finds no CUDA device; use --device cpu")
    return name
