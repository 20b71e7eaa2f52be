r"""A layer of ST-RSBP: its spikes, and its errors in the factored form.

No pair of neurons is simulated. With the potentials :math:`a_j` that reach a layer and the
listening weights :math:`z_i` of its neurons, the interaction is :math:`e_{i|j} = \sum_t z_i[t]
a_j[t]`, so that weighted sums of it are products of matrices over time, as in any backpropagation.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tssl.neurons import Lif, membrane_step
from tssl.trainer.layout import is_compiled_input
from tssl.trainer.linear import gradients, weighted
from tssl.trainer.methods import strsbp_kernels
from tssl.trainer.methods.strsbp_table import listening
from tssl.trainer.neuron import Activity, Neurons, Trace, psp
from tssl.trainer.recurrence import Gradient, spiking

__all__ = ["Ran", "Teacher", "counted", "filtered", "fire"]

_FORWARD = Gradient(spike_time=False, reset=0.0, fallback_below=0.0)
"""Of passes that nobody takes back."""
_LEAST = 1e-4
"""Magnitude below which no divisor falls."""


@dataclass
class Teacher:
    """What the last layer learns of a batch, after its forward pass.

    Parameters
    ----------
    desired
        Spikes that a true class which stays silent is taken to have fired, evenly spread.
    """

    desired: int
    labels: Tensor | None = None


class Ran(NamedTuple):
    """What a layer did, and what its errors need of it."""

    arriving: Tensor
    """Potentials of the sources ``(time, batch, inputs)``."""
    spikes: Tensor
    """``(time, batch, neurons)``."""
    own: Tensor
    """Potentials of these spikes, likewise."""
    neuron: Lif
    table: Tensor
    """See :func:`tssl.trainer.methods.strsbp_table.interaction`."""
    transposed: bool = False
    """Whether a recurrent layer hands down what the published code does."""
    teacher: Teacher | None = None
    """Of the last layer, whose recurrent synapses are its lateral inhibition."""
    silent: float = 0.0
    """What takes the place of e / o where either neuron is silent; 0, and neither has an error."""


def filtered(spikes: Tensor, tau_s: float) -> tuple[Tensor, Tensor]:
    """Return the potentials of spikes ``(time, batch, neurons)``, and their counts."""
    if not is_compiled_input(spikes):
        return psp(spikes, tau_s=tau_s), spikes.sum(dim=0)
    spikes = spikes.contiguous()
    potentials, counts = torch.empty_like(spikes), torch.empty_like(spikes[0])
    strsbp_kernels.filtered(
        spikes.flatten(1).numpy(), tau_s, potentials.flatten(1).numpy(), counts.flatten().numpy()
    )
    return potentials, counts


def fire(current: Tensor, neurons: Neurons, neuron: Lif, activity: Activity) -> Trace:
    """Run neurons that rest for so many steps after a spike, their potential at zero.

    Parameters
    ----------
    current
        ``(time, batch, neurons)``.
    neuron
        Gives the refractory steps.
    """
    if is_compiled_input(current):
        return _fire_by_loops(current, neurons, neuron, activity)
    if not neuron.refractory:
        return spiking(current, neurons._replace(record=True), _FORWARD, activity)
    after, rest = torch.zeros_like(current[0]), torch.zeros_like(current[0])
    potential = torch.zeros_like(after)
    spikes, voltages, potentials = (torch.empty_like(current) for _ in range(3))
    for t, arriving in enumerate(current):
        if neurons.feedback is not None:
            arriving = arriving + potential @ neurons.feedback.t()
        voltage, _, _ = membrane_step(
            after, arriving, tau_m=neurons.tau_m, threshold=neurons.threshold
        )
        voltage = torch.where(rest > 0, torch.zeros_like(voltage), voltage)
        fired = (voltage > neurons.threshold).to(current)
        rest = torch.where(fired > 0, float(neuron.refractory), rest - 1)
        after = voltage * (1 - fired)
        potential = (1 - 1 / neurons.tau_s) * potential + fired / neurons.tau_s
        spikes[t], voltages[t], potentials[t] = fired, voltage, potential
    activity.neuron_steps += spikes.numel()
    activity.spikes = activity.spikes + spikes.sum()
    return Trace(potentials, spikes, voltages)


def _fire_by_loops(current: Tensor, neurons: Neurons, neuron: Lif, activity: Activity) -> Trace:
    """Run neurons through :mod:`tssl.trainer.methods.strsbp_kernels`."""
    potentials, spikes = torch.empty_like(current), torch.empty_like(current)
    voltages = torch.empty_like(current) if neurons.record else current.new_empty((0, 0, 0))
    count = strsbp_kernels.fire(
        current.numpy(), _by_source(neurons.feedback), _numbers(neuron),
        potentials.numpy(), spikes.numpy(), voltages.numpy(),
    )  # fmt: skip
    activity.neuron_steps += spikes.numel()
    activity.spikes = activity.spikes + count
    return Trace(potentials, spikes, voltages)


def counted(counts: Tensor, weight: Tensor, feedback: Tensor | None, ran: Ran) -> Tensor:
    r"""Return the spike counts of a layer, through which errors go to weights and sources.

    With the error :math:`\delta_i` at a count, the threshold :math:`\vartheta` and counts o:

    .. math::
        S_i &= 1 - \frac1\vartheta \sum_j w_{ij} \frac{\partial e_{i|j}}{\partial o_i}, \qquad
        \kappa_i = \frac{\delta_i}{\vartheta S_i} \\
        \partial L/\partial w_{ij} &= \kappa_i e_{i|j}, \qquad
        \delta_j = \sum_i \kappa_i w_{ij} e_{i|j} / o_j

    where ``ran.silent`` takes the place of :math:`e_{i|j} / o_j` when either neuron is silent.
    Below a recurrent layer, :math:`\delta_j = \sum_i (\delta_i / \vartheta) (M^{-1} R)_{ij}` with
    :math:`M_{ii} = S_i`, :math:`M_{il} = -w_{il} e_{i|l} / (\vartheta o_l)` and
    :math:`R_{ij} = w_{ij} e_{i|j} / o_j`.

    Parameters
    ----------
    counts
        Of the sources ``(batch, inputs)``; it brings errors down.
    feedback
        Weights of the layer's own neurons; None for a feed-forward layer.
    """
    result: Tensor = _Counted.apply(counts, weight, feedback, ran)
    return result


class _Counted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        counts: Tensor,
        weight: Tensor,
        feedback: Tensor | None,
        ran: Ran,
    ) -> Tensor:
        own = ran.spikes.sum(dim=0)
        ctx.save_for_backward(counts, weight, feedback, own)
        ctx.ran = ran
        return own

    @staticmethod
    def backward(ctx: Any, *coming: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        counts, weight, feedback, own = ctx.saved_tensors
        layer = _Layer(counts, weight, feedback, own, ctx.ran)
        to_weight, to_feedback = layer.to_weights(coming[0])
        if not ctx.needs_input_grad[2]:
            to_feedback = None
        down = layer.down(coming[0]) if ctx.needs_input_grad[0] else None
        return down, to_weight, to_feedback, None


class _Layer:
    """The backward pass of a layer; recurrent unless its synapses are lateral inhibition."""

    def __init__(
        self, counts: Tensor, weight: Tensor, feedback: Tensor | None, own: Tensor, ran: Ran
    ) -> None:
        self.counts, self.weight, self.own, self.ran = counts, weight, own, ran
        self.lateral = feedback if ran.teacher is not None else None
        self.feedback = feedback if ran.teacher is None else None
        self.spikes = _taught(ran.spikes, ran.teacher)
        self.fired = own if self.spikes is ran.spikes else self.spikes.sum(dim=0)
        self.threshold = ran.neuron.threshold
        self.divisor = self._divisor()

    def to_weights(self, error: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the errors at the weights from sources and among the neurons."""
        scaled = error / (self.threshold * self.divisor)
        if self.lateral is not None:
            scaled_for_weights = scaled * self._lateral_factor(self.lateral)
        else:
            scaled_for_weights = scaled
        steps = self._heard(scaled_for_weights)
        _, to_weight = gradients(steps, self.ran.arriving, self.weight, None, to_signal=False)
        if self.feedback is None:
            return to_weight, None
        return to_weight, steps[1:].flatten(0, 1).t() @ self.ran.own[:-1].flatten(0, 1)

    def down(self, error: Tensor) -> Tensor:
        """Return the error at the counts of the sources."""
        if self.feedback is None:
            return self._through_weights(error / (self.threshold * self.divisor))
        given = error / self.threshold
        if self.ran.transposed:
            return self._solved(self._through_weights(given), self.feedback)
        return self._through_weights(self._solved(given, self.feedback))

    def _through_weights(self, scaled: Tensor) -> Tensor:
        """Return the sum over i of what is scaled, w and e / o."""
        arriving = weighted(self._heard(scaled), self.weight.t(), None)
        heard = _over_time(arriving, self.ran.arriving) / self.counts.clamp(min=1)
        if not self.ran.silent:
            return heard
        silent = scaled * (self.fired == 0)
        sums = torch.where(self.counts > 0, silent @ self.weight, scaled @ self.weight)
        return torch.where(self.counts > 0, heard, 0) + self.ran.silent * sums

    def _divisor(self) -> Tensor:
        """Return S, or the diagonal of M; never within 1e-4 of zero."""
        rows = len(self.ran.table)
        factors = self._quartics(self.counts, self.weight)
        own = self.fired
        if self.feedback is not None:
            factors = factors + self._quartics(self.fired, self.feedback)
            own = own.clamp(1, rows)
        q0, q1, q2, q3 = factors
        slope = ((4 * q0 * own + 3 * q1) * own + 2 * q2) * own + q3
        result = 1 - slope / self.threshold
        if self.feedback is None:
            result = torch.where(own > 0, result, torch.ones_like(result))
        return torch.where(result.abs() < _LEAST, torch.where(result < 0, -_LEAST, _LEAST), result)

    def _quartics(self, counts: Tensor, weight: Tensor) -> Tensor:
        """Return weighted sums of the first four numbers of the sources' quartics.

        A silent source is taken for one of one spike, as in the published code.
        """
        rows = counts.round().long().clamp(1, len(self.ran.table)) - 1
        numbers = self.ran.table.t()[:4].contiguous()[:, rows]
        return (numbers.flatten(0, 1) @ weight.t()).unflatten(0, numbers.shape[:2])

    def _listening(self, spikes: Tensor) -> Tensor:
        neuron = self.ran.neuron
        return listening(spikes, tau_m=neuron.tau_m, refractory=neuron.refractory)

    def _heard(self, factor: Tensor) -> Tensor:
        """Return the listening weights, each neuron's times a factor."""
        if not is_compiled_input(self.spikes):
            return factor * self._listening(self.spikes)
        result = torch.empty_like(self.spikes)
        strsbp_kernels.heard(
            self.spikes.numpy(), _numbers(self.ran.neuron), factor.numpy(), result.numpy()
        )
        return result

    def _solved(self, given: Tensor, feedback: Tensor) -> Tensor:
        r"""Solve :math:`M^\top y = g` for each sample, where it can be by the compiled loops."""
        if not is_compiled_input(given):
            return self._eliminated(given, feedback, slice(None))
        result = torch.empty_like(given)
        is_found = strsbp_kernels.solved(
            self.spikes.numpy(), _by_source(feedback), _numbers(self.ran.neuron), self.ran.silent,
            self.divisor.numpy(), given.numpy(), result.numpy(),
        )  # fmt: skip
        if not is_found.all():
            left = torch.from_numpy(~is_found)
            result[left] = self._eliminated(given[left], feedback, left)
        return result

    def _eliminated(self, given: Tensor, feedback: Tensor, samples: Tensor | slice) -> Tensor:
        """Solve the same by elimination, for some samples."""
        heard = self._listening(self.spikes[:, samples])
        matrix = _ratios(heard, self.ran.own[:, samples], self.fired[samples], self.ran.silent)
        matrix.mul_(-feedback / self.threshold)
        matrix.diagonal(dim1=1, dim2=2).copy_(self.divisor[samples])
        solved: Tensor = torch.linalg.solve(matrix.mT, given)
        return solved

    def _lateral_factor(self, lateral: Tensor) -> Tensor:
        r"""Return :math:`1 / (1 - \sum_l w_{il} w_{li} r_{il} r_{li} / \vartheta^2)`.

        r are the ratios e / o among outputs that fired or are the true class, before spikes are
        added to a silent one.
        """
        spikes, teacher = self.ran.spikes, self.ran.teacher
        fired = self.own
        ratios = _ratios(self._listening(spikes), self.ran.own, fired, self.ran.silent)
        counts = fired > 0
        if teacher is not None and teacher.labels is not None:
            counts = counts | F.one_hot(teacher.labels, counts.shape[1]).bool()
        both = counts[:, :, None] & counts[:, None, :]
        coupled = lateral * ratios * both / self.threshold
        return 1 / (1 - (coupled * coupled.mT).sum(dim=2))


def _ratios(heard: Tensor, own: Tensor, fired: Tensor, silent: float) -> Tensor:
    """Return e / o among the neurons, ``(batch, neurons, neurons)``; or what silent ones have.

    A neuron that is silent hears nothing and sends nothing, so that is two more terms of the sum
    over time: the number, less the number where both fired.
    """
    fires = (fired > 0).to(heard)[None]
    ones = torch.ones_like(fires)
    hearing = torch.cat([heard[1:], silent * ones, -silent * fires])
    sending = torch.cat([own[:-1] * (fires / fired.clamp(min=1)), ones, fires])
    ratios: Tensor = hearing.permute(1, 2, 0) @ sending.transpose(0, 1)
    return ratios


def _over_time(one: Tensor, other: Tensor) -> Tensor:
    """Return the sum of products over time."""
    if not is_compiled_input(one):
        return (one * other).sum(dim=0)
    result = torch.empty_like(one[0])
    strsbp_kernels.over_time(
        one.flatten(1).numpy(), other.flatten(1).numpy(), result.view(-1).numpy()
    )
    return result


def _by_source(feedback: Tensor | None) -> NDArray[np.float32]:
    """Return weights among neurons as the loops take them, those of a sender side by side."""
    if feedback is None:
        return np.empty((0, 0), np.float32)
    weights: NDArray[np.float32] = feedback.detach().t().contiguous().numpy()
    return weights


def _numbers(neuron: Lif) -> strsbp_kernels.Numbers:
    return strsbp_kernels.Numbers(
        float(neuron.tau_m), float(neuron.tau_s), float(neuron.threshold), neuron.refractory
    )


def _taught(spikes: Tensor, teacher: Teacher | None) -> Tensor:
    """Return spikes with evenly spread ones of a true class that was silent."""
    if teacher is None or teacher.labels is None:
        return spikes
    steps, batch, _ = spikes.shape
    samples = torch.arange(batch, device=spikes.device)
    silent = spikes.sum(dim=0)[samples, teacher.labels] == 0
    if not bool(silent.any()):
        return spikes
    taught = spikes.clone()
    places = torch.arange(1, teacher.desired + 1) * steps // teacher.desired
    for place in places[places < steps].tolist():
        taught[place, samples[silent], teacher.labels[silent]] = 1
    return taught
