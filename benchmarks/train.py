"""Training steps side by side: ours, eager code, the method as published, and bare products.

    python benchmarks/train.py [--quick] [--official DIR] [--device cuda]

All variants run in one process, taking turns, so that a busy machine slows them alike; the
table shows medians. A step is everything done per batch: forward, loss, backward, clip, AdamW,
clamp. `published` is the algorithm of the official code written down plainly: time as the last
axis, 3-D convolutions, a sum over all later steps at every step. `eager` is this package with
its compiled loops and its choice of products switched off. `chip` is ours with
`training.forward = chip`, the chip's integers forward. `products` are the matrix products
and convolutions of a step alone, in the fastest of PyTorch's kernels. With ``--official DIR``, a
checkout of github.com/stonezwr/TSSL-BP, the official code runs beside them (`official.py`).
With ``--device cuda`` it is ours on a GPU, by the precision of the products, beside eager code.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from official import OfficialStep
from torch import Tensor

from tssl.checkpoint import ChipPlan
from tssl.geometry import Geometry
from tssl.recipe import Recipe, load_recipe
from tssl.trainer import linear, recurrence
from tssl.trainer.linear import weighted
from tssl.trainer.loss import desired_spikes
from tssl.trainer.network import SpikingNetwork
from tssl.trainer.neuron import Activity, Neurons
from tssl.trainer.optimization import make_optimizer, optimizer_step
from tssl.trainer.recurrence import Gradient, spiking
from tssl.workflow.recipes import recipe_path

SHAPE = (1, 28, 28)
CASES = {"fashion-mnist-mlp": 100, "fashion-mnist-cnn": 50}
PRECISIONS = ("float32", "tf32", "bfloat16")
VARIANTS = ("ours", "chip", "products", "eager", "published")
ROUNDS, QUICK_ROUNDS = 15, 3
Step = Callable[[], Any]


class Published(torch.autograd.Function):
    """The neuron and its rule with time last, summing over all later steps at each step."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, tau_m: float, tau_s: float, threshold: float) -> Tensor:
        steps = current.shape[-1]
        v = torch.zeros_like(current[..., 0])
        a = torch.zeros_like(v)
        voltages, spikes, potentials, increments = [], [], [], []
        for t in range(steps):
            u = (1 - 1 / tau_m) * v + current[..., t]
            s = (u > threshold).to(u.dtype)
            increments.append(u - v)
            v = u * (1 - s)
            a = (1 - 1 / tau_s) * a + s / tau_s
            voltages.append(u)
            spikes.append(s)
            potentials.append(a)
        result = torch.stack(potentials, dim=-1)
        ctx.save_for_backward(
            torch.stack(voltages, -1), torch.stack(spikes, -1), result, torch.stack(increments, -1)
        )
        ctx.constants = tau_m, tau_s, threshold
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        voltage, spikes, potential, increment = ctx.saved_tensors
        tau_m, tau_s, threshold = ctx.constants
        gradient, steps = gradients[0], voltage.shape[-1]
        kernel = [(1 / tau_s) * (1 - 1 / tau_s) ** lag for lag in range(steps)]
        carry = torch.zeros_like(voltage[..., 0])
        errors = torch.zeros_like(voltage)
        for t in reversed(range(steps)):
            slope = spikes[..., t] * torch.clamp(-1 / increment[..., t], -8, 0)
            direct, by_time = torch.zeros_like(carry), torch.zeros_like(carry)
            for later in range(t, steps):
                direct = direct + kernel[later - t] * gradient[..., later]
                change = -kernel[later - t] / tau_s * tau_s
                by_time = by_time + slope * change * gradient[..., later]
            by_time = by_time - slope * voltage[..., t] * carry / tau_m
            carry = torch.where(spikes[..., t] > 0, by_time, (1 - 1 / tau_m) * carry)
            z = torch.exp(torch.clamp((threshold - voltage[..., t]) / 0.2, -8, 8))
            warming = potential[..., t] < 1 / (4 * tau_s)
            errors[..., t] = torch.where(warming, direct * z / (0.2 * (1 + z) ** 2), carry)
        return errors, None, None, None


class PublishedStep:
    """A step of the method as published, on weights of its own."""

    def __init__(self, network: SpikingNetwork, recipe: Recipe, x: Tensor, labels: Tensor) -> None:
        self.spec, self.training, self.labels = recipe.network, recipe.training, labels
        self.graph = network.graph
        self.weights = {n: w.detach().clone().requires_grad_() for n, w in network.weights.items()}
        self.optimizer = torch.optim.AdamW(self.weights.values(), lr=recipe.training.lr)
        self.frames = x[..., None].expand(*x.shape, recipe.network.time_steps)

    def __call__(self) -> None:
        """Do the step."""
        output = self.forward()
        target = torch.zeros_like(output)
        target[torch.arange(len(self.labels)), self.labels] = desired_spikes(self.spec.time_steps)
        loss = 0.5 * (output - self.filtered(self.filtered(target))).square().sum()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), self.training.clip_norm)
        self.optimizer.step()
        with torch.no_grad():
            for weight in self.weights.values():
                weight.clamp_(-self.training.weight_limit, self.training.weight_limit)

    def forward(self) -> Tensor:
        """Return the output's potentials, time last."""
        signal = self.filtered(self.frames)
        for node in self.graph:
            neuron = node.neuron
            if neuron is None:
                window = (*node.geometry.kernel, 1)
                signal = F.avg_pool3d(signal, window, divisor_override=1) * node.gain
            else:
                current = self.weighted(signal, self.weights[node.name], node.geometry)
                signal = Published.apply(current, neuron.tau_m, neuron.tau_s, neuron.threshold)
        return signal

    def weighted(self, signal: Tensor, weight: Tensor, geometry: Geometry | None) -> Tensor:
        """Return the weighted sums, time last."""
        if geometry is not None:
            return F.conv3d(signal, weight[..., None], padding=(*geometry.padding, 0))
        flat = signal.flatten(1, -2) if signal.dim() == 5 else signal
        return F.linear(flat.transpose(1, 2), weight).transpose(1, 2)

    def filtered(self, train: Tensor) -> Tensor:
        """Return the potentials of a train, time last."""
        a, result = torch.zeros_like(train[..., 0]), []
        for t in range(train.shape[-1]):
            a = (1 - 1 / self.spec.tau_s) * a + train[..., t] / self.spec.tau_s
            result.append(a)
        return torch.stack(result, dim=-1)


def our_step(network: SpikingNetwork, recipe: Recipe, x: Tensor, labels: Tensor) -> Step:
    """Return a step as `tssl train` does it."""
    optimizer = make_optimizer(network, recipe.training)
    network.eval()  # without dropout, which the others do not have

    def step() -> None:
        loss = network.loss.function(network(x, only_output=True).output, labels)
        optimizer_step(network, optimizer, loss, recipe.training)

    return step


def eager(step: Step) -> Step:
    """Return the step without compiled loops and without the choice of products."""

    def run() -> None:
        with (
            patch.object(recurrence, "_is_compiled", lambda *_: False),
            patch.object(recurrence, "_is_fused", lambda _: False),
            patch.object(linear, "prefers_onednn", lambda _: False),
        ):
            step()

    return run


def product_shapes(recipe: Recipe, batch: int) -> list[tuple[Geometry | None, Tensor, Tensor]]:
    """Return geometry, input and weight of every product; a constant input is weighted once."""
    network = SpikingNetwork(recipe, SHAPE, torch.Generator().manual_seed(0))
    found, steps = [], 1
    for node in network.graph.spiking:
        signal = torch.rand(steps, batch, *node.input_shape)
        found.append((node.geometry, signal, network.weights[node.name].detach().clone()))
        steps = recipe.network.time_steps
    return found


def products_step(recipe: Recipe, batch: int) -> Step:
    """Return the products of a step: each forward, by input and by weight."""
    cases = []
    for position, (geometry, signal, weight) in enumerate(product_shapes(recipe, batch)):
        signal.requires_grad_(position > 0)  # nobody wants the error at the pixels
        weight.requires_grad_()
        cases.append(
            (geometry, signal, weight, torch.ones_like(weighted(signal, weight, geometry)))
        )

    def step() -> None:
        for geometry, signal, weight, coming in cases:
            weighted(signal, weight, geometry).backward(coming)

    return step


def operations(recipe: Recipe, batch: int) -> float:
    """Return floating-point operations of the products of a step, a multiply-add being two."""
    total = 0.0
    for position, (geometry, signal, weight) in enumerate(product_shapes(recipe, batch)):
        outputs = weighted(signal, weight, geometry).numel()
        passes = 3 if position else 2
        total += passes * 2 * outputs * weight[0].numel()
    return total


def chip_plan(recipe: Recipe) -> ChipPlan:
    """Return a grid on which the largest initial weight of each layer is 254."""
    network = SpikingNetwork(recipe, SHAPE, torch.Generator().manual_seed(0))
    scales, unit = {}, 1 / recipe.encoding.resolution
    for name, weight in network.weights.items():
        scales[name] = 254 / (float(weight.detach().abs().max()) * unit / recipe.network.tau_s)
        unit = 1.0
    return ChipPlan(scales=scales, largest_weights=dict.fromkeys(scales, 254), weight_step=2)


def medians(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """Return each step's median seconds, measured in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def kept_bytes(network: SpikingNetwork, x: Tensor) -> int:
    """Return what a forward pass keeps for the backward pass, weights apart."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    own.add(x.untyped_storage().data_ptr())
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = network(x)
    del result
    return sum(size for pointer, size in kept.items() if pointer not in own)


def needed_bytes(recipe: Recipe, batch: int) -> int:
    """Return what any exact backward pass needs: inputs of products, currents of neurons."""
    total = 0
    for position, (geometry, signal, weight) in enumerate(product_shapes(recipe, batch)):
        total += 4 * weighted(signal, weight, geometry).numel()
        total += 4 * signal.numel() if position else 0
    return total


def case(name: str, batch: int) -> tuple[Recipe, Tensor, Tensor]:
    """Return a recipe and a batch of pictures and labels."""
    recipe = load_recipe(recipe_path(name))
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-3, 23, (batch, *SHAPE), generator=generator) / recipe.encoding.resolution
    return recipe, x, torch.randint(10, (batch,), generator=generator)


def step_of(variant: str, recipe: Recipe, x: Tensor, labels: Tensor, checkout: Path | None) -> Step:
    """Return a variant's step, on weights of its own."""
    if variant == "products":
        return products_step(recipe, len(x))
    if variant == "official" and checkout is not None:
        return OfficialStep(checkout, recipe, x, labels)
    plan = chip_plan(recipe) if variant == "chip" else None
    network = SpikingNetwork(recipe, SHAPE, torch.Generator().manual_seed(0), plan)
    if variant == "published":
        return PublishedStep(network, recipe, x, labels)
    step = our_step(network, recipe, x, labels)
    return eager(step) if variant == "eager" else step


def peak_megabytes(arguments: tuple[str, int, str, Path | None]) -> float:
    """Return by how much steps of a variant raise the memory of a fresh process (Linux only)."""
    name, batch, variant, checkout = arguments
    recipe, x, labels = case(name, batch)
    # compiled code and libraries are not counted
    step_of(variant, recipe, x[:1], labels[:1], checkout)()
    step = step_of(variant, recipe, x, labels, checkout)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = resident_megabytes("VmRSS")
    for _ in range(3):
        step()
    return resident_megabytes("VmHWM") - before


def resident_megabytes(key: str) -> float:
    """Return this process's memory (VmRSS) or its peak (VmHWM)."""
    (line,) = [row for row in Path("/proc/self/status").read_text().splitlines() if key in row]
    return int(line.split()[1]) / 1024


def peaks(name: str, batch: int, variants: Sequence[str], checkout: Path | None) -> list[float]:
    """Return the peak memory of the variants, each in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        asked = [(name, batch, variant, checkout) for variant in variants]
        return pool.map(peak_megabytes, asked, chunksize=1)


def steps_table(rounds: int, checkout: Path | None) -> None:
    """Print the steps of the paper's two Fashion-MNIST networks."""
    variants = VARIANTS if checkout is None else (*VARIANTS, "official")
    for name, batch in CASES.items():
        recipe, x, labels = case(name, batch)
        memory = peaks(name, batch, variants, checkout)
        steps = {variant: step_of(variant, recipe, x, labels, checkout) for variant in variants}
        seconds = medians(steps, rounds)
        flop = operations(recipe, batch)
        print(f"\n{name}, batch {batch}, {recipe.network.time_steps} steps")
        for (variant, value), peak in zip(seconds.items(), memory, strict=True):
            print(
                f"  {variant:10} {1e3 * value:8.2f} ms  {seconds[variants[-1]] / value:5.1f} x  "
                f"{batch / value:8,.0f} samples/s  {flop / value / 1e9:5.0f} GFLOP/s  "
                f"{peak:6.0f} MB at the peak"
            )
        network = SpikingNetwork(recipe, SHAPE, torch.Generator().manual_seed(0))
        kept, needed = kept_bytes(network.eval(), x), needed_bytes(recipe, batch)
        print(
            f"  kept for backward: {kept / batch / 1024:.0f} KiB per sample, "
            f"{kept / needed:.2f} x what it needs"
        )


def device_table(device: torch.device, rounds: int) -> None:
    """Print our steps on a device, by the precision of their products, beside eager code."""
    for name, batch in CASES.items():
        recipe, x, labels = case(name, batch)
        steps = {
            precision: device_step(recipe, precision, x, labels, device) for precision in PRECISIONS
        }
        steps["eager"] = eager(device_step(recipe, "float32", x, labels, device))
        print(f"\n{name}, batch {batch}, on {device}")
        seconds = medians(steps, rounds)
        for variant, value in seconds.items():
            print(
                f"  {variant:10} {1e3 * value:8.2f} ms  {seconds['eager'] / value:5.1f} x  "
                f"{batch / value:8,.0f} samples/s"
            )


def device_step(
    recipe: Recipe, precision: str, x: Tensor, labels: Tensor, device: torch.device
) -> Step:
    """Return a step without dropout that ends when the device is done."""
    layers = [layer.model_copy(update={"dropout": 0.0}) for layer in recipe.network.layers]
    training = recipe.training.model_copy(update={"precision": precision})
    network_spec = recipe.network.model_copy(update={"layers": tuple(layers)})
    recipe = recipe.model_copy(update={"network": network_spec, "training": training})
    network = SpikingNetwork(recipe, SHAPE, torch.Generator().manual_seed(0)).to(device)
    step = our_step(network, recipe, x.to(device), labels.to(device))
    network.train()  # evaluation does not round

    def run() -> None:
        with linear.tf32(allowed=precision == "tf32"):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return run


def recurrence_table(rounds: int) -> None:
    """Print the neurons alone, 50 x 1024 of them, forward and backward."""
    print("\n50 x 1024 neurons alone, forward and backward")
    layer = Neurons(tau_m=5.0, tau_s=3.0, threshold=1.0)
    gradient = Gradient(spike_time=True, reset=0.2, fallback_below=1 / 12)
    for steps in (5, 10, 30, 100):
        current = (torch.randn(steps, 50, 1024) * 0.7).requires_grad_()
        last = current.detach().permute(1, 2, 0).contiguous().requires_grad_()

        def ours(current: Tensor = current) -> None:
            spiking(current, layer, gradient, Activity()).psp.sum().backward()

        def published(last: Tensor = last) -> None:
            Published.apply(last, 5.0, 3.0, 1.0).sum().backward()

        seconds = medians(
            {"ours": ours, "eager": eager(ours), "published": published}, max(3, rounds // 3)
        )
        shown = "  ".join(
            f"{name} {1e3 * value:8.2f} ms ({seconds['published'] / value:.0f} x)"
            for name, value in seconds.items()
        )
        print(f"  {steps:3} steps  {shown}")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description="Training steps side by side.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument(
        "--official", type=Path, metavar="DIR", help="checkout of the official code"
    )
    parser.add_argument("--device", type=torch.device, default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    rounds = QUICK_ROUNDS if arguments.quick else ROUNDS
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    if arguments.device.type != "cpu":
        device_table(arguments.device, rounds)
        return
    gradient = Gradient(spike_time=True, reset=0.2, fallback_below=1 / 12)
    started = time.perf_counter()
    spiking(torch.zeros(1, 1, 1), Neurons(5.0, 3.0, 1.0), gradient, Activity())
    print(f"first call of the compiled loops: {time.perf_counter() - started:.1f} s")
    steps_table(rounds, arguments.official)
    recurrence_table(rounds)


if __name__ == "__main__":
    main()
