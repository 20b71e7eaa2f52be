"""Our step on a device in several forms: operation by operation, compiled, fused, captured.

`eager` is plain PyTorch; `compiled` is the same under ``torch.compile``; `fused` has a Triton
kernel for each layer forward and one backward; `captured` replays the whole step, fused kernels and
all, as a CUDA graph, as `tssl train` does. Precisions are those of products.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from steps import Measured, Step, products_step
from torch import Tensor

from tssl.recipe import Recipe
from tssl.trainer import layout, linear, recurrence
from tssl.trainer.device_steps import CudaGraphs, DeviceSteps, Graphs
from tssl.trainer.network import Forward
from tssl.trainer.optimization import make_optimizer
from tssl.trainer.progress import TrainingProgress

PRECISIONS = ("float32", "tf32", "bfloat16")
FORMS = ("eager", "compiled", "fused", "captured")
_REPEATS = 20
_STEPS_UNTIL_CAPTURED = 4
Around = Callable[[], AbstractContextManager[None]]


def _nothing() -> None:
    pass


class Again:
    """Stands for CUDA's graphs where there are none: does the step again."""

    def alone(self, step: Callable[[], Tensor]) -> Tensor:
        return step()

    def capture(self, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        return step


def device_description(device: torch.device) -> dict[str, Any]:
    """Return what the device is; nothing of a CPU."""
    if device.type != "cuda":
        return {}
    found = torch.cuda.get_device_properties(device)
    return {
        "device": found.name,
        "device_gibibytes": round(found.total_memory / 2**30, 1),
        "cuda": torch.version.cuda,
    }


def graphs_of(device: torch.device, noise: torch.Generator) -> Graphs:
    """Return what captures steps on a device."""
    return CudaGraphs(noise) if device.type == "cuda" else Again()


def repeats(device: torch.device) -> int:
    """Return how many steps are measured as one: nothing waits for a GPU between them."""
    return _REPEATS if device.type == "cuda" else 1


def repeated(step: Step, device: torch.device, end: Step = _nothing) -> Step:
    """Return several steps, of which none waits for the device, and a wait behind them."""

    def run() -> None:
        for _ in range(repeats(device)):
            step()
        end()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return run


def steps(
    measured: Measured, device: torch.device, precisions: Sequence[str], forms: Sequence[str]
) -> tuple[dict[str, Step], dict[str, str]]:
    """Return steps of all forms and precisions, and the products alone; and what failed, and why.

    Each of them does :func:`repeats` steps.
    """
    found: dict[str, Step] = {}
    failures: dict[str, str] = {}
    for precision in precisions:
        for form in forms:
            name = f"{form} {precision}"
            try:
                found[name] = form_step(measured, device, precision, form)
            except RuntimeError as error:
                failures[name] = str(error).partition("\n")[0]
    products = products_step(measured, device)
    found["products"] = repeated(_in(products, "float32", _as_it_is), device)
    return found, failures


def form_step(measured: Measured, device: torch.device, precision: str, form: str) -> Step:
    """Return several steps without dropout; the first ones, which compile, are done.

    Raises
    ------
    RuntimeError
        When the step cannot be captured and should be.
    """
    recipe = _without_dropout(measured.recipe, precision)
    network = measured._replace(recipe=recipe).network().to(device)
    network.noise = torch.Generator(device)
    network.train()  # evaluation does not round
    graphs = graphs_of(device, network.noise) if form == "captured" else None
    run = network
    if form == "compiled":
        torch.compiler.reset()
        backend = "inductor" if device.type == "cuda" else "eager"
        run = torch.compile(network, backend=backend)
    optimizer = make_optimizer(network, recipe.training)

    def loss_of(forward: Forward, labels: Tensor) -> Tensor:
        return network.loss.function(forward.output, labels)

    doing = DeviceSteps(run, optimizer, recipe.training, loss_of, graphs)
    x, labels = measured.x.to(device), measured.labels.to(device)
    around = _plainly if form in ("eager", "compiled") else _fused_on(device)
    step = _in(lambda: doing.do(x, labels), precision, around)

    def look() -> None:
        doing.settle(TrainingProgress(), lambda *_: None)

    for _ in range(_STEPS_UNTIL_CAPTURED):
        step()
    look()
    if doing.refusal is not None:
        raise RuntimeError(f"could not be captured: {doing.refusal}")
    return repeated(step, device, look)


def _in(step: Step, precision: str, around: Around) -> Step:
    """Return the step with products of a precision, in one of the ways below."""

    def run() -> None:
        with linear.tf32(allowed=precision == "tf32"), around():
            step()

    return run


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _plainly() -> Iterator[None]:
    with (
        patch.object(layout, "is_compiled_input", _never),
        patch.object(recurrence, "_is_fused", _never),
    ):
        yield


def _fused_on(device: torch.device) -> Around:
    """Return a way in which Triton's kernels run: on a CPU its interpreter runs them."""
    return _as_it_is if device.type == "cuda" else _interpreted


@contextmanager
def _interpreted() -> Iterator[None]:
    with (
        patch.object(layout, "is_compiled_input", _never),
        patch.object(recurrence, "_is_fused", lambda _: True),
        np.errstate(divide="ignore", invalid="ignore"),  # where no spike is, 1/0 is not taken
    ):
        yield


def _never(*_: object) -> bool:
    return False


def _without_dropout(recipe: Recipe, precision: str) -> Recipe:
    layers = [layer.model_copy(update={"dropout": 0.0}) for layer in recipe.network.layers]
    training = recipe.training.model_copy(update={"precision": precision})
    network = recipe.network.model_copy(update={"layers": tuple(layers)})
    return recipe.model_copy(update={"network": network, "training": training})
