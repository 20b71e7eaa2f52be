"""What a chip's number fields hold. Most of the values come from a hardware profile."""

from dataclasses import dataclass

LARGEST_BIAS = (1 << 12) - 1
"""Largest magnitude of a bias that exists with both signs: its mantissa has 13 bits, with sign."""


@dataclass(frozen=True, kw_only=True)
class ChipLimits:
    """Widths of the fields that an exported network must fit.

    Parameters
    ----------
    weight_bits
        Bits of a mixed-sign weight. Eight bits hold the even numbers -256...254; this
        project uses them symmetrically.
    threshold_bits
        Bits of the threshold mantissa.
    graded_spike_bits
        Bits of a graded input spike; 0 when the chip sends only binary spikes.
    max_delay
        Largest synaptic delay in time steps.
    weight_exponent
        Largest power of two by which the only weight of a convolution can be multiplied.
    """

    weight_bits: int
    threshold_bits: int
    graded_spike_bits: int
    max_delay: int
    weight_exponent: int = 0

    @property
    def largest_weight(self) -> int:
        """Largest weight magnitude that exists with both signs."""
        return (1 << self.weight_bits) - 2

    @property
    def weight_step(self) -> int:
        """Distance between neighbouring weights: the sign takes the lowest bit."""
        return 2

    @property
    def largest_threshold(self) -> int:
        """Largest threshold mantissa."""
        return (1 << self.threshold_bits) - 1

    @property
    def largest_bias(self) -> int:
        """Largest magnitude of a bias that exists with both signs."""
        return LARGEST_BIAS

    @property
    def largest_graded_spike(self) -> int:
        """Largest magnitude of a graded, signed input spike."""
        return (1 << (self.graded_spike_bits - 1)) - 1 if self.graded_spike_bits else 0
