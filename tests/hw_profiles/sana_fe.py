"""SANA-FE beside our model: its constants, the networks compared, and how it runs them.

SANA-FE is GPL: it is imported by nothing here and never a dependency. A test hands the module
in where it is installed; ``RUNS`` keeps what version 2.2.9 printed, for everywhere else.
"""

from itertools import pairwise
from typing import NamedTuple

from tests.hw_profiles.networks import NEURON, counts, dense
from tssl.chip import ChipNetwork, InputLayer
from tssl.hw_profiles import Figure, estimate, load_profile, map_to_cores
from tssl.hw_profiles.mapping.placement import by_rule, cores_of

SANA_FE = {
    "energy": {
        "synaptic_operation": 35.5e-12,
        "neuron_update_active": 72.8e-12,
        "neuron_update_inactive": 51.2e-12,
        "spike_within_tile": 69.3e-12,
        "message": 111e-12,
        "hop_east_west": 3.0e-12,
        "hop_north_south": 4.2e-12,
    },
    "time": {
        "synaptic_operation": 3.8e-9,
        "neuron_update_active": 9.7e-9,
        "neuron_update_inactive": 6.0e-9,
        "spike_out": 30e-9,
        "message_out": 5.1e-9,
        "message_in": 16e-9,
        "barrier": 0.6e-6,
    },
}
"""Constants of SANA-FE's loihi.yaml for dense synapses; the barrier is that of one tile."""

BARRIER = {1: 0.6e-6, 2: 1.0e-6, 4: 1.4e-6, 29: 1.8e-6}
"""From so many tiles in use on, by the same file; our profiles have one barrier per chip."""


class Run(NamedTuple):
    """A dense chain in which every ``every``-th neuron fires, and SANA-FE's figures per step."""

    sizes: tuple[int, ...]
    every: int
    joules: float
    simple: float
    """Seconds, by the timing model that this project has too."""
    detailed: float
    """Seconds, by the one that queues messages."""

    @property
    def name(self):
        if len(set(self.sizes)) == 1:
            return f"{len(self.sizes)} layers of {self.sizes[0]} dense"
        return f"{' to '.join(map(str, self.sizes))} dense"


RUNS = (
    Run((10, 20), 1, joules=11.087e-9, simple=1.52e-6, detailed=1.5648e-6),
    Run((30, 40, 10), 2, joules=40.2105e-9, simple=3.12e-6, detailed=3.1648e-6),
    Run((200, 900, 300), 2, joules=8.300125e-6, simple=179.2e-6, detailed=217e-6),
    Run((784, 600, 400, 10), 2, joules=13.2094856e-6, simple=186.024e-6, detailed=420e-6),
    Run((10,) * 40, 1, joules=238.169e-9, simple=1.94e-6, detailed=1.9913e-6),
)
"""One core a layer twice, 6 cores on 2 tiles, 10 on 3, and 40 on 10, which takes a second row.

Per step, from the second on. The detailed figures of the third and fourth vary by 0.4 % from one
load of the same network to the next.
"""


def sana_fe_profile(tiles=1):
    """Return Loihi 1 with SANA-FE's constants."""
    profile = load_profile("loihi1")
    barrier = BARRIER[max(least for least in BARRIER if least <= tiles)]
    prices = {"energy": SANA_FE["energy"], "time": SANA_FE["time"] | {"barrier": barrier}}
    tables = {}
    for name, section, unit in (("energy", profile.energy, "J"), ("time", profile.time, "s")):
        figures = {
            key: Figure(value=value, unit=unit, kind="fitted", source="SANA-FE, loihi.yaml")
            for key, value in prices[name].items()
        }
        tables[name] = section.model_copy(update=figures)
    return profile.model_copy(update=tables)


def chain_from_neurons(*sizes):
    """Return a dense chain whose input is a block of neurons on cores."""
    network = dense(*sizes)
    block = InputLayer(shape=(sizes[0],), neuron=NEURON)
    return ChipNetwork(name="chain", input=block, layers=network.layers)


def firing(network, sizes, time_steps, every=1):
    """Return counts of a dense chain in which each ``every``-th neuron fires, the last's never.

    All neurons but those of the input are active: each of them receives spikes.
    """
    fired = [len(range(0, size, every)) for size in sizes[:-1]]
    return counts(
        network,
        operations=[spikes * after for spikes, after in zip(fired, sizes[1:], strict=True)],
        active=sizes[1:],
        spikes=[*fired[1:], 0],
        time_steps=time_steps,
        input_spikes=fired[0],
    )


def priced(run):
    """Return our costs of one step, with SANA-FE's constants."""
    network = chain_from_neurons(*run.sizes)
    mapping = map_to_cores(sana_fe_profile(), network)
    tiles = len({tile for tile, _, _ in places(network, mapping)})
    done = firing(network, run.sizes, 1, run.every)
    return estimate(sana_fe_profile(tiles), network, done, mapping)


def energy_by_unit(costs):
    """Return dynamic energy by the units of SANA-FE; spiking belongs to the soma there."""
    joules = {name: quantity.value for name, quantity in costs.by_name.items()}
    soma = ("active neuron updates", "inactive neuron updates", "spikes")
    network = ("messages", "hops east-west", "hops north-south")
    return {
        "soma": sum(joules.get(name, 0.0) for name in soma),
        "synapse": joules["synaptic operations"],
        "network": sum(joules.get(name, 0.0) for name in network),
    }


def places(network, mapping):
    """Return tile, core within it and the neurons of each core, where our rule puts them.

    SANA-FE counts tiles down the columns of its 8 x 4 mesh.
    """
    profile = sana_fe_profile()
    _, rows, per_tile = profile.mesh.sizes
    cores = cores_of(network, mapping)
    slots = by_rule(profile, len(cores), shared=False)
    tiles = (slots.column * rows + slots.row).tolist()
    return list(zip(tiles, (slots.core % per_tile).tolist(), cores, strict=True))


def run_sana_fe(sanafe, run):
    """Return SANA-FE's energy by unit of a step, and its seconds by both timing models.

    The first step is left out: what is sent in a step reaches the neurons in the next one, so
    that the last layer still rests.
    """
    arch = sanafe.load_loihi()
    chip = sanafe.SpikingChip(arch)
    chip.load(_built(sanafe, arch, run))
    chip.sim(1, processing_threads=1)
    simple, detailed = (
        chip.sim(1, timing_model=model, processing_threads=1) for model in ("simple", "detailed")
    )
    return simple["energy"], simple["sim_time"], detailed["sim_time"]


def _built(sanafe, arch, run):
    """Return the chain as SANA-FE's network, on the cores where our model has it."""
    chain, network = chain_from_neurons(*run.sizes), sanafe.Network()
    mapping = map_to_cores(sana_fe_profile(), chain)
    groups = {entry.layer: _group(network, entry) for entry in mapping}
    for tile, within, core in places(chain, mapping):
        silent = core.layer == mapping[-1].layer
        for index in core.neurons.tolist():
            neuron = groups[core.layer].neurons[index]
            neuron.map_to_core(arch.tiles[tile].cores[within])
            if not silent and index % run.every == 0:
                neuron.set_attributes(model_attributes={"threshold": -1.0})  # always
    for (before, sources), (after, targets) in pairwise(
        zip(groups.values(), run.sizes, strict=True)
    ):
        before.connect_neurons_dense(after, {"weight": [1.0] * (sources * targets)})
    return network


def _group(network, entry):
    return network.create_neuron_group(
        entry.layer,
        entry.neurons,
        model_attributes={"threshold": 1e9},  # never
        soma_hw_name="loihi_lif",
        default_synapse_hw_name="loihi_dense_synapse",
    )
