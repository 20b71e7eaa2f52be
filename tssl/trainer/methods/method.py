"""What every learning method says of itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from tssl.checkpoint import ChipPlan
from tssl.chip import ClassReadOut, IntArray, ReadOut
from tssl.errors import ConfigError
from tssl.graph import Graph, Node
from tssl.recipe import Recipe, TrainingSpec
from tssl.trainer.neuron import Activity, Trace
from tssl.trainer.weights import Weights

__all__ = ["Block", "Loss", "Material", "Method", "Pass", "initial_weight", "loss_for"]

Signal = TypeVar("Signal")


class Material(NamedTuple):
    """The network that a method trains."""

    recipe: Recipe
    graph: Graph
    weights: Weights
    """By the name of the parameter; empty when the method is made, and then trained in place."""


class Block(NamedTuple):
    """A layer, and a pool that is done together with its neurons."""

    node: Node
    pool: Node | None = None

    @property
    def last(self) -> Node:
        """What others listen to."""
        return self.pool or self.node


@dataclass
class Pass:
    """One run of a network from rest; filled from layer to layer."""

    training: bool
    record_all: bool
    """Whether spikes and potentials of every layer are wanted, and not just of the last."""
    follows_batches: bool = True
    """Whether norms take a batch of training into their running averages."""
    activity: dict[str, Activity] = field(default_factory=dict)
    """Of every layer of neurons that sends, by name; the backward pass adds to it."""
    traces: dict[str, Trace] = field(default_factory=dict)
    """Likewise; that of the last layer is complete."""

    def activity_of(self, node: Node) -> Activity:
        """Return where a layer notes its activity; kept where its neurons fire."""
        activity = Activity()
        if node.neuron is not None and not node.neuron.never_fires:
            self.activity[node.name] = activity
        return activity


class Loss(NamedTuple):
    """What training makes small."""

    function: Callable[[Trace, Tensor], Tensor]
    """Takes what the last layer did, and the classes ``(batch,)``, or other targets."""
    is_mean: bool
    """Whether it is the mean over the samples of a batch, and not the sum."""
    read_out: str = ClassReadOut.name
    """Name of the read-out that it trains."""
    passes_tape: bool = False
    """Whether it goes through :func:`tssl.trainer.tape.apply`, and is no sum of such."""

    def total(self, value: float, samples: int) -> float:
        """Return the sum over the samples of a batch for its loss."""
        return value * samples if self.is_mean else value


class Method(ABC, Generic[Signal]):
    """How a network is run so that errors come back through its layers.

    A method decides what layers send to each other, its signal: potentials over time, spikes with
    their number, times of spikes. Whatever tensor of it carries a gradient brings the errors back.
    """

    losses: Mapping[str, Loss]
    """By the name in a recipe; the first of a read-out is taken where a recipe names none."""
    blocks: Sequence[Block]
    """The layers in order."""
    first_bias: float = 0.0
    """Where biases begin."""
    recurrent_share: float = 1.0
    """What weights among a layer's own neurons are multiplied by, where they begin."""

    @abstractmethod
    def enter(self, inputs: Tensor) -> Signal:
        """Return the signal of the input.

        Parameters
        ----------
        inputs
            ``(batch, C, H, W)`` for an input that stays the same, or ``(time, batch, C, H, W)``.
        """

    def tensors(self, signal: Signal) -> Sequence[Tensor]:
        """Return the tensors of the input's signal, if nothing else of it differs.

        Then a pass on a tape can be repeated for inputs of the same shape.
        """
        return []

    @abstractmethod
    def layer(self, block: Block, ways: Sequence[Signal], run: Pass) -> Signal:
        """Return the signal of a layer, and note in ``run`` what its neurons did.

        Parameters
        ----------
        ways
            Of the layer's sources, in their order.
        """

    def passes_tape(self, inputs: Tensor) -> bool:
        """Return whether all that carries an error goes through :func:`tssl.trainer.tape.apply`.

        Then the network can be passed without autograd's graph.

        Parameters
        ----------
        inputs
            See :meth:`enter`.
        """
        return False

    def dropped(self, signal: Signal, share: float, noise: torch.Generator) -> Signal:
        """Silence a share of a layer's neurons over all time, in training.

        Methods that lack it refuse recipes with dropout when they are made.
        """
        raise TypeError(f"{type(self).__name__} has no dropout and did not refuse it")

    def first_weight(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Return where the weights of a layer begin."""
        return initial_weight(shape, generator)

    def fixed(self) -> Mapping[str, Tensor]:
        """Return what is kept with the weights and no gradient follows, by name.

        Parameters of the graph, or others, which a checkpoint then holds beside them.
        """
        return {}

    def begin(self, samples: int) -> None:
        """Prepare for training on so many samples, before a state is read."""

    def take(self, samples: IntArray) -> None:
        """Take note of which samples the next batch of training is, by number."""

    def finish_epoch(self) -> None:
        """Take note that all samples were seen once more."""

    def check_integers(self) -> None:
        """Refuse to train in a chip's integers where the method cannot.

        Raises
        ------
        ConfigError
            With the reason.
        """
        raise ConfigError(
            "training.forward = 'chip' needs a rule that trains on potentials; use training.rule "
            "= 'tssl-bp', or forward = 'float'"
        )

    def check_penalty(self) -> None:
        """Refuse a penalty on synaptic operations where no error of it would come back.

        Raises
        ------
        ConfigError
            With the rules that have it.
        """
        raise ConfigError(
            "training.operations_penalty: only rules that train on potentials have it: tssl-bp, "
            "surrogate, surrogate-reset and surrogate-arctan; use one of them, or 0"
        )

    def on_chip(self, plan: ChipPlan) -> "Method[Any]":
        """Return the method that computes with these integers.

        Raises
        ------
        ConfigError
            See :meth:`check_integers`.
        """
        self.check_integers()
        raise TypeError(f"{type(self).__name__} allows integers and does not compute with them")


def loss_for(losses: Mapping[str, Loss], training: TrainingSpec, read_out: ReadOut) -> Loss:
    """Return the loss that a recipe asks for, or the rule's first one for what shall be read.

    Raises
    ------
    ConfigError
        When the rule has none for that, or the recipe's is for something else.
    """
    fitting = [name for name, loss in losses.items() if loss.read_out == read_out.name]
    if not fitting:
        raise ConfigError(
            f"training.rule = {training.rule!r}: the targets of the data are {read_out.targets}, "
            f"and this rule has no loss for them; rule sigma-delta has one for classes and one for "
            "numbers, and so have tssl-bp and the surrogates where the last layer has neuron = "
            "'li' or 'i'"
        )
    name = training.loss or fitting[0]
    if name not in fitting:
        raise ConfigError(
            f"training.loss = {name!r}: the targets of the data are {read_out.targets}; for them "
            f"rule {training.rule} has {', '.join(fitting)}"
        )
    return losses[name]


def initial_weight(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return initial weights of a dense (2-D) or convolution (4-D) layer.

    Dense weights are normal with variance 2 / fan-in, convolution weights uniform within
    1 / sqrt(fan-in), as in the official code of TSSL-BP.
    """
    fan_in = torch.Size(shape[1:]).numel()
    if len(shape) == 2:
        return torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
    return (torch.rand(shape, generator=generator) * 2 - 1) / fan_in**0.5
