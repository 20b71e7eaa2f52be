"""Run any .net file on the engine, with a numpy array as its input.

    python examples/run_any_net.py runs/example/digits-loihi2.net --largest 16

The file may be one of tssl or of lava-dl. The input is spikes, 0 or 1, or integers where the
network takes graded spikes.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import tssl
from tssl import netx


def main() -> None:
    """Feed random spikes and print how many each layer fires for each sample."""
    parser = argparse.ArgumentParser(description="Run any .net file on random spikes.")
    parser.add_argument("net", type=Path)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--largest", type=int, default=1, help="more than 1: graded spikes")
    options = parser.parse_args()

    network = netx.read(options.net)
    print(f"{network.name}: input {network.input.shape}, {len(network.layers)} layers")
    shape = (options.samples, options.steps, *network.input.shape)
    spikes = np.random.default_rng(0).integers(0, options.largest + 1, shape)

    with TemporaryDirectory() as folder:
        given = Path(folder) / "spikes.npy"
        np.save(given, spikes)
        outcome = tssl.run(options.net, input=given, out=Path(folder) / "result", progress=False)

    result = outcome.result  # arrays: (samples, layers) and (samples, time, outputs)
    for sample, counts in enumerate(result.spike_counts):
        fired = ", ".join(
            f"{layer} {count}" for layer, count in zip(result.counts.layers, counts, strict=True)
        )
        print(f"sample {sample}: {fired} spikes; class {result.predictions[sample]}")
    print(f"output spikes {result.output_spikes.shape}: {result.output_spikes.sum()} in all")


if __name__ == "__main__":
    main()
