"""One web page that holds everything and loads nothing."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tssl.costs import CostReport, Part, Quantity
from tssl.reporting import charts, pictures
from tssl.reporting.axes import Axis, linear_axis, log_axis, share_axis
from tssl.reporting.comparison import COLUMNS, comparison, quoted_table, references
from tssl.reporting.diagram import diagram, layer_table
from tssl.reporting.operations import COLUMNS as OPERATIONS
from tssl.reporting.operations import operations
from tssl.reporting.sheet import LayerTrace, LearningCurve, Sheet
from tssl.reporting.units import amount, band, count
from tssl.results import RunResult
from tssl.wording import several

_FOLDER = Path(__file__).parent
_TEMPLATE, _SCRIPT = "page.html", "page.js.html"
_REFUSED = "not supported"
MOST_BYTES = 1_000_000
"""Of a page; one that would be longer leaves out what is said in full elsewhere."""
_CHIPS_IN_BRIEF = 2


class Bar(NamedTuple):
    """A horizontal bar; the three positions are per cent of the width."""

    label: str
    text: str
    note: str
    kind: str
    value: float
    low: float
    high: float


class Bars(NamedTuple):
    """Bars over one axis."""

    axis: Axis
    rows: list[Bar]


def render_page(sheets: Sequence[Sheet], made: str = "") -> str:
    """Return a self-contained HTML page: no script, no font, no picture from elsewhere.

    The page's own script shows values and hides layers; the policy of the page allows no other.

    Parameters
    ----------
    sheets
        One network each; their costs are shown in their order.
    made
        When and by what the page was made.
    """
    page = _rendered(sheets, made, brief=False)
    return page if len(page.encode()) <= MOST_BYTES else _rendered(sheets, made, brief=True)


def _rendered(sheets: Sequence[Sheet], made: str, *, brief: bool) -> str:
    """Return the page, with what many networks on many chips would make too long or without."""
    script = (_FOLDER / _SCRIPT).read_text(encoding="utf-8")
    return environment().get_template(_TEMPLATE).render(
        sheets=[_sheet(sheet, brief=brief) for sheet in sheets],
        made=made,
        brief=brief,
        columns=COLUMNS,
        counted=OPERATIONS,
        rows=comparison(sheets),
        refused=[refusal for sheet in sheets for refusal in _refusals(sheet)],
        energies=_energies(sheets),
        fronts=_fronts(sheets),
        quoted=quoted_table(sheets),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )  # fmt: skip


def environment() -> Environment:
    """Return what renders the templates of this folder."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        amount=_amount,
        band=_band,
        kind=_kind,
        count=count,
        several=several,
        joules=_joules,
        seconds=_seconds,
    )
    return made


def firing_rates(result: RunResult) -> Bars:
    """Return spikes per neuron and time step of each layer; the full width is one at each."""
    counts = result.counts
    slots = counts.neurons * counts.samples * counts.time_steps
    rates = (counts.spikes.sum(axis=1) / slots).tolist()
    rows = [
        Bar(name, f"{rate:.2%}", "", "counted", 100 * min(rate, 1.0), 0, 0)
        for name, rate in zip(counts.layers, rates, strict=True)
    ]
    return Bars(share_axis("spikes per neuron and time step"), rows)


def _sheet(sheet: Sheet, *, brief: bool) -> dict[str, Any]:
    """Return what the template shows of a network."""
    result = sheet.result
    names, chips = sheet.class_names, _CHIPS_IN_BRIEF if brief else None
    wanted = None if result.accuracy is None else result.labels
    return {
        "result": result,
        "sheet": sheet,
        "rates": firing_rates(result),
        "operations": operations(result.counts, sheet.input_neurons),
        "matrix": pictures.confusion(result.predictions, wanted, names),
        "diagram": None if sheet.network is None else diagram(sheet.network),
        "layers": None if sheet.network is None else layer_table(sheet.network),
        "learning": _learning(sheet.learning),
        "traces": [_trace(trace) for trace in sheet.traces],
        "recorded": [_trace(trace) for trace in sheet.recorded],
        "shown_layers": _shown_layers(sheet),
        "last_step": _last_step(sheet),
        "weights": [
            charts.histogram(name, f"{name}: weights", of, "weight, integer of the chip")
            for name, of in sheet.weights.items()
        ],
        "states": [] if brief else _states(sheet.traces),
        "reports": [_view(report, sheet) for report in sheet.costs[:chips]],
    }


def _shown_layers(sheet: Sheet) -> list[str]:
    """Return the layers that the page draws something of, in their order."""
    drawn = [each.layer for each in (*sheet.traces, *sheet.recorded)]
    return list(dict.fromkeys([*drawn, *sheet.result.counts.layers]))


def _last_step(sheet: Sheet) -> int:
    """Return the last time step that the page draws something of."""
    drawn = [each.time_steps for each in (*sheet.traces, *sheet.recorded)]
    return max(drawn, default=1) - 1


def _trace(trace: LayerTrace) -> list[charts.Chart]:
    """Return a raster where there are spikes, and curves where there are states."""
    rasters = [] if trace.spikes is None else [charts.raster(trace)]
    return rasters + charts.state_charts(trace)


def _states(traces: Sequence[LayerTrace]) -> list[charts.Chart]:
    """Return how often each value of current and potential occurs."""
    return [
        charts.histogram(trace.layer, f"{trace.layer}: all values of {sign}", values, name)
        for trace in traces
        for sign, name, values in (
            ("u", "synaptic current u", trace.current),
            ("v", "membrane potential v", trace.voltage),
        )
        if values is not None
    ]


def _learning(curve: LearningCurve | None) -> list[charts.Chart]:
    """Return loss and accuracies over the epochs."""
    if curve is None or not curve.epochs:
        return []
    epochs = linear_axis("epoch", min(curve.epochs), max(curve.epochs))
    loss = linear_axis("loss per training sample", min(0, *curve.loss), max(curve.loss))
    shares = {
        name: [100 * share for share in values]
        for name, values in (
            ("training, while learning", curve.training),
            ("held-out", curve.held_out),
            ("test", curve.test),
        )
        if values
    }
    ends = [share for values in shares.values() for share in values]
    accuracy = linear_axis("accuracy [%]", min(ends), max(ends))
    series = [charts.Series(name, curve.epochs, values) for name, values in shares.items()]
    return [
        charts.lines("Loss", epochs, loss, [charts.Series("loss", curve.epochs, curve.loss)]),
        charts.lines("Accuracy", epochs, accuracy, series),
    ]


def _view(report: CostReport, sheet: Sheet) -> dict[str, Any]:
    """Return what the template shows of a report."""
    network = sheet.network
    found = [] if network is None else pictures.ways(report, network)
    return {
        "costs": report,
        "tiles": (
            ("Energy per inference", report.total),
            ("Latency", report.latency),
            ("Throughput, stream", report.throughput),
        ),
        "shares": _shares(report.by_part),
        "share_axis": share_axis("share of the energy per inference"),
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
        "maps": pictures.core_maps(report, network),
        "ways": pictures.way_table(found),
        "hues": pictures.layer_hues(report),
    }


def _shares(parts: Mapping[Part, Quantity]) -> list[tuple[str, str, float, float]]:
    """Return name, text, start and width of each part of the energy, in per cent of all of it."""
    whole = sum(part.value for part in parts.values())
    shares: list[tuple[str, str, float, float]] = []
    start = 0.0
    for name, part in parts.items():
        share = 100 * part.value / whole if whole else 0.0
        text = f"{name} {amount(part.value, part.unit)}, {share:.1f} %"
        shares.append((name, text, start, share))
        start += share
    return shares


def _refusals(sheet: Sheet) -> list[tuple[str, str, str]]:
    """Return network, chip and reason of everything that has no energy."""
    name = sheet.result.network
    rows = [(name, each.profile, each.reason) for each in sheet.refused]
    for cost in sheet.costs:
        rows += [(name, cost.title, f"no {gap.what}: {gap.reason}") for gap in cost.gaps]
        rows += [(name, cost.title, warning) for warning in cost.warnings]
    return rows


def _priced(sheets: Sequence[Sheet]) -> list[tuple[Sheet, CostReport, Quantity]]:
    """Return every cost that has an energy above zero, with its network."""
    return [
        (sheet, cost, total)
        for sheet in sheets
        for cost in sheet.costs
        for total in [cost.total]
        if total is not None and total.value > 0
    ]


def _energies(sheets: Sequence[Sheet]) -> Bars | None:
    """Return the energies of all networks on all chips, on one logarithmic scale."""
    priced = _priced(sheets)
    if len(priced) < 2:
        return None
    ends = [end for _, _, total in priced for end in (_low(total), total.high)]
    axis = log_axis("energy per inference, logarithmic", min(ends), max(ends), "J")
    several = len(sheets) > 1
    rows = [
        Bar(
            f"{cost.network}, {cost.title}" if several else cost.title,
            _amount(total),
            band(total),
            total.kind,
            *(100 * axis.place(end) for end in (total.value, _low(total), total.high)),
        )
        for _, cost, total in priced
    ]
    return Bars(axis, rows)


def _fronts(sheets: Sequence[Sheet]) -> list[tuple[charts.Chart, list[charts.Point]]]:
    """Return accuracy against energy for each data set that several networks were run on."""
    fronts = []
    for data in dict.fromkeys(sheet.result.data for sheet in sheets):
        points = [
            charts.Point(cost.network, cost.title, total.value, _low(total), total.high, accuracy)
            for sheet, cost, total in _priced(sheets)
            for accuracy in [sheet.result.accuracy]
            if sheet.result.data == data and accuracy is not None
        ]
        if len({sheet.result.network for sheet in sheets if sheet.result.data == data}) > 1:
            fronts += [(charts.pareto(data, points), charts.front(points))] if points else []
    return fronts


def _low(quantity: Quantity) -> float:
    """Return the low end of a band on a logarithmic axis, which has no zero."""
    return quantity.low if quantity.low > 0 else quantity.value


def _bars(quantities: Mapping[str, Quantity]) -> Bars:
    axis = linear_axis("energy per inference", 0, _largest(quantities.values()) or 1e-15, "J")
    rows = [
        Bar(
            label,
            amount(quantity.value, quantity.unit),
            band(quantity),
            quantity.kind,
            *(100 * axis.place(end) for end in (quantity.value, quantity.low, quantity.high)),
        )
        for label, quantity in quantities.items()
    ]
    return Bars(axis, rows)


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
