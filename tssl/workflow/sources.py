"""Which network an export is of, and how many bits its layers get."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tssl.checkpoint import Checkpoint
from tssl.errors import CheckpointError, ConfigError
from tssl.results import RunResult
from tssl.trainer.run_directory import RunDirectory

if TYPE_CHECKING:
    from tssl.workflow.nir import NirChoice

__all__ = ["bits_of_layers", "checkpoint_file", "network_of"]


def network_of(run: Path, choice: "NirChoice") -> tuple[Checkpoint, Path]:
    """Return a network, and the file that it is from.

    Raises
    ------
    CheckpointError
        When there is none.
    ConfigError
        When a choice about NIR files is made of another one.
    """
    from tssl.workflow import nir  # networkx, which training has no use for

    if run.suffix == ".nir" and not run.is_dir():
        return nir.read(run, choice).checkpoint, run
    if choice != nir.NirChoice():
        raise ConfigError(f"{run}: is no .nir file; leave out --dt, --rule, --steps and --as-nir")
    source = checkpoint_file(run)
    return Checkpoint.load(source), source


def checkpoint_file(run: Path) -> Path:
    """Return the checkpoint of a run folder, or the file itself.

    Raises
    ------
    CheckpointError
        When there is none.
    """
    if run.is_file():
        if run.suffix == ".net":
            raise CheckpointError(f"{run}: is exported already; give the folder of a training run")
        if run.suffix == ".toml":
            raise CheckpointError(
                f"{run}: is a recipe; train it by `tssl train {run}`, and give the folder of the "
                "training run"
            )
        return run
    if not run.exists():
        raise CheckpointError(f"{run}: does not exist; give the folder of a training run")
    directory = RunDirectory(run)
    if directory.best.exists():
        return directory.best
    _, result = RunResult.files(run)
    if directory.recipe.exists():
        raise CheckpointError(f"{run}: holds no {directory.best.name}; no epoch is finished yet")
    what = "is a result of `tssl run`" if result.exists() else f"holds no {directory.best.name}"
    raise CheckpointError(f"{run}: {what}; give the folder of a training run")


def bits_of_layers(checkpoint: Checkpoint, given: Mapping[str, int]) -> dict[str, int]:
    """Return the bits of each layer that is named, alone or with all others.

    Raises
    ------
    ConfigError
        When a number is none.
    """
    names = [node.name for node in checkpoint.graph.spiking]
    bits: dict[str, int] = {}
    for name, number in given.items():
        if type(number) is not int:
            who = f"layer {name}" if name else "all layers"
            raise ConfigError(f"weight bits of {who}: {number!r} is not a whole number")
        bits.update(dict.fromkeys([name] if name else names, number))
    return bits
