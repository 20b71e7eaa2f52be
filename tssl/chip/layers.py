"""The layers of a chip network: their integers, what they compute, where spikes go.

Spike trains are ``(time, batch, neurons)`` with feature maps flattened in (C, H, W)
order. A train of time length 1 stands for an input that is the same at every step.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl.chip.cuba import CubaNeuron, CubaRun, cuba_run, cuba_step
from tssl.chip.numbers import (
    ACTIVATION_SHIFT,
    INT32_LIMIT,
    BoolArray,
    IntArray,
    exact_product,
    wrapped_convolution,
)
from tssl.chip.synapses import stored_shift
from tssl.errors import RangeError, UnsupportedLayerError

Shape = tuple[int, ...]
Pair = tuple[int, int]
Train = NDArray[np.integer[Any]]

INTEGRATOR = CubaNeuron(current_decay=0, voltage_decay=4096, threshold=131072)
"""What Lava puts in a layer without a neuron group: it adds up its input and never fires."""

MAX_DELAY = 62
MOST_NEURONS = 1 << 24
"""Of one layer: sixteen Loihi 2 chips full, and what its state takes still fits into memory."""
_UNFOLD_BYTES = 64 << 20


def frozen_integers(values: object) -> IntArray:
    """Return a read-only int64 copy of an array of whole numbers.

    Raises
    ------
    RangeError
        When an entry is not a finite whole number.
    """
    given = np.asarray(values)
    with np.errstate(invalid="ignore"):  # casting NaN; noticed by the comparison below
        array = given.astype(np.int64)
    if not np.array_equal(array, given):
        raise RangeError("weights and biases of a chip network must be finite whole numbers")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer(ABC):
    """A group of CUBA neurons and the synapses that lead to it.

    Parameters
    ----------
    name, source
        Its own name and the name of the layer it listens to (``"input"`` for the input).
    weight
        Whole numbers as the chip multiplies them.
    neuron
        Parameters of the neurons of the layer.
    bias
        Mantissa added to the membrane potential at every step, ``(neurons,)`` or scalar 0.
    """

    name: str
    source: str
    weight: IntArray
    neuron: CubaNeuron
    bias: IntArray = field(default_factory=lambda: np.zeros((), np.int64))

    @property
    @abstractmethod
    def input_shape(self) -> Shape:
        """Shape of one step of input, (C, H, W) or (neurons,)."""

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Shape of one step of output."""

    @abstractmethod
    def run(self, train: Train, time_steps: int) -> CubaRun:
        """Return what the neurons do when ``train`` arrives, without transport delay."""

    @abstractmethod
    def reached(self, train: Train) -> BoolArray:
        """Return which neurons receive at least one spike through a non-zero weight."""

    @abstractmethod
    def fan_out(self) -> IntArray:
        """Return the non-zero synapses that a spike of each input drives, ``(inputs,)``."""

    @property
    def inputs(self) -> int:
        """Number of input neurons."""
        return math.prod(self.input_shape)

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return math.prod(self.output_shape)

    @property
    def weight_bits(self) -> int:
        """Bits per weight, sign included; even weights spend none on the lowest bit."""
        step = 1 if (self.weight % 2).any() else 2
        smallest, largest = int(self.weight.min()), int(self.weight.max())
        return max(largest // step, -smallest // step - 1, 0).bit_length() + 1

    def _store(self, weight_dimensions: int) -> None:
        """Keep read-only copies of the arrays and check what every layer must fulfil."""
        object.__setattr__(self, "weight", frozen_integers(self.weight))
        object.__setattr__(self, "bias", frozen_integers(self.bias))
        if self.weight.ndim != weight_dimensions or self.weight.size == 0:
            raise UnsupportedLayerError(
                f"layer {self.name}: weights of shape {self.weight.shape}; "
                f"{weight_dimensions} non-empty dimensions are expected"
            )

    def _check_neurons(self) -> None:
        """Check what there is one of for each neuron."""
        self.neuron.check_size(f"layer {self.name}", self.neurons)
        if self.bias.shape == ():
            object.__setattr__(self, "bias", np.broadcast_to(self.bias, (self.neurons,)))
        if self.bias.shape != (self.neurons,):
            raise UnsupportedLayerError(
                f"layer {self.name}: bias of shape {self.bias.shape}; expected ({self.neurons},)"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseLayer(Layer):
    """All-to-all synapses, ``weight`` of shape ``(neurons, inputs)``.

    Parameters
    ----------
    delay
        Steps that a spike spends in the synapse, 0...62, of ``weight``'s shape, or None.
    """

    delay: IntArray | None = None

    def __post_init__(self) -> None:
        self._store(weight_dimensions=2)
        self._check_neurons()
        if self.delay is not None:
            delay = frozen_integers(self.delay)
            _check_delay(self.name, delay, self.weight.shape)
            object.__setattr__(self, "delay", delay if delay.any() else None)

    @property
    def input_shape(self) -> Shape:
        return (self.weight.shape[1],)

    @property
    def output_shape(self) -> Shape:
        return (self.weight.shape[0],)

    def activation(self, train: Train, time_steps: int) -> IntArray:
        """Return the weighted sums ``(time or 1, batch, neurons)``."""
        return dense_activation(self.name, self.weight, train, self.delay, time_steps)

    def run(self, train: Train, time_steps: int) -> CubaRun:
        return cuba_run(self.neuron, self.activation(train, time_steps), self.bias, time_steps)

    def reached(self, train: Train) -> BoolArray:
        steps = len(train)
        present = (self.weight != 0).astype(np.int64)
        return _delayed_product(_nonzero(train), present, self.delay, steps) > 0

    def fan_out(self) -> IntArray:
        return np.asarray((self.weight != 0).sum(axis=0), np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class RecurrentLayer(Layer):
    """Dense synapses plus synapses among the layer's own neurons, one step delayed.

    Parameters
    ----------
    recurrent_weight
        ``(neurons, neurons)``; column = sending neuron.
    """

    recurrent_weight: IntArray

    def __post_init__(self) -> None:
        self._store(weight_dimensions=2)
        self._check_neurons()
        object.__setattr__(self, "recurrent_weight", frozen_integers(self.recurrent_weight))
        if self.recurrent_weight.shape != (self.neurons, self.neurons):
            raise UnsupportedLayerError(
                f"layer {self.name}: recurrent weights of shape {self.recurrent_weight.shape}; "
                f"expected ({self.neurons}, {self.neurons})"
            )

    @property
    def input_shape(self) -> Shape:
        return (self.weight.shape[1],)

    @property
    def output_shape(self) -> Shape:
        return (self.weight.shape[0],)

    def run(self, train: Train, time_steps: int) -> CubaRun:
        external = dense_activation(self.name, self.weight, train, None, time_steps)
        external = np.broadcast_to(external, (time_steps, *external.shape[1:]))
        spikes = np.zeros(external.shape, np.uint8)
        state = self.neuron.rest(external.shape[1:])
        own = np.zeros(external.shape[1:], np.int64)
        for step in range(time_steps):
            activation = external[step] + exact_product(own, self.recurrent_weight)
            spikes[step], state = cuba_step(self.neuron, state, activation, self.bias)
            own = spikes[step].astype(np.int64)
        return CubaRun(spikes, state)

    def reached(self, train: Train) -> BoolArray:
        return _delayed_product(_nonzero(train), (self.weight != 0) * 1, None, len(train)) > 0

    def fan_out(self) -> IntArray:
        return np.asarray((self.weight != 0).sum(axis=0), np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvLayer(Layer):
    """Two-dimensional cross-correlation with zero padding, as ``torch.nn.Conv2d``.

    Parameters
    ----------
    weight
        ``(out channels, in channels / groups, kernel height, kernel width)``.
    map_shape
        Shape (C, H, W) of the input.
    stride, padding, dilation
        (height, width).
    groups
        Groups of channels that do not see each other.
    """

    map_shape: tuple[int, int, int]
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        self._store(weight_dimensions=4)
        self._check_geometry()
        channels = self.map_shape[0]
        if channels != self.weight.shape[1] * self.groups or self.weight.shape[0] % self.groups:
            raise UnsupportedLayerError(
                f"layer {self.name}: weights {self.weight.shape} with {self.groups} group(s) "
                f"do not fit an input of {channels} channel(s)"
            )
        if min(self.output_shape) < 1:
            raise UnsupportedLayerError(
                f"layer {self.name}: kernel {self.weight.shape[2:]} is larger than its "
                f"input {self.map_shape}"
            )
        if self.neurons > MOST_NEURONS:
            raise UnsupportedLayerError(
                f"layer {self.name}: {self.neurons} neurons; at most {MOST_NEURONS} are expected"
            )
        if self.bias.shape == (self.weight.shape[0],):
            per_neuron = np.repeat(self.bias, self.output_shape[1] * self.output_shape[2])
            object.__setattr__(self, "bias", frozen_integers(per_neuron))
        self._check_neurons()

    @property
    def input_shape(self) -> Shape:
        return self.map_shape

    @property
    def output_shape(self) -> Shape:
        height, width = (
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, pad, dilation, kernel, stride in zip(
                self.map_shape[1:],
                self.padding,
                self.dilation,
                self.weight.shape[2:],
                self.stride,
                strict=True,
            )
        )
        return (self.weight.shape[0], height, width)

    def activation(self, train: Train, time_steps: int) -> IntArray:
        """Return the weighted sums ``(time or 1, batch, neurons)``."""
        return wrapped_convolution(self._correlate(train, self.weight))

    def run(self, train: Train, time_steps: int) -> CubaRun:
        return cuba_run(self.neuron, self.activation(train, time_steps), self.bias, time_steps)

    def reached(self, train: Train) -> BoolArray:
        return self._correlate(_nonzero(train), (self.weight != 0).astype(np.int64)) > 0

    def fan_out(self) -> IntArray:
        taps = (self.weight != 0).reshape(self.groups, -1, *self.weight.shape[1:]).sum(axis=1)
        taps = taps.reshape(self.map_shape[0], *self.weight.shape[2:])
        used = np.zeros(self.map_shape, np.int64)
        for row, column in np.ndindex(*self.weight.shape[2:]):
            rows = self._pixels(axis=0, tap=row)
            columns = self._pixels(axis=1, tap=column)
            used[:, rows[:, None], columns] += taps[:, row, column][:, None, None]
        return used.reshape(-1)

    def _check_geometry(self) -> None:
        if self.groups < 1:
            raise UnsupportedLayerError(
                f"layer {self.name}: groups = {self.groups}; at least 1 is expected"
            )
        for name, smallest in (("stride", 1), ("dilation", 1), ("padding", 0)):
            value = getattr(self, name)
            if min(value) < smallest:
                raise UnsupportedLayerError(
                    f"layer {self.name}: {name} = {value}; at least {smallest} is expected"
                )

    def _pixels(self, *, axis: int, tap: int) -> IntArray:
        """Return the input rows (or columns) that kernel tap ``tap`` reads."""
        outputs = np.arange(self.output_shape[1 + axis])
        at = outputs * self.stride[axis] + tap * self.dilation[axis] - self.padding[axis]
        return np.asarray(at[(at >= 0) & (at < self.map_shape[1 + axis])], np.int64)

    def _correlate(self, train: Train, weight: IntArray) -> IntArray:
        """Return the correlation, ``(time, batch, neurons)``, in slices of bounded memory."""
        images = train.reshape(-1, *self.map_shape)
        result = np.empty((len(images), self.neurons), np.int64)
        positions = self.output_shape[1] * self.output_shape[2]
        step = max(1, _UNFOLD_BYTES // (8 * positions * weight[0].size * self.groups))
        for first in range(0, len(images), step):
            part = images[first : first + step]
            result[first : first + step] = self._correlate_images(part, weight)
        return result.reshape(*train.shape[:2], self.neurons)

    def _correlate_images(self, images: Train, weight: IntArray) -> IntArray:
        patches = self._patches(images)
        out_channels = len(weight) // self.groups
        parts = []
        for group in range(self.groups):
            rows = patches[:, :, group * weight.shape[1] : (group + 1) * weight.shape[1]]
            kernels = weight[group * out_channels : (group + 1) * out_channels]
            product = exact_product(
                rows.reshape(-1, kernels[0].size), kernels.reshape(out_channels, -1)
            )
            parts.append(product.reshape(len(images), -1, out_channels))
        return np.concatenate(parts, axis=2).transpose(0, 2, 1).reshape(len(images), -1)

    def _patches(self, images: Train) -> IntArray:
        """Return what each output position sees, ``(images, positions, C, kh, kw)``."""
        (pad_y, pad_x), (dil_y, dil_x) = self.padding, self.dilation
        padded = np.pad(images.astype(np.int64), ((0, 0), (0, 0), (pad_y, pad_y), (pad_x, pad_x)))
        height, width = self.weight.shape[2:]
        extent = (dil_y * (height - 1) + 1, dil_x * (width - 1) + 1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, extent, axis=(2, 3))
        windows = windows[:, :, :: self.stride[0], :: self.stride[1], ::dil_y, ::dil_x]
        positions = windows.transpose(0, 2, 3, 1, 4, 5)
        return positions.reshape(len(images), -1, *positions.shape[3:])


def dense_activation(
    name: str, weight: IntArray, train: Train, delay: IntArray | None, time_steps: int
) -> IntArray:
    """Return the weighted sums of a spike train, ``(time or 1, batch, neurons)``.

    Raises
    ------
    RangeError
        When a sum would overflow the 32 bits in which Lava forms it.
    """
    sums = _delayed_product(train, weight, delay, time_steps)
    largest = int(np.abs(sums).max(initial=0))
    if largest << max(ACTIVATION_SHIFT, stored_shift(weight)) >= INT32_LIMIT:
        raise RangeError(
            f"layer {name}: a weighted input sum of {largest} overflows 32 bits; "
            "use smaller inputs or weights"
        )
    return sums


def _delayed_product(
    train: Train, weight: IntArray, delay: IntArray | None, time_steps: int
) -> IntArray:
    """Return ``Σ_d (weight where delay = d) · train[t - d]``."""
    if delay is None:
        rows = train.reshape(-1, train.shape[-1]).astype(np.int64)
        return exact_product(rows, weight).reshape(*train.shape[:2], len(weight))
    train = np.broadcast_to(train, (time_steps, *train.shape[1:]))
    sums = np.zeros((*train.shape[:2], len(weight)), np.int64)
    for steps in np.unique(delay):
        if steps < time_steps:
            chosen = np.where(delay == steps, weight, 0)
            early = train[: time_steps - steps]
            sums[steps:] += _delayed_product(early, chosen, None, time_steps)
    return sums


def _nonzero(train: Train) -> IntArray:
    return (train != 0).astype(np.int64)


def _check_delay(name: str, delay: IntArray, shape: Shape) -> None:
    if delay.shape != shape:
        raise UnsupportedLayerError(
            f"layer {name}: delays of shape {delay.shape} for weights of shape {shape}"
        )
    if delay.min() < 0 or delay.max() > MAX_DELAY:
        raise RangeError(
            f"layer {name}: delays {delay.min()}..{delay.max()} are outside 0..{MAX_DELAY}"
        )
