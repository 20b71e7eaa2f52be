"""Write the tables of the documents from the figures that the benchmarks left as JSON.

    python benchmarks/train.py --rivals --json benchmarks/results/steps.json
    python benchmarks/tables.py

A table stands in a page between ``<!-- table: FILE -->`` and ``<!-- end of table -->``, where FILE
is one in ``benchmarks/results``. A table whose file is not there is left empty.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "lava.md")
BLOCK = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)
NETWORKS = {
    "fashion-mnist-mlp": "784-400-400-10",
    "fashion-mnist-cnn": "32C5-P2-64C5-P2-1024-10",
}
TITLES = {
    "ours": "`tssl train`",
    "chip": "the same in the chip's integers",
    "products": "its matrix products and convolutions alone",
    "eager": "the same in plain PyTorch operations",
    "published": "the published method, written plainly",
    "official": "the official code",
    "plain": "surrogate gradients in plain PyTorch",
    "plain-compiled": "the same under `torch.compile`",
    "plain-cells-compiled": "plain PyTorch, one step of the neurons under `torch.compile`",
    "spikingjelly-lif": "SpikingJelly, `LIFNode`",
    "spikingjelly-synapse": "SpikingJelly, `LIFNode` and `SynapseFilter`",
    "spikingjelly-compiled": "SpikingJelly, `LIFNode`, under `torch.compile`",
    "snntorch-leaky": "snnTorch, `Leaky`",
    "snntorch-synaptic": "snnTorch, `Synaptic`",
    "snntorch-compiled": "snnTorch, `Synaptic`, under `torch.compile`",
    "snntorch-cells-compiled": "snnTorch, `Synaptic`, one step under `torch.compile`",
    "norse-box": "Norse, `LIFBoxCell`",
    "norse-lif": "Norse, `LIFCell`",
}
"""Of the variants of a step; others have their own name."""


def machine(document: Mapping[str, Any]) -> str:
    """Return the sentence that says where, when and with what was measured."""
    found = document["machine"]
    on = f" and {found['device']}" if "device" in found else ""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return (
        f"`{document['command']}`, {found['cores']} cores of {found['processor']}{on}, "
        f"{found['date']}, Python {found['python']}, {versions}."
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def steps(document: Mapping[str, Any]) -> list[str]:
    """Return a table for each network that training steps were measured of."""
    lines = []
    for recipe in dict.fromkeys(each["recipe"] for each in document["tables"]):
        tables = [each for each in document["tables"] if each["recipe"] == recipe]
        name = NETWORKS.get(recipe, recipe) + (", trained" if "trained" in tables[0] else "")
        lines += _one(name, tables[0]) if len(tables) == 1 else _several(name, tables)
    return lines


def _one(name: str, measured: Mapping[str, Any]) -> list[str]:
    """Return the table of one batch and number of time steps."""
    first = measured["rows"][0]["milliseconds"]
    rows = [
        (
            TITLES.get(row["variant"], row["variant"]),
            _time(row["milliseconds"]),
            f"{row['milliseconds'] / first:.2f}",
            f"{row['samples_per_second']:,.0f}",
            _share(row),
        )
        for row in measured["rows"]
    ]
    title = f"{name}, T = {measured['time_steps']}, batch {measured['batch']}"
    return table([title, "time", "times the first", "samples/s", "share of products"], rows)


def _several(name: str, tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one table of all batches and numbers of time steps: time, and share of products."""
    titles = [f"T = {each['time_steps']}, batch {each['batch']}" for each in tables]
    rows = []
    for variant in dict.fromkeys(row["variant"] for each in tables for row in each["rows"]):
        cells = []
        for each in tables:
            row = next((row for row in each["rows"] if row["variant"] == variant), None)
            cells.append("" if row is None else f"{_time(row['milliseconds'])} ({_share(row)})")
        rows.append((TITLES.get(variant, variant), *cells))
    return table([name, *titles], rows)


def _time(milliseconds: float) -> str:
    """Return three digits."""
    digits = max(0, 2 - len(str(int(milliseconds))) + 1)
    return f"{milliseconds:,.{digits}f} ms"


def _share(row: Mapping[str, Any]) -> str:
    share = row["share_of_products"]
    return "" if share is None else f"{share:.2f}"


def engine(document: Mapping[str, Any]) -> list[str]:
    """Return the table of the engine beside Lava, and the bounds of the machine."""
    rows = [
        (
            row["network"],
            str(row["time_steps"]),
            f"{row['lava_samples_per_second']:.3g}",
            f"{row['engine_samples_per_second']:,.0f}",
            f"{row['ratio']:.0f} ({row['smallest_ratio']:.0f}...{row['largest_ratio']:.0f})",
            str(row["asked_for"] or ""),
            f"{row['synaptic_operations_per_second'] / 1e9:.1f}",
        )
        for row in document["rows"]
    ]
    columns = ["network", "steps", "Lava, samples/s", "engine, samples/s", "ratio (range)"]
    additions, weights = document["additions_per_second"], document["weights_per_second"]
    bounds = (
        f"Bounds measured in the same run on all cores: {additions / 1e9:.0f} G additions/s when "
        f"all lies in the first cache, {weights / 1e9:.0f} G weights/s when weights of 16 bits "
        "are streamed from memory."
    )
    return [*table([*columns, "asked for", "G synops/s"], rows), bounds, ""]


def epoch(document: Mapping[str, Any]) -> list[str]:
    """Return the table of what an epoch consists of, and when a training has its first step."""
    whole = document["epoch"]
    parts = [(each["what"], each["seconds"]) for each in document["parts"]]
    rows = [
        (what, f"{seconds:.2f} s", f"{seconds / whole:.1%}")
        for what, seconds in (*parts, ("all of it", whole))
    ]
    start = (
        f"The first step was done {document['first_step']:.1f} s after the start of Python; "
        f"importing PyTorch alone took {document['importing_torch']:.1f} s."
    )
    return [*table([f"an epoch of `{document['recipe']}`", "time", "share"], rows), start, ""]


KINDS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "steps": steps,
    "engine": engine,
    "epoch": epoch,
}
"""By what a file says it holds."""


def block(name: str) -> str:
    """Return what stands between the marks of a file: nothing without the file."""
    file = RESULTS / name
    if not file.exists():
        return ""
    document = json.loads(file.read_text())
    return "\n".join(["", machine(document), "", *KINDS[document["kind"]](document), ""])


def written(page: str) -> str:
    """Return the text of a page with its tables made anew."""
    return BLOCK.sub(lambda found: found[1] + block(found[2]) + found[4], page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
