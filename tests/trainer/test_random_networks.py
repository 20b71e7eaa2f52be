"""Networks drawn at random: trainer against the equations, engine against the witness."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.exporter.networks import LIMITS, QUANTUM, checkpoint
from tests.lava_runtime.test_lava_sim import run_all
from tests.trainer.test_neurons import by_hand, doubled
from tssl.checkpoint import Checkpoint
from tssl.engine import run_chunk
from tssl.errors import RangeError, UnsupportedLayerError
from tssl.exporter import quantize
from tssl.exporter.lower import lower
from tssl.geometry import Geometry, Pair, Shape
from tssl.lava_runtime.lava_sim import LavaSim
from tssl.proof.compare import first_difference
from tssl.proof.quantized import run_quantized
from tssl.trainer.network import SpikingNetwork

SHAPE, STEPS = (2, 6, 6), 5
SPREADS = {
    "norm_variance": (0.3, 3.0), "norm_scale": (0.5, 2.0), "norm_shift": (-0.5, 0.8),
    "norm_mean": (-0.5, 0.8), "bias": (-0.5, 0.8), "leak": (-1.0, 1.0),
}  # fmt: skip
Layer = dict[str, Any]


def neuron(rng: np.random.Generator) -> Layer:
    fields: Layer = {"neuron": str(rng.choice(["lif", "if", "plif"]))}
    if fields["neuron"] != "if" and rng.random() < 0.5:
        fields["tau_m"] = float(rng.choice([1.5, 3.0, 8.0]))
    if rng.random() < 0.5:
        fields["tau_s"] = float(rng.choice([1.0, 2.0, 4.5]))
    if rng.random() < 0.3:
        fields["threshold"] = float(rng.choice([0.6, 1.4]))
    shift = rng.choice(["", "bias", "norm"])
    return fields | {"": {}, "bias": {"bias": True}, "norm": {"norm": "batch"}}[str(shift)]


def layer(rng: np.random.Generator, shape: Shape) -> tuple[Layer, Shape]:
    """Return a layer that fits what reaches it, and the shape of what it sends."""
    kind = str(rng.choice(["conv", "dense", "pool"])) if len(shape) == 3 else "dense"
    if kind == "pool" and min(shape[1:]) > 1:
        mode, gain = str(rng.choice(["sum", "average"])), float(rng.choice([0.8, 3.0]))
        fields = {"type": kind, "mode": mode, "gain": gain}
        if rng.random() < 0.3:
            return fields | {"kernel": "global"}, (shape[0], 1, 1)
        of, size = windows(rng, shape)
        return fields | of, size
    if kind == "conv":
        kernel = int(min(rng.integers(1, 4), *shape[1:]))
        padding, channels = int(kernel == 3 and rng.random() < 0.5), int(rng.choice([2, 3]))
        rows, columns = (size + 2 * padding - kernel + 1 for size in shape[1:])
        fields = {"type": kind, "channels": channels, "kernel": kernel, "padding": padding}
        if rng.random() < 0.3:
            fields["recurrent"] = int(rng.choice([1, 3]))
        if rng.random() < 0.3:
            fields["groups"] = shape[0]
            fields["channels"] = channels = 2 * shape[0]
        return fields | neuron(rng), (channels, rows, columns)
    neurons, recurrent = int(rng.choice([5, 8])), bool(rng.random() < 0.3)
    fields = {"type": "dense", "neurons": neurons, "recurrent": recurrent}
    return fields | neuron(rng), (neurons,)


def windows(rng: np.random.Generator, shape: Shape) -> tuple[Layer, Shape]:
    """Return windows of a pool, side by side or overlapping, and the shape of what it gives."""
    if rng.random() < 0.4:
        return {"kernel": 2}, (shape[0], shape[1] // 2, shape[2] // 2)
    kernel = [int(size) for size in rng.integers(1, np.minimum(shape[1:], 3) + 1)]
    stride = [int(step) for step in rng.integers(1, 4, 2)]
    padding = [int(rng.integers(0, size // 2 + 1)) for size in kernel]
    of = Geometry(kernel=pair(kernel), stride=pair(stride), padding=pair(padding))
    fields = {"kernel": kernel, "stride": stride, "padding": padding}
    return fields, (shape[0], *of.positions(pair(shape[1:])))


def pair(sizes: Sequence[int]) -> Pair:
    rows, columns = sizes
    return rows, columns


def sources(rng: np.random.Generator, shapes: Mapping[str, Shape]) -> list[str]:
    """Return up to three layers that send the same shape."""
    first = str(rng.choice(list(shapes)))
    alike = [name for name, shape in shapes.items() if shape == shapes[first]]
    return [str(name) for name in rng.permutation(alike)[: rng.integers(1, 4)]]


def beside(rng: np.random.Generator, shapes: Mapping[str, Shape]) -> tuple[Layer, Shape] | None:
    """Return a concat of two or three layers; None where none fit one another."""
    names = [str(name) for name in rng.permutation(list(shapes))]
    first = shapes[names[0]]
    is_flat = rng.random() < 0.4
    fitting = [
        name for name in names if is_flat or (len(first) == 3 and shapes[name][1:] == first[1:])
    ][: rng.integers(2, 4)]
    if len(fitting) < 2:
        return None
    sizes = [int(np.prod(shapes[name])) if is_flat else shapes[name][0] for name in fitting]
    fields: Layer = {"type": "concat", "from": fitting}
    if is_flat and all(len(shapes[name]) == 3 for name in fitting):
        fields["flat"] = True
    return fields, (sum(sizes), *(() if is_flat else first[1:]))


def logic(rng: np.random.Generator, shapes: Mapping[str, Shape]) -> tuple[Layer, Shape] | None:
    """Return a gate or a pool that fires, of layers that fire; None where there are none."""
    names = [str(name) for name in rng.permutation(list(shapes))]
    if not names:
        return None
    first, shape = names[0], shapes[names[0]]
    alike = [name for name in names if shapes[name] == shape]
    if len(alike) > 1 and rng.random() < 0.7:
        function = str(rng.choice(["and", "iand"]))
        return {"type": "gate", "function": function, "from": alike[:2]}, shape
    if len(shape) == 3 and min(shape[1:]) > 1:
        of, size = windows(rng, shape)
        return {"type": "pool", "mode": "or", "from": [first], **of}, size
    return None


def network(rng: np.random.Generator) -> list[Layer]:
    layers: list[Layer] = []
    shapes: dict[str, Shape] = {"input": SHAPE}
    firing: dict[str, Shape] = {}
    for number in range(rng.integers(2, 7)):
        name = f"l{number}"
        made = logic(rng, firing) if rng.random() < 0.3 else None
        if made is None and rng.random() < 0.25:
            made = beside(rng, shapes)
        if made is None:
            chosen = sources(rng, shapes)
            fields, shapes[name] = layer(rng, shapes[chosen[0]])
            fields["from"] = chosen
        else:
            fields, shapes[name] = made
        if fields["type"] != "concat" and fields.get("mode", "or") == "or":
            firing[name] = shapes[name]
        layers.append({"name": name, **fields})
    heard = {source for each in layers for source in each["from"]}
    loose = [each["name"] for each in layers if each["name"] not in heard]
    for name in loose:
        own = {"type": "dense", "neurons": 6, "name": f"d{name}", "from": [name]}
        layers.append(own | neuron(rng))
    out = {"type": "dense", "neurons": 4, "name": "out", "from": [f"d{name}" for name in loose]}
    return [*layers, out | (read(rng) if rng.random() < 0.3 else neuron(rng))]


def read(rng: np.random.Generator) -> Layer:
    """Return what a last layer has that never fires."""
    drawn = neuron(rng)
    kind = str(rng.choice(["li", "i"]))
    without = {"threshold"} if kind == "li" else {"threshold", "tau_m"}
    return {key: value for key, value in drawn.items() if key not in without} | {"neuron": kind}


def drawn(rng: np.random.Generator, *, apart: bool = False) -> Checkpoint:
    """Return a network that can be exported, with ``apart`` one of which no windows overlap."""
    while True:
        trained = checkpoint(rng, network(rng), SHAPE, spread=3.0, time_steps=STEPS)
        for name, array in trained.weights.items():
            role = name.partition("_")[2]
            if role in SPREADS:
                trained.weights[name] = rng.uniform(*SPREADS[role], array.shape).astype(np.float32)
        pools = [node.windows for node in trained.graph if node.geometry and not node.neuron]
        if not (apart and any(windows.overlaps for windows in pools)) and can_lower(trained):
            return trained


def can_lower(trained: Checkpoint) -> bool:
    """Return whether no padding brings back windows beyond the edge of a pool."""
    try:
        lower(trained)
    except UnsupportedLayerError:
        return False
    return True


@given(seed=st.integers(0, 2**32), steps=st.sampled_from([1, STEPS]))
def test_spikes_are_those_of_the_equations(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    trained = drawn(rng)
    images = torch.from_numpy(rng.integers(0, 16, (steps, 5, *SHAPE))).double() * QUANTUM
    network = SpikingNetwork(trained.recipe, SHAPE, torch.Generator()).double().eval()
    network.load_weights(trained.weights)
    found = network(images[0] if steps == 1 else images, record_all=True).traces
    expected = by_hand(trained, doubled(trained), images.expand(STEPS, *images.shape[1:]))
    for name, spikes in expected.items():
        assert torch.equal(found[name].spikes, spikes.detach()), name


@given(seed=st.integers(0, 2**32), steps=st.sampled_from([1, STEPS]))
def test_engine_and_witness_agree(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    trained = drawn(rng)
    train = rng.integers(0, 16, (steps, 5, int(np.prod(SHAPE))))
    try:
        result = quantize(trained, LIMITS, train, (0, 15))
    except RangeError:  # input weights that vanish beside those among the neurons
        return
    ours = run_chunk(result.network, train, STEPS)
    ((_, theirs),) = run_quantized(
        trained, result.scales, result.largest_weights, train, LIMITS.weight_bits
    )
    assert first_difference(result.network, theirs, ours) is None


def test_most_of_them_fire_and_can_be_exported() -> None:
    """The two tests above would say little about silent networks, or about none."""
    exported = layers = firing = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        trained = drawn(rng)
        train = rng.integers(0, 16, (STEPS, 5, int(np.prod(SHAPE))))
        result = quantize(trained, LIMITS, train, (0, 15))
        exported += 1
        trains = run_chunk(result.network, train, STEPS).trains
        layers, firing = layers + len(trains), firing + sum(s.any() for s in trains.values())
    assert exported == 20
    assert firing > 0.8 * layers


@pytest.mark.lava
def test_lava_agrees(request: pytest.FixtureRequest) -> None:
    """``--lava-draws N`` compares N networks."""
    wanted, compared, seed = request.config.getoption("--lava-draws"), 0, 0
    while compared < wanted:
        seed += 1
        rng = np.random.default_rng(seed)
        trained = drawn(rng)
        steps = int(rng.choice([1, STEPS]))
        train = rng.integers(0, 16, (steps, 3, int(np.prod(SHAPE))))
        try:
            chip = quantize(trained, LIMITS, train, (0, 15)).network
            theirs = run_all(LavaSim(), chip, train, STEPS)
        except (RangeError, UnsupportedLayerError):  # such as weights of one sign
            assert seed < 3 * wanted + 10
            continue
        difference = first_difference(chip, run_chunk(chip, train, STEPS), theirs)
        assert difference is None, f"seed {seed}: {difference}"
        compared += 1
