"""Graphs with layers that send values, on Lava's simulator and on our engine, value by value."""

from pathlib import Path

import numpy as np
import pytest

from tests.lava_runtime.networks import EAGER, weights
from tests.lava_runtime.test_lava_sim import run_all
from tests.lava_runtime.test_sigma_delta import video
from tssl import netx
from tssl.chip import (
    INPUT,
    ChipNetwork,
    Connection,
    ConvSynapses,
    CubaNeuron,
    DeltaNeuron,
    DenseSynapses,
    InputLayer,
    Layer,
    Neuron,
    SigmaDeltaNeuron,
    SigmaNeuron,
    with_relays,
)
from tssl.engine import Compiled
from tssl.errors import UnsupportedLayerError
from tssl.geometry import Geometry
from tssl.lava_runtime.lava_sim import LavaSim
from tssl.proof import compare, first_difference

STEPS, SAMPLES = 7, 3
SHAPE = (2, 5, 4)
SAME = Geometry(kernel=(3, 3), padding=(1, 1))


def some_neuron(rng: np.random.Generator) -> Neuron:
    if rng.random() < 0.25:
        return EAGER
    return SigmaDeltaNeuron(threshold=int(rng.integers(0, 3)))


def layer_of(rng: np.random.Generator, name: str, neuron: Neuron, *ways: Connection) -> Layer:
    neurons = ways[0].synapses.outputs
    bias = rng.integers(-9, 20, neurons) if isinstance(neuron, SigmaDeltaNeuron) else 0
    return Layer(name=name, connections=ways, neuron=neuron, bias=np.asarray(bias))


def dense_way(
    rng: np.random.Generator, source: str, outputs: int, inputs: int, *, may_wait: bool = True
) -> Connection:
    delay = rng.integers(0, 3, (outputs, inputs)) if may_wait and rng.random() < 0.3 else None
    weight = weights(rng, outputs, inputs) // 6
    return Connection(source=source, synapses=DenseSynapses(weight=weight, delay=delay))


def conv_way(rng: np.random.Generator, source: str, channels: int, maps: int) -> Connection:
    synapses = ConvSynapses(
        weight=weights(rng, maps, channels, 3, 3) // 6,
        map_shape=(channels, *SHAPE[1:]),
        geometry=SAME,
    )
    return Connection(source=source, synapses=synapses)


def block_of(rng: np.random.Generator, shape: tuple[int, ...]) -> InputLayer:
    neuron = DeltaNeuron(threshold=int(rng.integers(0, 3))) if rng.random() < 0.7 else None
    return InputLayer(shape=shape, neuron=neuron)


def dense_graph(seed: int) -> ChipNetwork:
    """Return three to five layers, each behind the one before it and often behind others."""
    rng = np.random.default_rng(seed)
    sizes, layers = {INPUT: 5}, list[Layer]()
    for number in range(int(rng.integers(3, 6))):
        outputs = int(rng.integers(3, 8))
        others = [name for name in list(sizes)[:-1] if rng.random() < 0.5]
        ways = [
            dense_way(rng, source, outputs, sizes[source]) for source in (list(sizes)[-1], *others)
        ]
        layers.append(layer_of(rng, f"d{number}", some_neuron(rng), *ways))
        sizes[f"d{number}"] = outputs
    ends = (SigmaNeuron(), SigmaDeltaNeuron(threshold=0), EAGER)
    last = ends[int(rng.integers(0, 3))]
    source, inputs = list(sizes)[-1], list(sizes.values())[-1]
    skip, wide = list(sizes)[-2], list(sizes.values())[-2]
    ways = [dense_way(rng, source, 3, inputs), dense_way(rng, skip, 3, wide)]
    layers.append(layer_of(rng, "out", last, *ways))
    return ChipNetwork(name=f"dense{seed}", input=block_of(rng, (5,)), layers=tuple(layers))


def conv_graph(seed: int) -> ChipNetwork:
    """Return two convolutions side by side, one behind both, and dense ways around it."""
    rng = np.random.default_rng(1000 + seed)
    left = layer_of(rng, "left", some_neuron(rng), conv_way(rng, INPUT, 2, 3))
    right = layer_of(rng, "right", some_neuron(rng), conv_way(rng, INPUT, 2, 2))
    both = layer_of(
        rng, "both", some_neuron(rng), conv_way(rng, "left", 3, 2), conv_way(rng, "right", 2, 2)
    )
    ways = [dense_way(rng, each.name, 4, each.neurons) for each in (both, left)]
    if rng.random() < 0.5:
        ways.append(dense_way(rng, INPUT, 4, 40, may_wait=False))
    ends = (SigmaNeuron(), SigmaDeltaNeuron(threshold=1))
    out = layer_of(rng, "out", ends[int(rng.integers(0, 2))], *ways)
    layers = (left, right, both, out)
    return ChipNetwork(name=f"conv{seed}", input=block_of(rng, SHAPE), layers=layers)


def some_data(network: ChipNetwork) -> np.ndarray:
    rng = np.random.default_rng(7)
    if network.input.neuron is None and not network.layers[0].neuron.graded:
        return rng.integers(0, 2, (STEPS, SAMPLES, network.input.neurons))
    return video(rng, network, SAMPLES, STEPS)


@pytest.mark.lava
@pytest.mark.parametrize("seed", range(14))
@pytest.mark.parametrize("make", [dense_graph, conv_graph], ids=["dense", "conv"])
def test_engine_and_lava_agree(make, seed: int, tmp_path: Path):
    network, path = make(seed), tmp_path / "n.net"
    netx.write(path, network)
    assert netx.read(path).digest == network.digest
    train, names = some_data(network), network.graded
    ours = Compiled(network, names).run(train, STEPS)
    theirs = run_all(LavaSim(net_path=path, states=names), network, train, STEPS)
    assert first_difference(network, ours, theirs) is None
    assert sum(row.compared for row in compare(network, ours, theirs)) > 300
    assert any(ours.trains[name].any() for name in names if name != INPUT)


def test_the_graphs_are_what_they_are_for():
    """Layers of values behind several sources, behind spikes and before them, and unequal ways."""
    graphs = [make(seed) for make in (dense_graph, conv_graph) for seed in range(14)]
    assert len({graph.digest for graph in graphs}) == 28
    values = [layer for graph in graphs for layer in graph.layers if layer.neuron.graded]
    assert sum(len(layer.arriving) > 1 for layer in values) > 20
    kinds = [{type(layer.neuron) for layer in graph.layers} for graph in graphs]
    assert sum({CubaNeuron, SigmaDeltaNeuron} <= found for found in kinds) > 8
    assert sum(with_relays(graph) is not graph for graph in graphs) > 4


def test_a_convolution_cannot_wait_for_a_deeper_source(rng: np.random.Generator):
    neuron = SigmaDeltaNeuron(threshold=0)
    first = layer_of(rng, "first", neuron, conv_way(rng, INPUT, 2, 2))
    second = layer_of(rng, "second", neuron, conv_way(rng, "first", 2, 2))
    ways = (conv_way(rng, "second", 2, 2), conv_way(rng, "first", 2, 2))
    third = layer_of(rng, "third", neuron, *ways)
    block = InputLayer(shape=SHAPE, neuron=DeltaNeuron(threshold=0))
    graph = ChipNetwork(name="n", input=block, layers=(first, second, third))
    with pytest.raises(UnsupportedLayerError, match="layer third: its source first sends values"):
        with_relays(graph)
    with pytest.raises(UnsupportedLayerError, match="a convolution has no delays"):
        run_all(LavaSim(), graph, np.zeros((2, 1, 40), np.int64), 2)


def test_delays_end_somewhere(rng: np.random.Generator):
    neuron = SigmaDeltaNeuron(threshold=0)
    first = layer_of(rng, "first", neuron, dense_way(rng, INPUT, 4, 5))
    late = Connection(source=INPUT, synapses=DenseSynapses(
        weight=weights(rng, 3, 5), delay=np.full((3, 5), 62)
    ))  # fmt: skip
    last = layer_of(rng, "last", neuron, dense_way(rng, "first", 3, 4), late)
    block = InputLayer(shape=(5,), neuron=DeltaNeuron(threshold=0))
    with pytest.raises(UnsupportedLayerError, match="of 63 steps"):
        with_relays(ChipNetwork(name="n", input=block, layers=(first, last)))
