"""How a layer's numbers lie in memory, and as what the compiled loops see them."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.trainer import kernels
from tssl.trainer.neuron import Neurons, Pool, static_psp

__all__ = [
    "Course",
    "Memory",
    "Seen",
    "constant_response",
    "course",
    "device_response",
    "empty",
    "flat",
    "is_compiled_input",
    "rows",
]

View = TypeVar("View", Tensor, NDArray[Any])


class Course(NamedTuple):
    """What loops over neurons are told of all currents of one shape."""

    steps: int
    pooled: tuple[int, ...]
    """Shape of the output at one step."""
    response: NDArray[Any]
    """Factor of the current at each step, ``(time,)``."""
    window: kernels.Window
    """How they walk through the neurons."""


@lru_cache
def course(shape: torch.Size, neurons: Neurons) -> Course:
    """Return it for a current of this shape, time first."""
    neurons = neurons.fitted(shape)
    steps = neurons.constant_steps or shape[0]
    return Course(
        steps=steps,
        pooled=neurons.pooled(shape[1:]),
        response=constant_response(steps, neurons.synapse if neurons.constant_steps else None),
        window=_window(shape, neurons.pool),
    )


def _window(shape: Sequence[int], pool: Pool | None) -> kernels.Window:
    if pool is None:
        return kernels.plain_window()
    (rows, columns), (channels, _, width) = pool.kernel, shape[2:]
    return kernels.Window(rows * width * channels, rows, columns, channels, float(pool.gain))


@lru_cache
def constant_response(steps: int, tau_s: float | None) -> NDArray[Any]:
    """Return the factors of the current over time; all one when it has its own time axis."""
    ones = torch.ones(steps)
    course = ones if tau_s is None else static_psp(steps, tau_s=tau_s, like=ones)
    factors: NDArray[Any] = course.numpy()
    return factors


@lru_cache
def device_response(steps: int, tau_s: float | None, device: torch.device) -> Tensor:
    """Return :func:`constant_response` where it is needed, sent there once."""
    return torch.from_numpy(constant_response(steps, tau_s)).to(device)


def empty(like: Tensor, steps: int, shape: tuple[int, ...]) -> Tensor:
    """Return an empty tensor ``(steps, *shape)``, channels last if it has images."""
    if len(shape) != 4:
        return like.new_empty((steps, *shape))
    batch, channels, height, width = shape
    return like.new_empty((steps, batch, height, width, channels)).permute(0, 1, 4, 2, 3)


def flat(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor ``(time, ...)`` as an array ``(time, neurons)``, channels last if of images.

    A view of what :func:`empty` made, so that it can be filled.
    """
    array: NDArray[Any] = _channels_inside(tensor.detach()).contiguous().numpy()
    return array.reshape(len(array), math.prod(array.shape[1:]))


class Memory:
    """Memory for tensors that loops fill, taken when it is first asked for.

    Parameters
    ----------
    like
        Of their kind.
    sizes
        Steps, and the shape at one, as of :func:`empty`.
    """

    def __init__(self, like: Tensor, *sizes: tuple[int, tuple[int, ...]]) -> None:
        self._like, self._sizes = like.new_empty(0), sizes

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """Them as PyTorch sees them."""
        return tuple(empty(self._like, *size) for size in self._sizes)

    @cached_property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Them as the loops do."""
        return tuple(map(flat, self.tensors))


class Seen(Generic[View]):
    """Views of tensors that are always the same one, with other numbers in it, or never.

    Parameters
    ----------
    view
        Makes one, which may be a copy where the numbers do not lie as needed.
    """

    def __init__(self, view: Callable[[Tensor], View]) -> None:
        self._view: Callable[[Tensor], View] = view
        self._known: tuple[Tensor, View] | None = None
        self._is_first = True

    def of(self, tensor: Tensor) -> View:
        """Return the view of a tensor."""
        known = self._known
        if known is not None and known[0] is tensor:
            return known[1]
        view = self._view(tensor)
        is_kept = self._is_first and _address(view) == tensor.data_ptr()
        self._known = (tensor, view) if is_kept else None
        self._is_first = False
        return view


def _address(view: Tensor | NDArray[Any]) -> int:
    address: int = torch.as_tensor(view).data_ptr()
    return address


def rows(tensor: Tensor) -> Tensor:
    """Return what :func:`flat` does as a tensor, on any device."""
    return _channels_inside(tensor).flatten(1).contiguous()


def _channels_inside(tensor: Tensor) -> Tensor:
    return tensor.permute(0, 1, 3, 4, 2) if tensor.dim() == 5 else tensor


def is_compiled_input(inputs: Tensor) -> bool:
    """Return whether compiled loops know what is computed from these."""
    kind = inputs.device.type, inputs.dtype
    return kind == ("cpu", torch.float32) and bool(inputs.numel())
