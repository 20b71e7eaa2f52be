"""What every backend does: take integers, give back all spikes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tssl.chip import ChipNetwork, IntArray
from tssl.machine.processes import lava_python
from tssl.results import Recording

__all__ = ["Backend", "BackendOptions", "SampleProgress"]

SampleProgress = Callable[[int], None]
"""Called with the number of samples finished so far."""


@dataclass(frozen=True, kw_only=True)
class BackendOptions:
    """What a user asks of a backend; each takes what concerns it.

    Parameters
    ----------
    python
        Interpreter that has Lava, the environment's ``TSSL_LAVA_PYTHON`` unless given; None for
        the one that runs tssl.
    timeout
        Seconds that a run of Lava may take altogether; None to stop only what no longer moves.
    workers
        Processes of Lava's simulator among which the samples are divided.
    net_path
        The file to give to Lava, when the network was read from one; None to write it.
    states
        Layers whose currents and potentials are recorded at every step, see ``Recording.states``.
    """

    python: str | None = field(default_factory=lava_python)
    timeout: float | None = None
    workers: int = 1
    net_path: Path | None = None
    states: frozenset[str] = frozenset()


class Backend(Protocol):
    """Something that runs chip networks."""

    @classmethod
    def with_options(cls, options: BackendOptions) -> "Backend":
        """Return one that was set up as asked.

        Raises
        ------
        ConfigError
            When it cannot do what an option asks.
        """

    @property
    def name(self) -> str:
        """Name under which results are filed."""

    def run(
        self, network: ChipNetwork, train: IntArray, time_steps: int, progress: SampleProgress
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
