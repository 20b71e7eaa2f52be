"""Layers of the chip, changed."""

from dataclasses import replace

from tssl.chip import Layer


def reconnected(layer: Layer, *, source: str | None = None, **synapses: object) -> Layer:
    """Return a layer whose first connection has another source, or other synapses."""
    first = layer.connections[0]
    changed = replace(
        first, source=source or first.source, synapses=replace(first.synapses, **synapses)
    )
    return replace(layer, connections=(changed, *layer.connections[1:]))
