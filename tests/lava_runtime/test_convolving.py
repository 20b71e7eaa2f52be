"""Lava starts without the part of SciPy that its convolutions alone need.

That convolutions find it is shown by every convolution that runs on Lava.
"""

import subprocess
import sys

import pytest

from tssl.lava_runtime import lava_sim

START = """
import sys
from tssl.lava_runtime.worker.convolving import without_signal
from tssl.lava_runtime.worker.shims import import_lava

with without_signal():
    import_lava()
    from lava.proc.conv import utils
print("scipy.signal" in sys.modules, "scipy.stats" in sys.modules)
from scipy import signal
print(signal.convolve2d([[2]], [[3]]))
"""


@pytest.mark.lava
def test_convolutions_alone_load_scipy_signal() -> None:
    missing = lava_sim.check(None)
    if missing is not None:
        pytest.skip(missing)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", START], capture_output=True, text=True, check=False
    )
    assert ran.stdout.splitlines() == ["False False", "[[6]]"], ran.stderr
