import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tssl.sweeps import Combination, Point, Spread, combinations, pareto_front

SMALL = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(SMALL, SMALL), max_size=30))
def test_the_front_is_what_nothing_beats(goals: list[tuple[float, float]]) -> None:
    def beaten(mine: tuple[float, float]) -> bool:
        return any(a <= mine[0] and b <= mine[1] and (a, b) != mine for a, b in goals)

    expected = {index for index, goal in enumerate(goals) if not beaten(goal)}
    found = pareto_front(goals)
    assert set(found) == expected
    assert len(found) == len(expected)
    assert [goals[index][0] for index in found] == sorted(goals[index][0] for index in found)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_spread_is_that_of_numpy(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.mean == pytest.approx(np.mean(values), abs=1e-6)
    assert spread.deviation == pytest.approx(np.std(values, ddof=1), abs=1e-6)


def test_one_value_has_no_spread() -> None:
    assert Spread.of([3.0]) == (3.0, None)


def point(seed: int, bits: int, accuracy: float, energy: float | None, **more: object) -> Point:
    return Point(
        settings={"bits": bits}, target="loihi2", seed=seed, run="r", net="n", result="x",
        chip_accuracy=accuracy, energy=energy, **more,
    )  # fmt: skip


def by_bits(found: list[Combination]) -> dict[int, Combination]:
    return {each.settings["bits"]: each for each in found}


def test_points_are_joined_over_seeds_only() -> None:
    found = combinations([point(1, 4, 0.5, 2.0), point(0, 8, 0.7, 5.0), point(0, 4, 0.7, 4.0)])
    assert [each.settings["bits"] for each in found] == [4, 8]
    four = found[0]
    assert four.seeds == (0, 1)
    assert four.figures["chip_accuracy"] == pytest.approx((0.6, math.sqrt(0.02)))
    assert four.figures["energy"] == pytest.approx((3.0, math.sqrt(2)))
    assert found[1].figures["energy"] == (5.0, None)


def test_a_point_that_came_twice_counts_once() -> None:
    (found,) = combinations([point(0, 4, 0.5, 2.0), point(0, 4, 0.5, 2.0)])
    assert found.seeds == (0,)


def test_what_has_no_energy_or_was_refused_is_never_on_the_front() -> None:
    found = by_bits(
        combinations(
            [
                point(0, 2, 0.9, None),
                point(0, 3, 0.8, 1.0),
                point(0, 4, 0.7, 1.0),
                point(0, 5, 0.0, 0.0, refused="too large"),
                point(0, 6, 0.99, 0.5),
                point(1, 6, 0.0, 0.0, refused="dead"),
            ]
        )
    )
    assert [bits for bits, each in found.items() if each.on_front] == [3]
    assert found[5].points == ()
    assert [each.refused for each in found[5].refused] == ["too large"]


def test_a_search_is_judged_by_what_it_looked_for() -> None:
    """The first is better on the test set, and worse on the samples that were held out."""
    found = by_bits(
        combinations(
            [
                point(0, 2, 0.9, 1.0, held_out_accuracy=0.5),
                point(0, 3, 0.8, 1.0, held_out_accuracy=0.6),
            ]
        )
    )
    assert {each.accuracy for each in found.values()} == {"held_out_accuracy"}
    assert [bits for bits, each in found.items() if each.on_front] == [3]
    (alone,) = combinations([point(0, 2, 0.9, 1.0)])
    assert alone.accuracy == "chip_accuracy"
