"""Training steps on a GPU: nothing waits for the device, and a step is replayed as a CUDA graph.

What a step found (loss, correct predictions, norm of the gradient, activity) stays on the device
until somebody asks. After some steps of one shape, the whole step is captured: forward, loss,
backward, clip, AdamW and clamp are then one launch. Where that is not possible, the steps go on
one operation after another, and ``refusal`` says why.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from tssl.recipe import TrainingSpec
from tssl.trainer.evaluation import right_answers
from tssl.trainer.network import Forward, SpikingNetwork
from tssl.trainer.optimization import AdamW, plain_step
from tssl.trainer.potentials import Potentials
from tssl.trainer.progress import TrainingProgress

__all__ = ["CudaGraphs", "DeviceSteps", "Graphs", "SETTLE_EVERY", "reason_against"]

SETTLE_EVERY = 50
"""Batches after which a training looks what its device has found."""

_STEPS_BEFORE_CAPTURE = 3
"""Libraries choose their kernels and take their memory in the first steps."""

Step = Callable[[], Tensor]


class Graphs(Protocol):
    """Captures steps."""

    def alone(self, step: Step) -> Tensor:
        """Do a step in the way that has to come before a capture."""

    def capture(self, step: Step) -> Step:
        """Return what repeats the step on the same tensors; it is not done now.

        Raises
        ------
        RuntimeError
            When it does something that cannot be captured.
        """


class CudaGraphs:
    """The graphs of CUDA.

    Parameters
    ----------
    noise
        The generator on the device that the steps draw from. It may be seeded before each.
    """

    def __init__(self, noise: torch.Generator) -> None:
        self._noise = noise
        self._stream = torch.cuda.Stream(noise.device)

    def alone(self, step: Step) -> Tensor:
        """See :class:`Graphs`: on a stream of its own."""
        present = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(present)
        with torch.cuda.stream(self._stream):
            found = step()
        present.wait_stream(self._stream)
        return found

    def capture(self, step: Step) -> Step:
        """See :class:`Graphs`."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._noise)
        present = torch.cuda.current_stream(self._stream.device)
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                found = step()
        except RuntimeError:
            torch.cuda.set_stream(present)  # PyTorch does not, where a capture is broken off
            raise

        def replay() -> Tensor:
            graph.replay()
            return found.clone()  # the next replay overwrites it

        return replay


class _Found(NamedTuple):
    """What one step found."""

    numbers: Tensor
    """On the device: loss, correct predictions, norm, then spikes and fallbacks by layer."""
    samples: int
    neuron_steps: Mapping[str, int]


class DeviceSteps:
    """Steps whose results stay on the device until :meth:`settle`.

    Parameters
    ----------
    network, optimizer
        Trained in place.
    training
        Clip and limit of the weights.
    loss_of
        Takes a forward pass and labels.
    graphs
        Captures the steps; None to do each of them one operation after another.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        optimizer: AdamW,
        training: TrainingSpec,
        loss_of: Callable[[Forward, Tensor], Tensor],
        graphs: Graphs | None,
    ) -> None:
        self._network, self._optimizer, self._training = network, optimizer, training
        self._loss_of, self._graphs = loss_of, graphs
        self._found: list[_Found] = []
        self._neuron_steps: Mapping[str, int] = {}
        self._seen: dict[torch.Size, int] = {}
        self._replay: Step | None = None
        self._inputs = self._labels = self._rate = torch.empty(0)
        self.refusal = reason_against(network, training)
        """Why no step can be captured."""

    @property
    def is_captured(self) -> bool:
        """Whether steps are replayed."""
        return self._replay is not None

    def do(self, inputs: Tensor, labels: Tensor) -> None:
        """Train on a batch ``(batch, C, H, W)`` or ``(time, batch, C, H, W)``."""
        if self._may_capture(inputs):
            self._capture(inputs, labels)
        if self._replay is not None and self._fits(inputs):
            self._inputs.copy_(inputs)
            self._labels.copy_(labels)
            self._rate.fill_(self._optimizer.param_groups[0]["lr"])
            numbers = self._replay()
        else:
            self._seen[inputs.shape] = self._seen.get(inputs.shape, 0) + 1

            def step() -> Tensor:
                return self._step(inputs, labels)

            numbers = step() if self._graphs is None else self._graphs.alone(step)
        self._found.append(_Found(numbers, len(labels), self._neuron_steps))

    def settle(self, progress: TrainingProgress, check: Callable[[str, float, int], None]) -> None:
        """Wait for the device, and add to the sums what it found since the last time.

        Parameters
        ----------
        check
            Refuses what is not finite; takes what it is, its value, and the number of the batch.
        """
        found, self._found = self._found, []
        if not found:
            return
        table = torch.stack([each.numbers for each in found]).tolist()
        first = progress.batch - len(found)
        for place, (each, (loss, right, norm, *layers)) in enumerate(
            zip(found, table, strict=True), start=first
        ):
            check("loss", loss, place)
            check("gradient's norm", norm, place)
            new = zip(each.neuron_steps.items(), layers[::2], layers[1::2], strict=True)
            activity = {name: (steps, *counts) for (name, steps), *counts in new}
            progress.add(self._network.loss.total(loss, each.samples), right, activity)

    def _fits(self, inputs: Tensor) -> bool:
        return inputs.shape == self._inputs.shape and self._network.plan is None

    def _may_capture(self, inputs: Tensor) -> bool:
        return (
            self._graphs is not None
            and self._replay is None
            and self.refusal is None
            and self._network.plan is None  # in integers, steps look at their sums
            and self._seen.get(inputs.shape, 0) >= _STEPS_BEFORE_CAPTURE
        )

    def _capture(self, inputs: Tensor, labels: Tensor) -> None:
        if self._graphs is None:
            raise TypeError("there is nothing to capture with")
        self._inputs, self._labels = inputs.clone(), labels.clone()
        self._rate = torch.zeros((), device=inputs.device)

        def step() -> Tensor:
            with self._capturable():
                return self._step(self._inputs, self._labels)

        try:
            self._replay = self._graphs.capture(step)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.refusal = str(error).partition("\n")[0]
            # a generator whose capture was broken off gives no numbers any more
            seed = self._network.noise.initial_seed()
            self._network.noise = torch.Generator(inputs.device).manual_seed(seed)

    def _step(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Do a step; return the numbers of :class:`_Found` as they are on the device."""
        forward: Forward = self._network(inputs)
        loss = self._loss_of(forward, labels)
        norm = self._update(loss)
        layers = forward.activity.values()
        self._neuron_steps = {name: layer.neuron_steps for name, layer in forward.activity.items()}
        found: list[Tensor | float] = [loss.detach(), right_answers(forward, labels), norm]
        found += [each for layer in layers for each in (layer.spikes, layer.fallbacks)]
        return torch.stack([_number(each, loss) for each in found])

    def _update(self, loss: Tensor) -> Tensor:
        """Do what :func:`optimizer_step` does, without waiting for the norm."""
        self._optimizer.of_pytorch.zero_grad(set_to_none=True)
        loss.backward()
        return plain_step(self._network, self._optimizer, self._training)

    @contextmanager
    def _capturable(self) -> Iterator[None]:
        """Let the optimiser read its rate from the device, and not from the captured code."""
        groups = self._optimizer.of_pytorch.param_groups
        before = [(group["lr"], group["capturable"]) for group in groups]
        for group in groups:
            group["lr"], group["capturable"] = self._rate, True
        try:
            yield
        finally:
            for group, (rate, is_capturable) in zip(groups, before, strict=True):
                group["lr"], group["capturable"] = rate, is_capturable


def reason_against(network: SpikingNetwork, training: TrainingSpec) -> str | None:
    """Return why steps of a network cannot be captured, as far as that is known before.

    A capture that is broken off leaves PyTorch's allocator in a worse state.
    """
    if not isinstance(network.method, Potentials):
        return f"training.rule = {training.rule!r}: only rules that train on potentials are"
    if training.warm_up == "layer":
        return "training.warm_up = 'layer': each step looks at the spikes of its layers"
    if any("leak" in node.parameters for node in network.graph):
        return "network.layers: each step looks at its trained leaks"
    return None


def _number(value: Tensor | float, like: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return value.double()
    return like.new_full((), value, dtype=torch.float64)
