"""What a training refuses before it begins; refusals of recipes and data: tests/contract."""

import pytest
import torch

from tssl.errors import ConfigError
from tssl.trainer.checks import choose_device


def test_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match=r"--device cuda.*no CUDA"):
        choose_device("cuda")
