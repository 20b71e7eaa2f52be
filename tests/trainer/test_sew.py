"""SEW ResNet (Fang et al., NeurIPS 2021): neurons, norms, leaks and the arctangent's gradient.

The files were recorded from the official code of the blocks, see their README. The blocks are put
together here from the trainer's parts; the folder is ``TSSL_METHODS_DIR`` when it is set.
"""

import json
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.trainer import tiny
from tssl.geometry import Geometry
from tssl.trainer.leak import leaky
from tssl.trainer.linear import weighted
from tssl.trainer.neuron import Activity, Neurons
from tssl.trainer.norm import normalised

SHARED = Path(__file__).parents[3] / "shared" / "golden" / "methods"
FOLDER = Path(os.environ.get("TSSL_METHODS_DIR", SHARED))
FILES = sorted(FOLDER.glob("sew_*.npz"))
NORM = ("weight", "bias", "running_mean", "running_var")
RULE = tiny.rule_of(rule="surrogate-arctan")
GATES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ADD": lambda a, x: a + x,
    "AND": lambda a, x: a * x,
    "IAND": lambda a, x: x * (1 - a),
}


def test_the_files_are_there() -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"{FOLDER} is missing; TSSL_METHODS_DIR names the folder")
    assert len(FILES) >= 9


class Sew:
    """A network of a file, with its parameters."""

    def __init__(self, path: Path, kind: torch.dtype) -> None:
        with np.load(path) as file:
            self.file = {key: file[key] for key in file}
        self.meta = json.loads(str(self.file["meta"]))
        self.arch: dict[str, Any] = self.meta["arch"]
        self.kind, self.gate = kind, GATES[self.arch["g"]]
        self.parameters = {
            key[2:]: torch.from_numpy(value).to(kind).requires_grad_("running" not in key)
            for key, value in self.file.items()
            if key.startswith("p.")
        }
        self.seen: dict[str, Tensor] = {}

    def run(self, images: Tensor) -> Tensor:
        self.seen = {}
        return (self._imagenet if self.arch["style"] == "imagenet" else self._dvs)(images)

    def conv(self, signal: Tensor, name: str, norm: str, stride: int = 1) -> Tensor:
        weight = self.parameters[f"{name}.weight"]
        rows, columns = weight.shape[2:]
        geometry = Geometry(
            kernel=(rows, columns), stride=(stride, stride), padding=(rows // 2, columns // 2)
        )
        numbers = tuple(self.parameters[f"{norm}.{each}"] for each in NORM)
        training = self.meta["bn_mode"] == "train"
        current = weighted(signal, weight, geometry)
        return normalised(norm, current, numbers, training=training, follows=True)

    def fire(self, current: Tensor, name: str) -> Tensor:
        """Potentials of the synapses' time constant 1 are the spikes."""
        neurons = Neurons(math.inf, 1.0, 1.0, record=True)
        if f"{name}.w" not in self.parameters:
            trace = RULE(current, neurons, Activity())
        else:
            share = torch.sigmoid(self.parameters[f"{name}.w"])
            neurons = neurons._replace(tau_m=1 / float(share.detach()))
            trace = leaky(current, neurons, share, RULE, Activity())
        self.seen[f"spk.{name}"] = trace.spikes
        return trace.psp

    def layer(self, signal: Tensor, block: str, number: int, stride: int = 1) -> Tensor:
        name = f"{block}.conv{number}.module"
        current = self.conv(signal, f"{name}.0", f"{name}.1", stride)
        return self.fire(current, f"{block}.sn{number}")

    def _imagenet(self, images: Tensor) -> Tensor:
        stem = self.conv(images[None], "conv1", "bn1")
        steps = self.arch["n_steps"]
        signal = self.fire(stem.expand(steps, *stem.shape[1:]), "sn1")
        for number, of in enumerate(self.arch["blocks"]):
            signal = self._block(signal, f"blocks.{number}", of["stride"])
            self.seen[f"block.{number}"] = signal
        return self._read_out(signal.mean(dim=(3, 4)), "fc")

    def _block(self, signal: Tensor, name: str, stride: int) -> Tensor:
        strides = [stride, 1] if self.arch["block"] == "basic" else [1, stride, 1]
        inner, identity = signal, signal
        for number, step in enumerate(strides, start=1):
            inner = self.layer(inner, name, number, step)
        shortcut = f"{name}.downsample.0.module"
        if f"{shortcut}.0.weight" in self.parameters:
            current = self.conv(signal, f"{shortcut}.0", f"{shortcut}.1", stride)
            identity = self.fire(current, f"{name}.downsample.1")
        return self.gate(inner, identity)

    def _dvs(self, events: Tensor) -> Tensor:
        signal, index, block = events, 0, 0
        for stage in self.arch["stages"]:
            if f"conv.{index}.0.module.0.weight" in self.parameters:
                signal, index = self._conv_fire(signal, f"conv.{index}"), index + 1
            for _ in range(stage["blocks"]):
                inner = signal
                for number in range(2):
                    inner = self._conv_fire(inner, f"conv.{index}.conv.{number}")
                signal = self.seen[f"block.{block}"] = self.gate(inner, signal)
                index, block = index + 1, block + 1
            pooled = functional.max_pool2d(signal.flatten(0, 1), stage["pool"])
            signal, index = pooled.unflatten(0, signal.shape[:2]), index + 1
        return self._read_out(signal.flatten(2), "out")

    def _conv_fire(self, signal: Tensor, name: str) -> Tensor:
        current = self.conv(signal, f"{name}.0.module.0", f"{name}.0.module.1")
        return self.fire(current, f"{name}.1")

    def _read_out(self, features: Tensor, name: str) -> Tensor:
        weight, bias = (self.parameters[f"{name}.{each}"] for each in ("weight", "bias"))
        return functional.linear(features.mean(dim=0), weight, bias)


def assert_near(
    found: Tensor, expected: np.ndarray, tolerance: float, what: str, least: float = 1e-30
) -> None:
    scale = max(float(np.abs(expected).max()), least)
    assert np.abs(found.detach().double().numpy() - expected).max() <= tolerance * scale, what


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_spikes_and_gradients(path: Path, kind: torch.dtype, tolerance: float) -> None:
    sew = Sew(path, kind)
    near = partial(assert_near, tolerance=tolerance)
    images = torch.from_numpy(sew.file["input"]).to(kind).requires_grad_()
    labels = torch.from_numpy(sew.file["labels"])
    logits = sew.run(images)
    loss = functional.cross_entropy(logits, labels)
    loss.backward()
    assert len([key for key in sew.seen if key.startswith("spk.")]) == len(sew.meta["layers"])
    for key, values in sew.seen.items():
        assert np.array_equal(values.detach().numpy(), sew.file[key]), key
    near(logits, sew.file["logits"], what="logits")
    near(loss, sew.file["loss"], what="loss")
    near(images.grad, sew.file["g.input"], what="g.input")
    gradients = [key for key in sew.file if key.startswith("g.") and key != "g.input"]
    trained = [key for key, each in sew.parameters.items() if each.requires_grad]
    assert sorted(key[2:] for key in gradients) == sorted(trained)
    largest = max(float(np.abs(sew.file[key]).max()) for key in gradients)
    near = partial(near, least=0.0 if kind == torch.float64 else largest)  # sums cancel in norms
    for key in gradients:
        near(sew.parameters[key[2:]].grad, sew.file[key], what=key)
    for key in [key for key in sew.file if key.startswith("after.")]:
        assert_near(sew.parameters[key.removeprefix("after.")], sew.file[key], tolerance, key)


@pytest.mark.parametrize(
    "path", [p for p in FILES if "train" in p.stem], ids=lambda path: path.stem
)
def test_three_steps_of_training(path: Path) -> None:
    sew = Sew(path, torch.float64)
    of = sew.meta["train"]
    trained = [each for each in sew.parameters.values() if each.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=of["lr"], momentum=of["momentum"])
    images, labels = (torch.from_numpy(sew.file[key]) for key in ("input", "labels"))
    for step in range(of["steps"]):
        optimizer.zero_grad()
        loss = functional.cross_entropy(sew.run(images), labels)
        loss.backward()
        optimizer.step()
        assert_near(loss, sew.file["train_loss"][step], 1e-10, f"loss of step {step}")
    for key, value in sew.parameters.items():
        assert_near(value, sew.file[f"w_after.{key}"], 1e-10, key)
