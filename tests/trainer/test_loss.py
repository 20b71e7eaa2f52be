"""Losses by hand, their gradients by finite differences."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.trainer.tiny import recipe
from tssl.errors import ConfigError
from tssl.trainer.loss import count, desired_spikes, kernel, losses_of, softmax
from tssl.trainer.neuron import Trace


def output(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def one_class(*values: float) -> Tensor:
    """Return one sample's potentials of two classes, the second silent."""
    course = torch.tensor(values, dtype=torch.float64)
    return torch.stack([course, torch.zeros_like(course)], dim=1)[:, None]


@pytest.mark.parametrize(
    ("filters", "target"),
    [(1, (0, 1 / 3, 5 / 9, 19 / 27, 65 / 81)), (2, (0, 0.111, 0.259, 0.407, 0.539))],
)
def test_kernel_is_zero_at_its_target(filters: int, target: tuple[float, ...]) -> None:
    label = torch.tensor([0])
    at_target = kernel(one_class(*target), label, tau_s=3, filters=filters)
    assert float(at_target) < 5 * 0.5 * 0.0005**2 + 1e-12
    for step in range(5):  # and each step counts by itself
        moved = list(target)
        moved[step] += 0.25
        loss = kernel(one_class(*moved), label, tau_s=3, filters=filters)
        assert float(loss) == pytest.approx(0.5 * 0.25**2, abs=3e-4)


def test_kernel_wants_silence_of_other_classes() -> None:
    potential = one_class(0, 0, 0, 0, 0)
    potential[2, 0, 1] = 0.5
    silence = float(kernel(one_class(0, 0, 0, 0, 0), torch.tensor([0]), tau_s=3))
    assert silence == pytest.approx(0.268, abs=5e-4)  # methods.md 1.2
    loss = float(kernel(potential, torch.tensor([0]), tau_s=3))
    assert loss == pytest.approx(silence + 0.125)


def test_kernel_is_summed_over_the_batch() -> None:
    potential, labels = output(5, 4, 3), torch.tensor([0, 1, 2, 1])
    alone = [float(kernel(potential[:, i : i + 1], labels[i : i + 1], tau_s=3)) for i in range(4)]
    assert float(kernel(potential, labels, tau_s=3)) == pytest.approx(sum(alone))


def test_desired_spikes() -> None:
    assert desired_spikes(5).tolist() == [0, 1, 1, 1, 1]
    assert desired_spikes(10).tolist() == [0, 1] * 5
    assert desired_spikes(30).tolist() == [0, 1] * 15
    with pytest.raises(ValueError, match="7 time steps"):
        desired_spikes(7)


@pytest.mark.parametrize(
    ("potentials", "loss"),
    [
        ((3.0, 0.5), 0.0),  # both at their bounds
        ((4.0, 0.1), 0.0),  # beyond them: dead zones
        ((1.0, 0.5), 0.5 * 4 * (2 / 4) ** 2),  # the true class misses 2 of 3
        ((3.0, 1.5), 0.5 * 4 * (1 / 4) ** 2),  # another has 1 too many
        ((1.0, 1.5), 0.5 * 4 * (4 + 1) / 16),
    ],
)
def test_count_by_hand(potentials: tuple[float, float], loss: float) -> None:
    """Four steps, a sum of 3 is desired and 0.5 tolerated."""
    even = torch.tensor(potentials, dtype=torch.float64).expand(4, 1, 2) / 4
    given = float(count(even, torch.tensor([0]), desired=3, undesired=0.5))
    assert given == pytest.approx(loss, abs=1e-12)


def test_count_gradient_is_the_residual_at_every_step() -> None:
    potential = torch.zeros(4, 1, 2, dtype=torch.float64)
    potential[0, 0] = torch.tensor([1.0, 2.5])
    potential.requires_grad_()
    count(potential, torch.tensor([0]), desired=3, undesired=0.5).backward()
    assert potential.grad is not None
    assert potential.grad[:, 0, 0].tolist() == [-0.5] * 4
    assert potential.grad[:, 0, 1].tolist() == [0.5] * 4


def test_softmax_is_the_mean_over_the_batch() -> None:
    potential = torch.zeros(2, 2, 2, dtype=torch.float64)
    potential[:, 0, 0] = 0.5 * math.log(3)  # sample 0: logits log 3 and 0
    labels = torch.tensor([0, 1])
    expected = (math.log(4 / 3) + math.log(2)) / 2
    assert float(softmax(potential, labels)) == pytest.approx(expected)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kernel once": lambda a, y: kernel(a, y, tau_s=3, filters=1),
    "kernel twice": lambda a, y: kernel(a, y, tau_s=3, filters=2),
    "count": lambda a, y: count(a, y, desired=3, undesired=1),
    "softmax": softmax,
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_by_finite_differences(name: str) -> None:
    potential, labels = output(5, 3, 4).requires_grad_(), torch.tensor([3, 0, 1])
    assert torch.autograd.gradcheck(lambda a: LOSSES[name](a, labels), (potential,))


def test_recipes_choose_the_loss() -> None:
    potential, labels = output(5, 3, 3), torch.tensor([2, 0, 1])
    chosen = {
        ("kernel", "once"): kernel(potential, labels, tau_s=3, filters=1),
        ("kernel", "twice"): kernel(potential, labels, tau_s=3, filters=2),
        ("count", "twice"): count(potential, labels, desired=7, undesired=2),
        ("softmax", "twice"): softmax(potential, labels),
    }
    assert len({float(loss) for loss in chosen.values()}) == 4
    for (name, target), expected in chosen.items():
        training = recipe(
            loss=name, target_filter=target, desired_count=7, undesired_count=2
        ).training
        loss = losses_of(training, 5, tau_s=3)[name]
        assert torch.equal(loss.function(Trace(potential, potential, potential), labels), expected)
        assert loss.is_mean is (name == "softmax")


@pytest.mark.parametrize("steps", [1, 7, 15, 25])
def test_the_kernel_loss_needs_a_desired_spike_train(steps: int) -> None:
    for loss in ("kernel", None):
        with pytest.raises(ConfigError, match=rf"network.time_steps = {steps}: the kernel loss"):
            losses_of(recipe(loss=loss).training, steps, tau_s=3)
    losses_of(recipe(loss="count").training, steps, tau_s=3)


@pytest.mark.parametrize("labels", [torch.zeros(2), torch.zeros(3, 1), torch.zeros(1)])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_label_for_each_sample(labels: Tensor, kind: torch.dtype) -> None:
    with pytest.raises(ValueError, match="one is needed for each of the batch's 3 samples"):
        kernel(torch.zeros(5, 3, 4, dtype=kind), labels.long(), tau_s=2.0)
