"""What a network is fed: a data set, a file, random integers, or a clear refusal."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.lava_runtime.networks import EAGER
from tests.trainer import tiny
from tests.workflow import blinking
from tssl.chip import ChipNetwork, CubaNeuron, Encoding, InputLayer, dense_layer
from tssl.datasets import Frames
from tssl.errors import ConfigError, DataError
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inputs import DEFAULT_STEPS, InputChoice, completed, encode, load_inputs
from tssl.workflow.nir import NirChoice

ENCODING = Encoding(offset=2.0, gain=0.5, quantum=1.0)


def network(shape: tuple[int, ...] = (1, 4, 4), **fields: Any) -> ChipNetwork:
    size = int(np.prod(shape))
    layer = dense_layer(
        name="a", source="input", weight=np.ones((3, size), np.int64),
        neuron=CubaNeuron(current_decay=4096, voltage_decay=4096, threshold=5),
    )  # fmt: skip
    fields = {"encoding": ENCODING, "time_steps": 7, **fields}
    block = fields.pop("block", None)
    return ChipNetwork(
        name="net", input=InputLayer(shape=shape, neuron=block), layers=(layer,), **fields
    )


def saved(path: Path, values: Any) -> Path:
    np.save(path, np.asarray(values))
    return path


@pytest.mark.parametrize("shape", [(1, 4, 4), (16,)])
def test_encode_applies_the_networks_encoding(shape: tuple[int, ...]) -> None:
    dataset = tiny.dataset()
    train = encode(network(shape), dataset, 5)
    assert train.shape == (1, 5, 16)
    by_hand = np.rint((dataset.inputs[3, 0, 2, 1] - 2.0) * 0.5)
    assert train[0, 3, 9] == by_hand


def test_encode_without_encoding() -> None:
    with pytest.raises(
        ConfigError, match=r"how samples become its input is not in.*tssl run --input"
    ):
        encode(network(encoding=None), tiny.dataset())


def test_encode_of_another_shape() -> None:
    with pytest.raises(DataError, match=r"\(1, 4, 4\).*takes \(1, 2, 8\)"):
        encode(network((1, 2, 8)), tiny.dataset())


def test_data_set() -> None:
    inputs = load_inputs(network(), InputChoice(data="rows", samples=4))
    assert inputs.train.shape == (1, 4, 16)
    assert inputs.labels is not None
    assert inputs.labels.tolist() == [0, 1, 2, 0]
    assert inputs.time_steps == 7
    assert inputs.text == "rows, test split"
    train = load_inputs(network(), InputChoice(data="rows", split="train"))
    assert train.samples == 60
    assert not np.array_equal(train.train[:, :4], inputs.train)


def test_more_samples_than_there_are() -> None:
    assert load_inputs(network(), InputChoice(data="rows", samples=10**9)).samples == 60


def test_fewer_samples_than_asked_for_are_told(tmp_path: Path) -> None:
    told: list[str] = []
    file = saved(tmp_path / "x.npy", np.ones((2, 1, 4, 4), np.int64))
    load_inputs(network(), InputChoice(file=file, samples=2, on_warning=told.append))
    assert told == []
    load_inputs(network(), InputChoice(file=file, samples=3, on_warning=told.append))
    load_inputs(network(), InputChoice(data="rows", samples=70, on_warning=told.append))
    assert told == [
        f"{file}: holds 2 of the 3 samples asked for",
        "rows, test split: holds 60 of the 70 samples asked for",
    ]


@pytest.mark.parametrize(("steps", "says"), [(0, "at least 1"), (10**6 + 1, "at most 1000000")])
def test_steps_that_no_sample_has(steps: int, says: str) -> None:
    for ask in (
        lambda: load_inputs(network(), InputChoice(steps=steps)),
        lambda: NirChoice(steps=steps),
    ):
        with pytest.raises(ConfigError, match=f"--steps {steps}: {says}"):
            ask()
    with pytest.raises(ConfigError, match="network net: time_steps = 2000000: at most 1000000"):
        load_inputs(network(time_steps=2_000_000), InputChoice())


def test_steps_of_choice_network_or_default(tmp_path: Path) -> None:
    file = saved(tmp_path / "x.npy", np.ones((2, 1, 4, 4), np.int64))
    assert load_inputs(network(), InputChoice(file=file, steps=9)).time_steps == 9
    assert load_inputs(network(), InputChoice(file=file)).time_steps == 7
    bare = network(time_steps=None)
    assert load_inputs(bare, InputChoice(file=file)).time_steps == DEFAULT_STEPS


@pytest.mark.parametrize("shape", [(1, 4, 4), (16,)])
def test_static_file(tmp_path: Path, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    values = rng.integers(-9, 9, (5, *shape))
    inputs = load_inputs(network(), InputChoice(file=saved(tmp_path / "x.npy", values)))
    assert np.array_equal(inputs.train, values.reshape(1, 5, 16))
    assert inputs.labels is None


@pytest.mark.parametrize("shape", [(1, 4, 4), (16,)])
def test_sequence_file(tmp_path: Path, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    values = rng.integers(0, 2, (5, 11, *shape)).astype(np.float32)
    file = saved(tmp_path / "x.npy", values)
    inputs = load_inputs(network(), InputChoice(file=file, samples=3))
    assert np.array_equal(inputs.train, values[:3].reshape(3, 11, 16).transpose(1, 0, 2))
    assert inputs.time_steps == 11
    with pytest.raises(ConfigError, match=r"--steps 5: .*holds 11 time steps"):
        load_inputs(network(), InputChoice(file=file, steps=5))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((2, 16), 0.5), "whole numbers"),
        (np.full((2, 16), np.nan), "whole numbers"),
        (np.full((2, 16), 2**40), "32 bits"),
        (np.zeros((2, 15), np.int64), "do not fit"),
        (np.zeros((), np.int64), "do not fit"),
        (np.zeros((0, 16), np.int64), "no samples"),
        (np.array([["a"] * 16]), "whole numbers"),
        (np.zeros((2, 16), np.complex128), "whole numbers"),
    ],
)
def test_file_that_does_not_fit(tmp_path: Path, values: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        load_inputs(network(), InputChoice(file=saved(tmp_path / "x.npy", values)))


def test_file_that_is_no_array(tmp_path: Path) -> None:
    text, archive, pickled = (tmp_path / name for name in ("a.npy", "b.npz", "c.npy"))
    text.write_text("1 2 3")
    np.savez(archive, a=np.zeros(3), b=np.zeros(3))
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    for path in (text, archive, pickled, tmp_path / "absent.npy", tmp_path):
        with pytest.raises(DataError, match=path.name):
            load_inputs(network(), InputChoice(file=path))


def camera(**fields: Any) -> ChipNetwork:
    """Return a network for the data set ``blinking``."""
    encoding = Encoding(offset=0.0, gain=1.0, quantum=1.0)
    return network((2, 3, 3), **{"encoding": encoding, "time_steps": 8, **fields})


def test_events_enter_as_they_are() -> None:
    inputs = load_inputs(camera(), InputChoice(data="blinking", samples=6))
    expected = blinking.dataset("test", Frames(time_steps=8, bin_us=blinking.STEP_US))
    assert inputs.train.shape == (8, 6, 18)
    assert inputs.time_steps == 8
    assert inputs.train.dtype == np.uint8, "ten thousand samples shall fit"
    by_time = expected.inputs[:6].reshape(6, 8, 18).transpose(1, 0, 2)
    assert np.array_equal(inputs.train, by_time)
    assert by_time.any()
    assert inputs.labels is not None
    assert inputs.labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("encoding", "levels"),
    [
        (Encoding(offset=0.0, gain=200.0, quantum=1.0), [0, 200]),
        (Encoding(offset=0.0, gain=300.0, quantum=1.0), [0, 300]),
        (Encoding(offset=0.5, gain=8.0, quantum=1.0), [-4, 4]),
    ],
)
def test_events_are_encoded_like_pixels(encoding: Encoding, levels: list[int]) -> None:
    inputs = load_inputs(camera(encoding=encoding), InputChoice(data="blinking", samples=3))
    assert np.unique(inputs.train).tolist() == levels


def test_events_in_other_steps_and_bins() -> None:
    choice = InputChoice(data="blinking", samples=6, steps=5, bin_us=250)
    inputs = load_inputs(camera(), choice)
    expected = blinking.dataset("test", Frames(time_steps=5, bin_us=250)).inputs[:6]
    assert inputs.time_steps == 5
    assert np.array_equal(inputs.train, expected.reshape(6, 5, 18).transpose(1, 0, 2))


def test_pictures_know_no_bins() -> None:
    inputs = load_inputs(network(), InputChoice(data="rows", samples=2, bin_us=250))
    assert inputs.train.shape == (1, 2, 16)


def test_an_exported_network_knows_its_bins(exported_events: ExportOutcome) -> None:
    own = completed(InputChoice(), exported_events.path)
    assert (own.data, own.bin_us, own.input_range) == ("blinking", 400, (0, 1))
    assert completed(InputChoice(data="blinking"), exported_events.path).bin_us == 400
    assert completed(InputChoice(bin_us=7), exported_events.path).bin_us == 7
    inputs = load_inputs(exported_events.network, own)
    expected = blinking.dataset("test", Frames(time_steps=10, bin_us=400)).inputs[:]
    assert np.array_equal(inputs.train, expected.reshape(40, 10, 18).transpose(1, 0, 2))


def test_contradictions(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not both"):
        load_inputs(network(), InputChoice(data="rows", file=tmp_path / "x.npy"))
    for samples in (0, -3):
        with pytest.raises(ConfigError, match=f"--samples {samples}: at least 1"):
            load_inputs(network(), InputChoice(data="rows", samples=samples))
    with pytest.raises(ConfigError, match="--steps 0: at least 1"):
        load_inputs(network(), InputChoice(steps=0))


def test_random_spikes_by_default() -> None:
    inputs = load_inputs(network(), InputChoice(samples=50))
    assert inputs.train.shape == (7, 50, 16)
    assert set(np.unique(inputs.train)) == {0, 1}


def test_random_input_fills_its_range_and_follows_its_seed() -> None:
    choice = InputChoice(samples=60, steps=8, seed=3, input_range=(-2, 3))
    inputs = load_inputs(network(), choice)
    assert inputs.train.shape == (8, 60, 16)
    assert set(np.unique(inputs.train)) == {-2, -1, 0, 1, 2, 3}
    assert np.array_equal(inputs.train, load_inputs(network(), choice).train)
    other = load_inputs(network(), replace(choice, seed=4))
    assert not np.array_equal(inputs.train, other.train)


@pytest.mark.parametrize("density", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("input_range", [None, (1, 7)])
def test_the_share_of_active_random_inputs(
    density: float, input_range: tuple[int, int] | None
) -> None:
    choice = InputChoice(samples=200, steps=40, density=density, input_range=input_range)
    train = load_inputs(network(), choice).train
    share = np.count_nonzero(train) / train.size
    assert share == 1 if density == 1 else abs(share - density) < 0.02
    assert set(np.unique(train).tolist()) - {0} == set(range(1, input_range[1] + 1 if input_range
                                                              else 2))  # fmt: skip


def test_without_a_density_random_input_is_what_it_was() -> None:
    """Recorded before densities could be chosen."""
    train = load_inputs(network(), InputChoice(samples=2, steps=6, seed=1)).train
    expected = np.random.default_rng(1).random(train.shape) < 0.3
    assert np.array_equal(train, expected)


def test_a_density_asks_for_random_input(exported: ExportOutcome) -> None:
    assert completed(InputChoice(density=0.5), exported.path).data is None
    with pytest.raises(ConfigError, match=r"--density 0\.5 asks for random input"):
        load_inputs(network(), InputChoice(density=0.5, data="digits"))
    with pytest.raises(ConfigError, match="--density 0: above 0 and at most 1"):
        load_inputs(network(), InputChoice(density=0))


def test_random_biases_of_input_neurons_are_constant() -> None:
    inputs = load_inputs(network(block=EAGER), InputChoice(samples=40, steps=9))
    assert inputs.train.shape == (1, 40, 16)
    assert inputs.time_steps == 9
    assert 0 <= inputs.train.min() < inputs.train.max() < 128


def test_an_exported_network_completes_the_choice(exported: ExportOutcome) -> None:
    own = completed(InputChoice(), exported.path)
    assert (own.data, own.bin_us) == ("rows", None)
    assert own.input_range == exported.input_range == (0, 15)
    assert completed(InputChoice(seed=1), exported.path).data is None
    file = Path("x.npy")
    assert completed(InputChoice(file=file), exported.path).data is None


def test_a_sequence_of_one_step_is_a_sequence(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.ones((3, 1, 16), np.int64))
    assert load_inputs(network(), InputChoice(file=path)).time_steps == 1
    with pytest.raises(ConfigError, match=r"holds 1 time step$"):
        load_inputs(network(), InputChoice(file=path, steps=4))


OWN = np.ones((4, 1, 4, 4), np.int64)


@pytest.mark.parametrize("kept", [None, 3])
def test_labels_of_own_samples(tmp_path: Path, kept: int | None) -> None:
    file = saved(tmp_path / "x.npy", OWN)
    for labels in (saved(tmp_path / "y.npy", [2, 0, 1, 1]), np.array([2.0, 0.0, 1.0, 1.0])):
        inputs = load_inputs(network(), InputChoice(file=file, labels=labels, samples=kept))
        assert inputs.labels is not None
        assert inputs.labels.dtype == np.int64
        assert inputs.labels.tolist() == [2, 0, 1, 1][:kept]


def test_samples_and_labels_in_one_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=OWN, y=[2, 0, 1, 1], note=[1.5])
    own = tmp_path / "own.npz"
    inputs = load_inputs(network(), InputChoice(file=own, labels=own, samples=3))
    assert inputs.labels is not None
    assert inputs.labels.tolist() == [2, 0, 1]
    assert np.array_equal(inputs.train, OWN[:3].reshape(1, 3, 16))
    assert inputs.source is not None
    assert inputs.source.file == str(own)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([0, 1, 2], r"of shape \(3,\); one for each sample, \(4,\), is needed"),
        ([[0], [1], [2], [0]], r"of shape \(4, 1\)"),
        (1, r"of shape \(\)"),
        ([0, 1, 2, 3], r"holds 3; whole numbers from 0 to 2 are needed.* 3 outputs"),
        ([0, -1, 2, 0], "holds -1; whole numbers"),
        ([0, 1.5, 2, 0], r"holds 1\.5; whole numbers"),
        ([0, np.nan, 2, 0], "holds nan; whole numbers"),
        (["a", "b", "c", "d"], "holds 'a'; whole numbers"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, labels: Any, reason: str) -> None:
    file = saved(tmp_path / "y.npy", labels)
    with pytest.raises(DataError, match=rf"^--labels .*y\.npy: {reason}"):
        load_inputs(network(), InputChoice(file=OWN, labels=file))


def test_labels_without_own_samples() -> None:
    with pytest.raises(ConfigError, match=r"--labels: belong to the samples of --input"):
        load_inputs(network(), InputChoice(data="rows", labels=np.zeros(4)))
