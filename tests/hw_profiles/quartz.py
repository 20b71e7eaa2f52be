"""The public sweep of Quartz on Loihi 1: one network at five lengths of a sample.

A convolutional network with one spike per neuron and sample (arXiv:2309.16795; figures from
biphasic/Quartz-on-Loihi, CNN/mnist-EDP-plot.ipynb): 28 x 28 pixels, 6 maps of kernel 5, pool, 12
maps of kernel 5, pool, 120 of kernel 4, 10 classes. How many neurons fired was not published.
``quartz.toml`` beside this file trains a network of that shape with one spike per neuron; what
that one does on MNIST stands in ``COUNTED``. The commands::

    tssl train tests/hw_profiles/quartz.toml --out quartz
    tssl export quartz -o quartz.net
    tssl run quartz.net --samples 2000 --out quartz-result
"""

from typing import NamedTuple

import numpy as np

from tests.hw_profiles.networks import NEURON, counts, distinct
from tssl.chip import ChipNetwork, InputLayer, conv_layer, dense_layer
from tssl.results import OpCounts


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
PICTURES = 2000
COUNTED = {  # of that network: conv1, pool1, conv2, pool2, conv3, fc; test accuracy 94.4 %
    "synaptic_operations": (43065577, 3705394, 156129487, 1324433, 37785198, 1993362),
    "active_updates": (25433354, 3055682, 39533540, 1105825, 6733688, 346645),
    "spikes": (2848213, 863703, 1010650, 317186, 199617, 8051),
}
"""Sums over ``PICTURES`` pictures of the test split."""


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


def recounted(steps: int):
    """Return the counts of our own network of that shape, spread evenly over so many steps."""
    quartz = network()
    evenly = {key: _spread(np.array(values), steps) for key, values in COUNTED.items()}
    return quartz, OpCounts(
        samples=PICTURES,
        layers=tuple(layer.name for layer in quartz.layers),
        neurons=np.array([layer.neurons for layer in quartz.layers]),
        input_spikes=np.zeros(steps, np.int64),
        **evenly,
    )


def _spread(totals, steps: int):
    """Return ``(layers, steps)`` whole numbers that add up to the totals."""
    ends = np.arange(steps + 1) * totals[:, None] // steps
    return np.diff(ends, axis=1)
