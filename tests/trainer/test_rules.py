"""Learning rules: a contract for each, and TSSL-BP against its definition."""

import math

import pytest
import torch
from torch import Tensor

from tssl.errors import ConfigError
from tssl.trainer.neuron import lif_forward, psp
from tssl.trainer.rules import RULES, get_rule
from tssl.trainer.rules.tsslbp import tssl_bp

CONSTANTS = {"tau_m": 5.0, "tau_s": 3.0, "threshold": 1.0}


def current(*shape: int, seed: int = 0) -> Tensor:
    """Return currents that make some neurons fire often, some never."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (values * 0.8 + 0.3).requires_grad_()


def test_there_are_rules() -> None:
    assert RULES


@pytest.mark.parametrize("name", RULES)
class TestEveryRule:
    def test_forward_is_the_neuron(self, name: str) -> None:
        given = current(9, 4, 6)
        trace = get_rule(name)(given, **CONSTANTS)
        expected = lif_forward(given.detach(), **CONSTANTS)
        assert 0 < expected.spikes.mean() < 1
        for ours, theirs in zip(trace, expected, strict=True):
            assert torch.equal(ours.detach(), theirs)

    def test_gradient_is_finite(self, name: str) -> None:
        given = current(9, 4, 6)
        get_rule(name)(given, **CONSTANTS).psp.square().sum().backward()
        assert given.grad is not None
        assert given.grad.shape == given.shape
        assert given.grad.isfinite().all()
        assert given.grad.any()

    def test_extreme_currents_have_finite_gradients(self, name: str) -> None:
        values = torch.tensor([0.0, 1e9, -1e9, 1.0, 1e-30, 0.0], dtype=torch.float64)
        given = values.reshape(6, 1, 1).clone().requires_grad_()
        get_rule(name)(given, **CONSTANTS).psp.sum().backward()
        assert given.grad is not None
        assert given.grad.isfinite().all()

    def test_no_error_gives_no_gradient(self, name: str) -> None:
        given = current(7, 2, 5)
        (get_rule(name)(given, **CONSTANTS).psp * 0).sum().backward()
        assert given.grad is not None
        assert not given.grad.any()

    def test_samples_do_not_mix(self, name: str) -> None:
        given = current(6, 3, 2)
        get_rule(name)(given, **CONSTANTS).psp[:, 1].sum().backward()
        assert given.grad is not None
        assert given.grad[:, 1].any()
        assert not given.grad[:, [0, 2]].any()

    def test_only_psp_carries_a_gradient(self, name: str) -> None:
        trace = get_rule(name)(current(4, 1, 3), **CONSTANTS)
        assert trace.psp.requires_grad
        assert not trace.spikes.requires_grad
        assert not trace.voltage.requires_grad


def test_unknown_rule() -> None:
    with pytest.raises(ConfigError, match=r"'hebb'.*tssl-bp"):
        get_rule("hebb")


def naive_tssl_bp(
    given: list[float], gradient: list[float], tau_m: float, tau_s: float, threshold: float
) -> tuple[list[float], bool, bool]:
    """Return one neuron's error by the double sum, and which branches it took."""
    steps = len(given)
    u, s, v_before = [], [], []
    v = 0.0
    for arriving in given:
        v_before.append(v)
        u.append((1 - 1 / tau_m) * v + arriving)
        s.append(1.0 if u[-1] > threshold else 0.0)
        v = 0.0 if s[-1] else u[-1]
    kappa = [(1 / tau_s) * (1 - 1 / tau_s) ** j for j in range(steps)]
    a = [sum(kappa[t - i] * s[i] for i in range(t + 1)) for t in range(steps)]
    error = [0.0] * steps
    carry = 0.0
    spiked = fell_back = False
    for t in reversed(range(steps)):
        later = range(steps - t)
        direct = sum(kappa[j] * gradient[t + j] for j in later)
        if s[t]:
            spiked = True
            p = max(-8.0, min(0.0, -1 / (u[t] - v_before[t])))
            # derivative of the potential with respect to time, times that of time by u
            through_time = sum(p * (-kappa[j] / tau_s) * tau_s * gradient[t + j] for j in later)
            carry = through_time + -p * u[t] * carry / tau_m
        else:
            carry = (1 - 1 / tau_m) * carry
        if a[t] >= 1 / (4 * tau_s):
            error[t] = carry
        else:
            fell_back = True
            z = math.exp(max(-8.0, min(8.0, (threshold - u[t]) / 0.2)))
            error[t] = direct * z / (0.2 * (1 + z) ** 2)
    return error, spiked, fell_back


@pytest.mark.parametrize("steps", [1, 2, 5, 12])
@pytest.mark.parametrize(("tau_m", "tau_s", "threshold"), [(5, 3, 1), (8, 4, 0.4), (1.5, 5, 0.1)])
def test_tssl_bp_equals_the_double_sum(
    steps: int, tau_m: float, tau_s: float, threshold: float
) -> None:
    given = current(steps, 3, 8, seed=steps)
    incoming = torch.randn(
        given.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    tssl_bp(given, tau_m=tau_m, tau_s=tau_s, threshold=threshold).backward(incoming)
    assert given.grad is not None
    spiked = fell_back = 0
    for batch in range(3):
        for neuron in range(8):
            at = (slice(None), batch, neuron)
            expected, fired, surrogate = naive_tssl_bp(
                given.detach()[at].tolist(), incoming[at].tolist(), tau_m, tau_s, threshold
            )
            spiked, fell_back = spiked + fired, fell_back + surrogate
            torch.testing.assert_close(
                given.grad[at].tolist(), expected, rtol=1e-12, atol=1e-12, msg=str(at)
            )
    assert spiked > 0
    assert fell_back > 0


def test_slow_crossing_has_a_bounded_slope() -> None:
    """An increment of 0.01 would mean a slope of 100; 8 is the most."""
    given = torch.tensor([1.2, 0.3], dtype=torch.float64).reshape(2, 1, 1).requires_grad_()
    trace = get_rule("tssl-bp")(given, tau_m=1e9, tau_s=1, threshold=1.195)
    assert trace.spikes.flatten().tolist() == [1, 0]
    slow = torch.tensor([1.19, 0.01], dtype=torch.float64).reshape(2, 1, 1).requires_grad_()
    trace = get_rule("tssl-bp")(slow, tau_m=1e9, tau_s=1, threshold=1.195)
    assert trace.spikes.flatten().tolist() == [0, 1]
    trace.psp[1].sum().backward()
    assert slow.grad is not None
    assert float(slow.grad[1]) == 8


def test_silent_neuron_learns_through_the_surrogate() -> None:
    given = torch.zeros(5, 1, 1, dtype=torch.float64, requires_grad=True)
    tssl_bp(given, tau_m=5, tau_s=3, threshold=1).sum().backward()
    z = math.exp(5)
    filtered = psp(torch.ones(5, 1, dtype=torch.float64), tau_s=3).flip(0)
    assert given.grad is not None
    torch.testing.assert_close(given.grad[:, 0], filtered * z / (0.2 * (1 + z) ** 2))
