"""Do the job of a folder on a board while Lava's profiler measures: ``check.py --log`` starts this.

Power and time are what ``lava.utils.loihi2_profiler`` of Intel's extension shows, as lava-dl's
benchmark notebooks use it. Written without a board at hand.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

RAILS = ("vdd_power", "vddm_power", "vddio_power")
MICROSECOND = 1e-6


def numbers(power: Any, time: Any) -> "dict[str, float]":  # noqa: ANN401 - Intel's
    """Return means of what the profiler recorded, in watts and seconds."""
    found = {rail: float(np.mean(getattr(power, rail))) for rail in RAILS}
    found["total_power"] = float(np.mean(power.total_power))
    found["static_power"] = float(np.mean(power.static_total_power))
    found["time_per_step"] = float(time.avg_time_per_step) * MICROSECOND
    return found


def main(folder: Path) -> None:
    """Give the worker's run a profiler, and keep what it saw in ``measured.json``."""
    sys.path.insert(0, str(folder))
    simulation: Any = importlib.import_module("worker.simulation")
    configuration, run = simulation.configuration, simulation.Simulation.run
    loggers: list[Any] = []

    def profiled(job: Any) -> Any:  # noqa: ANN401 - the worker's and Lava's
        profiler = importlib.import_module("lava.utils.loihi2_profiler")
        steps = job.samples * job.period
        loggers[:] = [profiler.Loihi2Power(num_steps=steps), profiler.Loihi2ExecutionTime()]
        made = configuration(job)
        made.callback_fxs = [*made.callback_fxs, *loggers]
        return made

    def measured(self: Any) -> None:  # noqa: ANN401 - the worker's
        run(self)
        text = json.dumps(numbers(*loggers))
        (folder / "measured.json").write_text(text, encoding="utf-8")

    simulation.configuration, simulation.Simulation.run = profiled, measured
    importlib.import_module("worker.command").main([str(folder)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
