"""Running out of memory ends with a batch size that fits."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.command import in_this_process
from tests.trainer.test_network import images, network
from tssl.errors import TrainingError
from tssl.trainer import memory
from tssl.trainer.device_steps import DeviceSteps
from tssl.trainer.fit import Fit
from tssl.trainer.memory import bytes_per_sample, explained_shortage
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.objective import Objective


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        torch.OutOfMemoryError("CUDA out of memory"),
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_shortage_names_a_batch_size(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    per_sample = bytes_per_sample(network().graph)
    monkeypatch.setattr(memory, "all_bytes", lambda device: 10 * per_sample)
    with (
        pytest.raises(TrainingError, match=r"batch_size = 500: .*--batch-size 8$"),
        explained_shortage(network(), 500),
    ):
        raise error


def test_a_suggestion_is_smaller_and_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for present, batch, suggested in ((0, 500, 1), (1 << 60, 500, 250), (1 << 60, 1, 1)):
        monkeypatch.setattr(memory, "all_bytes", lambda device, present=present: present)
        with (
            pytest.raises(TrainingError, match=f"--batch-size {suggested}$"),
            explained_shortage(network(), batch),
        ):
            raise MemoryError


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shape"), explained_shortage(network(), 5):
        raise RuntimeError("shapes do not match")


def test_a_real_shortage_is_recognised() -> None:
    with pytest.raises(TrainingError), explained_shortage(network(), 5):
        torch.empty(1 << 60)


RICH = [
    {"type": "conv", "channels": 4, "kernel": 3, "norm": "batch", "neuron": "plif", "name": "a"},
    {"type": "conv", "channels": 4, "kernel": 3, "padding": 1, "bias": True, "name": "b"},
    {"type": "dense", "neurons": 9, "norm": "batch", "tau_s": 2.0, "from": ["a", "b"]},
    {"type": "dense", "neurons": 3},
]


@pytest.mark.parametrize("layers", [None, RICH], ids=["plain", "rich"])
def test_estimate_is_near_what_the_backward_pass_keeps(layers: list[dict[str, Any]] | None) -> None:
    """Within 1.3 times, weights not counted."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    small = network(layers=layers)
    weights = {weight.untyped_storage().data_ptr() for weight in small.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        small(images(50))
    total = sum(size for pointer, size in kept.items() if pointer not in weights)
    assert total <= 1.3 * 50 * bytes_per_sample(small.graph)


@pytest.mark.parametrize("deferred", [False, True])
def test_a_training_on_a_full_device_ends_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    deferred: bool,
) -> None:
    """As the command does, with steps that wait for the device and with steps that do not."""
    began = Fit.__init__

    def begin(fit: Fit, *arguments: Any, **named: Any) -> None:
        began(fit, *arguments, **named)
        if deferred:
            fit.device_steps = DeviceSteps(
                fit.network, fit.optimizer, fit.recipe.training, fit.objective.loss, None
            )

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0")

    monkeypatch.setattr(Fit, "__init__", begin)
    monkeypatch.setattr(Objective, "loss", full)
    monkeypatch.setattr(SpikingNetwork, "learn", full)
    monkeypatch.setattr(memory, "all_bytes", lambda device: 1 << 30)
    out = tmp_path / "run"
    ran = in_this_process(capsys)("train", "digits", "--device", "cpu", "--out", out, "--quiet")
    assert ran.status == TrainingError.exit_code
    assert ran.err.splitlines()[-1].endswith(
        "training.batch_size = 32: memory ran out, there are 1.0 GiB; try --batch-size 16"
    )
    assert "Traceback" not in ran.err
    assert not out.exists()


@pytest.mark.parametrize("place", ["wake_silent_layers", "evaluate"])
def test_a_device_that_is_full_outside_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nGPU 0")

    monkeypatch.setattr(f"tssl.trainer.fit.{place}", full)
    monkeypatch.setattr(memory, "all_bytes", lambda device: 1 << 30)
    out = tmp_path / "run"
    ran = in_this_process(capsys)("train", "digits", "--device", "cpu", "--out", out, "--quiet")
    assert ran.status == TrainingError.exit_code
    assert ran.err.splitlines()[-1].endswith(
        "network.layers: memory ran out before or between training steps, there are 1.0 GiB; end "
        "other programs that use it, or use smaller layers"
    )
    assert "Traceback" not in ran.err
    assert not out.exists()


def test_memory_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, free or not."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 80))
    assert memory.all_bytes(torch.device("cuda")) == 80


def test_memory_of_this_machine() -> None:
    assert memory.all_bytes(torch.device("cpu")) > 1 << 30
