import numpy as np
import pytest

from tests.lava_runtime.networks import dense_net, recurrent_net
from tssl.errors import BackendUnavailableError
from tssl.lava_runtime.loihi2 import Loihi2
from tssl.lava_runtime.process import period


@pytest.mark.lava
def test_absence_is_said_in_one_line(rng):
    with pytest.raises(BackendUnavailableError, match="lava-loihi extension") as caught:
        list(Loihi2().run(dense_net(rng), np.zeros((1, 1, 9), int), 5, lambda _: None))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("steps", "expected"), [(1, 1), (2, 2), (5, 8), (8, 8), (9, 16)])
def test_samples_start_at_powers_of_two(rng, steps, expected):
    assert period(dense_net(rng), steps, hardware=True) == expected
    assert period(dense_net(rng), steps, hardware=False) == steps


def test_spikes_under_way_need_separate_samples(rng):
    network = recurrent_net(rng)
    assert period(network, 5, hardware=False) == 5 + len(network.layers)
