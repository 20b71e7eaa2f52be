"""Energy and time per inference: counted operations times the figures of a profile."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tssl.chip import ChipNetwork
from tssl.costs import (
    AnnCost,
    CoreLoad,
    CostReport,
    EnergyTerm,
    Gap,
    Kind,
    LayerMapping,
    Quantity,
    weakest,
)
from tssl.hw_profiles.cost.assumptions import assumptions
from tssl.hw_profiles.cost.energy import io_terms, static_terms
from tssl.hw_profiles.cost.executions import rule_of, timing_of
from tssl.hw_profiles.cost.reference import carries_activations, frames_of, network_macs, passes
from tssl.hw_profiles.cost.timing import Timing, bounds, core_time
from tssl.hw_profiles.cost.work import FloatArray, Inference, inference_of
from tssl.hw_profiles.mapping.relays import placed, relayed_counts
from tssl.hw_profiles.profile.figure import Figure
from tssl.hw_profiles.profile.library import load_profile
from tssl.hw_profiles.profile.tables import Profile
from tssl.results import OpCounts


@dataclass(frozen=True, kw_only=True)
class CostOptions:
    """What an estimate includes.

    Parameters
    ----------
    io
        Input, output and managing processors, where the profile prices them.
    search
        Look for a better placement than that of the rule.
    """

    io: bool = False
    search: bool = False


class _Priced(NamedTuple):
    """Energy and time of some counts, before they are put into words."""

    inference: Inference
    energy: list[EnergyTerm]
    gaps: list[Gap]
    timing: Timing | None
    latency: Quantity | None


def estimate(
    profile: Profile,
    network: ChipNetwork,
    counts: OpCounts,
    mapping: Sequence[LayerMapping],
    options: CostOptions | None = None,
) -> CostReport:
    r"""Return what one inference costs.

    .. math::
        E_{dyn} &= \sum_{l,t} S e_{syn} + U_{act} e_{act} + U_{inact} e_{inact} + K e_{spike}
                   + M e_{msg} + H_{EW} e_{EW} + H_{NS} e_{NS} + X e_{chip} \\
        E_{stat} &= P_{static} \, chips \, T_{occupied} \\
        E_{io} &= P_{io} \, chips \, T_{occupied}

    with the times of :mod:`tssl.hw_profiles.cost.timing`. :math:`T_{occupied}` is the
    latency of a sample alone on the chip.

    Parameters
    ----------
    counts
        Of this network, summed over samples.
    mapping
        From :func:`tssl.hw_profiles.map_to_cores`, for the same profile and network.

    Raises
    ------
    DataError
        When the counts belong to another network.

    Notes
    -----
    A figure that the profile does not support is absent; ``gaps`` says why. ``energy`` and
    ``latency`` are those of a sample alone on the chip: its last output leaves ``depth`` steps
    after its last input. ``throughput`` and ``step_time`` are those of a stream, in which all
    layers work at once, each on its own part of the stream. Where the chip resets only at some
    intervals, the idle steps until then belong to the stream. Relays, where paths to a layer
    differ in length, are priced like all layers.
    """
    options = options or CostOptions()
    on_chip = placed(profile, network)
    counts = relayed_counts(network, on_chip, counts)
    priced = _priced(profile, on_chip, counts, mapping, options)
    stream = _Stream.of(profile, counts.time_steps, priced)
    layout = priced.inference.layout
    frames = frames_of(network, counts)
    return CostReport(
        profile=profile.name,
        title=profile.chip.title,
        network=network.name,
        samples=counts.samples,
        time_steps=counts.time_steps,
        mapping=tuple(mapping),
        energy=tuple(priced.energy),
        latency=priced.latency,
        step_time=stream.step_time,
        throughput=stream.throughput,
        static_in_stream=stream.static,
        operating_point=profile.chip.operating_point,
        assumptions=tuple(assumptions(profile, network, counts.time_steps, io=options.io)),
        energy_model=profile.chip.energy_model,
        loads=_loads(profile, priced),
        mesh=None if profile.mesh is None else profile.mesh.sizes,
        traffic=layout.traffic if layout else None,
        gaps=tuple(priced.gaps),
        warnings=priced.timing.warnings if priced.timing else (),
        ann=tuple(_without_spikes(profile, network, mapping, options, frames)),
    )


def _priced(
    profile: Profile,
    network: ChipNetwork,
    counts: OpCounts,
    mapping: Sequence[LayerMapping],
    options: CostOptions,
) -> _Priced:
    inference = inference_of(profile, network, counts, mapping, search=options.search)
    if options.io and network.input.neuron is None:
        inference = inference._replace(input_spikes=counts.input_spikes / counts.samples)
    timed = timing_of(profile, inference)
    energy, gap = rule_of(profile).terms(profile, inference)
    gaps = [gap] if gap else []
    timing = latency = None
    if isinstance(timed, str):
        gaps.append(Gap(what="time", reason=timed))
    else:
        timing = timed
        source = "a sample alone, first input to last output"
        latency = _quantity(timing.latency, "s", _time_kind(profile), source)
    parts = [static_terms(profile, latency, inference.chips)]
    parts += [io_terms(profile, latency, inference.chips)] if options.io else []
    for terms, problem in parts:
        energy += terms
        gaps += [problem] if problem else []
    return _Priced(inference, energy, gaps, timing, latency)


class _Stream(NamedTuple):
    """What holds when samples follow one another."""

    step_time: Quantity | None = None
    throughput: Quantity | None = None
    static: Quantity | None = None

    @staticmethod
    def of(profile: Profile, time_steps: int, priced: _Priced) -> "_Stream":
        timing = priced.timing
        if timing is None:
            return _Stream()
        kind, source = _time_kind(profile), rule_of(profile).period(profile, time_steps)
        power = profile.energy.static_power_per_chip
        static = None
        if power is not None and profile.chip.energy_model == "marginal":
            static = _quantity(
                priced.inference.chips * timing.period * bounds(power),
                "J",
                weakest([kind, power.kind]),
                f"static power times the {source}",
            )
        step = timing.step
        return _Stream(
            None if step is None else _quantity(step, "s", kind, f"mean of the {source}"),
            None
            if not timing.period.all()  # nothing happened, in no time
            else _quantity(1 / timing.period[[0, 2, 1]], "1/s", kind, f"one over the {source}"),
            static,
        )


def _time_kind(profile: Profile) -> Kind:
    only = rule_of(profile).only_time
    used = [figure for name, figure in profile.time if only in (None, name)]
    return weakest(figure.kind for figure in used if isinstance(figure, Figure))


def _loads(profile: Profile, priced: _Priced) -> tuple[CoreLoad, ...]:
    """Return what each core carries; a layer's work is spread evenly over its neurons."""
    layout = priced.inference.layout
    if layout is None:
        return ()
    slots = layout.slots
    work = {layer.layer: layer for layer in priced.inference.work}
    joules: dict[str, float] = {}
    for term in priced.energy:
        if term.part == "dynamic" and term.layer is not None:
            joules[term.layer] = joules.get(term.layer, 0.0) + term.joules
    on_mesh = profile.mesh is not None
    loads = []
    for index, core in enumerate(layout.cores):
        layer = work[core.layer]
        share = len(core.neurons) / layer.neurons
        busy = core_time(profile.time, layer, share)[0].mean() if priced.timing else None
        loads.append(
            CoreLoad(
                layer=core.layer,
                neurons=len(core.neurons),
                chip=int(slots.chip[index]),
                core=int(slots.core[index]),
                column=int(slots.column[index]) if on_mesh else None,
                row=int(slots.row[index]) if on_mesh else None,
                joules=joules[core.layer] * share if core.layer in joules else None,
                seconds=None if busy is None else float(busy),
            )
        )
    return tuple(loads)


def _without_spikes(
    profile: Profile,
    network: ChipNetwork,
    mapping: Sequence[LayerMapping],
    options: CostOptions,
    frames: int,
) -> list[AnnCost]:
    """Return the network without spikes, on this chip if it can and where it is compared."""
    if not profile.has_cores:
        return [_conventional_ann(profile, network, frames)]
    found = []
    graded = profile.figures.graded_spike_bits
    if graded is not None and carries_activations(graded.value):
        found.append(_graded_ann(profile, placed(profile, network), mapping, options, frames))
    if profile.chip.ann_reference is not None:
        found.append(_conventional_ann(load_profile(profile.chip.ann_reference), network, frames))
    return found


def _graded_ann(
    profile: Profile,
    network: ChipNetwork,
    mapping: Sequence[LayerMapping],
    options: CostOptions,
    frames: int,
) -> AnnCost:
    counts = passes(network, frames)
    priced = _priced(profile, network, counts, mapping, options)
    refused = any(gap.what in ("dynamic energy", "static energy") for gap in priced.gaps)
    return AnnCost(
        profile=profile.name,
        title=profile.chip.title,
        operations=int(counts.synaptic_operations.sum()),
        energy=None if refused else _total(priced.energy),
        latency=priced.latency,
        how="one graded spike per activation, none of them zero (upper bound), one step per "
        f"layer{_each(frames)}, the same prices and cores; its accuracy was not measured",
        is_upper_bound=True,
    )


def _each(frames: int) -> str:
    return f" and frame, {frames} frames" if frames > 1 else ""


def _conventional_ann(profile: Profile, network: ChipNetwork, frames: int) -> AnnCost:
    operations = frames * network_macs(network)
    energy, time = profile.energy.mac, profile.time.mac
    priced = None
    if energy is not None:
        priced = _quantity(
            operations * bounds(energy), "J", weakest([energy.kind]), "multiply-accumulates"
        )
    timed = None
    if time is not None:
        timed = _quantity(operations * bounds(time), "s", weakest([time.kind]), "as the energy")
    return AnnCost(
        profile=profile.name,
        title=profile.chip.title,
        operations=operations,
        energy=priced,
        latency=timed,
        how=f"8-bit weights and activations, every multiply-accumulate once{_each(frames)}; its "
        "accuracy was not measured",
    )


def _total(terms: Sequence[EnergyTerm]) -> Quantity:
    values = np.array([[term.joules, term.low, term.high] for term in terms]).sum(axis=0)
    kind = weakest(term.price.kind for term in terms)
    return _quantity(values, "J", kind, "sum of all parts")


def _quantity(values: FloatArray, unit: str, kind: Kind, source: str) -> Quantity:
    value, low, high = (float(bound) for bound in values)
    return Quantity(value=value, unit=unit, kind=kind, source=source, low=low, high=high)
