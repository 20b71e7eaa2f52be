"""The tables of what the verbs return, from their JSON data: terminals and notebooks show these."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tssl.tables import Table, count

if TYPE_CHECKING:
    from tssl.costs import LayerMapping
    from tssl.exporter import LayerReport
    from tssl.trainer.progress import EpochMetrics
    from tssl.workflow.diff import LayerDifference, SpikeDifference

__all__ = [
    "accuracies",
    "agreement",
    "cores",
    "decays",
    "epochs",
    "layer_facts",
    "layers_of_network",
    "layers_read",
    "quantization",
    "span",
    "spikes_apart",
    "what_differs",
]


def epochs(rows: "Iterable[EpochMetrics]", title: str) -> Table:
    """Return one row for each epoch of a training."""
    columns = ["epoch", "loss", "train", "held-out", "test", "firing rate", "samples/s"]
    cells = [
        [
            row.epoch,
            f"{row.loss:.4f}",
            f"{row.train_accuracy:.2%}",
            "-" if row.validation_accuracy is None else f"{row.validation_accuracy:.2%}",
            f"{row.test_accuracy:.2%}",
            f"{row.firing_rate:.1%}",
            count(round(row.samples_per_second)),
        ]
        for row in rows
    ]
    return Table(title, columns, cells)


def layer_facts(report: "LayerReport") -> dict[str, Any]:
    """Return what quantization did to a layer as JSON data."""
    return {
        "layer": report.layer.name,
        "scale": report.scale,
        "weight_bits": report.layer.weight_bits,
        "smallest_weight": int(report.layer.weights.min()),
        "largest_weight": int(report.layer.weights.max()),
        "threshold": report.layer.neuron.facts.get("threshold", "-"),
        "largest_current": report.ranges.current,
        "largest_voltage": report.ranges.potential,
        "current_headroom_bits": report.ranges.headroom_bits,
        "voltage_headroom_bits": report.ranges.potential_headroom_bits,
        "current_bound": report.ranges.current_bound,
        "can_wrap": report.ranges.can_wrap,
    }


def quantization(layers: Sequence[Mapping[str, Any]]) -> Table:
    """Return what quantization did to each layer."""
    columns = [
        "layer",
        "scale",
        "weights",
        "bits",
        "threshold",
        "largest u",
        "head-room u",
        "largest v",
        "head-room v",
        "u can wrap",
    ]
    rows = [
        [
            row["layer"],
            f"{row['scale']:.1f}",
            f"{row['smallest_weight']}..{row['largest_weight']}",
            row["weight_bits"],
            row["threshold"],
            row["largest_current"],
            f"{row['current_headroom_bits']:.1f} bits",
            row["largest_voltage"],
            f"{row['voltage_headroom_bits']:.1f} bits",
            "beyond calibration data" if row["can_wrap"] else "never",
        ]
        for row in layers
    ]
    return Table("Quantization", columns, rows)


def cores(profile: str, mapping: "Sequence[LayerMapping]") -> Table:
    """Return how many cores each layer takes."""
    rows = [[m.title, m.neurons, m.cores, m.bound_by, f"{m.utilisation:.0%}"] for m in mapping]
    columns = ["layer", "neurons", "cores", "limited by", "utilisation"]
    return Table(f"Cores on {profile}: {sum(m.cores for m in mapping)}", columns, rows)


def decays(facts: Mapping[str, Any]) -> Table:
    """Return what the decays of a NIR graph lose on the chip."""
    rows = [
        [
            row["layer"],
            row["node"],
            row["quantity"],
            f"{row['wanted']:.6f}",
            f"{row['integer']}/4096",
            f"{row['error']:+.1e}",
        ]
        for row in facts["decays"]
    ]
    columns = ["layer", "node", "quantity", "lost per step", "on the chip", "error"]
    return Table("Decays", columns, rows)


def agreement(facts: Mapping[str, Any]) -> Table:
    """Return how far the chip's spikes are those of a NIR graph in floating point."""
    rows = [
        [
            row["layer"],
            row["node"],
            f"{count(row['compared'])}",
            f"{count(row['reference'])}",
            f"{count(row['chip'])}",
            f"{count(row['differ'])}",
            row["first"],
        ]
        for row in facts["reference"]
    ]
    columns = ["layer", "node", "compared", "graph", "chip", "differ", "first difference"]
    return Table(f"Spikes of the graph in floating point, {facts['samples']}", columns, rows)


def accuracies(accuracy: Mapping[str, Any], runs: Sequence[tuple[str, float, int]] = ()) -> Table:
    """Return a row for each place where a network was run.

    Parameters
    ----------
    accuracy
        What an export measured: ``there``, ``float``, ``chip`` and ``samples``.
    runs
        Further rows: a name, the accuracy and the samples.
    """
    there, samples = accuracy["there"], accuracy["samples"]
    rows = [
        [f"there: {there['by']}, {there['read']}", there["accuracy"], there["samples"]],
        ["here, in floating point", accuracy["float"], samples],
        ["integers of the chip, by the engine", accuracy["chip"], samples],
        *map(list, runs),
    ]
    title = "Accuracy there, here and on the chip"
    if there["ties"]:
        title += f"; {there['ties']} samples tie there"
    cells = [[name, f"{share:.2%}", number] for name, share, number in rows]
    return Table(title, ["network", "accuracy", "test samples"], cells)


def layers_read(layers: Sequence[Mapping[str, Any]]) -> Table:
    """Return the layers that were made of a NIR graph."""
    rows = [
        [
            row["layer"],
            row["kind"],
            row["node"] or "",
            ", ".join(row["sources"]),
            " x ".join(map(str, row["shape"])),
        ]
        for row in layers
    ]
    return Table("Layers", ["layer", "kind", "node", "sources", "shape"], rows)


def layers_of_network(document: Mapping[str, Any]) -> Table:
    """Return what is in a ``.net`` file, a row for each layer."""
    rows = [
        [
            layer["layer"],
            "relay" if layer["relay"] else layer["kind"],
            layer["source"],
            _shape(layer["output_shape"]),
            layer["weights"],
            f"{layer['smallest_weight']}..{layer['largest_weight']}",
            layer["weight_bits"],
            span(layer["threshold"]),
            f"{span(layer['current_decay'])}, {span(layer['voltage_decay'])}",
            layer["largest_delay"],
        ]
        for layer in document["layers"] + document["relays"]
    ]
    columns = ["layer", "kind", "source", "shape", "weights", "range", "bits", "threshold"]
    title = f"{document['name']}: input {_shape(document['input_shape'])}"
    return Table(title, [*columns, "decays u, v", "delay"], rows)


def what_differs(layers: "Iterable[LayerDifference]") -> Table:
    """Return those layers in which two networks differ."""
    rows = [
        [
            layer.layer,
            _differing(layer.weights),
            layer.largest or "-",
            _differing(layer.biases),
            "; ".join(layer.what) or "-",
        ]
        for layer in layers
        if not layer.equal
    ]
    columns = ["layer", "weights that differ", "by at most", "biases", "else (A and B)"]
    return Table("What differs", columns, rows)


def spikes_apart(layers: "Iterable[SpikeDifference]") -> Table:
    """Return how far the spikes of two networks are apart."""
    rows = [
        [
            layer.layer,
            f"{layer.differences} of {layer.compared}",
            layer.left,
            layer.right,
            f"{layer.van_rossum:.3g}",
            f"{layer.victor_purpura:.3g}",
        ]
        for layer in layers
    ]
    columns = ["layer", "values that differ", "spikes of A", "of B", "van Rossum", "Victor-Purpura"]
    return Table("Spikes on the same input", columns, rows)


def span(values: int | tuple[int, ...] | None) -> int | str:
    """Return a number that all neurons share, or the smallest and largest of many; - for none."""
    if values is None:
        return "-"
    return f"{min(values)}..{max(values)}" if isinstance(values, tuple) else values


def _shape(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _differing(number: int | None) -> str:
    return "of other numbers" if number is None else str(number)
