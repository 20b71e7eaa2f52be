"""Train spiking networks with TSSL-BP, export them for Loihi, prove and price them.

>>> import tssl
>>> run = tssl.train("digits")  # doctest: +SKIP
>>> chip = tssl.export(run, target="loihi2")  # doctest: +SKIP
>>> result = tssl.run(chip, backend="sim")  # doctest: +SKIP
>>> tssl.report(result, "loihi2", html="report.html")  # doctest: +SKIP
"""

import importlib
from types import ModuleType

from tssl.api import export, run, train, verify
from tssl.errors import TsslError
from tssl.foreign import from_torch, nir_read, nir_write
from tssl.looking import calibrate, diff, inspect, report
from tssl.machine.waiting import wait_briefly
from tssl.sweeping import plan, sweep
from tssl.version import __version__

__all__ = [
    "TsslError",
    "__version__",
    "calibrate",
    "diff",
    "export",
    "from_torch",
    "inspect",
    "nir_read",
    "nir_write",
    "plan",
    "report",
    "run",
    "sweep",
    "train",
    "verify",
]

wait_briefly()  # before anything loads PyTorch


def __getattr__(name: str) -> ModuleType:
    """Import ``tssl.nn`` when it is asked for, because it loads PyTorch."""
    if name == "nn":
        return importlib.import_module("tssl.nn")
    raise AttributeError(f"module 'tssl' has no attribute {name!r}")
