"""`tssl inspect`."""

from pathlib import Path
from typing import Any

import click

from tssl.commands.options import ANY_PATH, FOLDER, common
from tssl.terminal import Output, show_loading
from tssl.workflow import tables


@click.command()
@click.argument("path", metavar="NET|RESULT", type=ANY_PATH)
@click.option("--figures", type=FOLDER, help="Folder for figures of what a RESULT recorded.")
@common
def inspect(output: Output, path: Path, figures: Path | None) -> None:
    """Show what is inside NET, or what the run of a RESULT recorded.

    \b
    Examples:
      tssl inspect digits.net
      tssl inspect digits-sim --figures pictures
    """
    from tssl.workflow.recorded import ResultInspection, look

    found = look(path, figures)
    document = found.document()
    if output.as_json:
        output.document(document)
    elif isinstance(found, ResultInspection):
        output.tables(found.tables())
        for figure in found.figures:
            output.line(f"{figure}: drawn")
    else:
        _show_network(output, document)


def _show_network(output: Output, document: dict[str, Any]) -> None:
    output.tables([tables.layers_of_network(document)])
    if document["relays"]:
        output.line(
            f"relays: not in the file; Lava and chips add them, {document['depth']} steps deep"
        )
    if document["input_neuron"] is not None:
        document["input_neuron"] = {k: tables.span(v) for k, v in document["input_neuron"].items()}
    for key in ("time_steps", "encoding", "input_neuron", "digest"):
        output.line(f"{key.replace('_', ' ')}: {document[key]}")
    for key in ("target", "data", "accuracy", "training"):
        if key in document["notes"]:
            output.line(f"{key}: {document['notes'][key]}")
    show_loading(output, document["lava_dl"])
