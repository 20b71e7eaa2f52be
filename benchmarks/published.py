"""TSSL-BP as published, written down plainly: what the steps of this package are measured against.

Time is the last axis, convolutions are three-dimensional, and each step sums over all later ones.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tssl.geometry import Geometry
from tssl.recipe import Recipe
from tssl.trainer.loss import desired_spikes
from tssl.trainer.network import SpikingNetwork


class Published(torch.autograd.Function):
    """The neuron and its rule with time last, summing over all later steps at each step."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, tau_m: float, tau_s: float, threshold: float) -> Tensor:
        steps = current.shape[-1]
        v = torch.zeros_like(current[..., 0])
        a = torch.zeros_like(v)
        voltages, spikes, potentials, increments = [], [], [], []
        for t in range(steps):
            u = (1 - 1 / tau_m) * v + current[..., t]
            s = (u > threshold).to(u.dtype)
            increments.append(u - v)
            v = u * (1 - s)
            a = (1 - 1 / tau_s) * a + s / tau_s
            voltages.append(u)
            spikes.append(s)
            potentials.append(a)
        result = torch.stack(potentials, dim=-1)
        ctx.save_for_backward(
            torch.stack(voltages, -1), torch.stack(spikes, -1), result, torch.stack(increments, -1)
        )
        ctx.constants = tau_m, tau_s, threshold
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        voltage, spikes, potential, increment = ctx.saved_tensors
        tau_m, tau_s, threshold = ctx.constants
        gradient, steps = gradients[0], voltage.shape[-1]
        kernel = [(1 / tau_s) * (1 - 1 / tau_s) ** lag for lag in range(steps)]
        carry = torch.zeros_like(voltage[..., 0])
        errors = torch.zeros_like(voltage)
        for t in reversed(range(steps)):
            slope = spikes[..., t] * torch.clamp(-1 / increment[..., t], -8, 0)
            direct, by_time = torch.zeros_like(carry), torch.zeros_like(carry)
            for later in range(t, steps):
                direct = direct + kernel[later - t] * gradient[..., later]
                change = -kernel[later - t] / tau_s * tau_s
                by_time = by_time + slope * change * gradient[..., later]
            by_time = by_time - slope * voltage[..., t] * carry / tau_m
            carry = torch.where(spikes[..., t] > 0, by_time, (1 - 1 / tau_m) * carry)
            z = torch.exp(torch.clamp((threshold - voltage[..., t]) / 0.2, -8, 8))
            warming = potential[..., t] < 1 / (4 * tau_s)
            errors[..., t] = torch.where(warming, direct * z / (0.2 * (1 + z) ** 2), carry)
        return errors, None, None, None


class PublishedStep:
    """A step of the method as published, on weights of its own."""

    def __init__(self, network: SpikingNetwork, recipe: Recipe, x: Tensor, labels: Tensor) -> None:
        self.spec, self.training, self.labels = recipe.network, recipe.training, labels
        self.graph = network.graph
        self.weights = {n: w.detach().clone().requires_grad_() for n, w in network.weights.items()}
        self.optimizer = torch.optim.AdamW(self.weights.values(), lr=recipe.training.lr)
        self.frames = x[..., None].expand(*x.shape, recipe.network.time_steps)

    def __call__(self) -> None:
        """Do the step."""
        output = self.forward()
        target = torch.zeros_like(output)
        target[torch.arange(len(self.labels)), self.labels] = desired_spikes(self.spec.time_steps)
        loss = 0.5 * (output - self.filtered(self.filtered(target))).square().sum()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), self.training.clip_norm)
        self.optimizer.step()
        with torch.no_grad():
            for weight in self.weights.values():
                weight.clamp_(-self.training.weight_limit, self.training.weight_limit)

    def forward(self) -> Tensor:
        """Return the output's potentials, time last."""
        signal = self.filtered(self.frames)
        for node in self.graph:
            neuron = node.neuron
            if neuron is None:
                window = (*node.geometry.kernel, 1)
                signal = F.avg_pool3d(signal, window, divisor_override=1) * node.gain
            else:
                current = self.weighted(signal, self.weights[node.name], node.geometry)
                signal = Published.apply(current, neuron.tau_m, neuron.tau_s, neuron.threshold)
        return signal

    def weighted(self, signal: Tensor, weight: Tensor, geometry: Geometry | None) -> Tensor:
        """Return the weighted sums, time last."""
        if geometry is not None:
            return F.conv3d(signal, weight[..., None], padding=(*geometry.padding, 0))
        flat = signal.flatten(1, -2) if signal.dim() == 5 else signal
        return F.linear(flat.transpose(1, 2), weight).transpose(1, 2)

    def filtered(self, train: Tensor) -> Tensor:
        """Return the potentials of a train, time last."""
        a, result = torch.zeros_like(train[..., 0]), []
        for t in range(train.shape[-1]):
            a = (1 - 1 / self.spec.tau_s) * a + train[..., t] / self.spec.tau_s
            result.append(a)
        return torch.stack(result, dim=-1)
