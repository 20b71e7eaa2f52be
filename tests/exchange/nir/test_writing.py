"""What is written: read back by us, by nir 1.0.4 and 1.0.8, by snnTorch and SpikingJelly.

Other libraries run where ``TSSL_NIR_PYTHON`` names an interpreter that has them, and nir 1.0.4 from
the folder ``TSSL_NIR_OLD``.
"""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.exchange.nir.floats import spikes_of
from tests.exporter.floats import run_stages
from tests.exporter.networks import LIMITS, after, checkpoint, concat, conv, dense, pool
from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.chip import ChipNetwork, CubaNeuron, InputLayer, conv_layer, dense_layer
from tssl.engine import Compiled
from tssl.errors import ConfigError, UnsupportedLayerError
from tssl.exchange import nir
from tssl.exchange.assembly import MadeLayer, checkpoint_of
from tssl.exchange.nir import simulate, timing
from tssl.exporter import quantize
from tssl.exporter.lower import lower
from tssl.workflow.nir import NirChoice, read
from tssl.workflow.nir_write import write

READERS = Path(__file__).with_name("readers.py")
STEPS, SAMPLES = 60, 4


def made(neuron: dict[str, Any], *, recurrent: bool = False, bias: bool = False) -> Checkpoint:
    rng = np.random.default_rng(5)
    sizes, layers = (6, 9, 4), []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        arrays = {"weight": rng.normal(0.2, 0.6, (outputs, inputs))}
        entry = {"type": "dense", "name": f"d{number}", "neurons": outputs, **neuron}
        if recurrent and not number:
            entry["recurrent"], arrays["recurrent"] = True, rng.normal(-0.2, 0.3, (9, 9))
        if bias:
            entry["bias"], arrays["bias"] = True, rng.normal(0, 0.2, outputs)
        layers.append(MadeLayer(entry=entry, arrays=arrays))
    return checkpoint_of("made", (6, 1, 1), STEPS, layers, {})


LIF, CUBA = {"tau_m": 8.0, "tau_s": 1.0}, {"tau_m": 8.0, "tau_s": 2.5}
INTEGRATE = {"neuron": "if", "tau_s": 1.0}


def train(inputs: int) -> np.ndarray:
    return (np.random.default_rng(2).random((STEPS, SAMPLES, inputs)) < 0.3).astype(float)


def written(checkpoint: Checkpoint, folder: Path) -> Path:
    checkpoint.save(folder / "x.safetensors")
    write(folder / "x.safetensors", folder / "x.nir")
    return folder / "x.nir"


@pytest.mark.parametrize("neuron", [LIF, CUBA, INTEGRATE, {"neuron": "if", "tau_s": 2.0}])
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_floats_come_back(
    neuron: dict[str, Any], recurrent: bool, bias: bool, tmp_path: Path
) -> None:
    """The graph, read and run in floating point, fires what the trained layers fire."""
    checkpoint = made(neuron, recurrent=recurrent, bias=bias)
    graph = nir.read(written(checkpoint, tmp_path))
    given = train(6)
    found = simulate(graph, timing(graph), given)
    wanted = spikes_of(checkpoint, given)
    for layer, spikes in wanted.items():
        assert np.array_equal(found[layer].spikes, spikes), layer
        assert spikes.any()


def chip_network(rng: np.random.Generator) -> ChipNetwork:
    neuron = CubaNeuron(current_decay=1024, voltage_decay=300, threshold=90)
    conv = conv_layer(
        name="c", source="input", weight=2 * rng.integers(-20, 30, (4, 1, 3, 3)),
        map_shape=(2, 6, 6), groups=2, padding=(1, 1), neuron=neuron, bias=rng.integers(-3, 9, 4),
    )  # fmt: skip
    dense = dense_layer(
        name="d", source="c", weight=2 * rng.integers(-20, 22, (7, 144)),
        recurrent_weight=2 * rng.integers(-20, 20, (7, 7)),
        neuron=CubaNeuron(current_decay=4096, voltage_decay=(100, 200, 300, 0, 9, 5, 4096),
                          threshold=tuple(range(150, 157))),
    )  # fmt: skip
    late = dense_layer(
        name="e", source="d", weight=2 * rng.integers(-20, 30, (5, 7)), neuron=neuron,
        delay=rng.integers(0, 3, (5, 7)),
    )  # fmt: skip
    shape = InputLayer(shape=(2, 6, 6))
    return ChipNetwork(name="chip", input=shape, layers=(conv, dense, late), time_steps=STEPS)


def test_integers_in_floating_point(rng: np.random.Generator, tmp_path: Path) -> None:
    """The chip's rounding toward zero is all that differs, and moves few spikes."""
    network = chip_network(rng)
    netx.write(tmp_path / "x.net", network)
    outcome = write(tmp_path / "x.net", tmp_path / "x.nir")
    graph = nir.read(tmp_path / "x.nir")
    given = train(72)
    fired = Compiled(network).run(given.astype(np.int64), STEPS).trains
    found = simulate(graph, timing(graph), given.reshape(STEPS, SAMPLES, 2, 6, 6))
    for layer, spikes in fired.items():
        differ = (found[layer].spikes.reshape(spikes.shape) != spikes).mean()
        assert spikes.any()
        assert differ < (0.005 if layer == "c" else 0.1), layer  # a recurrence multiplies them
    assert outcome.spikes == tmp_path / "x.spikes.h5"
    assert any("24 bits" in loss for loss in outcome.losses)


def test_spikes_are_nir_data(rng: np.random.Generator, tmp_path: Path) -> None:
    package = pytest.importorskip("nir", reason="needs nir: pip install nir")
    network = chip_network(rng)
    netx.write(tmp_path / "x.net", network)
    write(tmp_path / "x.net", tmp_path / "x.nir", dt=2e-3)
    data = package.read_data(tmp_path / "x.spikes.h5")
    assert set(data.nodes) == {"input", "c", "d", "e"}
    spikes = {name: node.observables["spikes"] for name, node in data.nodes.items()}
    assert {each.dt for each in spikes.values()} == {2e-3}
    given = spikes["input"].data.transpose(1, 0, 2).astype(np.int64)
    for name, fired in Compiled(network).run(given, STEPS).trains.items():
        assert np.array_equal(spikes[name].data.transpose(1, 0, 2), fired > 0)


MAPS = conv(3, 3, padding=1)
OUT = dense(4, name="out")


def gated(function: str, layer: dict[str, Any]) -> list[dict[str, Any]]:
    gate = {"type": "gate", "function": function, "name": "gate", "from": ["a", "b"]}
    return [{**layer, "name": "a"}, {**layer, "name": "b", "from": ["input"]}, gate]


GRAPHS = {
    "and of maps": [*gated("and", MAPS), OUT],
    "and of neurons": [*gated("and", dense(6)), OUT],
    "iand of maps": [*gated("iand", MAPS), OUT],
    "iand of neurons": [*gated("iand", dense(6)), OUT],
    "or": [MAPS, pool(2, mode="or", name="gate"), OUT],
    "or of many maps": [conv(128, 1), pool(2, mode="or", name="gate"), OUT],
    "maps behind gates": [*gated("and", MAPS), pool(2, mode="or"), conv(2, 2), OUT],
    "windows that are not square": [MAPS, pool((3, 2), mode="or"), conv(2, (1, 2)), OUT],
    "maps in groups": [conv(4, 3, groups=2), OUT],
    "concat": [
        {**MAPS, "name": "a"},
        concat("a", "input", name="b", flat=True),
        dense(6, **after("b")),
        pool(2, name="p", **after("a")),
        dense(6, name="c"),
        concat("dense3", "c"),
        OUT,
    ],
    "concat of maps": [
        conv(3, 3, padding=1, name="a"),
        concat("a", "input"),
        pool(2),
        conv(4, 3, padding=1, groups=1),
        OUT,
    ],
    "names that other nodes would have": [
        {**MAPS, "name": "a"},
        concat("a", "input", name="b", flat=True),
        dense(6, name="a_weights", **after("b")),
        dense(6, name="c", **after("b")),
        dense(6, name="c_weights2_flatten", **after("b")),
        dense(6, name="c_weights2", **after("a_weights", "c", "c_weights2_flatten")),
        {**OUT, "name": "output"},
    ],
    "sew": [MAPS, {"type": "sew", "channels": 3}, conv(2, 3), OUT],
    "sew-dense": [dense(6), {"type": "sew-dense", "neurons": 6}, OUT],
}


@pytest.mark.parametrize("layers", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("mode", ["float", "chip"])
def test_graphs_come_back(
    rng: np.random.Generator, layers: list[dict[str, Any]], mode: str, tmp_path: Path
) -> None:
    """On the chip, all maps of a gate lie in one; what reaches the gate has another shape."""
    shape, steps = (2, 6, 6), 8
    network = checkpoint(rng, layers, shape, spread=3.0, time_steps=steps)
    for name, array in network.weights.items():
        if name.endswith("_norm_variance"):
            np.square(array, out=array)
    given = rng.integers(0, 16, (steps, SAMPLES, 72))
    if mode == "float":
        wanted = run_stages(lower(network), given.astype(float), steps)
        network.save(tmp_path / "x.safetensors")
        outcome = write(tmp_path / "x.safetensors", tmp_path / "x.nir")
    else:
        integers = quantize(network, LIMITS, given, (0, 15)).network
        wanted = Compiled(integers).run(given, steps).trains
        netx.write(tmp_path / "x.net", integers)
        outcome = write(tmp_path / "x.net", tmp_path / "x.nir")
    graph = nir.read(tmp_path / "x.nir")
    entering = tuple(graph.nodes["input"]["shape"].astype(int))
    found = simulate(graph, timing(graph), given.reshape(steps, SAMPLES, *entering).astype(float))
    for layer, spikes in wanted.items():
        differ = (found[layer].spikes.reshape(spikes.shape) != (spikes > 0)).mean()
        assert differ <= (0 if mode == "float" else 0.02), layer  # the chip rounds
    assert any(spikes.any() for spikes in wanted.values())
    package = pytest.importorskip("nir", reason="needs nir: pip install nir")
    package.read(tmp_path / "x.nir", type_check="type_check" not in " ".join(outcome.losses))


@pytest.mark.parametrize("layer", [MAPS, dense(6)], ids=["maps", "neurons"])
def test_gates_are_layers_again(
    rng: np.random.Generator, layer: dict[str, Any], tmp_path: Path
) -> None:
    """An ``iand`` has weights of its own for each source, which then lie side by side."""
    graphs = {}
    for function in ("and", "iand"):
        path = tmp_path / f"{function}.safetensors"
        checkpoint(rng, [*gated(function, layer), OUT], (2, 6, 6), time_steps=8).save(path)
        write(path, path.with_suffix(".nir"))
        graphs[function] = read(path.with_suffix(".nir"), NirChoice()).checkpoint.graph
    assert graphs["and"]["gate"].sources == ("a", "b")
    assert graphs["iand"]["gate"].sources == ("gate_sources",)
    assert graphs["iand"]["gate_sources"].sources == ("a", "b")


def test_another_shape_is_refused(tmp_path: Path) -> None:
    """Windows that reach over the border of two maps have no place among maps apart."""
    neuron = CubaNeuron(current_decay=4096, voltage_decay=4096, threshold=90)
    maps = conv_layer(
        name="c", source="input", weight=np.full((3, 1, 1, 1), 2), map_shape=(1, 5, 4),
        neuron=neuron,
    )  # fmt: skip
    over = conv_layer(
        name="d", source="c", weight=np.full((1, 1, 2, 1), 2), map_shape=(1, 15, 4),
        neuron=neuron,
    )  # fmt: skip
    network = ChipNetwork(
        name="x", input=InputLayer(shape=(1, 5, 4)), layers=(maps, over), time_steps=3
    )
    netx.write(tmp_path / "x.net", network)
    with pytest.raises(UnsupportedLayerError, match=r"d: takes \(1, 15, 4\), and receives \(3, 5"):
        write(tmp_path / "x.net", tmp_path / "x.nir")
    assert not (tmp_path / "x.nir").exists()


def test_graded_input_is_stored_as_it_is(rng: np.random.Generator, tmp_path: Path) -> None:
    """With what the file says of its input, the graph fires what the file says of its layers."""
    network = checkpoint(rng, [dense(6), OUT], (1, 4, 4), spread=3.0, time_steps=8)
    given = rng.integers(-7, 16, (8, SAMPLES, 16))
    chip = quantize(network, LIMITS, given, (-7, 15)).network
    netx.write(tmp_path / "x.net", chip, {"input_range": [-7, 15]})
    write(tmp_path / "x.net", tmp_path / "x.nir")
    with h5py.File(tmp_path / "x.spikes.h5") as file:
        data = {name: node["observables/spikes/data"][()] for name, node in file["nodes"].items()}
    entering = data.pop("input").transpose(1, 0, 2)
    assert entering.min() < 0
    assert entering.max() > 1
    graph = nir.read(tmp_path / "x.nir")
    found = simulate(graph, timing(graph), entering.astype(float))
    for layer, spikes in data.items():
        assert spikes.dtype == bool
        assert spikes.any()
        assert (found[layer].spikes.transpose(1, 0, 2) != spikes).mean() < 0.02, layer


def read_by(reader: str, path: Path, given: np.ndarray, **environment: str) -> dict[str, Any]:
    """Return what a reader in another process makes of a file."""
    python = environment.pop("python", sys.executable)
    np.save(path.with_suffix(".npy"), given)
    out = path.with_suffix(".json")
    ran = subprocess.run(
        [python, str(READERS), reader, str(path), str(path.with_suffix(".npy")), str(out)],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(out.read_text())


KINDS = {"LIF": LIF, "CubaLIF": CUBA, "IF": INTEGRATE}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["1.0.4", "1.0.8"])
def test_versions_of_nir(kind: str, version: str, tmp_path: Path) -> None:
    path = written(made(KINDS[kind], recurrent=True, bias=kind != "CubaLIF"), tmp_path)
    old = os.environ.get("TSSL_NIR_OLD", "")
    if version == "1.0.4" and not old:
        pytest.skip("needs nir 1.0.4 in the folder TSSL_NIR_OLD")
    if version == "1.0.8":
        pytest.importorskip("nir", reason="needs nir: pip install nir")
    found = read_by("nir", path, np.zeros(1), PYTHONPATH=old if version == "1.0.4" else "")
    affine = "Linear" if kind == "CubaLIF" else "Affine"
    assert found["nodes"] == {
        "input": "Input", "d0_weights": affine,
        "d0_recurrent": "Linear", "d0": kind, "d1_weights": affine, "d1": kind, "output": "Output",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("library", "kind"),
    [("snntorch", "LIF"), ("snntorch", "CubaLIF"), ("spikingjelly", "LIF"),
     ("spikingjelly", "CubaLIF"), ("spikingjelly", "IF")],
)  # fmt: skip
def test_other_libraries(library: str, kind: str, tmp_path: Path) -> None:
    """They fire the same spikes; snnTorch takes an IF for a leaky neuron and is not asked."""
    python = os.environ.get("TSSL_NIR_PYTHON", "")
    if not python:
        pytest.skip("needs TSSL_NIR_PYTHON, an interpreter with snntorch and spikingjelly")
    network = made(KINDS[kind])
    path = written(network, tmp_path)
    given = train(6)
    found = read_by(library, path, given.reshape(STEPS, SAMPLES, 6), python=python, PYTHONPATH="")
    wanted = spikes_of(network, given)["d1"]
    assert wanted.any()
    assert np.array_equal(np.array(found["spikes"]) > 0, wanted)


def test_input_is_flat_where_it_is_no_picture(tmp_path: Path) -> None:
    path = written(made(LIF), tmp_path)
    with h5py.File(path) as file:
        assert file["node/nodes/input/shape"][()].tolist() == [6]
        assert "v_reset" not in file["node/nodes/d0"]
        assert file["node/metadata/rule"][()] == b"euler"


def test_refused(tmp_path: Path) -> None:
    written(made(LIF), tmp_path)
    with pytest.raises(ConfigError, match=r"must end in \.nir"):
        write(tmp_path / "x.safetensors", tmp_path / "x.h5")
    with pytest.raises(ConfigError, match="--dt 0"):
        write(tmp_path / "x.safetensors", tmp_path / "y.nir", 0.0)
    keeps = CubaNeuron(current_decay=0, voltage_decay=4096, threshold=90)
    layer = dense_layer(name="d", source="input", weight=np.array([[2, -2]]), neuron=keeps)
    network = ChipNetwork(name="x", input=InputLayer(shape=(2,)), layers=(layer,), time_steps=3)
    netx.write(tmp_path / "k.net", network)
    with pytest.raises(UnsupportedLayerError, match="layer d: its current never decays"):
        write(tmp_path / "k.net", tmp_path / "k.nir")
    assert not (tmp_path / "k.nir").exists()
