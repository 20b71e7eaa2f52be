"""`tssl inspect`."""

from pathlib import Path
from typing import Any

import click

from tssl.commands.options import ANY_PATH, FOLDER, common
from tssl.errors import ConfigError
from tssl.terminal import Output, show_loading

_COMPARED = ("class_names", "fingerprint")


@click.command()
@click.argument("net", type=ANY_PATH)
@click.option("--figures", type=FOLDER, help="Folder for figures of what a run recorded.")
@common
def inspect(output: Output, net: Path, figures: Path | None) -> None:
    """Show what is inside NET, a .net file, or the folder of a result: what was recorded.

    \b
    Examples:
      tssl inspect digits.net
      tssl inspect digits-sim --figures pictures
    """
    if net.is_dir():
        _show_result(output, net, figures)
    elif figures is not None:
        raise ConfigError(
            f"--figures {figures}: shows what a run recorded; give the folder of a result that "
            f"`tssl run --record` wrote instead of {net}"
        )
    else:
        _show_network(output, net)


def _show_result(output: Output, directory: Path, figures: Path | None) -> None:
    from tssl.workflow.recorded import inspect_result

    found = inspect_result(directory, figures)
    if output.as_json:
        output.document(found.document())
        return
    result = found.result
    title = f"{result.network} on {result.backend}: {result.data}, {result.counts.samples} samples"
    rows = [[name, spikes, recorded or "-"] for name, spikes, recorded in found.rows]
    output.table(title, ["layer", "spikes", "recorded at every step"], rows)
    for figure in found.figures:
        output.line(f"{figure}: drawn")


def _show_network(output: Output, net: Path) -> None:
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
            output.line(f"{key}: {_without_fingerprint(document['notes'][key])}")
    if document["notes"].get("class_names"):
        output.line(f"classes: {', '.join(map(str, document['notes']['class_names']))}")
    show_loading(output, document["lava_dl"])


def _without_fingerprint(note: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a note without what is only there to be compared."""
    if not isinstance(note, dict):
        return note
    return {key: value for key, value in note.items() if key not in _COMPARED}


def _span(values: int | tuple[int, ...]) -> int | str:
    """Return a number that all neurons share, or the smallest and largest of many."""
    return f"{min(values)}..{max(values)}" if isinstance(values, tuple) else values


def _shape(sizes: list[int]) -> str:
    return "x".join(map(str, sizes))
