"""What the environment says about other processes."""

import pytest

from tssl.machine.processes import lava_python


def test_the_interpreter_with_lava(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TSSL_LAVA_PYTHON", raising=False)
    assert lava_python() is None
    monkeypatch.setenv("TSSL_LAVA_PYTHON", "")
    assert lava_python() is None, "an empty name is none"
    monkeypatch.setenv("TSSL_LAVA_PYTHON", "some/python")
    assert lava_python() == "some/python"
