"""Tables for a terminal."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tssl.costs import CostReport, Quantity
from tssl.report.units import amount, band, count
from tssl.results import RunResult


def show_result(result: RunResult, console: Console) -> None:
    """Write what was run and how much of it was right."""
    accuracy = result.accuracy
    table = Table(
        title=escape(f"{result.network} on {result.data}"), title_justify="left", box=box.SIMPLE
    )
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
    _show_assumptions(report, console)
    for reason in report.refusals:
        console.print(f"Not given: {escape(reason)}")


def _summary(report: CostReport) -> Table:
    table = Table(
        title=escape(f"{report.network} on {report.title}, per inference"),
        caption=escape(f"Operating point: {report.operating_point}"),
        title_justify="left",
        box=box.SIMPLE,
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
        title=f"Layers, {report.cores} cores (cores: derived by rule)",
        title_justify="left",
        box=box.SIMPLE,
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


def _show_assumptions(report: CostReport, console: Console) -> None:
    """Write a figure a line, and every other assumption as a sentence."""
    figures = Table(title="Figures behind the estimate", title_justify="left", box=box.SIMPLE)
    for name in ("figure", "value", "band", "kind"):
        figures.add_column(name)
    stated = [entry for entry in report.assumptions if entry.quantity is None]
    for entry in report.assumptions:
        if entry.quantity is not None:
            value = amount(entry.quantity.value, entry.quantity.unit)
            figures.add_row(escape(entry.statement), value, band(entry.quantity), entry.kind)
    console.print(figures)
    console.print("Assumptions")
    for entry in stated:
        console.print(f"- {escape(entry.statement)} [dim]({entry.kind}: {escape(entry.source)})[/]")
    console.print("The source of every figure: `tssl profiles show`, --json or --html.")
