"""The integer step of a neuron against Python's unbounded integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tssl.chip import STATE_LIMIT, CubaNeuron, CubaState, cuba_run, cuba_step, driven_current
from tssl.errors import RangeError

EDGES = [0, 1, -1, STATE_LIMIT - 1, 1 - STATE_LIMIT]
decay = st.one_of(st.sampled_from([0, 1, 4095, 4096]), st.integers(0, 4096))
threshold = st.one_of(st.sampled_from([-1, 0, 131071, 131072]), st.integers(-(2**18), 2**18))
current_value = st.one_of(
    st.sampled_from([*EDGES, STATE_LIMIT]), st.integers(1 - STATE_LIMIT, STATE_LIMIT)
)
voltage_value = st.one_of(st.sampled_from(EDGES), st.integers(1 - STATE_LIMIT, STATE_LIMIT - 1))
activation_value = st.one_of(
    st.sampled_from([131071, 131072, 131073, -131071, -131072, -131073]),
    st.integers(-(2**25) + 1, 2**25 - 1),
    st.integers(-300, 300),
)
bias_value = st.integers(-(2**15), 2**15 - 1)


def toward_zero(x: int, decay: int) -> int:
    product = x * (4096 - decay)
    return (abs(product) // 4096) * (1 if product > 0 else -1)


def oracle(neuron: CubaNeuron, u: int, v: int, a: int, b: int = 0) -> tuple[bool, int, int]:
    """The same step for one neuron, in Python's unbounded integers."""
    u = toward_zero(u, neuron.current_decay) + 64 * a
    if u > 2**23:
        u -= 2**24
    if u <= -(2**23):
        u += 2**24
    v = toward_zero(v, neuron.voltage_decay) + u + 64 * b
    v = max(1 - 2**23, min(2**23 - 1, v))
    fired = v > 64 * neuron.threshold
    return fired, u, 0 if fired else v


def step(neuron: CubaNeuron, u: int, v: int, a: int, b: int = 0) -> tuple[bool, int, int]:
    spikes, state = cuba_step(neuron, CubaState(np.array([u]), np.array([v])), np.array([a]), b)
    return bool(spikes[0]), int(state.current[0]), int(state.potential[0])


@given(decay, decay, threshold, current_value, voltage_value, activation_value, bias_value)
def test_step_equals_python_integers(du, dv, th, u, v, a, b):
    neuron = CubaNeuron(current_decay=du, voltage_decay=dv, threshold=th)
    assert step(neuron, u, v, a, b) == oracle(neuron, u, v, a, b)


def test_many_steps_of_many_neurons_equal_python_integers(rng: np.random.Generator):
    neuron = CubaNeuron(current_decay=1365, voltage_decay=819, threshold=1000)
    activation = rng.integers(-3000, 4000, (40, 2, 5))
    bias = rng.integers(-200, 400, 5)
    run = cuba_run(neuron, activation, bias, 40)
    assert run.spikes.any()
    assert not run.spikes.all()
    for sample, index in np.ndindex(2, 5):
        u = v = 0
        for time in range(40):
            fired, u, v = oracle(
                neuron, u, v, int(activation[time, sample, index]), int(bias[index])
            )
            assert bool(run.spikes[time, sample, index]) is fired
        assert (run.state.current[sample, index], run.state.potential[sample, index]) == (u, v)


def test_neurons_that_differ_equal_python_integers(rng: np.random.Generator):
    """Each neuron beside the oracle with its own numbers."""
    decays, thresholds = rng.integers(0, 4097, (2, 6)), rng.integers(0, 1500, 6)
    neuron = CubaNeuron(
        current_decay=decays[0], voltage_decay=decays[1].tolist(), threshold=thresholds
    )
    activation, bias = rng.integers(-3000, 4000, (30, 2, 6)), rng.integers(-200, 400, 6)
    run = cuba_run(neuron, activation, bias, 30)
    assert 0 < run.spikes.sum() < run.spikes.size
    for sample, n in np.ndindex(2, 6):
        one = CubaNeuron(
            current_decay=int(decays[0, n]),
            voltage_decay=int(decays[1, n]),
            threshold=int(thresholds[n]),
        )
        u = v = 0
        for time in range(30):
            fired, u, v = oracle(one, u, v, int(activation[time, sample, n]), int(bias[n]))
            assert bool(run.spikes[time, sample, n]) is fired
        assert (run.state.current[sample, n], run.state.potential[sample, n]) == (u, v)


def test_equal_values_are_one_number():
    shared = CubaNeuron(current_decay=9, voltage_decay=8, threshold=7)
    each = CubaNeuron(current_decay=np.full(5, 9), voltage_decay=[8, 8], threshold=np.int64(7))
    assert (each, repr(each)) == (shared, repr(shared))
    assert not each.sizes


def test_values_of_each_neuron_are_checked():
    with pytest.raises(RangeError, match=r"current_decay = 4097 is outside 0\.\.4096"):
        CubaNeuron(current_decay=[0, 4097, 3], voltage_decay=0, threshold=1)
    with pytest.raises(RangeError, match=r"but of \[2, 3\] neurons"):
        CubaNeuron(current_decay=[0, 1, 3], voltage_decay=[0, 1], threshold=1)


@pytest.mark.parametrize(("activation", "fires"), [(1, False), (2, True)])
def test_voltage_at_threshold_does_not_fire(activation: int, fires: bool):
    neuron = CubaNeuron(current_decay=4096, voltage_decay=4096, threshold=1)
    assert step(neuron, 0, 0, activation) == (fires, 64 * activation, 0 if fires else 64)


def test_a_potential_one_above_the_threshold_fires():
    neuron = CubaNeuron(current_decay=4096, voltage_decay=0, threshold=10)
    assert step(neuron, 0, 640, 0) == (False, 0, 640)
    assert step(neuron, 0, 641, 0) == (True, 0, 0)


def test_a_spike_resets_the_potential_but_not_the_current():
    neuron = CubaNeuron(current_decay=0, voltage_decay=0, threshold=10)
    assert step(neuron, 640, 640, 0) == (True, 640, 0)


@pytest.mark.parametrize(
    ("activation", "current"),
    [
        (131071, STATE_LIMIT - 64),
        (131072, STATE_LIMIT),  # the upper end belongs to the range
        (131073, 64 - STATE_LIMIT),
        (-131071, 64 - STATE_LIMIT),
        (-131072, STATE_LIMIT),  # the lower end does not
        (-131073, STATE_LIMIT - 64),
        (2**19 - 1, STATE_LIMIT + (2**23 - 64)),  # one wrap only: out of range stays out
    ],
)
def test_the_current_wraps_once(activation: int, current: int):
    neuron = CubaNeuron(current_decay=0, voltage_decay=4096, threshold=131072)
    assert step(neuron, 0, 0, activation)[1] == current


@pytest.mark.parametrize(("sign", "fires"), [(1, True), (-1, False)])
def test_the_potential_saturates(sign: int, fires: bool):
    neuron = CubaNeuron(current_decay=0, voltage_decay=0, threshold=131071)
    full = sign * (STATE_LIMIT - 1)
    assert step(neuron, full, full, 0) == (fires, full, 0 if fires else full)


def test_thresholds_beyond_the_range_never_or_always_fire():
    full = STATE_LIMIT - 1
    never = CubaNeuron(current_decay=0, voltage_decay=0, threshold=131072)
    always = CubaNeuron(current_decay=0, voltage_decay=0, threshold=-1)
    assert step(never, full, full, 0) == (False, full, full)
    assert step(always, 0, 0, 0) == (True, 0, 0)


def test_decay_rounds_toward_zero_on_both_sides():
    neuron = CubaNeuron(current_decay=1, voltage_decay=1, threshold=131072)
    assert step(neuron, 0, 1, 0) == step(neuron, 0, -1, 0) == (False, 0, 0)
    assert step(neuron, 0, 4096, 0)[2] == 4095
    assert step(neuron, 0, -4097, 0)[2] == -4095


def test_the_argument_is_left_unchanged(neuron: CubaNeuron):
    state = CubaState(np.array([100]), np.array([5000]))
    spikes, _ = cuba_step(neuron, state, np.array([0]))
    assert spikes[0]
    assert (state.current[0], state.potential[0]) == (100, 5000)


def test_driven_current_is_the_current_before_it_wraps():
    neuron = CubaNeuron(current_decay=2048, voltage_decay=0, threshold=1)
    state = CubaState(np.array([-STATE_LIMIT + 1]), np.array([0]))
    assert driven_current(neuron, state, np.array([-200_000]))[0] == -4194303 - 64 * 200_000


def test_a_constant_activation_may_be_given_once(neuron: CubaNeuron):
    once = np.array([[[20, 50]]])
    short = cuba_run(neuron, once, 3, 12)
    long = cuba_run(neuron, np.repeat(once, 12, axis=0), np.array([3, 3]), 12)
    assert short.spikes.shape == (12, 1, 2)
    assert short.spikes.any()
    assert np.array_equal(short.spikes, long.spikes)
    assert np.array_equal(short.state, long.state)


def test_biases_may_differ_by_sample():
    neuron = CubaNeuron(current_decay=4096, voltage_decay=4096, threshold=5)
    run = cuba_run(neuron, np.zeros((1, 2, 2), np.int64), np.array([[5, 6], [7, -8]]), 3)
    assert run.spikes.sum(axis=0).tolist() == [[0, 3], [3, 0]]


@pytest.mark.parametrize("name", ["current_decay", "voltage_decay"])
@pytest.mark.parametrize("value", [-1, 4097])
def test_decays_out_of_range_are_refused(name: str, value: int):
    fields = {"current_decay": 0, "voltage_decay": 0, "threshold": 1, name: value}
    with pytest.raises(RangeError, match=rf"{name} = {value} is outside 0\.\.4096"):
        CubaNeuron(**fields)


def test_the_firing_level_is_there_where_all_neurons_share_a_threshold():
    shared = CubaNeuron(current_decay=(1, 2), voltage_decay=3, threshold=5)
    assert shared.firing_level == 5 << 6
    each = CubaNeuron(current_decay=1, voltage_decay=3, threshold=(5, 6))
    assert each.firing_level is None
