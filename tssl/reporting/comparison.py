"""Networks and chips side by side, and a spiking network against the same one without spikes."""

from collections.abc import Iterator, Sequence
from math import log10

from tssl.costs import AnnCost, CostReport, Quantity, QuotedFigure
from tssl.reporting.sheet import Sheet
from tssl.reporting.units import amount, band, count, number
from tssl.tables import Table

REFUSED = "-"
COLUMNS = (
    "network",
    "chip",
    "accuracy",
    "energy",
    "band",
    "kind",
    "latency",
    "throughput",
    "cores",
    "8-bit network without spikes",
)


QUOTED = (
    "published elsewhere",
    "data set",
    "accuracy",
    "energy",
    "kind",
    "latency",
    "source and limits",
)


def comparison(sheets: Sequence[Sheet]) -> list[list[str]]:
    """Return one row per network and chip, in the columns of :data:`COLUMNS`."""
    return [_row(sheet, cost) for sheet in sheets for cost in sheet.costs]


def comparison_table(sheets: Sequence[Sheet]) -> Table:
    """Return networks and chips side by side."""
    return Table("Side by side, per inference", COLUMNS, comparison(sheets))


def quoted_table(sheets: Sequence[Sheet]) -> Table:
    """Return what others published for the data of the networks."""
    figures = dict.fromkeys(figure for sheet in sheets for figure in sheet.quoted)
    return Table("Quoted, per inference", QUOTED, [_quoted(figure) for figure in figures])


def _quoted(figure: QuotedFigure) -> list[str]:
    return [
        figure.title,
        figure.data,
        REFUSED if figure.accuracy is None else f"{figure.accuracy:.2%}",
        amount(figure.joules, "J"),
        figure.kind,
        amount(figure.seconds, "s"),
        f"{figure.source}; {figure.limits}",
    ]


def text(quantity: Quantity | None) -> str:
    """Return a quantity, or a dash where the report refuses it."""
    return REFUSED if quantity is None else amount(quantity.value, quantity.unit)


def verdict(cost: CostReport, ann: AnnCost) -> str:
    """Say which of both needs less energy; an SNN that loses is said to lose."""
    total, other = cost.total, ann.energy
    if total is None or other is None or not other.value or not total.value:
        who = cost.title if total is None else ann.title
        return f"no verdict: no energy per inference can be given for {who}"
    ratio = total.value / other.value
    same_prices = ann.profile == cost.profile
    undecided = _turns(total, other) if same_prices else _overlap(total, other)
    bands = "; within the bands it may be otherwise" if undecided else ""
    if ratio > 1:
        return f"the spiking network needs {number(ratio)} times the energy: it loses{bands}"
    against = " against an upper bound" if ann.is_upper_bound else ""
    return f"the spiking network needs {number(ratio)} of the energy: it wins{against}{bands}"


def references(cost: CostReport) -> Iterator[tuple[AnnCost, str]]:
    """Yield the networks without spikes that a cost is compared with, and the verdict."""
    for ann in cost.ann:
        yield ann, verdict(cost, ann)


def log_positions(quantities: Sequence[Quantity]) -> list[tuple[float, float, float]]:
    """Return value, low and high of each on one logarithmic scale, in per cent of its width."""
    positive = [quantity for quantity in quantities if quantity.low > 0]
    if not positive:
        return [(0.0, 0.0, 0.0) for _ in quantities]
    start = min(log10(quantity.low) for quantity in positive) - 0.1
    end = max(log10(quantity.high) for quantity in positive) + 0.1

    def place(value: float) -> float:
        return 0.0 if value <= 0 else 100 * (log10(value) - start) / (end - start)

    return [tuple(map(place, (each.value, each.low, each.high))) for each in quantities]  # type: ignore[misc]


def _row(sheet: Sheet, cost: CostReport) -> list[str]:
    result, total = sheet.result, cost.total
    cores = count(cost.cores) if cost.mapping else REFUSED
    if cost.chips > 1:
        cores += f" on {count(cost.chips)} chips"
    return [
        cost.network,
        cost.title,
        f"{result.accuracy:.2%}" if result.accuracy is not None else result.told,
        text(total),
        "" if total is None else band(total),
        "refused" if total is None else total.kind,
        text(cost.latency),
        text(cost.throughput),
        cores,
        "; ".join(f"{ann.title}: {text(ann.energy)}" for ann in cost.ann),
    ]


def _turns(one: Quantity, other: Quantity) -> bool:
    """Return whether prices that are low, or high, for both at once change the order."""
    pairs = ((one.value, other.value), (one.low, other.low), (one.high, other.high))
    return len({left > right for left, right in pairs}) > 1


def _overlap(one: Quantity, other: Quantity) -> bool:
    return one.low <= other.high and other.low <= one.high
