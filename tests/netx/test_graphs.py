"""Networks that are no chains in ``.net`` files: round trips, damage, what lava-dl says."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs import graph_net, sew_net
from tests.lava_dl import run_code
from tests.lava_runtime.networks import EAGER, MAKERS
from tssl import netx
from tssl.chip import (
    ChipNetwork,
    Connection,
    DenseSynapses,
    InputLayer,
    conv_layer,
    with_relays,
)
from tssl.errors import NetFileError, UnsupportedLayerError

CONV3 = "layer/3/connection"


@given(seed=st.integers(0, 2**32))
def test_round_trip(tmp_path_factory, seed: int):
    network = graph_net(np.random.default_rng(seed))
    path = tmp_path_factory.mktemp("graph") / "n.net"
    for each in (network, with_relays(network)):
        netx.write(path, each, {"note": 1})
        again = netx.read(path)
        assert again.digest == each.digest
        assert (again.name, again.encoding, again.time_steps) == (each.name, None, None)
        for ours, theirs in zip(each.layers, again.layers, strict=True):
            assert [c.source for c in ours.connections] == [c.source for c in theirs.connections]
            assert ours.output_shape == theirs.output_shape
    assert netx.read_notes(path) == {"note": 1}


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_chains_keep_their_form(rng, tmp_path, maker):
    network = maker(rng)
    assert not netx.is_graph(network)
    netx.write(tmp_path / "n.net", network)
    with h5py.File(tmp_path / "n.net") as file:
        kinds = {bytes(entry["type"][()]) for entry in file["layer"].values()}
    assert kinds <= {b"input", b"flatten", b"conv", b"dense", b"dense_rec"}


def with_itself() -> ChipNetwork:
    """A chain of one convolution that also hears itself, for which netx has no word."""
    layer = conv_layer(
        name="c", source="input", weight=np.ones((2, 1, 2, 2)), map_shape=(1, 3, 3), neuron=EAGER
    )
    own = Connection(source="c", synapses=DenseSynapses(weight=np.eye(8) * 9 - 1))
    layer = replace(layer, connections=(*layer.connections, own))
    return ChipNetwork(name="own", input=InputLayer(shape=(1, 3, 3)), layers=(layer,))


def test_a_chain_without_a_word_for_it(tmp_path):
    network = with_itself()
    assert network.is_chain
    assert netx.is_graph(network)
    assert netx.kind_of(network.output) == "conv + dense"
    netx.write(tmp_path / "n.net", network)
    assert netx.read(tmp_path / "n.net").digest == network.digest


def test_two_dense_connections_are_recurrent_only_where_one_is_its_own(dense):
    recurrent = dense(3, 3, name="b", source="a")
    synapses = recurrent.synapses
    for source, kind in {"b": "dense_rec", "input": "dense + dense"}.items():
        second = Connection(source=source, synapses=synapses)
        layer = replace(recurrent, connections=(*recurrent.connections, second))
        assert netx.kind_of(layer) == kind


def test_layout(rng, tmp_path):
    network = sew_net(rng)
    netx.write(tmp_path / "n.net", network)
    with h5py.File(tmp_path / "n.net") as file:
        kinds = [file[f"layer/{number}/type"][()] for number in range(4)]
        assert kinds == [b"input", b"concat", b"concat", b"concat"]
        entry = file["layer/3"]
        assert sorted(entry) == ["connection", "neuron", "shape", "type"]
        assert entry["shape"][()].tolist() == [3, 4, 3]
        assert [entry[f"connection/{n}"].attrs["source"] for n in (0, 1)] == [b"conv2", b"conv1"]
        connection = entry["connection/1"]
        assert connection["type"][()] == b"conv"
        assert connection["input_shape"][()].tolist() == [4, 6, 5]
        assert np.array_equal(
            connection["weight"][()], network.output.connections[1].synapses.weight
        )
        assert file["layer/1/bias"].shape == (5, 6, 4)


@pytest.mark.lava
@pytest.mark.parametrize("maker", [sew_net, graph_net])
def test_lava_dl_refuses_them(rng, tmp_path, clean_python, maker):
    """Rather than to run another network: a word that it does not know, it would skip."""
    netx.write(tmp_path / "n.net", maker(rng))
    code = """
import lava_worker
lava_worker.import_lava()
from lava.lib.dl import netx
try:
    netx.hdf5.Network(net_config="n.net")
except NotImplementedError as error:
    assert str(error) == "concat is not implemented.", error
else:
    raise SystemExit("it was loaded")
"""
    run_code(clean_python, tmp_path, code, np.zeros(1))


# --- damage --------------------------------------------------------------------------


def spoiled(path: Path, network: ChipNetwork, change: Callable[[h5py.File], None]) -> Path:
    """Write a network, remove what guards it, and change the file."""
    netx.write(path, network)
    with h5py.File(path, "r+") as file:
        document = json.loads(file.attrs["tssl"])
        assert document["notes"] == {}
        del file.attrs["tssl_sha256"], file.attrs["tssl"]
        change(file)
    return path


def put(key: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if key in file:
            del file[key]
        if value is not None:
            file[key] = value

    return change


def source(value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[f"{CONV3}/0"].attrs["source"]
        if value is not None:
            file[f"{CONV3}/0"].attrs["source"] = value

    return change


CASES: dict[str, tuple[Callable[[h5py.File], None], type[Exception], str]] = {
    "no connections": (put(CONV3, None), UnsupportedLayerError, "type 'concat' is not supported"),
    "a number": (put(CONV3, 3), NetFileError, "'/layer/3/connection' is missing"),
    "a gap": (put(f"{CONV3}/0", None), NetFileError, "'/layer/3/connection/0' is missing"),
    "no source": (source(None), NetFileError, "has no attribute 'source'"),
    "a late source": (source(np.bytes_("c9")), UnsupportedLayerError, "source 'c9' is not an"),
    "source of another size": (
        source(np.bytes_("input")), UnsupportedLayerError, "expects 120 inputs .* but input has 60"
    ),
    "a source that is no text": (source(4), NetFileError, "'source' is not a text"),
    "type": (put(f"{CONV3}/0/type", np.bytes_("pool")), UnsupportedLayerError, "of type 'pool'"),
    "no type": (put(f"{CONV3}/0/type", None), NetFileError, "type' is missing"),
    "no weight": (put(f"{CONV3}/0/weight", None), NetFileError, "weight' is missing"),
    "no shape": (put("layer/3/shape", None), NetFileError, "/shape' is missing"),
    "another shape": (put("layer/3/shape", [3, 3, 4]), NetFileError, "shape' is .* computes"),
    "no neuron": (put("layer/3/neuron", None), NetFileError, "neuron' is missing"),
    "maps": (put(f"{CONV3}/0/input_shape", [4, 30]), NetFileError, "no shape .* of maps"),
    "other maps": (
        put(f"{CONV3}/0/input_shape", [3, 8, 5]), UnsupportedLayerError, "layer conv3: weights"
    ),
    "geometry": (put(f"{CONV3}/0/padding", 128), UnsupportedLayerError, "above 127"),
    "dense": (
        put(f"{CONV3}/0/type", np.bytes_("dense")), UnsupportedLayerError, "layer conv3: weights"
    ),
    "bias": (put("layer/3/bias", [1, 2, 3]), NetFileError, "bias' is of shape"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_damage_is_named_in_one_line(rng, tmp_path, case):
    change, error, message = CASES[case]
    path = spoiled(tmp_path / "n.net", sew_net(rng), change)
    with pytest.raises(error, match=message) as raised:
        netx.read(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_chain_that_lists_its_connections(rng, tmp_path):
    """lava-dl runs it by its own form only; without the second source it is a chain."""
    path = spoiled(tmp_path / "n.net", sew_net(rng), put(f"{CONV3}/1", None))
    with pytest.raises(UnsupportedLayerError, match=f"{path}: .*that are a chain"):
        netx.read(path)


def test_altered_weights_are_noticed(rng, tmp_path):
    path = tmp_path / "n.net"
    netx.write(path, sew_net(rng))
    with h5py.File(path, "r+") as file:
        file[f"{CONV3}/1/weight"][0, 0, 0, 0] += 1
    with pytest.raises(NetFileError, match="was altered after tssl wrote it"):
        netx.read(path)


def test_any_damaged_byte(rng, tmp_path):
    """A file is read as what was written, or refused in one line."""
    path = tmp_path / "n.net"
    network = sew_net(rng)
    netx.write(path, network)
    content, refusals = path.read_bytes(), []
    for place in rng.choice(len(content), 300, replace=False):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            assert netx.read(path).digest == network.digest
        except (NetFileError, UnsupportedLayerError) as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert not any("\n" in each for each in refusals)


@pytest.mark.parametrize("weight", [np.full((2, 3), 256), np.zeros((2, 3)), np.full((2, 3), -1)])
def test_weights_that_lava_would_alter_are_not_written(tmp_path, weight, dense):
    first, second = dense(4, 3, name="a"), dense(3, 3, name="b", source="a")
    third = dense(3, 2, name="c", source="b")
    own = Connection(source="a", synapses=DenseSynapses(weight=weight))
    third = replace(third, connections=(*third.connections, own))
    network = ChipNetwork(name="n", input=InputLayer(shape=(4,)), layers=(first, second, third))
    with pytest.raises(UnsupportedLayerError, match="layer c: the weight matrix"):
        netx.write(tmp_path / "n.net", network)
