"""The training loop."""

import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from tssl import __version__
from tssl.checkpoint import Checkpoint
from tssl.chip import Encoding, IntArray
from tssl.datasets import Dataset
from tssl.errors import ConfigError, DataError, TrainingError
from tssl.results import read_out
from tssl.spec import EncodingSpec, Recipe, TrainingSpec
from tssl.trainer.loss import loss_of
from tssl.trainer.network import Forward, SpikingNetwork
from tssl.trainer.run_directory import EpochMetrics, Progress, RunDirectory


class Watcher(Protocol):
    """Sees training go on, and may end it."""

    def batch_done(self, progress: Progress, *, samples: int) -> None:
        """Take note of a batch; ``samples`` were seen in this epoch so far."""

    def epoch_done(self, metrics: EpochMetrics) -> None:
        """Take note of an epoch, already on disk."""

    def stop_requested(self) -> bool:
        """Return whether to save and stop now."""


class Accuracy(NamedTuple):
    """Share of correct predictions under the two read-outs."""

    spikes: float
    psp: float


@dataclass(frozen=True)
class Samples:
    """Part of a data set, with the table that encodes its pixels."""

    dataset: Dataset
    indices: IntArray
    levels: Tensor
    """Network input for every possible pixel value."""

    def __len__(self) -> int:
        return len(self.indices)

    def batches(self, order: IntArray, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs ``(batch, C, H, W)`` and labels ``(batch,)`` in the given order."""
        for first in range(0, len(order), size):
            chosen = self.indices[order[first : first + size]]
            pixels = torch.from_numpy(self.dataset.inputs[chosen].astype(np.int64))
            labels = torch.from_numpy(self.dataset.labels[chosen])
            yield self.levels[pixels.to(self.levels.device)], labels.to(self.levels.device)


def chip_encoding(spec: EncodingSpec, full_scale: int) -> Encoding:
    """Return the integer encoding of a recipe for pixels in 0...full_scale."""
    return Encoding(
        offset=spec.mean * full_scale,
        gain=spec.resolution / (spec.std * full_scale),
        quantum=1 / spec.resolution,
    )


def make_optimizer(network: SpikingNetwork, training: TrainingSpec) -> torch.optim.Optimizer:
    """Return AdamW with the recipe's settings."""
    return torch.optim.AdamW(
        network.parameters(), lr=training.lr, weight_decay=training.weight_decay, fused=True
    )


def optimizer_step(
    network: SpikingNetwork, optimizer: torch.optim.Optimizer, loss: Tensor, training: TrainingSpec
) -> float:
    """Do backward, clip, AdamW and clamp; return the gradient's norm before clipping."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm)
    optimizer.step()
    with torch.no_grad():
        for weight in network.parameters():
            weight.clamp_(-training.weight_limit, training.weight_limit)
    return float(norm)


@torch.no_grad()
def evaluate(network: SpikingNetwork, samples: Samples) -> Accuracy:
    """Return the accuracy on all samples."""
    if not len(samples):
        return Accuracy(float("nan"), float("nan"))
    spikes = psp = 0
    for inputs, labels in samples.batches(np.arange(len(samples)), network.evaluation_batch):
        forward = network(inputs)
        spikes += _correct(forward, labels)
        psp += int((forward.output.psp.sum(dim=0).argmax(dim=1) == labels).sum())
    return Accuracy(spikes / len(samples), psp / len(samples))


class Fit:
    """One training run in its folder.

    Parameters
    ----------
    recipe
        What to train.
    run
        Folder of the run; when it holds a state, training goes on from there.
    train, test
        The two splits of the data set.
    device
        ``cpu`` or ``cuda``.
    """

    def __init__(
        self, recipe: Recipe, run: RunDirectory, train: Dataset, test: Dataset, device: str
    ) -> None:
        self.recipe, self.run = recipe, run
        self.encoding = chip_encoding(recipe.encoding, train.full_scale)
        self.input_shape = _image_shape(train)
        _check_classes(recipe, train)
        generator = torch.Generator().manual_seed(recipe.training.seed)
        self.network = SpikingNetwork(recipe, self.input_shape, generator).to(device)
        self.optimizer = make_optimizer(self.network, recipe.training)
        self.train, self.validation = self._split(train, device)
        self.test = self._samples(test, np.arange(len(test.labels)), device)
        self.progress = run.load_state(recipe, self.network, self.optimizer)

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.train) // self.recipe.training.batch_size)

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done."""
        return self.progress.epoch >= self.recipe.training.epochs

    def fit(self, watcher: Watcher) -> bool:
        """Train until the last epoch or until the watcher stops it.

        Returns
        -------
        finished
            False when stopped; the state is on disk either way.

        Raises
        ------
        TrainingError
            When the loss or its gradient is not a finite number.
        """
        while not self.is_finished:
            if not self._train_epoch(watcher):
                self.run.save_state(self.recipe, self.network, self.optimizer, self.progress)
                return False
            watcher.epoch_done(self._finish_epoch())
        return True

    def _train_epoch(self, watcher: Watcher) -> bool:
        training, progress = self.recipe.training, self.progress
        order = np.random.default_rng((training.seed, 2, progress.epoch))
        remaining = order.permutation(len(self.train))[progress.batch * training.batch_size :]
        seen = len(self.train) - len(remaining)
        for inputs, labels in self.train.batches(remaining, training.batch_size):
            if watcher.stop_requested():
                return False
            self._train_batch(inputs, labels)
            seen += len(labels)
            watcher.batch_done(progress, samples=seen)
        return True

    def _train_batch(self, inputs: Tensor, labels: Tensor) -> None:
        training, progress = self.recipe.training, self.progress
        started = time.perf_counter()
        forward = self.network(inputs)
        loss = loss_of(forward.output.psp, labels, training, tau_s=self.recipe.network.tau_s)
        value = float(loss.detach())
        self._check_finite("loss", value)
        norm = optimizer_step(self.network, self.optimizer, loss, training)
        self._check_finite("gradient's norm", norm)  # NaN potentials never fire: no NaN loss
        progress.batch += 1
        progress.loss_sum += value * (len(labels) if training.loss == "softmax" else 1)
        progress.correct += _correct(forward, labels)
        rates = [float(layer.spikes) / layer.neuron_steps for layer in forward.activity.values()]
        progress.rate_sum += sum(rates) / len(rates)
        progress.seconds += time.perf_counter() - started

    def _check_finite(self, what: str, value: float) -> None:
        if np.isfinite(value):
            return
        kept = f"the last good weights are in {self.run.last}" if self.progress.epoch else "none"
        raise TrainingError(
            f"epoch {self.progress.epoch + 1}, batch {self.progress.batch + 1}: "
            f"the {what} is {value}; lower training.lr "
            f"(now {self.recipe.training.lr}); kept: {kept}"
        )

    def _finish_epoch(self) -> EpochMetrics:
        progress = self.progress
        test = evaluate(self.network, self.test)
        metrics = EpochMetrics(
            epoch=progress.epoch + 1,
            loss=progress.loss_sum / len(self.train),
            train_accuracy=progress.correct / len(self.train),
            validation_accuracy=evaluate(self.network, self.validation).spikes,
            test_accuracy=test.spikes,
            test_accuracy_psp=test.psp,
            firing_rate=progress.rate_sum / self.batches,
            seconds=progress.seconds,
            samples_per_second=len(self.train) / max(progress.seconds, 1e-9),
        )
        progress.finish_epoch(metrics)
        self.run.save_checkpoint(self._checkpoint(metrics), is_best=progress.best == metrics)
        self.run.save_metrics(progress)
        self.run.save_state(self.recipe, self.network, self.optimizer, progress)
        return metrics

    def _checkpoint(self, metrics: EpochMetrics) -> Checkpoint:
        provenance = {
            "tssl": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "data": self.train.dataset.source,
            "epoch": metrics.epoch,
            "validation_accuracy": metrics.validation_accuracy,
            "test_accuracy": metrics.test_accuracy,
        }
        return Checkpoint(
            recipe=self.recipe,
            input_shape=self.input_shape,
            encoding=self.encoding,
            weights=self.network.numpy_weights(),
            provenance=provenance,
        )

    def _split(self, dataset: Dataset, device: str) -> tuple[Samples, Samples]:
        """Return the part to train on and the held-out part, chosen by the seed."""
        training = self.recipe.training
        order = np.random.default_rng((training.seed, 1)).permutation(len(dataset.labels))
        held_out = round(len(order) * training.validation)
        parts = np.sort(order[held_out:]), np.sort(order[:held_out])
        train, validation = (self._samples(dataset, part, device) for part in parts)
        return train, validation

    def _samples(self, dataset: Dataset, indices: IntArray, device: str) -> Samples:
        return _samples(dataset, indices, self.encoding, device)


def float_accuracy(checkpoint: Checkpoint, dataset: Dataset, samples: int) -> float:
    """Return the accuracy of a trained network in floating point, by the project's read-out.

    Parameters
    ----------
    samples
        Only the first so many are used.
    """
    network = SpikingNetwork(checkpoint.recipe, checkpoint.input_shape, torch.Generator())
    network.load_weights(checkpoint.weights)
    indices = np.arange(min(samples, len(dataset.labels)))
    return evaluate(network, _samples(dataset, indices, checkpoint.encoding, "cpu")).spikes


def choose_device(name: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        When CUDA is asked for and not there.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: PyTorch finds no CUDA device; use --device cpu")
    return name


def _correct(forward: Forward, labels: Tensor) -> int:
    """Count correct predictions by the project's read-out."""
    spikes = forward.output.spikes.detach().transpose(0, 1).cpu().numpy().astype(np.uint8)
    voltage = forward.output.voltage[-1].detach().cpu().numpy()
    return int((read_out(spikes, voltage) == labels.cpu().numpy()).sum())


def _image_shape(dataset: Dataset) -> tuple[int, int, int]:
    channels, height, width = dataset.inputs.shape[1:]
    return channels, height, width


def _check_classes(recipe: Recipe, dataset: Dataset) -> None:
    outputs = int(np.prod(recipe.network.shapes(_image_shape(dataset))[-1]))
    if outputs != dataset.classes:
        raise ConfigError(
            f"network.layers: the last layer has {outputs} neurons, but data set "
            f"{dataset.name} has {dataset.classes} classes"
        )
    if len(dataset.labels) < 2:
        raise DataError(f"data set {dataset.name}: too few samples to train on")


def _samples(dataset: Dataset, indices: IntArray, encoding: Encoding, device: str) -> Samples:
    pixels = np.arange(dataset.full_scale + 1)
    levels = encoding.integers(pixels) * encoding.quantum
    return Samples(dataset, indices, torch.from_numpy(levels).float().to(device))
