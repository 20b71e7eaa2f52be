"""Running chip networks: our engine, Lava's CPU simulator, Loihi 2, and comparing them."""

from typing import cast

from tssl.errors import ConfigError
from tssl.lava_runtime.backend import Backend, BackendOptions, SampleProgress
from tssl.machine.plugins import extended, loaded
from tssl.wording import did_you_mean

__all__ = ["BACKENDS", "Backend", "BackendOptions", "SampleProgress", "create_backend"]

_OWN = {
    "engine": "tssl.engine.engine:Engine",
    "sim": "tssl.lava_runtime.lava_sim:LavaSim",
    "loihi2": "tssl.lava_runtime.loihi2:Loihi2",
}
BACKENDS: dict[str, str] = extended(_OWN, "tssl.backends")
"""Where each backend's class is; imported only when asked for. Distributions may add to it."""


def create_backend(name: str, options: BackendOptions) -> Backend:
    """Return the backend of a name.

    Raises
    ------
    ConfigError
        When there is no such backend, or it cannot do what an option asks.
    """
    if name not in BACKENDS:
        raise ConfigError(
            f"backend {name!r} is unknown{did_you_mean(name, BACKENDS)}; there are "
            f"{', '.join(BACKENDS)}"
        )
    found = cast(type[Backend], loaded(BACKENDS[name], f"backend {name!r}"))
    return found.with_options(options)
