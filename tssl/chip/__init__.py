"""What every integer of a chip network means. Engine, Lava, file and cost model agree with it."""

from tssl.chip.cuba import (
    CubaNeuron,
    CubaRun,
    CubaState,
    OneOrEach,
    cuba_run,
    cuba_step,
    driven_current,
    driven_voltage,
)
from tssl.chip.layers import (
    INTEGRATOR,
    ConvLayer,
    DenseLayer,
    Layer,
    Pair,
    RecurrentLayer,
    Shape,
    Train,
)
from tssl.chip.limits import ChipLimits
from tssl.chip.network import INPUT, ChipNetwork, Encoding, InputLayer
from tssl.chip.numbers import (
    ACTIVATION_SHIFT,
    BIAS_SHIFT,
    DECAY_ONE,
    STATE_LIMIT,
    THRESHOLD_SHIFT,
    BoolArray,
    IntArray,
    SpikeArray,
)
from tssl.chip.synapses import recurrent_storage_problem, storage_problem

__all__ = [
    "ACTIVATION_SHIFT",
    "BIAS_SHIFT",
    "BoolArray",
    "ChipLimits",
    "ChipNetwork",
    "ConvLayer",
    "CubaNeuron",
    "CubaRun",
    "CubaState",
    "DECAY_ONE",
    "DenseLayer",
    "Encoding",
    "INPUT",
    "INTEGRATOR",
    "InputLayer",
    "IntArray",
    "Layer",
    "OneOrEach",
    "Pair",
    "RecurrentLayer",
    "STATE_LIMIT",
    "Shape",
    "SpikeArray",
    "THRESHOLD_SHIFT",
    "Train",
    "cuba_run",
    "cuba_step",
    "driven_current",
    "driven_voltage",
    "recurrent_storage_problem",
    "storage_problem",
]
