"""Functions in machine code, made by numba at their first call and kept on disk where possible."""

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numba

__all__ = ["compiled", "compiled_fused", "compiled_parallel", "compiled_sums"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile for one thread, which lets other threads run.

    Without ``fastmath`` the compiler neither reorders nor fuses operations, and numpy's error
    model lets a division by zero give infinity: the same bits as numpy and PyTorch.
    """
    return _compiled(function, parallel=False)


def compiled_fused(function: Function) -> Function:
    """Compile for one thread, a product and a sum in one operation that rounds once.

    For what no other code has to give the same bits for.
    """
    return _compiled(function, parallel=False, fastmath={"contract"})


def compiled_parallel(function: Function) -> Function:
    """Compile for numba's own threads, with ``prange``."""
    return _compiled(function, parallel=True)


def compiled_sums(function: Function) -> Function:
    """Compile for one thread sums of many numbers, which may be added in any order.

    The compiler adds up as many side by side as the processor has lanes. As of products of
    matrices, the last bits are those of the processor.
    """
    return _compiled(function, parallel=False, fastmath={"reassoc"})


def _compiled(function: Function, **chosen: Any) -> Function:  # noqa: ANN401 - numba's options
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True, **chosen}
    try:
        result: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba's way to say that no folder for the cache can be written
        return numba.njit(**options)(function)
    _forgive_a_full_disk(result)
    _see_other_files(result)
    return result


def _forgive_a_full_disk(dispatcher: Any) -> None:  # noqa: ANN401 - numba has no public type
    """Let the code run that could not be kept; numba would let the error through."""
    cache = dispatcher._cache
    save = cache.save_overload

    def save_if_possible(signature: object, data: object) -> None:
        with suppress(OSError):
            save(signature, data)

    cache.save_overload = save_if_possible


def _see_other_files(dispatcher: Any) -> None:  # noqa: ANN401
    """Compile again after any file of loops has changed, and not just that of the function.

    Functions call those of other files, which are then a part of their machine code.
    """
    index = dispatcher._cache._cache_file
    index._source_stamp = (index._source_stamp, _stamps_of_loops())


@lru_cache(maxsize=1)
def _stamps_of_loops() -> tuple[tuple[str, int, int], ...]:
    package = Path(__file__).parents[1]
    files = sorted(package.rglob("*kernels.py"))
    stats = [(str(each.relative_to(package)), each.stat()) for each in files]
    return tuple((name, found.st_mtime_ns, found.st_size) for name, found in stats)
