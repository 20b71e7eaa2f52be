"""How good a network is where it was trained, beside how good it is here and on the chip."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import StrictFloat, StrictInt

if TYPE_CHECKING:
    from tssl.trainer.elsewhere import Answers

__all__ = ["There", "stored_answers", "there_of"]

MOST_SAMPLES = 1000
"""As many as an export takes for its accuracies unless it is told otherwise."""


@dataclass(frozen=True, kw_only=True)
class There:
    """A network run by the library that it was trained with.

    Parameters
    ----------
    by
        The library.
    read
        How a class is read off its output.
    accuracy
        Share of samples whose class is right.
    ties
        Samples of which several classes come first, where the library's reader takes the first
        class and tssl's read-out the earlier spikes or the higher potential.
    """

    by: str
    read: str
    accuracy: StrictFloat  # notes of a file are checked by these types
    samples: StrictInt
    ties: StrictInt

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)


def stored_answers(by: str, read: str, answers: "Answers", fingerprint: str) -> dict[str, Any]:
    """Return what a checkpoint keeps, as JSON data.

    Parameters
    ----------
    fingerprint
        Of the test split.
    """
    return {
        "by": by,
        "read": read,
        "samples": len(answers.right),
        "accuracy": float(answers.right.mean()),
        "fingerprint": fingerprint,
        "right": np.packbits(answers.right).tobytes().hex(),
        "tied": np.packbits(answers.tied).tobytes().hex(),
    }


def there_of(provenance: Mapping[str, Any], fingerprint: str, samples: int) -> There | None:
    """Return how good a network is there at the first samples; None where nobody ran it on them."""
    kept = provenance.get("there")
    if not isinstance(kept, dict) or kept["fingerprint"] != fingerprint:
        return None
    right, tied = (_bits(kept[key], kept["samples"])[:samples] for key in ("right", "tied"))
    return There(
        by=kept["by"],
        read=kept["read"],
        accuracy=float(right.mean()),
        samples=len(right),
        ties=int(tied.sum()),
    )


def _bits(text: str, number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:number]
