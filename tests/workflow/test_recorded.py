"""Recording what layers do, keeping it, and looking at it."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.lava_runtime.networks import MAKERS, dense_net
from tssl import netx
from tssl.chip import INPUT
from tssl.engine import Engine, run_chunk
from tssl.errors import ConfigError, DataError
from tssl.lava_runtime import BackendOptions
from tssl.results import Recording, RunResult, TraceName
from tssl.workflow import run as workflow
from tssl.workflow.inputs import InputChoice
from tssl.workflow.recorded import inspect_result
from tssl.workflow.report import report, write_page

SAMPLES, STEPS = 5, 8


class Silent:
    def __call__(self, title: str, total: int) -> "Silent":
        return self

    def __enter__(self) -> object:
        return lambda _: None

    def __exit__(self, *_: object) -> None: ...


def recorded(folder: Path, rng: np.random.Generator, record: dict[str, list[str]]) -> Path:
    network = dense_net(rng)
    netx.write(folder / "n.net", network)
    np.save(folder / "x.npy", rng.integers(-3, 12, (SAMPLES, STEPS, 9)))
    choice = InputChoice(file=folder / "x.npy")
    out = folder / "result"
    workflow.run(
        folder / "n.net", "engine", choice, out, BackendOptions(), Silent(), record
    )  # fmt: skip
    return out


def test_traces_come_back_as_they_were(tmp_path: Path, rng: np.random.Generator) -> None:
    out = recorded(tmp_path, rng, {"b": ["potential"], "all": ["spikes"], "a": []})
    result = RunResult.load(out)
    assert {str(name) for name in result.traces} == {
        "b:potential", "a:spikes", "b:spikes", "c:spikes", "a:current", "a:potential",
    }  # fmt: skip
    network = netx.read(tmp_path / "n.net")
    train = np.load(tmp_path / "x.npy").transpose(1, 0, 2)
    expected = run_chunk(network, train, STEPS)
    for layer in network.layers:
        spikes = result.traces[TraceName(layer.name, "spikes")]
        assert np.array_equal(spikes, expected.trains[layer.name].transpose(1, 0, 2))
    engine = Engine(frozenset("ab"))
    whole = Recording.joined([r for _, r in engine.run(network, train, STEPS, lambda _: None)])
    for name in ("a", "b"):
        potential = whole.states[name].potential.transpose(1, 0, 2)
        assert potential.any()
        assert np.array_equal(result.traces[TraceName(name, "potential")], potential)


def test_nothing_is_recorded_unless_asked_for(tmp_path: Path, rng: np.random.Generator) -> None:
    out = recorded(tmp_path, rng, {})
    assert RunResult.load(out).traces == {}
    assert inspect_result(out, None).rows[0][2] == ""
    with pytest.raises(ConfigError, match="recorded nothing to draw; run the network again with"):
        inspect_result(out, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_figures_and_page(tmp_path: Path, rng: np.random.Generator) -> None:
    out = recorded(tmp_path, rng, {"a": [], "c": ["current"]})
    found = inspect_result(out, tmp_path / "figures")
    assert [path.name for path in found.figures] == ["a.png", "c.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in found.figures)
    document = found.document()
    assert document["rows"][0]["recorded"] == ["spikes", "current", "potential"]
    assert document["traces"] == ["a:spikes", "a:current", "a:potential", "c:current"]
    write_page([report(out, ["loihi2"])], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    drawn = page[page.index("Recorded at every step") : page.index("<h3>Synaptic current u and")]
    titles = re.findall(r"<figcaption>(.*?)<", drawn)
    assert titles == [
        "a: spikes", "a: synaptic current u", "a: membrane potential v", "c: synaptic current u",
    ]  # fmt: skip
    assert "threshold" in drawn


def test_what_cannot_be_recorded(tmp_path: Path, rng: np.random.Generator) -> None:
    network = dense_net(rng)
    with pytest.raises(ConfigError, match=r"--record d: no such layer; there are all, a, b, c"):
        workflow.traces_of(network, {"d": []})
    with pytest.raises(ConfigError, match="--record input: no such layer"):
        workflow.traces_of(network, {INPUT: []})
    with pytest.raises(ConfigError, match="--record a:u: expected one of spikes, current"):
        workflow.traces_of(network, {"a": ["u"]})
    block = next(n for maker in MAKERS if (n := maker(rng)).input.neuron is not None)
    assert TraceName(INPUT, "current") in workflow.traces_of(block, {"all": []})


def test_traces_too_large_to_be_read_back(tmp_path: Path, rng: np.random.Generator) -> None:
    netx.write(tmp_path / "n.net", dense_net(rng))
    np.save(tmp_path / "x.npy", np.zeros((60_000, 9), np.int8))
    choice = InputChoice(file=tmp_path / "x.npy", steps=500)
    with pytest.raises(ConfigError, match=r"--record: .* bytes of 60000 samples; .* --samples"):
        workflow.run(
            tmp_path / "n.net", "engine", choice, None, BackendOptions(), Silent(), {"all": []}
        )


def test_a_board_records_spikes_alone(rng: np.random.Generator) -> None:
    from tssl.lava_runtime import create_backend

    create_backend("loihi2", BackendOptions())
    with pytest.raises(ConfigError, match="--record a, b: a board records spikes alone"):
        create_backend("loihi2", BackendOptions(states=frozenset("ab")))


def test_a_damaged_trace_is_noticed(tmp_path: Path, rng: np.random.Generator) -> None:
    out = recorded(tmp_path, rng, {"a": ["potential"]})
    with np.load(out / "result.npz") as file:
        arrays = dict(file)
    arrays["trace.potential.a"] = arrays["trace.potential.a"][:, :-1]
    np.savez_compressed(out / "result.npz", **arrays)
    with pytest.raises(DataError, match=r"a:potential has shape \(5, 7, 12\), expected"):
        RunResult.load(out)
