"""What is read is what Lava runs; what is refused is what Lava alters or fails on."""

from pathlib import Path

import numpy as np
import pytest

from tests.lava_runtime.forms import ALTERS, FAILS, FORMS, LOADS, RUNS, Form, page
from tests.lava_runtime.test_lava_sim import run_all
from tssl import netx
from tssl.engine import run_chunk
from tssl.errors import BackendError, NetFileError, UnsupportedLayerError
from tssl.lava_runtime.lava_sim import LavaSim
from tssl.proof.compare import first_difference

every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.key}: {form.form}")


@every_form
def test_what_tssl_does(tmp_path: Path, form: Form):
    path = tmp_path / "form.net"
    form.write(path)
    if form.refused:
        with pytest.raises((NetFileError, UnsupportedLayerError)) as caught:
            netx.read(path)
        assert form.refused in str(caught.value)
        return
    found = netx.read(path)
    expected = form.network
    for ours, theirs in zip(found.layers, expected.layers, strict=True):
        assert ours.neuron == theirs.neuron
        for name in ("weight", "bias", "recurrent_weight", "delay"):
            assert np.array_equal(getattr(ours, name, None), getattr(theirs, name, None)), name


@pytest.mark.lava
def test_a_file_of_lava_dl_whose_neurons_differ(shared_dir: Path):
    """Own decays for each neuron, recurrent weights without a negative one."""
    path = shared_dir / "data" / "netx" / "recurrent_example.net"
    network = netx.read(path)
    assert len(network.layers[0].neuron.arrays[0]) == network.layers[0].neurons
    train = np.random.default_rng(0).integers(0, 2, (20, 2, network.input.neurons))
    expected = run_chunk(network, train, 20)
    assert all(spikes.any() for spikes in expected.trains.values())
    found = run_all(LavaSim(net_path=path), network, train, 20)
    assert first_difference(network, expected, found) is None


@pytest.mark.lava
@pytest.mark.slow
@every_form
def test_what_lava_does(tmp_path: Path, form: Form):
    path = tmp_path / "form.net"
    form.write(path)
    backend = LavaSim(net_path=path)
    if form.lava == FAILS:
        with pytest.raises(BackendError, match="Lava failed"):
            run_all(backend, form.base, form.train, 8)
        return
    meant = run_chunk(form.network, form.train, 8)
    found = run_all(backend, form.base, form.train, 8)
    assert found.trains[form.base.layers[0].name].any()
    is_equal = first_difference(form.network, meant, found) is None
    assert is_equal is (form.lava != ALTERS)


def test_what_lava_runs_is_refused_only_where_reading_it_is_unsafe():
    """A packing whose filter cannot be checked beforehand, and a number beyond 64 signed bits."""
    assert {f.form for f in FORMS if f.refused and f.lava in (RUNS, LOADS)} == {
        "packed with scale-offset",
        "uint64 from 2^57 on",
    }
    assert not [f for f in FORMS if f.lava in (ALTERS, FAILS) and not f.refused]


def test_the_page_says_the_same():
    text = (Path(__file__).parents[2] / "docs" / "net-forms.md").read_text(encoding="utf-8")
    assert text == page(), "python -m tests.lava_runtime.forms > docs/net-forms.md"
