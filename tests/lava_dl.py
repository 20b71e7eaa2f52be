"""Running the lines that tssl shows, with lava-dl alone, in an interpreter without tssl."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tssl.chip import INPUT, ChipNetwork, IntArray, cuba_run
from tssl.engine import run_chunk
from tssl.lava_runtime.plain import SHIMS_FILE, shims_source

_GIVEN = """
import numpy as np
train, steps_of_a_sample = np.load("input.npy"), {steps}
sample = train[0, 0].reshape({shape})
"""

# Fed and read with Lava's own processes alone. What a sample's step t of those that start behind
# Lava's step t0 does to layer l is seen at t0 + t + l; input neurons are layer 0.
_RUN = """
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

samples = train.shape[1]
total, block = samples * steps_of_a_sample, hasattr(net.in_layer, "transform")
depths = [index + (not block) for index in range(len(net.layers))]
sinks = [Sink(shape=layer.out.shape, buffer=total + depths[-1]) for layer in net.layers]
for layer, sink in zip(net.layers, sinks):
    layer.out.connect(sink.a_in)
if not block:
    frames = np.broadcast_to(train, (steps_of_a_sample, *train.shape[1:]))
    frames = frames.transpose(1, 0, 2).reshape(total, -1)
    data = [frame.reshape(net.inp.shape[::-1]).T for frame in frames]
    data += [np.zeros(net.inp.shape)] * depths[-1]
    source = Source(data=np.stack(data, axis=-1))
    source.s_out.connect(net.inp)
now = 0


def run_until(step):
    global now
    if step > now:
        net.run(RunSteps(step - now), Loihi2SimCfg(select_tag="fixed_pt"))
        now = step


if block:
    for number in range(1, samples):
        run_until(number * steps_of_a_sample)
        bias.set(train[0, number].reshape(bias.shape[::-1]).T.astype(np.int32))
found = {}
for index, (layer, depth) in enumerate(zip(net.layers, depths)):
    run_until(total + depth)
    found[f"u{index}"] = layer.neuron.u.get().T.reshape(-1)
    found[f"v{index}"] = layer.neuron.v.get().T.reshape(-1)
for index, (sink, depth) in enumerate(zip(sinks, depths)):
    rows = sink.data.get()[..., depth : depth + total]
    found[f"spikes{index}"] = np.stack([rows[..., t].T.reshape(-1) for t in range(total)])
net.stop()
np.savez("found.npz", **found)
"""


class LayerState(NamedTuple):
    """What a layer did in all samples, and its state behind the last one."""

    spikes: IntArray
    """``(time, samples, neurons)``."""
    current: IntArray
    """``(neurons,)``."""
    potential: IntArray


def run_code(python: str, folder: Path, code: str, train: IntArray) -> None:
    """Run code in a folder that gets the input and the shims; nothing of tssl is in reach."""
    shutil.copyfile(shims_source(), folder / SHIMS_FILE)
    np.save(folder / "input.npy", train)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ran = subprocess.run(
        [python, "-c", code], cwd=folder, env=environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=200, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def run_lines(
    python: str,
    folder: Path,
    lines: Sequence[str],
    network: ChipNetwork,
    train: IntArray,
    steps: int,
) -> list[LayerState]:
    """Run lines that load a network, with the files of a folder, and all samples through it."""
    given = _GIVEN.format(steps=steps, shape=network.input.shape)
    run_code(python, folder, "\n".join([given, *lines, _RUN]), train)
    with np.load(folder / "found.npz") as found:
        count = sum(name.startswith("spikes") for name in found)
        return [
            LayerState(
                found[f"spikes{index}"].reshape(train.shape[1], steps, -1).transpose(1, 0, 2),
                found[f"u{index}"],
                found[f"v{index}"],
            )
            for index in range(count)
        ]


def expected_states(network: ChipNetwork, train: IntArray, steps: int) -> list[LayerState]:
    """Return what the engine and ``tssl.chip`` say about the same samples."""
    trains = run_chunk(network, train, steps).trains
    states = []
    if network.input.neuron is not None:
        run = cuba_run(network.input.neuron, np.zeros((1, *train.shape[1:]), int), train[0], steps)
        states.append(LayerState(trains[INPUT], run.state.current[-1], run.state.potential[-1]))
    for layer in network.layers:
        state = layer.run({"input": train, **trains}, steps).state
        states.append(LayerState(trains[layer.name], state.current[-1], state.potential[-1]))
    return states


def equal(ours: Sequence[LayerState], theirs: Sequence[LayerState]) -> bool:
    """Return whether all numbers of all layers are the same."""
    assert len(ours) == len(theirs)
    pairs = list(zip(sum(ours, ()), sum(theirs, ()), strict=True))
    assert all(left.shape == right.shape for left, right in pairs)
    return all(np.array_equal(left, right) for left, right in pairs)
