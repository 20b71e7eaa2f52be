"""`tssl inspect`."""

from pathlib import Path

import click

from tssl.commands.options import (
    FILE,
    common,
)
from tssl.terminal import Output, show_loading


@click.command()
@click.argument("net", type=FILE)
@common
def inspect(output: Output, net: Path) -> None:
    """Show what is inside NET.

    \b
    Example:
      tssl inspect digits.net
    """
    from tssl.workflow import inspect as workflow

    document = workflow.inspect(net).document()
    if output.as_json:
        output.document(document)
        return
    rows = [
        [
            layer["layer"],
            "relay" if layer["relay"] else layer["kind"],
            layer["source"],
            _shape(layer["output_shape"]),
            layer["weights"],
            f"{layer['smallest_weight']}..{layer['largest_weight']}",
            layer["weight_bits"],
            _span(layer["threshold"]),
            f"{_span(layer['current_decay'])}, {_span(layer['voltage_decay'])}",
            layer["largest_delay"],
        ]
        for layer in document["layers"] + document["relays"]
    ]
    columns = [
        "layer",
        "kind",
        "source",
        "shape",
        "weights",
        "range",
        "bits",
        "threshold",
        "decays u, v",
    ]
    title = f"{document['name']}: input {_shape(document['input_shape'])}"
    output.table(title, [*columns, "delay"], rows)
    if document["relays"]:
        output.line(
            f"relays: not in the file; Lava and chips add them, {document['depth']} steps deep"
        )
    if document["input_neuron"] is not None:
        document["input_neuron"] = {k: _span(v) for k, v in document["input_neuron"].items()}
    for key in ("time_steps", "encoding", "input_neuron", "digest"):
        output.line(f"{key.replace('_', ' ')}: {document[key]}")
    for key in ("target", "data", "accuracy", "training"):
        if key in document["notes"]:
            output.line(f"{key}: {document['notes'][key]}")
    show_loading(output, document["lava_dl"])


def _span(values: int | tuple[int, ...]) -> int | str:
    """Return a number that all neurons share, or the smallest and largest of many."""
    return f"{min(values)}..{max(values)}" if isinstance(values, tuple) else values


def _shape(sizes: list[int]) -> str:
    return "x".join(map(str, sizes))
