"""What differs between two networks: parameters, and spikes on the same input."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tssl import netx
from tssl.chip import INPUT, ChipNetwork, ClassReadOut, InputLayer, Layer, Neuron, ReadOut
from tssl.engine import run_chunk
from tssl.errors import ConfigError
from tssl.proof import first_difference
from tssl.proof.distances import van_rossum, victor_purpura
from tssl.results import Recording
from tssl.tables import Shown, Table
from tssl.wording import several
from tssl.workflow.inputs import InputChoice, completed, load_inputs
from tssl.workflow.tables import spikes_apart, what_differs

__all__ = ["LayerDifference", "NetworkDifference", "SpikeDifference", "diff"]

_TAU = 5.0
_COST = 0.2


@dataclass(frozen=True, kw_only=True)
class LayerDifference:
    """A layer in both networks.

    Parameters
    ----------
    what
        What differs beside weights and biases, in words; empty for nothing.
    weights, biases
        How many differ; None where the two cannot be compared one by one.
    largest
        Largest difference of a weight, 0 where none can be compared.
    """

    layer: str
    what: tuple[str, ...] = ()
    weights: int | None = 0
    biases: int | None = 0
    largest: int = 0

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.what and self.weights == 0 and self.biases == 0


@dataclass(frozen=True, kw_only=True)
class SpikeDifference:
    """What a layer fires in both networks on the same input.

    Parameters
    ----------
    compared, differences
        Spikes or their absence, and how many of them differ.
    left, right
        Spikes of the two networks.
    van_rossum, victor_purpura
        Mean distances of those trains of single neurons that differ; 0 where none does.
    """

    layer: str
    compared: int
    differences: int
    left: int
    right: int
    van_rossum: float
    victor_purpura: float


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class NetworkDifference(Shown):
    """Two networks side by side.

    Parameters
    ----------
    only_left, only_right
        Layers that one of them has alone.
    spikes
        On the chosen input; empty when there was none.
    first
        Where spikes or potentials differ first, in words.
    predictions
        Share of samples to which both give the same class; None without input, or where one gives
        numbers.
    """

    left: ChipNetwork
    right: ChipNetwork
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    layers: tuple[LayerDifference, ...]
    spikes: tuple[SpikeDifference, ...] = ()
    first: str | None = None
    predictions: float | None = None

    @property
    def equal(self) -> bool:
        """Whether both compute the same, and are read alike."""
        return self.left.digest == self.right.digest and self.left.read_out == self.right.read_out

    @property
    def headline(self) -> str:
        """Whether the networks differ, and in how many layers."""
        if self.equal:
            return "the networks are equal"
        layers = sum(not layer.equal for layer in self.layers)
        alone = len(self.only_left) + len(self.only_right)
        return f"the networks differ: {several(layers, 'layer')}, {alone} in one of them alone"

    def tables(self) -> list[Table]:
        """Return what differs, and the spikes where there was input."""
        found = [what_differs(self.layers)]
        return [*found, spikes_apart(self.spikes)] if self.spikes else found

    def document(self) -> dict[str, Any]:
        """Return the comparison as JSON data."""
        return {
            "schema_version": 1,
            "equal": self.equal,
            "digests": [self.left.digest, self.right.digest],
            "only_left": list(self.only_left),
            "only_right": list(self.only_right),
            "layers": [asdict(layer) for layer in self.layers],
            "spikes": [asdict(layer) for layer in self.spikes],
            "tau": _TAU,
            "cost": _COST,
            "first_difference": self.first,
            "equal_predictions": self.predictions,
        }


def diff(left: Path, right: Path, choice: InputChoice | None = None) -> NetworkDifference:
    """Compare two networks layer by layer, and what they fire on the same input.

    Layers are paired by name.

    Parameters
    ----------
    choice
        What to feed both of them; nothing when None. It is encoded as the first network says.

    Raises
    ------
    ConfigError
        When there is input and one of them cannot take it.
    DataError, NetFileError
        When a file is wrong.
    """
    ours, theirs = netx.read(left), netx.read(right)
    names = [{layer.name: layer for layer in network.layers} for network in (ours, theirs)]
    both = [name for name in names[0] if name in names[1]]
    found = NetworkDifference(
        left=ours,
        right=theirs,
        only_left=tuple(name for name in names[0] if name not in names[1]),
        only_right=tuple(name for name in names[1] if name not in names[0]),
        layers=(
            *_inputs(ours.input, theirs.input),
            *(_layer(names[0][name], names[1][name]) for name in both),
            *_read_outs(ours.read_out, theirs.read_out),
        ),
    )
    return found if choice is None else _with_spikes(found, left, right, choice, both)


def _inputs(left: InputLayer, right: InputLayer) -> Iterator[LayerDifference]:
    """Yield what differs between the inputs; nothing where they are equal."""
    neurons = left.neuron, right.neuron
    kinds = ["none" if neuron is None else neuron.kind for neuron in neurons]
    pairs = [("shape", left.shape, right.shape), ("neurons", *kinds)]
    if left.neuron is not None and right.neuron is not None:
        pairs += _parameters(left.neuron, right.neuron)
    what = [
        f"{text} {_short(ours)} and {_short(theirs)}"
        for text, ours, theirs in pairs
        if ours != theirs
    ]
    if what:
        yield LayerDifference(layer=INPUT, what=tuple(what))


def _read_outs(left: ReadOut, right: ReadOut) -> Iterator[LayerDifference]:
    """Yield what differs between how outputs are read; nothing where they are read alike."""
    if left != right:
        what = f"{_in_words(left)} and {_in_words(right)}"
        yield LayerDifference(layer="read-out", what=(what,))


def _in_words(read_out: ReadOut) -> str:
    if isinstance(read_out, ClassReadOut):
        return f"{several(read_out.neurons_per_class, 'neuron')} for each class"
    fields = (read_out.document or {}).items()
    return f"{read_out.targets} by {', '.join(f'{key} {value}' for key, value in fields)}"


def _layer(left: Layer, right: Layer) -> LayerDifference:
    what = [
        f"{text} {_short(ours)} and {_short(theirs)}"
        for text, ours, theirs in (
            ("sources", _sources(left), _sources(right)),
            ("shape", left.output_shape, right.output_shape),
            ("neurons", left.neuron.kind, right.neuron.kind),
            *_parameters(left.neuron, right.neuron),
        )
        if ours != theirs
    ]
    if _sources(left) == _sources(right) and _synapses(left) != _synapses(right):
        what.append(f"synapses {_synapses(left)} and {_synapses(right)}")
    weights, largest = _numbers(left.weights, right.weights)
    biases, _ = _numbers(left.bias, right.bias)
    return LayerDifference(
        layer=left.name, what=tuple(what), weights=weights, biases=biases, largest=largest
    )


def _parameters(left: Neuron, right: Neuron) -> Iterator[tuple[str, Any, Any]]:
    """Yield the parameters that both kinds of neurons have: name, left, right."""
    for name, value in left.facts.items():
        if name in right.facts:
            yield name.replace("_", " "), value, right.facts[name]


def _sources(layer: Layer) -> str:
    return ", ".join(each.source for each in layer.connections)


def _synapses(layer: Layer) -> str:
    """Return the kind and form of a layer's synapses, without their weights, in words."""
    forms = []
    for each in layer.connections:
        geometry = getattr(each.synapses, "geometry", None)
        form = f"{each.synapses.weight.shape}" if geometry is None else f"{geometry}"
        delay = each.synapses.longest_delay
        forms.append(form + (f", delays up to {delay}" if delay else ""))
    return "; ".join(forms)


def _short(value: object) -> str:
    return f"of {len(value)} neurons" if isinstance(value, tuple) and len(value) > 4 else f"{value}"


def _numbers(left: NDArray[Any], right: NDArray[Any]) -> tuple[int | None, int]:
    """Return how many integers differ, and by how much at most."""
    if left.shape != right.shape:
        return None, 0
    apart = np.abs(left.astype(np.int64) - right)
    return int(np.count_nonzero(apart)), int(apart.max(initial=0))


def _with_spikes(
    found: NetworkDifference, left: Path, right: Path, choice: InputChoice, both: list[str]
) -> NetworkDifference:
    inputs = load_inputs(found.left, completed(choice, left))
    if found.right.input.shape != found.left.input.shape:
        raise ConfigError(
            f"{right}: takes input of shape {found.right.input.shape}, and {left} of "
            f"{found.left.input.shape}; they cannot run on the same input"
        )
    steps = inputs.time_steps
    ours, theirs = (run_chunk(each, inputs.train, steps) for each in (found.left, found.right))
    same_layers = not (found.only_left or found.only_right)
    shapes = [(found.left, ours), (found.right, theirs)]
    first = None
    if same_layers and ours.trains.keys() == theirs.trains.keys() and _alike(ours, theirs):
        first = first_difference(found.left, ours, theirs)
    outputs = [_predictions(network, recording) for network, recording in shapes]
    is_comparable = outputs[0].shape == outputs[1].shape
    return NetworkDifference(
        left=found.left,
        right=found.right,
        only_left=found.only_left,
        only_right=found.only_right,
        layers=found.layers,
        spikes=tuple(
            _spikes(name, ours.trains[name], theirs.trains[name])
            for name in both
            if ours.trains[name].shape == theirs.trains[name].shape
        ),
        first=None if first is None else str(first),
        predictions=float(np.mean(outputs[0] == outputs[1])) if is_comparable else None,
    )


def _alike(left: Recording, right: Recording) -> bool:
    shapes = [{name: t.shape for name, t in each.trains.items()} for each in (left, right)]
    return shapes[0] == shapes[1]


def _predictions(network: ChipNetwork, recording: Recording) -> NDArray[Any]:
    spikes = recording.trains[network.output.name].transpose(1, 0, 2)
    graded = network.output.neuron.graded
    return network.read_out.answers(spikes, recording.output_potential, graded=graded)


def _spikes(name: str, left: NDArray[Any], right: NDArray[Any]) -> SpikeDifference:
    """Compare trains ``(time, samples, neurons)``."""
    ours, theirs = (each.reshape(len(each), -1) for each in (left, right))
    apart = (ours != theirs).any(axis=0)
    distances = [0.0, 0.0]
    if apart.any():
        ours_apart, theirs_apart = ours[:, apart], theirs[:, apart]
        distances = [
            float(van_rossum(ours_apart, theirs_apart, tau=_TAU).mean()),
            float(victor_purpura(ours_apart, theirs_apart, cost=_COST).mean()),
        ]
    return SpikeDifference(
        layer=name,
        compared=ours.size,
        differences=int(np.count_nonzero(ours != theirs)),
        left=int(ours.sum(dtype=np.int64)),
        right=int(theirs.sum(dtype=np.int64)),
        van_rossum=distances[0],
        victor_purpura=distances[1],
    )
