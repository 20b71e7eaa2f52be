"""What a layer needs to know of its neurons, whatever their kind."""

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tssl.chip.numbers import IntArray
from tssl.errors import UnsupportedLayerError

__all__ = ["Need", "Neuron", "Run", "Seen"]


class Seen(NamedTuple):
    """What everybody may ask of a state, whatever it is made of; ``(*batch, neurons)``."""

    current: IntArray
    """What has arrived."""
    potential: IntArray
    """What the neuron makes of it; the value that it stands for."""


class Need(NamedTuple):
    """Something that a chip must have for such neurons."""

    what: str
    """``memory``, ``current``, ``leak``, ``reset`` (to zero) or ``program``."""
    said: str
    """What neurons have, in words that go on from the name of a layer."""


class Run(NamedTuple):
    """What a group of neurons did over all time steps."""

    spikes: Any
    """What they sent, ``(time, batch, neurons)``, of type ``Neuron.sends``."""
    state: Any
    """After the last time step, of the neuron's own kind."""


class Neuron(ABC):
    """Parameters of a group of neurons of one kind, and the step that they make of them.

    A kind is a frozen dataclass: its fields are all that decides what it does, so that its
    ``repr`` tells networks apart.
    """

    kind: ClassVar[str]
    """Its name, for people."""
    sends: ClassVar[type[np.integer[Any]]] = np.uint8
    """Type of what it sends: bytes are spikes of 0 and 1, all others are messages of any value."""
    fed_by_bias: ClassVar[bool] = True
    """Whether neurons of the input take the data as their biases, or as what arrives."""
    bias_bits: ClassVar[int] = 16
    """In which Lava keeps a bias, its sign included; 0 where neurons have none."""
    places: ClassVar[tuple[str, ...]] = ("input", "layer")
    """Where such neurons can stand."""
    programmed: ClassVar[bool] = True
    """Whether Loihi 2 computes it by a program, and not in the circuit of its LIF neurons."""
    shift: ClassVar[int] = 0
    """By how many bits what arrives is shifted up; the result has 32."""

    @abstractmethod
    def rest(self, shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - each kind has its own
        """Return the state before the first time step."""

    @abstractmethod
    def step(
        self,
        state: Any,  # noqa: ANN401
        activation: IntArray,
        bias: IntArray | int = 0,
    ) -> tuple[Any, Any]:
        """Advance by one time step; return what is sent, and the new state.

        Parameters
        ----------
        activation
            What arrives, ``(*batch, neurons)``.
        bias
            A scalar, ``(neurons,)`` or ``(batch, neurons)``.

        Raises
        ------
        RangeError
            When what is sent has no room in a message.
        """

    @abstractmethod
    def seen(self, state: Any) -> Seen:  # noqa: ANN401
        """Return what is shown and compared of a state."""

    @property
    def graded(self) -> bool:
        """Whether what it sends has a value, where others send spikes of 0 and 1."""
        return self.sends is not np.uint8

    @property
    def needs(self) -> tuple[Need, ...]:
        """What a chip must have for them."""
        return (Need("program", f"has {self.kind} neurons"),)

    @property
    def decays(self) -> dict[str, IntArray]:
        """By what part of :data:`DECAY_ONE` states decay at a step, by the name of the state."""
        return {}

    @property
    def never_fires(self) -> bool:
        """Whether they send nothing, and their potential is read."""
        return False

    @property
    def firing_level(self) -> int | None:
        """Potential above which they fire, where it is one for all."""
        return None

    def as_cuba(self, who: str) -> Any:  # noqa: ANN401 - of a kind that is defined on top of this
        """Return them where they are CUBA neurons.

        Raises
        ------
        UnsupportedLayerError
            When they are of another kind.
        """
        raise UnsupportedLayerError(f"{who}: has {self.kind} neurons; CUBA neurons are expected")

    @property
    def sizes(self) -> set[int]:
        """For how many neurons there are values: empty when all neurons share them."""
        return set()

    @property
    def facts(self) -> dict[str, Any]:
        """Its parameters by name."""
        return asdict(self)  # type: ignore[call-overload]

    def check_size(self, who: str, neurons: int) -> None:
        """Refuse values for another number of neurons.

        Raises
        ------
        UnsupportedLayerError
            When there are such values.
        """
        for size in self.sizes - {neurons}:
            raise UnsupportedLayerError(
                f"{who}: decays or thresholds of {size} neurons; expected one, or {neurons}"
            )

    def check_place(self, who: str, place: str) -> None:
        """Refuse neurons of a kind that does not exist there.

        Raises
        ------
        UnsupportedLayerError
            When ``place`` is not one of ``places``.
        """
        possible = " or ".join(self.places)
        if place not in self.places:
            raise UnsupportedLayerError(
                f"{who}: {self.kind} neurons are possible as {possible} only"
            )

    def run(self, activation: IntArray, bias: IntArray | int, time_steps: int) -> Run:
        """Run neurons from rest.

        Parameters
        ----------
        activation
            ``(time, batch, neurons)``, or ``(1, batch, neurons)`` when it is the same at every
            time step.
        bias
            A scalar, ``(neurons,)`` or ``(batch, neurons)``.
        """
        activation = np.broadcast_to(activation, (time_steps, *activation.shape[1:]))
        sent = np.empty(activation.shape, self.sends)
        state = self.rest(activation.shape[1:])
        for step in range(time_steps):
            sent[step], state = self.step(state, activation[step], bias)
        return Run(sent, state)
