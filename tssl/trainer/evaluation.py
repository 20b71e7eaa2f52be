"""How good a network is, by the project's read-out and by the official code's."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.checkpoint import Checkpoint, ChipPlan
from tssl.chip import CLASS, ReadOut
from tssl.datasets import Dataset
from tssl.trainer.answer_kernels import right_classes
from tssl.trainer.linear import tf32
from tssl.trainer.network import Forward, SpikingNetwork
from tssl.trainer.samples import Samples


class Correct(NamedTuple):
    """Sums of what the samples add to the score: of classes, how many were right."""

    spikes: float
    psp: float
    """By the official code's read-out, which is for classes; otherwise the same."""


@torch.no_grad()
def evaluate(network: SpikingNetwork, samples: Samples, part: slice = slice(None)) -> Correct:
    """Return how good the network is at (a part of) the samples."""
    network.eval()
    spikes: Tensor | float = 0.0
    psp: Tensor | float = 0.0
    order = np.arange(len(samples))[part]
    for inputs, labels in samples.batches(order, network.evaluation_batch):
        forward = network(inputs)
        own = credit(forward, labels, samples)
        spikes = spikes + own
        psp = psp + (_right_by_psp(forward, labels) if samples.read_out is CLASS else own)
    network.train()
    return Correct(float(spikes), float(psp))


def _right_by_psp(forward: Forward, labels: Tensor) -> Tensor:
    """Return how many samples are right by the official code's read-out."""
    return (forward.output.psp.sum(dim=0).flatten(1).argmax(dim=1) == labels).sum()


@torch.no_grad()
def said_and_wanted(checkpoint: Checkpoint, samples: Samples) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what a network says of samples, and what is wanted.

    Both are classes ``(samples,)``, or numbers ``(samples, outputs)``.
    """
    network = trained_network(checkpoint, checkpoint.plan).to(samples.levels.device).eval()
    order = np.arange(len(samples))
    with tf32(allowed=False):
        found = [
            answers(network(inputs), samples.read_out)
            for inputs, _ in samples.batches(order, network.evaluation_batch)
        ]
    return np.concatenate(found), samples.dataset.labels[samples.indices]


def trained_network(checkpoint: Checkpoint, plan: ChipPlan | None = None) -> SpikingNetwork:
    """Return the network of a checkpoint with its weights, in floating point without a plan."""
    network = SpikingNetwork(
        checkpoint.recipe, checkpoint.input_shape, torch.Generator(), plan, checkpoint.read_out
    )
    network.load_weights(checkpoint.weights)
    return network


def answers(forward: Forward, read_out: ReadOut) -> NDArray[Any]:
    """Return what a network says of each sample of a batch."""
    spikes, voltage = (each.cpu().numpy() for each in _sent(forward))
    return read_out.answers(spikes.swapaxes(0, 1).astype(np.uint8), voltage)


def _sent(forward: Forward) -> tuple[Tensor, Tensor]:
    """Return spikes ``(time, samples, outputs)`` and last potentials; an output may have maps."""
    spikes, voltage = forward.output.spikes.detach(), forward.output.voltage[-1].detach()
    return spikes.flatten(2), voltage.flatten(1)


def credit(forward: Forward, targets: Tensor, samples: Samples) -> Tensor | float:
    """Return what a batch of samples adds to the sum of which the score is the mean."""
    read_out = samples.read_out.in_training
    if read_out is CLASS:
        return right_answers(forward, targets)
    said = answers(forward, read_out)
    return float(read_out.credits(said, targets.cpu().numpy(), samples.targets).sum())


def right_answers(forward: Forward, labels: Tensor) -> Tensor | float:
    """Return how many classes are right; on a GPU without axes, and nothing waits for it."""
    spikes, voltage = _sent(forward)
    if labels.device.type == "cpu":
        return float(right_classes(spikes.numpy(), voltage.numpy(), labels.numpy()))
    return right_on_device(spikes, voltage, labels)


def right_on_device(spikes: Tensor, voltage: Tensor, labels: Tensor) -> Tensor:
    """Return the same by PyTorch's operations, on any device.

    Parameters
    ----------
    spikes
        ``(time, batch, classes)``.
    voltage
        After the last step, ``(batch, classes)``.
    labels
        ``(batch,)``.
    """
    counts = spikes.sum(dim=0)
    remaining = torch.arange(len(spikes), 0, -1, device=spikes.device, dtype=spikes.dtype)
    earliness = (spikes * remaining.view(-1, 1, 1)).sum(dim=0)
    most = counts == counts.amax(dim=1, keepdim=True)
    by_spikes = torch.where(most, earliness, -1.0).argmax(dim=1)
    by_potential = voltage.argmax(dim=1)
    return (torch.where(counts.any(dim=1), by_spikes, by_potential) == labels).sum()


def float_accuracy(checkpoint: Checkpoint, dataset: Dataset, samples: int) -> float:
    """Return the score of a trained network in floating point, by the project's read-out.

    Parameters
    ----------
    samples
        Only the first so many are used.
    """
    network = trained_network(checkpoint)
    indices = np.arange(min(samples, len(dataset.labels)))
    neuron, steps = checkpoint.input_neuron, checkpoint.recipe.network.time_steps
    first = Samples.encoded(
        dataset, indices, checkpoint.encoding, "cpu", neuron, steps, checkpoint.read_out
    )
    return evaluate(network, first).spikes / len(indices)
