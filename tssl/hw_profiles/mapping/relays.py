"""What relays do on a chip: neurons that make all paths to a layer equally long.

A relay fires what its source fired one step earlier, so its counts follow from the source's.
"""

import numpy as np

from tssl.chip import INPUT, ChipNetwork, with_relays
from tssl.errors import DataError
from tssl.hw_profiles.profile.tables import Profile
from tssl.results import OpCounts


def placed(profile: Profile, network: ChipNetwork) -> ChipNetwork:
    """Return what lies on the chip: the network with its relays, and none on other devices."""
    return with_relays(network) if profile.has_cores else network


def relayed_counts(network: ChipNetwork, relayed: ChipNetwork, counts: OpCounts) -> OpCounts:
    """Return the counts of a network with relays.

    Parameters
    ----------
    relayed
        The network, or what :func:`tssl.chip.with_relays` makes of it.
    counts
        Of the network.

    Raises
    ------
    DataError
        When the counts belong to another network.

    Notes
    -----
    Each spike that a neuron of a relay receives drives its only synapse and makes it fire. Steps
    are counted without transport, as everywhere; the depth of a relay says when it happens.
    """
    _check(network, counts)
    rows = {name: index for index, name in enumerate(counts.layers)}
    fired = {INPUT: counts.input_spikes}
    operations, active, zeros = [], [], []
    for layer in relayed.layers:
        row = rows.get(layer.name)
        fired[layer.name] = fired[layer.source] if row is None else counts.spikes[row]
        relay = fired[layer.name]
        operations.append(relay if row is None else counts.synaptic_operations[row])
        active.append(relay if row is None else counts.active_updates[row])
        if counts.stored_zeros is not None:
            zeros.append(np.zeros_like(relay) if row is None else counts.stored_zeros[row])
    names = tuple(layer.name for layer in relayed.layers)
    return OpCounts(
        samples=counts.samples,
        layers=names,
        neurons=np.array([layer.neurons for layer in relayed.layers]),
        synaptic_operations=np.stack(operations),
        active_updates=np.stack(active),
        spikes=np.stack([fired[name] for name in names]),
        input_spikes=counts.input_spikes,
        stored_zeros=np.stack(zeros) if zeros else None,
    )


def _check(network: ChipNetwork, counts: OpCounts) -> None:
    layers = tuple(layer.name for layer in network.layers)
    neurons = [layer.neurons for layer in network.layers]
    if counts.layers != layers or neurons != list(counts.neurons):
        raise DataError(
            f"the result counts the layers {', '.join(counts.layers)}, but network "
            f"{network.name} has {', '.join(layers)}; run this network first"
        )
