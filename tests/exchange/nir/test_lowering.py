"""Lowered layers fire what the graph fires: every rule, in double precision, and the refusals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.exchange.nir.files import (
    chain,
    conv,
    cuba,
    ends,
    flatten,
    in_memory,
    integrate,
    lif,
    linear,
    pool,
)
from tests.exchange.nir.floats import spikes_of
from tssl.errors import ConfigError, UnsupportedLayerError
from tssl.exchange.nir import Lowered, Nir, check_conventions, lower, simulate, timing

STEPS, SAMPLES = 40, 5
RNG = np.random.default_rng(20261128)


def drawn(*shape: int) -> np.ndarray:
    """Return weights of single precision, no sum of which is a threshold by chance."""
    return RNG.normal(0.1, 0.5, shape).astype(np.float32).astype(float)


def scale(values: Any) -> Mapping[str, Any]:
    return {"type": "Scale", "scale": np.asarray(values, float)}


def dense_net(neuron: Mapping[str, Any], bias: bool = False) -> Nir:
    nodes = ends([6], [4]) | {
        "fc": linear(drawn(9, 6), drawn(9) if bias else None),
        "a": neuron,
        "fc2": linear(drawn(4, 9), drawn(4) if bias else None),
        "b": {**neuron, **{k: np.resize(v, 4) for k, v in neuron.items() if np.ndim(v)}},
    }
    return in_memory(nodes, chain("input", "fc", "a", "fc2", "b", "output"))


def image_net(*between: tuple[str, Mapping[str, Any]], shape: Sequence[int], end: int) -> Nir:
    nodes = ends(shape, [end]) | dict(between)
    return in_memory(nodes, chain("input", *(name for name, _ in between), "output"))


def recurrent_net(bias: bool) -> Nir:
    nodes = ends([5], [7]) | {
        "fc": linear(drawn(7, 5), drawn(7) if bias else None),
        "lif": cuba(7),
        "rec": linear(drawn(7, 7) - 0.3, drawn(7) if bias else None),
    }
    edges = [*chain("input", "fc", "lif", "output"), *chain("lif", "rec", "lif")]
    return in_memory(nodes, edges)


def conv_recurrent() -> Nir:
    nodes = ends([2, 5, 6], [3, 5, 6]) | {
        "c": conv(drawn(3, 2, 3, 3), padding=np.array([1, 1])),
        "l": lif((3, 5, 6)),
        "r": conv(drawn(3, 1, 3, 3) - 0.4, padding=np.array([1, 1]), groups=3),
    }
    return in_memory(nodes, [*chain("input", "c", "l", "output"), *chain("l", "r", "l")])


def skipping() -> Nir:
    """The ADD of a residual block: one set of weights reads two layers."""
    nodes = ends([2, 4, 4], [3, 4, 4]) | {
        "c1": conv(drawn(3, 2, 3, 3), padding=np.array([1, 1])), "l1": lif((3, 4, 4)),
        "c2": conv(drawn(3, 3, 3, 3) - 0.2, padding=np.array([1, 1])), "l2": lif((3, 4, 4)),
        "c3": conv(drawn(3, 3, 1, 1)), "l3": lif((3, 4, 4)),
    }  # fmt: skip
    edges = [*chain("input", "c1", "l1", "c2", "l2", "c3", "l3", "output"), ("l1", "c3")]
    return in_memory(nodes, edges)


def classifier(*, bias: bool) -> Nir:
    """Convolutions, pools and CubaLIF; biases enter synapses through pools and maps."""
    some = (lambda size: {"bias": drawn(size)}) if bias else (lambda size: {})
    same = np.array([1, 1])
    return image_net(
        ("c1", conv(drawn(4, 2, 3, 3), padding=same, **some(4))), ("l1", cuba((4, 8, 8))),
        ("p1", pool("SumPool2d", [2, 2])),
        ("c2", conv(drawn(6, 2, 3, 3) - 0.3, padding=same, groups=2, **some(6))),
        ("l2", cuba((6, 4, 4))), ("p2", pool("AvgPool2d", [2, 2])), ("f", flatten()),
        ("fc", linear(3 * drawn(5, 24) - 1.0, drawn(5) if bias else None)), ("l3", cuba(5)),
        shape=[2, 8, 8], end=5,
    )  # fmt: skip


def overlapping(neuron: Any, *, bias: bool = False, zeros: int = 0) -> Nir:
    """Return a convolution behind windows of 3 at a stride of 2 that leave a row of 8."""
    size = 3 + 2 * zeros
    some = {"bias": drawn(3)} if bias else {}
    return image_net(
        ("c", conv(drawn(2, 1, 3, 3), padding=np.array([1, 1]))), ("l", neuron((2, 8, 7))),
        ("p", pool("AvgPool2d", [3, 3], [2, 2], [1, 1])),
        ("d", conv(2 * drawn(3, 2, 2, 2), padding=np.array([zeros, zeros]), **some)),
        ("m", neuron((3, size, size))), ("f", flatten()), ("fc", linear(drawn(4, 3 * size**2))),
        ("o", neuron(4)), shape=[1, 8, 7], end=4,
    )  # fmt: skip


def beside(neuron: Callable[[Any], Mapping[str, Any]], bias: bool = False) -> Nir:
    """Maps through windows of three sizes, through none, and behind a pool, into one node.

    What this and another one send reach the last layer through weights of their own.
    """
    some = (lambda size: {"bias": drawn(size)}) if bias else (lambda size: {})
    nodes = ends([2, 6, 6], [4]) | {
        "c1": conv(drawn(3, 2, 3, 3), padding=np.array([1, 1]), **some(3)),
        "l1": neuron((3, 6, 6)),
        "p": pool("SumPool2d", [2, 2]),
        "s": scale(0.3),
        "big": conv(drawn(3, 2, 3, 3) - 0.2, padding=np.array([1, 1]), **some(3)),
        "small": conv(drawn(3, 3, 1, 1), **some(3)),
        "l2": neuron((3, 6, 6)),
        "f1": flatten(),
        "f2": flatten(),
        "fc1": linear(drawn(4, 108) / 2, drawn(4) if bias else None),
        "fc2": linear(drawn(4, 27) / 2),
        "o": neuron(4),
    }
    edges = [
        *chain("input", "c1", "l1", "small", "l2", "f1", "fc1", "o", "output"),
        *chain("input", "big", "l2"),
        *chain("l1", "s", "l2"),
        *chain("l1", "p", "f2", "fc2", "o"),
    ]
    return in_memory(nodes, edges)


EACH = {"v_threshold": np.linspace(0.5, 2.0, 9)}
GRAPHS: dict[str, Nir] = {
    "LIF": dense_net(lif(9)),
    "IF": dense_net(integrate(9)),
    "CubaLIF": dense_net(cuba(9)),
    "CubaLIF without a filter": dense_net(cuba(9, tau_syn=1e-3)),
    "scalars": dense_net(lif(())),
    "thresholds of each neuron": dense_net(lif(9, **EACH)),
    "gains of each neuron": dense_net(cuba(9, w_in=np.linspace(1, 5, 9))),
    "v_leak": dense_net(lif(9, v_leak=np.full(9, 0.8))),
    "v_leak of CubaLIF": dense_net(cuba(9, v_leak=np.full(9, 0.8))),
    "v_reset below": dense_net(lif(9, v_reset=np.full(9, -0.4), v_leak=np.full(9, 0.1))),
    "v_reset above": dense_net(cuba(9, v_reset=np.full(9, 0.3))),
    "bias before LIF": dense_net(lif(9), bias=True),
    "bias before IF": dense_net(integrate(9), bias=True),
    "bias into synapses": dense_net(cuba(9), bias=True),
    "recurrent": recurrent_net(bias=False),
    "recurrent, biases into synapses": recurrent_net(bias=True),
    "recurrent convolution": conv_recurrent(),
    "two layers into one": skipping(),
    "maps": classifier(bias=False),
    "maps, biases into synapses": classifier(bias=True),
    "neurons on the input": in_memory(
        ends([6], [6]) | {"l": lif(6, tau=0.004)}, chain("input", "l", "output")
    ),
    "neurons on maps of the input": in_memory(
        ends([2, 3, 4], [2, 3, 4]) | {"l": cuba((2, 3, 4), tau_mem=0.05)},
        chain("input", "l", "output"),
    ),
    "scales": image_net(
        ("s", scale(0.5)), ("c", conv(drawn(3, 1, 2, 2))), ("t", scale(1.7)), ("l", lif((3, 4, 4))),
        ("u", scale(RNG.uniform(0.5, 2, (3, 4, 4)))), ("f", flatten()),
        ("fc", linear(drawn(5, 48))), ("o", lif(5)), shape=[1, 5, 5], end=5,
    ),
    "overlapping pools": image_net(
        ("c", conv(drawn(2, 1, 3, 3), padding=np.array([1, 1]))), ("l", lif((2, 7, 7))),
        ("p", pool("AvgPool2d", [3, 3], [2, 2], [1, 1])), ("d", conv(drawn(3, 2, 2, 2))),
        ("m", lif((3, 3, 3))), ("f", flatten()), ("fc", linear(drawn(4, 27))), ("o", lif(4)),
        shape=[1, 7, 7], end=4,
    ),
    "overlapping pools, biases into synapses": overlapping(cuba, bias=True),
    "overlapping pools in a row": image_net(
        ("c", conv(drawn(2, 1, 3, 3), padding=np.array([1, 1]))), ("l", lif((2, 8, 7))),
        ("p", pool("SumPool2d", [3, 2], [2, 1], [1, 1])), ("q", pool("AvgPool2d", [2, 3], [1, 2])),
        ("d", conv(drawn(3, 2, 2, 1))), ("m", lif((3, 2, 3))), ("f", flatten()),
        ("fc", linear(drawn(4, 18))), ("o", lif(4)), shape=[1, 8, 7], end=4,
    ),
    "overlapping pools, and zeros beside what they drop": overlapping(lif, zeros=1),
    "padding 'same' and 'valid', dilation": image_net(
        ("c", {**conv(drawn(2, 1, 3, 2)), "padding": "same"}), ("l", lif((2, 6, 7))),
        ("d", {**conv(drawn(2, 2, 2, 2), dilation=np.array([2, 1])), "padding": "valid"}),
        ("m", lif((2, 4, 6))), ("f", flatten()), ("fc", linear(drawn(4, 48))), ("o", lif(4)),
        shape=[1, 6, 7], end=4,
    ),
    "Conv1d": image_net(
        ("c", conv(drawn(3, 2, 3), type="Conv1d", stride=np.array([2]), padding=np.array([1]),
                   dilation=np.array([1]))),
        ("l", lif((3, 4))), ("f", flatten()), ("fc", linear(drawn(2, 12))), ("o", lif(2)),
        shape=[2, 8], end=2,
    ),
    "side by side": beside(lif),
    "side by side, biases into synapses": beside(cuba, bias=True),
    "side by side, strides and groups": in_memory(
        ends([2, 7, 7], [4, 4, 4]) | {
            "c": conv(drawn(4, 2, 3, 3), padding=np.array([1, 1])), "l": lif((4, 7, 7)),
            "d": conv(
                drawn(4, 2, 3, 3), padding=np.array([1, 1]), stride=np.array([2, 2]), groups=2
            ),
            "e": conv(drawn(4, 2, 1, 1), stride=np.array([2, 2])), "o": lif((4, 4, 4)),
        },
        [*chain("input", "c", "l", "d", "o", "output"), *chain("input", "e", "o")],
    ),
    "side by side, recurrent": in_memory(
        ends([5], [7]) | {
            "a": linear(drawn(6, 5)), "l": cuba(6), "b": linear(drawn(7, 6)),
            "c": linear(drawn(7, 5)), "o": cuba(7), "r": linear(drawn(7, 7) - 0.3),
        },
        [
            *chain("input", "a", "l", "b", "o", "output"),
            *chain("input", "c", "o"), *chain("o", "r", "o"),
        ],
    ),
    "Threshold": image_net(
        ("fc", linear(drawn(8, 5))), ("t", {"type": "Threshold", "threshold": np.full(8, 0.4)}),
        ("fc2", linear(drawn(3, 8))), ("o", lif(3)), shape=[5], end=3,
    ),
    "pools with zeros on one side": image_net(
        ("c", conv(drawn(2, 1, 3, 3), padding=np.array([1, 1]))), ("l", lif((2, 6, 5))),
        ("p", {**pool("AvgPool2d", [2, 2], [1, 1]), "padding": "same"}),
        ("d", conv(2 * drawn(3, 2, 2, 2))), ("m", lif((3, 5, 4))), ("f", flatten()),
        ("fc", linear(drawn(4, 60))), ("o", lif(4)), shape=[1, 6, 5], end=4,
    ),
}  # fmt: skip


def lowered(nir: Nir, rule: Any = None, dt: float | None = None) -> Lowered:
    found = timing(nir, dt, rule)
    return lower(nir, found, name="made", time_steps=STEPS, provenance={})


def both(nir: Nir, rule: Any = None, dt: float | None = None) -> tuple[dict, dict, Lowered]:
    """Return what the graph fires and what the lowered layers fire, by layer."""
    made = lowered(nir, rule, dt)
    train = np.random.default_rng(1).random((STEPS, SAMPLES, int(np.prod(made.input_shape)))) < 0.3
    traces = simulate(
        nir, timing(nir, dt, rule), train.reshape(*train.shape[:2], *made.input_shape)
    )
    ones = np.ones((STEPS, SAMPLES, made.always_on))
    fired = spikes_of(made.checkpoint, np.concatenate([train, ones], axis=2))
    wanted = {
        layer: traces[node].spikes.reshape(STEPS, SAMPLES, -1)
        for layer, node in made.layers.items()
    }
    return wanted, fired, made


@pytest.mark.parametrize("name", GRAPHS)
def test_every_spike(name: str) -> None:
    wanted, fired, _ = both(GRAPHS[name], "euler", 1e-3)
    for layer, spikes in wanted.items():
        assert np.array_equal(spikes, fired[layer][..., : spikes.shape[2]]), layer
        assert 0 < spikes.mean() < 1, "the case shows nothing"


@pytest.mark.parametrize("name", ["LIF", "CubaLIF", "bias into synapses", "maps"])
@pytest.mark.parametrize(("rule", "dt"), [("exp", 1e-3), ("exp", 2e-3), ("euler", 2e-3)])
def test_other_steps_and_rules(name: str, rule: str, dt: float) -> None:
    wanted, fired, _ = both(GRAPHS[name], rule, dt)
    for layer, spikes in wanted.items():
        assert np.array_equal(spikes, fired[layer][..., : spikes.shape[2]]), layer


@pytest.mark.parametrize("name", ["bias into synapses", "maps, biases into synapses"])
def test_what_is_always_on_fires_at_every_step(name: str) -> None:
    wanted, fired, made = both(GRAPHS[name])
    grown = {layer: fired[layer][..., spikes.shape[2] :] for layer, spikes in wanted.items()}
    assert made.always_on in (1, 64)
    assert [each.shape[2] > 0 for each in grown.values()] == [True] * (len(grown) - 1) + [False]
    assert all(each.all() for each in grown.values())


def test_convolutions_stay_convolutions() -> None:
    kinds = [node.kind for node in lowered(GRAPHS["maps"]).checkpoint.graph]
    assert kinds == ["conv", "pool", "conv", "pool", "dense"] or kinds == [
        "conv", "pool", "conv", "dense",
    ]  # fmt: skip
    (layer,) = [node for node in lowered(conv_recurrent()).checkpoint.graph]
    assert (layer.kind, "recurrent" in layer.parameters) == ("conv", True)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("overlapping pools", ["conv", "pool", "conv", "dense"]),
        ("overlapping pools in a row", ["conv", "pool", "pool", "conv", "dense"]),
        ("overlapping pools, biases into synapses", ["conv", "dense", "dense"]),
        ("overlapping pools, and zeros beside what they drop", ["conv", "dense", "dense"]),
        ("pools with zeros on one side", ["conv", "dense", "dense"]),
    ],
)
def test_where_overlapping_pools_stay(name: str, kinds: list[str]) -> None:
    made = lowered(GRAPHS[name], "euler", 1e-3)
    assert [node.kind for node in made.checkpoint.graph] == kinds


def test_maps_side_by_side_stay_maps() -> None:
    """Windows of 3x3 and 1x1, a scale alone, and a pool that only the neurons hear."""
    graph = lowered(beside(lif)).checkpoint.graph
    assert {node.name: node.kind for node in graph} == {
        "l1": "conv", "l2_sources": "concat", "l2": "conv", "o_sources": "concat", "o": "dense",
    }  # fmt: skip
    assert graph["l2_sources"].output_shape == (5, 6, 6)
    assert graph["l2"].parameters["weight"].shape == (3, 5, 3, 3)
    assert set(graph["l2_sources"].sources) == {"input", "l1"}


def test_windows_that_have_no_common_one_become_matrices() -> None:
    """Of other strides, or between two taps of a dilated one."""
    nodes = ends([1, 6, 6], [2, 3, 3]) | {
        "c": conv(drawn(2, 1, 1, 1)), "l": lif((2, 6, 6)),
        "d": conv(drawn(2, 2, 2, 2), stride=np.array([2, 2])),
        "e": conv(drawn(2, 1, 4, 4)), "o": lif((2, 3, 3)),
    }  # fmt: skip
    edges = [*chain("input", "c", "l", "d", "o", "output"), *chain("input", "e", "o")]
    made = lowered(in_memory(nodes, edges))
    assert [node.kind for node in made.checkpoint.graph] == ["conv", "concat", "dense"]
    wanted, fired, _ = both(in_memory(nodes, edges))
    assert np.array_equal(wanted["o"], fired["o"])


def test_decays_of_the_braille_networks() -> None:
    """From the specification: du, dv = 1842, 410 and 1023, 614; Lava adds one to du."""
    net = dense_net(cuba(9, tau_mem=1e-3 / 0.1, tau_syn=1e-3 / 0.45))
    assert [each.integer for each in lowered(net).decays] == [1843, 410] * 2
    net = dense_net(cuba(9, tau_mem=1e-3 / 0.15, tau_syn=1e-3 / 0.25))
    assert [each.integer for each in lowered(net).decays] == [1024, 614] * 2
    errors = [each.error for each in lowered(net).decays]
    assert errors[:2] == [0.0, pytest.approx(614 / 4096 - 0.15)]


def test_a_slow_membrane_is_one_without_a_leak() -> None:
    (_, potential), (_, slow) = (
        lowered(dense_net(lif(9, tau=tau, dt=1e-3))).decays[:2] for tau in (5.0, 20.0)
    )
    assert (potential.integer, slow.integer) == (1, 0)
    assert slow.error == pytest.approx(-1e-3 / 20)


REFUSED: dict[str, tuple[Nir, str]] = {
    "time constants of each neuron": (
        dense_net(lif(9, tau=np.linspace(0.01, 0.02, 9))), "node a (LIF): its neurons have tau",
    ),
    "a threshold at v_reset": (
        dense_net(lif(9, v_reset=np.ones(9))), "node a (LIF): its threshold is not above",
    ),
    "I between": (
        image_net(("i", {"type": "I", "r": np.full(4, 1000.0)}), ("l", lif(4)), shape=[4], end=4),
        "node i (I): keeps a state and sends no spikes",
    ),
    "Delay": (
        image_net(("d", {"type": "Delay", "delay": np.full(4, 0.003)}), ("l", lif(4)),
                  shape=[4], end=4),
        "node d (Delay): waits up to 3 steps",
    ),
    "weights at the end": (
        image_net(("l", lif(4)), ("fc", linear(drawn(2, 4))), shape=[4], end=2),
        "node fc (Linear): is what the output gives",
    ),
    "a bias into synapses of a sum": (
        in_memory(
            ends([4], [4]) | {"l": lif(4), "a": linear(drawn(4, 4), drawn(4)), "o": cuba(4)},
            [*chain("input", "l", "a", "o", "output"), ("input", "a")],
        ),
        "node o (CubaLIF): has several sources, and a bias enters",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    nir, says = REFUSED[name]
    with pytest.raises(UnsupportedLayerError) as raised:
        lowered(nir, "euler", 1e-3)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_delay_between_steps() -> None:
    nir = REFUSED["Delay"][0]
    with pytest.raises(ConfigError, match=r"node d \(Delay\): a delay of 1.5 steps"):
        lowered(nir, "euler", 2e-3)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("sinabs.nir", "sinabs, whose neurons subtract"),
        ("my_subtract.nir", "'subtract', so its neurons subtract"),
        ("spikingjelly.nir", "fire at the threshold"),
    ],
)
def test_makers_that_do_otherwise(word: str, says: str) -> None:
    nir = GRAPHS["LIF"]
    named = Nir(origin=f"folder/{word}", nodes=nir.nodes, edges=nir.edges)
    with pytest.raises(UnsupportedLayerError, match="--as-nir") as raised:
        check_conventions(named, timing(named), as_nir=False)
    assert says in str(raised.value)
    _, (note, *_) = check_conventions(named, timing(named), as_nir=True)
    assert says in note
    assert check_conventions(nir, timing(nir), as_nir=False) == (nir, [])
    said = Nir(origin="x.nir", nodes=nir.nodes, edges=nir.edges, metadata={"by": word[:-4]})
    with pytest.raises(UnsupportedLayerError, match="metadata 'by'"):
        check_conventions(said, timing(said), as_nir=False)
