import subprocess
import sys

import pytest

from tssl.errors import ConfigError
from tssl.lava_runtime import BACKENDS, get_backend


def test_every_backend_has_its_name():
    assert set(BACKENDS) == {"engine", "sim", "loihi2"}
    for name in BACKENDS:
        assert get_backend(name)().name == name


def test_unknown_backend():
    with pytest.raises(ConfigError, match="'abacus' is unknown; there are engine, sim, loihi2"):
        get_backend("abacus")


def test_importing_the_room_loads_neither_torch_nor_h5py_nor_lava():
    code = (
        "import sys, tssl.lava_runtime, tssl.lava_runtime.compare, tssl.lava_runtime.install\n"
        "sys.exit(bool({'torch', 'h5py', 'lava'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
