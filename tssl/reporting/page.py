"""One web page that holds everything and loads nothing."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tssl.costs import CostReport, Quantity
from tssl.reporting import pictures
from tssl.reporting.comparison import (
    COLUMNS,
    comparison,
    log_positions,
    quoted_table,
    references,
)
from tssl.reporting.operations import COLUMNS as OPERATIONS
from tssl.reporting.operations import operations
from tssl.reporting.sheet import Sheet
from tssl.reporting.units import amount, band, count
from tssl.results import RunResult

_TEMPLATE = "page.html"
_REFUSED = "not supported"


class Bar(NamedTuple):
    """A horizontal bar; the three positions are per cent of the width."""

    label: str
    text: str
    note: str
    kind: str
    value: float
    low: float
    high: float


def render_page(sheets: Sequence[Sheet]) -> str:
    """Return a self-contained HTML page: no script, no font, no picture from elsewhere.

    Parameters
    ----------
    sheets
        One network each; their costs are shown in their order.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        amount=_amount, band=_band, kind=_kind, count=count, joules=_joules, seconds=_seconds
    )
    return environment.get_template(_TEMPLATE).render(
        sheets=[_sheet(sheet) for sheet in sheets],
        columns=COLUMNS,
        counted=OPERATIONS,
        rows=comparison(sheets),
        refused=[refusal for sheet in sheets for refusal in _refusals(sheet)],
        energies=_energies(sheets),
        quoted=quoted_table(sheets),
    )


def firing_rates(result: RunResult) -> list[Bar]:
    """Return spikes per neuron and time step of each layer."""
    counts = result.counts
    slots = counts.neurons * counts.samples * counts.time_steps
    rates = counts.spikes.sum(axis=1) / slots
    scale = 100 / max(rates.max(), 1e-12)
    return [
        Bar(name, f"{rate:.2%}", "of neuron steps", "counted", rate * scale, 0, 0)
        for name, rate in zip(counts.layers, rates.tolist(), strict=True)
    ]


def _sheet(sheet: Sheet) -> dict[str, Any]:
    """Return what the template shows of a network."""
    result = sheet.result
    wanted = None if result.accuracy is None else result.labels
    cells = pictures.confusion(result.predictions, wanted)
    return {
        "result": result,
        "proof": sheet.proof,
        "rates": firing_rates(result),
        "operations": operations(result.counts, sheet.input_neurons),
        "cells": cells,
        "classes": 1 + max((max(cell.row, cell.column) for cell in cells), default=-1),
        "rasters": pictures.rasters(sheet.traces),
        "traces_note": sheet.traces_note,
        "recorded": sheet.recorded,
        "weights": [pictures.histogram(name, of) for name, of in sheet.weights.items()],
        "states": [
            pictures.histogram(f"{trace.layer}, {what}", values)
            for trace in sheet.traces
            for what, values in (("u", trace.current), ("v", trace.voltage))
        ],
        "reports": [_view(report) for report in sheet.costs],
    }


def _view(report: CostReport) -> dict[str, Any]:
    """Return what the template shows of a report."""
    return {
        "costs": report,
        "tiles": (
            ("Energy per inference", report.total),
            ("Latency", report.latency),
            ("Throughput, stream", report.throughput),
        ),
        "by_name": _bars(report.by_name),
        "by_layer": _bars(report.by_layer),
        "parts": [*report.by_part.items()],
        "times": (
            ("Latency of a sample alone on the chip", report.latency),
            ("Mean time step in a stream", report.step_time),
            ("Throughput in a stream", report.throughput),
            ("Static energy per inference in a stream", report.static_in_stream),
        ),
        "ann": list(references(report)),
        "maps": pictures.core_maps(report),
        "hues": pictures.layer_hues(report),
    }


def _refusals(sheet: Sheet) -> list[tuple[str, str, str]]:
    """Return network, chip and reason of everything that has no energy."""
    name = sheet.result.network
    rows = [(name, each.profile, each.reason) for each in sheet.refused]
    for cost in sheet.costs:
        rows += [(name, cost.title, f"no {gap.what}: {gap.reason}") for gap in cost.gaps]
        rows += [(name, cost.title, warning) for warning in cost.warnings]
    return rows


def _energies(sheets: Sequence[Sheet]) -> list[Bar]:
    """Return the energies of all networks on all chips, on one logarithmic scale."""
    several = len(sheets) > 1
    priced = [
        (f"{cost.network}, {cost.title}" if several else cost.title, total)
        for sheet in sheets
        for cost in sheet.costs
        for total in [cost.total]
        if total is not None
    ]
    positions = log_positions([total for _, total in priced])
    return [
        Bar(label, _amount(total), band(total), total.kind, *place)
        for (label, total), place in zip(priced, positions, strict=True)
    ]


def _bars(quantities: Mapping[str, Quantity]) -> list[Bar]:
    scale = 100 / max(_largest(quantities.values()), 1e-30)
    return [
        Bar(
            label,
            amount(quantity.value, quantity.unit),
            band(quantity),
            quantity.kind,
            quantity.value * scale,
            quantity.low * scale,
            quantity.high * scale,
        )
        for label, quantity in quantities.items()
    ]


def _largest(quantities: Iterable[Quantity]) -> float:
    return max((quantity.high for quantity in quantities), default=0.0)


def _amount(quantity: Quantity | None) -> str:
    return _REFUSED if quantity is None else amount(quantity.value, quantity.unit)


def _joules(value: float) -> str:
    return amount(value, "J")


def _seconds(value: float) -> str:
    return amount(value, "s")


def _band(quantity: Quantity | None) -> str:
    return "" if quantity is None else band(quantity)


def _kind(quantity: Quantity | None) -> str:
    return "see below" if quantity is None else quantity.kind
