"""A network's backward pass written out, without autograd's graph.

Autograd is the definition: everything that a layer does is a function of PyTorch or one of our
own. Its graph costs a tenth of a millisecond and more for each of them, which small layers feel.
While a tape is active, :func:`apply` runs functions without autograd and notes them; afterwards
their own backward passes run in reverse order. The same functions give the same bits.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Tape", "apply", "written_out"]

_active: ContextVar["Tape | None"] = ContextVar("tape", default=None)


def apply(function: Any, *arguments: Any) -> Any:  # noqa: ANN401 - as PyTorch's own
    """Call a ``torch.autograd.Function``, through the tape while one is active.

    Parameters
    ----------
    function
        Or another class with ``apply``, ``forward`` and ``backward``; see
        :mod:`tssl.trainer.operations`.
    """
    tape = _active.get()
    if tape is not None:
        return tape.apply(function, *arguments)
    return function.apply(*arguments)


def written_out(run: Callable[[], Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Return what ``run`` computes by :func:`apply`, as one function of ``weights``.

    Raises
    ------
    TypeError
        When something of it did not pass :func:`apply`, so that errors would get lost.
    """
    result: Tensor = _Written.apply(run, weights, *weights)
    return result


class Tape:
    """What has been done, and on which tensors errors come back.

    Parameters
    ----------
    leaves
        Tensors whose errors are wanted in the end.
    """

    def __init__(self, leaves: Sequence[Tensor]) -> None:
        self._records: list[_Record] = []
        self._slots: dict[int, int] = {}
        self._alive = list(leaves)
        """By slot; holds tensors while their identity tells where they came from."""
        for slot, leaf in enumerate(leaves):
            self._slots[id(leaf)] = slot
        self._unread = set(range(len(leaves)))
        self._leaves = len(leaves)

    def apply(self, function: Any, *arguments: Any) -> Any:  # noqa: ANN401
        """Run the forward pass of a function, and note it."""
        slots = [self._slots.get(id(each)) for each in arguments]
        context = _Context(tuple(slot is not None for slot in slots))
        outputs = function.forward(context, *arguments)
        self._unread.difference_update(slot for slot in slots if slot is not None)
        if any(context.needs_input_grad):
            found = outputs if isinstance(outputs, tuple) else (outputs,)
            after = [self._output(each, context) for each in found]
            self._records.append(_Record(function, context, slots, after))
        return outputs

    def finish(self, output: Tensor) -> int:
        """Return the slot of the output, and let go of all tensors that nothing needs."""
        slot = self._slots.get(id(output))
        if slot is None or self._unread - {slot}:
            raise TypeError("a tape missed a function: an error would not come back")
        self._slots.clear()
        self._alive.clear()
        return slot

    def saved(self) -> Iterator[list[Tensor]]:
        """Yield the list of what each function needs in its backward pass; it may be changed."""
        for record in self._records:
            yield record.context.saved_tensors

    def errors(self, slot: int, error: Tensor) -> list[Tensor | None]:
        """Return the errors at the leaves for that at the output."""
        errors: dict[int, Tensor] = {slot: error}
        while self._records:
            function, context, before, after = self._records.pop()
            coming = [None if slot is None else errors.pop(slot, None) for slot in after]
            given = _apart(function.backward(context, *coming))
            for place, more in zip(before, given, strict=True):
                if place is not None and more is not None:
                    errors[place] = errors[place] + more if place in errors else more
        return [errors.get(leaf) for leaf in range(self._leaves)]

    def _output(self, tensor: Tensor, context: "_Context") -> int | None:
        if id(tensor) in context.not_differentiable:
            return None
        slot = len(self._alive)
        self._alive.append(tensor)
        self._slots[id(tensor)] = slot
        self._unread.add(slot)
        return slot


class _Context:
    """Stands in for the context that autograd hands to a function."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: list[Tensor] = []
        self.not_differentiable: set[int] = set()

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = list(tensors)

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        self.not_differentiable = {id(each) for each in tensors}


class _Record(NamedTuple):
    """A function that ran."""

    function: Any
    context: _Context
    before: Sequence[int | None]
    """Slots of the inputs; None for those that no error concerns."""
    after: Sequence[int | None]
    """Likewise of the outputs."""


def _apart(errors: Sequence[Tensor | None]) -> Iterator[Tensor | None]:
    """Yield errors, each a tensor of its own, which its function may change in place."""
    seen: set[int] = set()
    for error in errors:
        yield error.clone() if error is not None and id(error) in seen else error
        seen.add(id(error))


@contextmanager
def _taped(tape: Tape) -> Iterator[None]:
    token = _active.set(tape)
    try:
        yield
    finally:
        _active.reset(token)


class _Written(torch.autograd.Function):
    """All of a network."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context has no public type
        run: Callable[[], Tensor],
        leaves: Sequence[Tensor],
        *_: Tensor,
    ) -> Tensor:
        tape = Tape(leaves)
        with _taped(tape):
            output = run()
        ctx.tape, ctx.slot = tape, tape.finish(output)
        kept = [list(tensors) for tensors in tape.saved()]
        ctx.save_for_backward(*(tensor for tensors in kept for tensor in tensors))
        ctx.counts = list(map(len, kept))
        for tensors in tape.saved():  # the graph holds them, and frees them after its pass
            tensors.clear()
        return output

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        kept = iter(ctx.saved_tensors)
        for tensors, count in zip(ctx.tape.saved(), ctx.counts, strict=True):
            tensors.extend(next(kept) for _ in range(count))
        return None, None, *ctx.tape.errors(ctx.slot, errors[0].clone())
