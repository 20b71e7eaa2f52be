"""What a cost estimate takes for granted, in sentences with a source."""

from collections.abc import Iterator

from tssl.chip import ChipNetwork, with_relays
from tssl.costs import Assumption, Kind
from tssl.hw_profiles.cost.energy import unpaid
from tssl.hw_profiles.cost.executions import rule_of
from tssl.hw_profiles.mapping.arithmetic import differences
from tssl.hw_profiles.mapping.capacity import relies_on_shared_lists
from tssl.hw_profiles.profile.figure import Figure
from tssl.hw_profiles.profile.tables import Profile
from tssl.wording import several

_Sentence = tuple[str, Kind, str]
_ON_CORES: tuple[_Sentence, ...] = (
    (
        "A layer's work is spread evenly over its neurons, and the slowest core sets the time.",
        "estimate",
        "on Loihi 2 the step time follows the busiest core (PilotNet LIF, lava-dl benchmark)",
    ),
    (
        "A core's time is the larger of what it receives (synaptic operations) and what it sends "
        "(neuron updates, spikes); the operations of a step are averaged over the samples.",
        "estimate",
        "max-affine model of Timcheck et al. 2026, arXiv:2601.10035; SANA-FE, timing simple",
    ),
    (
        "A synaptic operation is one spike through one non-zero weight.",
        "derived",
        "the counters of Loihi 2 count non-zero weights (PilotNet LIF, within 1 %)",
    ),
    (
        "A neuron update is active when the neuron receives a spike or fires, else inactive; "
        "neurons are updated in the steps of their own sample only.",
        "estimate",
        "Intel does not define the word",
    ),
    (
        "Cores are counted by a simple rule: one layer per core, even split or whole columns.",
        "fitted",
        "PilotNet, MNIST and Oxford tables of Intel's compiler; up to 31 % too few for dense "
        "layers with many inputs",
    ),
)
_STATIC: _Sentence = (
    "Static power counts for every chip in use as a whole, for the full latency of a sample "
    "alone on it.",
    "estimate",
    "a chip in use is powered whole",
)
_CONVENTIONAL: tuple[_Sentence, ...] = (
    (
        "Neurons cost two multiply-accumulates per step, for the decays of current and membrane "
        "potential.",
        "derived",
        "the equations of the neuron: u = u d + a, v = v d + u",
    ),
    (
        "The price per multiply-accumulate is the same for every network: small ones, which keep "
        "a device partly idle, cost more than this estimate.",
        "estimate",
        "batch 1 costs over 1000 times the vendor's peak on a Jetson Orin Nano",
    ),
)
_OPERATION = {"mac": "multiply-accumulate", "synaptic_operation": "synaptic operation"}
_RATES = (
    "synaptic_operation",
    "neuron_update_active",
    "neuron_update_inactive",
    "spike_out",
    "message_out",
    "message_in",
)
_ONLY_WITH_IO = ("io_power_per_chip", "input_message")
_BAND: _Sentence = (
    "A band is what comes out when all its figures are low, or all high, at once.",
    "derived",
    "the worst case; independent errors would partly cancel",
)


def assumptions(
    profile: Profile, network: ChipNetwork, time_steps: int, *, io: bool
) -> Iterator[Assumption]:
    """Yield everything that the reader of an estimate must believe."""
    sentences = [*(_ON_CORES if profile.has_cores else _CONVENTIONAL)]
    sentences += [_energy_model(profile), *_execution(profile), _left_out(profile, io=io), _BAND]
    if profile.has_cores:
        sentences += [*_arithmetic(profile, network), *_untimed(profile)]
    for statement, kind, source in sentences:
        yield Assumption(statement=statement, kind=kind, source=source)
    if profile.has_cores:
        yield from _of_network(profile, network)
        yield from _reset(profile, time_steps)
    yield from _figures(profile, network, io=io)


def _arithmetic(profile: Profile, network: ChipNetwork) -> Iterator[_Sentence]:
    """Yield which integers were counted, and what of the network the chip computes otherwise."""
    counted = (
        "The counts come from Loihi's integers: currents and potentials of 24 bits, decays by "
        "(4096 - d) / 4096 rounded towards zero, a reset to zero."
    )
    own = profile.chip.arithmetic
    if own == "loihi":
        yield f"{counted} This chip computes them.", "architectural", profile.chip.title
        return
    said = "what this chip computes instead is not stated" if own is None else f"it has {own}"
    yield (
        f"{counted} This one computes others ({said}): its spikes, counts and accuracy may differ.",
        "estimate",
        "the same network was not run in this chip's own arithmetic",
    )
    for difference in differences(profile, network):
        yield f"Computed otherwise in {difference}", "estimate", profile.chip.title


def _energy_model(profile: Profile) -> _Sentence:
    if profile.chip.energy_model == "marginal":
        return _STATIC
    operation = _OPERATION[profile.execution.main_price]
    return (
        f"The price of a {operation} is all-in: static power, memory and everything else of the "
        "device are in it, and nothing is added.",
        "estimate",
        "chip.energy_model = all_in; never mixed with marginal prices",
    )


def _execution(profile: Profile) -> Iterator[_Sentence]:
    assumed = rule_of(profile).assumed
    if assumed is not None:
        yield assumed, "architectural", profile.chip.description
    not_checked = [
        name.replace("_", " ")
        for name in ("neurons_per_core", "synapse_words_per_core", "input_axons_per_core",
                     "output_axons_per_core", "threshold_bits", "graded_spike_bits", "max_delay")
        if getattr(profile.figures, name) is None
    ]  # fmt: skip
    if not_checked and profile.has_cores:
        yield (
            f"Not checked, since no source gives it: {', '.join(not_checked)}.",
            "estimate",
            "figures that are missing stay missing",
        )


def _untimed(profile: Profile) -> Iterator[_Sentence]:
    time = profile.time
    timeless = [name.replace("_", " ") for name in _RATES if getattr(time, name) is None]
    if timeless:
        yield (
            f"Take no time, since no source gives a rate: {', '.join(timeless)}.",
            "estimate",
            "figures that are missing stay missing",
        )
    untimed = rule_of(profile).untimed
    if untimed is not None and time.synaptic_operation is None:
        yield untimed, "estimate", "no source gives time.synaptic_operation"


def _left_out(profile: Profile, *, io: bool) -> _Sentence:
    items = [] if io else ["input and output", "host and board", "managing processors"]
    items += [f"{name} (no price)" for name in unpaid(profile)]
    items += ["loading the network", "resetting it"]
    return f"Not included: {', '.join(items)}.", "estimate", "the model ends at the chip"


def _of_network(profile: Profile, network: ChipNetwork) -> Iterator[Assumption]:
    if network.input.neuron is None:
        yield Assumption(
            statement="Input spikes come from outside: they take no core and cost only the "
            "synaptic operations they cause.",
            kind="estimate",
            source="input and output are not included",
        )
    else:
        given = "into their biases" if network.input.takes_biases else "to them"
        yield Assumption(
            statement="The input neurons are counted like those of the layers. Writing a sample "
            f"{given} is not included.",
            kind="estimate",
            source="no profile has a price for it",
        )
    if any(layer.neuron.graded for layer in network.layers):
        yield Assumption(
            statement="A message costs what a spike costs, whatever its value.",
            kind="estimate",
            source="no source gives a price of its own",
        )
    if network.output.neuron.never_fires:
        outputs = several(network.output.neurons, "output neuron")
        yield Assumption(
            statement=f"The host reads the potentials of {outputs} after each sample, for which "
            "the chip pauses. Neither time nor energy of it is included.",
            kind="estimate",
            source="no source gives a price for it",
        )
    relayed = with_relays(network)
    repeating = relayed.neurons - network.neurons
    if repeating:
        yield Assumption(
            statement=f"Paths to a layer differ in length: relays, {repeating} neurons, repeat "
            "spikes a step later. They are counted like those of the layers.",
            kind="estimate",
            source="what Lava's simulator needs; a chip may delay the spikes in another way",
        )
    if relies_on_shared_lists(profile, network):
        yield Assumption(
            statement="Inputs with equal weights share a synapse list; Intel's compiler is not "
            "known to do it.",
            kind="estimate",
            source="a spike message names core and axon, so several neurons can address one axon",
        )


def _reset(profile: Profile, time_steps: int) -> Iterator[Assumption]:
    interval = profile.chip.steps_between_resets(time_steps)
    if interval != time_steps:
        yield Assumption(
            statement=f"In a stream a sample takes {interval} steps, not {time_steps}: the chip "
            f"resets only at powers of two. The {interval - time_steps} idle steps last as long as "
            "the shortest step and are in the stream's throughput, mean time step and static "
            "energy.",
            kind="architectural",
            source="lava-dl, netx/mnist/run.ipynb: reset intervals are powers of two",
        )


def _figures(profile: Profile, network: ChipNetwork, *, io: bool) -> Iterator[Assumption]:
    """Yield the prices and times of the profile that are used."""
    idle = () if io else _ONLY_WITH_IO
    if not any(layer.neuron.programmed for layer in network.layers):
        idle = (*idle, "neuron_update_programmed")
    for title, section in (("energy", profile.energy), ("time", profile.time)):
        for name, figure in section:
            if isinstance(figure, Figure) and name not in idle:
                yield Assumption(
                    statement=f"{title}: {name.replace('_', ' ')}",
                    kind=figure.kind,
                    source=figure.source,
                    quantity=figure.quantity,
                )
