"""Averages over the neurons of each class, at the end of a network."""

from tssl.exchange.nir import NirNode
from tssl.exchange.torch.place import Place
from tssl.geometry import Shape

__all__ = ["VOTES", "voting"]

VOTES = ("VotingLayer", "AvgPool1d")
"""By the class: of SpikingJelly, and of PyTorch."""


def voting(place: Place, before: NirNode | None, shape: Shape) -> int:
    """Return how many neurons, one behind the other, vote for a class.

    Parameters
    ----------
    before
        What it stands behind; None for the input.
    shape
        Of what reaches it.

    Raises
    ------
    UnsupportedLayerError
        When these are not the neurons of a last layer, or it leaves some of them out.
    """
    if before is None or not before.of.fires or len(shape) != 1:
        raise place.refusal(
            "averages over neurons of each class: it must stand directly behind a last layer of "
            f"neurons, and what reaches it has the shape {shape}"
        )
    if place.kind == "VotingLayer":
        size = int(place.value("voting_size"))
    else:
        size = int(place.array("kernel_size").item())
        for key, wanted in (("stride", size), ("padding", 0)):
            if place.array(key).item() != wanted:
                raise place.refusal(f"{key} = {place.value(key)}; each neuron votes for one class")
    if size < 1 or shape[0] % size:
        raise place.refusal(f"{size} neurons of each class do not divide {shape[0]} neurons")
    return size
