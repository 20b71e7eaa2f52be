"""Price a result on hardware profiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tssl import netx
from tssl.costs import CostReport
from tssl.files import write_text
from tssl.hw_profiles import estimate, load_profile, map_to_cores
from tssl.report import render_page
from tssl.results import RunResult
from tssl.workflow.run import load_result


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """A result and what it costs on each profile."""

    result: RunResult
    costs: tuple[CostReport, ...]
    proof: dict[str, Any] | None

    def document(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "schema_version": 1,
            "result": self.result.document(),
            "profiles": [cost.document() for cost in self.costs],
            "proof": self.proof,
        }


def report(directory: Path, profiles: Sequence[str], html: Path | None) -> Report:
    """Estimate energy and latency, and write the page when ``html`` is given.

    Raises
    ------
    ConfigError
        When a profile is unknown or wrong.
    CapacityError
        When the network does not fit a profile's chip.
    DataError
        When the result is damaged.
    """
    loaded = [load_profile(name) for name in profiles]
    result, network, net = load_result(directory)
    costs = tuple(
        estimate(profile, network, result.counts, map_to_cores(profile, network))
        for profile in loaded
    )
    proof = netx.read_notes(net).get("proof")
    outcome = Report(result=result, costs=costs, proof=proof if isinstance(proof, dict) else None)
    if html is not None:
        write_text(html, render_page(result, costs, proof_table(outcome.proof)))
    return outcome


def proof_table(proof: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a stored proof as the table that the page shows."""
    if proof is None:
        return None
    rows = [
        [stage["witness"], row["layer"], row["quantity"], row["compared"], row["left"],
         row["differences"], "PASS" if row["differences"] == 0 else "FAIL"]
        for stage in proof["stages"]
        for row in stage["rows"]
    ]  # fmt: skip
    rows += [
        [stage["witness"], stage["skipped"], "", "", "", "", "SKIPPED"]
        for stage in proof["stages"]
        if stage["skipped"]
    ]
    columns = ["witness", "layer", "quantity", "compared", "sum", "differences", "verdict"]
    statement = (
        "At export the engine was compared with independent implementations of the same "
        f"integers: {proof['verdict']}."
    )
    return {"statement": statement, "columns": columns, "rows": rows}
