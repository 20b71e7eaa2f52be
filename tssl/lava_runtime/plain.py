"""The lines of Python that load a network with plain lava-dl, so that it computes our integers.

A ``.net`` file cannot say everything that decides its spikes. Left alone, lava-dl takes every
input other than 0 for 1, and never puts a neuron to rest between samples.
"""

from pathlib import Path

from tssl.chip import ChipNetwork

__all__ = ["SHIMS", "SHIMS_FILE", "loading_lines", "shims_source"]

SHIMS_FILE = "lava_worker.py"
"""Under this name the shims are a module that any Python can import."""

SHIMS = ("from lava_worker import import_lava", "import_lava()")
"""Lines that let Lava be imported on Python 3.11 and later, and with numpy 2."""

_MESSAGE_BITS = 32


def shims_source() -> Path:
    """Return the file that holds the shims; it imports nothing of tssl."""
    return Path(__file__).with_name("worker") / "shims.py"


def loading_lines(
    network: ChipNetwork, net: str, input_range: tuple[int, int] | None, layers: int | None = None
) -> tuple[str, ...]:
    """Return the lines that load a network right.

    Parameters
    ----------
    net
        Path of its file, as it is to be shown.
    input_range
        Smallest and largest integer that can enter, or None when nobody knows.
    layers
        How many of the file's entries lava-dl can load; None for all.
    """
    options = [f"net_config={net!r}"]
    if layers is not None:
        options.append(f"num_layers={layers}")
    first = network.layers[0].synapses.input_shape
    if len(first) > 1:  # a file may lack an entry for the input
        options.append(f"input_shape={first[::-1]}")
    if network.input.neuron is None and not _binary(input_range):
        options.append(f"input_message_bits={_MESSAGE_BITS}")
    remarks, resets = _rest(network)
    loading = f"net = netx.hdf5.Network({', '.join([*options, *resets])})"
    return ("from lava.lib.dl import netx", *remarks, loading, *_entrance(network))


def _rest(network: ChipNetwork) -> tuple[list[str], list[str]]:
    """Return remarks on how neurons come to rest between samples, and the options for it."""
    if any(layer.neuron.graded for layer in network.layers):
        return [
            "# a Network for every sample: Lava never puts sigma-delta neurons to rest, and its",
            "# layers start on biases alone; tssl starts each with its first message",
        ], []
    if network.has_memory_in_synapses:
        remarks = ["# a Network for every sample: its synapses keep spikes that no reset clears"]
        if any(layer.bias.any() for layer in network.layers):
            remarks.append("# biases act before the first spike arrives: tssl runs it otherwise")
        return remarks, []
    steps = network.time_steps
    remarks = [] if steps else ["steps = 16  # of a sample; the file does not say how many"]
    offset = 1 if network.input.neuron is None else 0
    return remarks, [f"reset_interval={steps or 'steps'}, reset_offset={offset}"]


def _entrance(network: ChipNetwork) -> list[str]:
    """Return how data enter input neurons."""
    if network.input.takes_biases:
        return [
            "bias = net.in_layer.neuron.bias_mant  # sample: whole numbers (C, H, W)",
            "bias.init = sample.reshape(bias.shape[::-1]).T  # of later samples: bias.set(...)",
        ]
    if network.input.neuron is not None:
        return ["frames = net.in_layer.neuron.a_in  # takes whole numbers (W, H, C), step by step"]
    return []


def _binary(input_range: tuple[int, int] | None) -> bool:
    """Return whether all inputs are known to be 0 or 1."""
    return input_range is not None and 0 <= input_range[0] <= input_range[1] <= 1
