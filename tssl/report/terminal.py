"""Results and costs for a terminal."""

from rich.console import Console
from rich.markup import escape

from tssl.costs import CostReport, Quantity, Refusal
from tssl.report.units import amount, band, count
from tssl.results import RunResult
from tssl.tables import show_table


def show_result(result: RunResult, console: Console) -> None:
    """Write what was run and how much of it was right."""
    accuracy = result.accuracy
    row = [
        result.backend,
        count(result.counts.samples),
        count(result.counts.time_steps),
        "no labels" if accuracy is None else f"{accuracy:.2%}",
    ]
    columns = ["backend", "samples", "time steps", "accuracy"]
    show_table(console, f"{result.network} on {result.data}", columns, [row])


def show_costs(report: CostReport | Refusal, console: Console) -> None:
    """Write energy, time, cores and every assumption, each number with its kind.

    Of a chip that cannot run the network, write why.
    """
    if isinstance(report, Refusal):
        text = escape(f"{report.profile}: {report.reason}")
        console.print(f"[bold]Not priced:[/] {text}\n", soft_wrap=True)
        return
    _show_summary(report, console)
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
    console.print(f"Operating point: {escape(report.operating_point)}\n", soft_wrap=True)


def _row(name: str, quantity: Quantity) -> list[str]:
    return [name, amount(quantity.value, quantity.unit), band(quantity), quantity.kind]


def _show_layers(report: CostReport, console: Console) -> None:
    energy = report.by_layer
    rows = [
        [
            layer.layer,
            count(layer.neurons),
            count(layer.cores),
            f"{layer.bound_by} {layer.utilisation:.0%}",
            amount(energy[layer.layer].value, "J"),
            band(energy[layer.layer]),
        ]
        for layer in report.mapping
    ]
    columns = ["layer", "neurons", "cores", "fullest", "dynamic energy", "band"]
    show_table(console, f"Layers, {report.cores} cores (derived by rule)", columns, rows)


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
