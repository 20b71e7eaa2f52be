"""Whose neurons do not do what NIR says, and how one sees it from a file."""

from collections.abc import Iterator

from tssl.errors import UnsupportedLayerError
from tssl.exchange.nir.at_threshold import firing_at, sums_up
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


def check_conventions(nir: Nir, timing: Timing, *, as_nir: bool) -> tuple[Nir, list[str]]:
    """Return a graph by the conventions of its maker, and in sentences what was not done by them.

    A NIR file cannot say how its neurons compare or reset. The chip's fire above the threshold,
    once in a step, and begin again at zero: what NIR says. Neurons that fire at the threshold can
    be had where their potentials are sums, see :mod:`tssl.exchange.nir.at_threshold`.

    Parameters
    ----------
    as_nir
        Read the file as NIR defines it.

    Raises
    ------
    UnsupportedLayerError
        When there is such a sign and it is not asked for.
    """
    signs = dict(_signs(nir, timing))
    if as_nir or not signs:
        return nir, [f"read as NIR defines it, although {sign}" for sign in signs]
    leaking = [node for node in nir.firing if not sums_up(node)]
    if set(signs.values()) == {_AT} and not leaking:
        return firing_at(nir, [node.name for node in nir.firing]), []
    sign = next(iter(signs))
    why = "NIR and the chip fire above the threshold, once in a step, and begin again at v_reset"
    if set(signs.values()) == {_AT}:
        why = (
            f"{leaking[0].title} is no IF: its potentials lie between the chip's thresholds, so "
            "that no threshold with > does the same"
        )
    raise UnsupportedLayerError(
        f"{nir.origin}: {sign}; {why}; --as-nir reads the file as NIR defines it, with other "
        "spikes than its maker's"
    )


def _signs(nir: Nir, timing: Timing) -> Iterator[tuple[str, str]]:
    """Yield what shows that the maker's neurons differ, in words, and what they do."""
    stem = nir.origin.replace("\\", "/").rsplit("/", 1)[-1].lower()
    said = {f"metadata '{key}'": f"{key} {text}".lower() for key, text in nir.metadata.items()}
    for where, text in {"the name of the file": stem, **said}.items():
        for word, habit in _MAKERS.items():
            if word in text:
                yield f"{where} says {word}, whose neurons {habit}", habit
        for word, habit in _WORDS.items():
            if word in text:
                yield f"{where} says {word!r}, so its neurons {habit}", habit
    if timing.unit_gain:
        yield f"its gains are Rockpool's, whose neurons {_MANY}", _MANY
