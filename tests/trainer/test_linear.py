"""Products through oneDNN against PyTorch's own."""

import pytest
import torch

from tssl.geometry import Geometry
from tssl.trainer import linear
from tssl.trainer.linear import weighted


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("shape", [(5, 3, 20), (1, 4, 2, 3, 4)])
def test_dense_layer_and_its_gradients(
    onednn: bool, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against float64; images are flattened in (C, H, W) order."""
    if onednn and not torch.backends.mkldnn.is_available():
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(linear, "prefers_onednn", lambda _: onednn)
    monkeypatch.setattr(linear, "_FEW", 1)
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(shape, generator=generator)
    features = signal[0, 0].numel()
    weight = torch.randn(70, features, generator=generator)
    coming = torch.randn(*shape[:2], 70, generator=generator)
    assert linear.is_by_onednn(signal.flatten(2).flatten(0, 1), weight) == onednn
    results = []
    for dtype in (torch.float32, torch.float64):
        a, w = (t.to(dtype, copy=True).requires_grad_() for t in (signal, weight))
        if dtype == torch.float64:
            result = torch.einsum("tbf,nf->tbn", a.flatten(2), w)
        else:
            result = weighted(a, w, None)
        result.backward(coming.to(dtype))
        results.append((result.detach(), a.grad, w.grad))
    for ours, theirs in zip(*results, strict=True):
        assert ours is not None
        assert theirs is not None
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(kernel=(3, 3), padding=(1, 1)),
        Geometry(kernel=(3, 2), stride=(2, 1)),
        Geometry(kernel=(3, 3), dilation=(2, 2)),
        Geometry(kernel=(3, 3), groups=2),
    ],
)
def test_convolution_over_all_steps_is_that_of_each(geometry: Geometry) -> None:
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(3, 2, 4, 9, 8, generator=generator)
    weight = torch.randn(6, 4 // geometry.groups, *geometry.kernel, generator=generator)
    together = weighted(signal, weight, geometry)
    for step, result in zip(signal, together, strict=True):
        alone = torch.nn.functional.conv2d(
            step,
            weight,
            None,
            geometry.stride,
            geometry.padding,
            geometry.dilation,
            geometry.groups,
        )
        torch.testing.assert_close(result, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("to_signal", [True, False])
def test_a_process_without_samples(to_signal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_is_amd_with_avx512", lambda: True)
    signal = torch.zeros(5, 0, 20, requires_grad=to_signal)
    weight = torch.ones(70, 20, requires_grad=True)
    weighted(signal, weight, None).sum().backward()
    assert weight.grad is not None
    assert not weight.grad.any()
    error = torch.zeros(5, 0, 70)
    _, to_weight = linear.gradients(error, signal, weight, None, to_signal=to_signal)
    assert not to_weight.any()


def test_small_products_stay_with_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "prefers_onednn", lambda _: True)
    rows, weight = torch.zeros(512, 256), torch.zeros(8, 256)
    assert linear.is_by_onednn(rows, weight)
    assert not linear.is_by_onednn(rows[:-1], weight)


@pytest.mark.parametrize("is_there", [True, False])
def test_an_operation_that_pytorch_does_not_promise(
    is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_there and not torch.backends.mkldnn.is_available():
        pytest.skip("this PyTorch has no oneDNN")
    if not is_there:
        monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert linear._has_onednn.__wrapped__() == is_there


def test_double_precision_stays_with_pytorch() -> None:
    assert not linear.prefers_onednn(torch.zeros(2, 2, dtype=torch.float64))


@pytest.mark.parametrize("geometry", [None, Geometry(kernel=(3, 3))], ids=["dense", "convolution"])
def test_factors_are_rounded(geometry: Geometry | None) -> None:
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(2, 3, 4, 5, 5, generator=generator).requires_grad_()
    shape = (7, 100) if geometry is None else (7, 4, 3, 3)
    weight = torch.randn(shape, generator=generator).requires_grad_()
    rounded = (signal.detach().bfloat16().double(), weight.detach().bfloat16().double())
    result = weighted(signal, weight, geometry, torch.bfloat16)
    expected = weighted(*rounded, geometry)
    assert result.dtype == torch.float32
    assert not torch.equal(result.double(), weighted(signal.double(), weight.double(), geometry))
    # each sum is rounded once more
    torch.testing.assert_close(result.double(), expected, rtol=2**-8, atol=2**-8)
    result.sum().backward()
    for leaf in (signal, weight):
        assert leaf.grad is not None
        assert leaf.grad.dtype == torch.float32


def test_tensor_cores_round_only_when_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    matmul, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, convolutions.allow_tf32
    for allowed in (True, False):
        with linear.tf32(allowed):
            assert (matmul.allow_tf32, convolutions.allow_tf32) == (allowed, allowed)
    assert (matmul.allow_tf32, convolutions.allow_tf32) == before
