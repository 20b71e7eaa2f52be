"""Tables for a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tssl.costs import CostReport, Quantity
from tssl.report.units import amount, band, count
from tssl.results import RunResult


def show_result(result: RunResult, console: Console) -> None:
    """Write what was run and how much of it was right."""
    accuracy = result.accuracy
    table = Table(title=escape(f"{result.network} on {result.data}"), title_justify="left")
    for name in ("backend", "samples", "time steps", "accuracy"):
        table.add_column(name)
    table.add_row(
        escape(result.backend),
        count(result.counts.samples),
        count(result.counts.time_steps),
        "no labels" if accuracy is None else f"{accuracy:.2%}",
    )
    console.print(table)


def show_costs(report: CostReport, console: Console) -> None:
    """Write energy, time, cores and every assumption, each number with its kind."""
    console.print(_summary(report))
    console.print(_layers(report))
    console.print(_assumptions(report))
    for reason in report.refusals:
        console.print(f"Not given: {escape(reason)}")


def _summary(report: CostReport) -> Table:
    table = Table(
        title=escape(f"{report.network} on {report.title}, per inference"),
        caption=escape(f"Operating point: {report.operating_point}"),
        title_justify="left",
        caption_justify="left",
    )
    for name in ("", "value", "band", "kind"):
        table.add_column(name)
    for part, quantity in report.by_part.items():
        _add(table, f"energy, {part}", quantity)
    if "io" not in report.by_part:
        table.add_row("energy, io", "not included", "", "")
    _add(table, "energy", report.total)
    _add(table, "latency", report.latency)
    _add(table, "time step", report.step_time)
    _add(table, "throughput, stream", report.throughput)
    _add(table, "static energy, stream", report.static_in_stream)
    return table


def _add(table: Table, name: str, quantity: Quantity) -> None:
    table.add_row(name, amount(quantity.value, quantity.unit), band(quantity), quantity.kind)


def _layers(report: CostReport) -> Table:
    table = Table(
        title=f"Layers, {report.cores} cores (cores: derived by rule)", title_justify="left"
    )
    for name in ("layer", "neurons", "cores", "fullest", "dynamic energy", "band"):
        table.add_column(name)
    energy = report.by_layer
    for layer in report.mapping:
        dynamic = energy[layer.layer]
        table.add_row(
            escape(layer.layer),
            count(layer.neurons),
            count(layer.cores),
            f"{layer.bound_by} {layer.utilisation:.0%}",
            amount(dynamic.value, "J"),
            band(dynamic),
        )
    return table


def _assumptions(report: CostReport) -> Table:
    table = Table(title="Assumptions", title_justify="left")
    for name in ("what", "value", "band", "kind", "source"):
        table.add_column(name, overflow="fold")
    for assumption in report.assumptions:
        quantity = assumption.quantity
        table.add_row(
            escape(assumption.statement),
            "" if quantity is None else amount(quantity.value, quantity.unit),
            "" if quantity is None else band(quantity),
            assumption.kind,
            escape(assumption.source),
        )
    return table
