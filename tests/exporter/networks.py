"""Checkpoints with random weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tssl.checkpoint import Checkpoint
from tssl.chip import ChipLimits, Encoding
from tssl.graph import resolve
from tssl.neurons import NEURONS
from tssl.recipe import recipe_from_tables

LIMITS = ChipLimits(weight_bits=8, threshold_bits=17, graded_spike_bits=24, max_delay=62)
QUANTUM = 1 / 16


def checkpoint(
    rng: np.random.Generator,
    layers: Sequence[dict[str, Any]],
    input_shape: tuple[int, int, int],
    *,
    spread: float = 1.0,
    **network: Any,
) -> Checkpoint:
    """Weights are normal with variance ``spread**2 * 2 / fan-in``."""
    tables = {"layers": list(layers), **network}
    is_read = NEURONS[layers[-1].get("neuron", "lif")].is_read
    recipe = recipe_from_tables(
        {
            "name": "random",
            "data": {"name": "digits"},
            "network": tables,
            "training": {} if is_read else {"loss": "count"},
        },
        "test",
    )
    weights = {
        name: rng.normal(0, spread * (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        for name, shape in resolve(recipe.network, input_shape).parameters.values()
    }
    return Checkpoint(
        recipe=recipe,
        input_shape=input_shape,
        encoding=Encoding(offset=0.0, gain=16.0, quantum=QUANTUM),
        weights=weights,
        provenance={},
    )


def dense(neurons: int, **fields: Any) -> dict[str, Any]:
    return {"type": "dense", "neurons": neurons, **fields}


def conv(channels: int, kernel: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "conv", "channels": channels, "kernel": kernel, **fields}


def pool(kernel: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "pool", "kernel": kernel, **fields}


def concat(*sources: str, **fields: Any) -> dict[str, Any]:
    return {"type": "concat", "from": list(sources), **fields}


def after(*sources: str) -> dict[str, Any]:
    return {"from": list(sources)}
