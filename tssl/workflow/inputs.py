"""Choosing what to feed a network: a data set, a file, or random integers."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl import datasets
from tssl.chip import MOST_STEPS, ChipNetwork, Encoding, IntArray
from tssl.datasets import (
    DATASETS,
    Dataset,
    EventSource,
    Frames,
    Given,
    Source,
    fitting,
    given_source,
    named_source,
)
from tssl.errors import ConfigError, DataError
from tssl.results import InputSource
from tssl.wording import several
from tssl.workflow.arrays import (
    DENSITY,
    INPUTS,
    LABELS,
    check_steps,
    opened,
    random_spikes,
    trains_of,
)
from tssl.workflow.data import absolute, known_folder
from tssl.workflow.notes import Notes, notes_of

DEFAULT_STEPS = 16
_BIAS_RANGE = (0, 127)
_VALUE_RANGE = (-64, 64)
"""Of what arrives at neurons of the input: a change from end to end fits a message."""
_BYTE = 255


@dataclass(frozen=True, kw_only=True)
class InputChoice:
    """What a user asks to feed a network.

    Parameters
    ----------
    data
        See :data:`tssl.datasets.Given`; it needs a network that knows its encoding.
    notes
        Of an exported network: how its own data were read, and what their name, frames and
        fingerprints were; see :func:`completed`.
    split
        ``train`` or ``test``.
    samples
        The first so many; all when None.
    file
        Whole numbers, an array or a file of one, instead of a data set. Of a ``.npz`` file the
        array ``x`` is taken, or the only one.
    labels
        Classes of the samples in ``file``, ``(samples,)``, or numbers ``(samples, outputs)``: an
        array or a file of one. Of a ``.npz`` file the array ``y`` is taken, or the only one.
        Unknown when None.
    steps
        Time steps; None for those the network was made for.
    seed
        Of random inputs, which are used when neither ``data`` nor ``file`` is given.
    density
        Share of random inputs that are active, above 0 and at most 1; None for 0.3 of spikes and
        all graded values.
    input_range
        Smallest and largest of random integers; None for spikes, zero or one.
    bin_us
        Microseconds of a time step of events; None for those of the data set.
    offline
        Take only data that are on this machine; download nothing.
    """

    data: Given | None = None
    notes: Notes = field(default_factory=Notes)
    split: str = "test"
    samples: int | None = None
    file: Path | NDArray[np.generic] | None = None
    labels: Path | NDArray[np.generic] | None = None
    steps: int | None = None
    seed: int | None = None
    density: float | None = None
    input_range: tuple[int, int] | None = None
    bin_us: int | None = None
    data_dir: Path | None = None
    offline: bool = False
    on_download: datasets.Progress | None = None
    on_warning: datasets.Warn | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Integers ready for a backend.

    Parameters
    ----------
    train
        ``(time or 1, samples, inputs)``; of events in bytes, because they are many.
    labels
        Classes ``(samples,)``, numbers ``(samples, outputs)``, or None.
    text
        What it is, for people.
    source
        Where it came from, for programs; None where that is of no use.
    """

    train: IntArray
    time_steps: int
    labels: NDArray[Any] | None
    text: str
    source: InputSource | None = None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.train.shape[1]


def load_inputs(network: ChipNetwork, choice: InputChoice) -> Inputs:
    """Return the chosen input of a network.

    Raises
    ------
    ConfigError, DataError
        When the choice contradicts itself or does not fit the network.
    """
    _check(choice)
    if choice.steps is not None:
        check_steps(choice.steps)
    if choice.data is not None:
        return _from_data_set(network, choice, choice.data)
    if choice.file is not None:
        return _from_file(network, choice, choice.file)
    return _random(network, choice)


def _check(choice: InputChoice) -> None:
    """Refuse what contradicts itself."""
    if choice.data is not None and choice.file is not None:
        raise ConfigError("give either --data or --input, not both")
    if choice.labels is not None and choice.file is None:
        raise ConfigError("--labels: belong to the samples of --input; give --input too")
    for name in ("seed", "density"):
        value = getattr(choice, name)
        if value is not None and (choice.data is not None or choice.file is not None):
            raise ConfigError(
                f"--{name} {value} asks for random input; leave out --data and --input"
            )
    if choice.density is not None and not 0 < choice.density <= 1:
        raise ConfigError(f"--density {choice.density}: above 0 and at most 1 is needed")
    for name, least in (("samples", 1), ("seed", 0)):
        value = getattr(choice, name)
        if value is not None and value < least:
            raise ConfigError(f"--{name} {value}: at least {least} is needed")


def encode(
    network: ChipNetwork,
    dataset: Dataset,
    samples: int | None = None,
    time_steps: int | None = None,
) -> IntArray:
    """Return the first samples of a data set as input ``(time or 1, samples, inputs)``.

    Parameters
    ----------
    time_steps
        For which they are shown; those of the network when None.

    Raises
    ------
    ConfigError
        When the network does not know its encoding.
    DataError
        When the samples have another shape than the network's input.
    """
    if network.encoding is None:
        raise ConfigError(
            f"network {network.name}: how samples become its input is not in the file; "
            "encode them yourself and give them with `tssl run --input FILE.npy`"
        )
    if network.input.shape not in (dataset.shape, (int(np.prod(dataset.shape)),)):
        raise DataError(
            f"data set {dataset.name} has samples of shape {dataset.shape}; "
            f"network {network.name} takes {network.input.shape}"
        )
    return encoded(network.encoding, dataset, samples, time_steps=time_steps or network.time_steps)


def encoded(
    encoding: Encoding,
    dataset: Dataset,
    samples: int | None = None,
    *,
    time_steps: int | None = None,
) -> IntArray:
    """Return the first samples of a data set in integers ``(time or 1, samples, inputs)``.

    Parameters
    ----------
    time_steps
        Of a sample whose pixels send one spike each; as many as these need when None.
    """
    levels = encoding.integers(np.arange(dataset.full_scale + 1))
    inputs = dataset.inputs[:samples]
    if not dataset.time_steps:
        return encoding.train(levels[inputs], time_steps or encoding.steps or 1)
    # thousands of samples of events fit into memory in bytes only
    dtype = np.dtype(np.uint8 if levels.min() >= 0 and levels.max() <= _BYTE else np.int32)
    train = levels.astype(dtype)[inputs].reshape(len(inputs), dataset.time_steps, -1)
    return train.transpose(1, 0, 2)


def completed(choice: InputChoice, net: Path) -> InputChoice:
    """Fill in what an exported network knows itself: its data set, its range of integers, its time.

    The folder of the data set is filled in, too, if one was named at the export or in training.

    A data set is filled in unless the choice asks for random input by naming a seed or density.

    Raises
    ------
    DataError
        When the notes of the network are damaged, or the folder of its data is gone.
    """
    notes = notes_of(net)
    choice = replace(choice, notes=notes, input_range=notes.input_range or choice.input_range)
    if choice.data is None and choice.file is None and not _asks_for_random(choice):
        choice = replace(choice, data=notes.own_data)
    folder = known_folder(choice.data, choice.data_dir, notes.data_folders)
    choice = replace(choice, data_dir=folder)
    return choice if choice.bin_us is not None else replace(choice, bin_us=notes.bin_us)


def _from_data_set(network: ChipNetwork, choice: InputChoice, data: Given) -> Inputs:
    steps = _steps(network, choice)
    source = _source(data, choice)
    frames = datasets.framing(source, time_steps=steps, bin_us=choice.bin_us)
    dataset = datasets.load(
        source,
        choice.split,
        data_dir=choice.data_dir,
        frames=frames,
        progress=choice.on_download,
        offline=choice.offline,
    )
    dataset.pass_on_warnings(choice.on_warning)
    _check_targets(network, dataset)
    other = _other_data(dataset, frames, network, choice.notes)
    if other is not None and choice.on_warning is not None:
        choice.on_warning(other)
    text = f"{dataset.name}, {choice.split} split"
    _tell_of_fewer(choice, text, len(dataset.labels))
    train = encode(network, dataset, choice.samples, steps)
    return Inputs(
        train=train,
        time_steps=steps,
        labels=dataset.labels[: choice.samples],
        text=text,
        source=InputSource(
            data=_findable(data), split=choice.split, data_dir=absolute(choice.data_dir)
        ),
    )


def _tell_of_fewer(choice: InputChoice, text: str, samples: int) -> None:
    """Say that there are fewer samples than were asked for."""
    if choice.on_warning is not None and (choice.samples or 0) > samples:
        choice.on_warning(f"{text}: holds {samples} of the {choice.samples} samples asked for")


def _check_targets(network: ChipNetwork, dataset: Dataset) -> None:
    """Refuse data of which something else is to be said."""
    said, wanted = network.read_out, dataset.read_out
    if said.name != wanted.name:
        raise DataError(
            f"data set {dataset.name}: its targets are {wanted.targets}, and network "
            f"{network.name} says {said.targets}; give other data"
        )


def _source(data: Given, choice: InputChoice) -> Source | EventSource:
    """Return the data; a name in a network's file is never taken for a path."""
    spec = choice.notes.data_spec
    has_path = spec is not None and spec.path is not None
    if isinstance(data, str) and data == choice.notes.data and not has_path:
        return named_source(data)
    return given_source(data) if spec is None else given_source(data, fitting(data, spec.reading))


def _other_data(
    dataset: Dataset, frames: Frames | None, network: ChipNetwork, notes: Notes
) -> str | None:
    """Return a warning about data of the same name that are not those of the export."""
    stored = notes.fingerprints.get(dataset.split)
    is_cut_otherwise = frames is not None and (frames.time_steps, frames.bin_us) != (
        network.time_steps,
        notes.bin_us,
    )
    if stored is None or is_cut_otherwise or notes.data_name != dataset.name:
        return None
    if stored == dataset.fingerprint:
        return None
    return (
        f"data set {dataset.name}, {dataset.split} split: is not the one that the network was "
        f"exported with: SHA-256 {dataset.fingerprint:.12}..., it was {stored:.12}..."
    )


def _findable(data: Given) -> str | None:
    """Return a name or an absolute path; None for what only a program has."""
    if isinstance(data, str) and data in DATASETS:
        return data
    return absolute(Path(data)) if isinstance(data, str | Path) else None


def _from_file(
    network: ChipNetwork, choice: InputChoice, file: Path | NDArray[np.generic]
) -> Inputs:
    values, text = opened(file, INPUTS, "input")
    try:
        chosen = values[: choice.samples] if values.ndim else values
        train, own_steps = trains_of(chosen, network.input.shape)
    except DataError as error:
        raise DataError(f"{text}: {error}") from error
    if own_steps is not None and choice.steps not in (None, own_steps):
        raise ConfigError(f"--steps {choice.steps}: {text} holds {several(own_steps, 'time step')}")
    _tell_of_fewer(choice, text, len(values))
    steps = own_steps or _steps(network, choice)
    source = InputSource(file=absolute(file) if isinstance(file, Path) else None)
    labels = None
    if choice.labels is not None:
        labels = _labels(network, choice.labels, len(values))[: choice.samples]
    return Inputs(train=train, time_steps=steps, labels=labels, text=text, source=source)


def _labels(network: ChipNetwork, given: Path | NDArray[np.generic], samples: int) -> NDArray[Any]:
    """Return what is to be said of each sample."""
    values, text = opened(given, LABELS, "array")
    try:
        return network.read_out.fitting(values, samples, network.output.neurons)
    except DataError as error:
        raise DataError(f"--labels {text}: {error}") from error


def _asks_for_random(choice: InputChoice) -> bool:
    return choice.seed is not None or choice.density is not None


def _random(network: ChipNetwork, choice: InputChoice) -> Inputs:
    seed = choice.seed or 0
    rng = np.random.default_rng(seed)
    samples, steps = choice.samples or 1, _steps(network, choice)
    if samples * steps * network.input.neurons >= sys.maxsize // 8:
        raise ConfigError(f"--samples {samples}: more values than any memory holds")
    if network.input.takes_biases:
        low, high = choice.input_range or _BIAS_RANGE
        values: Any = rng.integers(low, high + 1, (1, samples, network.input.neurons))
    elif network.input.neuron is not None or choice.input_range is not None:
        low, high = choice.input_range or _VALUE_RANGE
        values = rng.integers(low, high + 1, (steps, samples, network.input.neurons))
    else:
        shape = (steps, samples, network.input.neurons)
        values = random_spikes(rng, shape, choice.density or DENSITY).astype(np.int64)
    is_graded = network.input.neuron is not None or choice.input_range is not None
    if is_graded and choice.density is not None:
        values *= rng.random(values.shape) < choice.density
    text = f"random input, seed {seed}"
    if choice.density is not None:
        text += f", density {choice.density:g}"
    source = InputSource()
    return Inputs(train=values, time_steps=steps, labels=None, text=text, source=source)


def _steps(network: ChipNetwork, choice: InputChoice) -> int:
    steps = choice.steps or network.time_steps or DEFAULT_STEPS
    if steps > MOST_STEPS:
        raise ConfigError(
            f"network {network.name}: time_steps = {steps}: at most {MOST_STEPS} are possible; "
            "give --steps N"
        )
    return steps
