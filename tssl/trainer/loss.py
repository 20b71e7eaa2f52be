"""The losses of TSSL-BP on the output's post-synaptic potentials, and those on what is read."""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from tssl.chip import ValueReadOut
from tssl.errors import ConfigError
from tssl.recipe import TrainingSpec
from tssl.trainer.layout import is_compiled_input
from tssl.trainer.loss_kernels import half_squares
from tssl.trainer.methods.method import Loss
from tssl.trainer.neuron import Trace, psp
from tssl.trainer.tape import apply

__all__ = ["READING", "count", "desired_spikes", "kernel", "losses_of", "softmax"]


def desired_spikes(time_steps: int) -> Tensor:
    """Return the desired spike train of the true class, ``(time,)``.

    Raises
    ------
    ValueError
        When ``time_steps`` is neither 5 nor a multiple of 10: the method defines no other.
    """
    if not _has_desired_spikes(time_steps):
        raise ValueError(f"no desired spike train is defined for {time_steps} time steps")
    if time_steps == 5:
        return torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0])
    return torch.tensor([0.0, 1.0]).repeat(time_steps // 2)


def _has_desired_spikes(time_steps: int) -> bool:
    return time_steps == 5 or (time_steps >= 10 and time_steps % 10 == 0)


def kernel(output: Tensor, labels: Tensor, *, tau_s: float, filters: int = 2) -> Tensor:
    r"""Compare the output with the desired post-synaptic potential.

    .. math:: L = \tfrac12 \sum_{t,b,c} (a_{tbc} - \hat a_{tbc})^2

    Parameters
    ----------
    output
        ``(time, batch, classes)``.
    labels
        ``(batch,)``.
    filters
        How often the desired train passes the synapse filter: 1 as the output does, 2 as in
        the official code since 29 October 2020.

    Returns
    -------
    loss
        Summed over time, batch and classes, as in the official code.
    """
    loss: Tensor = apply(_HalfSquares, output, labels, tau_s, filters)
    return loss


class _HalfSquares(torch.autograd.Function):
    """:func:`kernel`, with a backward pass that a tape can call."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, labels: Tensor, tau_s: float, filters: int) -> Tensor:  # noqa: ANN401
        if labels.shape != output.shape[1:2]:
            raise ValueError(
                f"labels are {tuple(labels.shape)}: one is needed for each of the batch's "
                f"{output.shape[1]} samples"
            )
        wanted = _desired_psp(len(output), tau_s, filters, output.dtype, output.device)
        if is_compiled_input(output):
            loss, error = _by_loop(output.detach(), labels, wanted)
        else:
            classes = torch.arange(output.shape[2], device=labels.device)
            error = output - (labels[:, None] == classes) * wanted[:, None, None]
            loss = 0.5 * error.square().sum()
        ctx.save_for_backward(error)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (error,) = ctx.saved_tensors
        return error * errors[0], None, None, None


def _by_loop(output: Tensor, labels: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    error = torch.empty(output.shape, dtype=torch.float32)
    loss = half_squares(output.numpy(), labels.numpy(), wanted.numpy(), error.numpy())
    return torch.tensor(loss, dtype=torch.float32), error


@lru_cache
def _desired_psp(
    time_steps: int, tau_s: float, filters: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return it on the device, sent there once."""
    wanted = desired_spikes(time_steps).double()
    for _ in range(filters):
        wanted = psp(wanted, tau_s=tau_s)
    return wanted.to(device, dtype)


def count(output: Tensor, labels: Tensor, *, desired: float, undesired: float) -> Tensor:
    r"""Push the summed potential of the true class up to ``desired``, others below ``undesired``.

    .. math:: L = \tfrac T2 \sum_{b,c} \rho^2, \quad
        \rho = \min(0, c - d)/T \text{ (true class)}, \; \max(0, c - n)/T \text{ (others)}

    with :math:`c = \sum_t a_t`: despite the name, potentials are summed and not spikes.
    """
    time_steps = len(output)
    total = output.sum(dim=0)
    is_true = F.one_hot(labels, output.shape[2]).bool()
    missing = (total - desired).clamp(max=0)
    surplus = (total - undesired).clamp(min=0)
    residual = torch.where(is_true, missing, surplus) / time_steps
    return 0.5 * time_steps * residual.square().sum()


def softmax(output: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the summed potentials, averaged over the batch."""
    return F.cross_entropy(output.sum(dim=0), labels)


def cross_entropy(output: Trace, labels: Tensor) -> Tensor:
    """Return the cross-entropy of what is read after the last step, averaged over the batch."""
    return F.cross_entropy(output.psp[-1], labels)


def squares(output: Trace, targets: Tensor) -> Tensor:
    """Return the squared errors of what is read after the last step, averaged over the batch."""
    return F.mse_loss(output.psp[-1], targets)


READING = {
    "cross-entropy": Loss(cross_entropy, is_mean=True),
    "squares": Loss(squares, is_mean=True, read_out=ValueReadOut.name),
}
"""By the name in a recipe, of outputs that send no spikes: their value after the last step."""


def losses_of(training: TrainingSpec, time_steps: int, *, tau_s: float) -> dict[str, Loss]:
    """Return the losses on potentials by their names in a recipe; ``kernel`` is the usual one.

    Parameters
    ----------
    tau_s
        Time constant of the synapse that filters the output's spikes.

    Raises
    ------
    ConfigError
        When the recipe asks for the kernel loss, which is not defined for so many steps.
    """
    if training.loss in (None, "kernel") and not _has_desired_spikes(time_steps):
        raise ConfigError(
            f"network.time_steps = {time_steps}: the kernel loss has a desired spike train only "
            "for 5 steps and multiples of 10; use training.loss = 'count' or 'softmax'"
        )
    filters = {"once": 1, "twice": 2}[training.target_filter]
    desired, undesired = training.desired_count, training.undesired_count
    return {
        "kernel": Loss(
            lambda output, labels: kernel(output.psp, labels, tau_s=tau_s, filters=filters),
            is_mean=False,
            passes_tape=True,
        ),
        "count": Loss(
            lambda output, labels: count(output.psp, labels, desired=desired, undesired=undesired),
            is_mean=False,
        ),
        "softmax": Loss(lambda output, labels: softmax(output.psp, labels), is_mean=True),
    }
