"""Shipped profiles are complete and honest; broken ones are refused by the key's name."""

from pathlib import Path

import pytest

import tssl.hw_profiles
from tssl.costs import KINDS
from tssl.errors import ConfigError, TargetError
from tssl.hw_profiles import Figure, load_profile, profile_names

FOLDER = Path(tssl.hw_profiles.__file__).parent
LOIHI2 = (FOLDER / "loihi2.toml").read_text(encoding="utf-8")

SHIPPED = (
    "akida", "cmos45", "cortex-m", "datacentre-gpu", "desktop-cpu", "hala-point", "jetson-orin",
    "kapoho-point", "loihi1", "loihi2", "odin", "speck", "spinnaker1", "spinnaker2", "truenorth",
    "xylo",
)  # fmt: skip


DAVIES = {"neuron_update_inactive": 52e-12}
"""Prices of Loihi 2 that are Loihi 1's as simulated, where Loihi 1 has a better one."""


def figures(profile):
    for name, section in (
        ("limits", profile.figures),
        ("energy", profile.energy),
        ("time", profile.time),
        ("mesh", profile.mesh or ()),
        ("quoted", profile.quoted.items()),
    ):
        for key, figure in section:
            if isinstance(figure, Figure):
                yield name, key, figure


def test_profiles_are_shipped():
    assert profile_names() == SHIPPED


@pytest.mark.parametrize("name", profile_names())
def test_every_figure_has_source_kind_unit_and_a_sound_band(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile.chip.operating_point
    seen = list(figures(profile))
    assert seen
    for _, key, figure in seen:
        assert figure.unit, key
        assert figure.kind in KINDS
        assert len(figure.source) > 10, key
        assert figure.quantity.low <= figure.value <= figure.quantity.high


@pytest.mark.parametrize("name", profile_names())
def test_all_in_prices_stand_alone(name):
    profile = load_profile(name)
    if profile.chip.energy_model == "all_in":
        priced = {key for key, figure in profile.energy if isinstance(figure, Figure)}
        assert priced <= {"mac"}


def test_what_nobody_publishes_is_missing():
    for name in ("speck", "xylo", "akida"):
        assert load_profile(name).energy.synaptic_operation is None
    assert load_profile("cortex-m").energy.mac is None
    assert load_profile("loihi2").energy.io_power_per_chip is None


def test_loihi_systems_share_the_prices_of_one_loihi2():
    one = load_profile("loihi2")
    for name, chips, cores in (("kapoho-point", 8, 128), ("hala-point", 1152, 122)):
        many = load_profile(name)
        assert (many.chips, many.figures.cores_per_chip.value) == (chips, cores)
        for key, figure in one.energy:
            if figure is not None:
                assert getattr(many.energy, key).value == figure.value
        assert many.time.synaptic_operation == one.time.synaptic_operation


def test_loihi2_energies_are_estimates_with_the_band_of_the_facts():
    ones, twos = load_profile("loihi1").energy, load_profile("loihi2").energy
    for key, figure in twos:
        if figure is None:
            continue
        assert figure.kind == "estimate"
        if key not in ("static_power_per_chip", "neuron_update_programmed"):
            assert figure.value == pytest.approx(DAVIES.get(key, getattr(ones, key).value))
            assert figure.low == pytest.approx(0.5 * figure.value)
            assert figure.high == pytest.approx(2.5 * figure.value)
    assert (twos.static_power_per_chip.low, twos.static_power_per_chip.high) == (0.23, 0.54)


def test_a_programmed_neuron_costs_ten_operations():
    """The weights of Intel's proxy for sigma-delta networks."""
    profile = load_profile("loihi2")
    for prices in (profile.energy, profile.time):
        ten = 10 * prices.synaptic_operation.value
        assert prices.neuron_update_programmed.value == pytest.approx(ten)
        assert prices.neuron_update_programmed.low <= prices.neuron_update_active.value


def test_limits_are_those_of_the_chip():
    assert load_profile("loihi1").limits.graded_spike_bits == 0
    limits = load_profile("loihi2").limits
    assert (limits.largest_weight, limits.largest_threshold) == (254, 131071)
    assert limits.largest_graded_spike == 2**31 - 1


def test_a_profile_is_found_by_path_and_named_after_its_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(LOIHI2, encoding="utf-8")
    assert load_profile(path).name == "mine"
    assert load_profile(str(path)).figures == load_profile("loihi2").figures


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[energy.spike_within_tile]", "[energy.spike]", ["energy.spike", "spike_within_tile"]),
        ("barrier_rule", "barier_rule", ["time.barier_rule", "barrier_rule"]),
        ("weight_bits =", "weight_bitz =", ["limits.weight_bi", "threshold_bits"]),
        ('unit = "J"', 'unit = "pJ"', ["energy.synaptic_operation", "'pJ'", "'J'"]),
        ('kind = "estimate"', 'kind = "guess"', ["energy.synaptic_operation.kind", "guess"]),
        ("value = 23.6e-12", 'value = "23.6e-12"', ["energy.synaptic_operation.value"]),
        ("value = 23.6e-12", "value = -1.0", ["energy.synaptic_operation.value", "-1.0"]),
        ("value = 23.6e-12", "value = inf", ["energy.synaptic_operation.value"]),
        ("value = 23.6e-12", "value = 1e-15", ["energy.synaptic_operation", "low"]),
        ("value = 23.6e-12\n", "", ["energy.synaptic_operation.value", "is missing"]),
        ("value = 8,", "value = 8.5,", ["limits.weight_bits", "whole"]),
        ('"folded"', '"sometimes"', ["time.barrier_rule", "sometimes", "folded"]),
        ('"marginal"', '"all_in"', ["energy.neuron_update_active", "all_in"]),
        ("[chip]", "[chip", ["TOML"]),
        ("[chip]", "[[chip]]", ["chip: must be a table"]),
        ("[chip]", "[io]\nwatts = 1\n[chip]", ["io", "chip, limits, mesh, energy, time, quoted"]),
        ('source = "one Oheo', 'sauce = "one Oheo', ["sauce", "value, unit, kind, source"]),
        ('execution = "barrier"', 'execution = "clock"', ["chip.execution", "barrier", "clock"]),
        ('execution = "barrier"\n', "", ["chip.execution", "is missing"]),
        ('"jetson-orin"', '"abacus"', ["chip.ann_reference", "abacus", "jetson-orin"]),
        ("[time.barrier]", "[time.tick]", ["time.barrier is missing", "'barrier'"]),
        ("neurons_per_core = {", "chips = {", ["limits.chips", "'neurons'", "'chips'"]),
        ("[quoted.proxy_unit]", "[quoted]\nproxy = 3\n[quoted.x]", ["quoted.proxy", "table"]),
        ("[energy.spike_within_tile]", "[energy.spike_within_tile.more]", ["spike_within_tile"]),
        ("value = 23.6e-12", "value = 23.6e-12\nnote = 1", ["note", "value, unit, kind"]),
    ],
)
def test_a_bad_profile_is_refused_with_the_keys_name(tmp_path, old, new, words):
    path = tmp_path / "bad.toml"
    assert old in LOIHI2
    path.write_text(LOIHI2.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message


def test_a_step_must_take_time(tmp_path):
    path = tmp_path / "timeless.toml"
    path.write_text(LOIHI2.replace("low = 66.7e-9", "low = 0"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"time: barrier and minimum_step"):
        load_profile(path)


@pytest.mark.parametrize("name", ["loihi3", "../loihi1", "", "missing.toml"])
def test_an_unknown_profile_is_refused(name):
    with pytest.raises(ConfigError, match=r"loihi1, loihi2|missing\.toml"):
        load_profile(name)


def test_a_blank_or_missing_source_is_refused(tmp_path):
    path = tmp_path / "bad.toml"
    line = next(line for line in LOIHI2.splitlines() if line.startswith("source = "))
    path.write_text(LOIHI2.replace(f"{line}\n", "", 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"source: is missing"):
        load_profile(path)
    path.write_text(LOIHI2.replace(line, 'source = "  "', 1), encoding="utf-8")
    with pytest.raises(ConfigError, match="source is blank"):
        load_profile(path)


def test_nothing_is_exported_for_a_chip_without_such_neurons():
    for name, words in (
        ("xylo", "max_delay"),
        ("odin", "threshold_bits"),
        ("truenorth", "no neuron with a synaptic current"),
        ("cortex-m", "weight_bits"),
    ):
        with pytest.raises(TargetError, match=words) as caught:
            _ = load_profile(name).limits
        assert caught.value.exit_code == 3
