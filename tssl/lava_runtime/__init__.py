"""Running chip networks: our engine, Lava's CPU simulator, Loihi 2, and comparing them."""

from importlib import import_module
from typing import cast

from tssl.errors import ConfigError
from tssl.lava_runtime.backend import Backend, BackendOptions, SampleProgress

__all__ = ["BACKENDS", "Backend", "BackendOptions", "SampleProgress", "create_backend"]

BACKENDS = {
    "engine": "tssl.engine.engine:Engine",
    "sim": "tssl.lava_runtime.lava_sim:LavaSim",
    "loihi2": "tssl.lava_runtime.loihi2:Loihi2",
}
"""Where each backend's class is; imported only when asked for."""


def create_backend(name: str, options: BackendOptions) -> Backend:
    """Return the backend of a name.

    Raises
    ------
    ConfigError
        When there is no such backend, or it cannot do what an option asks.
    """
    if name not in BACKENDS:
        raise ConfigError(f"backend {name!r} is unknown; there are {', '.join(BACKENDS)}")
    module, _, attribute = BACKENDS[name].partition(":")
    found = cast(type[Backend], getattr(import_module(module), attribute))
    return found.with_options(options)
