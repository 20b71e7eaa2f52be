"""TSSL-BP layers in a training loop of one's own, from there to Lava and to an energy figure.

    python examples/own_network.py --epochs 10 --backend sim

The layers of ``tssl.nn`` are modules of PyTorch whose backward pass is TSSL-BP; all around them is
ordinary PyTorch.
"""

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

import tssl


def main() -> None:
    """Train on scikit-learn's digits, export, run, and price a sample."""
    parser = argparse.ArgumentParser(description="TSSL-BP layers in a loop of one's own.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--backend", choices=["engine", "sim"], default="engine")
    parser.add_argument("--out", type=Path, default=Path("runs/own"), help="a new folder")
    options = parser.parse_args()
    torch.manual_seed(0)
    network = tssl.nn.Sequential(tssl.nn.Dense(64, 128), tssl.nn.Dense(128, 10), time_steps=5)
    for layer in network.layers:  # neurons that never fire learn slowly
        layer.weight.data *= 1.4
    pictures, labels = map(torch.tensor, load_digits(return_X_y=True))
    pictures = pictures.float().reshape(-1, 1, 8, 8) / 16
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for epoch in range(options.epochs):
        for batch in torch.randperm(1437).split(32):
            wanted = nn.functional.one_hot(labels[batch], 10)  # a potential of 1 for the class
            loss = (network(pictures[batch]) - wanted).square().sum() / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = network(pictures[1437:]).sum(0).argmax(1) == labels[1437:]
        print(f"epoch {epoch + 1}: test accuracy {right.float().mean():.2%}")

    # The same pictures as integers 0...16, which is what the network was shown, times 16.
    run = tssl.from_torch(network, pictures[:1], data="digits", encoding={"resolution": 16},
                          out=options.out)  # fmt: skip
    chip = tssl.export(run, target="loihi2", lava=options.backend == "sim")
    print(f"proof: {chip.proof.verdict}, accuracy as integers {chip.chip_accuracy:.2%}")
    result = tssl.run(chip, backend=options.backend, out=options.out / "result")
    print(f"accuracy on {options.backend}: {result.result.accuracy:.2%}")
    (cost,) = tssl.report(result, "loihi2").priced
    print(f"energy of a sample: {cost.total.value:.3g} J ({cost.total.kind})")


if __name__ == "__main__":
    main()
