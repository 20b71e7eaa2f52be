"""A look inside a network while the first sample of a result runs again."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tssl import datasets
from tssl.chip import INPUT, ChipNetwork, IntArray, Layer
from tssl.errors import TsslError
from tssl.reporting import LayerTrace
from tssl.results import RunResult
from tssl.workflow.inputs import InputChoice, completed, load_inputs

_DATA_SET = re.compile(r"(?P<name>[^,]+), (?P<split>train|test) split")


def traces_of(
    network: ChipNetwork, result: RunResult, net: Path
) -> tuple[tuple[LayerTrace, ...], str]:
    """Return what every layer did in the first sample, or nothing; and a sentence about it.

    The sample is run again from the data that the result names, and shown only when its
    output spikes are those of the result.
    """
    choice = _choice(result)
    if choice is None or network.input.neuron is not None:
        return (), "Not shown: the result does not say which input could be run again."
    try:
        inputs = load_inputs(network, completed(choice, net))
    except TsslError as error:
        return (), f"Not shown: the input cannot be loaded: {error}."
    traces = _run(network, inputs.train[:, :1], result.counts.time_steps)
    if not np.array_equal(traces[-1].spikes, result.output_spikes[0] != 0):
        return (), "Not shown: the first sample gives other output spikes than the result."
    return traces, f"The first sample of {result.data}, run again: same output spikes."


def _choice(result: RunResult) -> InputChoice | None:
    steps = result.counts.time_steps
    match = _DATA_SET.fullmatch(result.data)
    if match and match["name"] in datasets.DATASETS:
        return InputChoice(data=match["name"], split=match["split"], samples=1, steps=steps)
    path = Path(result.data)
    if path.suffix == ".npy" and path.is_file():
        return InputChoice(file=path, samples=1)
    return None


def _run(network: ChipNetwork, train: IntArray, time_steps: int) -> tuple[LayerTrace, ...]:
    trains: dict[str, Any] = {INPUT: train}
    traces = []
    for layer in network.layers:
        trace = _trace(layer, trains, time_steps)
        trains[layer.name] = trace.spikes[:, None].astype(np.int64)
        traces.append(trace)
    return tuple(traces)


def _trace(layer: Layer, trains: Mapping[str, IntArray], time_steps: int) -> LayerTrace:
    """Run a layer and keep its states, all ``(time, neurons)``."""
    steps = list(layer.steps(trains, time_steps))
    return LayerTrace(
        layer=layer.name,
        spikes=np.array([step.spikes[0] for step in steps]),
        current=np.array([step.state.current[0] for step in steps]),
        voltage=np.array([step.state.voltage[0] for step in steps]),
    )
