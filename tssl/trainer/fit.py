"""The training loop."""

import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tssl.checkpoint import Checkpoint, ChipPlan, input_neuron
from tssl.chip import CLASS, IntArray
from tssl.datasets import Dataset
from tssl.errors import ConfigError, TrainingError
from tssl.graph import resolve
from tssl.machine.heap import give_back_memory, keep_freed_memory
from tssl.machine.processor import processor
from tssl.recipe import Recipe
from tssl.trainer.batches import Batch, Batches
from tssl.trainer.checks import check_data, check_plan, check_precision
from tssl.trainer.device_steps import SETTLE_EVERY, CudaGraphs, DeviceSteps
from tssl.trainer.evaluation import Correct, credit, evaluate
from tssl.trainer.linear import tf32
from tssl.trainer.memory import check_size, explained_shortage
from tssl.trainer.network import Forward, SpikingNetwork
from tssl.trainer.objective import Objective
from tssl.trainer.optimization import (
    learning_rate,
    make_optimizer,
    optimizer_step,
    set_learning_rate,
)
from tssl.trainer.parallel import Group, is_first_process
from tssl.trainer.progress import EpochMetrics, LayerMetrics, TrainingProgress, Watcher
from tssl.trainer.run_directory import RunDirectory
from tssl.trainer.run_state import RunState, save_run_state
from tssl.trainer.samples import Samples, chip_encoding, split
from tssl.trainer.wake import wake_silent_layers
from tssl.version import __version__

_WAKING_SAMPLES = 100
_INTEGER_PART = 4
"""One in so many epochs of a run that begins in floating point is in integers: the last ones."""

Planner = Callable[[Checkpoint], ChipPlan]
"""Chooses the grid of the chip's integers for a trained network."""


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
    origin
        Trained network whose weights, and plan, a new run starts from.
    planner
        Needed where ``training.forward = 'chip'`` and there is no plan: the run begins in floating
        point, and asks for one when its last quarter begins, or when its patience is over.
    data_folders
        Folders in which the data were looked for first, by the data set's name: noted for those
        who read them again.
    """

    def __init__(
        self,
        recipe: Recipe,
        run: RunDirectory,
        train: Dataset,
        test: Dataset,
        device: str,
        origin: Checkpoint | None = None,
        planner: Planner | None = None,
        data_folders: Mapping[str, str] | None = None,
    ) -> None:
        self.recipe, self.run, self._planner = recipe, run, planner
        self._data_folders = dict(data_folders or {})
        check_precision(recipe, device)
        state = run.read_state()
        stored_plan = None if state is None else state.plan()
        plan = stored_plan if origin is None else origin.plan
        self.input_shape = _sample_shape(train)
        graph = resolve(recipe.network, self.input_shape)
        check_plan(recipe, plan)
        self.group = Group(device)
        self.encoding = chip_encoding(recipe.encoding, train.unit or train.full_scale, train.zero)
        check_data(recipe, graph, train)
        generator = torch.Generator().manual_seed(recipe.training.seed)
        device = self.group.device
        check_size(graph, torch.device(device))
        self.read_out = train.read_out
        network = SpikingNetwork(recipe, self.input_shape, generator, plan, self.read_out)
        if recipe.training.forward == "chip":
            network.method.check_integers()
        self.objective = Objective(network, recipe.training.operations_penalty, self.group)
        self.network = network.to(device)
        self.network.noise = torch.Generator(device)
        self.optimizer = make_optimizer(self.network, recipe.training)
        self.train, self.validation = self._split(train, device)
        self.batches = Batches(self.train, recipe, self.group)
        self.network.method.begin(len(self.train))
        self.test = self._samples(test, np.arange(len(test.labels)), device)
        self.progress = self._progress(state, origin)
        self.model = self.group.wrap(self.network)
        self.device_steps = self._device_steps(device)
        """Steps that nothing waits for; None where each is looked at when it is done."""
        self.settle_every = SETTLE_EVERY

    def _progress(self, state: RunState | None, origin: Checkpoint | None) -> TrainingProgress:
        """Give the network the weights that it goes on from; return how far the run is."""
        progress = TrainingProgress()
        if state is not None:
            progress = state.restore(self.recipe, self.network, self.optimizer)
        elif origin is not None:
            self.network.load_weights(origin.weights)
        else:
            first, _ = next(self.train.batches(np.arange(len(self.train)), _WAKING_SAMPLES))
            with tf32(allowed=False):
                wake_silent_layers(self.network, first, self.recipe.training.smallest_rate)
        progress.measure = self.read_out.measure
        return progress

    def _device_steps(self, device: str) -> DeviceSteps | None:
        is_alone_on_gpu = torch.device(device).type == "cuda" and self.group.size == 1
        if not is_alone_on_gpu or self.train.read_out is not CLASS:
            return None
        graphs = CudaGraphs(self.network.noise)
        return DeviceSteps(
            self.network, self.optimizer, self.recipe.training, self.objective.loss, graphs
        )

    @property
    def plan(self) -> ChipPlan | None:
        """The grid of integers that it trains on; None in floating point."""
        return self.network.plan

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or nothing got better for too long."""
        if self.has_integers_ahead:
            return False
        return self.progress.epoch >= self.recipe.training.epochs or self._is_out_of_patience

    @property
    def has_integers_ahead(self) -> bool:
        """Whether it trains in floating point now, and in the chip's integers later."""
        return self.recipe.training.forward == "chip" and self.plan is None

    @property
    def _is_out_of_patience(self) -> bool:
        patience = self.recipe.training.patience
        return bool(patience) and self.progress.epochs_without_better >= patience

    def fit(self, watcher: Watcher) -> bool:
        """Train until the last epoch or until the watcher stops it.

        Returns
        -------
        finished
            False when stopped; the state is on disk either way.

        Raises
        ------
        TrainingError
            When the loss or its gradient is not a finite number, or memory runs out.
        ConfigError
            When another process trains, or has just trained, in the folder.
        """
        keep_freed_memory()
        try:
            with self._alone(), tf32(allowed=False):
                return self._train(watcher)
        finally:
            give_back_memory()

    def _train(self, watcher: Watcher) -> bool:
        while not self.is_finished:
            self._begin_integers_when_due()
            if not self._train_epoch(watcher):
                self.save_state()
                return False
            metrics, layers = self._finish_epoch()
            watcher.epoch_done(metrics, layers)
        return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not is_first_process():
            yield
            return
        with self.run.alone():
            self.run.check_unchanged(self.progress)
            yield

    def _begin_integers_when_due(self) -> None:
        """Plan, and compute with the chip's integers from this epoch on."""
        progress, epochs = self.progress, self.recipe.training.epochs
        is_due = progress.epoch >= float_epochs(epochs) or self._is_out_of_patience
        if not self.has_integers_ahead or progress.batch or not is_due:
            return
        if self._planner is None:
            raise TypeError("training.forward = 'chip' needs a plan or a planner")
        self.network.compute_on(self._planner(self._checkpoint(progress.metrics[-1])))
        self.model = self.group.wrap(self.network)
        progress.integers_from = progress.epoch

    def _train_epoch(self, watcher: Watcher) -> bool:
        training, progress = self.recipe.training, self.progress
        set_learning_rate(self.optimizer, learning_rate(training, progress.epoch))
        for batch in self.batches.of_epoch(progress.epoch, progress.batch):
            if self._stop_requested(watcher):
                self._settle()
                return False
            with (
                explained_shortage(self.network, len(batch.samples)),
                tf32(allowed=training.precision == "tf32"),
            ):
                self._train_batch(batch)
            is_last = batch.done == len(self.train)
            if self._settle(is_due=is_last or not progress.batch % self.settle_every):
                watcher.batch_done(progress, samples=batch.done)
        return True

    def _settle(self, *, is_due: bool = True) -> bool:
        """Return whether the sums are those of all batches, after looking if it is due."""
        if self.device_steps is None or not is_due:
            return self.device_steps is None
        started = time.perf_counter()
        self.device_steps.settle(self.progress, self._check_finite)
        self.progress.seconds += time.perf_counter() - started
        return True

    def _stop_requested(self, watcher: Watcher) -> bool:
        return self.group.totals([watcher.stop_requested()])[0] > 0

    def _train_batch(self, batch: Batch) -> None:
        progress, started = self.progress, time.perf_counter()
        inputs, labels = self.batches.load(batch)
        self.network.noise.manual_seed(batch.seed)
        self.network.method.take(batch.samples[self.group.share])
        if self.device_steps is not None:
            self.device_steps.do(inputs, labels)
        else:
            self._do_now(inputs, labels, len(batch.samples))
        progress.batch += 1
        progress.seconds += time.perf_counter() - started

    def _do_now(self, inputs: Tensor, labels: Tensor, samples: int) -> None:
        progress = self.progress
        forward, loss = self.objective.learn(self.model, inputs, labels, samples)
        right = credit(forward, labels, self.train)
        value, right = self.group.totals([float(loss), float(right)])
        self._check_finite("loss", value, progress.batch)
        norm = optimizer_step(self.network, self.optimizer, self.recipe.training)
        self.group.average(self.network.averages)  # each process saw a part of the batch
        # NaN potentials never fire: no NaN loss
        self._check_finite("gradient's norm", norm, progress.batch)
        progress.add(self.network.loss.total(value, samples), right, self._activity(forward))

    def _activity(self, forward: Forward) -> dict[str, list[float]]:
        """Return what the layers did, of all processes: neuron-steps, spikes and fallbacks."""
        return {
            name: self.group.totals(
                [float(layer.neuron_steps), float(layer.spikes), float(layer.fallbacks)]
            )
            for name, layer in forward.activity.items()
        }

    def _check_finite(self, what: str, value: float, batch: int) -> None:
        if math.isfinite(value):
            return
        kept = f"the last good weights are in {self.run.last}" if self.progress.epoch else "none"
        raise TrainingError(
            f"epoch {self.progress.epoch + 1}, batch {batch + 1}: "
            f"the {what} is {value}{self._culprit()}; lower training.lr "
            f"(now {self.recipe.training.lr}); kept: {kept}"
        )

    def _culprit(self) -> str:
        """Name the first layer with a weight or gradient that is not finite."""
        for name, weight in self.network.weights.items():
            for tensor, what in ((weight, "weights"), (weight.grad, "gradient")):
                if tensor is not None and not bool(tensor.isfinite().all()):
                    return f" (first in the {what} of layer {name})"
        return ""

    def _finish_epoch(self) -> tuple[EpochMetrics, list[LayerMetrics]]:
        progress = self.progress
        self.network.method.finish_epoch()
        validation, test = self._evaluate(self.validation), self._evaluate(self.test)
        held_out = len(self.validation)
        metrics = EpochMetrics(
            epoch=progress.epoch + 1,
            loss=progress.loss_sum / len(self.train),
            train_accuracy=progress.correct / len(self.train),
            validation_accuracy=validation.spikes / held_out if held_out else None,
            test_accuracy=test.spikes / len(self.test),
            test_accuracy_psp=test.psp / len(self.test),
            measure=progress.measure,
            firing_rate=progress.firing_rate,
            seconds=progress.seconds,
            samples_per_second=len(self.train) / max(progress.seconds, 1e-9),
        )
        layers = progress.layer_metrics()
        progress.finish_epoch(metrics)
        if is_first_process():
            self.run.save_checkpoint(self._checkpoint(metrics), is_best=progress.best == metrics)
            self.run.save_metrics(progress)
        self.save_state()
        return metrics, layers

    def _evaluate(self, samples: Samples) -> Correct:
        own = evaluate(self.network, samples, self.group.share)
        return Correct(*self.group.totals(own))

    def save_state(self) -> None:
        """Keep everything needed to go on bit for bit."""
        if is_first_process():
            self.save_start()
        self.group.barrier()

    def save_start(self) -> None:
        """Likewise before the first batch, for the first of several processes alone."""
        save_run_state(
            self.run.state,
            self.recipe,
            self.network,
            self.optimizer,
            self.progress,
            self.plan,
            self._data_folders,
        )

    def _checkpoint(self, metrics: EpochMetrics) -> Checkpoint:
        provenance: dict[str, Any] = {
            "tssl": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "processor": processor(),
            "data": self.train.dataset.source,
            "class_names": list(self.train.dataset.class_names),
            "fingerprint": self.train.dataset.fingerprint,
            "epoch": metrics.epoch,
            "test_accuracy": metrics.test_accuracy,
        }
        if metrics.validation_accuracy is not None:
            provenance["validation_accuracy"] = metrics.validation_accuracy
        if self._data_folders:
            provenance["data_folders"] = self._data_folders
        return Checkpoint(
            recipe=self.recipe,
            input_shape=self.input_shape,
            encoding=self.encoding,
            weights=self.network.numpy_weights(),
            provenance=provenance,
            plan=self.plan,
            read_out=self.read_out,
        )

    def _split(self, dataset: Dataset, device: str) -> tuple[Samples, Samples]:
        """Return the part to train on and the held-out part."""
        training, samples = self.recipe.training, len(dataset.labels)
        trained, held_out = split(training, samples)
        if training.patience and not len(held_out):
            raise ConfigError(
                f"training.patience = {training.patience} needs held-out samples, and "
                f"training.validation = {training.validation:g} of {samples} samples is none; "
                f"use at least {1 / samples:.1g}, or no patience"
            )
        return self._samples(dataset, trained, device), self._samples(dataset, held_out, device)

    def _samples(self, dataset: Dataset, indices: IntArray, device: str) -> Samples:
        neuron, steps = input_neuron(self.recipe.encoding), self.recipe.network.time_steps
        return Samples.encoded(
            dataset, indices, self.encoding, device, neuron, steps, self.read_out
        )


def float_epochs(epochs: int) -> int:
    """Return how many epochs of a run come before those in integers."""
    return epochs - -(-epochs // _INTEGER_PART)


def _sample_shape(dataset: Dataset) -> tuple[int, int, int]:
    channels, height, width = dataset.shape
    return channels, height, width
