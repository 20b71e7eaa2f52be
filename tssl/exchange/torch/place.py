"""A module of a network, and what it says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tssl.errors import UnsupportedLayerError

__all__ = ["Floats", "Module", "Place", "library_of"]

Floats = NDArray[np.float64]


class Module(Protocol):
    """What is asked of any PyTorch module; the rest are attributes by name."""

    @property
    def _modules(self) -> Mapping[str, "Module | None"]:
        """The modules in it, in order."""


def library_of(module: Module) -> str:
    """Return the package that the class of a module is from."""
    return type(module).__module__.split(".")[0]


@dataclass(frozen=True)
class Place:
    """A module, and where it stands.

    Parameters
    ----------
    origin
        Of the whole network, for messages.
    path
        Names of the modules around it and its own, as in ``named_modules``.
    """

    origin: str
    path: str
    module: Module

    @property
    def library(self) -> str:
        """The package its class is from."""
        return library_of(self.module)

    @property
    def kind(self) -> str:
        """The name of its class."""
        return type(self.module).__name__

    @property
    def name(self) -> str:
        """A name for its node: its own one, or its kind and number."""
        own = self.path.replace(".", "_")
        return own if own[:1].isalpha() else f"{self.kind.lower()}{own}"

    def child(self, name: str) -> "Place":
        """Return a module in it.

        Raises
        ------
        UnsupportedLayerError
            When there is none.
        """
        return Place(self.origin, f"{self.path}.{name}", self.value(name))

    def refusal(self, reason: str) -> UnsupportedLayerError:
        """Return the error that names it."""
        return UnsupportedLayerError(f"{self.origin}: module {self.path} ({self.kind}): {reason}")

    def value(self, path: str) -> Any:  # noqa: ANN401 - whatever the module holds
        """Return an attribute, or one of an attribute's.

        Raises
        ------
        UnsupportedLayerError
            When there is none.
        """
        found: Any = self.module
        for key in path.split("."):
            if not hasattr(found, key):
                raise self.refusal(
                    f"has no {path}; it is read as a {self.kind} of {self.library}, maybe of "
                    "another version"
                )
            found = getattr(found, key)
        return found

    def array(self, path: str) -> Floats:
        """Return an attribute in double precision.

        Raises
        ------
        UnsupportedLayerError
            When it is not there, or no finite numbers.
        """
        value = self.value(path)
        if hasattr(value, "detach"):
            value = value.detach().cpu().double().numpy()
        try:
            found = np.array(value, np.float64)
        except (TypeError, ValueError) as error:
            raise self.refusal(f"{path} = {value!r:.60} is no number") from error
        if not np.isfinite(found).all():
            raise self.refusal(f"{path} holds numbers that are not finite")
        return found

    def refuse_unless(self, path: str, advice: str, *, wanted: object) -> None:
        """Refuse a setting that no chip has.

        Raises
        ------
        UnsupportedLayerError
            When the attribute has another value.
        """
        value = self.value(path)
        if hasattr(value, "detach"):
            value = value.detach().cpu().double().numpy()
            same = bool((value == wanted).all())
        else:
            same = bool(value == wanted)
        if not same:
            shown = " ".join(str(value).split())
            raise self.refusal(f"{path} = {shown:.60}; {advice}")
