"""What other libraries make of a NIR file; runs in their interpreter, without tssl.

``python readers.py READER FILE INPUT.npy OUT.json`` writes names of nodes, or spikes.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def with_nir(path: str, inputs: np.ndarray) -> dict[str, Any]:
    import nir

    graph = nir.read(path)
    nodes = {name: type(node).__name__ for name, node in graph.nodes.items()}
    return {"nodes": nodes, "edges": sorted(map(list, graph.edges))}


def with_snntorch(path: str, inputs: np.ndarray) -> dict[str, Any]:
    import nir
    from snntorch.import_nir import import_from_nir

    return stepped(import_from_nir(nir.read(path)), inputs)


def with_spikingjelly(path: str, inputs: np.ndarray) -> dict[str, Any]:
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return stepped(import_from_nir(path, dt=1e-4), inputs)


def stepped(network: Any, inputs: np.ndarray) -> dict[str, Any]:
    """Run a network that takes and gives a state with every step."""
    import torch

    state, spikes = None, []
    with torch.no_grad():
        for step in torch.from_numpy(inputs).float():
            sent, state = network(step, state)
            spikes.append(sent[0] if isinstance(sent, tuple) else sent)
    return {"spikes": (torch.stack(spikes).numpy() > 0).astype(int).tolist()}


if __name__ == "__main__":
    reader = {"nir": with_nir, "snntorch": with_snntorch, "spikingjelly": with_spikingjelly}
    found = reader[sys.argv[1]](sys.argv[2], np.load(sys.argv[3]))
    Path(sys.argv[4]).write_text(json.dumps(found))
