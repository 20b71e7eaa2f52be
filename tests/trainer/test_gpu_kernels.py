"""Triton kernels against the plain code, on Triton's interpreter, and compiled without a GPU.

With a CUDA device the same comparison runs on it.
"""

import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainer.test_golden import PUBLIC, Golden, check_all
from tests.trainer.test_recurrence import RULES, assert_same, currents, neurons
from tssl.trainer import layout, recurrence
from tssl.trainer.neuron import Activity, Neurons, Pool, Trace
from tssl.trainer.recurrence import Gradient, spiking

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when the kernels are defined
triton = pytest.importorskip("triton", reason="Triton, which a GPU needs, is not installed")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
H100 = 90


@pytest.fixture(autouse=True)
def _fused(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(layout, "is_compiled_input", lambda *_: False)
    with np.errstate(divide="ignore", invalid="ignore"):  # where no spike is, 1/0 is not taken
        yield


def both(
    values: Tensor, layer: Neurons, gradient: Gradient, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[Trace, Tensor, Activity]]:
    """Run fused and plain with the same error coming in."""
    results = []
    for fused in (True, False):
        monkeypatch.setattr(recurrence, "_is_fused", lambda _, fused=fused: fused)
        given, activity = values.to(DEVICE, copy=True).requires_grad_(), Activity()
        trace = spiking(given, layer, gradient, activity)
        incoming = torch.randn(trace.psp.shape, generator=torch.Generator().manual_seed(4))
        trace.psp.backward(incoming.to(DEVICE))
        assert given.grad is not None
        results.append((trace, given.grad, activity))
    return results


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [1, 5, pytest.param(30, marks=pytest.mark.slow)])
def test_dense_layers(rule: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """701 neurons: no multiple of a program's block."""
    layer = neurons(record=True)
    assert_same(both(currents(steps, 3, 701), layer, RULES[rule], monkeypatch))


@pytest.mark.parametrize("constant", [0, 1, 5])
@pytest.mark.parametrize("channels_last", [True, False])
def test_images(constant: int, channels_last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    values = currents(1 if constant else 5, 2, 5, 6, 9, channels_last=channels_last) * 2
    layer = neurons(record=True, constant_steps=constant)
    assert_same(both(values, layer, RULES["tssl-bp"], monkeypatch))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("constant", [0, 5])
@pytest.mark.parametrize("window", [(2, 3), (3, 3), (6, 1), (1, 1), (6, 9)])
def test_pools(
    window: tuple[int, int], constant: int, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows that fill images of 6 x 9; most have no power of two of neurons."""
    values = currents(1 if constant else 5, 2, 5, 6, 9, channels_last=True) * 2
    layer = neurons(record=True, constant_steps=constant, pool=Pool(window, 1.1))
    assert_same(both(values, layer, RULES[rule], monkeypatch))


def test_a_pool_over_several_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    values = currents(3, 2, 20, 8, 10, channels_last=True) * 2
    layer = neurons(record=True, pool=Pool((2, 2), 1.1))
    assert_same(both(values, layer, RULES["tssl-bp"], monkeypatch))


def test_a_pool_that_leaves_an_edge_goes_behind_the_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = currents(3, 2, 5, 6, 9, channels_last=True) * 2
    layer = neurons(record=True, pool=Pool((2, 2), 1.1))
    assert_same(both(values, layer, RULES["tssl-bp"], monkeypatch))


def test_warm_up_of_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    always = Gradient(spike_time=True, reset=0.2, fallback_below=0.0, warm_rate=1.0)
    fused, plain = both(currents(5, 3, 40), neurons(record=True), always, monkeypatch)
    assert_same([fused, plain])
    assert int(fused[2].fallbacks) == 5 * 3 * 40


def test_spikes_and_potentials_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    images = currents(5, 3, 4, 6, 6, channels_last=True)
    for values, layer in ((currents(5, 3, 40), neurons()), (images, neurons(pool=Pool((2, 2))))):
        for trace, _, _ in both(values, layer, RULES["tssl-bp"], monkeypatch):
            assert trace.spikes.numel() == trace.voltage.numel() == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLIC)
def test_equal_to_the_official_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrence, "_is_fused", lambda _: True)
    check_all(Golden(name, torch.float32, DEVICE), monkeypatch)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_a_device_uses_them() -> None:
    assert recurrence._is_fused(torch.zeros(1, 1, 1, device=DEVICE))


SIGNATURES = {
    "gpu_kernels._forward": ["*fp32"] * 4 + ["*i64"] + ["i32"] * 3 + ["fp32"] * 4,
    "gpu_kernels._backward": ["*fp32"] * 5 + ["*i64"] + ["i32"] * 2 + ["fp32"] * 6,
    "gpu_pools._forward": ["*fp32"] * 4 + ["*i64"] + ["i32"] * 6 + ["fp32"] * 4,
    "gpu_pools._backward": ["*fp32"] * 5 + ["*i64"] + ["i32"] * 5 + ["fp32"] * 7,
}
WINDOW = {"ROWS": 2, "COLUMNS": 2, "MEMBERS": 4}


class TestCompiled:
    """What an H100 would run; Triton compiles without one."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("kernel", "switches"),
        [
            ("gpu_kernels._forward", {}),
            ("gpu_kernels._backward", {"SPIKE_TIME": True, "ADDS_UP": False}),
            ("gpu_kernels._backward", {"SPIKE_TIME": False, "ADDS_UP": True}),
            ("gpu_pools._forward", WINDOW),
            ("gpu_pools._backward", {"SPIKE_TIME": True, "ADDS_UP": False, **WINDOW}),
            ("gpu_pools._backward", {"SPIKE_TIME": False, "ADDS_UP": True, **WINDOW}),
        ],
    )
    def test_nothing_is_fused_that_would_round_otherwise(
        self, kernel: str, switches: dict[str, int]
    ) -> None:
        assembly = self.compiled(kernel, switches)
        assert ".target sm_90" in assembly
        assert "mul.rn.f32" in assembly
        assert "add.rn.f32" in assembly
        assert not re.search(r"\bfma\.", assembly)

    def compiled(self, kernel: str, switches: dict[str, int]) -> str:
        """Return a kernel's PTX; in a fresh process, since this one interprets."""
        script = f"""
import triton
from triton.backends.compiler import GPUTarget
from tssl.trainer import gpu_kernels, gpu_pools
kernel = {kernel}
types = {SIGNATURES[kernel]} + ["constexpr"] * {len(switches) + 1}
constants = {{**{switches}, "BLOCK": 256}}
source = triton.compiler.ASTSource(
    kernel, dict(zip(kernel.arg_names, types)), constexprs=constants
)
built = triton.compile(
    source, target=GPUTarget("cuda", {H100}, 32), options={{"enable_fp_fusion": False}}
)
print(built.asm["ptx"])
"""
        environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
        ran = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout
