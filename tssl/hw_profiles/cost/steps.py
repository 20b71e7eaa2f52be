"""A spiking network on a conventional device: step by step, or driven by events.

A profile with ``energy.synaptic_operation`` is priced by the operations that spikes cause; one
with only ``energy.mac`` computes every multiply-accumulate at every time step, as a program
that knows nothing of spikes does.
"""

from collections.abc import Sequence

from tssl.chip import ChipNetwork
from tssl.costs import EnergyTerm, Gap
from tssl.hw_profiles.cost.energy import layer_terms, term
from tssl.hw_profiles.cost.reference import step_by_step
from tssl.hw_profiles.cost.timing import Timing, bounds
from tssl.hw_profiles.cost.work import LayerWork
from tssl.hw_profiles.profile.tables import Profile


def conventional_terms(
    profile: Profile, network: ChipNetwork, work: Sequence[LayerWork]
) -> tuple[list[EnergyTerm], Gap | None]:
    """Return what the layers pay, or why nobody can say."""
    energy = profile.energy
    if energy.synaptic_operation is not None:
        return [each for layer in work for each in layer_terms(energy, layer)], None
    if energy.mac is None:
        reason = f"no source gives energy.mac of {profile.chip.title}"
        return [], Gap(what="dynamic energy", reason=reason)
    price = energy.mac.quantity
    terms = [
        term("multiply-accumulates", layer.layer, "dynamic", step_by_step(network, layer), price)
        for layer in work
    ]
    return terms, None


def conventional_timing(
    profile: Profile, network: ChipNetwork, work: Sequence[LayerWork]
) -> Timing | str:
    """Return the times of an inference, or why they cannot be given."""
    if profile.time.mac is None:
        return "the profile gives no time.mac"
    total = sum(step_by_step(network, layer) for layer in work)
    latency = total * bounds(profile.time.mac)
    return Timing(latency, latency, latency / len(work[0].operations))
