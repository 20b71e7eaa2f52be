"""What was counted, per inference and layer: the amounts behind every price."""

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


def amounts(counts: OpCounts) -> dict[str, dict[str, float | None]]:
    """Return what each layer did per inference, and all together under ``"all"``.

    A stored zero is a synapse of weight zero among those that a spike drives; Loihi's counter
    leaves it out, and no price is paid for it. None stands for a result that did not count it.
    """
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


def operations(counts: OpCounts) -> list[list[str]]:
    """Return one row per layer and the sum, in the columns of :data:`COLUMNS`."""
    return [
        [layer, *("-" if value is None else number(value) for value in row.values())]
        for layer, row in amounts(counts).items()
    ]
