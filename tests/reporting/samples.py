"""A run and its costs, for the tests of reports."""

import numpy as np

from tests.hw_profiles.networks import counts, dense
from tssl.hw_profiles import estimate, load_profile, map_to_cores
from tssl.reporting import Accuracies, LayerTrace, LearningCurve, Sheet
from tssl.results import RunResult

PROOF = {
    "statement": "Engine and simulator computed the same integers.",
    "columns": ["layer", "steps", "differences", "verdict"],
    "rows": [["dense1", 20, 0, "equal"], ["dense2", 20, 0, "equal"]],
}


def result(name="mnist-mlp", labels=(3, 1, 4, 1)):
    """Return four samples of twenty steps, three of them right."""
    network = dense(784, 128, 64, 10, name=name)
    done = counts(
        network,
        operations=[14000, 1200, 90],
        active=[120, 50, 9],
        spikes=[19, 9, 1],
        time_steps=20,
        samples=4,
        input_spikes=110,
    )
    run = RunResult(
        backend="engine",
        network=name,
        digest=network.digest,
        data="mnist, test split",
        output_spikes=np.zeros((4, 20, 10), np.uint8),
        spike_counts=np.ones((4, 3), np.int64),
        predictions=np.array([3, 1, 4, 2]),
        labels=None if labels is None else np.array(labels),
        counts=done,
        seconds=0.5,
    )
    return network, run


def costs(name="mnist-mlp", profile_name="loihi2"):
    network, run = result(name)
    profile = load_profile(profile_name)
    return estimate(profile, network, run.counts, map_to_cores(profile, network))


def traces(network, time_steps=20):
    """Return states of every layer: each neuron fires at the step of its own number."""
    found = []
    for layer in network.layers:
        grid = np.arange(time_steps)[:, None] == np.arange(layer.neurons)
        found.append(
            LayerTrace(
                layer=layer.name, spikes=grid, current=grid * 64, voltage=grid * -4096, threshold=99
            )
        )
    return tuple(found)


def sheet(name="mnist-mlp", profiles=("loihi1", "loihi2"), **fields):
    network, run = result(name)
    given = {
        "result": run,
        "costs": tuple(costs(name, each) for each in profiles),
        "proof": PROOF,
        "weights": {layer.name: layer.synapses.weight for layer in network.layers},
        "network": network,
        "learning": LearningCurve([1, 2], [0.5, 0.25], [0.5, 0.75], [0.6, 0.8], [0.55, 0.7]),
        "accuracies": Accuracies(0.9, 0.8, 50),
        "provenance": (("Network", f"SHA-256 {network.digest}"),),
        "recipe": "name = 'r'\n",
        "traces": traces(network),
        "traces_note": "The first sample.",
    }
    return Sheet(**(given | fields))
