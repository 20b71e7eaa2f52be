"""The part of SciPy that takes half of Lava's start, for networks with convolutions alone."""

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

from .building import Network
from .shims import Foreign

__all__ = ["load_signal", "without_signal"]

_NAME = "scipy.signal"


@contextmanager
def without_signal() -> Iterator[None]:
    """Let Lava import an empty module in place of ``scipy.signal``."""
    sys.modules[_NAME] = types.ModuleType(_NAME)
    try:
        yield
    finally:
        del sys.modules[_NAME]


def load_signal(network: Network) -> None:
    """Load what Lava's convolutions call, if there are any, once for all processes to be forked."""
    from lava.proc.conv import utils
    from lava.proc.conv.process import Conv

    synapses: list[Foreign] = [
        synapse
        for layer in network.layers
        for synapse in (*(way.synapse for way in layer.arriving), *layer.own)
    ]
    if any(isinstance(synapse, Conv) for synapse in synapses):
        utils.signal = importlib.import_module(_NAME)
