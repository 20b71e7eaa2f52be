"""Learning rules: a contract for each, and TSSL-BP against its definition."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainer import tiny
from tssl.errors import ConfigError
from tssl.trainer.methods import METHODS
from tssl.trainer.methods.tsslbp import tssl_bp
from tssl.trainer.neuron import Activity, Neurons, Trace, lif_forward, psp
from tssl.trainer.rule import Rule

RULES = [name for name in METHODS if name == "tssl-bp" or name.startswith("surrogate")]
"""The methods that train on potentials."""

CONSTANTS = {"tau_m": 5.0, "tau_s": 3.0, "threshold": 1.0}
NEURONS = Neurons(**CONSTANTS, record=True)


def current(*shape: int, seed: int = 0) -> Tensor:
    """Return currents that make some neurons fire often, some never."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (values * 0.8 + 0.3).requires_grad_()


def rule(name: str, **settings: Any) -> Rule:
    return tiny.rule_of(rule=name, **settings)


def run(name: str, given: Tensor, neurons: Neurons = NEURONS, **settings: Any) -> Trace:
    return rule(name, **settings)(given, neurons, Activity())


@pytest.mark.parametrize("name", RULES)
class TestEveryRule:
    def test_forward_is_the_neuron(self, name: str) -> None:
        given = current(9, 4, 6)
        trace = run(name, given)
        expected = lif_forward(given.detach(), **CONSTANTS)
        assert 0 < expected.spikes.mean() < 1
        for ours, theirs in zip(trace, expected, strict=True):
            assert torch.equal(ours.detach(), theirs)

    def test_gradient_is_finite(self, name: str) -> None:
        given = current(9, 4, 6)
        run(name, given).psp.square().sum().backward()
        assert given.grad is not None
        assert given.grad.shape == given.shape
        assert given.grad.isfinite().all()
        assert given.grad.any()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_extreme_currents_have_finite_gradients(self, name: str, dtype: torch.dtype) -> None:
        values = torch.tensor([0.0, 1e9, -1e9, 1.0, 1e-30, 0.0], dtype=dtype)
        given = values.reshape(6, 1, 1).clone().requires_grad_()
        run(name, given).psp.sum().backward()
        assert given.grad is not None
        assert given.grad.isfinite().all()

    def test_no_error_gives_no_gradient(self, name: str) -> None:
        given = current(7, 2, 5)
        (run(name, given).psp * 0).sum().backward()
        assert given.grad is not None
        assert not given.grad.any()

    def test_samples_do_not_mix(self, name: str) -> None:
        given = current(6, 3, 2)
        run(name, given).psp[:, 1].sum().backward()
        assert given.grad is not None
        assert given.grad[:, 1].any()
        assert not given.grad[:, [0, 2]].any()

    def test_only_psp_carries_a_gradient(self, name: str) -> None:
        trace = run(name, current(4, 1, 3))
        assert trace.psp.requires_grad
        assert not trace.spikes.requires_grad
        assert not trace.voltage.requires_grad

    def test_activity_is_counted(self, name: str) -> None:
        activity = Activity()
        trace = rule(name)(current(9, 4, 6), NEURONS, activity)
        assert activity.neuron_steps == 9 * 4 * 6
        assert int(activity.spikes) == int(trace.spikes.sum())


def test_unknown_rule() -> None:
    with pytest.raises(ConfigError, match=r"'hebb'.*tssl-bp"):
        rule("hebb")


class _Heaviside(torch.autograd.Function):
    """A spike whose derivative is the surrogate; everything else is left to autograd."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, threshold: float) -> Tensor:
        ctx.save_for_backward(u)
        ctx.threshold = threshold
        return (u > threshold).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (u,) = ctx.saved_tensors
        z = torch.exp(((ctx.threshold - u) / 0.2).clamp(-8, 8))
        return gradients[0] * z / (0.2 * (1 + z) ** 2), None


def plain_autograd(given: Tensor, *, detach: bool) -> Tensor:
    """Return the potentials of the neuron written out, for autograd to differentiate."""
    v, a, potentials = torch.zeros_like(given[0]), torch.zeros_like(given[0]), []
    for arriving in given:
        u = (1 - 1 / NEURONS.tau_m) * v + arriving
        s = _Heaviside.apply(u, NEURONS.threshold)
        v = u * (1 - (s.detach() if detach else s))
        a = (1 - 1 / NEURONS.tau_s) * a + s / NEURONS.tau_s
        potentials.append(a)
    return torch.stack(potentials)


@pytest.mark.parametrize(("name", "detach"), [("surrogate", True), ("surrogate-reset", False)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("steps", [1, 5, 30])
def test_surrogate_rules_equal_autograd(
    name: str, detach: bool, dtype: torch.dtype, tolerance: float, steps: int
) -> None:
    values = current(steps, 3, 40, seed=steps).detach().to(dtype)
    incoming = torch.randn(values.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    ours, theirs = values.clone().requires_grad_(), values.clone().requires_grad_()
    run(name, ours).psp.backward(incoming)
    plain_autograd(theirs, detach=detach).backward(incoming)
    assert ours.grad is not None
    assert theirs.grad is not None
    scale = float(theirs.grad.abs().max())
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=tolerance * scale)


def test_detaching_the_reset_matters() -> None:
    values = current(12, 3, 8).detach()
    gradients = []
    for name in ("surrogate", "surrogate-reset"):
        given = values.clone().requires_grad_()
        run(name, given).psp.sum().backward()
        gradients.append(given.grad)
    assert not torch.allclose(*gradients)


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
    neurons = Neurons(tau_m=1e9, tau_s=1, threshold=1.195, record=True)
    trace = run("tssl-bp", given, neurons)
    assert trace.spikes.flatten().tolist() == [1, 0]
    slow = torch.tensor([1.19, 0.01], dtype=torch.float64).reshape(2, 1, 1).requires_grad_()
    trace = run("tssl-bp", slow, neurons)
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


def error_of(values: Tensor, incoming: Tensor, **settings: Any) -> tuple[Tensor, Activity]:
    given, activity = values.clone().requires_grad_(), Activity()
    rule("tssl-bp", **settings)(given, NEURONS, activity).psp.backward(incoming)
    assert given.grad is not None
    return given.grad, activity


def test_reset_terms_differ_by_their_factor_of_one_spike() -> None:
    """The first of two spikes passes c u D on: c = 1/tau_m, -(1 - 1/tau_m) or nothing."""
    values = torch.tensor([1.5, 1.5], dtype=torch.float64).reshape(2, 1, 1)
    incoming = torch.tensor([0.0, 1.0], dtype=torch.float64).reshape(2, 1, 1)
    slope, k, r = 1 / 1.5, 1 / 3, 2 / 3
    later = slope * k
    for term, factor in (("official", 0.2), ("chain", -0.8), ("none", 0.0)):
        error, _ = error_of(values, incoming, reset_term=term)
        expected = slope * (r * k + factor * 1.5 * later)
        torch.testing.assert_close(float(error[0]), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_no_warm_up_means_no_fallback(dtype: torch.dtype) -> None:
    values, incoming = current(9, 4, 6).detach().to(dtype), torch.ones(9, 4, 6, dtype=dtype)
    with_fallback, counted = error_of(values, incoming)
    without, none = error_of(values, incoming, warm_up="none")
    fired = lif_forward(values, **CONSTANTS).spikes.cumsum(dim=0) > 0
    falls_back = psp(lif_forward(values, **CONSTANTS).spikes, tau_s=3) < 1 / 12
    assert int(counted.fallbacks) == int(falls_back.sum()) > 0
    assert int(none.fallbacks) == 0
    assert torch.equal(with_fallback[~falls_back], without[~falls_back])
    assert not torch.equal(with_fallback, without)
    assert fired.any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_cold_layer_takes_the_surrogate_as_a_whole(dtype: torch.dtype) -> None:
    incoming = torch.ones(9, 4, 6, dtype=dtype)
    for shift, warm in ((0.0, True), (-0.8, False)):
        values = (current(9, 4, 6).detach() + shift).to(dtype)
        rate = float(lif_forward(values, **CONSTANTS).spikes.mean())
        assert (rate >= 0.1) is warm
        assert rate > 0
        _, activity = error_of(values, incoming, warm_up="layer")
        assert int(activity.fallbacks) == (0 if warm else values.numel())
