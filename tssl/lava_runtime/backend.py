"""What every backend does: take integers, give back all spikes."""

from collections.abc import Callable, Iterator
from typing import Protocol

from tssl.chip import ChipNetwork, IntArray
from tssl.results import Recording

Progress = Callable[[int], None]
"""Called with the number of samples finished so far."""


class Backend(Protocol):
    """Something that runs chip networks."""

    @property
    def name(self) -> str:
        """Name under which results are filed."""

    def run(
        self, network: ChipNetwork, train: IntArray, time_steps: int, progress: Progress
    ) -> Iterator[tuple[IntArray, Recording]]:
        """Yield consecutive chunks of samples, each with what was recorded for it.

        Parameters
        ----------
        train
            Input integers ``(time, samples, inputs)``, or ``(1, samples, inputs)`` for an
            input that is the same at every step. With an input neuron block the integers
            are the block's biases and must be constant.
        time_steps
            Steps per sample; all states are at rest before each sample.

        Raises
        ------
        BackendUnavailableError
            When the backend or what it needs is not installed.
        BackendError, BackendTimeoutError
            When it failed or did not answer in time.
        """
