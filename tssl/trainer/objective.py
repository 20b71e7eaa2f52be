"""What a training makes small, and the gradients of it."""

from torch import Tensor, nn

from tssl.trainer.network import Forward, SpikingNetwork
from tssl.trainer.parallel import Group
from tssl.trainer.penalty import OperationsPenalty

__all__ = ["Objective"]


class Objective:
    """The loss of a network, and a penalty on its synaptic operations.

    Parameters
    ----------
    network
        Whose loss it is.
    penalty
        Weight of the share of all synaptic operations; 0 for none.
    group
        The processes that share each batch.

    Raises
    ------
    ConfigError
        When the network's rule trains on nothing that could be penalised.
    """

    def __init__(self, network: SpikingNetwork, penalty: float, group: Group) -> None:
        self._network, self._weight, self._group = network, penalty, group
        self._penalty = None
        if penalty:
            network.method.check_penalty()
            self._penalty = OperationsPenalty(network.graph)

    def loss(self, forward: Forward, labels: Tensor) -> Tensor:
        """Return it for what the network did, without axes."""
        if not len(labels):  # a process may go without samples in the last batch
            return forward.output.psp.sum()
        kind = self._network.loss
        loss = kind.function(forward.output, labels)
        if self._penalty is None:
            return loss
        samples = 1 if kind.is_mean else len(labels)
        return loss + self._weight * samples * self._penalty.share(forward.traces)

    def learn(
        self, model: nn.Module, inputs: Tensor, labels: Tensor, samples: int
    ) -> tuple[Forward, Tensor]:
        """Fill the gradients; return what the network did, and this process's part of the loss.

        Parameters
        ----------
        model
            The network, or what averages its gradients over processes.
        inputs, labels
            This process's part of a batch.
        samples
            How many the whole batch has.
        """
        if self._group.size == 1 and self._penalty is None:
            return self._network.learn(inputs, labels)
        forward: Forward = model(inputs)
        # a loss that is a mean counts by the samples of this process; sums just add up
        part = len(labels) / samples if self._network.loss.is_mean else 1.0
        loss = self.loss(forward, labels) * part
        self._network.zero_grad()
        # processes are averaged: their gradients must add up to that of the whole batch
        (loss * self._group.size).backward()
        return forward, loss.detach()
