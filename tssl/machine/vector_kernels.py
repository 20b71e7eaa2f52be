# ruff: noqa: ANN401 - of numba and LLVM, which have no types
"""What numba's loops do not do by themselves: sums in registers, squares turned, zeros skipped.

Each is a piece of LLVM's own language, in vectors of as many numbers as a register of this
processor holds.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic, register_jitable
from numpy.typing import NDArray

from tssl.machine.compiling import compiled, compiled_parallel

__all__ = [
    "LANES", "UNIT", "add_rows", "filled_up", "lowest", "nonzero", "turn", "turn_all", "turn_rows",
]  # fmt: skip

Array = NDArray[np.float32]

_FEATURES: str | None = numba.config.CPU_FEATURES  # type: ignore[attr-defined]
LANES = 16 if "+avx512f" in (_FEATURES or get_host_cpu_features()).split(",") else 8  # type: ignore[no-untyped-call]
"""Single-precision numbers of a register."""
UNIT = 2 * LANES
"""Rows that are added up are a multiple of it wide."""
_WORD, _LONG = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_NOTHING = ir.Constant(_VECTOR, ir.Undefined)


class _Code:
    """Writes the code of one call."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder, self.arguments = builder, arguments
        self._context, self._types = context, signature.args

    def numbers(self, argument: int, first: Any = None) -> Any:
        """Return where an array's numbers lie, from ``first`` on."""
        array = self._context.make_array(self._types[argument])
        data = array(self._context, self.builder, self.arguments[argument]).data
        return data if first is None else self.builder.gep(data, [first])

    def vectors(self, argument: int, first: Any) -> Any:
        """Return where its vectors from ``first`` on lie, which begins anywhere."""
        return self.builder.bitcast(self.numbers(argument, first), _VECTOR.as_pointer())

    def load(self, vectors: Any, number: int) -> Any:
        """Return one of the vectors."""
        return self.builder.load(self.builder.gep(vectors, [_WORD(number)]), align=4)

    def store(self, value: Any, vectors: Any, number: int) -> None:
        """Write one of them."""
        self.builder.store(value, self.builder.gep(vectors, [_WORD(number)]), align=4)

    def shuffle(self, first: Any, second: Any, lanes: Sequence[int]) -> Any:
        """Return lanes of two vectors; those of the second are counted on."""
        mask = ir.Constant(ir.VectorType(_WORD, LANES), list(lanes))
        return self.builder.shuffle_vector(first, second, mask)

    def everywhere(self, number: Any) -> Any:
        """Return a vector of one number."""
        return self.shuffle(
            self.builder.insert_element(_NOTHING, number, _WORD(0)), _NOTHING, [0] * LANES
        )

    def multiply_add(self, first: Any, second: Any, third: Any) -> Any:
        """Return a product and a sum, in one operation where the processor has one."""
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        name = f"llvm.fmuladd.v{LANES}f32"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)  # type: ignore[no-untyped-call]
        return self.builder.call(function, [first, second, third])

    def phi(self, kind: Any, incoming: Sequence[tuple[Any, Any]]) -> Any:
        """Return a value by the block that one comes from."""
        found = self.builder.phi(kind)
        for value, block in incoming:
            found.add_incoming(value, block)
        return found


def _made(typed: Callable[..., Any]) -> Callable[..., Any]:
    """Return what compiled loops can call; ``typed`` returns its signature and its code."""
    made: Callable[..., Any] = intrinsic(typed)
    return made


def _adding(registers: int) -> Callable[..., None]:
    """Return what adds up rows in so many registers; see :func:`add_rows`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        code = _Code(context, builder, signature, arguments)
        at, first, last, stride, shift = (arguments[each] for each in (1, 5, 6, 7, 8))
        total, places, values = code.vectors(0, at), code.numbers(3), code.numbers(4)
        before = [code.load(total, number) for number in range(registers)]
        entry = builder.block
        events, done = (builder.append_basic_block(name) for name in ("events", "done"))
        builder.cbranch(builder.icmp_signed("<", first, last), events, done)

        builder.position_at_end(events)
        event = code.phi(_LONG, [(first, entry)])
        sums = [code.phi(_VECTOR, [(each, entry)]) for each in before]
        place = builder.sext(builder.load(builder.gep(places, [event])), _LONG)
        row = code.vectors(2, builder.add(builder.mul(place, stride), shift))
        value = code.everywhere(builder.load(builder.gep(values, [event])))
        after = [
            code.multiply_add(value, code.load(row, number), each)
            for number, each in enumerate(sums)
        ]
        following = builder.add(event, _LONG(1))
        for phi, new in zip([event, *sums], [following, *after], strict=True):
            phi.add_incoming(new, events)
        builder.cbranch(builder.icmp_signed("<", following, last), events, done)

        builder.position_at_end(done)
        ends = [
            code.phi(_VECTOR, [(old, entry), (new, events)])
            for old, new in zip(before, after, strict=True)
        ]
        for number, end in enumerate(ends):
            code.store(end, total, number)
        return context.get_dummy_value()

    def typed(  # numba wants to know their number
        _: Any, total: Any, at: Any, rows: Any, places: Any, values: Any, first: Any, last: Any,
        stride: Any, shift: Any,
    ) -> Any:  # fmt: skip
        del at, first, last, stride, shift
        return types.none(total, types.intp, rows, places, values, *[types.intp] * 4), generate

    return _made(typed)


_add_10, _add_6, _add_2 = _adding(10), _adding(6), _adding(2)


@register_jitable
def filled_up(numbers: int, size: int) -> int:
    """Return the next multiple of a size, in Python and in compiled loops."""
    return (numbers + size - 1) // size * size


@compiled
def add_rows(
    total: Array, at: int, width: int, rows: Array, places: NDArray[np.int32], values: Array,
    first: int, last: int, stride: int, shift: int,
) -> None:  # fmt: skip
    """Add rows, each times a number, to one row, which stays in registers meanwhile.

    Parameters
    ----------
    total
        Its ``width`` numbers from ``at`` on are added to; ``width`` is a multiple of ``UNIT``.
    rows
        Each begins at ``places[i] * stride + shift``, for ``i`` from ``first`` to before ``last``.
    values
        Factors of the rows.

    Notes
    -----
    A product and a sum are one operation where the processor has one.
    """
    done = 0
    while done < width:
        left = (width - done) // UNIT
        where, source = at + done, shift + done
        if left >= 5:
            _add_10(total, where, rows, places, values, first, last, stride, source)
            done += 5 * UNIT
        elif left >= 3:
            _add_6(total, where, rows, places, values, first, last, stride, source)
            done += 3 * UNIT
        else:
            _add_2(total, where, rows, places, values, first, last, stride, source)
            done += UNIT


def _turn_square(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Exchange blocks beside the diagonal: of half the square, then of half of those, and so on."""
    code = _Code(context, builder, signature, arguments)
    _, at, stride, _, to, step = arguments
    rows = [
        code.load(code.vectors(0, builder.add(at, builder.mul(stride, _LONG(number)))), 0)
        for number in range(LANES)
    ]
    size = LANES // 2
    while size:
        upper = [lane if not lane & size else LANES + lane - size for lane in range(LANES)]
        lower = [lane + size if not lane & size else LANES + lane for lane in range(LANES)]
        for number in range(LANES):
            if not number & size:
                pair = rows[number], rows[number + size]
                rows[number] = code.shuffle(*pair, upper)
                rows[number + size] = code.shuffle(*pair, lower)
        size //= 2
    for number, row in enumerate(rows):
        target = code.vectors(3, builder.add(to, builder.mul(step, _LONG(number))))
        code.store(row, target, 0)
    return context.get_dummy_value()


def _turn(_: Any, source: Any, at: Any, stride: Any, target: Any, to: Any, step: Any) -> Any:
    del at, stride, to, step
    number = types.intp
    return types.none(source, number, number, target, number, number), _turn_square


turn = _made(_turn)
"""``turn(source, at, stride, target, to, step)`` turns a square of ``LANES`` rows and columns.

Row ``i`` of the source begins at ``at + i * stride``, and one of the target at ``to + i * step``.
"""


@compiled
def turn_rows(
    source: Array, at: int, stride: int, rows: int, columns: int, target: Array, to: int, step: int
) -> None:
    """Write rows as columns.

    Parameters
    ----------
    source
        Row ``i`` begins at ``at + i * stride``, and has ``columns`` numbers.
    target
        Filled: column ``j`` of the source begins at ``to + j * step``.
    """
    for column in range(0, columns, LANES):
        for row in range(0, rows, LANES):
            start, end = at + row * stride + column, to + column * step + row
            if row + LANES <= rows and column + LANES <= columns:
                turn(source, start, stride, target, end, step)
                continue
            for j in range(min(LANES, columns - column)):
                for i in range(min(LANES, rows - row)):
                    target[end + j * step + i] = source[start + i * stride + j]


@compiled_parallel
def turn_all(source: Array, target: Array, parts: int) -> None:
    """Fill ``(columns, rows)`` with the turned ``(rows, columns)``, in so many parts."""
    (rows, columns), flat, filled = source.shape, source.reshape(-1), target.reshape(-1)
    blocks = (columns + LANES - 1) // LANES
    for part in numba.prange(parts):
        first = part * blocks // parts * LANES
        last = min((part + 1) * blocks // parts * LANES, columns)
        turn_rows(flat, first, columns, rows, last - first, filled, first * rows, rows)


def _compare(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    code = _Code(context, builder, signature, arguments)
    vector = code.load(code.vectors(0, arguments[1]), 0)
    zeros = ir.Constant(_VECTOR, [0.0] * LANES)
    bits = builder.bitcast(builder.fcmp_unordered("!=", vector, zeros), ir.IntType(LANES))
    return builder.zext(bits, _LONG)


def _nonzero(_: Any, numbers: Any, at: Any) -> Any:
    del at
    return types.int64(numbers, types.intp), _compare


nonzero = _made(_nonzero)
"""``nonzero(numbers, at)`` returns which of ``LANES`` numbers are not zero, a bit each."""


def _count_zeros(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    del context, signature
    return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))


def _lowest(_: Any, bits: Any) -> Any:
    return types.int64(bits), _count_zeros


lowest = _made(_lowest)
"""``lowest(bits)`` returns the number of the lowest bit that is set; one must be."""
