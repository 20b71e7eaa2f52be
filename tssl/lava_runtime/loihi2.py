"""Loihi 2 hardware, through Lava and Intel's own extension of it.

Not tried on a board: the project has none. What was tested is that its absence is said in
one line. On a board, begin with ``tssl verify``: adapters between host and chip may delay
spikes by more steps than the simulator's ports do.
"""

from collections.abc import Iterator
from pathlib import Path

from tssl.chip import ChipNetwork, IntArray
from tssl.errors import ConfigError
from tssl.lava_runtime.backend import BackendOptions, SampleProgress
from tssl.lava_runtime.lava_sim import run_workers
from tssl.lava_runtime.process import WorkerSettings
from tssl.results import Recording

__all__ = ["Loihi2"]


class Loihi2:
    """Runs networks on a Loihi 2 board.

    Parameters
    ----------
    python, timeout, net_path
        See :class:`tssl.lava_runtime.process.WorkerSettings`.

    Notes
    -----
    The chip resets neurons at powers of two only. Samples therefore start every 2**n steps,
    the smallest such number not below the steps of a sample, with silence in between.
    """

    name = "loihi2"

    @classmethod
    def with_options(cls, options: BackendOptions) -> "Loihi2":
        """Return the board's backend set up as asked."""
        if options.workers > 1:
            raise ConfigError(f"--workers {options.workers}: a board takes one; leave it out")
        if options.states:
            raise ConfigError(
                f"--record {', '.join(sorted(options.states))}: a board records spikes alone; add "
                "':spikes', or use --backend sim or engine"
            )
        return cls(python=options.python, timeout=options.timeout, net_path=options.net_path)

    def __init__(
        self,
        *,
        python: str | None = None,
        timeout: float | None = None,
        net_path: Path | None = None,
    ) -> None:
        self._settings = WorkerSettings(
            python=python, timeout=timeout, net_path=net_path, hardware=True
        )

    def run(
        self, network: ChipNetwork, train: IntArray, time_steps: int, progress: SampleProgress
    ) -> Iterator[tuple[IntArray, Recording]]:
        """Yield chunks of samples with everything recorded; see ``Backend.run``."""
        return run_workers(self._settings, network, train, time_steps, progress)
