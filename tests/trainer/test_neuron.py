"""Filter and neuron by hand."""

import pytest
import torch

from tssl.trainer.neuron import Neurons, collected, lif_forward, over_time, psp, static_psp

EXACT = torch.float64


def column(*values: float) -> torch.Tensor:
    """Return one neuron's course, ``(time, 1)``."""
    return torch.tensor(values, dtype=EXACT)[:, None]


def test_psp_decays_by_half_and_adds_half_a_spike() -> None:
    trace = psp(column(1, 0, 0, 1, 1), tau_s=2)
    assert trace.flatten().tolist() == [0.5, 0.25, 0.125, 0.5625, 0.78125]


def test_psp_of_tau_one_is_the_spike_train_itself() -> None:
    spikes = column(0, 1, 0, 1)
    assert torch.equal(psp(spikes, tau_s=1), spikes)


def test_psp_keeps_further_axes_apart() -> None:
    spikes = torch.zeros(3, 2, 4, dtype=EXACT)
    spikes[0, 1, 2] = 1
    trace = psp(spikes, tau_s=2)
    assert trace[:, 1, 2].tolist() == [0.5, 0.25, 0.125]
    trace[:, 1, 2] = 0
    assert not trace.any()


@pytest.mark.parametrize("tau_s", [1.0, 2.0, 3.0, 7.5])
def test_static_psp_is_the_psp_of_a_constant(tau_s: float) -> None:
    constant = torch.ones(9, 1, dtype=EXACT)
    response = static_psp(9, tau_s=tau_s, like=constant)
    assert response.shape == (9,)
    torch.testing.assert_close(response, psp(constant, tau_s=tau_s)[:, 0], rtol=1e-15, atol=1e-15)


def test_static_psp_takes_the_type_of_its_model() -> None:
    assert static_psp(2, tau_s=3, like=torch.zeros(1, dtype=torch.float32)).dtype == torch.float32


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_errors_of_a_constant_current_are_collected_from_all_steps(steps: int) -> None:
    """Those of its only step, too, in which the filter lets a part through."""
    neurons = Neurons(tau_m=5.0, tau_s=3.0, threshold=1.0, constant_steps=steps)
    current = torch.rand(3 if steps == 0 else 1, 2, 5, dtype=torch.float64, requires_grad=True)
    spread = over_time(current, neurons)
    errors = torch.rand(spread.shape, dtype=torch.float64)
    (expected,) = torch.autograd.grad(spread, current, errors)
    torch.testing.assert_close(collected(errors, neurons), expected, rtol=1e-14, atol=0)


def test_lif_by_hand() -> None:
    """Leak one half: 0.75 and 0.75 + 0.375 = 1.125 fires; then from rest again."""
    trace = lif_forward(column(0.75, 0.75, 0.5, 0.25, 2), tau_m=2, tau_s=2, threshold=1)
    assert trace.voltage.flatten().tolist() == [0.75, 1.125, 0.5, 0.5, 2.25]
    assert trace.spikes.flatten().tolist() == [0, 1, 0, 0, 1]
    assert trace.psp.flatten().tolist() == [0, 0.5, 0.25, 0.125, 0.5625]


@pytest.mark.parametrize(("current", "fires"), [(1.0, False), (1.0 + 2**-52, True)])
def test_voltage_at_threshold_does_not_fire(current: float, fires: bool) -> None:
    assert bool(lif_forward(column(current), tau_m=5, tau_s=3, threshold=1).spikes) is fires


def test_reset_is_to_zero_and_not_by_subtraction() -> None:
    trace = lif_forward(column(100, 0, 0), tau_m=5, tau_s=3, threshold=1)
    assert trace.voltage.flatten().tolist() == [100, 0, 0]


def test_negative_potential_leaks_too() -> None:
    trace = lif_forward(column(-1, 0, 0), tau_m=4, tau_s=3, threshold=1)
    assert trace.voltage.flatten().tolist() == [-1, -0.75, -0.5625]
