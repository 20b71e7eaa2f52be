"""Energy and time per inference: counted operations times the figures of a profile."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.chip import INPUT, ChipNetwork
from tssl.costs import CostReport, EnergyTerm, Kind, LayerMapping, Quantity, weakest
from tssl.errors import DataError
from tssl.hw_profiles.assumptions import assumptions
from tssl.hw_profiles.profile import Figure, Profile, Time
from tssl.results import OpCounts

FloatArray = NDArray[np.float64]


class _Work(NamedTuple):
    """What one layer does per inference, every array ``(time,)``."""

    layer: str
    depth: int
    """Steps after which the input reaches it."""
    cores: int
    operations: FloatArray
    active: FloatArray
    inactive: FloatArray
    spikes: FloatArray


def estimate(
    profile: Profile,
    network: ChipNetwork,
    counts: OpCounts,
    mapping: Sequence[LayerMapping],
) -> CostReport:
    r"""Return what one inference costs.

    .. math::
        E_{dyn} &= \sum_{l,t} S e_{syn} + U_{act} e_{act} + U_{inact} e_{inact} + K e_{spike} \\
        T_t &= \max_l \frac{\max(S\,t_{syn},\; U_{act} t_{act} + U_{inact} t_{inact})}{cores_l} \\
        E_{stat} &= P_{static} \sum_{t=1}^{T + depth} T_t

    with the barrier added to :math:`T_t` or, beside the minimal step, within its maximum.

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
    ``energy`` and ``latency`` are those of a sample alone on the chip: its last output
    leaves ``depth`` steps after its last input. ``throughput`` and ``step_time`` are those
    of a stream, in which all layers work at once, each on its own part of the stream. Where
    the chip resets only at some intervals, the idle steps until then belong to the stream.
    """
    work = _work(network, counts, mapping)
    interval = profile.chip.steps_between_resets(counts.time_steps)
    alone, stream = _latency(profile.time, work), _period(profile.time, work, interval)
    kind = weakest(figure.kind for _, figure in profile.time if isinstance(figure, Figure))
    static_power = profile.energy.static_power_per_chip
    latency = _quantity(alone, "s", kind, "sum of all steps of a sample alone on the chip")
    source = f"{interval} steps of a sample in a stream, all layers at work"
    if interval != counts.time_steps:
        source += f", {interval - counts.time_steps} of them idle until the reset"
    return CostReport(
        profile=profile.name,
        title=profile.chip.title,
        network=network.name,
        samples=counts.samples,
        time_steps=counts.time_steps,
        mapping=tuple(mapping),
        energy=(*_dynamic(profile, work), _static(static_power, latency)),
        latency=latency,
        step_time=_quantity(stream / interval, "s", kind, f"mean of the {source}"),
        throughput=_quantity(
            1 / stream[[0, 2, 1]], "1/s", kind, f"one over the sum of the {source}"
        ),
        static_in_stream=_quantity(
            stream * _bounds(static_power),
            "J",
            weakest([kind, static_power.kind]),
            f"static power times the {source}",
        ),
        operating_point=profile.chip.operating_point,
        assumptions=tuple(assumptions(profile, network, counts.time_steps)),
    )


def _work(network: ChipNetwork, counts: OpCounts, mapping: Sequence[LayerMapping]) -> list[_Work]:
    """Divide the counts by the samples and join them with the cores of each layer."""
    layers = tuple(layer.name for layer in network.layers)
    if counts.layers != layers or [layer.neurons for layer in network.layers] != list(
        counts.neurons
    ):
        raise DataError(
            f"the result counts the layers {', '.join(counts.layers)}, but network "
            f"{network.name} has {', '.join(layers)}; run this network first"
        )
    cores = {entry.layer: entry.cores for entry in mapping}
    depth = {INPUT: 0}
    work = [] if network.input.neuron is None else [_input_work(network, counts, cores[INPUT])]
    for index, layer in enumerate(network.layers):
        depth[layer.name] = depth[layer.source] + 1
        active = counts.active_updates[index] / counts.samples
        work.append(
            _Work(
                layer=layer.name,
                depth=depth[layer.name],
                cores=cores[layer.name],
                operations=counts.synaptic_operations[index] / counts.samples,
                active=active,
                inactive=layer.neurons - active,
                spikes=counts.spikes[index] / counts.samples,
            )
        )
    return work


def _input_work(network: ChipNetwork, counts: OpCounts, cores: int) -> _Work:
    """Return the work of a block of input neurons: no synapses, active when it fires."""
    spikes = counts.input_spikes / counts.samples
    inactive = network.input.neurons - spikes
    return _Work(INPUT, 0, cores, np.zeros(len(spikes)), spikes, inactive, spikes)


def _dynamic(profile: Profile, work: list[_Work]) -> list[EnergyTerm]:
    energy = profile.energy
    terms = []
    for layer in work:
        priced = (
            ("synaptic operations", layer.operations, energy.synaptic_operation),
            ("active neuron updates", layer.active, energy.neuron_update_active),
            ("inactive neuron updates", layer.inactive, energy.neuron_update_inactive),
            ("spikes", layer.spikes, energy.spike_within_tile),
        )
        for name, amounts, figure in priced:
            price, amount = figure.quantity, float(amounts.sum())
            terms.append(
                EnergyTerm(
                    name=name,
                    layer=layer.layer,
                    part="dynamic",
                    operations=amount,
                    price=price,
                    joules=amount * price.value,
                    low=amount * price.low,
                    high=amount * price.high,
                )
            )
    return terms


def _static(power: Figure, latency: Quantity) -> EnergyTerm:
    price = power.quantity
    return EnergyTerm(
        name="static power",
        layer=None,
        part="static",
        operations=latency.value,
        price=price,
        joules=latency.value * price.value,
        low=latency.low * price.low,
        high=latency.high * price.high,
    )


def _latency(time: Time, work: list[_Work]) -> FloatArray:
    """Return the time of a sample alone on the chip: value, low, high."""
    steps = len(work[0].operations)
    slowest = np.zeros((3, steps + max(layer.depth for layer in work)))
    for layer in work:
        here = slowest[:, layer.depth : layer.depth + steps]
        np.maximum(here, _core_time(time, layer), out=here)
    return np.asarray(_step_time(time, slowest).sum(axis=1))


def _period(time: Time, work: list[_Work], interval: int) -> FloatArray:
    """Return the time between samples that follow every ``interval`` steps: value, low, high."""
    idle = np.zeros((3, interval - len(work[0].operations)))
    loads = [
        np.roll(np.hstack([_core_time(time, layer), idle]), layer.depth, axis=1) for layer in work
    ]
    return np.asarray(_step_time(time, np.max(loads, axis=0)).sum(axis=1))


def _core_time(time: Time, layer: _Work) -> FloatArray:
    """Return how long a core of the layer works in each step, ``(3, time)``."""
    synapses = np.outer(_bounds(time.synaptic_operation), layer.operations)
    updates = np.outer(_bounds(time.neuron_update_active), layer.active)
    updates += np.outer(_bounds(time.neuron_update_inactive), layer.inactive)
    return np.maximum(synapses, updates) / layer.cores


def _step_time(time: Time, slowest: FloatArray) -> FloatArray:
    """Add barrier and minimal step to the time of the slowest core, ``(3, time)``."""
    barrier = _bounds(time.barrier)[:, None]
    step = np.maximum(slowest, _bounds(time.minimum_step)[:, None])
    return step + barrier if time.barrier_rule == "added" else np.maximum(step, barrier)


def _bounds(figure: Figure) -> FloatArray:
    quantity = figure.quantity
    return np.array([quantity.value, quantity.low, quantity.high])


def _quantity(bounds: FloatArray, unit: str, kind: Kind, source: str) -> Quantity:
    value, low, high = (float(bound) for bound in bounds)
    return Quantity(value=value, unit=unit, kind=kind, source=source, low=low, high=high)
