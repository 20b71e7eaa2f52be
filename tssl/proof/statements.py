"""What witnesses say about a network, and whether that proves it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tssl.chip import ChipNetwork, IntArray
from tssl.proof.compare import Comparison, Difference, accumulate, compare, first_difference
from tssl.results import Recording
from tssl.tables import Shown, Table
from tssl.wording import count, several

__all__ = ["Proof", "Statement", "compare_chunks", "statement_table"]


@dataclass(frozen=True, kw_only=True)
class Statement:
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
                f"nothing was proven: no neuron fired in {several(self.samples, 'sample')} of "
                f"{several(self.time_steps, 'step')}; use other input, or train a network that "
                "fires"
            )
        return None

    def document(self) -> dict[str, Any]:
        """Return the statement as JSON data."""
        difference = None if self.difference is None else self.difference._asdict()
        return {**asdict(self), "difference": difference, "verdict": self.verdict}


@dataclass(frozen=True, kw_only=True, repr=False)
class Proof(Shown):
    """The statements of all witnesses about one network."""

    network: str
    digest: str
    stages: tuple[Statement, ...]

    @property
    def problem(self) -> str | None:
        """What is wrong with the first that did not pass, or None."""
        return next((each.problem for each in self.stages if each.problem), None)

    @property
    def verdict(self) -> str:
        """PASS only when every witness was compared and is equal."""
        verdicts = {each.verdict for each in self.stages}
        if verdicts & {"FAIL", "SILENT"}:
            return "FAIL" if "FAIL" in verdicts else "SILENT"
        return "PASS without Lava" if "SKIPPED" in verdicts else "PASS"

    @property
    def headline(self) -> str:
        """The verdict, and what it is about."""
        return f"{self.network}: {self.verdict}"

    def tables(self) -> list[Table]:
        """Return what each witness says."""
        return [statement_table(each.document()) for each in self.stages]

    def document(self) -> dict[str, Any]:
        """Return the proof as JSON data."""
        return {
            "schema_version": 1,
            "network": self.network,
            "digest": self.digest,
            "verdict": self.verdict,
            "stages": [each.document() for each in self.stages],
        }


def statement_table(stage: Mapping[str, Any]) -> Table:
    """Return the rows of a statement, given as JSON data; the reason where nothing was compared."""
    if stage["skipped"]:
        title = f"engine against {stage['witness']}: SKIPPED"
        return Table(title, ["reason"], [[stage["skipped"]]])
    rows = [
        [
            row["layer"],
            row["quantity"],
            f"{count(row['compared'])}",
            f"{count(row['left'])}",
            f"{count(row['right'])}",
            f"{count(row['differences'])}",
            _verdict(row),
        ]
        for row in stage["rows"]
    ]
    title = (
        f"engine against {stage['witness']}, {several(stage['samples'], 'sample')}, "
        f"{several(stage['time_steps'], 'step')}: {stage['verdict']}"
    )
    columns = ["layer", "quantity", "compared", "engine", "witness", "differ", "verdict"]
    return Table(title, columns, rows)


def _verdict(row: Mapping[str, Any]) -> str:
    """Judge a layer; one that never fired passes nothing."""
    if row["differences"]:
        return "FAIL"
    return "PASS" if row["left"] else "silent"


def compare_chunks(
    network: ChipNetwork,
    engine: Callable[[IntArray, int], Recording],
    witness: str,
    chunks: Iterable[tuple[IntArray, Recording]],
    time_steps: int,
) -> Statement:
    """Run the engine beside a witness, chunk by chunk.

    Parameters
    ----------
    engine
        Returns what it records for an input ``(time or 1, samples, inputs)`` and time steps.
    witness, chunks
        Its name; pairs of an input and what the witness recorded for it.
    """
    rows: tuple[Comparison, ...] = ()
    difference: Difference | None = None
    samples = 0
    for train, theirs in chunks:
        ours = engine(train, time_steps)
        rows = accumulate(rows, compare(network, ours, theirs))
        if difference is None:
            difference = first_difference(network, ours, theirs, first_sample=samples)
        samples += train.shape[1]
    return Statement(
        witness=witness, samples=samples, time_steps=time_steps, rows=rows, difference=difference
    )
