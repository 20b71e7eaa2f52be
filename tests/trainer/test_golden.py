"""TSSL-BP against arrays recorded from the official code."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tssl.recipe import recipe_from_tables
from tssl.trainer import potentials
from tssl.trainer.linear import tf32
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.neuron import Activity, Neurons, Trace, over_time
from tssl.trainer.optimization import make_optimizer, optimizer_step

OWN = Path(__file__).parents[1] / "golden"
SHARED = Path(__file__).parents[3] / "shared" / "golden"
PUBLIC = [
    "a_dense1", "b_dense2_kernel", "b_dense2_kernel_once", "b_dense2_softmax", "c_count_T30",
    "d_conv_kernel", "e_conv_softmax", "f_cifar_like", "g_dead", "h_every_step", "i_fmnist",
    "j_slow_crossing", "k_ties", "l_train4", "m_thresholds_T10", "n_pool_theta_stride",
]  # fmt: skip
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
ON_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
WAYS = [
    pytest.param(dtype, device, id=f"{dtype}-{device}".removeprefix("torch."), marks=marks)
    for device, marks in {"cpu": [], "cuda": ON_GPU}.items()
    for dtype in TOLERANCE
]


class Golden:
    """One recorded case and the same network built by us."""

    def __init__(self, name: str, dtype: torch.dtype, device: str = "cpu") -> None:
        path = next(
            (p / f"{name}.npz" for p in (OWN, SHARED) if (p / f"{name}.npz").exists()), None
        )
        if path is None:
            pytest.skip(f"{name}.npz is neither in tests/golden nor in ../shared/golden")
        with np.load(path) as file:
            self.arrays = dict(file)
        self.meta = json.loads(str(self.arrays["meta"]))
        self.dtype, self.device = dtype, device
        layers = {k: v for k, v in self.meta["layers"].items() if v["type"] != "dropout"}
        self.recipe = recipe_from_tables(recipe_tables(self.meta, layers.values()), name)
        self.names = dict(zip(layers, self.recipe.network.layer_names, strict=True))
        shape = tuple(self.meta["input_shape"])
        self.network = SpikingNetwork(self.recipe, shape, torch.Generator()).to(device, dtype)
        self.network.load_weights(
            {ours: self.weight(f"w.{theirs}", ours) for theirs, ours in self.weighted()}
        )

    def weighted(self) -> list[tuple[str, str]]:
        """Return (official name, our name) of the layers with weights."""
        return [pair for pair in self.names.items() if f"w.{pair[0]}" in self.arrays]

    def weight(self, key: str, ours: str) -> np.ndarray:
        array = self.arrays[key]
        return array[..., 0] if ours.startswith("conv") else array

    def inputs(self) -> torch.Tensor:
        given = self.arrays["input"].astype(np.float64)
        if self.meta["input_transform"]:
            given = (given / 255 - 0.1307) / 0.3081
        tensor = torch.from_numpy(given).to(self.device, self.dtype)
        return tensor if self.meta["input_kind"] == "static" else time_first(tensor)

    def loss(self, output: Trace) -> torch.Tensor:
        labels = torch.from_numpy(self.arrays["labels"]).to(self.device)
        return self.network.loss.function(output, labels)

    def check(self, key: str, ours: torch.Tensor) -> None:
        theirs = self.arrays[key]
        if theirs.ndim == 5 and not key.startswith(("w", "g.")):
            theirs = time_first(torch.from_numpy(theirs)).numpy()
        ours_array = ours.detach().cpu().numpy().astype(np.float64)
        error = np.abs(ours_array.reshape(theirs.shape) - theirs).max()
        assert error <= TOLERANCE[self.dtype] * max(np.abs(theirs).max(), 1e-300), key


def time_first(array: torch.Tensor) -> torch.Tensor:
    return array.permute(4, 0, 1, 2, 3)


def recipe_tables(meta: dict[str, Any], layers: Any) -> dict[str, Any]:
    network = meta["network"]
    return {
        "name": "golden",
        "data": {"name": "golden"},
        "network": {
            "time_steps": network["n_steps"],
            "tau_m": network["tau_m"],
            "tau_s": network["tau_s"],
            "layers": [layer_table(layer) for layer in layers],
        },
        "training": {
            "loss": network["loss"],
            "desired_count": network["desired_count"],
            "undesired_count": network["undesired_count"],
            "target_filter": "once" if meta["target_filter"] == "once" else "twice",
            "lr": (meta["train"] or {"lr": 1e-3})["lr"],
        },
    }


def layer_table(layer: dict[str, Any]) -> dict[str, Any]:
    if layer["type"] == "pooling":
        return {"type": "pool", "kernel": layer["kernel_size"], "gain": layer.get("theta", 1.1)}
    if layer["type"] == "linear":
        return {"type": "dense", "neurons": layer["n_outputs"], "threshold": layer["threshold"]}
    return {
        "type": "conv",
        "channels": layer["out_channels"],
        "kernel": layer["kernel_size"],
        "padding": layer.get("padding", 0),
        "stride": layer.get("stride", 1),
        "threshold": layer["threshold"],
    }


def record(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """Keep every layer's current, trace and potential, with their gradients.

    Pools and the time course of constant inputs are kept apart from the neurons, to see what
    is between them.
    """
    seen: list[tuple[Any, ...]] = []
    rule, pool = golden.network.method.rule, potentials.sum_pool

    def recording_rule(current: torch.Tensor, neurons: Neurons, activity: Activity) -> Trace:
        current = over_time(current, neurons)
        current.retain_grad()
        trace = rule(current, neurons._replace(constant_steps=0, pool=None, record=True), activity)
        trace.psp.retain_grad()
        seen.append((trace.psp, current, trace))
        if neurons.pool is None:
            return trace
        return trace._replace(psp=recording_pool(trace.psp, neurons.pool))

    def recording_pool(*arguments: Any) -> torch.Tensor:
        pooled = pool(*arguments)
        pooled.retain_grad()
        seen.append((pooled, None, None))
        return pooled

    golden.network.method.rule = recording_rule
    monkeypatch.setattr(potentials, "sum_pool", recording_pool)
    forward = golden.network(golden.inputs())
    loss = golden.loss(forward.output)
    loss.backward()
    golden.check("loss", loss)
    prediction = forward.output.psp.sum(dim=0).argmax(dim=1)
    assert np.array_equal(prediction.cpu().numpy(), golden.arrays["pred"])
    return dict(zip(golden.names, seen, strict=True))


@pytest.mark.parametrize(("dtype", "device"), WAYS)
@pytest.mark.parametrize("name", PUBLIC)
def test_forward_and_backward_equal_the_official_code(
    name: str, dtype: torch.dtype, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tf32(allowed=False):
        check_all(Golden(name, dtype, device), monkeypatch)


def check_all(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare every recorded tensor."""
    for layer, (potential, current, trace) in record(golden, monkeypatch).items():
        golden.check(f"psp.{layer}", potential)
        golden.check(f"gpsp.{layer}", potential.grad)
        if trace is not None:
            spikes = time_first(torch.from_numpy(golden.arrays[f"spk.{layer}"]))
            ours = trace.spikes.reshape(spikes.shape).cpu()
            assert torch.equal(ours, spikes.to(golden.dtype)), layer
            golden.check(f"u.{layer}", trace.voltage)
            golden.check(f"gcur.{layer}", current.grad)
    for layer, name in golden.weighted():
        golden.check(f"g.{layer}", golden.network.weights[name].grad)


def test_training_steps_equal_the_official_loop() -> None:
    golden = Golden("l_train4", torch.float64)
    optimizer = make_optimizer(golden.network, golden.recipe.training)
    losses, norms = [], []
    for step in range(golden.meta["train"]["steps"]):
        loss = golden.loss(golden.network(golden.inputs()).output)
        golden.network.zero_grad()
        loss.backward()
        norms.append(optimizer_step(golden.network, optimizer, golden.recipe.training))
        losses.append(loss.item())
        for layer, ours in golden.weighted():
            golden.check(f"w_after{step + 1}.{layer}", golden.network.weights[ours])
    np.testing.assert_allclose(losses, golden.arrays["train_loss"], rtol=1e-10)
    np.testing.assert_allclose(norms, golden.arrays["train_grad_norm"], rtol=1e-10)
