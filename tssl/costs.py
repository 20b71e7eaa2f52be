"""What a run costs on a chip: the types between hardware profiles and reports.

No number travels without its kind and its band.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

SCHEMA_VERSION = 1

Kind = Literal[
    "measured",
    "architectural",
    "derived",
    "fitted",
    "simulated",
    "vendor claim",
    "estimate",
    "proxy",
]
"""How a figure is known, from the firmest to the weakest."""

KINDS: tuple[Kind, ...] = get_args(Kind)

Part = Literal["dynamic", "static", "io"]
PARTS: tuple[Part, ...] = get_args(Part)
_ENERGY_GAPS = ("dynamic energy", "static energy")

Resource = Literal["neurons", "synaptic memory", "input axons", "output axons", "neuron groups"]


def weakest(kinds: Iterable[Kind]) -> Kind:
    """Return the kind of a figure computed from figures of these kinds.

    Notes
    -----
    It is never firmer than "derived": what is computed was not measured.
    """
    return max(("derived", *kinds), key=KINDS.index)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A figure with its unit, its origin and its band.

    Parameters
    ----------
    value, low, high
        In ``unit``. Where no source gives a band, ``low`` and ``high`` equal ``value``.
    kind
        How the figure is known, see :data:`Kind`.
    source
        Who says so, or how it was computed.
    """

    value: float
    unit: str
    kind: Kind
    source: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"value {self.value} is outside its band {self.low}..{self.high}")

    @property
    def has_band(self) -> bool:
        """Whether the band is more than the value itself."""
        return self.low < self.high


@dataclass(frozen=True, kw_only=True)
class LayerMapping:
    """How a layer lies on cores.

    Parameters
    ----------
    cores
        Neuromorphic cores that hold the layer; they hold no other, unless the chip shares them.
    bound_by
        The resource that is fullest on the fullest core.
    utilisation
        Of that resource on that core, 0...1.
    shares
        Of every resource that the profile limits, on the fullest core, 0...1.
    columns, channel_groups
        How a feature map is cut: columns per core (0: neurons are split evenly) and into how
        many groups of output channels.
    relay_of
        The layer whose spikes it repeats a step later, when it is a relay.
    """

    layer: str
    neurons: int
    cores: int
    bound_by: Resource
    utilisation: float
    shares: dict[Resource, float] = field(default_factory=dict)
    columns: int = 0
    channel_groups: int = 1
    relay_of: str | None = None

    @property
    def title(self) -> str:
        """Its name, for people."""
        return self.layer if self.relay_of is None else f"{self.layer} (relay)"


@dataclass(frozen=True, kw_only=True)
class CoreLoad:
    """One core: where it is and what it carries.

    Parameters
    ----------
    chip, core
        Numbers of the chip, and of the core on it.
    column, row
        Of the core's tile on the chip, or None where the profile has no mesh.
    joules
        Dynamic energy per inference, or None when it cannot be priced.
    seconds
        Mean work per time step, or None when it cannot be timed.
    """

    layer: str
    neurons: int
    chip: int
    core: int
    column: int | None
    row: int | None
    joules: float | None
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Spikes under way between cores, per inference.

    Parameters
    ----------
    messages
        One per spike and core that it goes to.
    hops_east_west, hops_north_south
        Steps between tiles, first along the row, then along the column.
    chip_crossings
        Messages that leave their chip.
    placement
        The rule by which cores were put on tiles.
    """

    messages: float
    hops_east_west: float
    hops_north_south: float
    chip_crossings: float
    placement: str


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A figure that the report refuses, and why.

    Parameters
    ----------
    what
        "dynamic energy", "static energy", "input and output", "time".
    """

    what: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class AnnCost:
    """The same network as an 8-bit network without spikes: one pass, no time steps.

    Parameters
    ----------
    operations
        Multiply-accumulates of one pass.
    energy, latency
        None where the profile cannot support them.
    how
        What was assumed, in one sentence.
    is_upper_bound
        Whether sparse activations would make it cheaper.
    """

    profile: str
    title: str
    operations: int
    energy: Quantity | None
    latency: Quantity | None
    how: str
    is_upper_bound: bool = False


@dataclass(frozen=True, kw_only=True)
class EnergyTerm:
    """One product of an amount and a price, per inference.

    Parameters
    ----------
    name
        What is paid for: synaptic operations, spikes, static power...
    layer
        None for what belongs to the whole chip.
    operations
        Per inference: how many, or for static power how many seconds.
    price
        Joules per operation, or watts.
    joules, low, high
        The product with the price and with the ends of its band.
    """

    name: str
    layer: str | None
    part: Part
    operations: float
    price: Quantity
    joules: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """Something the reader must believe to believe the report.

    Parameters
    ----------
    quantity
        The figure that is assumed, when it is one.
    """

    statement: str
    kind: Kind
    source: str
    quantity: Quantity | None = None


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A chip that cannot run the network, and why; it gets no price."""

    profile: str
    reason: str
    network: str = ""


@dataclass(frozen=True, kw_only=True)
class QuotedFigure:
    """What somebody published for an inference on a data set, with another network.

    Parameters
    ----------
    data
        Name of the data set.
    title
        Network and chip, in words.
    joules, seconds
        Energy and time of an inference.
    accuracy
        0...1; None where the source does not say it.
    limits
        Why it cannot be compared without reserve.
    """

    data: str
    title: str
    joules: float
    seconds: float
    kind: Kind
    source: str
    limits: str
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class CostReport:
    """Energy and time per inference of one network on one chip.

    Parameters
    ----------
    profile, title
        Name of the profile and of the chip.
    samples
        Over how many samples the operations were averaged.
    mapping
        One entry per layer, in the order of the network; empty on a conventional device.
    energy
        All terms; their sum is the energy of one inference alone on the chip.
    latency
        From the first input step to the last output step of a sample alone on the chip.
        None, as the figures below, where the profile cannot support it.
    step_time
        Mean time step in a stream of samples, one after another as fast as the chip can reset.
    throughput
        Inferences per second in such a stream.
    static_in_stream
        Static energy per inference in such a stream; an alternative, not part of ``energy``.
    operating_point
        Voltage, mode and number of chips, in words.
    loads
        One entry per core.
    mesh
        Columns and rows of tiles on a chip and cores per tile, or None when not known.
    gaps
        What the report refuses to say.
    warnings
        Where the chip would not do what is assumed.
    ann
        The same network without spikes, on this chip or the one it is compared with.
    """

    profile: str
    title: str
    network: str
    samples: int
    time_steps: int
    mapping: tuple[LayerMapping, ...]
    energy: tuple[EnergyTerm, ...]
    latency: Quantity | None
    step_time: Quantity | None
    throughput: Quantity | None
    static_in_stream: Quantity | None
    operating_point: str
    assumptions: tuple[Assumption, ...]
    energy_model: str = "marginal"
    loads: tuple[CoreLoad, ...] = ()
    mesh: tuple[int, int, int] | None = None
    traffic: Traffic | None = None
    gaps: tuple[Gap, ...] = ()
    warnings: tuple[str, ...] = ()
    ann: tuple[AnnCost, ...] = ()

    @property
    def cores(self) -> int:
        """Cores of all layers together; a core that layers share counts once."""
        if self.loads:
            return len({(load.chip, load.core) for load in self.loads})
        return sum(layer.cores for layer in self.mapping)

    @property
    def chips(self) -> int:
        """Chips on which the network lies."""
        return len({load.chip for load in self.loads}) or 1

    @property
    def total(self) -> Quantity | None:
        """Energy per inference, or None when a part of it cannot be supported."""
        if not self.energy or any(gap.what in _ENERGY_GAPS for gap in self.gaps):
            return None
        return _sum(self.energy, "all parts that are not excluded")

    @property
    def by_part(self) -> dict[Part, Quantity]:
        """Energy per inference of each part; a part that was not priced is absent."""
        terms = {part: [term for term in self.energy if term.part == part] for part in PARTS}
        return {part: _sum(of, f"{part} terms") for part, of in terms.items() if of}

    @property
    def by_name(self) -> dict[str, Quantity]:
        """Energy per inference of each kind of operation."""
        return {
            name: _sum([term for term in self.energy if term.name == name], f"{name}, all layers")
            for name in dict.fromkeys(term.name for term in self.energy)
        }

    @property
    def by_layer(self) -> dict[str, Quantity]:
        """Dynamic energy per inference of each layer."""
        layers = dict.fromkeys(term.layer for term in self.energy if term.layer is not None)
        return {
            layer: _sum([term for term in self.energy if term.layer == layer], f"layer {layer}")
            for layer in layers
        }

    def document(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "cores": self.cores,
            "chips": self.chips,
            "total": None if self.total is None else asdict(self.total),
            "by_part": {part: asdict(sum_) for part, sum_ in self.by_part.items()},
            "by_name": {name: asdict(sum_) for name, sum_ in self.by_name.items()},
            "by_layer": {layer: asdict(sum_) for layer, sum_ in self.by_layer.items()},
        }


def _sum(terms: Iterable[EnergyTerm], source: str) -> Quantity:
    """Add terms; the ends of the band are all low ends, and all high ends, at once."""
    terms = list(terms)
    return Quantity(
        value=sum(term.joules for term in terms),
        unit="J",
        kind=weakest(term.price.kind for term in terms),
        source=f"sum of {source}",
        low=sum(term.low for term in terms),
        high=sum(term.high for term in terms),
    )
