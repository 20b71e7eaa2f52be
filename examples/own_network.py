"""TSSL-BP as a layer of an own PyTorch model with an own training loop.

    python examples/own_network.py --epochs 10

``psp`` turns spikes into post-synaptic potentials, ``tssl_bp`` a weighted input into those of a
layer of spiking neurons; its backward pass is TSSL-BP. All between them is ordinary PyTorch.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from tssl.trainer import psp, tssl_bp

TIME_STEPS, TAU_M, TAU_S = 5, 5.0, 3.0


class Network(nn.Module):
    """64 inputs, 128 spiking neurons, 10 spiking outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 128, bias=False), nn.Linear(128, 10, bias=False))
        for layer in self.layers:  # neurons that never fire learn slowly: start with large weights
            nn.init.normal_(layer.weight, std=2.0 / layer.in_features**0.5)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the outputs' post-synaptic potentials, (time, batch, 10)."""
        potentials = psp((pictures.float() / 16).expand(TIME_STEPS, -1, -1), tau_s=TAU_S)
        for layer in self.layers:
            potentials = tssl_bp(layer(potentials), tau_m=TAU_M, tau_s=TAU_S, threshold=1.0)
        return potentials


def main() -> None:
    """Train on scikit-learn's digits and print the test accuracy of each epoch."""
    parser = argparse.ArgumentParser(description="TSSL-BP in an own PyTorch model.")
    parser.add_argument("--epochs", type=int, default=10)
    epochs = parser.parse_args().epochs
    torch.manual_seed(0)
    pictures, labels = map(torch.tensor, load_digits(return_X_y=True))
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for epoch in range(epochs):
        for batch in torch.randperm(1437).split(32):
            wanted = nn.functional.one_hot(labels[batch], 10)  # a potential of 1 for the class
            loss = (network(pictures[batch]) - wanted).square().sum() / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = network(pictures[1437:]).sum(0).argmax(1) == labels[1437:]
        print(f"epoch {epoch + 1}: test accuracy {right.float().mean():.2%}")


if __name__ == "__main__":
    main()
