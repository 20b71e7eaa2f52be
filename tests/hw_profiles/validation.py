"""The validation table: every public measurement that the model can be held against.

``docs/validation.md`` shows these rows; a test compares them with the page.
"""

from dataclasses import dataclass, replace

import numpy as np

from tests.hw_profiles.networks import counts, dense, pilotnet
from tests.hw_profiles.quartz import CORES, SWEEP, recounted
from tests.hw_profiles.sana_fe import RUNS, energy_by_unit, priced
from tssl.chip import ChipNetwork, InputLayer, SigmaDeltaNeuron
from tssl.hw_profiles import estimate, load_profile, map_to_cores

PILOTNET_OPERATIONS = [0, 1604873, 452130, 144321, 62329, 5108, 413, 42, 2]
PILOTNET_SPIKES = [26928, 6247, 840, 417, 196, 11, 5, 1, 0]
SDNN_OPERATIONS = 0.59e6  # of a frame: 1.18e9 in 2000, read off a plot
SDNN_FRAMES = 7403.8  # per second
SMALL_SDNN_OPERATIONS = [324979, 54881, 478643, 497361, 70293, 144, 267, 1]
"""Of a frame of the film in tests/lava_runtime/test_pilotnet_sdnn.py, layer by layer."""
SAME = "test against a recorded run of SANA-FE, the same constants"


@dataclass(frozen=True)
class Case:
    """One comparison.

    Parameters
    ----------
    predicted, measured
        In ``unit``; ``scale`` turns the SI value into it.
    kind
        "test", or why it is none.
    """

    name: str
    predicted: float
    measured: float
    unit: str
    kind: str

    @property
    def error(self):
        return self.predicted / self.measured - 1

    @property
    def row(self):
        shown = "0.0%" if abs(self.error) < 0.0005 else f"{self.error:+.1%}"  # no sign of rounding
        return (
            f"| {self.name} | {self.predicted:.4g} {self.unit} | {self.measured:.4g} {self.unit} "
            f"| {shown} | {self.kind} |"
        )


def price(profile_name, network, done):
    profile = load_profile(profile_name)
    return estimate(profile, network, done, map_to_cores(profile, network))


def pilotnet_counts(*, active_share, time_steps=1):
    """Per step, from the facts: non-zero operations and spikes of the shipped network."""
    network = pilotnet()
    neurons = np.array([layer.neurons for layer in network.layers])
    return counts(
        network,
        operations=PILOTNET_OPERATIONS,
        active=(neurons * active_share).astype(int),
        spikes=PILOTNET_SPIKES,
        time_steps=time_steps,
    )


def pilotnet_without_input_neurons():
    """Return the network as PilotNet SDNN lies on the chip: its input takes no cores."""
    network = pilotnet()
    return ChipNetwork(
        name="sdnn", input=InputLayer(shape=network.input.shape), layers=network.layers
    )


def pilotnet_cases():
    energy = [
        price("loihi2", pilotnet(), pilotnet_counts(active_share=share)).by_part["dynamic"].value
        for share in (0.0, 1.0)
    ]
    timed = price("loihi2", pilotnet(), pilotnet_counts(active_share=0.5, time_steps=16))
    kind = "test; prices are Loihi 1's"
    return [
        Case("Loihi 2, PilotNet LIF, dynamic energy per step, no neuron active",
             energy[0] * 1e6, 68.35, "µJ", kind),
        Case("Loihi 2, PilotNet LIF, dynamic energy per step, all neurons active",
             energy[1] * 1e6, 68.35, "µJ", kind),
        Case("Loihi 2, PilotNet LIF, time per step", timed.step_time.value * 1e6, 152.845, "µs",
             "calibration: the rate was read off this network's third layer, so no test"),
        Case("Loihi 2, PilotNet LIF, inferences per second", timed.throughput.value, 408.91, "/s",
             "the same calibration"),
        Case("Loihi 2, PilotNet LIF, static power", 0.232, 0.232078, "W",
             "calibration: the profile's own figure"),
    ]  # fmt: skip


def pilotnet_sdnn():
    """Return a network with the shapes of PilotNet SDNN, 118,909 neurons."""
    network = pilotnet_without_input_neurons()
    neuron = SigmaDeltaNeuron(threshold=1)
    layers = tuple(replace(layer, neuron=neuron) for layer in network.layers)
    return ChipNetwork(name="sdnn", input=network.input, layers=layers)


def sigma_delta_counts():
    """Return what a frame does: the published sum of operations, shared out as a smaller one's.

    The file in lava-dl's wheel has half the pixels and a convolution less. Its last convolution
    stands for the last two here, by their weights.
    """
    network = pilotnet_sdnn()
    *first, last = SMALL_SDNN_OPERATIONS[:4]
    fourth, fifth = (layer.neurons * layer.synapses.weight[0].size for layer in network.layers[3:5])
    shares = np.array([*first, last * fourth / (fourth + fifth), last * fifth / (fourth + fifth),
                       *SMALL_SDNN_OPERATIONS[4:]])  # fmt: skip
    operations = (SDNN_OPERATIONS * shares / shares.sum()).astype(int)
    neurons = [layer.neurons for layer in network.layers]
    return counts(network, operations=operations, active=neurons, spikes=[0] * len(neurons))


def sigma_delta_cases():
    """PilotNet SDNN per frame (Shrestha et al. 2024, Table 1; lava-dl's notebook)."""
    costs = price("loihi2", pilotnet_sdnn(), sigma_delta_counts())
    dynamic, static = costs.by_part["dynamic"].value, costs.static_in_stream.value
    power = load_profile("loihi2").energy.static_power_per_chip.value
    return [
        Case("Loihi 2, PilotNet SDNN, dynamic energy per frame", dynamic * 1e6, 50.0, "µJ",
             "test of the law for programmed neurons; the counts are published"),
        Case("Loihi 2, PilotNet SDNN, energy per frame, static power over the measured step",
             (dynamic + power / SDNN_FRAMES) * 1e6, 90.0, "µJ", "test, its step is measured"),
        Case("Loihi 2, PilotNet SDNN, energy per frame", (dynamic + static) * 1e6, 90.0, "µJ",
             "test; the step is too short"),
        Case("Loihi 2, PilotNet SDNN, frames per second", costs.throughput.value, SDNN_FRAMES,
             "/s", "test; layers share the published operations as in the smaller file"),
        Case("Loihi 2, PilotNet SDNN, static power", power, 0.281775, "W",
             "test: another run, of the same board"),
    ]  # fmt: skip


def pipeline_cases():
    """Latency of a pipeline is depth times step (Shrestha et al. 2024, Table 1)."""
    return [
        Case("Loihi 2, PilotNet SDNN, latency of nine layers", 9e3 / 7403.8, 1.21, "ms",
             "test of the rule; the step is measured"),
        Case("Loihi 2, PilotNet SDNN, the same with limited input", 9e3 / 137.6, 65.41, "ms",
             "test of the rule; the step is measured"),
    ]  # fmt: skip


def neighbour_cases():
    """k-nearest neighbours on 32 Loihi 1 (Frady et al. 2020): 76 800 neurons, 60 steps."""
    prices = load_profile("loihi1").energy
    updates = 76800 * 60 * prices.neuron_update_inactive.value
    return [
        Case(f"Loihi 1, k nearest neighbours, dynamic, {operations:.3g} operations",
             1e3 * (operations * prices.synaptic_operation.value + updates), 1.33, "mJ", "test")
        for operations in (5.12e7, 5.76e7)
    ]  # fmt: skip


def quartz_cases():
    """One network at five lengths of a sample, with the activity of our own of that shape."""
    energies, times = [], []
    for point in SWEEP:
        costs = price("loihi1", *recounted(point.steps))
        name = f"Loihi 1, Quartz, {point.steps} steps"
        joules = costs.by_part["dynamic"].value / point.steps
        energies.append(Case(f"{name}, dynamic energy per step", joules * 1e9,
                             point.joules_per_step * 1e9, "nJ",
                             "test; the activity is that of our own network"))  # fmt: skip
        times.append(Case(f"{name}, time per step", costs.step_time.value * 1e6,
                          point.seconds_per_step * 1e6, "µs",
                          "test; input and output are not in the model"))  # fmt: skip
    return energies + times


def static_cases():
    """Static power of cores: Quartz on 16 chips (CIFAR-10), and on 72 cores (MNIST)."""
    chip = load_profile("loihi1").energy.static_power_per_chip.value
    core = chip / load_profile("loihi1").figures.cores_per_chip.value
    mnist = float(np.mean([point.static_watts for point in SWEEP]))
    return [
        Case("Loihi 1, Quartz CIFAR-10, static power of 16 chips", 16 * chip * 1e3, 1272, "mW",
             "test"),
        Case("Loihi 1, Quartz CIFAR-10, the same by its 1753 cores", 1753 * core * 1e3, 1272,
             "mW", "test of static power per core"),
        Case("Loihi 1, Quartz MNIST, static power by its 72 cores", CORES * core * 1e3,
             mnist * 1e3, "mW", "test of static power per core"),
    ]  # fmt: skip


def odin_cases():
    """P = leakage + clock + operations, at the two published points of 0.55 V."""
    profile = load_profile("odin")
    energy = profile.energy

    def watts(clock, rate):
        dynamic = energy.clock_cycle.value * clock + energy.synaptic_operation.value * rate
        return energy.static_power_per_chip.value + dynamic

    return [
        Case("ODIN, 75 MHz, 37.5 M operations/s", watts(75e6, 37.5e6) * 1e6, 477, "µW",
             "test of the authors' model"),
        Case("ODIN, 1.3 MHz, 650 k operations/s", watts(1.3e6, 650e3) * 1e6, 35, "µW",
             "test of the authors' model"),
        Case("ODIN, energy per operation at 75 MHz", watts(75e6, 37.5e6) / 37.5e6 * 1e12, 12.7,
             "pJ", "test of the authors' model"),
    ]  # fmt: skip


def truenorth_cases():
    """One million neurons, 128 active synapses each, at the mean rates of Merolla et al. 2014."""
    energy = load_profile("truenorth").energy
    neurons, synapses = 4096 * 256, 128
    fitted = "calibration: the line goes through it, so no test"
    return [
        Case(f"TrueNorth, chip power at {rate} Hz",
             1e3 * (energy.static_power_per_chip.value
                    + energy.synaptic_operation.value * neurons * synapses * rate),
             measured, "mW", kind)
        for rate, measured, kind in (
            (11.58, 68, fitted), (20.07, 71, "test: left out of the fit"), (95.93, 94, fitted),
            (20.0, 72, "test: the point behind the 26 pJ (all-in)"),
        )
    ]  # fmt: skip


def sana_fe_cases():
    """Small networks per step, beside what SANA-FE 2.2.9 printed."""
    return [*sana_fe_parts(), *(case for run in RUNS for case in sana_fe_run(run))]


def sana_fe_parts():
    """Return the first network by the parts that SANA-FE prints."""
    parts = energy_by_unit(priced(RUNS[0]))
    return [
        Case(f"SANA-FE, {RUNS[0].name}, {part}", parts[part] * 1e9, measured, "nJ", SAME)
        for part, measured in (("soma", 2.877), ("synapse", 7.1), ("network", 1.11))
    ]


def sana_fe_run(run):
    costs, step = priced(run), f"SANA-FE, {run.name}, step"
    dynamic, seconds = costs.by_part["dynamic"].value, costs.step_time.value * 1e6
    return [
        Case(f"SANA-FE, {run.name}, energy", dynamic * 1e9, run.joules * 1e9, "nJ", SAME),
        Case(f"{step} (simple)", seconds, run.simple * 1e6, "µs", SAME),
        Case(f"{step} (detailed)", seconds, run.detailed * 1e6, "µs",
             "test; queues are not modelled"),
    ]  # fmt: skip


def cases():
    """Return all rows of the table."""
    return [
        *pilotnet_cases(),
        *sigma_delta_cases(),
        *pipeline_cases(),
        *neighbour_cases(),
        *quartz_cases(),
        *static_cases(),
        *odin_cases(),
        *truenorth_cases(),
        *sana_fe_cases(),
    ]


MAPPINGS = (  # network, cores per layer by our rule, by Intel's compiler
    ("PilotNet SDNN", pilotnet_without_input_neurons, (25, 13, 3, 3, 2, 9, 1, 1, 1),
     (25, 13, 3, 3, 2, 12, 1, 1, 1)),
    ("PilotNet LIF", pilotnet, (13, 25, 13, 3, 3, 2, 9, 1, 1, 1),
     (13, 25, 13, 3, 3, 2, 12, 1, 1, 1)),
    ("MNIST MLP 784-128-64-10", lambda: dense(784, 128, 64, 10), (3, 1, 1), (3, 1, 1)),
    ("Oxford 200-256-200", lambda: dense(200, 256, 200), (2, 2), (3, 2)),
)  # fmt: skip


def mapping_row(name, ours, compiler):
    joined = [" + ".join(map(str, cores)) for cores in (ours, compiler)]
    off = sum(ours) / sum(compiler) - 1
    return f"| {name} | {sum(ours)} ({joined[0]}) | {sum(compiler)} ({joined[1]}) | {off:+.0%} |"
