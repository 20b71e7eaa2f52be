"""Look at a network, at what a run recorded, or at a training run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tssl.errors import ConfigError
from tssl.machine.files import make_directory
from tssl.machine.pictures import save_figure
from tssl.results import SPIKES, RunResult, TraceName
from tssl.tables import Shown, Table
from tssl.wording import several
from tssl.workflow.inspect import Inspection, inspect
from tssl.workflow.run import load_result

if TYPE_CHECKING:
    from tssl.workflow.trained import RunInspection


_RECIPE = "recipe.toml"
"""Of a training run."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ResultInspection(Shown):
    """What a run kept, and the figures drawn of it."""

    directory: Path
    result: RunResult
    figures: tuple[Path, ...]

    @property
    def rows(self) -> list[tuple[str, int, str]]:
        """Name, spikes and recorded quantities of every layer."""
        result, recorded = self.result, [*self.result.traces]
        names = dict.fromkeys([*result.counts.layers, *(trace.layer for trace in recorded)])
        spikes = dict(zip(result.counts.layers, result.spike_counts.sum(axis=0), strict=True))
        return [
            (
                name,
                int(spikes[name]) if name in spikes else _spikes(result, name),
                ", ".join(trace.quantity for trace in recorded if trace.layer == name),
            )
            for name in names
        ]

    @property
    def headline(self) -> str:
        """Where the result is, and what it is."""
        return f"{self.directory}: {self.result.headline}"

    def tables(self) -> list[Table]:
        """Return what was kept of each layer."""
        result = self.result
        where = f"{result.network} on {result.backend}: {result.data}"
        rows = [[name, spikes, recorded or "-"] for name, spikes, recorded in self.rows]
        columns = ["layer", "spikes", "recorded at every step"]
        return [Table(f"{where}, {several(result.counts.samples, 'sample')}", columns, rows)]

    def document(self) -> dict[str, Any]:
        """Return everything but the arrays as JSON data."""
        rows = [
            {"layer": name, "spikes": spikes, "recorded": recorded.split(", ") if recorded else []}
            for name, spikes, recorded in self.rows
        ]
        return {
            **self.result.document(),
            "directory": str(self.directory),
            "rows": rows,
            "figures": [str(figure) for figure in self.figures],
        }


def _spikes(result: RunResult, layer: str) -> int:
    """Return the recorded spikes of input neurons, 0 where they were not recorded."""
    train = result.traces.get(TraceName(layer, SPIKES))
    return 0 if train is None else int(train.sum())


def look(path: Path, figures: Path | None) -> "Inspection | ResultInspection | RunInspection":
    """Look inside a ``.net`` file, or at what the folder of a result or a training run holds.

    Raises
    ------
    ConfigError
        When figures are wanted of anything but a result; and the errors of
        :func:`inspect_result` and :func:`tssl.workflow.trained.inspect_run`.
    """
    is_run = (path / _RECIPE).is_file() and not RunResult.files(path)[1].exists()
    if path.is_dir() and not is_run:
        return inspect_result(path, figures)
    if figures is not None:
        raise ConfigError(
            f"--figures {figures}: shows what a run recorded; give the folder of a result that "
            f"`tssl run --record` wrote instead of {path}"
        )
    if is_run:
        from tssl.workflow.trained import inspect_run  # loads torch

        return inspect_run(path)
    return inspect(path)


def inspect_result(directory: Path, figures: Path | None) -> ResultInspection:
    """Say what a run kept, and draw what it recorded.

    Parameters
    ----------
    figures
        Folder for one PNG file for each recorded layer; nothing is drawn when None.

    Raises
    ------
    DataError, NetFileError
        When the result is missing or damaged.
    ConfigError
        When figures are wanted of a run that recorded nothing.
    OutputError
        When a figure cannot be written.
    """
    result, network, _ = load_result(directory)
    drawn = []
    if figures is not None:
        if not result.traces:
            raise ConfigError(
                f"{directory}: recorded nothing to draw; run the network again with "
                "`tssl run --record LAYER`"
            )
        from tssl.reporting.traces import trace_figures  # loads matplotlib

        make_directory(figures)
        for layer, figure in trace_figures(network, result).items():
            drawn.append(figures / f"{layer}.png")
            save_figure(figure, drawn[-1])
    return ResultInspection(directory=directory, result=result, figures=tuple(drawn))
