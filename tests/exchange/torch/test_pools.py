"""Pools of modules: maxima of spikes, and every refusal."""

from collections.abc import Callable

import pytest
from torch import nn

from tests.exchange.torch.comparing import check_every_spike, lowered
from tests.exchange.torch.stand_ins import IFNode, LIFCell, LIFNode, of
from tssl.errors import ConfigError, UnsupportedLayerError


@of("spikingjelly.activation_based.layer.stateless_wrapper")
class MaxPool2d(nn.MaxPool2d):
    """SpikingJelly's layers have PyTorch's names."""


def pooled(
    *between: Callable[[], nn.Module] | nn.Module,
    after: int,
    neuron: Callable[[], nn.Module] = IFNode,
) -> Callable[[], nn.Module]:
    """Return a network with modules between the neurons of maps and those behind, so many.

    Modules with weights or potentials are made anew, after the seed is set.
    """
    return lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), neuron(),
        *(each if isinstance(each, nn.Module) else each() for each in between), nn.Flatten(),
        nn.Linear(after, 5), neuron(),
    )  # fmt: skip


LEAKY = lambda: LIFNode(2.0, v_threshold=0.4)  # noqa: E731 - a neuron of these numbers
MAXIMA: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int], list[str]]] = {
    "a window": (
        pooled(nn.MaxPool2d(2), after=27, neuron=LEAKY), (2, 6, 6), ["conv", "pool", "dense"],
    ),
    "of SpikingJelly": (
        pooled(MaxPool2d(2, 2), after=27), (2, 6, 6), ["conv", "pool", "dense"],
    ),
    "through Dropout": (
        pooled(nn.Dropout(), nn.MaxPool2d((3, 2)), nn.Identity(), after=18), (2, 6, 6),
        ["conv", "pool", "dense"],
    ),
    "an edge that is dropped": (
        pooled(nn.MaxPool2d(2), after=18), (2, 5, 7), ["conv", "pool", "dense"],
    ),
    "of maxima": (
        pooled(nn.MaxPool2d(2), nn.MaxPool2d(3), after=3), (2, 6, 6),
        ["conv", "pool", "pool", "dense"],
    ),
    "before maps": (
        pooled(
            nn.MaxPool2d(2), lambda: nn.Conv2d(3, 4, 2, padding=1), LEAKY, nn.AvgPool2d(2), after=16
        ), (2, 6, 6), ["conv", "pool", "conv", "dense"],
    ),
    "before an average": (
        pooled(nn.MaxPool2d(2), nn.AvgPool2d(3), after=3), (2, 6, 6), ["conv", "pool", "dense"],
    ),
    "biases into synapses": (
        pooled(nn.MaxPool2d(2), after=27, neuron=lambda: LIFCell(v_th=0.1)), (2, 6, 6),
        ["conv", "pool", "dense"],
    ),
    "windows that overlap": (
        pooled(nn.MaxPool2d(3, 2, 1), after=27), (2, 6, 6), ["conv", "pool", "dense"],
    ),
    "windows with gaps": (
        pooled(nn.MaxPool2d(2, 1, dilation=3), after=27), (2, 6, 6), ["conv", "conv", "dense"],
    ),
    "last of all": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3), IFNode(), nn.MaxPool2d(2)), (2, 6, 6),
        ["conv", "conv"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MAXIMA)
def test_every_spike_of_maxima(name: str) -> None:
    make, shape, kinds = MAXIMA[name]
    made = check_every_spike(make, shape, share=0.2)
    assert [node.kind for node in made.checkpoint.graph] == kinds


AVERAGES: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int], list[str]]] = {
    "windows that overlap": (
        pooled(nn.AvgPool2d(3, 2, 1), lambda: nn.Conv2d(3, 4, 2), LEAKY, after=36, neuron=LEAKY),
        (2, 8, 7), ["conv", "pool", "conv", "dense"],
    ),
    "windows that overlap before a layer": (
        pooled(nn.AvgPool2d(3, 1, 1), after=108, neuron=LEAKY), (2, 6, 6), ["conv", "dense"],
    ),
    "of whole maps": (
        pooled(nn.AdaptiveAvgPool2d(1), after=3), (2, 6, 5), ["conv", "dense"],
    ),
    "of whole maps, then maps": (
        pooled(nn.AdaptiveAvgPool2d((1, None)), lambda: nn.Conv2d(3, 4, (1, 2)), LEAKY, after=12),
        (2, 6, 4), ["conv", "pool", "conv", "dense"],
    ),
    "of thirds": (
        pooled(nn.AdaptiveAvgPool2d([3, 2]), after=18), (2, 6, 4), ["conv", "dense"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AVERAGES)
def test_every_spike_of_averages(name: str) -> None:
    make, shape, kinds = AVERAGES[name]
    made = check_every_spike(make, shape)
    assert [node.kind for node in made.checkpoint.graph] == kinds


FIRING = (nn.Conv2d(2, 3, 3), IFNode())
REFUSED: dict[str, tuple[nn.Module, str]] = {
    "a maximum of currents": (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), IFNode()),
        "module 1 (MaxPool2d): stands behind no neurons",
    ),
    "a maximum of the input": (nn.Sequential(nn.MaxPool2d(2), *FIRING), "behind no neurons"),
    "a maximum of averages": (
        nn.Sequential(*FIRING, nn.AvgPool2d(2), nn.MaxPool2d(2)), "behind no neurons",
    ),
    "a maximum beyond the maps": (
        nn.Sequential(*FIRING, nn.MaxPool2d(3, ceil_mode=True)), "ceil_mode",
    ),
    "places of maxima": (
        nn.Sequential(*FIRING, nn.MaxPool2d(2, return_indices=True)), "return_indices",
    ),
    "a window that is too large": (
        nn.Sequential(*FIRING, nn.MaxPool2d(1000)), "windows of 1000 x 1000",
    ),
    "a maximum of no maps": (
        nn.Sequential(*FIRING, nn.Flatten(), nn.Linear(48, 6), IFNode(), nn.MaxPool2d(1)),
        "of 1 x 1, and what reaches it has the shape (6,)",
    ),
    "windows of different sizes": (
        nn.Sequential(*FIRING, nn.AdaptiveAvgPool2d(3)),
        "output_size = 3 does not divide maps of 4 x 4",
    ),
    "no windows": (
        nn.Sequential(*FIRING, nn.AdaptiveAvgPool2d(0)), "output_size = 0 does not divide",
    ),
    "averages of no maps": (
        nn.Sequential(*FIRING, nn.Flatten(), nn.AdaptiveAvgPool2d(1)), "shape (48,)",
    ),
    "ceil": (nn.Sequential(nn.AvgPool2d(2, ceil_mode=True)), "ceil_mode"),
    "divisor": (nn.Sequential(nn.AvgPool2d(2, divisor_override=3)), "divisor_override"),
    "edge": (nn.Sequential(nn.AvgPool2d(2, padding=1, count_include_pad=False)), "divisor"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    network, says = REFUSED[name]
    with pytest.raises((UnsupportedLayerError, ConfigError)) as caught:
        lowered(network, (2, 6, 6))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
