"""Whose neurons do not do what NIR says, and how one sees it from a file."""

from collections.abc import Iterator

from tssl.errors import UnsupportedLayerError
from tssl.exchange.nir.description import Nir
from tssl.exchange.nir.timing import Timing

__all__ = ["check_conventions"]

_SOFT = "subtract the threshold instead of beginning again at v_reset"
_MANY = f"{_SOFT}, fire several times in a step, and at the threshold (>=)"
_AT = "fire at the threshold (>=)"
_MAKERS = {
    "sinabs": _MANY,
    "rockpool": _MANY,
    "spyx": _SOFT,
    "spikingjelly": _AT,
    "slayer": _AT,
    "lava-dl": _AT,
    "lava_dl": _AT,
}
"""By the name of a library, what its neurons do that NIR's do not."""
_WORDS = {"subtract": _SOFT, "soft reset": _SOFT, "soft_reset": _SOFT}


def check_conventions(nir: Nir, timing: Timing, *, as_nir: bool) -> list[str]:
    """Return, in sentences, what was read as NIR defines it although its maker does otherwise.

    A NIR file cannot say how its neurons compare or reset. The chip's fire above the threshold,
    once in a step, and begin again at zero: what NIR says.

    Parameters
    ----------
    as_nir
        Read the file as NIR defines it.

    Raises
    ------
    UnsupportedLayerError
        When there is such a sign and it is not asked for.
    """
    signs = list(dict.fromkeys(_signs(nir, timing)))
    if signs and not as_nir:
        raise UnsupportedLayerError(
            f"{nir.origin}: {signs[0]}; NIR and the chip fire above the threshold, once in a step, "
            "and begin again at v_reset; --as-nir reads the file as NIR defines it, with other "
            "spikes than its maker's"
        )
    return [f"read as NIR defines it, although {sign}" for sign in signs]


def _signs(nir: Nir, timing: Timing) -> Iterator[str]:
    """Yield what shows that the maker's neurons differ, in words."""
    stem = nir.origin.replace("\\", "/").rsplit("/", 1)[-1].lower()
    said = {f"metadata '{key}'": f"{key} {text}".lower() for key, text in nir.metadata.items()}
    for where, text in {"the name of the file": stem, **said}.items():
        for word, habit in _MAKERS.items():
            if word in text:
                yield f"{where} says {word}, whose neurons {habit}"
        for word, habit in _WORDS.items():
            if word in text:
                yield f"{where} says {word!r}, so its neurons {habit}"
    if timing.unit_gain:
        yield f"its gains are Rockpool's, whose neurons {_MANY}"
