"""The verbs for Python that look at what others made: calibrate, diff, inspect, report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tssl.calls import (
    PathLike,
    input_choice,
    one_of,
    optional_path,
    output_of,
    path_of,
    verb,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tssl.datasets import Given
    from tssl.workflow.calibrate import Calibration
    from tssl.workflow.diff import NetworkDifference
    from tssl.workflow.export import ExportOutcome
    from tssl.workflow.inspect import Inspection
    from tssl.workflow.recorded import ResultInspection
    from tssl.workflow.report import Report
    from tssl.workflow.run import RunOutcome
    from tssl.workflow.train import TrainOutcome
    from tssl.workflow.trained import RunInspection

__all__ = ["calibrate", "diff", "inspect", "report"]


@verb
def calibrate(
    logs: PathLike | Sequence[PathLike],
    base: str,
    *,
    out: PathLike,
) -> "Calibration":
    """Fit the prices of a hardware profile to runs that were measured on a board.

    Parameters
    ----------
    logs
        One log or more; what is in them is in the documentation, under Calibration.
    base
        Name or path of the profile whose prices are fitted; all else is taken from it.
    out
        The profile to write, a ``.toml`` file; give its path to :func:`report`.

    Raises
    ------
    ConfigError, DataError
        When the base or a log is wrong, or a log is of another network.
    TargetError
        When a network does not fit the chip.
    """
    from tssl.workflow.calibrate import calibrate as workflow

    paths = [logs] if isinstance(logs, str | Path) else logs
    return workflow([Path(path) for path in paths], base, Path(out))


@verb
def diff(
    left: "ExportOutcome | PathLike",
    right: "ExportOutcome | PathLike",
    *,
    data: "Given | None" = None,
    split: str = "test",
    input: "PathLike | NDArray[Any] | None" = None,
    samples: int = 10,
    steps: int | None = None,
    density: float | None = None,
    data_dir: PathLike | None = None,
    progress: bool = True,
) -> "NetworkDifference":
    """Show what differs between two networks, layer by layer.

    With ``data``, ``input`` or ``density``, both run on that input, on our engine, and the spikes
    of every layer are compared too.

    Parameters
    ----------
    left, right
        What :func:`export` returned, or ``.net`` files.
    data, split, input
        As of :func:`run`.
    samples, steps
        Number of samples, from the first on; time steps of each.
    density
        Compare on random input, this share of it active; above 0 and at most 1.
    data_dir
        Where to look for data files first.
    progress
        Say on stderr what is downloaded and unusual.

    Raises
    ------
    ConfigError, DataError, NetFileError
        When a file or the input is wrong.
    """
    from tssl.workflow.diff import diff as compare

    choice = None
    if data is not None or input is not None or density is not None:
        choice = input_choice(
            output_of(progress),
            data=data,
            split=split,
            input=input,
            samples=samples,
            steps=steps,
            density=density,
            data_dir=data_dir,
        )
    return compare(path_of(left), path_of(right), choice)


@verb
def inspect(
    path: "ExportOutcome | RunOutcome | TrainOutcome | PathLike", *, figures: PathLike | None = None
) -> "Inspection | ResultInspection | RunInspection":
    """Show what is inside a ``.net`` file, what a run recorded, or how far a training is.

    Parameters
    ----------
    path
        What :func:`export`, :func:`run` or :func:`train` returned, a ``.net`` file, or the folder
        of a result or of a training run.
    figures
        Folder for figures of what a result recorded.

    Raises
    ------
    CheckpointError, DataError, NetFileError
        When the run, the result or the file is wrong.
    ConfigError
        When figures are wanted where nothing was recorded.
    """
    from tssl.workflow.recorded import look

    return look(path_of(path), optional_path(figures))


@verb
def report(
    result: "RunOutcome | PathLike",
    profiles: str | Sequence[str],
    *,
    html: PathLike | None = None,
    io: bool = False,
    placement: Literal["rule", "search"] = "rule",
    data: PathLike | None = None,
    data_dir: PathLike | None = None,
    runs: "Sequence[PathLike]" = (),
) -> "Report":
    """Estimate energy and latency of a result on hardware profiles.

    Parameters
    ----------
    result
        What :func:`run` returned, or its folder.
    profiles
        Names or paths of profiles; ``all`` for every shipped one.
    html
        Also write one self-contained page.
    io
        Price input and output too, where the profile can.
    placement
        Cores on the mesh by a simple rule, or by search for short ways.
    data
        Your own data for the page's pictures; where the run found them when None.
    data_dir
        Where to look for the data of the page's pictures; where the run found them when None.
        Nothing is downloaded.
    runs
        Folders of the training run, for the page's learning curve; as stored at export when empty.

    Raises
    ------
    ConfigError, DataError
        When a profile or the result is wrong.
    TargetError
        When none of the chips can run the network.
    """
    from tssl.hw_profiles import CostOptions
    from tssl.workflow import report as workflow

    one_of("rule", "search", placement=placement)
    names = [profiles] if isinstance(profiles, str) else list(profiles)
    options = CostOptions(io=io, search=placement == "search")
    (found,) = workflow.reports([path_of(result)], names, options)
    if html is not None:
        folders = [Path(run) for run in runs]
        places = optional_path(data_dir), optional_path(data)
        workflow.write_page([found], Path(html), *places, folders)
    return found
