"""A training step of the official TSSL-BP code, run from a checkout of it.

The checkout (github.com/stonezwr/TSSL-BP, December 2020 or later) is not part of this project. Its
modules run as they are. They put everything on a GPU; on the CPU, ``Tensor.cuda`` returns the
tensor. ``init`` of its global variables takes type and device too at commit 9c7b807, and neither
in other commits.
"""

import contextlib
import importlib
import inspect
import io
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from tssl.graph import Node, resolve
from tssl.recipe import Recipe
from tssl.trainer.loss import desired_spikes

Shape = tuple[int, ...]


class OfficialStep:
    """What the official script does per batch, from the desired output to clamped weights."""

    def __init__(
        self,
        checkout: Path,
        recipe: Recipe,
        x: Tensor,
        labels: Tensor,
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ) -> None:
        if str(checkout) not in sys.path:
            sys.path.insert(0, str(checkout))
        self.network_config = {
            "n_steps": recipe.network.time_steps,
            "tau_m": recipe.network.tau_m,
            "tau_s": recipe.network.tau_s,
            "model": "LIF",
            "rule": "TSSLBP",
        }
        self.training, self.labels, self.device = recipe.training, labels, device
        self.frames = x[..., None].repeat(1, 1, 1, 1, recipe.network.time_steps).to(device)
        with _on(device), contextlib.redirect_stdout(io.StringIO()):
            begin(importlib.import_module("global_v").init, recipe, device)
            self.losses = importlib.import_module("functions.loss_f")
            layers = layer_configs(recipe, tuple(x.shape[1:]))
            self.network = importlib.import_module("cnns").Network(
                self.network_config, layers, list(x.shape[1:])
            )
            self.loss = self.losses.SpikeLoss(self.network_config)
        self.optimizer = torch.optim.AdamW(self.network.get_parameters(), lr=recipe.training.lr)

    def __call__(self) -> None:
        """Do the step."""
        with _on(self.device):
            output = self.network.forward(self.frames, epoch=0, is_train=True)
            loss = self.loss.spike_kernel(output, self.targets(output), self.network_config)
            self.optimizer.zero_grad()
            loss.backward()
            parameters = self.network.get_parameters()
            torch.nn.utils.clip_grad_norm_(parameters, self.training.clip_norm)
            self.optimizer.step()
            self.network.weight_clipper()

    def targets(self, output: Tensor) -> Tensor:
        """Return each sample's desired train, filtered once; the loss filters it again."""
        steps = output.shape[-1]
        wanted = desired_spikes(steps).view(1, 1, 1, 1, steps).to(self.device)
        wanted = self.losses.psp(wanted, self.network_config).view(1, 1, steps)
        targets = torch.zeros_like(output)
        for sample, label in enumerate(self.labels):
            targets[sample, label] = wanted
        return targets


def layer_configs(recipe: Recipe, shape: Shape) -> dict[str, dict[str, Any]]:
    """Return a recipe's layers as the official configuration files say it."""
    return {
        node.name: {"threshold": recipe.network.threshold, **_config(node)}
        for node in resolve(recipe.network, shape)
    }


def _config(node: Node) -> dict[str, Any]:
    if node.geometry is None:
        return {
            "type": "linear",
            "n_inputs": math.prod(node.input_shape),
            "n_outputs": node.outputs,
        }
    if node.neuron is None:
        return {"type": "pooling", "kernel_size": node.geometry.kernel[0], "theta": node.gain}
    return {
        "type": "conv",
        "in_channels": node.input_shape[0],
        "out_channels": node.output_shape[0],
        "kernel_size": node.geometry.kernel[0],
        "padding": node.geometry.padding[0],
    }


def begin(init: Callable[..., None], recipe: Recipe, device: torch.device) -> None:
    """Set the global variables of the code, whichever form its function has.

    Raises
    ------
    SystemExit
        When it is neither of the two known forms.
    """
    numbers = recipe.network.time_steps, recipe.network.tau_s
    names = list(inspect.signature(init).parameters)
    if len(names) == len(numbers):
        init(*numbers)
    elif len(names) == 2 + len(numbers):
        init(torch.float32, device, *numbers)
    else:
        raise SystemExit(f"--official: init({', '.join(names)}) of global_v.py is of another form")


def _on(device: torch.device) -> Any:
    """Let the code run on the CPU, too."""
    if device.type != "cpu":
        return contextlib.nullcontext()
    return patch.object(torch.Tensor, "cuda", lambda tensor, *_: tensor)
