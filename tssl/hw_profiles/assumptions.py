"""What a cost estimate takes for granted, in sentences with a source."""

from collections.abc import Iterator

from tssl.chip import ChipNetwork
from tssl.costs import Assumption, Kind
from tssl.hw_profiles.capacity import relies_on_shared_lists
from tssl.hw_profiles.profile import Figure, Profile

_ALWAYS: tuple[tuple[str, Kind, str], ...] = (
    (
        "A layer's work is spread evenly over its cores, and the slowest core sets the time step.",
        "estimate",
        "on Loihi 2 the step time follows the busiest core (PilotNet LIF, lava-dl benchmark)",
    ),
    (
        "A core's time is the larger of its synaptic operations and its neuron updates; the "
        "operations of a step are averaged over the samples.",
        "estimate",
        "max-affine model of Timcheck et al. 2026, arXiv:2601.10035",
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
        "Static power counts for the whole chip, for the full latency of a sample alone on it.",
        "estimate",
        "a chip in use is powered whole",
    ),
    (
        "Cores are counted by a simple rule: one layer per core, even split or whole columns.",
        "fitted",
        "PilotNet, MNIST and Oxford tables of Intel's compiler; up to 31 % too few for dense "
        "layers with many inputs",
    ),
    (
        "Not included: input and output, host and board, the x86 or embedded processors, spikes "
        "between tiles and chips, loading the network, resetting it.",
        "estimate",
        "no placement and no board is modelled",
    ),
    (
        "A band is what comes out when all its figures are low, or all high, at once.",
        "derived",
        "the worst case; independent errors would partly cancel",
    ),
)


def assumptions(profile: Profile, network: ChipNetwork, time_steps: int) -> Iterator[Assumption]:
    """Yield everything that the reader of an estimate must believe."""
    for statement, kind, source in _ALWAYS:
        yield Assumption(statement=statement, kind=kind, source=source)
    if network.input.neuron is None:
        yield Assumption(
            statement="Input spikes come from outside: they take no core and cost only the "
            "synaptic operations they cause.",
            kind="estimate",
            source="input and output are not included",
        )
    if relies_on_shared_lists(profile, network):
        yield Assumption(
            statement="Inputs with equal weights share a synapse list; Intel's compiler is not "
            "known to do it.",
            kind="estimate",
            source="a spike message names core and axon, so several neurons can address one axon",
        )
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
    yield from _figures(profile)


def _figures(profile: Profile) -> Iterator[Assumption]:
    """Yield the prices and times of the profile."""
    for title, section in (("energy", profile.energy), ("time", profile.time)):
        for name, figure in section:
            if isinstance(figure, Figure):
                yield Assumption(
                    statement=f"{title}: {name.replace('_', ' ')}",
                    kind=figure.kind,
                    source=figure.source,
                    quantity=figure.quantity,
                )
