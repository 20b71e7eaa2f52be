"""What a page shows of one network: its run, its costs, and a look inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tssl.chip import BoolArray, IntArray
from tssl.costs import CostReport, QuotedFigure, Refusal
from tssl.results import RunResult


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerTrace:
    """What the neurons of a layer did while one sample ran.

    Parameters
    ----------
    spikes
        ``(time, neurons)``.
    current, voltage
        Synaptic current and membrane potential after each step, ``(time, neurons)``.
    """

    layer: str
    spikes: BoolArray
    current: IntArray
    voltage: IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Sheet:
    """One network on the page.

    Parameters
    ----------
    costs, refused
        On the chips that can run it, and the chips that cannot.
    proof
        A table that shows that chip and simulation agree: ``"statement"`` (one sentence),
        ``"columns"`` (names) and ``"rows"`` (lists of cells); all three may be absent.
    input_neurons
        Those that the samples enter, 0 where they enter as spikes.
    quoted
        What others published for the same data.
    weights
        By layer.
    traces
        Of one sample, by layer; empty when it could not be run again.
    traces_note
        Which sample it was, or why there is none.
    recorded
        Pictures of what the run itself recorded, an ``svg`` element for each layer.
    """

    result: RunResult
    costs: tuple[CostReport, ...] = ()
    refused: tuple[Refusal, ...] = ()
    proof: Mapping[str, Any] | None = None
    input_neurons: int = 0
    quoted: tuple[QuotedFigure, ...] = ()
    weights: Mapping[str, IntArray] = field(default_factory=dict)
    traces: tuple[LayerTrace, ...] = ()
    traces_note: str = ""
    recorded: tuple[str, ...] = ()
