"""Learning rates over epochs, and one step by hand."""

import math

import pytest
import torch

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
    assert optimizer_step(layer, optimizer, loss, training) == pytest.approx(50)
    decayed = [1.0 * (1 - 0.125), -0.25 * (1 - 0.125)]
    expected = [min(decayed[0] + 0.25, 1.0), decayed[1] - 0.25]
    assert layer.weight.flatten().tolist() == pytest.approx(expected, rel=1e-6)
    assert layer.weight.grad is not None
    assert float(layer.weight.grad.norm()) == pytest.approx(1)
