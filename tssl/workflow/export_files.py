"""What an export writes: the network with its notes, and the proof beside it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.datasets import Dataset
from tssl.errors import VerificationError
from tssl.machine.files import write_json, written_together
from tssl.version import __version__
from tssl.workflow.nir import is_foreign

if TYPE_CHECKING:
    from tssl.workflow.export import ExportOutcome

__all__ = ["data_facts", "write_exported"]


def data_facts(train: Dataset, test: Dataset, folders: Mapping[str, str]) -> dict[str, Any]:
    """Return where data were, and what shows, later, whether others are the same, as JSON data.

    Parameters
    ----------
    folders
        See :func:`tssl.workflow.data.folders_of`.
    """
    return {
        **({"data_folders": dict(folders)} if folders else {}),
        "data_name": train.name,
        "class_names": list(train.class_names),
        "fingerprints": {part.split: part.fingerprint for part in (train, test)},
    }


def write_exported(
    outcome: "ExportOutcome", checkpoint: Checkpoint, facts: Mapping[str, Any]
) -> None:
    """Write the network and its proof, both or neither.

    Raises
    ------
    VerificationError
        When the file does not read back as the network.
    OutputError
        When something cannot be written.
    """
    own = None if is_foreign(checkpoint) else checkpoint.recipe.data.shown
    notes = {
        "tssl": __version__,
        "target": outcome.profile.name,
        "data": own,
        **facts,
        "input_range": outcome.input_range,
        "recipe": checkpoint.recipe.model_dump(mode="json", exclude_none=True, by_alias=True),
        "training": checkpoint.provenance,
        "accuracy": outcome.accuracy,
        "proof": outcome.proof.document(),
    }
    if own is None:
        del notes["accuracy"]
    proof = outcome.path.with_suffix(".proof.json")
    with written_together(proof.parent, proof.name) as folder:
        net = folder / outcome.path.name
        netx.write(net, outcome.network, notes)
        if netx.read(net).digest != outcome.network.digest:
            raise VerificationError(
                f"{outcome.path}: reads back as another network; nothing was written"
            )
        write_json(folder / proof.name, outcome.proof.document())
