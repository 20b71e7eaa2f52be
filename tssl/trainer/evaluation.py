"""How well a network classifies, by the project's read-out and by the official code's."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import IntArray
from tssl.datasets import Dataset
from tssl.results import read_out
from tssl.trainer.linear import tf32
from tssl.trainer.network import Forward, SpikingNetwork
from tssl.trainer.samples import Samples


class Correct(NamedTuple):
    """How many predictions were right under the two read-outs."""

    spikes: int
    psp: int


@torch.no_grad()
def evaluate(network: SpikingNetwork, samples: Samples, part: slice = slice(None)) -> Correct:
    """Count correct predictions among (a part of) the samples."""
    network.eval()
    spikes: Tensor | int = 0
    psp: Tensor | int = 0
    order = np.arange(len(samples))[part]
    for inputs, labels in samples.batches(order, network.evaluation_batch):
        forward = network(inputs)
        on_device = labels.device.type != "cpu"  # nothing waits for it before the end
        spikes = spikes + (right_answers if on_device else correct)(forward, labels)
        psp = psp + (forward.output.psp.sum(dim=0).argmax(dim=1) == labels).sum()
    network.train()
    return Correct(int(spikes), int(psp))


@torch.no_grad()
def confusion(checkpoint: Checkpoint, samples: Samples) -> IntArray:
    """Return how often each class (row) was taken for each class (column)."""
    network = trained_network(checkpoint, checkpoint.plan).to(samples.levels.device).eval()
    classes = samples.dataset.classes
    counts = np.zeros((classes, classes), np.int64)
    with tf32(allowed=False):
        for inputs, labels in samples.batches(np.arange(len(samples)), network.evaluation_batch):
            np.add.at(counts, (labels.cpu().numpy(), predictions(network(inputs))), 1)
    return counts


def trained_network(checkpoint: Checkpoint, plan: ChipPlan | None = None) -> SpikingNetwork:
    """Return the network of a checkpoint with its weights, in floating point without a plan."""
    network = SpikingNetwork(checkpoint.recipe, checkpoint.input_shape, torch.Generator(), plan)
    network.load_weights(checkpoint.weights)
    return network


def predictions(forward: Forward) -> IntArray:
    """Return the predicted classes ``(batch,)`` by the project's read-out."""
    spikes = forward.output.spikes.detach().transpose(0, 1).cpu().numpy().astype(np.uint8)
    voltage = forward.output.voltage[-1].detach().cpu().numpy()
    return read_out(spikes, voltage)


def correct(forward: Forward, labels: Tensor) -> int:
    """Count correct predictions by the project's read-out."""
    return int((predictions(forward) == labels.cpu().numpy()).sum())


def right_answers(forward: Forward, labels: Tensor) -> Tensor:
    """Return :func:`correct`, without axes, where the tensors are; nothing waits for a device."""
    spikes = forward.output.spikes.detach()
    counts = spikes.sum(dim=0)
    remaining = torch.arange(len(spikes), 0, -1, device=spikes.device, dtype=spikes.dtype)
    earliness = (spikes * remaining.view(-1, 1, 1)).sum(dim=0)
    most = counts == counts.amax(dim=1, keepdim=True)
    by_spikes = torch.where(most, earliness, -1.0).argmax(dim=1)
    by_potential = forward.output.voltage[-1].detach().argmax(dim=1)
    return (torch.where(counts.any(dim=1), by_spikes, by_potential) == labels).sum()


def float_accuracy(checkpoint: Checkpoint, dataset: Dataset, samples: int) -> float:
    """Return the accuracy of a trained network in floating point, by the project's read-out.

    Parameters
    ----------
    samples
        Only the first so many are used.
    """
    network = trained_network(checkpoint)
    indices = np.arange(min(samples, len(dataset.labels)))
    neuron, steps = checkpoint.input_neuron, checkpoint.recipe.network.time_steps
    first = Samples.encoded(dataset, indices, checkpoint.encoding, "cpu", neuron, steps)
    return evaluate(network, first).spikes / len(indices)
