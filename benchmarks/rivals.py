"""The same two networks in other libraries: surrogate gradients, the sum of spikes, AdamW.

    TSSL_TORCH_LIBRARIES=FOLDER python benchmarks/train.py --rivals

FOLDER is a ``site-packages`` of the same Python and PyTorch that holds the libraries; it is not
needed where they are installed beside tssl. A step is forward, loss, backward and AdamW: none of
them clips, clamps or counts. Every one weights a constant input once, and all time steps in one
call. `plain` is what one writes in a dozen lines of PyTorch. `-compiled` is ``torch.compile`` of
the whole network, whose loop over time it unrolls: minutes from 30 steps on. `-cells-compiled` is
``torch.compile`` of one step of the neurons.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from steps import Measured, Step
from torch import Tensor, nn

from tssl.graph import resolve

TAU_M, TAU_S = 5.0, 3.0
_STEPS_UNTIL_COMPILED = 4
"""PyTorch compiles anew when a number that it took for a constant changes."""
_FORMS_OF_CELLS = 64
"""Of all layers together: by shape, and by what a gradient is wanted of."""

if "TSSL_TORCH_LIBRARIES" in os.environ:
    sys.path.append(os.environ["TSSL_TORCH_LIBRARIES"])  # behind our own packages


class _Spike(torch.autograd.Function):
    """A step forward, the arctangent's slope backward."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor) -> Tensor:
        ctx.save_for_backward(distance)
        return (distance > 0).to(distance)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (distance,) = ctx.saved_tensors
        return gradients[0] / (1 + (torch.pi * distance).square())


class PlainCell(nn.Module):
    """Leaky neurons behind a synapse filter, written down with nothing but PyTorch."""

    def forward(self, arriving: Tensor, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a = a + (arriving - a) / TAU_S
        v = (1 - 1 / TAU_M) * v + a
        fired = _Spike.apply(v - 1)
        return fired, a, v * (1 - fired)


class Cells(nn.Module):
    """A library's cell, one call for each time step.

    Parameters
    ----------
    cell
        Takes a current and the state, a tuple; returns spikes and the new state.
    rest
        Returns the first state.
    """

    def __init__(self, cell: nn.Module, rest: Callable[[], tuple[Any, ...]]) -> None:
        super().__init__()
        self.cell, self.rest = cell, rest

    def forward(self, current: Tensor) -> Tensor:
        state, spikes = self.rest(), []
        for arriving in current:
            fired, *state = self.cell(arriving, *state)
            spikes.append(fired)
        return torch.stack(spikes)


def plain() -> nn.Module:
    """Return the neurons in plain PyTorch."""
    return Cells(PlainCell(), lambda: (torch.zeros(()), torch.zeros(())))


def snntorch_leaky() -> nn.Module:
    """Return snnTorch's ``Leaky``."""
    import snntorch
    from snntorch import surrogate

    cell = snntorch.Leaky(beta=1 - 1 / TAU_M, spike_grad=surrogate.atan(), reset_mechanism="zero")
    return Cells(cell, lambda: (cell.init_leaky(),))


def snntorch_synaptic() -> nn.Module:
    """Return snnTorch's ``Synaptic``."""
    import snntorch
    from snntorch import surrogate

    cell = snntorch.Synaptic(
        alpha=1 - 1 / TAU_S, beta=1 - 1 / TAU_M, spike_grad=surrogate.atan(),
        reset_mechanism="zero",
    )  # fmt: skip
    return Cells(cell, cell.init_synaptic)


def spikingjelly_lif() -> nn.Module:
    """Return SpikingJelly's ``LIFNode``, all steps in one call."""
    from spikingjelly.activation_based import neuron, surrogate

    return neuron.LIFNode(
        tau=TAU_M, decay_input=False, surrogate_function=surrogate.ATan(), step_mode="m"
    )


def spikingjelly_synapse() -> nn.Module:
    """Return ``LIFNode`` with a ``SynapseFilter`` behind it."""
    from spikingjelly.activation_based import layer

    return nn.Sequential(spikingjelly_lif(), layer.SynapseFilter(tau=TAU_S, step_mode="m"))


def norse_box() -> nn.Module:
    """Return Norse's ``LIFBoxCell``."""
    import norse.torch as norse

    parameters = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(1 / TAU_M))
    return Cells(norse.LIFBoxCell(parameters, dt=1.0), lambda: (None,))


def norse_lif() -> nn.Module:
    """Return Norse's ``LIFCell``, which has a synaptic current."""
    import norse.torch as norse

    parameters = norse.LIFParameters(
        tau_syn_inv=torch.tensor(1 / TAU_S), tau_mem_inv=torch.tensor(1 / TAU_M)
    )
    return Cells(norse.LIFCell(parameters, dt=1.0), lambda: (None,))


class Rival(NamedTuple):
    """A library's neurons."""

    package: str
    neurons: Callable[[], nn.Module]
    compiled: Literal["network", "cells"] | None = None


RIVALS: Mapping[str, Rival] = {
    "plain": Rival("torch", plain),
    "spikingjelly-lif": Rival("spikingjelly", spikingjelly_lif),
    "spikingjelly-synapse": Rival("spikingjelly", spikingjelly_synapse),
    "snntorch-leaky": Rival("snntorch", snntorch_leaky),
    "snntorch-synaptic": Rival("snntorch", snntorch_synaptic),
    "norse-box": Rival("norse", norse_box),
    "norse-lif": Rival("norse", norse_lif),
    "plain-compiled": Rival("torch", plain, "network"),
    "spikingjelly-compiled": Rival("spikingjelly", spikingjelly_lif, "network"),
    "snntorch-compiled": Rival("snntorch", snntorch_synaptic, "network"),
    "plain-cells-compiled": Rival("torch", plain, "cells"),
    "snntorch-cells-compiled": Rival("snntorch", snntorch_synaptic, "cells"),
}


def chosen(names: Sequence[str] | None) -> list[str]:
    """Return which rivals to measure: none without the option, all that are there by default."""
    if names is None:
        return []
    found = []
    for name in names or RIVALS:
        if importlib.util.find_spec(RIVALS[name].package) is None:
            print(f"{name}: {RIVALS[name].package} is not installed; see benchmarks/rivals.py")
        else:
            found.append(name)
    return found


class Layered(nn.Module):
    """The layers of a recipe with neurons of a library; returns how often the classes fired."""

    def __init__(self, measured: Measured, neurons: Callable[[], nn.Module]) -> None:
        super().__init__()
        recipe = measured.recipe
        self.time_steps = recipe.network.time_steps
        self.maps, self.neurons, self.pools = nn.ModuleList(), nn.ModuleList(), []
        for node in resolve(recipe.network, tuple(measured.x.shape[1:])):
            if node.neuron is None:
                self.pools[-1] = node.window
                continue
            if node.geometry is None:
                self.maps.append(
                    nn.Linear(node.parameters["weight"].shape[1], node.outputs, bias=False)
                )
            else:
                outputs, inputs, *kernel = node.parameters["weight"].shape
                padding = node.geometry.padding
                self.maps.append(nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False))
            self.neurons.append(neurons())
            self.pools.append(None)

    def forward(self, x: Tensor) -> Tensor:
        signal = x[None]
        for place, (weigh, neurons) in enumerate(zip(self.maps, self.neurons, strict=True)):
            rows = signal.flatten(0, 1)
            rows = rows if isinstance(weigh, nn.Conv2d) else rows.flatten(1)
            current = weigh(rows).unflatten(0, signal.shape[:2])
            if not place:  # the input stays the same
                current = current.expand(self.time_steps, *current.shape[1:])
            signal, pool = neurons(current), self.pools[place]
            if pool is not None:
                signal = F.avg_pool2d(signal.flatten(0, 1), pool).unflatten(0, signal.shape[:2])
        return signal.sum(dim=0)


def step_of(name: str, measured: Measured) -> Step:
    """Return a rival's step, on weights of its own."""
    rival = RIVALS[name]
    torch.manual_seed(0)
    network = Layered(measured, rival.neurons).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    if rival.compiled == "cells":
        torch._dynamo.config.recompile_limit = _FORMS_OF_CELLS
        for neurons in network.neurons:
            neurons.cell.compile()
    run = torch.compile(network) if rival.compiled == "network" else network
    forget = _forgetting(rival, network)
    x = measured.x.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        forget()
        loss = F.cross_entropy(run(x), measured.labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    for _ in range(_STEPS_UNTIL_COMPILED if rival.compiled else 0):
        step()
    return step


def _forgetting(rival: Rival, network: nn.Module) -> Callable[[], None]:
    """Return what puts neurons to rest that keep their state."""
    if rival.package != "spikingjelly":
        return lambda: None
    from spikingjelly.activation_based import functional

    return lambda: functional.reset_net(network)
