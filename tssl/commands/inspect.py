"""`tssl inspect`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tssl.commands.options import ANY_PATH, FOLDER, common
from tssl.terminal import Output, show_loading
from tssl.workflow import tables

_COMPARED = ("class_names", "fingerprint", "right", "tied")


@click.command()
@click.argument("net", type=ANY_PATH)
@click.option("--figures", type=FOLDER, help="Folder for figures of what a run recorded.")
@common
def inspect(output: Output, net: Path, figures: Path | None) -> None:
    """Show what is inside NET, a .net file, or a folder of a result or a training run.

    Of a result, the spikes and what was recorded are shown; of a training run, how far it is.

    \b
    Examples:
      tssl inspect digits.net
      tssl inspect digits-sim --figures pictures
      tssl inspect runs/digits
    """
    from tssl.workflow.inspect import Inspection
    from tssl.workflow.recorded import ResultInspection, look

    found = look(net, figures)
    document = found.document()
    if output.as_json:
        output.document(document)
        return
    if isinstance(found, Inspection):
        _show_network(output, document)
        return
    output.tables(found.tables())
    if isinstance(found, ResultInspection):
        for figure in found.figures:
            output.line(f"{figure}: drawn")


def _show_network(output: Output, document: dict[str, Any]) -> None:
    output.tables([tables.layers_of_network(document)])
    if document["relays"]:
        output.line(
            f"relays: not in the file; Lava and chips add them, {document['depth']} steps deep"
        )
    if document["input_neuron"] is not None:
        document["input_neuron"] = {k: tables.span(v) for k, v in document["input_neuron"].items()}
    for key in ("time_steps", "encoding", "input_neuron", "digest"):
        output.line(f"{key.replace('_', ' ')}: {_in_words(document[key])}")
    for line in _of_output(document["output_fires"], document["read_out"]):
        output.line(line)
    for key in ("target", "data", "accuracy", "training"):
        if key in document["notes"]:
            output.line(f"{key}: {_in_words(_without_fingerprint(document['notes'][key]))}")
    if document["notes"].get("class_names"):
        output.line(f"classes: {', '.join(map(str, document['notes']['class_names']))}")
    show_loading(output, document["lava_dl"])


def _of_output(fires: bool, read_out: dict[str, Any] | None) -> Iterator[str]:
    """Yield how an output is read that is not one neuron which fires for each class."""
    if not fires:
        yield "output: never fires; its potential is read after the last step"
    if read_out is not None and "neurons_per_class" in read_out:
        votes = read_out["neurons_per_class"]
        yield f"read-out: {votes} neurons, one behind the other, vote for a class"
    elif read_out is not None:
        each = zip(read_out["gain"], read_out["offset"], strict=True)
        numbers = ", ".join(f"{gain:.6g} x potential {offset:+.6g}" for gain, offset in each)
        yield f"read-out: {numbers}"


def _in_words(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a value as people write it: names and values one after the other."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_in_words(each)}" for key, each in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None else str(value)


def _without_fingerprint(note: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a note without what is only there to be compared."""
    if not isinstance(note, dict):
        return note
    return {key: _without_fingerprint(each) for key, each in note.items() if key not in _COMPARED}
