"""Every stored graph is read, or refused for a reason; the table in docs/nir.md says so."""

from pathlib import Path

import numpy as np
import pytest

from tssl import netx
from tssl.engine import Compiled
from tssl.errors import TsslError
from tssl.workflow.export import ExportOptions, ExportOutcome, export
from tssl.workflow.nir import NirChoice
from tssl.workflow.nir_write import write

QUICK = ExportOptions(lava=False, proof_samples=2)
EULER = NirChoice(dt=1e-4, rule="euler")
WORD = NirChoice(as_nir=True)

STORED: dict[str, tuple[NirChoice, str]] = {
    "01_lif/lif_norse.nir": (EULER, "PASS"),
    "01_lif/lif_rockpool.nir": (WORD, "PASS"),
    "01_lif/debug_spike_representation/two_lif_neurons.nir": (EULER, "layer lif2: is dead"),
    "02_cnn/cnn_sinabs.nir": (WORD, "PASS"),
    "03_rnn/braille_noDelay_bias_zero.nir": (NirChoice(), "PASS"),
    "03_rnn/braille_noDelay_noBias_subtract.nir": (WORD, "PASS"),
    "03_rnn/extras/braille_noDelay_bias_zero_subgraph.nir": (NirChoice(), "PASS"),
    "03_rnn/extras/braille_noDelay_noBias_subtract_subgraph.nir": (WORD, "PASS"),
}
ASKS = {
    "01_lif/lif_norse.nir": "give --dt DT, and --rule",
    "01_lif/lif_rockpool.nir": "the name of the file says rockpool",
    "01_lif/debug_spike_representation/two_lif_neurons.nir": "give --dt DT, and --rule",
    "02_cnn/cnn_sinabs.nir": "the name of the file says sinabs",
    "03_rnn/braille_noDelay_bias_zero.nir": "",
    "03_rnn/braille_noDelay_noBias_subtract.nir": "the name of the file says 'subtract'",
    "03_rnn/extras/braille_noDelay_bias_zero_subgraph.nir": "",
    "03_rnn/extras/braille_noDelay_noBias_subtract_subgraph.nir": "says 'subtract'",
}
"""What is said to the file without an option."""
SLOW = "02_cnn/cnn_sinabs.nir"
"""Only looked at where Lava takes part."""


@pytest.fixture(scope="module")
def paper(shared_dir: Path) -> Path:
    return shared_dir / "data" / "nir" / "paper"


def exported(paper: Path, name: str, folder: Path, options: ExportOptions) -> ExportOutcome:
    return export(paper / name, "loihi2", folder / "x.net", options, lambda _: None)


def test_no_graph_is_left_out(paper: Path) -> None:
    found = {path.relative_to(paper).as_posix() for path in paper.rglob("*.nir")}
    assert found == set(STORED) == set(ASKS)


@pytest.mark.parametrize("name", [name for name in ASKS if ASKS[name]])
def test_what_a_file_leaves_open_is_asked_for(name: str, paper: Path, tmp_path: Path) -> None:
    with pytest.raises(TsslError) as raised:
        exported(paper, name, tmp_path, QUICK)
    assert ASKS[name] in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in STORED if name != SLOW])
def test_every_graph(name: str, paper: Path, tmp_path: Path) -> None:
    choice, says = STORED[name]
    options = ExportOptions(lava=False, proof_samples=2, nir=choice)
    if says != "PASS":
        with pytest.raises(TsslError, match=says):
            exported(paper, name, tmp_path, options)
        assert list(tmp_path.iterdir()) == []
        return
    outcome = exported(paper, name, tmp_path, options)
    assert outcome.proof.verdict == "PASS without Lava"
    assert_as_there(name, outcome)


def assert_as_there(name: str, outcome: ExportOutcome) -> None:
    """Check that the chip spikes as the graph's own neurons do."""
    assert outcome.nir is not None
    for row in outcome.nir.agreements:
        assert row.reference
        assert row.chip == pytest.approx(row.reference, rel=0.2)
    if name.startswith("01_lif"):
        assert [row.differ for row in outcome.nir.agreements] == [0]
    assert netx.read_notes(outcome.path)["data"] is None


@pytest.mark.parametrize("name", ["bias_zero", "noBias_subtract"])
def test_the_nested_graphs_are_the_flat_ones(name: str, paper: Path, tmp_path: Path) -> None:
    flat, nested = (
        exported(
            paper, f"03_rnn/{name_of}.nir", tmp_path,
            ExportOptions(lava=False, proof_samples=2, nir=WORD),
        ).network
        for name_of in (f"braille_noDelay_{name}", f"extras/braille_noDelay_{name}_subgraph")
    )  # fmt: skip
    for one, other in zip(flat.layers, nested.layers, strict=True):
        assert np.array_equal(one.weights, other.weights)
        assert one.neuron == other.neuron
        assert np.array_equal(one.bias, other.bias)


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, (_, says) in STORED.items() if says == "PASS"])
def test_lava(name: str, paper: Path, tmp_path: Path) -> None:
    options = ExportOptions(proof_samples=2, nir=STORED[name][0])
    outcome = exported(paper, name, tmp_path, options)
    assert outcome.proof.verdict == "PASS"
    assert_as_there(name, outcome)


def test_the_chip_s_own_spikes(paper: Path, tmp_path: Path) -> None:
    """The four spikes of a Loihi 2 chip, whose host sent the input one step late."""
    columns = np.loadtxt(paper / "01_lif" / "lif_lava_loihi_fixed.csv", delimiter=",")
    given = np.loadtxt(paper / "01_lif" / "lif_exact.csv", delimiter=",")[:, 0]
    options = ExportOptions(lava=False, proof_samples=1, nir=EULER, data=given.reshape(1, 1000, 1))
    outcome = exported(paper, "01_lif/lif_norse.nir", tmp_path, options)
    train = given.astype(np.int64).reshape(1000, 1, 1)
    (spikes,) = Compiled(outcome.network).run(train, 1000).trains.values()
    assert np.array_equal(np.flatnonzero(spikes) + 1, np.flatnonzero(columns[:, 2]))


def test_oxford_there_and_back(shared_dir: Path, tmp_path: Path) -> None:
    """From integers to NIR and back: the same integers, so the same spikes."""
    source = shared_dir / "data" / "nir" / "oxford.net"
    written = write(source, tmp_path / "oxford.nir")
    assert written.mode == "chip"
    train = (np.random.default_rng(3).random((60, 8, 200)) < 0.01).astype(np.int64)
    options = ExportOptions(lava=False, proof_samples=2, data=train.transpose(1, 0, 2))
    back = export(tmp_path / "oxford.nir", "loihi2", tmp_path / "b.net", options, lambda _: None)
    before, after = netx.read(source), back.network
    for one, other in zip(before.layers, after.layers, strict=True):
        assert np.array_equal(one.synapses.weight, other.synapses.weight)
        assert one.neuron == other.neuron
    fired = [Compiled(each).run(train, 60).trains for each in (before, after)]
    assert all(np.array_equal(fired[0][name], fired[1][name]) for name in fired[0])
    assert min(spikes.sum() for spikes in fired[0].values()) > 0
