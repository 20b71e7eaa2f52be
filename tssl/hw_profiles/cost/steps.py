"""A spiking network on a conventional device: step by step, or driven by events.

A profile with ``energy.synaptic_operation`` is priced by the operations that spikes cause; one
with only ``energy.mac`` computes every multiply-accumulate at every time step, as a program
that knows nothing of spikes does.
"""

from tssl.costs import EnergyTerm, Gap
from tssl.hw_profiles.cost.energy import layer_terms, term
from tssl.hw_profiles.cost.reference import step_by_step
from tssl.hw_profiles.cost.timing import Timing, bounds
from tssl.hw_profiles.cost.work import Inference
from tssl.hw_profiles.profile.tables import Profile


def conventional_terms(
    profile: Profile, inference: Inference
) -> tuple[list[EnergyTerm], Gap | None]:
    """Return what the layers pay, or why nobody can say."""
    energy, work = profile.energy, inference.work
    if energy.synaptic_operation is not None:
        return [each for layer in work for each in layer_terms(energy, layer)], None
    if energy.mac is None:
        reason = f"no source gives energy.mac of {profile.chip.title}"
        return [], Gap(what="dynamic energy", reason=reason)
    price = energy.mac.quantity
    terms = [
        term(
            "multiply-accumulates",
            layer.layer,
            "dynamic",
            step_by_step(inference.network, layer),
            price,
        )
        for layer in work
    ]
    return terms, None


def conventional_timing(profile: Profile, inference: Inference) -> Timing:
    """Return the times of a device that computes one layer after the other."""
    work = inference.work
    total = sum(step_by_step(inference.network, layer) for layer in work)
    latency = total * bounds(profile.time.mac)
    return Timing(latency, latency, latency / len(work[0].operations))
