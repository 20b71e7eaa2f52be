"""What an inference is paid for: amounts times prices, one term each."""

from collections.abc import Iterator

from tssl.costs import EnergyTerm, Gap, Part, Quantity
from tssl.hw_profiles.cost.work import Inference, LayerWork
from tssl.hw_profiles.profile.figure import Figure
from tssl.hw_profiles.profile.tables import Energy, Profile

_TRAVEL = {
    "messages": "message",
    "hops east-west": "hop_east_west",
    "hops north-south": "hop_north_south",
    "chip crossings": "chip_crossing",
}
"""Term and key of what spikes pay on their way; a price that is missing is not paid."""

PRICES = {
    "synaptic operations": "synaptic_operation",
    "active neuron updates": "neuron_update_active",
    "inactive neuron updates": "neuron_update_inactive",
    "programmed neuron updates": "neuron_update_programmed",
    "spikes": "spike_within_tile",
    **_TRAVEL,
}
"""Term and key of everything that a chip with neurons pays dynamically."""


def core_terms(profile: Profile, inference: Inference) -> tuple[list[EnergyTerm], Gap | None]:
    """Return what the operations of a chip with neurons pay, or why nobody can say."""
    gap = _dynamic_gap(profile)
    return ([], gap) if gap else (list(dynamic_terms(profile, inference)), None)


def _dynamic_gap(profile: Profile) -> Gap | None:
    """Return why the operations of a chip with neurons cannot be priced, or None."""
    needed = ["synaptic_operation"]
    if profile.chip.energy_model == "marginal":
        needed += ["neuron_update_active", "neuron_update_inactive"]
    missing = [f"energy.{key}" for key in needed if getattr(profile.energy, key) is None]
    if not missing:
        return None
    return Gap(
        what="dynamic energy",
        reason=f"no source gives {', '.join(missing)} of {profile.chip.title}",
    )


def dynamic_terms(profile: Profile, inference: Inference) -> Iterator[EnergyTerm]:
    """Yield the terms of every layer; those of spikes on their way belong to the sender."""
    layout = inference.layout
    for layer in inference.work:
        yield from layer_terms(profile.energy, layer)
        if layout is None or profile.chip.energy_model == "all_in":
            continue
        for name, amount in layout.sent_by(layer.layer).items():
            figure = getattr(profile.energy, _TRAVEL[name])
            if figure is not None and amount:
                yield term(name, layer.layer, "dynamic", amount, figure.quantity)


def layer_terms(energy: Energy, layer: LayerWork) -> Iterator[EnergyTerm]:
    """Yield what a layer pays on its own cores."""
    done = {
        "synaptic_operation": layer.operations,
        **layer.updates(energy),
        "spike_within_tile": layer.spikes,
    }
    for name, key in PRICES.items():
        figure = getattr(energy, key)
        if figure is not None and key in done:
            yield term(name, layer.layer, "dynamic", float(done[key].sum()), figure.quantity)


def unpaid(profile: Profile) -> list[str]:
    """Return what spikes do on their way that has no price in the profile."""
    if not profile.has_cores or profile.chip.energy_model == "all_in":
        return []
    names = [name for name, key in _TRAVEL.items() if getattr(profile.energy, key) is None]
    if profile.mesh is None:
        names = [name for name in names if not name.startswith("hops")] + ["hops between tiles"]
    if profile.chips == 1:
        names = [name for name in names if name != "chip crossings"]
    return names


def static_terms(
    profile: Profile, latency: Quantity | None, chips: int
) -> tuple[list[EnergyTerm], Gap | None]:
    """Return what the chips in use pay for being on, or why nobody can say."""
    if profile.chip.energy_model == "all_in":
        return [], None
    power = profile.energy.static_power_per_chip
    if power is None:
        reason = f"no source gives energy.static_power_per_chip of {profile.chip.title}"
        return [], Gap(what="static energy", reason=reason)
    if latency is None:
        if power.value == 0:
            return [], None
        reason = "static power is paid as long as an inference takes, which is not known"
        return [], Gap(what="static energy", reason=reason)
    terms = [_paid_over("static power", "static", power, latency, chips)]
    clock, cycle = profile.time.clock, profile.energy.clock_cycle
    if clock is not None and cycle is not None:
        cycles = clock.value * latency.value
        terms.append(_scaled("clock", cycle.quantity, cycles, latency))
    return terms, None


def io_terms(
    profile: Profile, latency: Quantity | None, chips: int
) -> tuple[list[EnergyTerm], Gap | None]:
    """Return what input, output and managing processors pay, or why nobody can say."""
    power = profile.energy.io_power_per_chip
    if power is None or latency is None:
        what = "energy.io_power_per_chip" if power is None else "the latency"
        reason = f"no source gives {what} of {profile.chip.title}"
        return [], Gap(what="input and output", reason=reason)
    return [_paid_over("input and output", "io", power, latency, chips)], None


def term(name: str, layer: str | None, part: Part, amount: float, price: Quantity) -> EnergyTerm:
    """Return an amount times a price, with the ends of the price's band."""
    return EnergyTerm(
        name=name,
        layer=layer,
        part=part,
        operations=amount,
        price=price,
        joules=amount * price.value,
        low=amount * price.low,
        high=amount * price.high,
    )


def _paid_over(name: str, part: Part, power: Figure, latency: Quantity, chips: int) -> EnergyTerm:
    price = power.quantity
    return EnergyTerm(
        name=name,
        layer=None,
        part=part,
        operations=chips * latency.value,
        price=price,
        joules=chips * latency.value * price.value,
        low=chips * latency.low * price.low,
        high=chips * latency.high * price.high,
    )


def _scaled(name: str, price: Quantity, amount: float, latency: Quantity) -> EnergyTerm:
    scale = amount / latency.value if latency.value else 0.0
    return EnergyTerm(
        name=name,
        layer=None,
        part="static",
        operations=amount,
        price=price,
        joules=amount * price.value,
        low=scale * latency.low * price.low,
        high=scale * latency.high * price.high,
    )
