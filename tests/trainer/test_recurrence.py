"""Compiled loops against the plain code: the same spikes, the same errors to rounding."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tssl.trainer import layout
from tssl.trainer.methods.tsslbp import tssl_bp
from tssl.trainer.neuron import Activity, Neurons, Pool, Trace
from tssl.trainer.recurrence import Gradient, spiking
from tssl.trainer.slopes import arctan, rectangular

RULES = {
    "tssl-bp": Gradient(spike_time=True, reset=0.2, fallback_below=1 / 12),
    "all fall back": Gradient(spike_time=True, reset=0.2, fallback_below=float("inf")),
    "spikes fall back": Gradient(spike_time=True, reset=0.2, fallback_below=0.5),
    "no fallback": Gradient(spike_time=True, reset=-0.8, fallback_below=0.0),
    "surrogate": Gradient(spike_time=False, reset=-0.8, fallback_below=0.0),
    "arctan": Gradient(spike_time=False, reset=0.0, fallback_below=0.0, surrogate=arctan),
    "rectangular": Gradient(
        spike_time=False, reset=-0.8, fallback_below=0.0, surrogate=rectangular
    ),
    "arctan falls back": Gradient(
        spike_time=True, reset=0.0, fallback_below=1 / 12, surrogate=arctan
    ),
}
POOLS = [None, (2, 2), (1, 3), (4, 6)]


def currents(*shape: int, channels_last: bool = False) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(3)) * 0.8 + 0.3
    if channels_last:
        values = values.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        values = values.unflatten(0, shape[:2])
    return values


def neurons(**changes: Any) -> Neurons:
    return Neurons(tau_m=5.0, tau_s=3.0, threshold=1.0)._replace(**changes)


def both(
    values: Tensor, layer: Neurons, gradient: Gradient, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[Trace, Tensor, Activity]]:
    """Run compiled and plain with the same error coming in."""
    results = []
    for compiled in (True, False):
        if not compiled:
            monkeypatch.setattr(layout, "is_compiled_input", lambda *_: False)
        given, activity = values.clone(memory_format=torch.preserve_format), Activity()
        given.requires_grad_()
        trace = spiking(given, layer, gradient, activity)
        generator = torch.Generator().manual_seed(4)
        trace.psp.backward(torch.randn(trace.psp.shape, generator=generator))
        assert given.grad is not None
        results.append((trace, given.grad, activity))
    return results


def assert_same(results: list[tuple[Trace, Tensor, Activity]]) -> None:
    (compiled, error, activity), (plain, reference, counted) = results
    assert compiled.psp.shape == plain.psp.shape
    assert torch.equal(compiled.spikes, plain.spikes)
    assert torch.equal(compiled.voltage, plain.voltage)
    assert int(activity.spikes) == int(counted.spikes) > 0
    assert int(activity.fallbacks) == int(counted.fallbacks)
    assert activity.neuron_steps == counted.neuron_steps
    torch.testing.assert_close(compiled.psp, plain.psp, rtol=1e-6, atol=1e-6)
    scale = float(reference.abs().max())
    assert scale > 0
    torch.testing.assert_close(error, reference, rtol=0, atol=3e-6 * scale)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [1, 2, 5, 30, 100])
def test_dense_layers(rule: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """701 neurons: no multiple of any vector's or block's length."""
    layer = neurons(record=True)
    assert_same(both(currents(steps, 3, 701), layer, RULES[rule], monkeypatch))


@pytest.mark.parametrize("constant", [0, 1, 5, 12])
@pytest.mark.parametrize("kernel", POOLS)
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("channels", [1, 5, 32])
def test_images(
    constant: int,
    kernel: tuple[int, int] | None,
    channels_last: bool,
    channels: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = None if kernel is None else Pool(kernel, 1.1)
    layer = neurons(constant_steps=constant, pool=pool, record=True)
    steps = 1 if constant else 5
    values = currents(steps, 2, channels, 8, 6, channels_last=channels_last)
    if constant == 1:
        values = values * 4  # a third of it arrives in the first step
    assert_same(both(values, layer, RULES["tssl-bp"], monkeypatch))


def test_a_pool_that_leaves_an_edge_goes_the_plain_way() -> None:
    layer = neurons(pool=Pool((2, 2), 1.1))
    values = currents(5, 2, 3, 5, 7).requires_grad_()
    trace = spiking(values, layer, RULES["tssl-bp"], Activity())
    assert trace.psp.shape == (5, 2, 3, 2, 3)
    trace.psp.sum().backward()
    assert values.grad is not None


def test_nothing_is_recorded_unless_wanted() -> None:
    for dtype in (torch.float32, torch.float64):
        trace = spiking(currents(5, 2, 9).to(dtype), neurons(), RULES["tssl-bp"], Activity())
        assert trace.spikes.numel() == trace.voltage.numel() == 0
        assert trace.psp.any()


def test_result_does_not_depend_on_threads() -> None:
    """The trainer's resumed runs must not depend on how busy the machine is."""
    values, errors = currents(5, 8, 3000), []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        given = values.clone().requires_grad_()
        spiking(given, neurons(), RULES["tssl-bp"], Activity()).psp.square().sum().backward()
        assert torch.get_num_threads() == threads
        errors.append(given.grad)
    torch.set_num_threads(before)
    assert torch.equal(*errors)


def test_only_the_current_is_kept_for_the_backward_pass() -> None:
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    values = currents(1, 4, 50).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        spiking(values, neurons(constant_steps=30), RULES["tssl-bp"], Activity())
    assert [tensor.shape for tensor in kept] == [(1, 4, 50)]


def test_silent_and_bursting_neurons_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.stack([torch.full((2, 64), level) for level in (0.0, 5.0, -5.0, 1.0, 1.2)])
    layer = neurons(record=True)
    assert_same(both(values, layer, RULES["tssl-bp"], monkeypatch))


def naive_recurrent(
    values: Tensor, feedback: Tensor, layer: Neurons, incoming: Tensor, rule: Gradient
) -> tuple[Tensor, Tensor, Tensor]:
    """Return spikes and both errors by running plain layers one step at a time.

    Each step's own input is a leaf; the error at a potential is what arrives from above plus
    what the next step's current passes back.
    """
    steps = len(values)
    given = values.clone()
    for _ in range(steps):  # after pass n, the first n + 1 steps are those of the recurrence
        a = spiking(given, layer, rule, Activity()).psp
        given = values.clone()
        given[1:] += a[:-1] @ feedback.T
    trace = spiking(given, layer, rule, Activity())
    error, above = torch.zeros_like(values), incoming.clone()
    for _ in range(steps):  # likewise backwards
        leaf = given.clone().requires_grad_()
        spiking(leaf, layer, rule, Activity()).psp.backward(above)
        assert leaf.grad is not None
        error = leaf.grad
        above = incoming.clone()
        above[:-1] += error[1:] @ feedback
    own = sum(torch.outer(error[t, b], trace.psp[t - 1, b])
              for t in range(1, steps) for b in range(values.shape[1]))  # fmt: skip
    return trace.spikes, error, own


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_recurrent_layer_is_the_fixed_point_of_plain_ones(rule: str, dtype: torch.dtype) -> None:
    values = currents(7, 3, 11).to(dtype)
    generator = torch.Generator().manual_seed(9)
    feedback = (torch.randn(11, 11, generator=generator) * 0.6).to(dtype)
    incoming = torch.randn(7, 3, 11, generator=generator).to(dtype)
    layer = neurons(record=True)
    given, weight = values.clone().requires_grad_(), feedback.clone().requires_grad_()
    trace = spiking(given, layer._replace(feedback=weight), RULES[rule], Activity())
    trace.psp.backward(incoming)
    spikes, error, own = naive_recurrent(values, feedback, layer, incoming, RULES[rule])
    assert torch.equal(trace.spikes, spikes)
    assert not torch.equal(spikes, spiking(values, layer, RULES[rule], Activity()).spikes)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-4
    for ours, theirs in ((given.grad, error), (weight.grad, own)):
        assert ours is not None
        scale = float(theirs.abs().max())
        assert scale > 0
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * scale)


def test_two_gradients_of_one_pass_are_apart() -> None:
    """As for the rows of a Jacobian; in single precision through the compiled loops."""
    current = torch.randn(5, 2, 30, generator=torch.Generator().manual_seed(0)).requires_grad_()
    total = tssl_bp(current, tau_m=5.0, tau_s=3.0, threshold=1.0).sum()
    (one,) = torch.autograd.grad(total, current, retain_graph=True)
    before = one.clone()
    (three,) = torch.autograd.grad(3 * total, current)
    assert torch.equal(one, before)
    assert not torch.equal(one, three)
