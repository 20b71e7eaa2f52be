"""Refusing what is no result: files may be damaged, or written by anybody."""

import math
import struct
import tokenize
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tssl.chip import ClassReadOut
from tssl.results.traces import QUANTITIES

if TYPE_CHECKING:
    from tssl.results.result import RunResult

_MOST_BYTES = 1 << 30
DAMAGE = (  # what numpy and zipfile raise on damaged archives, beside what is missing in them
    OSError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    SyntaxError,  # numpy reads the header of an array as Python's literals
    tokenize.TokenError,
)


def check_size(file: BinaryIO) -> None:
    """Refuse an archive that would fill the memory, before anything in it is unpacked."""
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > _MOST_BYTES:
        raise ValueError(f"unpacks to {unpacked} bytes; at most {_MOST_BYTES} are expected")
    file.seek(0)


def check(result: "RunResult") -> None:
    """Raise an error of ``DAMAGE`` when a result cannot be one."""
    _check_types(result)
    _check_shapes(result)
    _check_sums(result)


def _check_types(result: "RunResult") -> None:
    """Raise when a text is none or cannot be printed, or numbers are not counts."""
    for value in (
        result.backend,
        result.network,
        result.digest,
        result.data,
        *result.counts.layers,
    ):
        if not isinstance(value, str):
            raise TypeError(f"{type(value).__name__} in the place of a text")
        value.encode()
    if not 0 <= result.seconds < math.inf:
        raise ValueError(f"seconds = {result.seconds}")
    for name, array in {**vars(result.counts), **vars(result)}.items():
        if not isinstance(array, np.ndarray):
            continue
        if name in ("predictions", "labels") and not isinstance(result.read_out, ClassReadOut):
            _check_numbers(name, array)
            continue
        signed = name == "output_spikes" and array.dtype != np.uint8  # values, not counts
        if array.dtype.kind not in "iu" or (not signed and (array < 0).any()):
            raise ValueError(f"{name} holds other than counts")


def _check_numbers(name: str, array: NDArray[Any]) -> None:
    if array.dtype != np.float64 or not np.isfinite(array).all():
        raise ValueError(f"{name} holds other than numbers")


def _check_shapes(result: "RunResult") -> None:
    """Raise ValueError when the arrays do not belong together."""
    counts = result.counts
    samples, layers, steps = counts.samples, len(counts.layers), counts.time_steps
    outputs = int(counts.neurons[-1])
    said = (samples,) if isinstance(result.read_out, ClassReadOut) else (samples, outputs)
    if not result.read_out.takes(outputs):
        raise ValueError(f"read_out {result.read_out.document} does not fit {outputs} outputs")
    expected: dict[str, tuple[NDArray[Any] | None, tuple[int, ...]]] = {
        "output_spikes": (result.output_spikes, (samples, steps, outputs)),
        "spike_counts": (result.spike_counts, (samples, layers)),
        "predictions": (result.predictions, said),
        "labels": (result.labels, said),
        "neurons": (counts.neurons, (layers,)),
        "synaptic_operations": (counts.synaptic_operations, (layers, steps)),
        "active_updates": (counts.active_updates, (layers, steps)),
        "spikes": (counts.spikes, (layers, steps)),
        "stored_zeros": (counts.stored_zeros, (layers, steps)),
        "input_spikes": (counts.input_spikes, (steps,)),
    }
    for trace, values in result.traces.items():
        if trace.quantity not in QUANTITIES or values.dtype.kind not in "iu":
            raise ValueError(f"{trace} is no trace")
        expected[str(trace)] = (values, (samples, steps, values.shape[-1]))
    for name, (array, shape) in expected.items():
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")


def _check_sums(result: "RunResult") -> None:
    """Raise ValueError when numbers contradict each other."""
    counts = result.counts
    if isinstance(result.read_out, ClassReadOut):
        classes = counts.neurons[-1] // result.read_out.neurons_per_class
        if (result.predictions >= classes).any():
            raise ValueError("a prediction names no output")
    if not np.array_equal(result.spike_counts.sum(axis=0), counts.spikes.sum(axis=1)):
        raise ValueError("the spikes of samples and of time steps do not add up to the same")
    output = result.output_spikes
    sent = output if output.dtype == np.uint8 else output != 0
    if not np.array_equal(sent.sum(axis=(0, 2)), counts.spikes[-1]):
        raise ValueError("the output spikes are other than those counted")
