"""What each kind of Lava's neurons sends and keeps, and its model with our eyes on it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .job import Job
from .shims import Array, Foreign


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of neurons.

    Parameters
    ----------
    state
        Variables that are zero in a neuron at rest.
    current, potential
        Those that tssl calls so: what arrived, and what the neuron makes of it.
    sends
        Type of what it sends: bytes where that is 0 or 1.
    resets
        Whether Lava can put it to rest by itself.
    """

    state: tuple[str, ...]
    current: str
    potential: str
    sends: type[np.integer[Any]]
    resets: bool


_SPIKING = Kind(("u", "v"), "u", "v", np.uint8, resets=True)
_KINDS = {
    "LIF": _SPIKING,
    "LIFReset": _SPIKING,
    "Delta": Kind(("act", "residue", "error"), "act", "act", np.int32, resets=False),
    "SigmaDelta": Kind(
        ("sigma", "act", "residue", "error"), "sigma", "act", np.int32, resets=False
    ),
    "Sigma": Kind(("sigma",), "sigma", "sigma", np.int32, resets=False),
}


def kind_of(process: Foreign) -> Kind:
    """Return the kind of a process of Lava; fail for those that nobody looked at."""
    name = type(process).__name__
    if name not in _KINDS:
        raise TypeError(f"neurons of type {name} are not known; known are {', '.join(_KINDS)}")
    return _KINDS[name]


class Rest:
    """When neurons that Lava cannot reset begin a sample: when its first messages arrive."""

    def __init__(self, job: Job, transport: int) -> None:
        self.job, self.transport = job, transport

    def due(self, step: int) -> bool:
        """Return whether a sample begins at a time step."""
        moment = self.job.moment(step, self.transport)
        return moment is not None and moment.step == 0


def watched(
    process: Foreign, probes: "Sequence[Callable[[int, Array, Array], None]]", rest: Rest | None
) -> type:
    """Return Lava's own model of some neurons, which probes look at after each step.

    Reading the potential from outside takes a pause and a message per neuron and sample,
    longer than the run itself.

    Parameters
    ----------
    probes
        Called with the time step, currents and potentials.
    rest
        When to put neurons to rest before a step; None where Lava does.
    """
    kind, model = kind_of(process), _model(process)
    process.proc_params["watch"] = (probes, rest, kind)

    class Watched(model):  # type: ignore[misc, valid-type]
        def __init__(self, proc_params: Foreign) -> None:
            super().__init__(proc_params)
            self.probes, self.rest, self.kind = proc_params["watch"]

        def run_spk(self) -> None:
            if self.rest is not None and self.rest.due(self.time_step):
                for name in self.kind.state:
                    setattr(self, name, np.zeros_like(getattr(self, name)))
            super().run_spk()
            for store in self.probes:
                current, potential = self.kind.current, self.kind.potential
                store(self.time_step, getattr(self, current), getattr(self, potential))

    return Watched


def _model(process: Foreign) -> Foreign:
    """Return Lava's bit-accurate model of a process."""
    from lava.proc.lif import models as spiking
    from lava.proc.sdn import models as graded

    return {
        "LIF": spiking.PyLifModelBitAcc,
        "LIFReset": spiking.PyLifResetModelBitAcc,
        "Delta": graded.PyDeltaModelFixed,
        "SigmaDelta": graded.PySigmaDeltaModelFixed,
        "Sigma": graded.PySigmaModelFixed,
    }[type(process).__name__]
