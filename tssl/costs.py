"""What a run costs on a chip: the types between hardware profiles and reports.

No number travels without its kind and its band.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
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

Resource = Literal["neurons", "synaptic memory", "input axons"]


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
        In ``unit``. Where nobody gives a band, ``low`` and ``high`` equal ``value``.
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
        Neuromorphic cores that hold nothing but this layer.
    bound_by
        The resource that is fullest on the fullest core.
    utilisation
        Of that resource on that core, 0...1.
    """

    layer: str
    neurons: int
    cores: int
    bound_by: Resource
    utilisation: float


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
        One entry per layer, in the order of the network.
    energy
        All terms; their sum is the energy of one inference alone on the chip.
    latency
        From the first input step to the last output step of a sample alone on the chip.
    step_time
        Mean time step in a stream of samples, one after another as fast as the chip can reset.
    throughput
        Inferences per second in such a stream.
    static_in_stream
        Static energy per inference in such a stream; an alternative, not part of ``energy``.
    operating_point
        Voltage, mode and number of chips, in words.
    """

    profile: str
    title: str
    network: str
    samples: int
    time_steps: int
    mapping: tuple[LayerMapping, ...]
    energy: tuple[EnergyTerm, ...]
    latency: Quantity
    step_time: Quantity
    throughput: Quantity
    static_in_stream: Quantity
    operating_point: str
    assumptions: tuple[Assumption, ...]

    @property
    def cores(self) -> int:
        """Cores of all layers together."""
        return sum(layer.cores for layer in self.mapping)

    @property
    def total(self) -> Quantity:
        """Energy per inference, all parts that were priced."""
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
            "total": asdict(self.total),
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
