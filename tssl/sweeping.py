"""The verbs for Python that do many runs of one recipe, or say what it will take."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tssl.calls import (
    PathLike,
    at_least,
    environment_of,
    one_of,
    optional_path,
    output_of,
    path_of,
    verb,
)
from tssl.errors import ConfigError
from tssl.terminal import SweepBar

if TYPE_CHECKING:
    from tssl.sweeps import Range, Space
    from tssl.workflow.plan import Plan
    from tssl.workflow.sweep_outcome import SweepOutcome

__all__ = ["plan", "sweep"]


@verb
def sweep(
    recipe: "SweepOutcome | PathLike",
    *,
    over: "Mapping[str, Sequence[Any] | Range] | None" = None,
    seeds: Sequence[int] | None = None,
    out: PathLike | None = None,
    optimize: Literal["accuracy", "accuracy,energy"] | None = None,
    trials: int | None = None,
    settings: Mapping[str, Any] | None = None,
    samples: int = 1000,
    data: PathLike | None = None,
    data_dir: PathLike | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    csv: PathLike | None = None,
    html: PathLike | None = None,
    progress: bool = True,
) -> "SweepOutcome":
    """Train, export, run and price a recipe in many variants, or show those of a folder.

    The same call again, or at the same time in other processes that share the folder, does what is
    left. Keys of export and target share a training.

    Parameters
    ----------
    recipe
        A shipped name, the path of a TOML file, or the folder of a sweep to look at.
    over
        Values to try by key: of the recipe, as ``settings`` has them, ``"target"``, and
        ``"export.weight_bits"``, also of one layer, ``"export.weight_bits.dense1"``. A
        :class:`tssl.sweeps.Range` is for searches. Needed with a recipe.
    seeds
        With which each combination is trained; that of the recipe when None.
    out
        Folder of the sweep; ``sweeps/NAME`` when None.
    optimize
        Search in place of trying all: for accuracy on held-out samples, or for that and energy.
    trials
        Combinations that a search tries.
    settings
        Changes to the recipe that all share, as of :func:`train`.
    samples
        Test samples for accuracy and energy.
    data
        Name, file or folder, in place of the recipe's.
    data_dir
        Where to look for data files first.
    device
        ``auto``, ``cpu`` or ``cuda``.
    csv, html
        Also write a table with a line for each combination, and a page with the plot.
    progress
        Show a bar: on stderr, in a notebook below the cell.

    Raises
    ------
    TsslError
        ``ConfigError``, ``DataError`` and others, as the command. A combination that cannot be
        trained or exported is none of them: it is in ``problems``, or a point without figures.

    Examples
    --------
    >>> bits = tssl.sweep("digits", over={"weight_bits": range(2, 9)})  # doctest: +SKIP
    >>> [each.settings for each in bits.front]  # doctest: +SKIP
    """
    from tssl.sweeps import is_sweep
    from tssl.workflow.sweep_outcome import load_sweep, write_csv, write_page

    one_of("auto", "cpu", "cuda", device=device)
    one_of("accuracy", "accuracy,energy", optimize=optimize)
    at_least(1, trials=trials, samples=samples)
    named = path_of(recipe)
    if over is None and is_sweep(named):
        outcome = load_sweep(named)
    elif over is None:
        raise ConfigError(f"over: {recipe} is no folder of a sweep; give the values to try")
    else:
        from tssl.workflow import sweep as workflow

        output = output_of(progress)
        environment = environment_of(output, data, data_dir, device)
        prepared = workflow.prepare(
            str(recipe),
            {key: _space(key, values) for key, values in over.items()},
            settings or {},
            optional_path(out),
            environment,
            seeds=seeds,
            optimize=() if optimize is None else optimize.split(","),
            trials=trials,
            samples=samples,
        )
        with SweepBar(output, trials=prepared.spec.number_of_trials) as bar:
            outcome = workflow.sweep(prepared, environment, bar)
    if csv is not None:
        write_csv(outcome, Path(csv))
    if html is not None:
        write_page(outcome, Path(html))
    return outcome


@verb
def plan(
    source: PathLike,
    *,
    samples: int | None = None,
    over: "Mapping[str, Sequence[Any] | Range] | None" = None,
    seeds: Sequence[int] | None = None,
    trials: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data: PathLike | None = None,
    data_dir: PathLike | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    progress: bool = True,
) -> "Plan":
    """Say what training a recipe, a sweep over it, or running a network needs.

    A few steps are timed on this machine; nothing is kept.

    Parameters
    ----------
    source
        A recipe, as of :func:`train`, or a ``.net`` file.
    samples
        Of the run of a network; all of its data when None.
    over, seeds, trials
        As of :func:`sweep`.
    settings
        Changes to the recipe, as of :func:`train`.
    data
        Name, file or folder, in place of those of the recipe or network.
    device
        ``auto``, ``cpu`` or ``cuda``.

    Returns
    -------
    plan
        ``plan["seconds"]``, ``plan["memory"]`` and ``plan["disk"]`` among others; see
        ``plan.figures``.

    Raises
    ------
    ConfigError, DataError, NetFileError
        As of what is planned.
    """
    from tssl.workflow import plan as workflow

    one_of("auto", "cpu", "cuda", device=device)
    at_least(1, trials=trials, samples=samples)
    output = output_of(progress)
    environment = environment_of(output, data, data_dir, device)
    spaces = {key: _space(key, values) for key, values in (over or {}).items()}
    return workflow.plan(
        str(source),
        spaces,
        settings or {},
        environment,
        samples=samples,
        seeds=seeds,
        trials=trials,
    )


def _space(key: str, values: Any) -> "Space":  # noqa: ANN401 - any sequence
    from tssl.sweeps import Choices, Range

    if isinstance(values, Range):
        return values
    if isinstance(values, str):
        raise ConfigError(f"over {key}: {values!r} is a text; give a list of values")
    try:
        return Choices(values=tuple(values))
    except ValueError as error:
        raise ConfigError(f"over {key}: give different values, at least one") from error
