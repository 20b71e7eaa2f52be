"""What every integer of a chip network means. Engine, Lava, file and cost model agree with it."""

from tssl.chip.connections import (
    MAX_DELAY,
    MOST_NEURONS,
    Connection,
    Synapses,
    Train,
)
from tssl.chip.convolution import LARGEST_GEOMETRY, ConvSynapses, ungrouped
from tssl.chip.cuba import (
    NEVER,
    CubaNeuron,
    CubaState,
    OneOrEach,
    cuba_run,
    cuba_step,
    driven_current,
    driven_potential,
)
from tssl.chip.dense import DenseSynapses
from tssl.chip.encoding import Encoding
from tssl.chip.lava_storage import recurrent_storage_problem, storage_problem
from tssl.chip.layers import INTEGRATOR, Layer, Step, conv_layer, dense_layer, named, neuron_steps
from tssl.chip.limits import LARGEST_BIAS, ChipLimits
from tssl.chip.network import INPUT, MOST_STEPS, ChipNetwork, InputLayer
from tssl.chip.neuron import Neuron, Run, Seen
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
from tssl.chip.readout import CLASS, ClassReadOut, ReadOut, ValueReadOut, read_out_of
from tssl.chip.relays import depths, is_relay, with_relays
from tssl.chip.sigma_delta import (
    DELTA_SHIFT,
    MESSAGE_BITS,
    MESSAGE_SHIFT,
    DeltaNeuron,
    SigmaDeltaNeuron,
    SigmaNeuron,
    check_messages,
)

__all__ = [
    "ACTIVATION_SHIFT",
    "BIAS_SHIFT",
    "BoolArray",
    "CLASS",
    "ChipLimits",
    "ChipNetwork",
    "ClassReadOut",
    "Connection",
    "ConvSynapses",
    "CubaNeuron",
    "CubaState",
    "DECAY_ONE",
    "DELTA_SHIFT",
    "DeltaNeuron",
    "DenseSynapses",
    "Encoding",
    "INPUT",
    "INTEGRATOR",
    "InputLayer",
    "IntArray",
    "LARGEST_BIAS",
    "LARGEST_GEOMETRY",
    "Layer",
    "MAX_DELAY",
    "MESSAGE_BITS",
    "MESSAGE_SHIFT",
    "MOST_NEURONS",
    "MOST_STEPS",
    "NEVER",
    "Neuron",
    "OneOrEach",
    "ReadOut",
    "Run",
    "STATE_LIMIT",
    "Seen",
    "SigmaDeltaNeuron",
    "SigmaNeuron",
    "SpikeArray",
    "Step",
    "Synapses",
    "THRESHOLD_SHIFT",
    "Train",
    "ValueReadOut",
    "check_messages",
    "conv_layer",
    "cuba_run",
    "cuba_step",
    "dense_layer",
    "depths",
    "driven_current",
    "driven_potential",
    "is_relay",
    "named",
    "neuron_steps",
    "read_out_of",
    "recurrent_storage_problem",
    "storage_problem",
    "ungrouped",
    "with_relays",
]
