"""Running chip networks: our engine, Lava's CPU simulator, Loihi 2, and comparing them."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from tssl.errors import ConfigError
from tssl.lava_runtime.backend import Backend, Progress

__all__ = ["BACKENDS", "Backend", "Progress", "get_backend"]

BACKENDS = {
    "engine": "tssl.lava_runtime.engine:Engine",
    "sim": "tssl.lava_runtime.lava_sim:LavaSim",
    "loihi2": "tssl.lava_runtime.loihi2:Loihi2",
}
"""Where each backend's class is; imported only when asked for."""


def get_backend(name: str) -> Callable[..., Backend]:
    """Return the class of a backend, to be called with its options.

    Raises
    ------
    ConfigError
        When there is no such backend.
    """
    if name not in BACKENDS:
        raise ConfigError(f"backend {name!r} is unknown; there are {', '.join(BACKENDS)}")
    module, _, attribute = BACKENDS[name].partition(":")
    return cast(Callable[..., Backend], getattr(import_module(module), attribute))
