"""What lava-dl itself cannot do is asked of lava-dl, so that no reason given here grows old."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lava_runtime.limits import LIMITS
from tssl import netx
from tssl.errors import UnsupportedLayerError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.lava_runtime.limits", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    found: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.lava
@pytest.mark.parametrize("name", LIMITS)
def test_what_lava_dl_answers(answers: dict[str, str], name: str):
    assert LIMITS[name].answer in answers[name]


@pytest.mark.lava
@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resonators", "neuron type 'RF_PHASE'; supported: CUBA, LOIHI, SDNN"),
        ("complex", "type 'dense_comp' is not supported"),
        ("message bits", "messageBits, on which Lava fails to load"),
    ],
)
def test_tssl_refuses_them_in_a_line(folder: Path, name: str, said: str):
    with pytest.raises(UnsupportedLayerError) as raised:
        netx.read(folder / f"{name}.net")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
