"""Proving that independent implementations compute the same integers."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tssl import netx
from tssl.chip import ChipNetwork, IntArray
from tssl.engine import Compiled
from tssl.lava_runtime import Backend, BackendOptions, Progress, create_backend
from tssl.lava_runtime.compare import (
    Comparison,
    Difference,
    accumulate,
    compare,
    first_difference,
)
from tssl.results import Recording
from tssl.workflow.inputs import InputChoice, Inputs, completed, load_inputs


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The engine against one witness.

    Parameters
    ----------
    witness
        What the engine was compared with.
    samples, time_steps
        How much was compared.
    rows
        One per layer, and one for the output's membrane potential; empty when skipped.
    difference
        The earliest difference, or None.
    skipped
        Why nothing was compared; empty otherwise.
    """

    witness: str
    samples: int
    time_steps: int
    rows: tuple[Comparison, ...] = ()
    difference: Difference | None = None
    skipped: str = ""

    @property
    def verdict(self) -> str:
        """PASS, FAIL, SKIPPED, or SILENT when all numbers compared were zero."""
        if self.skipped:
            return "SKIPPED"
        if not all(row.equal for row in self.rows):
            return "FAIL"
        return "PASS" if any(row.left for row in self.rows) else "SILENT"

    @property
    def problem(self) -> str | None:
        """What is wrong, in a sentence; None when it passed or was skipped."""
        if self.verdict == "FAIL":
            return f"engine and {self.witness} differ: {self.difference}"
        if self.verdict == "SILENT":
            return (
                f"nothing was proven: no neuron fired in {self.samples} sample(s) of "
                f"{self.time_steps} steps; use other input, or train a network that fires"
            )
        return None

    def document(self) -> dict[str, Any]:
        """Return the stage as JSON data."""
        difference = None if self.difference is None else self.difference._asdict()
        return {**asdict(self), "difference": difference, "verdict": self.verdict}


@dataclass(frozen=True, kw_only=True)
class Proof:
    """All stages for one network."""

    network: str
    digest: str
    stages: tuple[Stage, ...]

    @property
    def problem(self) -> str | None:
        """What is wrong with the first stage that did not pass, or None."""
        return next((stage.problem for stage in self.stages if stage.problem), None)

    @property
    def verdict(self) -> str:
        """PASS only when every witness was compared and is equal."""
        verdicts = {stage.verdict for stage in self.stages}
        if verdicts & {"FAIL", "SILENT"}:
            return "FAIL" if "FAIL" in verdicts else "SILENT"
        return "PASS without Lava" if "SKIPPED" in verdicts else "PASS"

    def document(self) -> dict[str, Any]:
        """Return the proof as JSON data."""
        return {
            "schema_version": 1,
            "network": self.network,
            "digest": self.digest,
            "verdict": self.verdict,
            "stages": [stage.document() for stage in self.stages],
        }


def compare_chunks(
    network: ChipNetwork,
    witness: str,
    chunks: Iterable[tuple[IntArray, Recording]],
    time_steps: int,
) -> Stage:
    """Run the engine beside a witness, chunk by chunk."""
    rows: tuple[Comparison, ...] = ()
    difference: Difference | None = None
    samples = 0
    engine = Compiled(network)
    for train, theirs in chunks:
        ours = engine.run(train, time_steps)
        rows = accumulate(rows, compare(network, ours, theirs))
        if difference is None:
            difference = first_difference(network, ours, theirs, first_sample=samples)
        samples += train.shape[1]
    return Stage(
        witness=witness, samples=samples, time_steps=time_steps, rows=rows, difference=difference
    )


def lava_stage(network: ChipNetwork, inputs: Inputs, backend: Backend, progress: Progress) -> Stage:
    """Compare the engine with Lava's CPU simulator."""
    chunks = backend.run(network, inputs.train, inputs.time_steps, progress)
    return compare_chunks(network, "Lava CPU simulator", chunks, inputs.time_steps)


def verify(net: Path, choice: InputChoice, options: BackendOptions, progress: Progress) -> Proof:
    """Compare the engine with Lava on a file, every layer and every step.

    Parameters
    ----------
    choice
        What to feed; the network's own data set, or random input, when it says nothing.

    Raises
    ------
    BackendUnavailableError
        When Lava is not installed.
    """
    network = netx.read(net)
    inputs = load_inputs(network, completed(choice, net))
    lava = create_backend("sim", replace(options, net_path=net))
    stage = lava_stage(network, inputs, lava, progress)
    return Proof(network=network.name, digest=network.digest, stages=(stage,))
