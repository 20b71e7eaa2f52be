"""A hardware profile: what a TOML file may say of a chip, table by table."""

from typing import Literal

from pydantic import Field, PrivateAttr, model_validator

from tssl.chip import ChipLimits
from tssl.errors import TargetError
from tssl.hw_profiles.profile import figure as units
from tssl.hw_profiles.profile.executions import EXECUTIONS, Execution, ExecutionName
from tssl.hw_profiles.profile.figure import Figure, Section

__all__ = ["Chip", "Energy", "Limits", "Mesh", "Profile", "Time"]

_ONE_LINE = r"^[^\x00-\x1f\x7f]+$"


class Chip(Section):
    """Who makes it and how it is used.

    Parameters
    ----------
    operating_point
        Voltage, mode and number of chips that the prices stand for, in words.
    energy_model
        "marginal": prices add up; "all_in": the price of a synaptic operation (or of a
        multiply-accumulate) already contains everything else, so all other prices must be zero.
    execution
        What a time step is. "barrier": as long as the busiest core works; "tick": fixed;
        "asynchronous": there is none, events are served as they come; "conventional": a
        processor that computes layer by layer.
    neuron
        The richest neuron it offers: "programmable" (CUBA, and sigma-delta ones that send
        values), "cuba" (a synaptic current and a leaky membrane potential), "leaky",
        "non-leaky", "stateless", or "any" for software.
    reset
        What a spike does to the membrane potential, on the chip.
    reset_interval
        Which intervals between resets of the whole network the chip offers, in time steps.
    arithmetic
        "loihi" when its neurons compute the integers of Loihi; otherwise what they compute, in
        words; None when nobody says.
    decay
        How states decay where the arithmetic is not Loihi's: by halves, quarters... ("bit shift"),
        in "floating point" or "fixed point"; None when nobody says.
    cores
        "one layer each", or "shared" by all layers.
    ann_reference
        Shipped profile on which the same network is priced as an 8-bit network without spikes.
    """

    title: str = Field(pattern=_ONE_LINE)
    vendor: str
    description: str
    operating_point: str
    energy_model: Literal["marginal", "all_in"]
    execution: ExecutionName
    neuron: Literal["programmable", "cuba", "leaky", "non-leaky", "stateless", "any"] = "cuba"
    reset: Literal["zero", "subtract", "any"] = "zero"
    reset_interval: Literal["any", "power of two"] = "any"
    cores: Literal["one layer each", "shared"] = "one layer each"
    ann_reference: str | None = None
    arithmetic: str | None = Field(default=None, pattern=_ONE_LINE)
    decay: Literal["bit shift", "floating point", "fixed point"] | None = None

    def steps_between_resets(self, time_steps: int) -> int:
        """Return the shortest interval on offer that holds a sample of so many steps."""
        return time_steps if self.reset_interval == "any" else 1 << (time_steps - 1).bit_length()


class Limits(Section):
    """What the fields, a core and the chip hold; what is not given is not checked.

    Parameters
    ----------
    state_bits
        Of a membrane potential, its sign included.
    weight_exponent
        Largest power of two by which the only weight of a convolution can be multiplied.
    synapse_overhead_bits
        Synaptic memory that a dense synapse takes beyond its weight.
    output_axons_per_core
        Entries for pairs of a neuron and a core that it sends to.
    neuron_groups_per_core
        Kinds of neurons that a core can hold.
    fan_in_per_neuron, fan_out_per_neuron
        Synapses with a non-zero weight.
    weight_levels_per_neuron
        Different non-zero weights among the inputs of one neuron.
    kernel_size, map_size, channels
        Of a convolution: the side of its kernel, the side of its output map, its channels.
    """

    weight_bits: units.Bits | None = None
    weight_exponent: units.Bits | None = None
    threshold_bits: units.Bits | None = None
    state_bits: units.Bits | None = None
    graded_spike_bits: units.Bits | None = None
    max_delay: units.TimeSteps | None = None
    chips: units.Chips | None = None
    cores_per_chip: units.Cores | None = None
    neurons_per_core: units.Neurons | None = None
    synapse_words_per_core: units.Words | None = None
    synapse_overhead_bits: units.RealBits | None = None
    input_axons_per_core: units.Axons | None = None
    output_axons_per_core: units.Axons | None = None
    neuron_groups_per_core: units.Groups | None = None
    network_inputs: units.Neurons | None = None
    network_outputs: units.Neurons | None = None
    fan_in_per_neuron: units.Synapses | None = None
    fan_out_per_neuron: units.Synapses | None = None
    weight_levels_per_neuron: units.Levels | None = None
    kernel_size: units.Pixels | None = None
    map_size: units.Pixels | None = None
    channels: units.Channels | None = None

    @model_validator(mode="after")
    def _check_weights(self) -> "Limits":
        if self.weight_bits is not None and self.weight_bits.value < 1:
            raise ValueError(f"weight_bits = {self.weight_bits.value}; at least 1 is expected")
        return self


class Mesh(Section):
    """The grid of tiles on a chip, each with a router and some cores."""

    columns: units.Tiles
    rows: units.Tiles
    cores_per_tile: units.Cores

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Columns, rows and cores per tile."""
        return int(self.columns.value), int(self.rows.value), int(self.cores_per_tile.value)


class Energy(Section):
    """What is paid per operation, and all the time.

    Parameters
    ----------
    mac
        Of a multiply-accumulate of 8 bits on a conventional device.
    neuron_update_programmed
        Of a neuron that is a program, as sigma-delta neurons are, whether or not a message reaches
        it; without it the two prices above hold for these neurons as well.
    spike_within_tile
        Of a spike that was fired.
    message
        Of a spike on its way to one core; a spike to three cores is three messages.
    clock_cycle
        Of a cycle of the clock, whether there is work or not.
    io_power_per_chip
        Of input, output and the managing processors; priced only on request.
    """

    synaptic_operation: units.Joules | None = None
    mac: units.Joules | None = None
    neuron_update_active: units.Joules | None = None
    neuron_update_inactive: units.Joules | None = None
    neuron_update_programmed: units.Joules | None = None
    spike_within_tile: units.Joules | None = None
    message: units.Joules | None = None
    hop_east_west: units.Joules | None = None
    hop_north_south: units.Joules | None = None
    chip_crossing: units.Joules | None = None
    static_power_per_chip: units.Watts | None = None
    clock_cycle: units.Joules | None = None
    io_power_per_chip: units.Watts | None = None


class Time(Section):
    """How long operations take, on one core.

    Parameters
    ----------
    neuron_update_programmed
        Of a neuron that is a program; see :class:`Energy`.
    spike_out, message_out, message_in
        Of a spike that is fired, and of each of its messages at the sender and the receiver.
    barrier_several_chips
        Takes the place of ``barrier`` when the network lies on more than one chip.
    barrier_rule
        "added": the barrier begins when the slowest core is done; "folded": it runs
        beside the work, and only the longer of both counts.
    layer
        That a spike needs through an idle layer of an asynchronous chip.
    input_message
        Of one input spike from the host; it counts only when input and output are priced.
    """

    synaptic_operation: units.Seconds | None = None
    mac: units.Seconds | None = None
    neuron_update_active: units.Seconds | None = None
    neuron_update_inactive: units.Seconds | None = None
    neuron_update_programmed: units.Seconds | None = None
    spike_out: units.Seconds | None = None
    message_out: units.Seconds | None = None
    message_in: units.Seconds | None = None
    barrier: units.Seconds | None = None
    barrier_several_chips: units.Seconds | None = None
    minimum_step: units.Seconds | None = None
    tick: units.Seconds | None = None
    layer: units.Seconds | None = None
    input_message: units.Seconds | None = None
    clock: units.Hertz | None = None
    barrier_rule: Literal["added", "folded"] | None = None


class Profile(Section):
    """A chip as the cost model sees it; ``name`` is the name of its file.

    Parameters
    ----------
    quoted
        Figures that somebody gives for the whole chip or a workload; shown, never used.
    """

    chip: Chip
    figures: Limits = Field(alias="limits", default=Limits())
    mesh: Mesh | None = None
    energy: Energy = Energy()
    time: Time = Time()
    quoted: dict[str, Figure] = Field(default_factory=dict)
    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Under which ``load_profile`` finds it."""
        return self._name

    @property
    def execution(self) -> Execution:
        """What its kind of execution asks of a profile."""
        return EXECUTIONS[self.chip.execution]

    @property
    def has_cores(self) -> bool:
        """Whether layers are mapped to cores of neurons; a conventional processor has none."""
        return self.execution.has_cores

    @property
    def chips(self) -> int:
        """Chips of the system."""
        return int(self.figures.chips.value) if self.figures.chips else 1

    @property
    def limits(self) -> ChipLimits:
        """Widths of the fields that an exported network must fit.

        Raises
        ------
        TargetError
            When the profile does not give them, or the chip has no neuron of that kind.
        """
        values: dict[str, int] = {}
        for name in ("weight_bits", "threshold_bits", "graded_spike_bits", "max_delay"):
            figure = getattr(self.figures, name)
            if figure is None:
                raise TargetError(
                    f"{self.chip.title}: its profile gives no limits.{name}, so nothing can be "
                    "exported for it; export for loihi2 and give the result to `tssl report`"
                )
            values[name] = int(figure.value)
        if self.chip.neuron not in ("programmable", "cuba", "any") or self.chip.reset == "subtract":
            raise TargetError(
                f"{self.chip.title}: has no neuron with a synaptic current and a reset to zero, "
                "so nothing can be exported for it; export for loihi2"
            )
        if self.figures.weight_exponent is not None:
            values["weight_exponent"] = int(self.figures.weight_exponent.value)
        return ChipLimits(**values)

    @property
    def is_target(self) -> bool:
        """Whether networks can be exported for it."""
        try:
            return bool(self.limits)
        except TargetError:
            return False

    @model_validator(mode="after")
    def _check_energy_model(self) -> "Profile":
        if self.chip.energy_model == "marginal":
            return self
        main = self.execution.main_price
        for name, figure in self.energy:
            if name != main and isinstance(figure, Figure) and figure.value:
                raise ValueError(
                    f"chip.energy_model = 'all_in': energy.{main} already contains energy.{name}; "
                    "set its value to 0 or leave it out"
                )
        return self

    @model_validator(mode="after")
    def _check_execution(self) -> "Profile":
        for path in self.execution.needed:
            table, key = path.split(".")
            section = self.figures if table == "limits" else self.time
            if getattr(section, key) is None:
                raise ValueError(f"{path} is missing; chip.execution = {self.chip.execution!r} "
                                 "needs it")  # fmt: skip
        lasting = self.execution.lasting
        figures = [getattr(self.time, key) for key in lasting]
        if all(figure is not None and not figure.quantity.low for figure in figures):
            raise ValueError(_cannot_be_zero(lasting))
        return self


def _cannot_be_zero(times: tuple[str, ...]) -> str:
    if len(times) > 1:
        return f"time: {' and '.join(times)} cannot both be 0: a step takes time"
    return f"time.{times[0]} cannot be 0, nor its low end: a sample takes time"
