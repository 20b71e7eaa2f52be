"""Several neurons of each class, and every refusal."""

import pytest
from torch import Tensor, nn

from tests.exchange.torch.comparing import check_every_spike, lowered
from tests.exchange.torch.stand_ins import IFNode, of
from tssl.errors import UnsupportedLayerError
from tssl.exchange.torch import read


@of("spikingjelly.activation_based.layer.misc")
class VotingLayer(nn.Module):
    def __init__(self, voting_size: int) -> None:
        super().__init__()
        self.voting_size = voting_size

    def forward(self, x: Tensor) -> Tensor:
        size = self.voting_size
        return nn.functional.avg_pool1d(x.unsqueeze(1), size, size).squeeze(1)


def network(*behind: nn.Module, neurons: int = 12) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, neurons), IFNode(), *behind)


@pytest.mark.parametrize("votes", [VotingLayer(4), nn.AvgPool1d(4)])
def test_votes_are_no_layer(votes: nn.Module) -> None:
    made = check_every_spike(lambda: network(nn.Dropout(), votes), (6,))
    assert [node.kind for node in made.checkpoint.graph] == ["dense"]
    assert read(network(votes), (6,)).neurons_per_class == 4
    assert read(network(), (6,)).neurons_per_class == 1


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "not last": (network(VotingLayer(4), nn.Linear(3, 3)), "stands behind votes"),
    "twice": (network(VotingLayer(2), VotingLayer(2)), "stands behind votes"),
    "of currents": (
        nn.Sequential(nn.Linear(6, 12), VotingLayer(4), IFNode()), "behind a last layer of neurons",
    ),
    "of the input": (nn.Sequential(VotingLayer(2), *network()), "behind a last layer of neurons"),
    "a rest": (network(VotingLayer(5)), "5 neurons of each class do not divide 12 neurons"),
    "none": (network(VotingLayer(0)), "0 neurons of each class"),
    "windows that overlap": (network(nn.AvgPool1d(4, 2)), "stride = (2,); each neuron votes"),
    "padding": (network(nn.AvgPool1d(4, padding=1)), "padding = (1,); each neuron votes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    made, says = REFUSED[name]
    with pytest.raises(UnsupportedLayerError) as caught:
        lowered(made, (6,))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
