"""Products of integers of 8 bits, and layers with and without them."""

import numpy as np
import pytest
import torch

from tests.trainer import test_chip_graphs as graph_tests
from tests.trainer.chip_exact import inputs_of, planned, recording
from tssl.proof.compare import first_difference
from tssl.trainer import narrow

HERE = pytest.mark.skipif(not narrow.runs_here(), reason="needs a processor with VNNI")


@HERE
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3000, 10), (500, 784, 400), (33, 65, 129)])
def test_products_are_exact(shape: tuple[int, int, int], rng: np.random.Generator) -> None:
    samples, features, outputs = shape
    rows = rng.integers(-127, 128, (samples, features))
    weight = rng.integers(-127, 128, (outputs, features))
    weight[0], rows[0] = 127, -127  # the largest sum that there is
    ours = narrow.product(*(torch.from_numpy(each.astype(np.int8)) for each in (rows, weight)))
    assert ours.dtype == torch.int32
    assert np.array_equal(ours.numpy(), rows @ weight.T)


@HERE
@pytest.mark.parametrize("steps", [1, graph_tests.STEPS])
@pytest.mark.parametrize("name", graph_tests.NETWORKS)
def test_layers_do_the_same_without_them(
    name: str, steps: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = graph_tests.train_of(rng, steps)
    made = graph_tests.made(graph_tests.NETWORKS[name], rng, "tssl-bp")
    run = planned(made, train, graph_tests.SPAN)
    found = []
    for runs_here in (True, False):
        monkeypatch.setattr(narrow, "runs_here", lambda here=runs_here: here)
        run.network.zero_grad()
        forward = run.network(inputs_of(run.trained, train), record_all=True)
        forward.output.psp.sum().backward()
        gradients = [each.grad for each in run.network.parameters() if each.requires_grad]
        found.append((recording(run, forward), gradients))
    (narrow_record, narrow_gradients), (record, gradients) = found
    assert first_difference(run.chip, narrow_record, record) is None
    for ours, theirs in zip(narrow_gradients, gradients, strict=True):
        assert ours is not None
        assert torch.equal(ours, theirs)


def test_where_steps_do_not_fit_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights to 255 in steps of 2, or of 1."""
    monkeypatch.setattr(narrow, "runs_here", lambda: True)
    run = planned(
        graph_tests.made(graph_tests.EARLY, np.random.default_rng(0), "tssl-bp"),
        graph_tests.train_of(np.random.default_rng(0), 1),
        graph_tests.SPAN,
    )
    node = run.network.graph.output
    chip = run.network._running._layer(node, None, 0, record_all=False)
    weight = run.network.weights[node.name]
    assert chip.is_narrow(weight)
    assert not chip._replace(largest_weight=255).is_narrow(weight)
    assert not chip._replace(weight_step=1).is_narrow(weight)
    assert not chip.is_narrow(weight.double()[:, :, None])
