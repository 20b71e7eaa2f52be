"""Graphs that end in neurons which never fire: their potentials, in and out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.exchange.nir.files import chain, cuba, ends, flatten, in_memory, lif, linear
from tests.exchange.nir.floats import potential_of
from tests.exporter.networks import LIMITS
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.engine import Compiled
from tssl.errors import UnsupportedLayerError
from tssl.exchange import nir
from tssl.exchange.assembly import MadeLayer, checkpoint_of
from tssl.exchange.nir import Nir, lower, simulate, timing
from tssl.exporter import quantize
from tssl.workflow.export import ExportOptions, export
from tssl.workflow.nir import NirChoice, read
from tssl.workflow.nir_write import write

STEPS, SAMPLES = 40, 5
DT = 1e-3
RNG = np.random.default_rng(20261129)


def drawn(*shape: int) -> np.ndarray:
    return RNG.normal(0.1, 0.5, shape).astype(np.float32).astype(float)


def leaky(size: int, **others: Any) -> dict[str, Any]:
    tau = np.full(size, 0.01)
    return {"type": "LI", "tau": tau, "r": tau / DT, "v_leak": np.zeros(size), **others}


def filtered(size: int) -> dict[str, Any]:
    without = {key: value for key, value in cuba(size).items() if key != "v_threshold"}
    return {**without, "type": "CubaLI"}


ENDS = {
    "LI": leaky(4),
    "LI that leaks elsewhere": leaky(4, v_leak=np.linspace(-1, 1, 4)),
    "LI with gains": leaky(4, r=np.full(4, 10.0) * np.linspace(0.5, 2, 4)),
    "CubaLI": filtered(4),
    "I": {"type": "I", "r": np.full(4, 1 / DT)},
}


def graph(name: str, *, bias: bool = False) -> Nir:
    nodes = ends([6], [4]) | {
        "fc": linear(drawn(9, 6)), "l": lif(9), "f": flatten(),
        "fc2": linear(drawn(4, 9), drawn(4) if bias else None), "o": ENDS[name],
    }  # fmt: skip
    return in_memory(nodes, chain("input", "fc", "l", "fc2", "o", "f", "output"))


def train() -> np.ndarray:
    return (np.random.default_rng(2).random((STEPS, SAMPLES, 6)) < 0.4).astype(float)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", ENDS)
def test_the_layers_have_the_potentials_of_the_graph(name: str, bias: bool) -> None:
    if bias and name == "CubaLI":
        return  # its bias enters synapses, which takes a neuron more; see test_lowering
    source = graph(name, bias=bias)
    steps = timing(source, DT, "euler")
    lowered = lower(source, steps, name="x", time_steps=STEPS, provenance={})
    wanted = simulate(source, steps, train())["o"].potential[-1]
    assert np.allclose(potential_of(lowered.checkpoint, train()), wanted, rtol=1e-5, atol=1e-5)
    assert lowered.layers["o"] == "o"
    assert lowered.checkpoint.graph.output.neuron is not None
    assert lowered.checkpoint.graph.output.neuron.never_fires


def test_a_bias_into_its_synapses_comes_from_a_neuron_that_always_fires() -> None:
    source = graph("CubaLI", bias=True)
    steps = timing(source, DT, "euler")
    lowered = lower(source, steps, name="x", time_steps=STEPS, provenance={})
    given = np.concatenate([train(), np.ones((STEPS, SAMPLES, lowered.always_on))], axis=2)
    wanted = simulate(source, steps, train())["o"].potential[-1]
    assert np.allclose(potential_of(lowered.checkpoint, given), wanted, rtol=1e-4, atol=1e-4)


def test_only_the_last_one_is_read() -> None:
    nodes = ends([6], [4]) | {"fc": linear(drawn(9, 6)), "v": leaky(9), "fc2": linear(drawn(4, 9)),
                              "o": leaky(4)}  # fmt: skip
    between = in_memory(nodes, chain("input", "fc", "v", "fc2", "o", "output"))
    with pytest.raises(UnsupportedLayerError, match=r"node v \(LI\): keeps a state and sends no"):
        lower(between, timing(between, DT, "euler"), name="x", time_steps=9, provenance={})


def made(neuron: dict[str, Any]) -> Checkpoint:
    rng = np.random.default_rng(5)
    first = {"type": "dense", "name": "a", "neurons": 9, "tau_m": 8.0, "tau_s": 1.0}
    last = {"type": "dense", "name": "b", "neurons": 4, **neuron}
    weights = (rng.normal(0.2, 0.6, shape) for shape in ((9, 6), (4, 9)))
    layers = [
        MadeLayer(entry=entry, arrays={"weight": weight})
        for entry, weight in zip((first, last), weights, strict=True)
    ]
    return checkpoint_of("made", (6, 1, 1), STEPS, layers, {})


NEURONS: dict[str, dict[str, Any]] = {
    "LI": {"neuron": "li", "tau_m": 6.0, "tau_s": 1.0},
    "CubaLI": {"neuron": "li", "tau_m": 6.0, "tau_s": 2.5},
    "I": {"neuron": "i", "tau_s": 1.0},
}


@pytest.mark.parametrize("kind", NEURONS)
def test_floats_come_back(kind: str, tmp_path: Path) -> None:
    checkpoint = made(NEURONS[kind])
    checkpoint.save(tmp_path / "x.safetensors")
    write(tmp_path / "x.safetensors", tmp_path / "x.nir")
    source = nir.read(tmp_path / "x.nir")
    assert source.nodes["b"].kind == kind
    found = simulate(source, timing(source), train())["b"].potential[-1]
    assert np.allclose(found, potential_of(checkpoint, train()), rtol=1e-5, atol=1e-5)
    back = read(tmp_path / "x.nir", NirChoice(steps=STEPS)).checkpoint
    assert np.allclose(potential_of(back, train()), found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", NEURONS)
def test_integers_of_a_chip_come_back(kind: str, tmp_path: Path) -> None:
    """Written from a ``.net`` file and exported anew, the same potentials to the bit."""
    integers = train().astype(int)
    network = quantize(made(NEURONS[kind]), LIMITS, integers, (0, 1)).network
    netx.write(tmp_path / "x.net", network)
    write(tmp_path / "x.net", tmp_path / "x.nir")
    assert nir.read(tmp_path / "x.nir").nodes["b"].kind == kind
    back = read(tmp_path / "x.nir", NirChoice(steps=STEPS)).checkpoint
    again = quantize(back, LIMITS, integers, (0, 1)).network
    potentials = [Compiled(each).run(integers, STEPS).output_potential for each in (network, again)]
    assert np.array_equal(*potentials)
    assert potentials[0].any()


@pytest.mark.parametrize("kind", NEURONS)
def test_an_export_compares_it_with_the_graph(kind: str, tmp_path: Path) -> None:
    """The neuron with the largest potential is the graph's; what its spikes are to others."""
    made(NEURONS[kind]).save(tmp_path / "x.safetensors")
    write(tmp_path / "x.safetensors", tmp_path / "x.nir")
    options = ExportOptions(data=train().transpose(1, 0, 2), lava=False, nir=NirChoice(steps=STEPS))
    outcome = export(tmp_path / "x.nir", "loihi2", tmp_path / "x.net", options, lambda _: None)
    assert outcome.nir is not None
    hidden, last = outcome.nir.agreements
    assert hidden.differ < 0.02 * hidden.compared
    assert (last.reference, last.chip, last.differ) == (SAMPLES, SAMPLES, 0)
    assert outcome.proof.stages[0].verdict == "PASS"
