"""Samples per second of the engine beside Lava's CPU simulator, in one run.

Lava's rate is the slope between a short and a long run, so its start-up is excluded. Usage:
``python benchmarks/engine.py`` or ``make bench``.
"""

import time
from itertools import pairwise

import numpy as np

from tssl.chip import ChipNetwork, CubaNeuron, DenseLayer, InputLayer
from tssl.lava_runtime import Backend
from tssl.lava_runtime.engine import Engine
from tssl.lava_runtime.lava_sim import LavaSim

SIZES = (784, 400, 400, 10)
TIME_STEPS = 5
LAVA_SAMPLES = (50, 350)
ENGINE_SAMPLES = 40_000


def network(rng: np.random.Generator) -> ChipNetwork:
    """Return 784-400-400-10 with random weights that fires about as a trained one does."""
    layers, source = [], "input"
    for index, (inputs, neurons) in enumerate(pairwise(SIZES), start=1):
        weight = rng.integers(-60, 61, (neurons, inputs)) * 2
        threshold = 50_000 if index == 1 else 1_500
        neuron = CubaNeuron(current_decay=1365, voltage_decay=819, threshold=threshold)
        name = f"dense{index}"
        layers.append(DenseLayer(name=name, source=source, weight=weight, neuron=neuron))
        source = name
    return ChipNetwork(name="mlp", input=InputLayer(shape=(SIZES[0],)), layers=tuple(layers))


def seconds(backend: Backend, chip: ChipNetwork, train: np.ndarray) -> tuple[float, int]:
    """Return wall time and output spikes of a run."""
    started = time.perf_counter()
    spikes = 0
    for _, recording in backend.run(chip, train, TIME_STEPS, lambda _: None):
        spikes += int(recording.trains[chip.output.name].sum())
    return time.perf_counter() - started, spikes


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(0)
    chip = network(rng)
    train = rng.integers(0, 24, (1, ENGINE_SAMPLES, SIZES[0]))
    short, long = LAVA_SAMPLES
    before, _ = seconds(LavaSim(), chip, train[:, :short])
    after, lava_spikes = seconds(LavaSim(), chip, train[:, :long])
    lava = (long - short) / (after - before)
    _, engine_spikes = seconds(Engine(), chip, train[:, :long])
    duration, _ = seconds(Engine(), chip, train)
    engine = ENGINE_SAMPLES / duration
    print(f"{'-'.join(map(str, SIZES))}, {TIME_STEPS} steps, all spikes recorded")
    print(f"output spikes of {long} samples: engine {engine_spikes}, Lava {lava_spikes}")
    print(f"Lava    {lava:8.0f} samples/s (start-up of {before - short / lava:.1f} s excluded)")
    print(f"engine  {engine:8.0f} samples/s")
    print(f"ratio   {engine / lava:8.0f}")


if __name__ == "__main__":
    main()
