"""What a network says of samples that is run as its user runs it, by modules of PyTorch."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tssl.checkpoint import Checkpoint
from tssl.chip import BoolArray
from tssl.datasets import Dataset
from tssl.trainer.samples import Samples

__all__ = ["Answers", "Steps", "answers_by_potentials", "answers_by_steps"]

_BATCH = 250


class Steps(Protocol):
    """Modules that fire, a step at a time."""

    @property
    def is_read(self) -> bool:
        """Whether potentials leave the last layer, and no spikes."""

    def rest(self) -> None:
        """Begin with a new batch."""

    def __call__(self, signal: Any) -> Any:  # noqa: ANN401 - tensors of any shape
        """Return the spikes of the last layer, or its potentials, ``(batch, ...)``."""


class Answers(NamedTuple):
    """Which samples are right, ``(samples,)``, and in which several classes are the first."""

    right: BoolArray
    tied: BoolArray


def answers_by_steps(
    steps: Steps,
    module: nn.Module,
    shape: tuple[int, ...],
    checkpoint: Checkpoint,
    dataset: Dataset,
    samples: int,
) -> Answers:
    """Return what the class is right for that fires most often; of several, the first one.

    Where potentials are read, it is the class of the largest one after the last step.

    Parameters
    ----------
    module
        Whose parameters say where, and in which precision, to compute.
    shape
        Of a sample at a step.
    samples
        Only the first so many are taken.
    """

    def scores(inputs: Tensor) -> Tensor:
        steps.rest()
        frames = list(inputs) if dataset.time_steps or inputs.dim() == 5 else None
        if frames is None:
            frames = [inputs] * checkpoint.recipe.network.time_steps
        sent = [steps(frame.reshape(-1, *shape)).flatten(1) for frame in frames]
        return sent[-1] if steps.is_read else torch.stack(sent).sum(dim=0)

    return _answers(scores, module, checkpoint, dataset, samples)


def answers_by_potentials(
    module: nn.Module,
    shape: tuple[int, ...],
    checkpoint: Checkpoint,
    dataset: Dataset,
    samples: int,
) -> Answers:
    """Return the same of ``tssl.nn``: the class is right whose potentials have the largest sum."""

    def scores(inputs: Tensor) -> Tensor:
        leading = inputs.shape[: 1 + bool(dataset.time_steps or inputs.dim() == 5)]
        potentials: Tensor = module(inputs.reshape(*leading, *shape))
        return potentials.sum(dim=0).flatten(1)

    return _answers(scores, module, checkpoint, dataset, samples)


@torch.no_grad()
def _answers(
    scores: Callable[[Tensor], Tensor],
    module: nn.Module,
    checkpoint: Checkpoint,
    dataset: Dataset,
    samples: int,
) -> Answers:
    like = next(module.parameters())
    found = _samples(checkpoint, dataset, min(samples, len(dataset.labels)))
    right, tied = [], []
    for inputs, labels in found.batches(np.arange(len(found)), _BATCH):
        values = scores(inputs.to(like.device, like.dtype))
        right.append((values.argmax(dim=1).cpu() == labels.cpu()).numpy())
        most = values == values.amax(dim=1, keepdim=True)
        tied.append((most.sum(dim=1) > 1).cpu().numpy())
    return Answers(np.concatenate(right), np.concatenate(tied))


def _samples(checkpoint: Checkpoint, dataset: Dataset, samples: int) -> Samples:
    """Return the first samples as they are: graded values before they are rounded."""
    encoding, neuron = checkpoint.encoding, checkpoint.input_neuron
    found = Samples.encoded(
        dataset,
        np.arange(samples),
        encoding,
        "cpu",
        neuron,
        checkpoint.recipe.network.time_steps,
        checkpoint.read_out,
    )
    if found.levels.dim() > 1 or neuron is not None:  # a pixel enters as spikes
        return found
    pixels: NDArray[np.float64] = np.arange(dataset.full_scale + 1, dtype=np.float64)
    exact = (pixels - encoding.offset) * encoding.gain * encoding.quantum
    return replace(found, levels=torch.from_numpy(exact).float())
