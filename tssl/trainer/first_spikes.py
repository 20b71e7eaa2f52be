r"""First spikes of neurons that forget nothing, as numbers that errors pass.

.. math:: V_j(t) = b_j t + \sum_i w_{ij} \max(0, t - t_i), \qquad
    t_j = \frac{\vartheta + \sum_{i \in C_j} w_{ij} t_i}{b_j + \sum_{i \in C_j} w_{ij}}

with the inputs :math:`C_j` that came before. Times are numbers of any unit, infinite where there is
no spike.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tssl.geometry import Geometry
from tssl.trainer import first_kernels
from tssl.trainer.kernels import threads

__all__ = ["Fired", "Rule", "earliest", "first_spikes", "late", "patches"]

_CHUNKS = 4
"""Parts of work for each thread, at least, so that none waits long for another."""
_BLOCK_BYTES = 256 << 20
"""What the general way holds of sorted weights at a time."""


class Rule(NamedTuple):
    """How a layer of neurons fires, and how errors pass it."""

    threshold: float
    end: float
    """Who has not fired by then stays silent."""
    on_grid: bool = False
    """Whether times are whole steps n, at whose end n + 1 a potential exceeds the threshold; errors
    pass as if they were not rounded. Otherwise a neuron fires as its potential gets there."""
    steepest: float = float("inf")
    """Largest 1 / slope that an error is multiplied by."""
    push: float = 0.0
    """Factor of what makes silent neurons more excitable; see :meth:`_FirstSpikes.backward`."""


class Fired(NamedTuple):
    """What a layer did, each ``(rows, neurons)``."""

    times: Tensor
    potential: Tensor
    """At the end, of neurons that stayed silent."""


class _Crossings(NamedTuple):
    """See :func:`tssl.trainer.first_kernels.forward`."""

    first: Tensor
    crossing: Tensor
    slope: Tensor
    causal: Tensor
    last: Tensor


def first_spikes(times: Tensor, weight: Tensor, bias: Tensor | None, rule: Rule) -> Fired:
    """Return when neurons first fire.

    Parameters
    ----------
    times
        Of the inputs, ``(rows, inputs)``, at least 0.
    weight
        ``(neurons, inputs)``.
    bias
        ``(neurons,)``: weights of an input that spikes at time 0, or None.
    """
    return Fired(*_FirstSpikes.apply(times, weight, bias, rule))


class _FirstSpikes(torch.autograd.Function):
    """The neurons of a layer, each row of inputs by itself."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        times: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        rule: Rule,
    ) -> tuple[Tensor, Tensor]:
        ordered, order = _sorted(times, rule)
        slopes = weight.new_zeros(len(weight)) if bias is None else bias.detach()
        find = _compiled_forward if _is_compiled(times) else _general_forward
        found = find(order, ordered, weight, slopes, rule)
        ctx.rule, ctx.has_bias = rule, bias is not None
        ctx.save_for_backward(times, order, ordered, weight, *found[1:4])
        ctx.mark_non_differentiable(found.last)
        return found.first, found.last

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        r"""Return the errors.

        A neuron that fired passes its error by the causal inputs. One that was silent although the
        loss wants it earlier, and one that was silent in all rows, as if its error were the mean
        magnitude of others', are pushed:
        :math:`\partial t_j / \partial w_{ij} = -p \max(0, T - t_i)`.
        """
        times, order, ordered, weight, crossing, slope, causal = ctx.saved_tensors
        rule, given = ctx.rule, gradients[0]
        has_fired = causal >= 0
        factor = torch.where(has_fired, 1 / slope, 0).clamp(max=rule.steepest)
        error = torch.where(has_fired, given, 0) * factor
        bring = _compiled_backward if _is_compiled(times) else _general_backward
        to_times, to_weight = bring(
            order, ordered, weight, _Crossings(given, crossing, slope, causal, given), error,
            ctx.needs_input_grad[0],
        )  # fmt: skip
        to_bias = -(error * crossing).sum(dim=0) if ctx.has_bias else None
        if rule.push:
            wanted = _wanted(given, has_fired) * rule.push
            to_weight.addmm_(wanted.t(), (rule.end - times).clamp(min=0), alpha=-1)
            if to_bias is not None:
                to_bias -= wanted.sum(dim=0) * rule.end
        return to_times, to_weight, to_bias, None


def _wanted(given: Tensor, has_fired: Tensor) -> Tensor:
    """Return by how much each silent neuron should fire earlier, 0 of the others."""
    never = ~has_fired.any(dim=0)
    if not bool(never.any()):
        return torch.where(has_fired, 0, given).clamp(min=0)
    mean = given.abs().sum() / max(1, int(has_fired.sum())) / max(1, len(given))
    return torch.where(has_fired, 0, torch.where(never & (given == 0), mean, given.clamp(min=0)))


def _is_compiled(times: Tensor) -> bool:
    return times.device.type == "cpu"


def _sorted(times: Tensor, rule: Rule) -> tuple[Tensor, Tensor]:
    """Return times in their order, and which input each is of.

    Whole steps are counted, other times compared.
    """
    if not (_is_compiled(times) and rule.on_grid):
        return torch.sort(times, dim=1, stable=True)
    times = times.detach().contiguous()
    order, ordered = torch.empty_like(times, dtype=torch.int32), torch.empty_like(times)
    threads()
    first_kernels.sort_steps(times.numpy(), math.ceil(rule.end), order.numpy(), ordered.numpy())
    return ordered, order


def _compiled_forward(
    order: Tensor, ordered: Tensor, weight: Tensor, bias: Tensor, rule: Rule
) -> _Crossings:
    shape = len(order), len(weight)
    found = _Crossings(
        first=torch.full(shape, torch.inf, dtype=weight.dtype),
        crossing=torch.zeros(shape, dtype=weight.dtype),
        slope=torch.ones(shape, dtype=weight.dtype),
        causal=torch.full(shape, -1, dtype=torch.int32),
        last=torch.zeros(shape, dtype=weight.dtype),
    )
    chunks = min(len(order), -(-_CHUNKS * (threads() - 1) // _blocks_of(weight)) or 1)
    first_kernels.forward(
        order.numpy(), ordered.numpy(), weight.detach().numpy(), bias.contiguous().numpy(),
        rule.threshold, rule.end, rule.on_grid, chunks, *(each.numpy() for each in found),
    )  # fmt: skip
    return found


def _compiled_backward(
    order: Tensor,
    ordered: Tensor,
    weight: Tensor,
    found: _Crossings,
    error: Tensor,
    wants_times: bool,
) -> tuple[Tensor | None, Tensor]:
    to_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
    blocks = _blocks_of(weight)
    to_times = ordered.new_zeros((blocks, *ordered.shape) if wants_times else (0, 0, 0))
    threads()
    first_kernels.backward(
        order.numpy(), ordered.numpy(), weight.numpy(), found.crossing.numpy(),
        found.causal.numpy(), error.numpy(), to_weight.numpy(), to_times.numpy(),
    )  # fmt: skip
    return (to_times.sum(dim=0) if wants_times else None), to_weight


def _blocks_of(weight: Tensor) -> int:
    return -(-len(weight) // first_kernels.WIDTH)


def _general_forward(
    order: Tensor, ordered: Tensor, weight: Tensor, bias: Tensor, rule: Rule
) -> _Crossings:
    """Do the same in PyTorch, by sums over all beginnings of the sorted inputs."""
    parts, in_time = [], (ordered < rule.end)[:, None]
    for chosen in _blocks(order, weight):
        taken = weight[chosen][:, order].movedim(0, 1)  # (rows, neurons, inputs)
        taken, known = torch.where(in_time, taken, 0), torch.where(in_time, ordered[:, None], 0)
        start = bias[chosen][None, :, None].expand(len(order), -1, 1)
        slope = torch.cat([start, start + taken.cumsum(2)], dim=2)
        sums = torch.cat([torch.zeros_like(start), (taken * known).cumsum(2)], dim=2)
        after = torch.cat([ordered, torch.full_like(ordered[:, :1], rule.end)], dim=1)
        reached = slope * after.clamp(max=rule.end)[:, None] - sums
        hits = reached > rule.threshold if rule.on_grid else reached >= rule.threshold
        has_fired, causal = hits.any(dim=2), hits.int().argmax(dim=2, keepdim=True)
        steep = torch.where(has_fired, slope.gather(2, causal)[..., 0], 1)
        crossing = (rule.threshold + sums.gather(2, causal)[..., 0]) / steep
        crossing = torch.where(has_fired, crossing, 0)
        first = crossing.floor() if rule.on_grid else crossing
        parts.append(
            _Crossings(
                first=torch.where(has_fired, first, torch.inf),
                crossing=crossing,
                slope=steep,
                causal=torch.where(has_fired, causal[..., 0], -1).int(),
                last=torch.where(has_fired, 0, reached[..., -1]),
            )
        )
    return _Crossings(*(torch.cat(each, dim=1) for each in zip(*parts, strict=True)))


def _general_backward(
    order: Tensor,
    ordered: Tensor,
    weight: Tensor,
    found: _Crossings,
    error: Tensor,
    wants_times: bool,
) -> tuple[Tensor | None, Tensor]:
    to_weight, to_times = torch.zeros_like(weight), torch.zeros_like(ordered)
    position = torch.arange(order.shape[1], device=order.device)
    known = torch.where(ordered.isinf(), 0, ordered)[:, None]
    for chosen in _blocks(order, weight):
        is_causal = position < found.causal[:, chosen, None]
        taken = torch.where(is_causal, error[:, chosen, None], 0)  # (rows, neurons, inputs)
        places = order[:, None].expand_as(taken)
        moved = taken * (known - found.crossing[:, chosen, None])
        to_weight[chosen] = torch.zeros_like(moved).scatter_(2, places, moved).sum(dim=0)
        if wants_times:
            pulls = (taken * weight[chosen][:, order].movedim(0, 1)).sum(dim=1)
            to_times += torch.zeros_like(pulls).scatter_(1, order, pulls)
    return (to_times if wants_times else None), to_weight


def _blocks(order: Tensor, weight: Tensor) -> list[slice]:
    size = max(1, _BLOCK_BYTES // (8 * order.numel()))
    return [slice(begin, begin + size) for begin in range(0, len(weight), size)]


def patches(times: Tensor, geometry: Geometry) -> Tensor:
    """Return what each window of ``(batch, C, H, W)`` sees, ``(batch, windows, C * kh * kw)``."""
    (up, left), (high, wide) = geometry.padding, geometry.span
    padded = F.pad(times, (left, left, up, up), value=torch.inf)
    windows = padded.unfold(2, high, geometry.stride[0]).unfold(3, wide, geometry.stride[1])
    windows = windows[..., :: geometry.dilation[0], :: geometry.dilation[1]]
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


def earliest(times: Tensor, windows: Geometry) -> Tensor:
    """Return the earliest time in each window of ``(batch, C, H, W)``; errors pass to it alone."""
    return -F.max_pool2d(-times, windows.kernel, windows.stride, windows.padding)


def late(times: Tensor, end: float) -> Tensor:
    """Return times in which silent neurons fire at the end, and errors pass to them unchanged."""
    result: Tensor = _Late.apply(times, end)
    return result


class _Late(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, times: Tensor, end: float) -> Tensor:  # noqa: ANN401
        return times.clamp(max=end)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return gradients[0], None
