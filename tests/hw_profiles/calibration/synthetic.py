"""Boards that never were: networks that differ, and what a chip of known prices would measure.

``python -m tests.hw_profiles.calibration.synthetic`` prints the recovery table of
``docs/calibration.md``, and with a number how the intervals do on so many boards.
"""

import sys
from pathlib import Path

import numpy as np

from tests.hw_profiles.networks import counts, dense
from tssl.hw_profiles import estimate, load_profile, map_to_cores
from tssl.hw_profiles.calibration.learn import learn
from tssl.hw_profiles.calibration.log import Measured
from tssl.hw_profiles.profile.tables import Profile

TRUE = {  # factors to the prices of loihi2
    "energy.synaptic_operation": 0.7,
    "energy.neuron_update_active": 2.2,
    "energy.neuron_update_inactive": 1.4,
    "energy.static_power_per_chip": 1.3,
    "time.synaptic_operation": 0.8,
    "time.neuron_update_active": 3.0,
    "time.neuron_update_inactive": 2.0,
    "time.barrier": 6.0,
}
STEPS = 8
SHAPES = (
    (16, 2000, 500), (64, 3000, 10), (1000, 800, 100), (40, 60, 10), (784, 600, 300, 10),
    (200, 900, 300), (16, 6000, 20), (16, 16, 4), (600, 600, 600), (2000, 200, 10),
    (30, 4000, 40), (784, 128, 64, 10),
)  # fmt: skip


def altered(profile: Profile, factors: dict[str, float]) -> Profile:
    """Return a profile with figures multiplied, without bands."""
    tables = profile.model_dump(by_alias=True, exclude_none=True)
    for path, factor in factors.items():
        section, key = path.split(".")
        figure = tables[section][key]
        tables[section][key] = {
            **{name: figure[name] for name in ("unit", "kind", "source")},
            "value": figure["value"] * factor,
        }
    made = Profile.model_validate(tables)
    made._name = profile.name
    return made


def workloads(rng: np.random.Generator, shapes=SHAPES):
    """Return networks with counts: every one with rates of its own, from silence to noise."""
    found = []
    for sizes in shapes:
        network = dense(*sizes)
        share = 10 ** rng.uniform(-2.5, -0.3, len(sizes))
        active = 10 ** rng.uniform(-2, 0, len(sizes))
        neurons = np.array([layer.neurons for layer in network.layers])
        spikes = (np.array(sizes) * share).astype(int)
        done = counts(
            network,
            operations=spikes[:-1] * neurons,
            active=np.minimum(neurons, spikes[1:] + (neurons * active[1:]).astype(int)),
            spikes=spikes[1:],
            time_steps=STEPS,
        )
        found.append((network, done))
    return found


def measured(truth: Profile, work, rng: np.random.Generator, noise: float, *, static=True):
    """Return what a board with these prices shows, each number off by the noise.

    Powers and times come from :func:`tssl.hw_profiles.estimate`, not from the code that fits.
    """
    runs = []
    for number, (network, done) in enumerate(work):
        costs = estimate(truth, network, done, map_to_cores(truth, network))
        step = costs.step_time.value
        dynamic = costs.by_part["dynamic"].value / (STEPS * step)
        rest = truth.energy.static_power_per_chip.value * costs.chips
        off = 1 + noise * rng.standard_normal(3)
        each = Measured(
            where=f"run {number}",
            result=Path(f"run{number}"),
            digest=network.digest,
            watts=(rest + dynamic) * off[0],
            static=rest * off[1] if static else None,
            seconds=step * off[2],
        )
        runs.append((each, network, done))
    return runs


def recovered(seed: int, noise: float = 0.02):
    """Return the truth and what was learnt, for random networks and random noise."""
    rng = np.random.default_rng(seed)
    base = load_profile("loihi2")
    truth = altered(base, TRUE)
    runs = measured(truth, workloads(rng), rng, noise)
    return truth, learn(base, runs, "synthetic")


def figure_of(profile: Profile, path: str):
    section, key = path.split(".")
    return getattr(getattr(profile, section), key)


def table(seed: int = 0, noise: float = 0.02) -> str:
    """Return the recovery table of one board."""
    truth, learnt = recovered(seed, noise)
    lines = ["| price | base | true | fitted | 95 % interval | how |", "|---|---|---|---|---|---|"]
    for price in learnt.prices:
        true, fitted, band = figure_of(truth, price.key), "", ""
        if price.figure is not None:
            quantity = price.figure.quantity
            fitted, band = f"{quantity.value:.3g}", f"{quantity.low:.3g} to {quantity.high:.3g}"
        lines.append(
            f"| `{price.key}` | {price.base.value:.3g} {price.base.unit} | {true.value:.3g} | "
            f"{fitted} | {band} | {price.how} |"
        )
    return "\n".join(lines)


def coverage(boards: int) -> str:
    """Return how often intervals hold the true price, and their median half width, by price."""
    inside, widths = ({key: [] for key in TRUE} for _ in range(2))
    for seed in range(boards):
        truth, learnt = recovered(seed)
        for price in learnt.prices:
            if price.how == "fitted" and price.key in TRUE:
                band, true = price.figure.quantity, figure_of(truth, price.key).value
                inside[price.key].append(band.low <= true <= band.high)
                widths[price.key].append((band.high - band.low) / 2 / true)
    lines = [
        f"{key}: {np.mean(inside[key]):.0%} of {len(inside[key])}, "
        f"half width {np.median(widths[key]):.0%}"
        for key in TRUE
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write((coverage(int(sys.argv[1])) if sys.argv[1:] else table()) + "\n")
