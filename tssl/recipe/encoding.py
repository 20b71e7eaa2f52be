"""How a static image becomes the integers that enter a chip."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tssl.settings import Above0, Entries, Number

__all__ = ["EncodingSpec"]

_SPIKE_LIMIT = float(1 << 31)
_BIAS_LIMIT = (1 << 12) - 1
"""Of a neuron's bias, which has 13 bits on Loihi."""
_BRIGHT = 0.75
"""Share of the brightest value at which an input neuron fires at every step."""


class EncodingSpec(Entries):
    """How a static image becomes input.

    A pixel ``x`` in 0...1 becomes the integer ``round((x - mean) / std * resolution)``. As a
    graded spike, which is the same at every time step, the network trains on ``integer /
    resolution``; as the bias of an input neuron, it trains on the spikes that the neuron fires; as
    a time, on one spike. Nothing is lost at export.

    Parameters
    ----------
    input
        ``graded`` spikes, or ``neurons`` that integrate the integers without a leak, fire
        when the sum reaches a threshold, and begin again at zero. ``time`` is one spike for each
        pixel: the brightest ones come at the first step, one that is darker by one integer a step
        later, and pixels with an integer below 1 send none. ``changes`` is for sigma-delta
        networks: the integers arrive at neurons that send what changed.
    mean, std
        Normalisation in units of the full scale of a pixel.
    resolution
        Integers per unit of the normalised input. More of them leave fewer bits to the
        weights of the first layer, because the product must fit the chip's state. With input
        neurons they cost nothing. Of ``time``: steps for a unit of the normalised input.
    input_threshold
        Of input neurons, in units of the normalised input; 0.75 of the brightest when None.
    """

    input: Literal["graded", "neurons", "time", "changes"] = "graded"

    mean: Number = 0.0
    std: Above0 = 1.0
    resolution: Annotated[Number, Field(gt=0, le=4096)] = 15.0
    input_threshold: Above0 | None = None

    @property
    def brightest(self) -> float:
        """Largest value of the normalised input."""
        return (1 - self.mean) / self.std

    @property
    def quantum(self) -> float:
        """What one unit of what enters the first layer stands for in the trained network."""
        return 1 / self.resolution if self.input in ("graded", "changes") else 1.0

    @property
    def steps(self) -> int | None:
        """In how many steps single spikes come; None where there are no such."""
        return round(self.brightest * self.resolution) if self.input == "time" else None

    @property
    def firing_sum(self) -> int:
        """Sum of biases at which an input neuron fires."""
        threshold = self.input_threshold or _BRIGHT * self.brightest
        return max(1, round(threshold * self.resolution))

    @model_validator(mode="after")
    def _check_integers(self) -> "EncodingSpec":
        largest = max(abs(self.mean), abs(1 - self.mean)) / self.std * self.resolution
        if largest >= _SPIKE_LIMIT:
            raise ValueError(
                f"a pixel becomes an integer of {largest:.3g}, more than the 32 bits of a spike: "
                "use a larger std or a smaller mean or resolution"
            )
        if self.input == "neurons" and round(largest) > _BIAS_LIMIT:
            raise ValueError(
                f"a pixel becomes a bias of {largest:.5g}; input neurons take {-_BIAS_LIMIT}..."
                f"{_BIAS_LIMIT}: use a smaller resolution"
            )
        return self

    @model_validator(mode="after")
    def _check_input_neurons(self) -> "EncodingSpec":
        if self.input != "neurons" and self.input_threshold is not None:
            raise ValueError("input_threshold belongs to input = 'neurons'; leave it out")
        if self.steps is not None and self.steps < 1:
            raise ValueError(
                f"mean = {self.mean:g} and resolution = {self.resolution:g}: not even the "
                "brightest pixel would send a spike; use a smaller mean or a larger resolution"
            )
        if self.input == "neurons" and self.brightest <= 0:
            raise ValueError(f"mean = {self.mean:g}: no input neuron would fire; use one below 1")
        return self
