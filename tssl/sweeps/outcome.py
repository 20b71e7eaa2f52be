"""What came out of a sweep: points, their mean and spread over seeds, and the best of them."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

__all__ = ["Combination", "Count", "Point", "Spread", "combinations", "pareto_front"]


class Spread(NamedTuple):
    """A figure over seeds."""

    mean: float
    deviation: float | None
    """Standard deviation of a sample, with n - 1; None of a single value."""

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        """Return mean and standard deviation of some values."""
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return Spread(statistics.fmean(values), deviation)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One training, exported once and run on its test samples.

    Parameters
    ----------
    settings
        What was chosen, by key of the sweep.
    run, net, result
        Paths relative to the folder of the sweep: training, network and result.
    float_accuracy, chip_accuracy
        Of the test samples, before quantization and of the chip's integers.
    held_out_accuracy
        Of the chip's integers on the samples that training held out; None where nobody asked.
    energy, energy_low, energy_high
        Joules per inference with the ends of the band; None where the target has no prices.
    energy_kind
        How the energy is known.
    latency
        Seconds; None where the target has none.
    cores
        Of the chip; None on what has none.
    spikes, operations
        Of the network's neurons, and synaptic operations, per inference.
    refused
        Why there are no figures; None when there are.
    """

    settings: Mapping[str, Any]
    target: str
    seed: int
    run: str
    net: str
    result: str
    samples: int = 0
    float_accuracy: float | None = None
    chip_accuracy: float | None = None
    held_out_accuracy: float | None = None
    energy: float | None = None
    energy_low: float | None = None
    energy_high: float | None = None
    energy_kind: str | None = None
    latency: float | None = None
    cores: int | None = None
    spikes: float | None = None
    operations: float | None = None
    refused: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the point as JSON data."""
        return {**asdict(self), "settings": dict(self.settings)}


FIGURES = (
    "float_accuracy", "chip_accuracy", "held_out_accuracy", "energy", "energy_low", "energy_high",
    "latency", "cores", "spikes", "operations",
)  # fmt: skip
"""Fields of a point that are numbers and have a mean."""


@dataclass(frozen=True, kw_only=True)
class Combination:
    """The points that differ in nothing but the seed.

    Parameters
    ----------
    points
        Those with figures, by seed.
    refused
        Those without.
    figures
        Mean and spread of each of :data:`FIGURES` that all points have.
    on_front
        Whether no other combination is as accurate with less energy, or more accurate with as
        little. One that a seed was refused of is not: the mean of the lucky ones says little.
    """

    settings: Mapping[str, Any]
    target: str
    points: tuple[Point, ...]
    refused: tuple[Point, ...]
    figures: Mapping[str, Spread] = field(default_factory=dict)
    on_front: bool = False

    @property
    def accuracy(self) -> str | None:
        """The figure that accuracy is judged by: of a search that on held-out samples."""
        names = ("held_out_accuracy", "chip_accuracy")
        return next((name for name in names if name in self.figures), None)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the points with figures."""
        return tuple(point.seed for point in self.points)


@dataclass(frozen=True, kw_only=True)
class Count:
    """How far the trials of a sweep are."""

    total: int
    done: int
    pruned: int
    failed: int
    running: int

    @property
    def finished(self) -> int:
        """Trials that nobody will touch again."""
        return self.done + self.pruned + self.failed

    @property
    def is_finished(self) -> bool:
        """Whether all are."""
        return self.finished == self.total


def combinations(points: Iterable[Point]) -> list[Combination]:
    """Return points joined over seeds, in the order in which they first come, the front marked."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        key = json.dumps([point.settings, point.target], sort_keys=True)
        groups.setdefault(key, []).append(point)
    joined = [_joined(group) for group in groups.values()]
    goals, priced = [], []
    for each in joined:
        if each.accuracy is not None and "energy" in each.figures and not each.refused:
            goals.append((-each.figures[each.accuracy].mean, each.figures["energy"].mean))
            priced.append(each)
    best = {id(priced[index]) for index in pareto_front(goals)}
    return [_marked(each, on_front=id(each) in best) for each in joined]


def pareto_front(goals: Sequence[tuple[float, float]]) -> list[int]:
    """Return which pairs no other pair beats, by index and in order of the first number.

    Parameters
    ----------
    goals
        Pairs of numbers that should both be small. One beats another when it is not larger in
        either and smaller in one; equal pairs are all kept.
    """
    order = sorted(range(len(goals)), key=lambda index: goals[index])
    front: list[int] = []
    least = math.inf
    for index in order:
        first, second = goals[index]
        equals_last = bool(front) and goals[front[-1]] == (first, second)
        if second < least or equals_last:
            front.append(index)
            least = second
    return front


def _joined(group: Sequence[Point]) -> Combination:
    unique = {point.seed: point for point in group}  # a search may come to one point twice
    points = tuple(point for _, point in sorted(unique.items()) if point.refused is None)
    figures = {}
    for name in FIGURES:
        values = [getattr(point, name) for point in points]
        if values and all(value is not None for value in values):
            figures[name] = Spread.of(values)
    return Combination(
        settings=group[0].settings,
        target=group[0].target,
        points=points,
        refused=tuple(point for point in unique.values() if point.refused is not None),
        figures=figures,
    )


def _marked(combination: Combination, *, on_front: bool) -> Combination:
    return Combination(**{**vars(combination), "on_front": on_front})
