"""Modules step by step in double precision against what they become, and every refusal."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tests.exchange.nir.floats import potential_of
from tests.exchange.torch.comparing import SAMPLES, STEPS, check_every_spike, inputs, lowered
from tests.exchange.torch.stand_ins import (
    IFNode,
    Leaky,
    LIBoxCell,
    LICell,
    LIFBoxCell,
    LIFCell,
    LIFNode,
    LILinearCell,
    Linear,
    NonSpikingIFNode,
    NonSpikingLIFNode,
    ParametricLIFNode,
    SequentialState,
    Synaptic,
    reset_subtract,
)
from tssl.errors import ConfigError, UnsupportedLayerError
from tssl.exchange.nir import Timing, simulate
from tssl.exchange.torch import Stepped, read


def dense(neuron: Callable[[int], nn.Module], *, bias: bool = True) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 9, bias=bias), neuron(9), nn.Dropout(), nn.Linear(9, 4, bias=bias), neuron(4)
    )


def maps(neuron: Callable[[], nn.Module], *, bias: bool) -> nn.Sequential:
    norm = nn.BatchNorm2d(6)
    norm.running_mean.uniform_(-0.2, 0.2)
    norm.running_var.uniform_(0.1, 0.3)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.uniform_(norm.bias, -0.1, 0.2)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, groups=2, bias=bias), norm, neuron(),
        nn.AvgPool2d(2), nn.Conv2d(6, 5, (2, 1), stride=(1, 2), padding="valid", bias=bias),
        neuron(), nn.Flatten(), nn.Linear(20, 7, bias=bias), neuron(),
    )  # fmt: skip


def normed() -> nn.Sequential:
    norm = nn.BatchNorm1d(9, affine=False)
    norm.running_mean.uniform_(-0.2, 0.2)
    norm.running_var.uniform_(0.1, 0.3)
    return nn.Sequential(nn.Linear(6, 9), norm, Leaky(0.8), nn.Linear(9, 4), Leaky(0.8))


EACH = torch.linspace(0.5, 1.5, 9)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Leaky": (lambda: dense(lambda _: Leaky(0.9)), (6,)),
    "Leaky that resets at once": (lambda: dense(lambda _: Leaky(0.9, reset_delay=False)), (6,)),
    "Leaky without a leak": (lambda: dense(lambda _: Leaky(1.0)), (6,)),
    "Leaky of each neuron": (
        lambda: nn.Sequential(nn.Linear(6, 9), Leaky(torch.full((9,), 0.9), EACH)), (6,),
    ),
    "beta above 1": (lambda: dense(lambda _: Leaky(1.2, threshold=0.5)), (6,)),
    "Synaptic": (lambda: dense(lambda _: Synaptic(0.6, 0.8), bias=False), (6,)),
    "Synaptic with biases": (lambda: dense(lambda _: Synaptic(0.6, 0.8)), (6,)),
    "Synaptic without a leak": (lambda: dense(lambda _: Synaptic(0.6, 1.0), bias=False), (6,)),
    "LIFNode": (lambda: dense(lambda _: LIFNode(3.0, v_threshold=0.2)), (6,)),
    "LIFNode that takes all in": (lambda: dense(lambda _: LIFNode(3.0, decay_input=False)), (6,)),
    "LIFNode below": (
        lambda: dense(lambda _: LIFNode(3.0, v_threshold=0.1, v_reset=-0.3)), (6,),
    ),
    "IFNode": (lambda: dense(lambda _: IFNode()), (6,)),
    "IFNode above": (lambda: dense(lambda _: IFNode(v_threshold=1.1, v_reset=0.25)), (6,)),
    "ParametricLIFNode": (lambda: dense(lambda _: ParametricLIFNode(-0.7, v_threshold=0.1)), (6,)),
    "ParametricLIFNode, all in": (
        lambda: dense(lambda _: ParametricLIFNode(-0.7, decay_input=False)), (6,),
    ),
    "LIFCell": (lambda: dense(lambda _: LIFCell(v_th=0.2), bias=False), (6,)),
    "LIFCell with biases": (lambda: dense(lambda _: LIFCell(v_th=0.2)), (6,)),
    "LIFCell, other constants": (
        lambda: dense(lambda _: LIFCell(2e-3, tau_syn_inv=300.0, tau_mem_inv=80.0, v_th=0.2)), (6,),
    ),
    "LIFBoxCell": (lambda: dense(lambda _: LIFBoxCell(v_th=0.1)), (6,)),
    "LIFBoxCell below": (
        lambda: dense(lambda _: LIFBoxCell(v_th=-0.1, v_reset=-0.3, v_leak=-0.3)), (6,),
    ),
    "in a SequentialState": (
        lambda: SequentialState(
            nn.Sequential(OrderedDict(fc=Linear(6, 9), lif=LIFBoxCell(v_th=0.1))),
            nn.Linear(9, 4), LIFBoxCell(v_th=0.1),
        ), (6,),
    ),
    "maps": (lambda: maps(lambda: IFNode(), bias=True), (2, 6, 6)),
    "maps, biases into synapses": (
        lambda: maps(lambda: LIFCell(v_th=0.1), bias=True), (2, 6, 6),
    ),
    "a norm of neurons": (normed, (6,)),
    "flattened input": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 5), Leaky(0.5)),
                        (3, 2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_every_spike(name: str) -> None:
    make, shape = NETWORKS[name]
    check_every_spike(make, shape)


READ: dict[str, Callable[[], nn.Module]] = {
    "Leaky": lambda: Leaky(0.9, reset_mechanism="none"),
    "Leaky that resets at once": lambda: Leaky(0.9, reset_mechanism="none", reset_delay=False),
    "Leaky without a leak": lambda: Leaky(1.0, reset_mechanism="none"),
    "Synaptic": lambda: Synaptic(0.6, 0.8, reset_mechanism="none"),
    "NonSpikingLIFNode": lambda: NonSpikingLIFNode(3.0, decode="last_mem"),
    "NonSpikingIFNode": lambda: NonSpikingIFNode(),
    "LICell": lambda: LICell(),
    "LIBoxCell": lambda: LIBoxCell(2e-3, tau_mem_inv=80.0),
}


def ending(last: nn.Module) -> nn.Sequential:
    torch.manual_seed(3)
    front = nn.Sequential(nn.Linear(6, 9), Leaky(0.9))
    if isinstance(last, LILinearCell):
        return nn.Sequential(*front, last).double()
    return nn.Sequential(*front, nn.Linear(9, 4, bias=False), last).double()


@pytest.mark.parametrize("last", [*(make() for make in READ.values()), LILinearCell(9, 4)],
                         ids=[*READ, "LILinearCell"])  # fmt: skip
def test_every_potential_that_is_read(last: nn.Module) -> None:
    network = ending(last)
    found, made = lowered(network, (6,))
    train = inputs((6,), 0.4)
    steps = Stepped(network)
    assert steps.is_read
    for _ in range(2):  # the second time it begins with a new batch
        steps.rest()
        with torch.no_grad():
            there = [steps(each).numpy() for each in torch.from_numpy(train).double()]
    graph = simulate(found.graph, Timing(dt=1.0, rule="euler"), train.astype(float))
    assert found.graph.read is not None
    assert np.allclose(graph[found.graph.read.name].potential, np.stack(there), atol=1e-6)
    here = potential_of(made.checkpoint, train.reshape(STEPS, SAMPLES, -1))
    assert np.allclose(here, there[-1], rtol=1e-5, atol=1e-5)
    assert "after the last step is what is read" in found.notes[-1]


def sequence(neuron: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 9), neuron)


SHARED = Leaky(0.9)
WITHOUT = nn.BatchNorm1d(9, track_running_stats=False)
REFUSED: list[tuple[str, nn.Module, str]] = [
    ("soft reset", sequence(Leaky(0.9, reset_mechanism="subtract")), "reset_mechanism='zero'"),
    ("no reset before others", dense(lambda _: Leaky(0.9, reset_mechanism="none")),
     "module 1 (Leaky): never fires or never resets, and neurons follow it"),
    ("read before others", nn.Sequential(*sequence(NonSpikingIFNode()), nn.Linear(9, 4), IFNode()),
     "only the last ones can be such"),
    ("another decoding", sequence(NonSpikingLIFNode(decode="max-mem")), "use 'last_mem'"),
    ("reads from elsewhere", sequence(LICell(v_leak=0.5)), "begins there"),
    ("a tau below a step, read", sequence(NonSpikingLIFNode(0.5)), "tau makes it lose 2"),
    ("no leaking current, read", sequence(LICell(tau_syn_inv=0.0)), "tau_syn_inv = 0"),
    ("inhibition", sequence(Leaky(0.9, inhibition=True)), "inhibition = True"),
    ("quantized states", sequence(Leaky(0.9, state_quant=abs)), "state_quant"),
    ("graded", sequence(Leaky(0.9, graded_spikes_factor=torch.tensor(2.0))), "next weights"),
    ("graded by each", sequence(Leaky(0.9, graded_spikes_factor=torch.rand(99))), "next weights"),
    ("a leak of each", sequence(Leaky(torch.linspace(0.5, 0.9, 9))), "different lengths"),
    ("a step without", sequence(_delayed := Synaptic(0.5, 0.9)), "reset_delay=False"),
    ("no synapse", sequence(Synaptic(1.0, 0.9)), "alpha below 1"),
    ("soft reset there", sequence(LIFNode(v_reset=None)), "v_reset=0."),
    ("no spikes", sequence(_smooth := IFNode()), "spiking=True"),
    ("tau below a step", sequence(LIFNode(tau=0.5)), "tau = 0.5; at least 1"),
    ("threshold at reset", sequence(IFNode(v_threshold=0.0)), "not above v_reset"),
    ("soft reset in a box", sequence(LIFBoxCell(reset_method=reset_subtract)), "reset_value"),
    ("begins elsewhere", sequence(LIFCell(v_leak=0.2)), "v_leak = 0.2"),
    ("dt too long", sequence(LIFCell(0.02)), "loses|lose 4"),
    ("no leaking current", sequence(LIFCell(tau_syn_inv=0.0)), "tau_syn_inv = 0"),
    ("not finite", sequence(Leaky(float("nan"))), "beta holds numbers that are not finite"),
    ("another version", sequence(_older := IFNode()), "has no v_threshold"),
    ("no neuron", nn.Sequential(nn.Linear(6, 9)), "has no neurons that fire"),
    ("no layer", nn.Sequential(), "has no neurons that fire"),
    ("ReLU", nn.Sequential(nn.Linear(6, 9), nn.ReLU()), "module 1 (ReLU)"),
    ("unknown", sequence(nn.Softmax(1)), "known are Linear, Conv2d"),
    ("weights last", nn.Sequential(*sequence(Leaky(0.9)), nn.Linear(9, 2)), "has no neurons"),
    ("shared", nn.Sequential(nn.Linear(6, 6), SHARED, nn.Linear(6, 6), SHARED), "share one state"),
    ("norm first", nn.Sequential(nn.BatchNorm1d(6), *sequence(Leaky(0.9))), "behind no weights"),
    ("no averages", nn.Sequential(nn.Linear(6, 9), WITHOUT, Leaky(0.9)), "track_running_stats"),
    ("wrong norm", nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(8), Leaky(0.9)), "8 channels"),
    ("wrong size", nn.Sequential(nn.Linear(7, 9), Leaky(0.9)), "of shape (6,): weight"),
    ("no sequence", Leaky(0.9), "nn.Sequential(net.fc1"),
    ("joins samples", nn.Sequential(nn.Flatten(0), nn.Linear(6, 9)), "start_dim = 0"),
    ("circular", nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="circular")), "pads with nothing"),
]  # fmt: skip
_delayed.reset_delay = True
_smooth.surrogate_function.spiking = False
del _older.v_threshold


@pytest.mark.parametrize(("network", "says"), [case[1:] for case in REFUSED],
                         ids=[case[0] for case in REFUSED])  # fmt: skip
def test_refusals(network: nn.Module, says: str) -> None:
    with pytest.raises((UnsupportedLayerError, ConfigError)) as caught:
        lowered(network, (6,))
    message = str(caught.value)
    assert any(each in message for each in says.split("|"))
    assert "\n" not in message


def test_comparing_at_the_threshold_is_said() -> None:
    assert "equals the threshold" in read(sequence(LIFNode()), (6,)).notes[0]
    summing = read(sequence(IFNode()), (6,))
    assert not summing.notes
    assert summing.graph.at_threshold == {"ifnode1"}
    assert not read(sequence(Leaky(0.9)), (6,)).notes


def test_nodes_are_named_after_modules() -> None:
    network = nn.Sequential(
        OrderedDict(fc=nn.Linear(6, 9), lif=Leaky(0.9)),
    )
    assert read(network, (6,)).modules == {"lif": "lif"}
    assert read(nn.Sequential(network), (6,)).modules == {"leaky0_lif": "0.lif"}
