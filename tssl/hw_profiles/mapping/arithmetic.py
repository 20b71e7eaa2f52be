"""What a chip of other integers than Loihi's would compute differently of a network at hand."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tssl.chip import DECAY_ONE, INTEGRATOR, ChipNetwork, Neuron
from tssl.hw_profiles.profile.tables import Profile

__all__ = ["Difference", "differences"]

_SHOWN = 6
_HOW = {
    None: "in a way that is not stated",
    "bit shift": "by shifting bits",
    "floating point": "in floating point",
    "fixed point": "in fixed point of its own",
}


class Difference(NamedTuple):
    """One way in which a chip computes otherwise."""

    layers: tuple[str, ...]
    said: str
    """What it does there instead, in words that go on from the names of the layers."""

    def __str__(self) -> str:
        """Return it as a sentence."""
        names = ", ".join(self.layers[:_SHOWN])
        more = len(self.layers) - _SHOWN
        return f"{names}{f' and {more} more' if more > 0 else ''}: {self.said}."


def differences(profile: Profile, network: ChipNetwork) -> tuple[Difference, ...]:
    """Return what would differ, layer by layer; nothing where the integers are Loihi's.

    What a chip has no way to compute, or no field for, is refused by
    :func:`tssl.hw_profiles.check_limits`; so are weights that its bits cannot hold.
    """
    if profile.chip.arithmetic == "loihi":
        return ()
    neurons = list(network.groups.items())
    found = [
        *_decays(profile, [pair for pair in neurons if pair[1] != INTEGRATOR]),
        *_states(profile, neurons),
        *_delays(profile, network),
        _programs(network),
    ]
    return tuple(each for each in found if each.layers)


def _decays(profile: Profile, neurons: Sequence[tuple[str, Neuron]]) -> Iterator[Difference]:
    """Yield how states decay: rounding, and decays that do not exist."""
    fading = [(name, found) for name, neuron in neurons if (found := _partial(neuron))]
    law = profile.chip.decay
    if law == "bit shift":
        halving = {DECAY_ONE >> bits for bits in range(DECAY_ONE.bit_length())}
        other = [name for name, found in fading if found - halving]
        yield Difference(
            tuple(other),
            "states decay by other shares than a half, a quarter, an eighth..., which are the only "
            "ones that shifting bits gives",
        )
        fading = [pair for pair in fading if pair[0] not in other]
    yield Difference(
        tuple(name for name, _ in fading),
        f"states decay {_HOW[law]}, and not rounded toward zero to whole numbers",
    )


def _partial(neuron: Neuron) -> set[int]:
    """Return the decays that leave a part of a state: neither all nor nothing."""
    values = [np.unique(each).tolist() for each in neuron.decays.values()]
    return {value for each in values for value in each if 0 < value < DECAY_ONE}


def _states(profile: Profile, neurons: Sequence[tuple[str, Neuron]]) -> Iterator[Difference]:
    bits = profile.figures.state_bits
    if bits is not None:
        most = (1 << (int(bits.value) - 1)) - 1
        narrow = [name for name, each in neurons if (each.firing_level or 0) > most]
        yield Difference(
            tuple(narrow),
            f"states have {int(bits.value)} bits and must count in coarser units, as potentials "
            "here reach further before a spike",
        )


def _delays(profile: Profile, network: ChipNetwork) -> Iterator[Difference]:
    if profile.figures.max_delay is None:
        late = [layer.name for layer in network.layers if layer.longest_delay]
        yield Difference(tuple(late), "whether its synapses have delays is not stated")


def _programs(network: ChipNetwork) -> Difference:
    return Difference(
        tuple(name for name in network.groups if name in network.graded),
        "sigma-delta neurons would be software of its own; the bits that a message loses, and how "
        "sums wrap, follow from that software",
    )
