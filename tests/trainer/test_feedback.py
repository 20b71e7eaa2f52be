"""Neurons that hear each other: the compiled loops against the definition, step by step."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainer.test_recurrence import RULES, assert_same, both, currents, neurons
from tssl.trainer import layout
from tssl.trainer.neuron import Activity
from tssl.trainer.recurrence import spiking


def weights(*shape: int) -> Tensor:
    """Return weights with which neurons excite and inhibit each other, in sixteenths.

    With ``tau_s = 2`` and few steps all sums are exact, whatever the order of a processor's sums.
    """
    return torch.randint(-6, 7, shape, generator=torch.Generator().manual_seed(6)) / 16


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [1, 2, 5, 9])
def test_dense(rule: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = neurons(record=True, tau_s=2.0, feedback=weights(67, 67))
    assert_same(both(currents(steps, 3, 67), layer, RULES[rule], monkeypatch))


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("kernel", [1, 3])
def test_maps(kernel: int, channels_last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = neurons(record=True, tau_s=2.0, feedback=weights(4, 4, kernel, kernel))
    values = currents(5, 3, 4, 6, 7, channels_last=channels_last)
    assert_same(both(values, layer, RULES["tssl-bp"], monkeypatch))


@pytest.mark.parametrize("shape", [(67, 67), (4, 4, 3, 3)], ids=str)
def test_gradient_of_the_feedback(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    given = currents(5, 3, 67) if len(shape) == 2 else currents(5, 3, 4, 6, 7)
    found: list[Any] = []
    for is_compiled in (True, False):
        if not is_compiled:
            monkeypatch.setattr(layout, "is_compiled_input", lambda *_: False)
        own = weights(*shape).requires_grad_()
        trace = spiking(given, neurons(tau_s=2.0, feedback=own), RULES["tssl-bp"], Activity())
        trace.psp.square().sum().backward()
        found.append(own.grad)
    scale = float(found[1].abs().max())
    assert scale > 0
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5 * scale)
