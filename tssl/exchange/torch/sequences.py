"""Modules that do nothing but pass a signal through others, in order."""

from collections.abc import Iterator

from tssl.errors import ConfigError
from tssl.exchange.torch.place import Place

__all__ = ["in_sequence"]

_SEQUENCES = {
    ("torch", "Sequential"),
    ("norse", "SequentialState"),
    ("spikingjelly", "SeqToANNContainer"),
    ("spikingjelly", "MultiStepContainer"),
}


def in_sequence(place: Place) -> Iterator[Place]:
    """Yield the modules that are no sequences, in the order of the signal."""
    if (place.library, place.kind) not in _SEQUENCES:
        if not place.path:
            raise ConfigError(
                f"{place.kind}: is no sequence of layers, and what its forward does cannot be "
                "read; give its layers in order, as nn.Sequential(net.fc1, net.lif1, ...)"
            )
        yield place
        return
    for name, child in place.module._modules.items():  # named_children leaves out repetitions
        if child is not None:
            path = f"{place.path}.{name}" if place.path else name
            yield from in_sequence(Place(place.origin, path, child))
