"""Merging pools and folding gains leaves every weighted sum, and so every spike, unchanged."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporter.networks import QUANTUM, checkpoint, conv, dense, pool
from tssl.errors import UnsupportedLayerError
from tssl.exporter.lower import Arrival, Stage, lower, merge_pools, through_pools
from tssl.geometry import Geometry
from tssl.graph import Graph, Node, Parameter
from tssl.neurons import Lif

SIZES = st.integers(2, 7)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def pooled(image: np.ndarray, pool: Node) -> np.ndarray:
    """Sum over windows, one by one."""
    (rows, columns), (down, right), (up, left) = (
        pool.geometry.kernel, pool.geometry.stride, pool.geometry.padding,
    )  # fmt: skip
    padded = np.pad(image, ((0, 0), (up, up), (left, left)))
    channels, height, width = padded.shape
    result = np.zeros((channels, (height - rows) // down + 1, (width - columns) // right + 1))
    for c, y, x in np.ndindex(*result.shape):
        window = padded[c, y * down : y * down + rows, x * right : x * right + columns]
        result[c, y, x] = pool.gain * window.sum()
    return result


def weighted(image: np.ndarray, stage: Arrival) -> np.ndarray:
    """Weight an image, one product after the other."""
    geometry = stage.geometry
    if geometry is None:
        return np.array([sum(row * image.reshape(-1)) for row in stage.weight])
    (pad_y, pad_x), (step_y, step_x) = geometry.padding, geometry.stride
    padded = np.pad(image, ((0, 0), (pad_y, pad_y), (pad_x, pad_x)))
    outputs, _, rows, columns = stage.weight.shape
    height = (padded.shape[1] - rows) // step_y + 1
    width = (padded.shape[2] - columns) // step_x + 1
    result = np.zeros((outputs, height, width))
    for o, y, x in np.ndindex(*result.shape):
        part = padded[:, y * step_y : y * step_y + rows, x * step_x : x * step_x + columns]
        result[o, y, x] = (part * stage.weight[o]).sum()
    return result


def pool_stage(shape: tuple[int, ...], kernel: tuple[int, int], *, name: str = "p") -> Node:
    return Node(
        name=name, kind="pool", sources=("input",), input_shape=shape,
        output_shape=behind(shape, kernel), gain=1.1,
        geometry=Geometry(kernel=kernel, stride=kernel),
    )  # fmt: skip


def layer(shape: tuple[int, ...], weight: np.ndarray, geometry: Geometry | None = None) -> Arrival:
    return Arrival(source="input", input_shape=shape, weight=weight, geometry=geometry)


def merged_with(pools: list[Node], arrival: Arrival) -> Arrival:
    """Return the map of a layer behind a chain of pools; its output's shape does not matter."""
    names = ["input", *(pool.name for pool in pools)]
    chain = [replace(pool, sources=(name,)) for pool, name in zip(pools, names, strict=False)]
    node = Node(
        name="d", kind="dense", sources=(names[-1],), input_shape=arrival.input_shape,
        output_shape=(1,), neuron=Lif(tau_m=5.0, tau_s=3.0, threshold=1.0),
        geometry=arrival.geometry, parameters={"weight": Parameter("d", arrival.weight.shape)},
    )  # fmt: skip
    graph = Graph(input_shape=pools[0].input_shape, time_steps=1, nodes=(*chain, node))
    (stage,) = merge_pools(graph, {"d": arrival.weight})
    (merged,) = stage.arriving
    assert merged.source == "input"
    return merged


def behind(shape: tuple[int, ...], kernel: tuple[int, int]) -> tuple[int, ...]:
    return (shape[0], shape[1] // kernel[0], shape[2] // kernel[1])


@st.composite
def conv_cases(draw: st.DrawFn) -> tuple[Node, Arrival]:
    window, kernel, stride = draw(PAIRS), draw(PAIRS), draw(PAIRS)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    sizes = [size * part for size, part in zip(draw(st.tuples(SIZES, SIZES)), window, strict=True)]
    if not any(padding):  # edges that the pool drops
        sizes = [size + draw(st.integers(0, w - 1)) for size, w in zip(sizes, window, strict=True)]
    shape = (draw(st.integers(1, 2)), *sizes)
    inner = behind(shape, window)
    kernel = tuple(min(k, s + 2 * p) for k, s, p in zip(kernel, inner[1:], padding, strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    geometry = Geometry(kernel=kernel, stride=stride, padding=padding)
    stage = layer(inner, rng.normal(size=(2, shape[0], *kernel)), geometry)
    return pool_stage(shape, window), stage


@given(case=conv_cases(), seed=st.integers(0, 2**32))
def test_pool_then_convolution(case, seed):
    pooling, stage = case
    image = np.random.default_rng(seed).normal(size=pooling.input_shape)
    merged = through_pools([pooling], stage, "c")
    assert merged.input_shape == pooling.input_shape
    expected = weighted(pooled(image, pooling), stage)
    np.testing.assert_allclose(weighted(image, merged), expected, rtol=0, atol=1e-12)


@given(
    window=PAIRS, size=st.tuples(SIZES, SIZES), channels=st.integers(1, 3), seed=st.integers(0, 99)
)
def test_pool_then_dense(window, size, channels, seed):
    size = (max(size[0], window[0]), max(size[1], window[1]))
    pooling = pool_stage((channels, *size), window)
    inner = behind(pooling.input_shape, window)
    rng = np.random.default_rng(seed)
    stage = layer(inner, rng.normal(size=(3, int(np.prod(inner)))))
    image = rng.normal(size=pooling.input_shape)
    merged = through_pools([pooling], stage, "c")
    expected = weighted(pooled(image, pooling), stage)
    np.testing.assert_allclose(weighted(image, merged), expected, rtol=0, atol=1e-12)


def test_a_merged_dense_layer_by_hand():
    pooling = pool_stage((1, 3, 2), (2, 2))
    stage = layer((1, 1, 1), np.array([[2.0]]))
    merged = through_pools([pooling], stage, "c")
    assert merged.weight.tolist() == [[2.2, 2.2, 2.2, 2.2, 0.0, 0.0]]  # the last row is dropped


@st.composite
def overlapping(draw: st.DrawFn) -> Node:
    """Return a pool of any stride and padding."""
    kernel, stride = draw(PAIRS), draw(PAIRS)
    padding = tuple(draw(st.integers(0, size // 2)) for size in kernel)
    shape = (2, *(max(draw(SIZES), size) for size in kernel))
    windows = Geometry(kernel=kernel, stride=stride, padding=padding)
    plain = pool_stage(shape, (1, 1))
    return replace(plain, geometry=windows, output_shape=(2, *windows.positions(shape[1:])))


@given(pooling=overlapping(), kernel=PAIRS, stride=PAIRS, padding=st.booleans())
def test_windows_that_overlap_then_a_convolution(pooling, kernel, stride, padding):
    """Merged, or refused where what is read beyond the edge would not be zeros."""
    inner = pooling.output_shape
    kernel = tuple(min(k, s) for k, s in zip(kernel, inner[1:], strict=True))
    rng = np.random.default_rng(sum(inner))
    of = Geometry(kernel=kernel, stride=stride, padding=(int(padding), 0))
    stage = layer(inner, rng.normal(size=(2, 2, *kernel)), of)
    image = rng.normal(size=pooling.input_shape)
    expected = weighted(pooled(image, pooling), stage)
    if of.behind(pooling.geometry, pooling.input_shape[1:]) is None:
        assert padding
        with pytest.raises(UnsupportedLayerError, match="layer c: padding behind pool p"):
            through_pools([pooling], stage, "c")
        return
    merged = through_pools([pooling], stage, "c")
    np.testing.assert_allclose(weighted(image, merged), expected, rtol=0, atol=1e-12)


@given(first=overlapping(), neurons=st.integers(1, 3))
def test_windows_that_overlap_then_a_dense_layer(first, neurons):
    rng = np.random.default_rng(neurons)
    stage = layer(first.output_shape, rng.normal(size=(neurons, int(np.prod(first.output_shape)))))
    image = rng.normal(size=first.input_shape)
    merged = merged_with([first], stage)
    expected = weighted(pooled(image, first), stage)
    np.testing.assert_allclose(weighted(image, merged), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "padding"), [((5, 4), (1, 0)), ((4, 5), (1, 1)), ((5, 5), (0, 1))]
)
def test_padding_behind_a_dropped_edge(size, padding):
    """Padding in input pixels would read the dropped pixels instead of zeros."""
    geometry = Geometry(kernel=(2, 2), padding=padding)
    stage = layer((1, 2, 2), np.ones((1, 1, 2, 2)), geometry)
    with pytest.raises(UnsupportedLayerError, match="layer conv3: padding behind pool p"):
        through_pools([pool_stage((1, *size), (2, 2))], stage, "conv3")


@given(first=PAIRS, second=PAIRS, factor=st.tuples(st.integers(1, 2), st.integers(1, 2)))
def test_two_pools_in_a_row(first, second, factor):
    sizes = [a * b * c for a, b, c in zip(first, second, factor, strict=True)]
    one = pool_stage((2, *sizes), first)
    two = pool_stage(behind(one.input_shape, first), second, name="q")
    inner = behind(two.input_shape, second)
    rng = np.random.default_rng(sum(sizes))
    stage = layer(inner, rng.normal(size=(2, int(np.prod(inner)))))
    image = rng.normal(size=one.input_shape)
    merged = merged_with([one, two], stage)
    expected = weighted(pooled(pooled(image, one), two), stage)
    np.testing.assert_allclose(weighted(image, merged), expected, rtol=0, atol=1e-12)


@given(first=PAIRS, second=PAIRS, size=st.tuples(SIZES, SIZES))
def test_two_pools_that_drop_edges(first, second, size):
    """Dropping a rest twice is dropping the rest of the joined window."""
    sizes = [max(s, a * b) for s, a, b in zip(size, first, second, strict=True)]
    one = pool_stage((1, *sizes), first)
    two = pool_stage(behind(one.input_shape, first), second, name="q")
    inner = behind(two.input_shape, second)
    stage = layer(inner, np.ones((1, int(np.prod(inner)))))
    image = np.random.default_rng(sum(sizes)).normal(size=one.input_shape)
    merged = merged_with([one, two], stage)
    expected = weighted(pooled(pooled(image, one), two), stage)
    np.testing.assert_allclose(weighted(image, merged), expected, rtol=0, atol=1e-12)


def test_gains_are_folded(rng):
    given_layers = [conv(2, 3), pool(2, gain=1.5), dense(3, threshold=0.5)]
    trained = checkpoint(rng, given_layers, (1, 6, 6), tau_s=4.0)
    first, last = lower(trained)
    (arriving,), (behind_pool,) = first.arriving, last.arriving
    np.testing.assert_allclose(arriving.weight, trained.weights["conv1"] * QUANTUM / 4, atol=1e-12)
    # of the 4 x 4 maps, the top left window is the first pooled pixel
    corner = trained.weights["dense3"][:, 0] * 1.5 / 4
    np.testing.assert_allclose(
        behind_pool.weight.reshape(3, 2, 4, 4)[:, 0, 1, 1], corner, atol=1e-12
    )
    assert (first.neuron.threshold, last.neuron.threshold) == (1.0, 0.5)
    assert [node.name for node in trained.graph] == ["conv1", "pool2", "dense3"]


def test_pools_that_fire_of_many_maps() -> None:
    """Lava holds 127 maps apart; more lie below each other, where windows do not cross."""

    def lowered(channels: int, height: int, **windows: int) -> Stage:
        rng = np.random.default_rng(0)
        fires = pool((2, 1), mode="or", name="fires", **windows)
        layers = [conv(channels, 1, name="maps"), fires, dense(2, name="out")]
        return lower(checkpoint(rng, layers, (1, height, 3)))[1]

    assert lowered(127, 3).arriving[0].input_shape == (127, 3, 3)
    (arrival,) = lowered(128, 4).arriving
    assert (arrival.input_shape, arrival.weight.shape) == ((1, 512, 3), (1, 1, 2, 1))
    with pytest.raises(UnsupportedLayerError, match="layer fires: windows of 2 rows do not fill"):
        lowered(128, 3)
    with pytest.raises(UnsupportedLayerError, match=r"do not lie side by side.* use fewer maps"):
        lowered(128, 4, stride=1)
