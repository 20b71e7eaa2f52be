"""The loops of ST-RSBP against the definition in double precision, and where they give up."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.trainer.recorded import worst
from tssl.neurons import Lif
from tssl.trainer.methods import strsbp_kernels
from tssl.trainer.methods.gmres_kernels import gmres
from tssl.trainer.methods.strsbp_layer import Ran, counted, filtered, fire
from tssl.trainer.neuron import Activity, Neurons, Trace, psp

STEPS, BATCH, INPUTS, NEURONS = 40, 5, 30, 37


def weights(strength: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(NEURONS, INPUTS, generator=generator) * 0.25
    return weight, torch.randn(NEURONS, NEURONS, generator=generator) * strength


def inputs() -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return (torch.rand(STEPS, BATCH, INPUTS, generator=generator) < 0.2).float()


def run(neuron: Lif, feedback: Tensor | None, kind: torch.dtype) -> Trace:
    weight, _ = weights(0)
    current = psp(inputs().to(kind), tau_s=neuron.tau_s) @ weight.to(kind).t()
    given = None if feedback is None else feedback.to(kind)
    neurons = Neurons(
        tau_m=neuron.tau_m, tau_s=neuron.tau_s, threshold=neuron.threshold, feedback=given,
        record=True,
    )  # fmt: skip
    return fire(current, neurons, neuron, Activity())


def errors(neuron: Lif, strength: float, kind: torch.dtype, silent: float) -> list[Tensor]:
    """Return the errors at sources, weights and feedback, of the spikes of the single precision."""
    weight, feedback = weights(strength)
    trace = run(neuron, feedback, torch.float32)
    arriving = psp(inputs().double(), tau_s=neuron.tau_s).to(kind)
    own = psp(trace.spikes.double(), tau_s=neuron.tau_s).to(kind)
    powers = torch.tensor([1e-5, 1e-4, 1e-3, 1e-2, 1])  # no divisor comes near zero
    table = (torch.rand(20, 5, generator=torch.Generator().manual_seed(1)) * powers).to(kind)
    ran = Ran(arriving, trace.spikes.to(kind), own, neuron, table, silent=silent)
    leaves = [inputs().sum(dim=0).to(kind), weight.to(kind), feedback.to(kind)]
    for leaf in leaves:
        leaf.requires_grad_()
    error = torch.linspace(-2, 3, BATCH * NEURONS).reshape(BATCH, NEURONS).to(kind)
    counted(leaves[0], leaves[1], leaves[2], ran).backward(error)
    found = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert len(found) == len(leaves)
    return found


@pytest.mark.parametrize("refractory", [0, 2])
@pytest.mark.parametrize("strength", [None, 0.1])
def test_spikes_are_those_of_double_precision(refractory: int, strength: float | None) -> None:
    neuron = Lif(tau_m=9.0, tau_s=3.0, threshold=1.0, refractory=refractory)
    feedback = None if strength is None else weights(strength)[1]
    ours, theirs = (run(neuron, feedback, kind) for kind in (torch.float32, torch.float64))
    assert theirs.spikes.sum() > 200
    assert torch.equal(ours.spikes.double(), theirs.spikes)
    assert worst(ours.psp, theirs.psp) < 1e-6
    assert worst(ours.voltage, theirs.voltage) < 1e-5


@pytest.mark.parametrize("refractory", [0, 2])
@pytest.mark.parametrize(("strength", "silent"), [(0.05, 0.0), (0.05, 0.5), (3.0, 0.5)])
def test_errors_are_those_of_double_precision(
    refractory: int, strength: float, silent: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weak synapses are solved by a few products; of strong ones the rest is left to LAPACK."""
    neuron = Lif(tau_m=9.0, tau_s=3.0, threshold=1.0, refractory=refractory)
    found: list[NDArray[np.bool_]] = []
    solve = strsbp_kernels.solved

    def solved(*given: Any) -> NDArray[np.bool_]:
        found.append(solve(*given))
        return found[-1]

    monkeypatch.setattr(strsbp_kernels, "solved", solved)
    ours, theirs = (
        errors(neuron, strength, kind, silent) for kind in (torch.float32, torch.float64)
    )
    for mine, right in zip(ours, theirs, strict=True):
        assert worst(mine, right) < (1e-5 if strength < 1 else 1e-4)  # as by LAPACK in singles
    assert np.all(found) == (strength < 1)


def test_a_spike_train_is_filtered_and_counted() -> None:
    spikes = inputs()
    potentials, counts = filtered(spikes, 3.0)
    assert worst(potentials, psp(spikes.double(), tau_s=3.0)) < 1e-6
    assert torch.equal(counts, spikes.sum(dim=0))


def test_gmres_against_lapack() -> None:
    rng = np.random.default_rng(0)
    matrix = (rng.normal(size=(37, 37)) * 0.08).astype(np.float32)
    diagonal = rng.uniform(0.5, 4, 37).astype(np.float32)
    given, result = rng.normal(size=37).astype(np.float32), np.empty(37, np.float32)
    assert gmres(matrix, 1 / diagonal, given, result)
    right = np.linalg.solve(np.diag(diagonal.astype(float)) - matrix, given)
    assert np.abs(result - right).max() < 1e-5 * np.abs(right).max()


def test_gmres_says_when_it_did_not_get_there() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(60, 60)).astype(np.float32)
    given, result = rng.normal(size=60).astype(np.float32), np.empty(60, np.float32)
    assert not gmres(matrix, np.ones(60, np.float32), given, result)
    assert gmres(matrix, np.ones(60, np.float32), 0 * given, result)
    assert not result.any()
