import subprocess
import sys
from pathlib import Path

import pytest

from tssl.errors import ConfigError
from tssl.lava_runtime import BACKENDS, BackendOptions, create_backend

ASKED = BackendOptions(python="python3", timeout=3.0, net_path=Path("a.net"))


def test_there_are_the_backends_of_the_contract():
    assert {"engine", "sim", "loihi2"} <= set(BACKENDS)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("options", [BackendOptions(), ASKED], ids=["plain", "asked"])
def test_every_backend_has_its_name(name, options):
    assert create_backend(name, options).name == name


def test_unknown_backend():
    with pytest.raises(ConfigError, match="'abacus' is unknown; there are engine, sim, loihi2"):
        create_backend("abacus", BackendOptions())


def test_a_board_takes_one_worker():
    create_backend("sim", BackendOptions(workers=3))
    with pytest.raises(ConfigError, match="--workers 3: a board takes one"):
        create_backend("loihi2", BackendOptions(workers=3))


def test_importing_the_room_loads_neither_torch_nor_h5py_nor_lava():
    code = (
        "import sys, tssl.lava_runtime, tssl.proof.compare, tssl.lava_runtime.install\n"
        "sys.exit(bool({'torch', 'h5py', 'lava'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_environment_names_the_interpreter_with_lava(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TSSL_LAVA_PYTHON", raising=False)
    assert BackendOptions().python is None
    monkeypatch.setenv("TSSL_LAVA_PYTHON", "some/python")
    assert BackendOptions().python == "some/python"
    assert BackendOptions(python="other").python == "other"
