"""How the output of a network is read, and how good what was read is: classes, or numbers.

Trainer, export, results and reports ask a read-out; none of them asks what the task is. Its score
is 1 where everything is right, and the higher the better: the share of right classes, or R².
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tssl.chip.connections import Train
from tssl.chip.numbers import IntArray
from tssl.errors import DataError, RangeError
from tssl.wording import several

__all__ = ["CLASS", "ClassReadOut", "ReadOut", "ValueReadOut", "read_out_of"]

Array = NDArray[Any]


class ReadOut(ABC):
    """What is read from the output of a network."""

    name: ClassVar[str]
    measure: ClassVar[str]
    """What its score is called, for people."""
    key: ClassVar[str]
    """Under which the score stands among the figures."""
    targets: ClassVar[str]
    """What samples have that it can be compared with, for people."""

    @abstractmethod
    def answers(
        self, output_spikes: Train, output_potential: Array, *, graded: bool = False
    ) -> Array:
        """Return what a network says of each sample, ``(samples, ...)``.

        Parameters
        ----------
        output_spikes
            ``(samples, time, outputs)``.
        output_potential
            After the last step, ``(samples, outputs)``.
        graded
            Whether the output sends values.
        """

    @abstractmethod
    def takes(self, outputs: int) -> bool:
        """Return whether a network may have so many outputs."""

    @abstractmethod
    def credits(self, answers: Array, targets: Array, among: Array) -> NDArray[np.float64]:
        """Return what each sample adds to the mean that is the score, ``(samples,)``.

        Parameters
        ----------
        among
            Targets of all samples that the score is over.
        """

    @abstractmethod
    def figures(self, answers: Array, targets: Array) -> dict[str, float]:
        """Return what is said of some answers, by name."""

    @abstractmethod
    def fitting(self, values: Array, samples: int, outputs: int) -> Array:
        """Return given targets in the form that is kept.

        Raises
        ------
        DataError
            When they are none of this kind; the message goes on from the name of what holds them.
        """

    def said(self, figures: Mapping[str, float]) -> str:
        """Return figures in words."""
        return f"{self.measure} {figures[self.key]:.2%}"

    def score(self, answers: Array, targets: Array) -> float:
        """Return how good answers are."""
        return float(self.credits(answers, targets, targets).mean())

    def asked(self, targets: Array) -> Array:
        """Return what the output of a network in training should be."""
        return targets

    @property
    def in_training(self) -> "ReadOut":
        """What reads the output of a network in training, beside :meth:`asked`."""
        return self

    def per_unit(self, unit: float) -> "ReadOut":
        """Return the one for a network that counts ``unit`` for a one of the trained network."""
        del unit  # which decides nothing where outputs are only compared
        return self

    @property
    def document(self) -> dict[str, Any] | None:
        """What :func:`read_out_of` takes, as JSON data."""
        return None


@dataclass(frozen=True)
class ClassReadOut(ReadOut):
    """The class with the most output spikes.

    Between equals it is the one whose spikes came earlier; then the lower index. Where no output of
    a sample ever fires, the largest membrane potential decides. Neurons that send values are read
    by the largest potential, which is their value after the last step.

    Parameters
    ----------
    neurons_per_class
        Outputs, one behind the other, that vote for a class: their spikes, and their potentials,
        add up.

    Raises
    ------
    RangeError
        When it is no whole number above 0.
    """

    name: ClassVar[str] = "class"
    measure: ClassVar[str] = "accuracy"
    key: ClassVar[str] = "accuracy"
    targets: ClassVar[str] = "classes"

    neurons_per_class: int = 1

    def __post_init__(self) -> None:
        if type(self.neurons_per_class) is not int or self.neurons_per_class < 1:
            raise RangeError(
                f"read-out of classes: neurons_per_class = {self.neurons_per_class!r:.40}; a whole "
                "number from 1 on is needed"
            )

    def answers(
        self, output_spikes: Train, output_potential: Array, *, graded: bool = False
    ) -> IntArray:
        """Return classes, ``(samples,)``."""
        output_spikes, output_potential = map(self._votes, (output_spikes, output_potential))
        if graded:
            return output_potential.argmax(axis=1)
        time_steps = output_spikes.shape[1]
        counts = output_spikes.sum(axis=1, dtype=np.int64)
        earliness = np.tensordot(time_steps - np.arange(time_steps), output_spikes, axes=(0, 1))
        most = counts == counts.max(axis=1, keepdims=True)
        earliest = np.where(most, earliness.astype(np.int64), -1).argmax(axis=1)
        return np.where(counts.any(axis=1), earliest, output_potential.argmax(axis=1))

    def _votes(self, values: Array) -> Array:
        """Return the sums ``(..., classes)`` of values ``(..., outputs)``."""
        if self.neurons_per_class == 1:
            return values
        kind = values.dtype if values.dtype.kind == "f" else np.int64
        votes = values.reshape(*values.shape[:-1], -1, self.neurons_per_class)
        return np.asarray(votes.sum(axis=-1, dtype=kind))

    def takes(self, outputs: int) -> bool:
        """Return whether all classes have as many neurons."""
        return outputs % self.neurons_per_class == 0

    def credits(self, answers: Array, targets: Array, among: Array) -> NDArray[np.float64]:
        """Return 1 for a sample that is right and 0 for another."""
        del among  # each sample is right or wrong by itself
        return np.asarray(answers == targets, np.float64)

    def figures(self, answers: Array, targets: Array) -> dict[str, float]:
        """Return the accuracy."""
        return {self.key: self.score(answers, targets)}

    def fitting(self, values: Array, samples: int, outputs: int) -> IntArray:
        """Return classes, ``(samples,)``."""
        if values.shape != (samples,):
            raise DataError(
                f"of shape {values.shape}; one for each sample, ({samples},), is needed"
            )
        classes = outputs // self.neurons_per_class
        wrong = [
            each
            for each in values.tolist()
            if not (isinstance(each, int | float) and each in range(classes))
        ]
        if wrong:
            raise DataError(
                f"holds {wrong[0]!r:.40}; whole numbers from 0 to {classes - 1} are needed, one "
                f"for each of the network's {classes} "
                f"{'outputs' if classes == outputs else 'classes'}"
            )
        return values.astype(np.int64)

    @property
    def document(self) -> dict[str, Any] | None:
        """What :func:`read_out_of` takes, as JSON data; None for one neuron of each class."""
        votes = self.neurons_per_class
        return None if votes == 1 else {"neurons_per_class": votes}


@dataclass(frozen=True)
class ValueReadOut(ReadOut):
    """The output's own numbers, ``offset + gain * potential`` after the last step.

    Parameters
    ----------
    gain, offset
        Of each output.

    Raises
    ------
    RangeError
        When they are not finite numbers, or a gain is 0.
    """

    name: ClassVar[str] = "value"
    measure: ClassVar[str] = "R²"
    key: ClassVar[str] = "r2"
    targets: ClassVar[str] = "numbers"

    gain: tuple[float, ...]
    offset: tuple[float, ...]

    def __post_init__(self) -> None:
        numbers = [*self.gain, *self.offset]
        are_numbers = all(type(each) in (int, float) and math.isfinite(each) for each in numbers)
        if not are_numbers or not all(self.gain) or len(self.gain) != len(self.offset):
            raise RangeError(
                f"read-out of values: gain = {self.gain!r:.60}, offset = {self.offset!r:.60}; a "
                "finite number of each is needed for every output, and no gain of 0"
            )

    @classmethod
    def over(cls, targets: Array) -> "ValueReadOut":
        """Return the one in whose units targets ``(samples, outputs)`` have mean 0, deviation 1."""
        spread = targets.std(axis=0)
        gain = np.where(spread > 0, spread, 1.0)
        return cls(tuple(gain.tolist()), tuple(targets.mean(axis=0).tolist()))

    def answers(
        self, output_spikes: Train, output_potential: Array, *, graded: bool = False
    ) -> NDArray[np.float64]:
        """Return numbers, ``(samples, outputs)``."""
        del output_spikes, graded
        return np.asarray(output_potential * np.array(self.gain) + np.array(self.offset))

    def takes(self, outputs: int) -> bool:
        """Return whether there is a gain for each output."""
        return outputs == len(self.gain)

    def credits(self, answers: Array, targets: Array, among: Array) -> NDArray[np.float64]:
        """Return 1 less the squared error over the variance, the mean over the outputs.

        Targets that are all equal have no variance: the squared gain takes its place.
        """
        variance = among.var(axis=0)
        unit = np.where(variance > 0, variance, np.square(self.gain))
        return np.asarray(1 - (np.square(answers - targets) / unit).mean(axis=1))

    def figures(self, answers: Array, targets: Array) -> dict[str, float]:
        """Return R² and the mean squared error, each the mean over the outputs."""
        error = float(np.square(answers - targets).mean())
        return {self.key: self.score(answers, targets), "mse": error}

    def said(self, figures: Mapping[str, float]) -> str:
        """Return figures in words."""
        return f"R² {figures[self.key]:.4f}, MSE {figures['mse']:.4g}"

    def fitting(self, values: Array, samples: int, outputs: int) -> NDArray[np.float64]:
        """Return numbers, ``(samples, outputs)``."""
        if values.shape == (samples,):
            values = values[:, None]
        if values.dtype.kind not in "iuf" or values.shape != (samples, outputs):
            raise DataError(
                f"is {values.dtype} of shape {values.shape}; "
                f"{several(outputs, 'number')} for each sample, ({samples}, {outputs}), are needed"
            )
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise DataError(f"holds {values[row].tolist()} for sample {row}; numbers are needed")
        return values.astype(np.float64)

    def asked(self, targets: Array) -> NDArray[np.float64]:
        """Return targets in units of the read-out."""
        return np.asarray((targets - np.array(self.offset)) / np.array(self.gain))

    @property
    def in_training(self) -> "ValueReadOut":
        """The output of a network in training is in units of the read-out."""
        return ValueReadOut((1.0,) * len(self.gain), (0.0,) * len(self.gain))

    def per_unit(self, unit: float) -> "ValueReadOut":
        """Return the one for a network that counts ``unit`` for a one of the trained network."""
        return ValueReadOut(tuple(each / unit for each in self.gain), self.offset)

    @property
    def document(self) -> dict[str, Any]:
        """What :func:`read_out_of` takes, as JSON data."""
        return {"gain": list(self.gain), "offset": list(self.offset)}


CLASS = ClassReadOut()
"""Of a neuron for each class."""


def read_out_of(document: Any) -> ReadOut:  # noqa: ANN401 - unvalidated JSON
    """Return the read-out in a document; that of a neuron for each class where there is none.

    Raises
    ------
    RangeError, TypeError
        When it is not one.
    """
    if document is None:
        return CLASS
    if "neurons_per_class" in document:
        return ClassReadOut(**document)
    return ValueReadOut(**{name: tuple(values) for name, values in document.items()})
