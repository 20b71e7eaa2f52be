"""Results of parts of the samples, added up to that of all."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np

from tssl.errors import DataError
from tssl.results.result import RunResult

__all__ = ["merged"]

_SHARED = ("backend", "network", "digest", "data", "source", "read_out")


def merged(parts: Sequence[RunResult]) -> RunResult:
    """Return the result of all samples from those of consecutive parts, exactly.

    Parameters
    ----------
    parts
        At least one, in the order of their samples.

    Raises
    ------
    DataError
        When they are not of one network, backend and data.
    """
    if not parts:
        raise DataError("no parts of a result to add up")
    first = parts[0]
    for other in parts[1:]:
        _check(first, other)
    labels = [part.labels for part in parts if part.labels is not None]
    spans = [part.input_range for part in parts if part.input_range is not None]
    return replace(
        first,
        output_spikes=np.concatenate([part.output_spikes for part in parts]),
        spike_counts=np.concatenate([part.spike_counts for part in parts]),
        predictions=np.concatenate([part.predictions for part in parts]),
        labels=np.concatenate(labels) if labels else None,
        counts=reduce(add, (part.counts for part in parts)),
        seconds=sum(part.seconds for part in parts),
        input_range=_span(spans) if len(spans) == len(parts) else None,
        traces={
            name: np.concatenate([part.traces[name] for part in parts]) for name in first.traces
        },
    )


def _span(spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return min(low for low, _ in spans), max(high for _, high in spans)


def _check(first: RunResult, other: RunResult) -> None:
    for name in _SHARED:
        if getattr(first, name) != getattr(other, name):
            raise DataError(
                f"parts of a result: {name} is {getattr(first, name)!s:.80} of one and "
                f"{getattr(other, name)!s:.80} of another"
            )
    same = (
        first.counts.layers == other.counts.layers,
        first.counts.time_steps == other.counts.time_steps,
        first.traces.keys() == other.traces.keys(),
        (first.labels is None) == (other.labels is None),
    )
    if not all(same):
        raise DataError("parts of a result: are of other layers, steps, traces or labels")
