"""Batches of network input from the integers of a data set."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tssl.chip import CLASS, Encoding, IntArray, Neuron, ReadOut
from tssl.datasets import Dataset
from tssl.recipe import AugmentationSpec, EncodingSpec, TrainingSpec
from tssl.trainer.sample_kernels import BYTES, chosen, looked_up

Pixels = NDArray[np.uint8]


def chip_encoding(spec: EncodingSpec, unit: int, zero: int = 0) -> Encoding:
    """Return the integer encoding of a recipe for pixels that are 0 at ``zero``, 1 a unit above."""
    return Encoding(
        offset=zero + spec.mean * unit,
        gain=spec.resolution / (spec.std * unit),
        quantum=spec.quantum,
        steps=spec.steps,
    )


def split(training: TrainingSpec, samples: int) -> tuple[IntArray, IntArray]:
    """Return which samples of a training set are trained on and which are held out, by the seed."""
    order = np.random.default_rng((training.seed, 1)).permutation(samples)
    held_out = round(samples * training.validation)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


@dataclass(frozen=True, eq=False)
class Samples:
    """Part of a data set, with the table that encodes its pixels."""

    dataset: Dataset
    indices: IntArray
    levels: Tensor
    """Network input for every possible pixel value, ``(values,)``; of input neurons, the spikes
    that they fire, and of times, the spikes that they mean, ``(values, time)``."""
    read_out: ReadOut = CLASS
    """Of the network."""

    @classmethod
    def encoded(
        cls,
        dataset: Dataset,
        indices: IntArray,
        encoding: Encoding,
        device: str,
        neuron: Neuron | None = None,
        time_steps: int = 1,
        read_out: ReadOut = CLASS,
    ) -> "Samples":
        """Return samples that yield their batches on ``device``.

        Parameters
        ----------
        neuron, time_steps
            Of the input neurons, where there are some, and of a sample for them. Those that send
            changes say what arrives at them.
        """
        integers = encoding.integers(np.arange(dataset.full_scale + 1))
        levels: NDArray[np.number] = integers
        if neuron is not None and neuron.fed_by_bias:
            levels = input_spikes(neuron, integers, time_steps).T
        elif encoding.steps is not None:
            levels = encoding.train(integers, encoding.steps)[:, :, 0].T
        table = torch.from_numpy(levels * encoding.quantum).float().to(device)
        return cls(dataset, indices, table, read_out)

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def targets(self) -> NDArray[Any]:
        """What the last layer should say of each sample: classes, or numbers in its units."""
        asked = self.read_out.asked(self.dataset.labels[self.indices])
        return asked.astype(np.float32) if asked.dtype.kind == "f" else asked

    def pixels(self, order: IntArray) -> tuple[Pixels, NDArray[Any]]:
        """Return chosen samples as published ``(batch, ...)`` and their targets."""
        return np.asarray(self.dataset.inputs[self.indices[order]]), self.targets[order]

    def encode(self, pixels: Pixels) -> Tensor:
        """Return network input ``(batch, C, H, W)``; with time in front of events and spikes."""
        if pixels.ndim == 5:  # events, (batch, time, C, H, W)
            pixels = pixels.swapaxes(0, 1)
        inputs = self._levels_of(pixels)
        return inputs.movedim(-1, 0).contiguous() if self.levels.dim() == 2 else inputs

    def _levels_of(self, pixels: Pixels) -> Tensor:
        if self._has_byte_table and pixels.dtype == np.uint8:
            return torch.from_numpy(looked_up(pixels, self.levels.numpy()))
        if self.levels.is_cpu:  # where PyTorch takes three times as long as numpy
            return torch.from_numpy(np.take(self.levels.numpy(), pixels, axis=0))
        return self.levels[sent(pixels, self.levels.device).int()]

    def batch(self, order: IntArray) -> tuple[Tensor, Tensor]:
        """Return inputs as of :meth:`encode`, and targets, of chosen samples."""
        device, pictures = self.levels.device, self.dataset.inputs
        if self._has_byte_table and _is_plain(pictures):
            rows = self.indices[order]
            inputs = torch.from_numpy(chosen(pictures, rows, self.levels.numpy()))
            return inputs, sent(self.targets[order], device)
        pixels, labels = self.pixels(order)
        return self.encode(pixels), sent(labels, device)

    def batches(self, order: IntArray, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs as of :meth:`encode` and targets in the given order."""
        for first in range(0, len(order), size):
            yield self.batch(order[first : first + size])

    @property
    def _has_byte_table(self) -> bool:
        return self.levels.is_cpu and self.levels.shape == (BYTES,)


def _is_plain(pictures: object) -> TypeGuard[Pixels]:
    """Return whether pictures ``(samples, C, H, W)`` lie in memory as compiled loops expect."""
    if type(pictures) is not np.ndarray:  # data sets may have arrays of their own
        return False
    return pictures.dtype == np.uint8 and pictures.ndim == 4 and pictures.flags.c_contiguous


def sent(array: NDArray[Any], device: torch.device | str) -> Tensor:
    """Return an array on a device; nothing waits for a GPU."""
    tensor = torch.from_numpy(array)
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def input_spikes(neuron: Neuron, bias: NDArray[Any], time_steps: int) -> NDArray[np.uint8]:
    """Return what neurons without synapses fire, ``(time, *bias.shape)``."""
    silence = np.zeros((1, *bias.shape), np.int64)
    spikes: NDArray[np.uint8] = neuron.run(silence, bias, time_steps).spikes
    return spikes


def augmented(
    pixels: Pixels, spec: AugmentationSpec, rng: np.random.Generator, zero: int = 0
) -> Pixels:
    """Move and mirror pictures ``(..., C, H, W)`` at random, one draw per sample (first axis).

    What moves in has the value ``zero``.
    """
    if spec.crop_padding:
        pixels = _moved(pixels, spec.crop_padding, rng, zero)
    if spec.flip:
        mirrored = rng.random(len(pixels)) < 0.5
        pixels = pixels.copy()
        pixels[mirrored] = pixels[mirrored][..., ::-1]
    return pixels


def _moved(pixels: Pixels, padding: int, rng: np.random.Generator, zero: int) -> Pixels:
    around = [(0, 0)] * (pixels.ndim - 2) + [(padding, padding)] * 2
    padded = np.pad(pixels, around, constant_values=zero)
    height, width = pixels.shape[-2:]
    moved = np.empty_like(pixels)
    corners = rng.integers(0, 2 * padding + 1, (len(pixels), 2))
    for sample, (top, left) in enumerate(corners):
        moved[sample] = padded[sample, ..., top : top + height, left : left + width]
    return moved
