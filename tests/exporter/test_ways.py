"""Where spikes arrive on each way, by hand, and that connections have parts of the weights."""

import numpy as np

from tests.exporter.networks import after, checkpoint, concat, conv, dense, pool
from tests.graph.test_graph import graph
from tssl.exporter.lower import lower
from tssl.exporter.ways import ways_from

SHAPE = (2, 4, 6)
NESTED = [
    conv(3, 3, padding=1, name="a"),
    conv(4, 3, padding=1, name="b"),
    pool(2, name="p", **after("a")),
    pool(2, name="q", **after("b")),
    concat("p", "q", name="c"),
    pool((1, 3), name="r", **after("c")),
    dense(5, name="d"),
    concat("d", "r", "input", name="e"),
    dense(2),
]


def test_pools_and_concats_on_the_way() -> None:
    found = graph(SHAPE, *NESTED)
    assert [(way.source, way.shape, way.first) for way in ways_from(found, "c")] == [
        ("a", (3, 2, 3), 0), ("b", (4, 2, 3), 3),
    ]  # fmt: skip
    behind = list(ways_from(found, "r"))
    assert [(way.source, way.shape, way.first) for way in behind] == [
        ("a", (3, 2, 1), 0), ("b", (4, 2, 1), 3),
    ]  # fmt: skip
    assert [
        [(each.window, each.input_shape, each.output_shape) for each in way.pools] for way in behind
    ] == [
        [((2, 2), (3, 4, 6), (3, 2, 3)), ((1, 3), (3, 2, 3), (3, 2, 1))],
        [((2, 2), (4, 4, 6), (4, 2, 3)), ((1, 3), (4, 2, 3), (4, 2, 1))],
    ]
    assert [(way.source, way.shape, way.first) for way in ways_from(found, "e")] == [
        ("d", (5,), 0), ("a", (6,), 5), ("b", (8,), 11), ("input", (48,), 19),
    ]  # fmt: skip


def test_each_connection_has_its_part_of_the_weights(rng: np.random.Generator) -> None:
    layers = [conv(3, 1, name="a"), concat("input", "a"), conv(4, 3, name="c"), dense(2)]
    trained = checkpoint(rng, layers, SHAPE, tau_s=1.0)
    of_input, of_a = lower(trained)[1].connections
    whole = trained.weights["c"].astype(np.float64)
    assert (of_input.source, of_a.source) == ("input", "a")
    assert np.array_equal(of_input.weight, whole[:, :2] * trained.encoding.quantum)
    assert np.array_equal(of_a.weight, whole[:, 2:])


def test_groups_are_zeros_between_maps(rng: np.random.Generator) -> None:
    """The first group lies in both sources, the second one in the latter."""
    layers = [conv(4, 1, name="a"), concat("input", "a"), conv(4, 1, groups=2, name="c"), dense(2)]
    trained = checkpoint(rng, layers, SHAPE, tau_s=1.0)
    _, of_a = lower(trained)[1].connections
    whole = trained.weights["c"].astype(np.float64)
    assert np.array_equal(of_a.weight[:2, :, 0, 0] != 0, [[True, False, False, False]] * 2)
    assert np.array_equal(of_a.weight[:2, 0], whole[:2, 2])
    assert np.array_equal(of_a.weight[2:, 1:], whole[2:])
    assert not of_a.weight[2:, 0].any()
