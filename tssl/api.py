"""The verbs for Python: the same workflow and files as the command line.

Each arrow is a file, here too: a verb takes what the one before it returned, or the path of
what it wrote. Rooms are imported inside the verbs, so that ``import tssl`` stays fast.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tssl.calls import (
    PathLike,
    at_least,
    backend_options,
    environment_of,
    input_choice,
    one_of,
    optional_path,
    output_of,
    path_of,
    verb,
)
from tssl.errors import ConfigError
from tssl.terminal import TrainingBar

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from tssl.datasets import Given
    from tssl.proof import Proof
    from tssl.workflow.export import ExportOutcome
    from tssl.workflow.nir import ReadOutcome
    from tssl.workflow.run import RunOutcome
    from tssl.workflow.train import TrainOutcome


@verb
def train(
    recipe: PathLike | None = None,
    *,
    out: PathLike | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: PathLike | None = None,
    origin: "TrainOutcome | PathLike | None" = None,
    target: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    data: "Given | None" = None,
    data_dir: PathLike | None = None,
    tensorboard: bool = False,
    progress: bool = True,
) -> "TrainOutcome":
    """Train a recipe, go on with a run, or start from the weights of one.

    Parameters
    ----------
    recipe
        A shipped name (``tssl recipes``) or the path of a TOML file.
    out
        Folder of the run; ``runs/NAME`` when None.
    settings
        Changes to the recipe by key: ``{"epochs": 3, "encoding.resolution": 15}``.
    resume
        Folder of a run to go on with; only ``epochs`` may then be set.
    origin
        A run whose weights are the start, as ``--from``.
    target
        Hardware profile whose integers the setting ``forward = "chip"`` computes with,
        ``loihi2`` when None.
    device
        ``auto``, ``cpu`` or ``cuda``.
    data
        In place of those of the recipe: the name of a set, a file or folder, or arrays, by the
        names ``x_train, y_train, x_test, y_test`` or as ``(x, y)`` or all four in this order.
    data_dir
        Where to look for data files first.
    tensorboard
        Write ``RUN/tensorboard`` too.
    progress
        Show a bar: on stderr, in a notebook below the cell.

    Raises
    ------
    TsslError
        ``ConfigError``, ``DataError``, ``CheckpointError`` or ``TrainingError``, as the command.

    Examples
    --------
    >>> run = tssl.train("digits", out="runs/first", settings={"epochs": 3})  # doctest: +SKIP
    >>> run.best.test_accuracy  # doctest: +SKIP
    """
    from tssl.workflow import train as workflow

    if resume is not None and (origin is not None or out is not None):
        raise ConfigError("resume: a run goes on in its own folder with its own weights")
    if target is not None and origin is None:
        raise ConfigError("target: belongs to training in a chip's integers: give origin too")
    one_of("auto", "cpu", "cuda", device=device)
    output = output_of(progress)
    environment = environment_of(output, data, data_dir, device)
    changes = settings or {}
    named = None if recipe is None else str(recipe)
    if resume is not None:
        fit = workflow.resume(Path(resume), named, changes, environment)
    else:
        start = None
        if origin is not None:
            start = workflow.Origin(run=path_of(origin), target=target)
        fit = workflow.start(named, changes, optional_path(out), environment, start)
    size = {"epochs": fit.recipe.training.epochs, "samples": len(fit.train)}
    with TrainingBar(output, **size, integers_ahead=fit.has_integers_ahead) as bar:
        return workflow.train(fit, bar, tensorboard=tensorboard)


@verb
def export(
    run: "TrainOutcome | ReadOutcome | PathLike",
    target: str,
    *,
    out: PathLike | None = None,
    samples: int = 1000,
    proof_samples: int = 20,
    lava: bool = True,
    weight_bits: "int | Mapping[str, int] | None" = None,
    bundle: PathLike | None = None,
    data_dir: PathLike | None = None,
    data: "Given | NDArray[Any] | None" = None,
    dt: float | None = None,
    rule: Literal["euler", "exp"] | None = None,
    as_nir: bool = False,
    steps: int = 100,
    timeout: float | None = None,
    workers: int = 1,
    lava_python: PathLike | None = None,
    progress: bool = True,
) -> "ExportOutcome":
    """Turn a trained network into a proven ``.net`` file.

    Parameters
    ----------
    run
        What :func:`train`, :func:`nir_read` or :func:`from_torch` returned, a run's folder, or a
        ``.nir`` file.
    target
        Name or path of a hardware profile.
    out
        The ``.net`` file; ``RUN/NAME-TARGET.net`` when None.
    samples, proof_samples
        Test samples for the accuracies and for the proof.
    lava
        Prove against Lava too; when it is not installed, ``proof.verdict`` says so.
    weight_bits
        Bits of all weights, or of single layers by name; all that the target has when None.
    bundle
        Also write this folder, for a machine with the chip.
    data
        To calibrate and test on, in place of what the network was trained on, as of
        :func:`train`; arrays have to be given again. For a network from a NIR file its inputs, an
        array or a ``.npy`` or ``.npz`` file; random spikes when None.
    dt, rule, as_nir, steps
        Of a ``.nir`` file, see :func:`nir_read`.
    timeout, workers, lava_python
        As of :func:`run`.

    Raises
    ------
    TargetError
        When the network does not fit the target.
    VerificationError
        When the proof fails.
    """
    from tssl.workflow import export as workflow
    from tssl.workflow.bundle import bundle_exported, check_folder
    from tssl.workflow.nir import NirChoice

    at_least(1, samples=samples, proof_samples=proof_samples)
    one_of("euler", "exp", rule=rule)
    bits = weight_bits if isinstance(weight_bits, Mapping) else {"": weight_bits}
    options = workflow.ExportOptions(
        data=data,
        data_dir=optional_path(data_dir),
        samples=samples,
        proof_samples=proof_samples,
        lava=lava,
        weight_bits={layer: count for layer, count in bits.items() if count is not None},
        nir=NirChoice(dt=dt, rule=rule, as_nir=as_nir, steps=steps),
        backend=backend_options(timeout, workers, lava_python),
    )
    if bundle is not None:
        check_folder(Path(bundle), optional_path(out))
    with output_of(progress).bar("proof", proof_samples) as moved:
        outcome = workflow.export(path_of(run), target, optional_path(out), options, moved)
    if bundle is not None:
        bundle_exported(outcome, Path(bundle), options)
    return outcome


@verb
def run(
    net: "ExportOutcome | PathLike",
    *,
    backend: str = "engine",
    out: PathLike | None = None,
    data: "Given | None" = None,
    split: str = "test",
    input: "PathLike | NDArray[Any] | None" = None,
    labels: "PathLike | NDArray[Any] | None" = None,
    samples: int | None = None,
    steps: int | None = None,
    record: Mapping[str, Collection[str]] | None = None,
    timeout: float | None = None,
    workers: int = 1,
    lava_python: PathLike | None = None,
    cluster: "str | Executor | None" = None,
    slurm: Mapping[str, Any] | None = None,
    data_dir: PathLike | None = None,
    progress: bool = True,
) -> "RunOutcome":
    """Run a ``.net`` file on a backend and keep the result in a folder.

    Parameters
    ----------
    net
        What :func:`export` returned, or any file that lava-dl can run.
    backend
        ``engine`` (ours), ``sim`` (Lava's CPU simulator) or ``loihi2``.
    out
        Folder of the result; ``NET-BACKEND`` beside the file when None.
    data, split
        As of :func:`train`, its ``train`` or ``test`` split; what the network was exported with
        when neither data nor ``input`` is given.
    input
        Integers, an array or a ``.npy`` file: ``(samples, time, *shape)`` or ``(samples, *shape)``.
        Of a ``.npz`` file the array ``x`` is taken, or the only one.
    labels
        Classes of the samples in ``input``, ``(samples,)``: an array or a ``.npy`` file. Of a
        ``.npz`` file the array ``y`` is taken, or the only one.
    samples, steps
        Number of samples, from the first on; time steps of each.
    record
        What to keep of single layers at every step, in ``result.traces``: ``{"dense1":
        ["potential"]}``. The layer may be ``"all"``; no quantity stands for spikes, current and
        potential.
    timeout
        Seconds that Lava may take.
    workers
        Processes of Lava's simulator, each with its share of the samples.
    lava_python
        Interpreter with Lava; the environment's ``TSSL_LAVA_PYTHON``, or this one, when None.
    cluster
        Who shares the samples: ``tcp://HOST:PORT`` of a Dask scheduler, ``local:N`` processes of
        this machine, or any ``concurrent.futures.Executor``, whose processes have tssl.
    slurm
        Settings of jobs that share the samples: ``{"partition": "short", "nodes": 8}``; also
        ``account``, ``qos``, ``constraint``, ``time`` in minutes, ``cpus``, ``mem`` in GB.

    Raises
    ------
    ConfigError, DataError, NetFileError
        When the choice or a file is wrong.
    BackendError
        When the backend is missing, fails or takes too long.
    """
    from tssl.clusters import chosen_cluster
    from tssl.workflow import run as workflow

    output = output_of(progress)
    choice = input_choice(
        output,
        data=data,
        split=split,
        input=input,
        labels=labels,
        samples=samples,
        steps=steps,
        data_dir=data_dir,
    )
    options = backend_options(timeout, workers, lava_python)
    return workflow.run(
        path_of(net),
        backend,
        choice,
        optional_path(out),
        options,
        output.bar,
        record,
        chosen_cluster(cluster, slurm),
    )


@verb
def verify(
    net: "ExportOutcome | PathLike",
    *,
    data: "Given | None" = None,
    split: str = "test",
    input: "PathLike | NDArray[Any] | None" = None,
    samples: int = 10,
    steps: int | None = None,
    seed: int | None = None,
    density: float | None = None,
    timeout: float | None = None,
    workers: int = 1,
    lava_python: PathLike | None = None,
    data_dir: PathLike | None = None,
    progress: bool = True,
) -> "Proof":
    """Compare our engine with Lava's CPU simulator on a file: every layer, every step.

    Parameters
    ----------
    data, split, input
        As of :func:`run`; the network's own data, or random input, when None.
    samples, steps
        Number of samples, from the first on; time steps of each.
    seed
        Take random input, from this seed.
    density
        Take random input, this share of it active; above 0 and at most 1.
    timeout, workers, lava_python
        As of :func:`run`.

    Returns
    -------
    proof
        ``proof.problem`` is None when all is equal, and names the first difference otherwise.

    Raises
    ------
    BackendUnavailableError
        When Lava is not installed.
    """
    from tssl.workflow import proof as workflow

    output = output_of(progress)
    choice = input_choice(
        output,
        data=data,
        split=split,
        input=input,
        samples=samples,
        steps=steps,
        seed=seed,
        density=density,
        data_dir=data_dir,
    )
    options = backend_options(timeout, workers, lava_python)
    with output.bar("verify", samples) as moved:
        return workflow.verify(path_of(net), choice, options, moved)
