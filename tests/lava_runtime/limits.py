"""What lava-dl 0.6.0 itself cannot load or say, so that tssl cannot be made to run it on Lava.

Run with a folder, this file asks lava-dl and prints what it answers, as JSON.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Limit(NamedTuple):
    """A form of a network, how lava-dl answers, and why nothing can be done about it here."""

    form: str
    answer: str
    """Part of what this file prints for it."""
    reason: str


LIMITS = {
    "resonators": Limit(
        "neurons of type `RF` or `RF_PHASE` in a layer `dense`",
        "object has no attribute 'a_in'",
        "Lava's resonate-and-fire neurons take a real and an imaginary input; netx connects one",
    ),
    "complex": Limit(
        "a layer `dense_comp`, which has both",
        "object has no attribute 'create_complex_dense'",
        "netx names the type and has no function that builds the layer",
    ),
    "message bits": Limit(
        "`messageBits` of neurons, CUBA or `SDNN`",
        "bits of type NetDict",
        "netx hands the entry of the file, and not its number, to the next layer's synapses, and "
        "they fail; CUBA neurons send 0 and 1, for which bits would change nothing",
    ),
    "exponents": Limit(
        "exponents of graded spikes other than 6",
        "a key 4: 6, an argument 4: 4",
        "no key of the file sets one; a caller of `netx.hdf5.Network` may pass `spike_exp`, and "
        "the file does not state it",
    ),
}


def main(folder: Path) -> None:
    """Ask lava-dl about each of them."""
    from tssl.lava_runtime.worker.shims import import_lava

    import_lava()
    from lava.lib.dl.netx import hdf5

    hdf5.get_rf_params = _resonator  # lava-dl's own is in slayer, which needs torch and OpenCV
    resonator = {"type": "RF_PHASE", "vThMant": 10, "sinDecay": 1500, "cosDecay": 3700}
    values = {"type": "SDNN", "vThMant": 1}
    asked: dict[str, Any] = {
        "resonators": ("dense", resonator),
        "complex": ("dense_comp", resonator),
        "message bits": ("dense", {**values, "messageBits": 16}),
    }
    found = {}
    for name, (kind, neuron) in asked.items():
        path = _file(folder / f"{name}.net", kind, neuron)
        try:
            loaded = hdf5.Network(net_config=path)
            bits = loaded.layers[1].synapse.num_message_bits.init
            found[name] = f"bits of type {type(bits).__name__}"
        except AttributeError as error:
            found[name] = str(error)
    path = _file(folder / "exponents.net", "dense", {**values, "spike_exp": 4, "spikeExp": 4})
    ways = (hdf5.Network(net_config=path), hdf5.Network(net_config=path, spike_exp=4))
    key, argument = (int(way.layers[0].neuron.proc_params["spike_exp"]) for way in ways)
    found["exponents"] = f"a key 4: {key}, an argument 4: {argument}"
    sys.stdout.write(json.dumps(found) + "\n")


def _resonator(device: Any) -> dict[str, float]:
    """Return what lava-dl's ``slayer.neuron.rf.neuron_params`` does."""
    sine, cosine = int(device["sinDecay"]) / 4096, int(device["cosDecay"]) / 4096
    return {
        "decay": 1 - math.hypot(sine, cosine),
        "period": 2 * math.pi / math.atan2(sine, cosine),
    }


def _file(path: Path, kind: str, neuron: dict[str, Any]) -> str:
    """Write a chain of two layers of a kind; return its path."""
    import h5py
    import numpy as np

    with h5py.File(path, "w") as file:
        entry = file.create_group("layer/0")
        entry["type"], entry["shape"] = np.bytes_("input"), np.array([4])
        for number, (inputs, outputs) in enumerate(((4, 3), (3, 2)), start=1):
            entry = file.create_group(f"layer/{number}")
            entry["type"], entry["shape"] = np.bytes_(kind), np.array([outputs])
            for part in ("weight",) if kind == "dense" else ("weight/real", "weight/imag"):
                entry[part] = np.full((outputs, inputs), 64)
            for key, value in neuron.items():
                entry[f"neuron/{key}"] = np.bytes_(value) if isinstance(value, str) else value
    return str(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
