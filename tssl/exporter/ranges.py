"""How large the state of a layer gets: observed on data, and bounded for all data."""

from dataclasses import dataclass

import numpy as np

from tssl.chip import (
    ACTIVATION_SHIFT,
    DECAY_ONE,
    STATE_LIMIT,
    ConvLayer,
    DenseLayer,
    IntArray,
    Layer,
    RecurrentLayer,
    SpikeArray,
    Train,
    cuba_step,
    driven_current,
    driven_voltage,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranges:
    """Extremes of a layer's state over calibration data, before wrap and saturation.

    Parameters
    ----------
    current, voltage
        Largest magnitude of synaptic current and membrane potential.
    current_bound
        Magnitude that no input within the given range can make the current exceed.
    spikes
        The layer's spike train, ``(time, samples, neurons)``.
    """

    current: int
    voltage: int
    current_bound: int
    spikes: SpikeArray

    @property
    def headroom_bits(self) -> float:
        """Binary orders of magnitude between the observed current and its wrap."""
        return float(np.log2(STATE_LIMIT / max(1, self.current)))

    @property
    def voltage_headroom_bits(self) -> float:
        """Likewise for the membrane potential, which saturates; negative when it would."""
        return float(np.log2(STATE_LIMIT / max(1, self.voltage)))

    @property
    def can_wrap(self) -> bool:
        """Whether some input, however unlikely, could wrap the current."""
        return self.current_bound >= STATE_LIMIT  # the lower end of the range is open


def observe(layer: Layer, train: Train, time_steps: int, input_range: tuple[int, int]) -> Ranges:
    """Run a layer and return the extremes of its state.

    Parameters
    ----------
    train
        Calibration input, ``(time or 1, samples, inputs)``.
    input_range
        Smallest and largest value that an input can take.
    """
    activation = _activation(layer, train, time_steps)
    activation = np.broadcast_to(activation, (time_steps, *activation.shape[1:]))
    state = layer.neuron.rest(activation.shape[1:])
    spikes = np.zeros(activation.shape, np.uint8)
    largest_current = largest_voltage = 0
    for step in range(time_steps):
        arriving = activation[step]
        if isinstance(layer, RecurrentLayer) and step:
            arriving = arriving + spikes[step - 1].astype(np.int64) @ layer.recurrent_weight.T
        current = driven_current(layer.neuron, state, arriving)
        voltage = driven_voltage(layer.neuron, state, current, layer.bias)
        largest_current = max(largest_current, int(np.abs(current).max()))
        largest_voltage = max(largest_voltage, int(np.abs(voltage).max()))
        spikes[step], state = cuba_step(layer.neuron, state, arriving, layer.bias)
    return Ranges(
        current=largest_current,
        voltage=largest_voltage,
        current_bound=current_bound(layer, time_steps, input_range),
        spikes=spikes,
    )


def current_bound(layer: Layer, time_steps: int, input_range: tuple[int, int]) -> int:
    """Bound the current over all inputs within a range, held for all time steps.

    Every synapse gets the input that pushes hardest in one direction; the geometric sum
    of the decay over ``time_steps`` multiplies that.
    """
    weights = layer.weight.reshape(len(layer.weight), -1)
    low, high = input_range
    upward = np.maximum(weights * low, weights * high).clip(0).sum(axis=1)
    downward = np.minimum(weights * low, weights * high).clip(None, 0).sum(axis=1)
    if isinstance(layer, RecurrentLayer):
        upward = upward + layer.recurrent_weight.clip(0).sum(axis=1)
        downward = downward + layer.recurrent_weight.clip(None, 0).sum(axis=1)
    kept = 1 - int(layer.neuron.arrays[0].min()) / DECAY_ONE
    steps = sum(kept**step for step in range(time_steps))
    return int(np.ceil(max(upward.max(), -downward.min()) * (1 << ACTIVATION_SHIFT) * steps))


def _activation(layer: Layer, train: Train, time_steps: int) -> IntArray:
    if isinstance(layer, ConvLayer | DenseLayer):
        return layer.activation(train, time_steps)
    if isinstance(layer, RecurrentLayer):
        feed_forward = DenseLayer(
            name=layer.name, source=layer.source, weight=layer.weight, neuron=layer.neuron
        )
        return feed_forward.activation(train, time_steps)
    raise TypeError(f"layer {layer.name}: a {type(layer).__name__} is never exported")
