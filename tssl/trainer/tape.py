"""A network's forward and backward pass written out, without autograd's graph.

Autograd is the definition: everything that a layer does is a function of PyTorch or one of our
own. Its graph costs a tenth of a millisecond and more for each of them, which small layers feel.
While a tape is active, :func:`apply` runs functions without autograd and notes them; afterwards
their own backward passes run in reverse order. The same functions give the same bits.

A tape that has all that the pass depends on can be repeated: the same functions run on other
inputs of the same shape, and nobody asks the layers again. Each function finds its context as it
left it, so that it can keep what is the same in every pass, as the memory of its results.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

from torch import Tensor

from tssl.trainer.neuron import Activity

__all__ = ["Tape", "apply", "kept"]

Made = TypeVar("Made")

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


def kept(ctx: Any, make: Callable[[], Made]) -> Made:  # noqa: ANN401
    """Return what a function has kept since an earlier pass, or makes now.

    Autograd's contexts keep nothing: its passes may be many at once, and a context that holds its
    own results would never be let go.
    """
    if not isinstance(ctx, Context):
        return make()
    if ctx.kept is None:
        ctx.kept = make()
    made: Made = ctx.kept
    return made


class Tape:
    """What a pass did, and on which tensors errors come back.

    One pass is under way at a time: results are those of the latest, until the next one. Whoever
    runs it keeps autograd away by ``torch.no_grad()``.

    Parameters
    ----------
    leaves
        How many of the things given to a pass are tensors whose errors are wanted in the end.
    """

    def __init__(self, leaves: int) -> None:
        self.leaves = leaves
        self.is_finished = False
        """Whether a pass is on it."""
        self.is_repeatable = True
        """Whether that pass follows from what is given and from its shapes."""
        self._records: list[_Record] = []
        self._slots: dict[int, int] = {}
        self._alive: list[Any] = []
        """By slot; holds objects while their identity tells where they came from."""
        self._wanted = set(range(leaves))
        """Slots at which there are errors."""
        self._unread = set(self._wanted)
        self._results: Sequence[int] = ()
        self._counted: Mapping[int, int] = {}
        """Slots of activities, and the steps of their neurons."""
        self._count = 0
        """Of slots."""

    def forward(self, run: Callable[[], Sequence[Any]], given: Sequence[Any]) -> Sequence[Any]:
        """Return what a pass computes: the first of it is a tensor from which errors come back.

        Parameters
        ----------
        run
            Computes by :func:`apply`, and returns tensors and activities. A tape with a pass on
            it repeats that one instead.
        given
            What the pass computes with: first the tape's leaves.

        Raises
        ------
        TypeError
            When something of it did not pass :func:`apply`, so that errors would get lost.
        """
        return self._repeat(given) if self.is_finished else self._record(run, given)

    def backward(self, error: Tensor) -> list[Tensor | None]:
        """Return the errors at the leaves for that at the result of the latest pass."""
        errors: list[Tensor | None] = [None] * self._count
        errors[self._results[0]] = error
        for record in reversed(self._records):
            if record.after:
                coming = [None if slot is None else errors[slot] for slot in record.after]
                for slot in record.after:
                    if slot is not None:
                        errors[slot] = None  # the memory can go
                given = record.function.backward(record.context, *coming)
                for slot, more in _apart(record.before, given):
                    before = errors[slot]
                    errors[slot] = more if before is None else before + more
            record.context.saved_tensors = ()
        return errors[: self.leaves]

    def let_go(self) -> None:
        """Give back the memory that functions keep; the pass can still be repeated."""
        for record in self._records:
            record.context.kept, record.context.saved_tensors = None, ()

    def _record(self, run: Callable[[], Sequence[Any]], given: Sequence[Any]) -> Sequence[Any]:
        for each in given:
            self._slot(each)
        token = _active.set(self)
        try:
            results = run()
        finally:
            _active.reset(token)
        self._finish(results)
        return results

    def _repeat(self, given: Sequence[Any]) -> Sequence[Any]:
        values = [*given, *[None] * (self._count - len(given))]
        for slot, steps in self._counted.items():
            values[slot] = Activity(steps)
        for record in self._records:
            arguments = list(record.fixed)
            for place, slot in record.takes:
                arguments[place] = values[slot]
            outputs = _as_tuple(record.function.forward(record.context, *arguments))
            for slot, output in zip(record.gives, outputs, strict=True):
                values[slot] = output
        return [values[slot] for slot in self._results]

    def apply(self, function: Any, *arguments: Any) -> Any:  # noqa: ANN401
        """Run the forward pass of a function, and note it."""
        takes = [self._known(each) for each in arguments]
        needs = tuple(slot in self._wanted for slot in takes)
        before = [(place, slot) for place, slot in enumerate(takes) if slot in self._wanted]
        context = Context(needs)
        outputs = function.forward(context, *arguments)
        self._unread.difference_update(slot for _, slot in before)
        gives = [self._slot(each) for each in _as_tuple(outputs)]
        after = [self._differentiable(slot, context) for slot in gives] if before else []
        new = {slot for slot in after if slot is not None}
        self._wanted |= new
        self._unread |= new
        found = [(place, slot) for place, slot in enumerate(takes) if slot is not None]
        fixed = list(arguments)
        for place, _ in found:
            fixed[place] = None
        self._records.append(_Record(function, context, fixed, found, gives, before, after))
        return outputs

    def _finish(self, results: Sequence[Any]) -> None:
        """Let go of all that neither the backward pass nor other passes need."""
        self._results = [self._slots.get(id(each), -1) for each in results]
        output, *_ = self._results
        if output not in self._wanted or self._unread - {output}:
            raise TypeError("a tape missed a function: an error would not come back")
        self.is_repeatable &= min(self._results) >= 0
        self._counted = {
            slot: each.neuron_steps
            for slot, each in enumerate(self._alive)
            if isinstance(each, Activity)
        }
        self._count = len(self._alive)
        self._slots.clear()
        self._alive.clear()
        self.is_finished = True

    def _known(self, argument: Any) -> int | None:  # noqa: ANN401
        """Return the slot of an argument that differs from pass to pass."""
        slot = self._slots.get(id(argument))
        if slot is None and isinstance(argument, Activity):
            return self._slot(argument)
        if slot is None and isinstance(argument, Tensor):
            self.is_repeatable = False  # nobody knows where it came from
        return slot

    def _slot(self, each: Any) -> int:  # noqa: ANN401
        slot = len(self._alive)
        self._alive.append(each)
        self._slots[id(each)] = slot
        return slot

    def _differentiable(self, slot: int, context: "Context") -> int | None:
        return None if id(self._alive[slot]) in context.not_differentiable else slot


class Context:
    """Stands in for the context that autograd hands to a function."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: Sequence[Tensor] = ()
        self.not_differentiable: set[int] = set()
        self.kept: Any = None
        """What the function keeps from pass to pass."""

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        self.not_differentiable = {id(each) for each in tensors}


class _Record(NamedTuple):
    """A function that ran."""

    function: Any
    context: Context
    fixed: Sequence[Any]
    """Arguments that stay the same; None at the others' places."""
    takes: Sequence[tuple[int, int]]
    """Places and slots of the others."""
    gives: Sequence[int]
    """Slots of the outputs."""
    before: Sequence[tuple[int, int]]
    """Places and slots of the arguments that errors concern."""
    after: Sequence[int | None]
    """Slots of the outputs; None for those that no error concerns, nothing where none of them."""


def _as_tuple(outputs: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _apart(
    before: Sequence[tuple[int, int]], errors: Sequence[Tensor | None]
) -> Iterator[tuple[int, Tensor]]:
    """Yield slots and errors, each a tensor of its own, which its function may change in place."""
    seen: set[int] = set()
    for place, slot in before:
        error = errors[place]
        if error is not None:
            yield slot, error.clone() if id(error) in seen else error
            seen.add(id(error))
