"""The public sweep of Quartz on Loihi 1: one network at five lengths of a sample.

A convolutional network with one spike per neuron and sample (arXiv:2309.16795; figures from
biphasic/Quartz-on-Loihi, CNN/mnist-EDP-plot.ipynb): 28 x 28 pixels, 6 maps of kernel 5, pool, 12
maps of kernel 5, pool, 120 of kernel 4, 10 classes. How many neurons fired was not published;
between none and all of them everything is possible.
"""

from typing import NamedTuple

import numpy as np

from tests.hw_profiles.networks import NEURON, counts, distinct
from tssl.chip import ChipNetwork, InputLayer, conv_layer, dense_layer


class Point(NamedTuple):
    """One length of a sample; powers are those of the cores."""

    steps: int
    seconds_per_step: float
    dynamic_watts: float
    static_watts: float

    @property
    def joules_per_step(self) -> float:
        return self.dynamic_watts * self.seconds_per_step


SWEEP = (
    Point(51, 96.04e-6, 6.89e-3, 4.22e-3),
    Point(91, 53.93e-6, 9.29e-3, 5.09e-3),
    Point(171, 28.81e-6, 17.41e-3, 4.40e-3),
    Point(331, 17.44e-6, 24.14e-3, 4.85e-3),
    Point(651, 13.30e-6, 33.50e-3, 4.52e-3),
)
CORES = 72


def network() -> ChipNetwork:
    """Return a network of that shape; sums of two by two are convolutions of one kernel each."""
    layers, shape, source = [], (1, 28, 28), "input"
    for name, maps, kernel, pool in (("conv1", 6, 5, 2), ("conv2", 12, 5, 2), ("conv3", 120, 4, 0)):
        wanted = [(name, maps, kernel, 1, 1)]
        if pool:
            wanted.append((name.replace("conv", "pool"), maps, pool, pool, maps))
        for called, channels, size, stride, groups in wanted:
            layer = conv_layer(
                name=called,
                source=source,
                weight=np.full((channels, shape[0] // groups, size, size), 127),
                neuron=NEURON,
                map_shape=shape,
                stride=(stride, stride),
                groups=groups,
            )
            layers.append(layer)
            shape, source = layer.output_shape, called
    layers.append(dense_layer(name="fc", source=source, weight=distinct(10, 120), neuron=NEURON))
    return ChipNetwork(name="quartz", input=InputLayer(shape=(1, 28, 28)), layers=tuple(layers))


def done(share: float, steps: int):
    """Return counts of a sample in which this share of pixels and neurons fires once."""
    quartz = network()
    reached = [int(layer.arriving[0].synapses.fan_out().sum() * share) for layer in quartz.layers]
    fired = [int(layer.neurons * share) for layer in quartz.layers]
    once = counts(quartz, operations=reached, active=fired, spikes=fired, time_steps=steps)
    for name in ("synaptic_operations", "active_updates", "spikes"):
        getattr(once, name)[:, 1:] = 0  # each neuron fires once; when, does not matter here
    return quartz, once
