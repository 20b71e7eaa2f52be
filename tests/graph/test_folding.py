"""Norms and leaks in weights and biases: against PyTorch's own modules, and the equation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from tssl.graph import NORM
from tssl.graph.folding import leak_folded, norm_folded


@given(seed=st.integers(0, 2**32), image=st.booleans())
def test_folding_changes_nothing(seed: int, image: bool) -> None:
    """Float before is float after: one linear map and a bias, in place of map and norm."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 2, 2, 2) if image else (3, 5))
    arrays = {
        "weight": weight, "norm_scale": rng.normal(size=3), "norm_shift": rng.normal(size=3),
        "norm_mean": rng.normal(size=3), "norm_variance": rng.uniform(0, 3, 3),
    }  # fmt: skip
    after = norm_folded(arrays)
    assert after.keys() == {"weight", "bias"}
    apply = functional.conv2d if image else functional.linear
    images = torch.from_numpy(rng.normal(size=(4, 2, 5, 5) if image else (4, 5)))
    norm = (nn.BatchNorm2d if image else nn.BatchNorm1d)(3).double().eval()
    numbers = norm.weight, norm.bias, norm.running_mean, norm.running_var
    for ours, role in zip(numbers, NORM, strict=True):
        ours.data.copy_(torch.from_numpy(arrays[role]))
    before = norm(apply(images, torch.from_numpy(weight))).detach()
    found = apply(images, torch.from_numpy(after["weight"]), torch.from_numpy(after["bias"]))
    scale = float(before.abs().max())
    torch.testing.assert_close(found, before, rtol=0, atol=1e-12 * max(1.0, scale))
    tensors = norm_folded({role: torch.from_numpy(array) for role, array in arrays.items()})
    for role, array in after.items():
        np.testing.assert_allclose(array, tensors[role].numpy(), rtol=1e-12)


@pytest.mark.parametrize("tau_m", [1.5, 8.0])
def test_a_leak_is_a_share_of_all_that_arrives(tau_m: float) -> None:
    rng = np.random.default_rng(0)
    arrays = {"weight": rng.normal(size=(3, 4)), "bias": rng.normal(size=3), "leak": np.zeros(1)}
    after = leak_folded(arrays, tau_m)
    assert after.keys() == {"weight", "bias"}
    inputs, potential = rng.normal(size=(6, 4)), np.zeros((2, 3))
    for arrived in inputs:
        arriving = arrays["weight"] @ arrived + arrays["bias"]
        potential[0] += (arriving - potential[0]) / tau_m
        potential[1] = (1 - 1 / tau_m) * potential[1] + after["weight"] @ arrived + after["bias"]
    np.testing.assert_allclose(*potential, rtol=1e-12)
