"""What is to be done, and which sample and step each neuron sees at a time step."""

import dataclasses
from typing import NamedTuple

PHASE, SAMPLES, STEP = range(3)
RUNNING, FINISHED = 1, 2


class Moment(NamedTuple):
    """A time step as the samples see it."""

    sample: int
    step: int


@dataclasses.dataclass(frozen=True)
class Job:
    """What ``job.json`` says.

    Parameters
    ----------
    net
        Path of the ``.net`` file.
    period
        Time steps from the start of a sample to the start of the next.
    block
        Whether the network begins with input neurons.
    by_bias
        Whether the data are their biases; otherwise it is what arrives at them.
    one_by_one
        Whether spikes can stay in synapses, so that samples must not follow each other
        without clearing them.
    input_shape
        (W, H, C), for networks that begin with a convolution and do not say it.
    output_only
        Whether to record the output alone; the other layers' files then hold zeros.
    graph
        Whether the file lists the connections of each layer, all of whose sources are equally
        deep; lava-dl cannot load it.
    states
        Numbers of the layers whose currents and potentials are recorded at every step.
    """

    net: str
    samples: int
    time_steps: int
    period: int
    block: bool
    by_bias: bool
    one_by_one: bool
    input_message_bits: int
    input_shape: list[int] | None
    hardware: bool
    output_only: bool
    graph: bool
    states: list[int]

    def moment(self, step: int, transport: int) -> Moment | None:
        """Return sample and step that neurons ``transport`` layers in see, if any."""
        sample, since = divmod(step - 1 - transport, self.period)
        inside = 0 <= sample < self.samples and since < self.time_steps
        return Moment(sample, since) if inside else None
