"""The verbs for Python that take networks of other libraries in, and give ours out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tssl.calls import PathLike, one_of, optional_path, path_of, verb
from tssl.errors import ConfigError

if TYPE_CHECKING:
    from tssl.datasets import Given
    from tssl.exchange.torch import Module
    from tssl.workflow.export import ExportOutcome
    from tssl.workflow.nir import ReadOutcome
    from tssl.workflow.nir_write import WriteOutcome
    from tssl.workflow.train import TrainOutcome

__all__ = ["from_torch", "nir_read", "nir_write"]


@verb
def nir_read(
    file: PathLike,
    out: PathLike,
    *,
    dt: float | None = None,
    rule: Literal["euler", "exp"] | None = None,
    as_nir: bool = False,
    steps: int = 100,
) -> "ReadOutcome":
    """Turn a NIR graph into a run that :func:`export` takes.

    Parameters
    ----------
    out
        Folder of the run.
    dt
        Time step in the unit of the file's time constants; inferred from the file when None.
    rule
        How its equations become steps; inferred from the file when None.
    as_nir
        Read the file as NIR defines it where its maker's neurons fire or reset otherwise.
    steps
        Time steps of a sample, where no data give them.

    Raises
    ------
    TsslError
        ``NirFileError``, ``ConfigError`` or ``UnsupportedLayerError``, as the command.
    """
    from tssl.workflow import nir as workflow

    one_of("euler", "exp", rule=rule)
    choice = workflow.NirChoice(dt=dt, rule=rule, as_nir=as_nir, steps=steps)
    return workflow.read_into(Path(file), Path(out), choice)


@verb
def from_torch(
    module: "Module",
    sample: Any,  # noqa: ANN401 - an array of NumPy or PyTorch
    *,
    time_steps: int | None = None,
    out: PathLike | None = None,
    data: "Given | None" = None,
    encoding: Mapping[str, Any] | None = None,
    data_dir: PathLike | None = None,
) -> "ReadOutcome":
    """Turn a PyTorch network of snnTorch, SpikingJelly, Norse or `tssl.nn` into a run.

    Parameters
    ----------
    module
        An ``nn.Sequential`` and the like, of Linear, Conv2d, BatchNorm, AvgPool2d, Flatten and
        neurons; :class:`tssl.nn.Sequential` with TSSL-BP layers.
    sample
        A batch as the network takes it at one time step: only its shape ``(samples, ...)`` counts.
    time_steps
        Of a sample: an input without a time axis is shown so often, as a current. Networks of
        :mod:`tssl.nn` know theirs.
    out
        Folder of the run; ``runs/NAME`` after the module's class when None.
    data
        What it was trained on, as of :func:`train`: the export calibrates and tests on it. Without
        data, input are whole numbers that enter as they are.
    encoding
        How data become input, by the keys of a recipe: ``{"resolution": 255}`` for pixels in 0...1.

    Returns
    -------
    outcome
        What :func:`export` takes.

    Raises
    ------
    UnsupportedLayerError
        When no chip has what a module does; it is named.
    ConfigError, DataError
        When the network is no sequence, or does not fit sample or data.

    Examples
    --------
    >>> run = tssl.from_torch(
    ...     network,
    ...     torch.zeros(1, 1, 8, 8),
    ...     time_steps=16,
    ...     data="digits",
    ...     encoding={"resolution": 16.0},
    ... )  # doctest: +SKIP
    >>> chip = tssl.export(run, target="loihi2")  # doctest: +SKIP
    """
    from tssl.workflow import modules as workflow

    shape = tuple(getattr(sample, "shape", ()))
    if not 2 <= len(shape) <= 4:
        raise ConfigError(
            f"sample: has shape {shape}; an array or tensor (samples, ...) of one time step is "
            "expected, with one to three axes behind the samples"
        )
    name = type(module).__name__.lower()
    choice = workflow.ModuleChoice(
        time_steps=time_steps,
        name=name,
        data=data,
        encoding=encoding,
        data_dir=optional_path(data_dir),
    )
    return workflow.read_module(module, shape[1:], optional_path(out) or Path("runs", name), choice)


@verb
def nir_write(
    source: "TrainOutcome | ExportOutcome | PathLike", out: PathLike, *, dt: float = 1e-4
) -> "WriteOutcome":
    """Write a run's floats, or the integers of a ``.net`` file, as a NIR graph.

    Parameters
    ----------
    source
        What :func:`train` or :func:`export` returned, a run's folder, or a ``.net`` file.
    out
        The ``.nir`` file.
    dt
        Length of a time step in seconds.

    Raises
    ------
    TsslError
        As the command.
    """
    from tssl.workflow import nir_write as workflow

    return workflow.write(path_of(source), Path(out), dt)
