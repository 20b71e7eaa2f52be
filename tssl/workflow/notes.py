"""What an export noted with a network: of which data, by which recipe, how good, how proven.

The notes follow one rule. A note that is missing is None or empty, because other programs store
none and older versions stored fewer. A note in another form than an export writes is damage, and
:func:`notes_of` refuses all the notes of that file, whichever of them is wanted. Further notes may
stand beside those named here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
)

from tssl import netx
from tssl.chip.numbers import INT32_LIMIT
from tssl.datasets import Given
from tssl.errors import ConfigError, DataError
from tssl.recipe import GIVEN, DataSpec, entries_of
from tssl.settings import Entries
from tssl.wording import of_version
from tssl.workflow.there import There

__all__ = ["AccuracyNote", "Notes", "ProofNote", "RecipeNote", "notes_of"]

_LARGEST = 1e30
"""Of what stands in a learning curve."""


def _is_range(span: tuple[int, int]) -> tuple[int, int]:
    """Refuse what is no range of the integers that a spike carries."""
    if not -INT32_LIMIT <= span[0] <= span[1] < INT32_LIMIT:
        raise ValueError("is no range of 32-bit integers")
    return span


def _are_columns(columns: dict[str, list[float]]) -> dict[str, list[float]]:
    """Refuse columns of different lengths, and values that no axis can show."""
    values = list(columns.values())
    if len({len(column) for column in values}) > 1:
        raise ValueError("its columns have different lengths")
    if not all(abs(value) <= _LARGEST for column in values for value in column):
        raise ValueError(f"must be numbers of magnitude {_LARGEST:g} at most")
    return columns


def _without_newer(table: object) -> object:
    """Return a recipe's table of data without the keys of a newer version."""
    if not isinstance(table, dict):
        return table
    return {key: value for key, value in table.items() if key in DataSpec.model_fields}


class _Note(Entries):
    """A table of the notes, in which further keys may stand."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=True, protected_namespaces=())


class AccuracyNote(_Note):
    """How good a network is on the first test samples, in floating point and in integers.

    Parameters
    ----------
    floating, chip
        Share of samples that are right; R² of a network whose output is numbers.
    there
        How good the PyTorch modules are that the network was made of.
    """

    floating: StrictFloat = Field(alias="float")
    chip: StrictFloat
    samples: StrictInt
    there: There | None = None


class _Comparison(_Note):
    """What a witness compared in one layer."""

    layer: str
    quantity: str
    compared: StrictInt
    left: StrictInt
    differences: StrictInt


class _Stage(_Note):
    """What one witness stated; ``skipped`` is the reason where nothing was compared."""

    witness: str
    skipped: str
    rows: list[_Comparison]


class ProofNote(_Note):
    """The statements of all witnesses at the export."""

    verdict: str
    stages: list[_Stage]


class RecipeNote(_Note):
    """The recipe of the training. That of another version lacks some keys, or has more."""

    name: str = ""
    data: Annotated[DataSpec | None, BeforeValidator(_without_newer)] = None
    training: dict[str, Any] = Field(default_factory=dict)

    @property
    def text(self) -> str:
        """Its name, rule and seed."""
        known = {key: self.training.get(key) for key in ("rule", "seed")}
        parts = [f"{key} {value}" for key, value in known.items() if value not in (None, "")]
        return ", ".join(filter(None, [self.name, *parts]))


class Notes(_Note):
    """What an export noted with a network, in the forms that it writes.

    Parameters
    ----------
    document
        All notes as they were stored, JSON data.
    tssl, target
        The version that exported the network, and the profile for which.
    data
        Name or path of the data set as the recipe has it; None for a network without one.
    data_name, class_names, fingerprints
        The data set's own name, its classes, and the SHA-256 of each split.
    data_folders
        The folder in which the data set was looked for first, by its name; empty when none was
        named.
    bin_us
        Microseconds of a time step of events.
    input_range
        Smallest and largest integer that can enter.
    recipe, training
        How the network was trained, and by what.
    learning
        Columns of the learning curve.
    accuracy, proof
        What the export measured and proved.
    """

    document: dict[str, Any] = Field(default_factory=dict)
    tssl: str | None = None
    target: str | None = None
    data: str | None = None
    data_name: str | None = None
    class_names: tuple[str, ...] = ()
    fingerprints: dict[str, str] = Field(default_factory=dict)
    data_folders: dict[str, str] = Field(default_factory=dict)
    bin_us: StrictInt | None = None
    input_range: Annotated[tuple[StrictInt, StrictInt], AfterValidator(_is_range)] | None = None
    recipe: RecipeNote | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    learning: Annotated[dict[str, list[StrictFloat]], AfterValidator(_are_columns)] = Field(
        default_factory=dict
    )
    accuracy: AccuracyNote | None = None
    proof: ProofNote | None = None

    @property
    def data_spec(self) -> DataSpec | None:
        """How the data were read that the network was trained on.

        Raises
        ------
        DataError
            When this version would read them otherwise, because it does not know all keys.
        """
        if self.recipe is None or self.recipe.data is None:
            return None
        stored = self.document.get("recipe", {}).get("data", {})
        newer = [key for key in stored if key not in DataSpec.model_fields]
        if newer:
            raise DataError(
                f"the recipe stored with the network: key 'data.{newer[0]}' is unknown"
                f"{of_version(self.tssl)}; give its input with --input, or use the tssl that "
                "exported it"
            )
        return self.recipe.data

    @property
    def own_data(self) -> Given | None:
        """The data that the network was trained on, unless a program gave them."""
        spec = None if self.recipe is None else self.recipe.data
        if spec is not None and spec.path is not None:
            return Path(spec.path)
        return None if self.data == GIVEN else self.data

    @property
    def measured_elsewhere(self) -> Mapping[str, Any]:
        """The accuracies of an export that knew the network elsewhere, as JSON data, or nothing."""
        if self.accuracy is None or self.accuracy.there is None:
            return {}
        return dict(self.document["accuracy"])


def notes_of(net: Path) -> Notes:
    """Return what an export noted with the network in a file.

    Raises
    ------
    NetFileError
        When the file cannot be read.
    DataError
        When a note has another form than an export writes.
    """
    stored = netx.read_notes(net)
    known = {name: note for name, note in stored.items() if note is not None}
    try:
        return entries_of(Notes, {**known, "document": stored}, f"{net}: notes of the export")
    except ConfigError as error:
        raise DataError(f"{error}; export it again") from error
