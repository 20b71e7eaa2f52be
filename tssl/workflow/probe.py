"""A look inside a network while the first sample of a result runs again."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tssl import datasets
from tssl.chip import (
    INPUT,
    ChipNetwork,
    IntArray,
    Neuron,
    Step,
    neuron_steps,
)
from tssl.errors import TsslError
from tssl.reporting import LayerTrace
from tssl.results import InputSource, RunResult
from tssl.wording import count
from tssl.workflow.inputs import InputChoice, completed, load_inputs

_FIELDS = {"spikes": "spikes", "current": "current", "potential": "voltage"}
_MOST_STEPS = 2000
"""Of a sample that are drawn: the page grows with them, and so does the memory of the states."""
_DATA_SET = re.compile(r"(?P<data>[^,]+), (?P<split>train|test) split")


def traces_of(
    network: ChipNetwork,
    result: RunResult,
    net: Path,
    data_dir: Path | None = None,
    data: Path | None = None,
) -> tuple[tuple[LayerTrace, ...], str]:
    """Return what every layer did in the first sample, or nothing; and a sentence about it.

    The first steps of the sample are run again from the data that the result names, and shown
    only when their output spikes are those of the result. Nothing is downloaded.

    Parameters
    ----------
    data_dir
        Where to look for a data set first; where the run found it when None.
    data
        File or folder of the data, where they are not where the run found them any more.
    """
    choice = _choice(result, data_dir, data)
    if isinstance(choice, str):
        return (), f"Not shown: {choice}."
    try:
        inputs = load_inputs(network, completed(choice, net))
    except TsslError as error:
        return (), f"Not shown: the input cannot be loaded: {error}."
    if len(inputs.train) not in (1, result.counts.time_steps):
        return (), "Not shown: the input has another number of time steps than the result."
    steps = min(result.counts.time_steps, _MOST_STEPS)
    traces = _run(network, inputs.train[:steps, :1], steps)
    sent = traces[-1].spikes
    if sent is None or not np.array_equal(sent, result.output_spikes[0, :steps]):
        return (), "Not shown: the first sample gives other output spikes than the result."
    what = _beginning(f"first sample of {result.data}", result)
    return traces, f"The {what}, run again: same output spikes."


def _choice(result: RunResult, data_dir: Path | None, data: Path | None) -> InputChoice | str:
    """Return what to run again, or why nothing can be.

    Where a data folder has gone, the data set is looked for in the usual places; where a file
    has, under the name that the run was given.
    """
    source, steps = result.source or _older_source(result.data), result.counts.time_steps
    if data is not None:
        source = replace(source, data=os.path.abspath(data), split=source.split or "test")
    if _is_there(source.data) and source.split in datasets.SPLITS:
        if data_dir is None and source.data_dir is not None and os.path.isdir(source.data_dir):
            data_dir = Path(source.data_dir)
        return InputChoice(
            data=source.data,
            split=source.split,
            samples=1,
            steps=steps,
            data_dir=data_dir,
            offline=True,
        )
    files = [
        path for path in (source.file, result.data) if path and path.endswith((".npy", ".npz"))
    ]
    for path in filter(os.path.isfile, files):
        return InputChoice(file=Path(path), samples=1)
    files += [source.data] if source.data else []
    if files:
        return f"{files[0]} is not there any more"
    return "the result does not say which input could be run again"


def _is_there(data: str | None) -> bool:
    return data is not None and (data in datasets.DATASETS or os.path.exists(data))


def _older_source(text: str) -> InputSource:
    """Return what a result of an older tssl says only for people."""
    match = _DATA_SET.fullmatch(text)
    return InputSource(**match.groupdict()) if match else InputSource()


def _run(network: ChipNetwork, train: IntArray, time_steps: int) -> tuple[LayerTrace, ...]:
    trains: dict[str, Any] = {INPUT: train}
    traces = []
    if network.input.neuron is not None:
        arriving, bias = network.input.driven(train)
        steps = [*neuron_steps(network.input.neuron, bias, time_steps, arriving)]
        traces.append(_trace(INPUT, network.input.neuron, steps))
        trains[INPUT] = _sent(steps)
    for layer in network.layers:
        steps = [*layer.steps(trains, time_steps)]
        traces.append(_trace(layer.name, layer.neuron, steps))
        trains[layer.name] = _sent(steps)
    return tuple(traces)


def _sent(steps: Sequence[Step]) -> IntArray:
    """Return what was sent, ``(time, 1, neurons)``."""
    return np.array([step.spikes for step in steps]).astype(np.int64)


def _trace(name: str, neuron: Neuron, steps: Sequence[Step]) -> LayerTrace:
    """Keep the states of a layer's neurons, all ``(time, neurons)``."""
    kept = [(step.spikes, neuron.seen(step.state)) for step in steps]
    return LayerTrace(
        layer=name,
        spikes=np.array([sent[0] for sent, _ in kept]),
        current=np.array([state.current[0] for _, state in kept]),
        voltage=np.array([state.potential[0] for _, state in kept]),
        threshold=neuron.firing_level,
    )


def recorded_of(network: ChipNetwork, result: RunResult) -> tuple[tuple[LayerTrace, ...], str]:
    """Return what the run recorded of its first sample, by layer; and a sentence about it."""
    levels = {name: neuron.firing_level for name, neuron in network.groups.items()}
    traces = tuple(
        LayerTrace(
            layer=layer,
            threshold=levels.get(layer),
            **{
                _FIELDS[name.quantity]: values[0][:_MOST_STEPS]
                for name, values in result.traces.items()
                if name.layer == layer
            },
        )
        for layer in dict.fromkeys(name.layer for name in result.traces)
    )
    what = _beginning("first sample", result)
    return traces, f"The {what}, as the run on {result.backend} recorded it."


def _beginning(sample: str, result: RunResult) -> str:
    """Return what is shown of a sample, in words."""
    steps = result.counts.time_steps
    if steps <= _MOST_STEPS:
        return sample
    return f"first {count(_MOST_STEPS)} of {count(steps)} time steps of the {sample}"
