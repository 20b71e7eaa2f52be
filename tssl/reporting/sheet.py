"""What a page shows of one network: its run, its costs, and a look inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tssl.chip import BoolArray, ChipNetwork, IntArray
from tssl.costs import CostReport, QuotedFigure, Refusal
from tssl.results import RunResult


class Accuracies(NamedTuple):
    """Shares of right answers at export, on the same test samples.

    Parameters
    ----------
    floating, chip
        Of the trained network, and of the exported integers.
    there, by
        Of a network of PyTorch modules: by these themselves, and by which library.
    """

    floating: float
    chip: float
    samples: int
    there: float | None = None
    by: str = ""


class LearningCurve(NamedTuple):
    """What a training brought, a value for each epoch; accuracies are shares in 0...1.

    Parameters
    ----------
    held_out
        Empty when nothing was held out.
    """

    epochs: Sequence[int]
    loss: Sequence[float]
    training: Sequence[float]
    held_out: Sequence[float]
    test: Sequence[float]


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerTrace:
    """What the neurons of a layer did while one sample ran.

    Parameters
    ----------
    spikes
        ``(time, neurons)``, true or not zero where something was sent; None when not recorded.
    current, voltage
        Synaptic current and membrane potential after each step, ``(time, neurons)``, likewise.
    threshold
        That all neurons share, in units of the potential; None where there is no such thing.
    """

    layer: str
    spikes: BoolArray | None = None
    current: IntArray | None = None
    voltage: IntArray | None = None
    threshold: int | None = None

    @property
    def time_steps(self) -> int:
        """Steps that are shown."""
        kept = (self.spikes, self.current, self.voltage)
        return max((len(values) for values in kept if values is not None), default=0)


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
    network
        What ran; None where only its result is known.
    provenance
        Where everything came from, names and texts.
    recipe
        By which it was trained, as TOML; empty when unknown.
    accuracies, learning
        None where the network does not say.
    class_names
        In the order of the labels; empty where they have none.
    weights
        By layer.
    traces
        Of one sample, by layer; empty when it could not be run again.
    traces_note
        Which sample it was, or why there is none.
    recorded
        What the run itself recorded of its first sample, by layer.
    recorded_note
        Which part of the sample that is.
    """

    result: RunResult
    costs: tuple[CostReport, ...] = ()
    refused: tuple[Refusal, ...] = ()
    proof: Mapping[str, Any] | None = None
    input_neurons: int = 0
    quoted: tuple[QuotedFigure, ...] = ()
    network: ChipNetwork | None = None
    provenance: tuple[tuple[str, str], ...] = ()
    recipe: str = ""
    accuracies: Accuracies | None = None
    learning: LearningCurve | None = None
    class_names: tuple[str, ...] = ()
    weights: Mapping[str, IntArray] = field(default_factory=dict)
    traces: tuple[LayerTrace, ...] = ()
    traces_note: str = ""
    recorded: tuple[LayerTrace, ...] = ()
    recorded_note: str = ""
