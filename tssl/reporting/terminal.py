"""Results and costs for a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from tssl.costs import CostReport, LayerMapping, Quantity, Refusal
from tssl.reporting.comparison import comparison_table, quoted_table, references, text
from tssl.reporting.operations import COLUMNS as OPERATIONS
from tssl.reporting.operations import operations
from tssl.reporting.sheet import Sheet
from tssl.reporting.units import amount, band, count
from tssl.results import RunResult
from tssl.tables import show_table
from tssl.wording import several


def show_result(result: RunResult, console: Console) -> None:
    """Write what was run and how much of it was right."""
    for table in result.tables():
        show_table(console, table.title, table.columns, table.rows)


def show_operations(result: RunResult, console: Console, input_neurons: int = 0) -> None:
    """Write what was counted, before any price."""
    table = operations(result.counts, input_neurons)
    show_table(console, f"{result.network}, counted per inference", OPERATIONS, table)


def show_comparison(sheets: Sequence[Sheet], console: Console, *, reasons: bool = True) -> None:
    """Write one line per network and chip, then what cannot be said and why.

    Parameters
    ----------
    reasons
        Leave them out when the costs follow in full.
    """
    table = comparison_table(sheets)
    show_table(console, table.title, table.columns, table.rows)
    for sheet in sheets if reasons else ():
        for refusal in sheet.refused:
            show_costs(refusal, console)
        for cost in sheet.costs:
            who = f"{cost.network} on {cost.title}" if len(sheets) > 1 else cost.title
            _show_gaps(cost, console, who)


def show_quoted(sheets: Sequence[Sheet], console: Console) -> None:
    """Write what others published for the same data, if anything."""
    table = quoted_table(sheets)
    if table.rows:
        show_table(console, table.title, table.columns, table.rows)


def show_costs(report: CostReport | Refusal, console: Console) -> None:
    """Write energy, time, cores and every assumption, each number with its kind.

    Of a chip that cannot run the network, write why.
    """
    if isinstance(report, Refusal):
        who = f"{report.network} on {report.profile}" if report.network else report.profile
        text = escape(f"{who}: {report.reason}")
        console.print(f"[bold]Not priced:[/] {text}\n", soft_wrap=True)
        return
    _show_summary(report, console)
    _show_gaps(report, console, report.title)
    _show_without_spikes(report, console)
    if report.mapping:
        _show_layers(report, console)
    _show_figures(report, console)
    _show_assumptions(report, console)


def _show_summary(report: CostReport, console: Console) -> None:
    rows = [_row(f"energy, {part}", quantity) for part, quantity in report.by_part.items()]
    if "io" not in report.by_part:
        rows.append(["energy, io", "not included", "", ""])
    rows += [
        _row("energy", report.total),
        _row("latency", report.latency),
        _row("time step", report.step_time),
        _row("throughput, stream", report.throughput),
        _row("static energy, stream", report.static_in_stream),
    ]
    title = f"{report.network} on {report.title}, per inference"
    show_table(console, title, ["", "value", "band", "kind"], rows)
    console.print(f"Operating point: {escape(report.operating_point)}", soft_wrap=True)
    console.print(f"Energy model: {report.energy_model}\n", soft_wrap=True)


def _show_gaps(report: CostReport, console: Console, who: str) -> None:
    lines = [f"no {gap.what}: {gap.reason}" for gap in report.gaps] + list(report.warnings)
    for line in lines:
        console.print(f"[bold]{escape(who)}:[/] {escape(line)}", soft_wrap=True)


def _show_without_spikes(report: CostReport, console: Console) -> None:
    if not report.ann:
        return
    rows = [
        [ann.title, count(ann.operations), text(ann.energy),
         "" if ann.energy is None else band(ann.energy), text(ann.latency), said]
        for ann, said in references(report)
    ]  # fmt: skip
    columns = ["on", "operations", "energy", "band", "latency", "verdict"]
    show_table(console, "The same network, 8 bits and without spikes", columns, rows)


def _row(name: str, quantity: Quantity | None) -> list[str]:
    if quantity is None:
        return [name, "not supported", "", ""]
    return [name, amount(quantity.value, quantity.unit), band(quantity), quantity.kind]


def _show_layers(report: CostReport, console: Console) -> None:
    energy = report.by_layer
    rows = [
        [
            layer.title,
            count(layer.neurons),
            count(layer.cores),
            f"{layer.bound_by} {layer.utilisation:.0%}",
            _others(layer),
            text(energy.get(layer.layer)),
            band(energy[layer.layer]) if layer.layer in energy else "",
        ]
        for layer in report.mapping
    ]
    columns = ["layer", "neurons", "cores", "binding", "others", "dynamic energy", "band"]
    where = several(report.cores, "core") + (f", {report.chips} chips" if report.chips > 1 else "")
    show_table(console, f"Layers, {where} (derived by rule)", columns, rows)
    traffic = report.traffic
    if traffic is not None:
        console.print(
            f"Between cores per inference: {count(round(traffic.messages))} messages, "
            f"{count(round(traffic.hops_east_west))} hops east-west, "
            f"{count(round(traffic.hops_north_south))} north-south, "
            f"{count(round(traffic.chip_crossings))} chip crossings ({traffic.placement})\n",
            soft_wrap=True,
        )


def _others(layer: LayerMapping) -> str:
    """Return how full the resources are that do not bind."""
    shares = {name: share for name, share in layer.shares.items() if name != layer.bound_by}
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


def _show_figures(report: CostReport, console: Console) -> None:
    rows = [
        [
            entry.statement,
            amount(entry.quantity.value, entry.quantity.unit),
            band(entry.quantity),
            entry.kind,
        ]
        for entry in report.assumptions
        if entry.quantity is not None
    ]
    show_table(console, "Figures behind the estimate", ["figure", "value", "band", "kind"], rows)


def _show_assumptions(report: CostReport, console: Console) -> None:
    console.print("[bold]Assumptions[/]")
    for entry in report.assumptions:
        if entry.quantity is None:
            source = escape(f"({entry.kind}: {entry.source})")
            console.print(f"- {escape(entry.statement)} [dim]{source}[/]", soft_wrap=True)
    text = "The source of every figure: `tssl profiles show`, --json or --html."
    console.print(text, soft_wrap=True)
