"""The TSSL-BP neuron in floating point: pure functions over time, time first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tssl.geometry import Pair
from tssl.graph import Node
from tssl.neurons import membrane_step


class Pool(NamedTuple):
    """Sums over windows, times a gain."""

    kernel: Pair
    gain: float = 1.0
    stride: Pair | None = None
    """The kernel's size when None."""
    padding: Pair = (0, 0)

    @staticmethod
    def of(node: Node) -> "Pool":
        """Return the pool that a node of the graph is."""
        of = node.windows
        return Pool(of.kernel, node.gain, None if of.stride == of.kernel else of.stride, of.padding)


class Neurons(NamedTuple):
    """A layer of equal neurons, with what surrounds them between two linear maps."""

    tau_m: float
    tau_s: float
    """Time constants, in time steps, of the membrane and of the synapses that its spikes reach."""
    threshold: float
    """A potential equal to it does not fire."""
    constant_steps: int = 0
    """When above 0, the current is the weighted sum ``(1, batch, *features)`` of an input that
    stays the same for so many steps; otherwise it has its own time axis."""
    pool: Pool | None = None
    """Pooling of the post-synaptic potentials, if any."""
    feedback: Tensor | None = None
    """Weights ``(neurons, neurons)``, or ``(O, O, k, k)`` of maps, of the neurons' own potentials,
    one step later."""
    record: bool = False
    """Whether spikes and potentials are wanted, and not just what the next layer needs."""
    arriving_tau_s: float | None = None
    """Time constant of the synapses that lead to it; ``tau_s`` when None."""

    @property
    def never_fires(self) -> bool:
        """Whether no potential exceeds their threshold, so that it is read."""
        return math.isinf(self.threshold)

    @property
    def synapse(self) -> float:
        """Time constant of the synapses that lead to it."""
        return self.tau_s if self.arriving_tau_s is None else self.arriving_tau_s

    def fitted(self, shape: Sequence[int]) -> "Neurons":
        """Return them for currents of this shape: without a pool that leaves a rest of images."""
        if self.pool is None or pool_fits(shape[-2:], self.pool):
            return self
        return self._replace(pool=None)

    def pooled(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape ``(batch, *features)`` of the output for that of the neurons."""
        if self.pool is None:
            return tuple(shape)
        batch, channels, height, width = shape
        return batch, channels, height // self.pool.kernel[0], width // self.pool.kernel[1]


@dataclass
class Activity:
    """What a layer did in one forward and backward pass; filled as they run.

    Tensors without axes, so that nothing waits for a GPU until somebody looks.
    """

    neuron_steps: int = 0
    spikes: Tensor | int = 0
    fallbacks: Tensor | int = 0
    """Neuron-steps whose error came from the surrogate instead of spike times."""


class Trace(NamedTuple):
    """What spiking neurons did, each ``(time, batch, *features)``."""

    psp: Tensor
    """Post-synaptic potential of their spikes, pooled if the layer is."""
    spikes: Tensor
    """0 or 1; has no elements unless recorded."""
    voltage: Tensor
    """Membrane potential before a possible reset; has no elements unless recorded."""


def psp(x: Tensor, *, tau_s: float) -> Tensor:
    r"""Filter spikes into post-synaptic potentials.

    .. math:: a_t = (1 - 1/\tau_s)\, a_{t-1} + x_t / \tau_s, \qquad a_{-1} = 0

    Parameters
    ----------
    x
        Spikes or graded input, ``(time, *features)``.
    tau_s
        Synaptic time constant in time steps, at least 1.

    Returns
    -------
    psp
        Same shape as ``x``.

    References
    ----------
    .. [1] W. Zhang and P. Li, Temporal Spike Sequence Learning via Backpropagation for Deep
       Spiking Neural Networks, NeurIPS 2020; Euler decay as in the official code.
    """
    potential = torch.zeros_like(x[0])
    potentials = []
    for step in x:
        potential = (1 - 1 / tau_s) * potential + step / tau_s
        potentials.append(potential)
    return torch.stack(potentials)


def lasting(train: Tensor, time_steps: int) -> Tensor:
    """Return a train ``(time, ...)`` with silence behind it, up to so many steps."""
    missing = time_steps - len(train)
    if missing <= 0:
        return train
    return torch.cat([train, train.new_zeros((missing, *train.shape[1:]))])


def static_psp(time_steps: int, *, tau_s: float, like: Tensor) -> Tensor:
    r"""Return :math:`1 - (1 - 1/\tau_s)^{t+1}`, the response to a constant input of one.

    Parameters
    ----------
    like
        Gives dtype and device.

    Returns
    -------
    response
        ``(time,)``.
    """
    steps = torch.arange(1, time_steps + 1, dtype=torch.float64)
    return (1 - (1 - 1 / tau_s) ** steps).to(like)


def lif_forward(current: Tensor, *, tau_m: float, tau_s: float, threshold: float) -> Trace:
    """Run leaky integrate-and-fire neurons from rest.

    See :func:`tssl.neurons.membrane_step`.

    Parameters
    ----------
    current
        Weighted input :math:`I`, ``(time, batch, *features)``.
    tau_m, tau_s
        Time constants of membrane and synapse in time steps.
    threshold
        Firing threshold; a potential equal to it does not fire.
    """
    voltages, spikes = [], []
    after_reset = torch.zeros_like(current[0])
    for step in current:
        voltage, fires, after_reset = membrane_step(
            after_reset, step, tau_m=tau_m, threshold=threshold
        )
        voltages.append(voltage)
        spikes.append(fires.to(current.dtype))
    spike_train = torch.stack(spikes)
    return Trace(psp(spike_train, tau_s=tau_s), spike_train, torch.stack(voltages))


def over_time(current: Tensor, neurons: Neurons) -> Tensor:
    """Return the current ``(time, ...)`` of a constant input from its weighted sum."""
    if not neurons.constant_steps:
        return current
    return constant_over_time(current, neurons.constant_steps, tau_s=neurons.synapse)


def collected(errors: Tensor, neurons: Neurons) -> Tensor:
    """Return the errors at what :func:`over_time` takes from those at what it returns."""
    if not neurons.constant_steps:
        return errors
    return (errors * _course(len(errors), neurons.synapse, errors)).sum(dim=0, keepdim=True)


def constant_over_time(signal: Tensor, time_steps: int, *, tau_s: float) -> Tensor:
    """Return what the synapse filter makes of ``(1, ...)`` that stays the same, ``(time, ...)``."""
    return signal * _course(time_steps, tau_s, signal)


def _course(time_steps: int, tau_s: float, signal: Tensor) -> Tensor:
    response = _response(time_steps, tau_s, signal.dtype, signal.device)
    return response.reshape(-1, *[1] * (signal.dim() - 1))


@lru_cache
def _response(time_steps: int, tau_s: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return :func:`static_psp` on the device, sent there once."""
    return static_psp(time_steps, tau_s=tau_s, like=torch.empty(0, dtype=dtype, device=device))


def pool_fits(image: Sequence[int], pool: Pool) -> bool:
    """Return whether windows fill the image (H, W) without a rest at its edge."""
    return all(size % kernel == 0 for size, kernel in zip(image, pool.kernel, strict=True))


def sum_pool(signal: Tensor, pool: Pool | None) -> Tensor:
    """Add up windows of ``(time, batch, C, H, W)`` and multiply by the gain."""
    if pool is None:
        return signal
    pooled = F.avg_pool2d(
        signal.flatten(0, 1), pool.kernel, pool.stride, pool.padding, divisor_override=1
    )
    return (pooled * pool.gain).unflatten(0, signal.shape[:2])
