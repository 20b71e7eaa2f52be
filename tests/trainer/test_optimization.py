"""Learning rates over epochs, and one step by hand."""

import math

import pytest
import torch
from torch import Tensor

from tssl.recipe import TrainingSpec
from tssl.trainer.optimization import (
    learning_rate,
    make_optimizer,
    optimizer_step,
    set_learning_rate,
)


def rates(**settings: object) -> list[float]:
    training = TrainingSpec.model_validate({"epochs": 4, "lr": 0.5, **settings})
    return [learning_rate(training, epoch) for epoch in range(4)]


def test_constant_rate() -> None:
    assert rates() == [0.5] * 4


def test_cosine_falls_from_the_rate_towards_zero() -> None:
    expected = [0.5, 0.25 * (1 + math.sqrt(0.5)), 0.25, 0.25 * (1 - math.sqrt(0.5))]
    assert rates(lr_schedule="cosine") == pytest.approx(expected, rel=1e-12)


def test_steps() -> None:
    assert rates(lr_schedule="step", lr_step=2, lr_factor=0.5) == [0.5, 0.5, 0.25, 0.25]


def test_a_step_clips_decays_and_clamps() -> None:
    """AdamW's first step has the length of the rate, whatever the clipped gradient's."""
    training = TrainingSpec(lr=0.125, weight_decay=0.5, clip_norm=1.0, weight_limit=1.0)
    layer = torch.nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -0.25]]))
    optimizer = make_optimizer(layer, training)
    set_learning_rate(optimizer, 0.25)
    loss = layer(torch.tensor([[-30.0, 40.0]], dtype=torch.float64)).sum()
    loss.backward()
    assert optimizer_step(layer, optimizer, training) == pytest.approx(50)
    decayed = [1.0 * (1 - 0.125), -0.25 * (1 - 0.125)]
    expected = [min(decayed[0] + 0.25, 1.0), decayed[1] - 0.25]
    assert layer.weight.flatten().tolist() == pytest.approx(expected, rel=1e-6)
    assert layer.weight.grad is not None
    assert float(layer.weight.grad.norm()) == pytest.approx(1)


def parameters(kind: torch.dtype) -> torch.nn.ParameterList:
    """Return a matrix of more than two blocks, a convolution, and a bias."""
    generator = torch.Generator().manual_seed(5)
    shapes = (150, 131), (4, 3, 5, 5), (7,)
    return torch.nn.ParameterList(
        (1.5 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(kind)
        for shape in shapes
    )


def train(kind: torch.dtype, training: TrainingSpec) -> tuple[list[Tensor], list[float]]:
    """Return the weights after six steps, and the norms; the first three are clipped."""
    weights = parameters(kind)
    optimizer, norms = make_optimizer(weights, training), []
    for number in range(6):
        scale = 10.0 if number < 3 else 1e-3
        weights.zero_grad()
        sum(((scale * weight) ** 2).sum() for weight in weights).neg().backward()  # outwards
        norms.append(optimizer_step(weights, optimizer, training))
    return [weight.detach() for weight in weights], norms


SETTINGS = TrainingSpec(lr=0.01, weight_decay=0.1, clip_norm=1.0, weight_limit=1.0)


def test_compiled_steps_are_those_of_pytorch() -> None:
    """Double precision goes through PyTorch's own AdamW, clipping and clamping."""
    weights, norms = train(torch.float32, SETTINGS)
    expected, of_them = train(torch.float64, SETTINGS)
    assert norms == pytest.approx(of_them, rel=1e-6)
    for weight, wanted in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.double(), wanted, rtol=0, atol=2e-6)
    assert float(weights[0].abs().max()) == 1.0
    assert float(weights[2].abs().max()) > 1.0  # biases have no bound


def test_threads_do_not_change_a_bit_of_a_step() -> None:
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(train(torch.float32, SETTINGS))
    finally:
        torch.set_num_threads(before)
    (one, norms), (two, same_norms) = results
    assert norms == same_norms
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_moments_do_not_fade_into_denormal_numbers() -> None:
    """Of which each takes a processor 20 to 100 times as long; the weights are the same."""
    steps = []
    for kind in (torch.float32, torch.float64):
        weights = parameters(kind)
        optimizer = make_optimizer(weights, SETTINGS)
        (1e-12 * weights[0].sum() + weights[1].square().sum()).backward()
        optimizer_step(weights, optimizer, SETTINGS)
        for _ in range(1000):
            for weight in (weights[0], weights[1]):
                weight.grad = torch.zeros_like(weight)
            optimizer_step(weights, optimizer, SETTINGS)
        steps.append((weights, optimizer))
    (ours, optimizer), (theirs, _) = steps
    for state in optimizer.state.values():
        for moment in (state["exp_avg"], state["exp_avg_sq"]):
            is_denormal = (moment != 0) & (moment.abs() < torch.finfo(torch.float32).tiny)
            assert not is_denormal.any()
    assert float(optimizer.state[ours[1]]["exp_avg"].abs().max()) == 0
    assert float(optimizer.state[ours[1]]["exp_avg_sq"].max()) > 0
    for weight, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(weight.double(), wanted, rtol=1e-4, atol=2e-6)


def test_a_gradient_that_is_no_number_reaches_the_weights() -> None:
    weights = parameters(torch.float32)
    optimizer = make_optimizer(weights, SETTINGS)
    weights[0].grad = torch.full_like(weights[0], torch.nan)
    assert math.isnan(optimizer_step(weights, optimizer, SETTINGS))
    assert weights[0].isnan().all()


def test_a_network_without_a_gradient_stays() -> None:
    weights = parameters(torch.float32)
    before = [weight.detach().clone() for weight in weights]
    optimizer = make_optimizer(weights, SETTINGS)
    assert optimizer_step(weights, optimizer, SETTINGS) == 0
    assert all(torch.equal(a, b) for a, b in zip(before, weights, strict=True))
