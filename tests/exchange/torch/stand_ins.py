"""Modules named as those of snnTorch, SpikingJelly and Norse, with their steps written out.

Steps follow the source of snnTorch 1.0.0, SpikingJelly 2.0.0 and Norse 1.1.0; all that is not
attributes read by tssl is left out. ``benchmarks/torch_libraries.py`` uses the libraries.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

Class = type[nn.Module]


def of(library: str) -> Callable[[Class], Class]:
    """Make a class one of a library."""

    def named(kind: Class) -> Class:
        kind.__module__ = library
        return kind

    return named


@of("snntorch._neurons.leaky")
class Leaky(nn.Module):
    def __init__(self, beta: Any, threshold: Any = 1.0, **changes: Any) -> None:
        super().__init__()
        self.register_buffer("beta", torch.as_tensor(beta))
        self.register_buffer("threshold", torch.as_tensor(threshold))
        self.register_buffer("graded_spikes_factor", torch.as_tensor(1.0))
        self.reset_mechanism, self.reset_delay = "zero", True
        self.inhibition, self.state_quant = False, False
        for key, value in changes.items():
            setattr(self, key, value)
        self.mem: Any = 0.0

    @property
    def resets(self) -> bool:
        return self.reset_mechanism != "none"

    def reset_mem(self) -> None:
        self.mem = 0.0

    def forward(self, x: Tensor) -> Tensor:
        reset = self.resets * (torch.as_tensor(self.mem) > self.threshold).double()
        self.mem = (1 - reset) * self.mem
        self.mem = self.beta.double().clamp(0, 1) * self.mem + x
        spikes = (self.mem > self.threshold).double()
        if not self.reset_delay:
            self.mem = self.mem - self.resets * (spikes - reset) * self.mem
        return spikes


@of("snntorch._neurons.synaptic")
class Synaptic(Leaky):
    def __init__(self, alpha: Any, beta: Any, threshold: Any = 1.0, **changes: Any) -> None:
        super().__init__(beta, threshold, reset_delay=False, **changes)
        self.register_buffer("alpha", torch.as_tensor(alpha))
        self.syn: Any = 0.0

    def reset_mem(self) -> None:
        self.mem = self.syn = 0.0

    def forward(self, x: Tensor) -> Tensor:
        self.syn = self.alpha.double().clamp(0, 1) * self.syn + x
        self.mem = self.beta.double().clamp(0, 1) * self.mem + self.syn
        spikes = (self.mem > self.threshold).double()
        self.mem = self.mem - self.resets * spikes * self.mem
        return spikes


@of("snntorch._neurons.rleaky")
class RecurrentOneToOne(nn.Module):
    def __init__(self, factors: Any) -> None:
        super().__init__()
        self.V = nn.Parameter(torch.as_tensor(factors))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.V


@of("snntorch._neurons.rleaky")
class RLeaky(Leaky):
    def __init__(self, beta: Any, recurrent: nn.Module, **changes: Any) -> None:
        super().__init__(beta, reset_delay=False, **changes)
        self.recurrent, self.spk = recurrent, None

    def reset_mem(self) -> None:
        self.mem, self.spk = 0.0, None

    def forward(self, x: Tensor) -> Tensor:
        if self.spk is None:
            self.spk = torch.zeros_like(x)
        reset = (torch.as_tensor(self.mem) > self.threshold).double()
        mem = self.beta.double().clamp(0, 1) * self.mem + x + self.recurrent(self.spk)
        mem = mem - reset * mem
        self.spk = (mem > self.threshold).double()
        self.mem = mem - (self.spk - reset) * mem
        return self.spk


class _Node(nn.Module):
    def __init__(self, v_threshold: float = 1.0, v_reset: Any = 0.0) -> None:
        super().__init__()
        self.v_threshold, self.v_reset = v_threshold, v_reset
        self.surrogate_function = SimpleNamespace(spiking=True)
        self.v: Any = v_reset

    def reset(self) -> None:
        self.v = self.v_reset

    def forward(self, x: Tensor) -> Tensor:
        self.v = self.charged(x)
        spikes = (self.v - self.v_threshold >= 0).double()
        self.v = spikes * self.v_reset + (1 - spikes) * self.v
        return spikes

    def charged(self, x: Tensor) -> Tensor:
        raise NotImplementedError


@of("spikingjelly.activation_based.neuron.integrate_and_fire")
class IFNode(_Node):
    def charged(self, x: Tensor) -> Tensor:
        return self.v + x


@of("spikingjelly.activation_based.neuron.lif")
class LIFNode(_Node):
    def __init__(self, tau: float = 2.0, decay_input: bool = True, **others: Any) -> None:
        super().__init__(**others)
        self.tau, self.decay_input = tau, decay_input

    def charged(self, x: Tensor) -> Tensor:
        if self.decay_input:
            return self.v + (x - (self.v - self.v_reset)) / self.tau
        return self.v - (self.v - self.v_reset) / self.tau + x


@of("spikingjelly.activation_based.neuron.plif")
class ParametricLIFNode(_Node):
    def __init__(self, w: float, decay_input: bool = True, **others: Any) -> None:
        super().__init__(**others)
        self.w, self.decay_input = nn.Parameter(torch.tensor(w)), decay_input

    def charged(self, x: Tensor) -> Tensor:
        share = self.w.detach().double().sigmoid()
        if self.decay_input:
            return self.v + (self.v_reset - self.v + x) * share
        return self.v + (self.v_reset - self.v) * share + x


class _NonSpiking(nn.Module):
    def __init__(self, decode: str | None = None) -> None:
        super().__init__()
        self.decode, self.step_mode = decode, "m"

    def forward(self, x: Tensor) -> list[Tensor]:
        """Begin anew and take all steps, time in front; ``decode`` is left out."""
        self.v: Any = torch.zeros_like(x[0])
        found = []
        for step in x:
            self.neuronal_charge(step)
            found.append(self.v)
        return found

    def neuronal_charge(self, x: Tensor) -> None:
        raise NotImplementedError


@of("spikingjelly.activation_based.neuron.integrate_and_fire")
class NonSpikingIFNode(_NonSpiking):
    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.v + x


@of("spikingjelly.activation_based.neuron.lif")
class NonSpikingLIFNode(_NonSpiking):
    def __init__(self, tau: float = 2.0, decode: str | None = None) -> None:
        super().__init__(decode)
        self.tau = tau

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.v + (x - self.v) / self.tau


@of("norse.torch.module.lif")
class LIFCell(nn.Module):
    def __init__(self, dt: float = 0.001, **p: Any) -> None:
        super().__init__()
        first = {
            "tau_syn_inv": 200.0, "tau_mem_inv": 100.0, "v_leak": 0.0, "v_th": 1.0, "v_reset": 0.0,
        }  # fmt: skip
        numbers = {key: torch.as_tensor(value) for key, value in {**first, **p}.items()}
        self.p, self.dt = SimpleNamespace(**numbers), dt
        self.v: Any = self.p.v_leak.double()
        self.i: Any = 0.0

    def forward(self, x: Tensor, *state: Any) -> Any:
        """Return spikes, and the state behind if one is given: None at the first step."""
        if not state:
            return self.fired(x)
        self.v, self.i = state[0] or (self.p.v_leak.double(), 0.0)
        return self.fired(x), (self.v, self.i)

    def fired(self, x: Tensor) -> Tensor:
        p = self.p
        jumped = self.i + x
        decayed = self.v + self.dt * p.tau_mem_inv.double() * ((p.v_leak - self.v) + jumped)
        self.i = jumped - self.dt * p.tau_syn_inv.double() * jumped
        spikes = (decayed - p.v_th > 0).double()
        self.v = (1 - spikes) * decayed + spikes * p.v_reset
        return spikes


def reset_value() -> None:
    """Stand for Norse's function of this name."""


def reset_subtract() -> None:
    """Stand for Norse's function of this name."""


@of("norse.torch.module.lif_box")
class LIFBoxCell(LIFCell):
    def __init__(self, dt: float = 0.001, reset_method: Any = reset_value, **p: Any) -> None:
        super().__init__(dt, **p)
        self.p.reset_method = reset_method

    def fired(self, x: Tensor) -> Tensor:
        p = self.p
        decayed = self.v + self.dt * p.tau_mem_inv.double() * (x + p.v_leak - self.v)
        spikes = (decayed - p.v_th > 0).double()
        self.v = (1 - spikes) * decayed + spikes * p.v_reset
        return spikes


@of("norse.torch.module.leaky_integrator")
class LICell(nn.Module):
    def __init__(self, dt: float = 0.001, **p: Any) -> None:
        super().__init__()
        first = {"tau_syn_inv": 200.0, "tau_mem_inv": 100.0, "v_leak": 0.0}
        numbers = {key: torch.as_tensor(value) for key, value in {**first, **p}.items()}
        self.p, self.dt = SimpleNamespace(**numbers), dt

    def forward(self, x: Tensor, state: Any = None) -> Any:
        p, (v, i) = self.p, state or (self.p.v_leak.double(), 0.0)
        jumped = i + x
        v = v + self.dt * p.tau_mem_inv.double() * ((p.v_leak - v) + jumped)
        return v, (v, jumped - self.dt * p.tau_syn_inv.double() * jumped)


@of("norse.torch.module.leaky_integrator_box")
class LIBoxCell(LICell):
    def forward(self, x: Tensor, state: Any = None) -> Any:
        p, (v,) = self.p, state or (self.p.v_leak.double(),)
        v = v + self.dt * p.tau_mem_inv.double() * ((p.v_leak - v) + x)
        return v, (v,)


@of("norse.torch.module.leaky_integrator")
class LILinearCell(LICell):
    def __init__(self, inputs: int, neurons: int, **p: Any) -> None:
        super().__init__(**p)
        self.input_weights = nn.Parameter(torch.randn(neurons, inputs) / inputs**0.5)

    def forward(self, x: Tensor, state: Any = None) -> Any:
        return super().forward(x @ self.input_weights.detach().double().T, state)


@of("norse.torch.module.lif")
class LIFRecurrentCell(LIFCell):
    def __init__(self, inputs: int, neurons: int, dt: float = 0.001, **p: Any) -> None:
        super().__init__(dt, **p)
        self.input_weights = nn.Parameter(torch.randn(neurons, inputs))
        self.recurrent_weights = nn.Parameter(torch.randn(neurons, neurons))
        self.z: Any = None

    def forward(self, x: Tensor, *state: Any) -> Any:
        if not state:
            return self.fired(x)
        others, self.z = state[0] or (None, None)
        spikes, others = super().forward(x, others)
        return spikes, (others, self.z)

    def fired(self, x: Tensor) -> Tensor:
        arriving = nn.functional.linear(x, self.input_weights)
        if self.z is not None:
            arriving = arriving + nn.functional.linear(self.z, self.recurrent_weights)
        self.z = super().fired(arriving)
        return self.z


@of("spikingjelly.activation_based.layer.container")
class LinearRecurrentContainer(nn.Module):
    def __init__(self, inner: nn.Module, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.sub_module_out_features = outputs
        self.rc = nn.Linear(inputs + outputs, inputs, bias)
        self.sub_module, self.y = inner, None

    def reset(self) -> None:
        self.y = None

    def forward(self, x: Tensor) -> Tensor:
        if self.y is None:
            self.y = torch.zeros(*x.shape[:-1], self.sub_module_out_features).to(x)
        self.y = self.sub_module(self.rc(torch.cat((x, self.y), dim=-1)))
        return self.y


@of("spikingjelly.activation_based.layer.container")
class ElementWiseRecurrentContainer(nn.Module):
    def __init__(self, inner: nn.Module, element_wise_function: Callable[..., Any]) -> None:
        super().__init__()
        self.sub_module, self.element_wise_function, self.y = inner, element_wise_function, None

    def reset(self) -> None:
        self.y = None

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x) if self.y is None else self.y
        self.y = self.sub_module(self.element_wise_function(y, x))
        return self.y


@of("norse.torch.module.sequential")
class SequentialState(nn.Sequential):
    """Norse's passes states along; here each cell keeps its own."""


@of("spikingjelly.activation_based.layer.container")
class Linear(nn.Linear):
    """SpikingJelly's layers have PyTorch's names."""
