"""Write a trained network, or a chip's, as a NIR file, its spikes beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tssl import netx
from tssl.checkpoint import Checkpoint
from tssl.chip import CLASS, DECAY_ONE, INPUT, ChipNetwork, ClassReadOut, Layer, ReadOut
from tssl.engine import Compiled
from tssl.errors import ConfigError, UnsupportedLayerError
from tssl.exchange.nir.writing import Incoming, OutLayer, data_bytes, graph_bytes
from tssl.exporter.lower import Arrival, Stage
from tssl.exporter.lower import lower as stages_of
from tssl.geometry import Shape
from tssl.machine.files import written_together
from tssl.tables import Shown, Table
from tssl.version import __version__
from tssl.wording import several
from tssl.workflow.inputs import InputChoice, completed, load_inputs
from tssl.workflow.nir import is_foreign
from tssl.workflow.sources import checkpoint_file

__all__ = ["DT", "WriteOutcome", "float_layers", "write"]

DT = 1e-4
"""Seconds of a step unless another is asked for: what the libraries that read NIR assume."""
SPIKE_SAMPLES = 3


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class WriteOutcome(Shown):
    """What was written.

    Parameters
    ----------
    mode
        ``float`` or ``chip``.
    spikes
        The file of NIR data, and what the engine was fed; None for a trained network.
    losses
        What NIR cannot carry, in sentences.
    """

    path: Path
    mode: str
    dt: float
    nodes: int
    spikes: Path | None
    fed: str | None
    losses: tuple[str, ...]

    @property
    def headline(self) -> str:
        """What was written."""
        return f"{self.path}: {self.mode} mode, {several(self.nodes, 'layer')}, dt = {self.dt:g} s"

    def tables(self) -> list[Table]:
        """Return what was not."""
        return [Table(self.headline, ["not carried"], [[loss] for loss in self.losses])]

    def document(self) -> dict[str, Any]:
        """Return the outcome as JSON data."""
        return {
            "schema_version": 1,
            "file": str(self.path),
            "mode": self.mode,
            "dt": self.dt,
            "layers": self.nodes,
            "spikes": None if self.spikes is None else str(self.spikes),
            "spikes_of": self.fed,
            "not_carried": list(self.losses),
        }


def write(source: Path, path: Path, dt: float = DT) -> WriteOutcome:
    """Write a run's floats, or the integers of a ``.net`` file, as a NIR graph.

    Parameters
    ----------
    source
        Folder of a run, a checkpoint, or a ``.net`` file.
    path
        The ``.nir`` file. The engine's spikes of a ``.net`` file go beside it, ``.spikes.h5``.
    dt
        Seconds of a step.

    Raises
    ------
    ConfigError
        When the name or the step is wrong.
    CheckpointError, NetFileError
        When the source is none.
    UnsupportedLayerError
        When NIR has no such neurons.
    OutputError
        When the file cannot be written.
    """
    if path.suffix != ".nir":
        raise ConfigError(f"{path}: the name of a NIR file must end in .nir")
    if not 0 < dt <= 1e6:
        raise ConfigError(f"--dt {dt:g}: seconds above 0 are needed")
    if source.suffix == ".net":
        return _chip(source, path, dt)
    return _float(Checkpoint.load(checkpoint_file(source)), path, dt)


def _metadata(mode: str, name: str, dt: float) -> dict[str, str | float]:
    return {
        "producer": f"tssl {__version__}",
        "name": name,
        "mode": mode,
        "dt": dt,
        "rule": "euler",
        "spike": "potential > threshold",
        "reset": "to zero",
        "recurrence": "arrives one step later",
    }


_COMMON = (
    "time step, rule (Euler), strict > and reset to zero: NIR has no fields for them; they are in "
    "the metadata, which readers need not look at",
    "that recurrent spikes arrive one step later: left to the reader",
    "the number of time steps of a sample, and the data set",
)


def _float(checkpoint: Checkpoint, path: Path, dt: float) -> WriteOutcome:
    for node in checkpoint.graph.spiking:
        if node.neuron is not None and node.neuron.values:
            raise UnsupportedLayerError(
                f"layer {node.name}: has sigma-delta neurons, for which NIR has no node"
            )
    layers = float_layers(checkpoint)
    losses = [*_COMMON, "pools: they are merged into the weights behind them, exactly"]
    if not is_foreign(checkpoint):
        losses.append(
            "the encoding of the input: the graph takes the integers "
            f"round((x - {checkpoint.encoding.offset:g}) * {checkpoint.encoding.gain:g})"
        )
    if checkpoint.input_neuron is not None:
        losses.append("input neurons: the graph takes the spikes that they fire")
    metadata = _metadata("float", checkpoint.recipe.name, dt)
    content = graph_bytes(_plain(checkpoint.input_shape, layers), layers, dt, metadata)
    losses += [*_other(layers), *_of_read_out(checkpoint.read_out)]
    with written_together(path.parent, path.name) as folder:
        (folder / path.name).write_bytes(content)
    return WriteOutcome(
        path=path, mode="float", dt=dt, nodes=len(layers), spikes=None, fed=None,
        losses=tuple(losses),
    )  # fmt: skip


def float_layers(checkpoint: Checkpoint) -> list[OutLayer]:
    """Return what was trained as layers of a NIR graph, which takes integers."""
    sent = {INPUT: tuple(checkpoint.input_shape)}
    return [_of_stage(stage, sent) for stage in stages_of(checkpoint)]


def _plain(shape: Shape, layers: list[OutLayer]) -> Shape:
    """Return the shape of an input that nobody reads as maps in one dimension."""
    read = [each for layer in layers for each in layer.incoming if each.source == INPUT]
    return shape if any(each.geometry for each in read) else (int(np.prod(shape)),)


def _of_stage(stage: Stage, sent: dict[str, Shape]) -> OutLayer:
    incoming = [_of_arrival(each) for each in stage.connections]
    first = stage.connections[0]
    shape: Shape = (len(first.weight),)
    if first.geometry is not None:
        image = (first.input_shape[1], first.input_shape[2])
        shape = (len(first.weight), *first.geometry.positions(image))
    sent[stage.name] = shape
    neuron = stage.neuron
    return OutLayer(
        name=stage.name,
        incoming=incoming,
        losses=(np.array(1 / neuron.tau_s), np.array(1 / neuron.tau_m)),
        threshold=np.array(neuron.threshold),
        bias=np.zeros(1) if stage.bias is None else stage.bias,
        shape=shape,
    )


def _of_arrival(each: Arrival) -> Incoming:
    shape = each.input_shape if each.geometry is not None else (each.weight.shape[1],)
    return Incoming(
        source=each.source, input_shape=shape, weight=each.weight, geometry=each.geometry
    )


def _chip(source: Path, path: Path, dt: float) -> WriteOutcome:
    network = netx.read(source)
    layers = [_of_layer(layer) for layer in network.layers]
    losses = [
        *_COMMON,
        "the chip's rounding: decays round toward zero, currents wrap and potentials saturate at "
        "24 bits; Euler steps in floating point give these integers up to that rounding",
        "the limits of the chip's fields",
    ]
    if network.input.neuron is not None:
        losses.append("input neurons: the graph takes the spikes that they fire")
    losses += [*_other(layers), *_of_read_out(network.read_out)]
    shape = _plain(network.input.shape, layers)
    content = graph_bytes(shape, layers, dt, _metadata("chip", network.name, dt))
    trains, fed = _spikes(network, source)
    spikes = path.with_suffix(".spikes.h5")
    with written_together(path.parent, path.name) as folder:
        (folder / spikes.name).write_bytes(data_bytes(trains, dt))
        (folder / path.name).write_bytes(content)
    return WriteOutcome(
        path=path, mode="chip", dt=dt, nodes=len(layers), spikes=spikes, fed=fed,
        losses=tuple(losses),
    )  # fmt: skip


def _of_layer(layer: Layer) -> OutLayer:
    current, voltage, threshold = layer.cuba.arrays
    if layer.neuron.never_fires:
        threshold = np.array(np.inf)
    shape = layer.output_shape
    of_each = [values.reshape(shape) if values.ndim else values for values in (current, voltage)]
    incoming = []
    for each in layer.connections:
        synapses = each.synapses
        incoming.append(
            Incoming(
                source=each.source,
                input_shape=synapses.input_shape,
                weight=synapses.weight.astype(np.float64),
                geometry=synapses.geometry,
                delays=synapses.delay,
            )
        )
    return OutLayer(
        name=layer.name,
        incoming=incoming,
        losses=(of_each[0] / DECAY_ONE, of_each[1] / DECAY_ONE),
        threshold=(threshold.reshape(shape) if threshold.ndim else threshold).astype(np.float64),
        bias=layer.bias.astype(np.float64) if layer.bias.any() else np.zeros(1),
        shape=shape,
    )


def _spikes(network: ChipNetwork, source: Path) -> tuple[Mapping[str, Any], str]:
    """Return what the engine fires on random input, the input itself included."""
    full = completed(InputChoice(samples=SPIKE_SAMPLES, seed=0), source)
    inputs = load_inputs(network, full)
    recorded = Compiled(network).run(inputs.train, inputs.time_steps).trains
    steps = inputs.time_steps
    fed = np.broadcast_to(inputs.train, (steps, *inputs.train.shape[1:]))
    return {
        INPUT: fed,
        **recorded,
    }, f"{SPIKE_SAMPLES} samples of {several(steps, 'step')}, {inputs.text}"


def _of_read_out(read_out: ReadOut) -> list[str]:
    """Return what NIR cannot say of how the output is read."""
    if read_out == CLASS:
        return []
    if isinstance(read_out, ClassReadOut):
        votes = read_out.neurons_per_class
        return [f"that {votes} neurons of the last layer, one behind the other, vote for a class"]
    return ["gain and offset of each output, which make numbers of the potentials"]


def _other(layers: list[OutLayer]) -> Iterator[str]:
    """Yield what some readers of NIR do not take, by layer."""
    for layer in layers:
        if layer.bias.any() and not (layer.losses[0] == 1).all():
            yield (
                f"layer {layer.name}: its bias is v_leak, which snnTorch and SpikingJelly do not "
                "take"
            )
        if not layer.losses[1].all() and not (layer.losses[0] == 1).all():
            yield f"layer {layer.name}: its membrane has no leak; tau_mem is 2^40 steps instead"
        yield from _of_synapses(layer)


def _of_synapses(layer: OutLayer) -> Iterator[str]:
    """Yield what becomes of a layer's synapses."""
    windows = [each.geometry for each in layer.incoming if each.geometry is not None]
    if any(each.groups > 1 for each in windows):
        yield f"layer {layer.name}: groups of maps; weights between groups are 0 instead"
    if any(rows != columns for rows, columns in (each.kernel for each in windows)):
        yield (
            f"layer {layer.name}: its windows are not square, which nir 1.0 reads with "
            "type_check=False alone"
        )
