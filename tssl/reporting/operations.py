"""What was counted, per inference and layer: the amounts behind every price."""

from dataclasses import replace

import numpy as np

from tssl.chip import INPUT
from tssl.reporting.units import number
from tssl.results import OpCounts

COLUMNS = (
    "layer",
    "synaptic operations",
    "stored zeros",
    "active updates",
    "inactive updates",
    "spikes",
)


def amounts(counts: OpCounts, input_neurons: int = 0) -> dict[str, dict[str, float | None]]:
    """Return what each layer did per inference, and all together under ``"all"``.

    Input neurons, where there are some, come first. They have no synapses, and are active when
    they fire. A stored zero is a synapse of weight zero among those that a spike drives; Loihi's
    counter leaves it out, and no price is paid for it. None stands for a result that did not
    count it.
    """
    counts = counts if not input_neurons else _with_input(counts, input_neurons)
    active = counts.active_updates.sum(axis=1)
    updates = counts.neurons * counts.samples * counts.time_steps
    sums = (
        counts.synaptic_operations.sum(axis=1),
        None if counts.stored_zeros is None else counts.stored_zeros.sum(axis=1),
        active,
        updates - active,
        counts.spikes.sum(axis=1),
    )
    table: dict[str, dict[str, float | None]] = {
        layer: {
            name: None if each is None else float(each[index] / counts.samples)
            for name, each in zip(COLUMNS[1:], sums, strict=True)
        }
        for index, layer in enumerate(counts.layers)
    }
    table["all"] = {
        name: None if each is None else float(each.sum() / counts.samples)
        for name, each in zip(COLUMNS[1:], sums, strict=True)
    }
    return table


def operations(counts: OpCounts, input_neurons: int = 0) -> list[list[str]]:
    """Return one row per layer and the sum, in the columns of :data:`COLUMNS`."""
    return [
        [layer, *("-" if value is None else number(value) for value in row.values())]
        for layer, row in amounts(counts, input_neurons).items()
    ]


def _with_input(counts: OpCounts, neurons: int) -> OpCounts:
    """Return the counts with the input neurons as a layer in front of the others."""
    none, fired = np.zeros_like(counts.input_spikes), counts.input_spikes
    zeros = counts.stored_zeros
    return replace(
        counts,
        layers=(INPUT, *counts.layers),
        neurons=np.append(neurons, counts.neurons),
        synaptic_operations=np.vstack([none, counts.synaptic_operations]),
        active_updates=np.vstack([fired, counts.active_updates]),
        spikes=np.vstack([fired, counts.spikes]),
        stored_zeros=None if zeros is None else np.vstack([none, zeros]),
    )
