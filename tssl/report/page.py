"""One web page that holds everything and loads nothing."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tssl.costs import CostReport, Quantity, Refusal
from tssl.report.units import amount, band, count
from tssl.results import RunResult

_TEMPLATE = "page.html"


class Bar(NamedTuple):
    """A horizontal bar; the three positions are per cent of the width."""

    label: str
    text: str
    note: str
    kind: str
    value: float
    low: float
    high: float


def render_page(
    result: RunResult,
    reports: Sequence[CostReport],
    proof: Mapping[str, Any] | None = None,
    refused: Sequence[Refusal] = (),
) -> str:
    """Return a self-contained HTML page: no script, no font, no picture from elsewhere.

    Parameters
    ----------
    reports
        One section each, in this order.
    proof
        A table that shows that chip and simulation agree: ``"statement"`` (one sentence),
        ``"columns"`` (names) and ``"rows"`` (lists of cells); all three may be absent.
    refused
        Chips that cannot run the network.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(amount=_amount, band=band, count=count)
    template = environment.get_template(_TEMPLATE)
    return template.render(
        result=result,
        rates=firing_rates(result),
        reports=[_view(report) for report in reports],
        proof=proof,
        refused=refused,
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
    }


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


def _amount(quantity: Quantity) -> str:
    return amount(quantity.value, quantity.unit)
