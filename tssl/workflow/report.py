"""Price results on hardware profiles."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tssl.chip import ChipNetwork, with_relays
from tssl.costs import CostReport, QuotedFigure, Refusal
from tssl.errors import ConfigError, TargetError
from tssl.hw_profiles import (
    CostOptions,
    Profile,
    check_limits,
    estimate,
    load_profile,
    map_to_cores,
    profile_names,
    quoted_for,
    relayed_counts,
)
from tssl.machine.files import write_text
from tssl.reporting import Sheet, amounts, comparison_table, quoted_table, render_page
from tssl.results import OpCounts, RunResult
from tssl.tables import Shown, Table
from tssl.version import __version__
from tssl.workflow.notes import Notes, notes_of
from tssl.workflow.origin import now
from tssl.workflow.probe import recorded_of, traces_of
from tssl.workflow.provenance import (
    accuracies,
    learning_curve,
    provenance,
    recipe_text,
)
from tssl.workflow.run import load_result

ALL = "all"
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Report(Shown):
    """A result and what it costs on each profile.

    Parameters
    ----------
    directory
        Folder of the result.
    costs
        One per profile, in the order asked for.
    net
        The file of the network.
    label
        What tells the result from the others of the same call, see :func:`labels`; the name of
        the network when empty.
    """

    directory: Path
    result: RunResult
    costs: tuple[CostReport | Refusal, ...]
    proof: dict[str, Any] | None
    network: ChipNetwork
    net: Path
    label: str = ""

    @property
    def priced(self) -> tuple[CostReport, ...]:
        """Costs on the chips that can run the network."""
        return tuple(cost for cost in self.costs if isinstance(cost, CostReport))

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """The chips that cannot."""
        return tuple(cost for cost in self.costs if isinstance(cost, Refusal))

    @property
    def sheet(self) -> Sheet:
        """The report as terminal and page show it, without a look inside the network."""
        name = self.label or self.result.network
        counts, own = self.counts, self.result.counts.layers
        shown = tuple(layer if layer in own else f"{layer} (relay)" for layer in counts.layers)
        return Sheet(
            result=replace(self.result, network=name, counts=replace(counts, layers=shown)),
            costs=tuple(replace(cost, network=name) for cost in _told_apart(self.priced)),
            refused=tuple(replace(refusal, network=name) for refusal in self.refused),
            proof=proof_table(self.proof),
            input_neurons=self.input_neurons,
            quoted=self.quoted,
        )

    @property
    def quoted(self) -> tuple[QuotedFigure, ...]:
        """What others published for the data that was run."""
        return quoted_for(None if self.result.source is None else self.result.source.data)

    @property
    def counts(self) -> OpCounts:
        """What was counted, relays included where a chip has them."""
        on_cores = any(cost.mapping for cost in self.priced)
        relayed = with_relays(self.network) if on_cores else self.network
        return relayed_counts(self.network, relayed, self.result.counts)

    @property
    def input_neurons(self) -> int:
        """How many neurons the samples enter, 0 where they enter as spikes."""
        return 0 if self.network.input.neuron is None else self.network.input.neurons

    @property
    def headline(self) -> str:
        """The network, and the chips that it is priced on."""
        chips = ", ".join(cost.profile for cost in self.priced)
        refused = ", ".join(cost.profile for cost in self.refused)
        text = f"{self.label or self.result.network}: priced on {chips}"
        return f"{text}; not on {refused}" if refused else text

    def tables(self) -> list[Table]:
        """Return the costs side by side, and why some chips are not among them."""
        found = [comparison_table([self.sheet])]
        if self.quoted:
            found.append(quoted_table([self.sheet]))
        if self.refused:
            reasons = [[cost.profile, cost.reason] for cost in self.refused]
            found.append(Table("Not priced", ["chip", "reason"], reasons))
        return found

    def document(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "schema_version": SCHEMA_VERSION,
            "label": self.label or self.result.network,
            "directory": str(self.directory),
            "result": self.result.document(),
            "operations_per_inference": amounts(self.counts, self.input_neurons),
            "profiles": [cost.document() for cost in self.priced],
            "refused": [asdict(refusal) for refusal in self.refused],
            "quoted": [asdict(figure) for figure in self.quoted],
            "proof": self.proof,
        }


def reports(
    directories: Sequence[Path], profiles: Sequence[str], options: CostOptions | None = None
) -> list[Report]:
    """Estimate energy and latency of results; see :func:`report`.

    Parameters
    ----------
    profiles
        Names or paths; ``all`` stands for every shipped profile.
    """
    names = [name for asked in profiles for name in (profile_names() if asked == ALL else (asked,))]
    found = [report(directory, list(dict.fromkeys(names)), options) for directory in directories]
    shown = labels([(each.result.network, each.directory) for each in found])
    return [replace(each, label=label) for each, label in zip(found, shown, strict=True)]


def labels(results: Sequence[tuple[str, Path]]) -> list[str]:
    """Return the name of each result's network, with its folder where other folders share it.

    Parameters
    ----------
    results
        Name of the network and folder of each result. Of a folder so many last parts are shown
        as tell it from the others.
    """
    placed = [(name, Path(os.path.abspath(folder)).parts) for name, folder in results]
    shown = []
    for name, parts in placed:
        rivals = {other for called, other in placed if called == name}
        deepest = range(1, 1 + max(map(len, rivals)))
        ends = next(n for n in deepest if len({rival[-n:] for rival in rivals}) == len(rivals))
        shown.append(name if len(rivals) == 1 else f"{name} ({Path(*parts[-ends:])})")
    return shown


def report(directory: Path, profiles: Sequence[str], options: CostOptions | None = None) -> Report:
    """Estimate energy and latency of a result.

    A chip that cannot run the network is reported as such beside the prices of the others.

    Raises
    ------
    ConfigError
        When a profile is unknown or wrong.
    TargetError
        When none of the chips can run the network: what the first one lacks, and which result
        it is.
    DataError
        When the result or what is stored with its network is damaged.
    """
    loaded = [load_profile(name) for name in profiles]
    result, network, net = load_result(directory)
    notes = notes_of(net)
    try:
        costs = _costs(loaded, network, result, _input_range(result, notes), options)
    except TargetError as error:
        raise type(error)(f"{directory}: {error}") from error
    return Report(
        directory=directory,
        result=result,
        costs=costs,
        proof=notes.document.get("proof"),
        network=network,
        net=net,
    )


def write_page(
    found: Sequence[Report],
    path: Path,
    data_dir: Path | None = None,
    data: Path | None = None,
    runs: Sequence[Path] = (),
) -> list[str]:
    """Write one page about all reports; the first sample of each result is run again for it.

    Parameters
    ----------
    data_dir
        Where to look for data sets first; where each run found its own when None. Nothing is
        downloaded.
    data
        File or folder of the data, where they are not where the runs found them any more.
    runs
        Folders of the training runs, where a network does not know how it learnt.

    Returns
    -------
    missing
        A sentence for each result whose sample could not be run again: what is not shown, and why.

    Raises
    ------
    ConfigError
        When a folder is that of no training run, or of that of no network on the page.
    """
    sheets, missing, used = [], [], set()
    for each in found:
        sheet, run = _whole_sheet(each, data_dir, data, runs)
        if not sheet.traces:
            missing.append(f"{path}, pictures of {sheet.result.network}: {sheet.traces_note}")
        sheets.append(sheet)
        used.add(run)
    for run in runs:
        if run not in used:
            raise ConfigError(
                f"--run {run}: trained none of these networks: its recipe.toml is another; give "
                "the folder that the network was exported from"
            )
    write_text(path, render_page(sheets, f"Made by tssl {__version__}, {now()}."))
    return missing


def _whole_sheet(
    report: Report, data_dir: Path | None, data: Path | None, runs: Sequence[Path]
) -> tuple[Sheet, Path | None]:
    """Return all that the page shows of a result, and the folder that its learning curve is of."""
    network, result = report.network, report.result
    notes = notes_of(report.net)
    traces, note = traces_of(network, result, report.net, data_dir, data)
    recorded, recorded_note = recorded_of(network, result)
    learning, run = learning_curve(notes, runs)
    sheet = replace(
        report.sheet,
        network=network,
        provenance=provenance(result, notes),
        recipe=recipe_text(notes),
        accuracies=accuracies(notes),
        learning=learning,
        class_names=notes.class_names,
        weights={layer.name: layer.weights for layer in network.layers},
        traces=traces,
        traces_note=note,
        recorded=recorded,
        recorded_note=recorded_note,
    )
    return sheet, run


def joined(found: Sequence[Report]) -> dict[str, Any]:
    """Return the JSON data of one report, or of several under ``reports``."""
    if len(found) == 1:
        return found[0].document()
    documents = [each.document() for each in found]
    return {"schema_version": SCHEMA_VERSION, "reports": documents}


def proof_table(proof: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a stored proof, which :func:`notes_of` checked, as the table that the page shows."""
    if proof is None:
        return None
    statement = (
        "At export the engine was compared with independent implementations of the same "
        f"integers: {proof['verdict']}."
    )
    statement = " ".join([statement, *_left_out(proof["stages"])])
    columns = ["witness", "layer", "quantity", "compared", "sum", "differences", "verdict"]
    return {"statement": statement, "columns": columns, "rows": _proof_rows(proof["stages"])}


def _costs(
    profiles: Sequence[Profile],
    network: ChipNetwork,
    result: RunResult,
    input_range: tuple[int, int] | None,
    options: CostOptions | None,
) -> tuple[CostReport | Refusal, ...]:
    costs = [_cost(profile, network, result, input_range, options) for profile in profiles]
    errors = [cost for cost in costs if isinstance(cost, TargetError)]
    if errors and len(errors) == len(costs):
        raise errors[0]
    return tuple(
        Refusal(profile=profile.name, reason=str(cost), network=network.name)
        if isinstance(cost, TargetError)
        else cost
        for profile, cost in zip(profiles, costs, strict=True)
    )


def _told_apart(costs: Sequence[CostReport]) -> list[CostReport]:
    """Return costs whose chips have different titles: two profiles may be of one chip."""
    often = Counter(cost.title for cost in costs)
    return [
        replace(cost, title=f"{cost.title} ({cost.profile})") if often[cost.title] > 1 else cost
        for cost in costs
    ]


def _cost(
    profile: Profile,
    network: ChipNetwork,
    result: RunResult,
    input_range: tuple[int, int] | None,
    options: CostOptions | None,
) -> CostReport | TargetError:
    """Return what the network costs on a chip, or why it cannot run there."""
    try:
        check_limits(profile, network, input_range)
        mapping = map_to_cores(profile, network)
    except TargetError as error:
        return error
    return estimate(profile, network, result.counts, mapping, options)


def _input_range(result: RunResult, notes: Notes) -> tuple[int, int] | None:
    """Return the span of what entered and of what the network's encoding makes, where known."""
    ends = [*(result.input_range or ()), *(notes.input_range or ())]
    return (min(ends), max(ends)) if ends else None


def _proof_rows(stages: list[dict[str, Any]]) -> list[list[Any]]:
    return [
        [stage["witness"], row["layer"], row["quantity"], row["compared"], row["left"],
         row["differences"], "PASS" if row["differences"] == 0 else "FAIL"]
        for stage in stages
        for row in stage["rows"]
    ]  # fmt: skip


def _left_out(stages: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each comparison that was skipped."""
    return [
        f"Not compared with {stage['witness']}: {stage['skipped']}."
        for stage in stages
        if stage["skipped"]
    ]
