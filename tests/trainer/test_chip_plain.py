"""The chip's integers where there are no compiled loops: equal to the engine's, on any device.

Without a GPU, the code for one runs on the CPU.
"""

import numpy as np
import pytest
import torch

from tests.trainer import chip_exact
from tests.trainer import test_chip_forward as forward_tests
from tests.trainer import test_chip_graphs as graph_tests
from tssl.engine import run_chunk
from tssl.trainer import chip_plain
from tssl.trainer.network import Forward

ON_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chip_plain, "lacks_loops", lambda _: True)


@pytest.mark.parametrize("frames", [1, 6])
@pytest.mark.parametrize("name", forward_tests.NETWORKS)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=ON_GPU)])
def test_every_spike_and_potential_is_the_engines(
    rng: np.random.Generator, name: str, frames: int, device: str
) -> None:
    _, chip, integers, network = forward_tests.planned(
        rng, forward_tests.NETWORKS[name], frames, tau_s=2.3, tau_m=7.7
    )
    inputs = forward_tests.inputs_of(integers).to(device)
    forward = network.to(device)(inputs, record_all=True)
    recording = run_chunk(chip, integers.reshape(frames, 7, -1), 6)
    for layer, spikes in recording.trains.items():
        assert 0 < spikes.mean() < 1
        ours = forward.traces[layer].spikes.flatten(2).cpu().numpy()
        assert np.array_equal(ours, spikes), layer
        assert int(forward.activity[layer].spikes) == spikes.sum()
    last = forward.output.voltage[-1] * (1 - forward.output.spikes[-1])
    assert np.array_equal(last.detach().cpu().numpy(), recording.output_potential)


def test_a_current_that_wraps_wraps(rng: np.random.Generator) -> None:
    forward_tests.test_a_current_that_wraps_wraps(rng)


@pytest.mark.parametrize("frames", [1, 6])
@pytest.mark.parametrize("name", forward_tests.NETWORKS)
def test_the_backward_pass_is_the_rule_on_the_chips_record(
    rng: np.random.Generator, name: str, frames: int
) -> None:
    forward_tests.test_the_backward_pass_is_the_rule_on_the_chips_record(rng, name, frames)


@pytest.mark.parametrize("steps", [1, graph_tests.STEPS])
@pytest.mark.parametrize("name", graph_tests.NETWORKS)
def test_graphs(rng: np.random.Generator, name: str, steps: int) -> None:
    """Branches, recurrence, biases, norms and leaks: integers and errors."""
    layers = graph_tests.NETWORKS[name]
    train = graph_tests.train_of(rng, steps)
    run = chip_exact.planned(graph_tests.made(layers, rng, "tssl-bp"), train, graph_tests.SPAN)
    graph_tests.assert_exact(run, train)
    inputs = chip_exact.inputs_of(run.trained, train)
    forward: Forward = run.network.train()(inputs, record_all=True)
    coming = torch.randn(forward.output.psp.shape, generator=torch.Generator().manual_seed(0))
    forward.output.psp.backward(coming)
    for each, theirs in chip_exact.gradients(run, forward, inputs, coming).items():
        ours = run.network.weights[each].grad
        if ours is not None:
            scale = float(theirs.abs().max())
            torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-5 * scale)
