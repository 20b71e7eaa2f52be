"""Every form that a number of a ``.net`` file may have: what Lava does with it, what tssl does.

``python -m tests.lava_runtime.forms > docs/net-forms.md`` writes the table for people.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.lava_runtime.networks import weights
from tests.layers import reconnected
from tssl import netx
from tssl.chip import (
    ChipNetwork,
    CubaNeuron,
    DeltaNeuron,
    DenseSynapses,
    InputLayer,
    IntArray,
    Layer,
    SigmaDeltaNeuron,
    SigmaNeuron,
    conv_layer,
    dense_layer,
)

RUNS, LOADS, ALTERS, FAILS = (
    "runs it", "loads it as another number", "computes something else", "fails"
)  # fmt: skip

_NEURON = CubaNeuron(current_decay=1000, voltage_decay=500, threshold=60)
_RNG = np.random.default_rng(3)
CONV = conv_layer(
    name="c", source="input", weight=weights(_RNG, 2, 1, 2, 2), neuron=_NEURON, map_shape=(1, 4, 5)
)
DENSE = dense_layer(name="d", source="c", weight=weights(_RNG, 5, 24), neuron=_NEURON)
RECURRENT = dense_layer(
    name="r", source="d", weight=weights(_RNG, 5, 5), neuron=_NEURON,
    recurrent_weight=weights(_RNG, 5, 5),
)  # fmt: skip
NETWORK = ChipNetwork(
    name="forms", input=InputLayer(shape=(1, 4, 5)), layers=(CONV, DENSE, RECURRENT)
)
TRAIN: IntArray = np.random.default_rng(5).integers(0, 2, (8, 2, 20))
FILM = ChipNetwork(
    name="film",
    input=InputLayer(shape=(1, 4, 5), neuron=DeltaNeuron(threshold=0)),
    layers=(
        conv_layer(
            name="m", source="input", weight=weights(_RNG, 2, 1, 2, 2), map_shape=(1, 4, 5),
            neuron=SigmaDeltaNeuron(threshold=1),
        ),
        dense_layer(
            name="n", source="m", weight=weights(_RNG, 5, 24) // 8,
            neuron=SigmaDeltaNeuron(threshold=3),
        ),
        dense_layer(name="o", source="n", weight=weights(_RNG, 3, 5), neuron=SigmaNeuron()),
    ),
)  # fmt: skip
"""Sigma-delta neurons."""
MOVES: IntArray = np.random.default_rng(6).integers(-9, 10, (8, 2, 20))
_FILM_ENTRIES = {"input": "layer/0", "m": "layer/1", "n": "layer/3", "o": "layer/4"}
ENTRIES = {"c": "layer/1", "d": "layer/3", "r": "layer/4", **_FILM_ENTRIES}

Change = Callable[[Layer], Layer]


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of a number in the file.

    Parameters
    ----------
    key
        As the table shows it.
    layer
        Name of the layer that has it.
    stored
        What is put into the file, by key below the layer; options of the data set beside it.
    means
        The layer that someone who writes this has in mind.
    lava
        What Lava does: RUNS the layer that is meant, or something else.
    refused
        Part of tssl's message; empty when it reads the file.
    """

    key: str
    form: str
    layer: str
    stored: dict[str, Any]
    means: Change
    lava: str
    refused: str = ""

    @property
    def network(self) -> ChipNetwork:
        """The network that is meant."""
        layers = [self.means(x) if x.name == self.layer else x for x in self.base.layers]
        return replace(self.base, layers=tuple(layers))

    @property
    def base(self) -> ChipNetwork:
        """The network without the form."""
        return FILM if self.layer in _FILM_ENTRIES else NETWORK

    @property
    def train(self) -> IntArray:
        """What it is run on."""
        return MOVES if self.base is FILM else TRAIN

    def write(self, path: Path) -> None:
        """Write a network of others with this form in it."""
        netx.write(path, self.base)
        with h5py.File(path, "r+") as file:
            file.attrs.clear()
            for key, value in self.stored.items():
                place = f"{ENTRIES[self.layer]}/{key}"
                if place in file:
                    del file[place]
                data, options = value if isinstance(value, tuple) else (value, {})
                file.create_dataset(place, data=data, **options)


def same(layer: Layer) -> Layer:
    return layer


def having(**fields: Any) -> Change:
    return lambda layer: replace(layer, **fields)


def weighing(weight: Any, own: Any = None, **fields: Any) -> Change:
    """Return what gives a layer other synapses, and others among its neurons."""

    def change(layer: Layer) -> Layer:
        changed = reconnected(layer, weight=weight, **fields)
        if own is None:
            return changed
        recurrence = replace(layer.own[0], synapses=DenseSynapses(weight=own))
        return replace(changed, connections=(changed.connections[0], recurrence))

    return change


def with_neuron(**fields: Any) -> Change:
    return lambda layer: replace(layer, neuron=replace(layer.neuron, **fields))


_FIELDS = {"iDecay": "current_decay", "vDecay": "voltage_decay", "vThMant": "threshold"}
_EACH = {"iDecay": [0, 900, 2000, 3000, 4096], "vDecay": [0, 900, 2000, 3000, 4096],
         "vThMant": [20, 60, 100, 200, 300]}  # fmt: skip


def neurons(
    key: str, form: str, value: Any, means: Any, lava: str = RUNS, refused: str = "",
    layer: str = "d",
) -> Form:  # fmt: skip
    """A form of a decay or threshold."""
    return Form(
        key=key, form=form, layer=layer, stored={f"neuron/{key}": value},
        means=with_neuron(**{_FIELDS[key]: means}), lava=lava, refused=refused,
    )  # fmt: skip


def of_neurons() -> list[Form]:
    forms = []
    shape = CONV.output_shape
    for key, each in _EACH.items():
        one, is_threshold = each[1], key == "vThMant"
        of_map = np.random.default_rng(7).integers(10, 200, shape)
        channels = np.array([each[1], each[3]])
        forms += [
            neurons(key, "one element", np.array([one]), one),
            neurons(key, "one per neuron", np.array(each), each),
            neurons(key, "one per neuron, (1, N)", np.array([each]), each,
                    *((FAILS, "an array that fits") if is_threshold else ())),
            neurons(key, "another number of them", np.array(each[:2]), one, FAILS,
                    "an array that fits"),
            neurons(key, "of maps, (W, H, C)", of_map.transpose(), of_map.reshape(-1), layer="c"),
            neurons(key, "of maps, one per channel, (C,)", channels, channels.repeat(12),
                    layer="c"),
            neurons(key, "of maps, (C, H, W)", of_map, of_map.reshape(-1), FAILS,
                    "an array that fits", layer="c"),
            neurons(key, "of maps, (neurons,)", of_map.reshape(-1), of_map.reshape(-1), FAILS,
                    "an array that fits", layer="c"),
            neurons(key, "float that is whole", float(one), one, FAILS, "not stored as integers"),
            neurons(key, "truth value", np.True_, 1),
            neurons(key, "int16, uint16, int32 or uint32", np.uint16(one), one),
        ]  # fmt: skip
        forms.append(
            neurons(key, "uint64", np.uint64(one), one) if is_threshold
            else neurons(key, "uint64", np.uint64(one), one, FAILS, "Lava fails on uint64")
        )  # fmt: skip
    for key in ("iDecay", "vDecay"):
        forms += [
            neurons(key, "uint8 or int8", np.uint8(100), 100, FAILS, "Lava fails on uint8"),
            neurons(key, "uint16 of 0", np.uint16(0), 0),
        ]
    wide = "times 64 it does not fit"
    return [
        *forms,
        neurons("vThMant", "uint8 up to 3", np.uint8(3), 3),
        neurons("vThMant", "uint8 from 4 on", np.uint8(60), 60, ALTERS, wide),
        neurons("vThMant", "int16 from 512 on", np.int16(600), 600, ALTERS, wide),
        neurons("vThMant", "uint16 from 1024 on", np.uint16(1100), 1100, ALTERS, wide),
        neurons("vThMant", "int32 from 2^25 on", np.int32(1 << 25), 1 << 25, ALTERS, wide),
        neurons("vThMant", "int64 below 2^57", np.int64((1 << 57) - 1), (1 << 57) - 1),
        neurons("vThMant", "int64 from 2^57 on", np.int64(1 << 57), 1 << 25, ALTERS, wide),
        neurons(
            "vThMant",
            "uint64 from 2^57 on",
            np.uint64(1 << 57),
            1 << 25,
            RUNS,
            "in which tssl computes",
        ),
        neurons("vThMant", "negative", np.int64(-7), -7),
    ]


def delays(form: str, value: Any, means: Any, lava: str = RUNS, refused: str = "") -> Form:
    """A form of the delays of the dense layer."""
    full = np.broadcast_to(means, DENSE.synapses.weight.shape)
    return Form(
        key="delay", form=form, layer="d", stored={"delay": value},
        means=weighing(DENSE.synapses.weight, delay=full),
        lava=lava, refused=refused,
    )  # fmt: skip


def of_delays() -> list[Form]:
    rng = np.random.default_rng(9)
    matrix = rng.integers(0, 5, DENSE.synapses.weight.shape)
    negative, long = matrix.copy(), matrix.copy()
    negative[0, 0], long[:, :6] = -1, 70
    by_output, by_input = np.arange(5), np.arange(24) % 7
    shape = "a scalar, (5,) by output"
    return [
        delays("scalar", np.int64(3), 3),
        delays("one element", np.array([3]), 3, FAILS, shape),
        delays("one per output", by_output, by_output[:, None]),
        delays("one per input", by_input, by_input),
        delays("(outputs, 1)", by_output[:, None], by_output[:, None], FAILS, shape),
        delays("uint8", matrix.astype(np.uint8), matrix),
        delays("float that is whole", matrix.astype(np.float32), matrix),
        delays("with a fraction", matrix + 0.5, matrix, LOADS),
        delays("negative", negative, matrix, FAILS, "a delay of -1; Lava fails"),
        delays("above 62", long, long.clip(0, 62), LOADS),
        delays("negative beside one above 62", np.where(negative < 0, -1, long),
               long.clip(0, 62) * (negative >= 0), LOADS),
        Form(key="delay", form="of a convolution", layer="c", stored={"delay": np.array([1, 1])},
             means=weighing(2 * CONV.synapses.weight), lava=ALTERS, refused="silently drops"),
        Form(key="delay", form="of dense_rec", layer="r", stored={"delay": np.zeros(5, int)},
             means=same, lava=ALTERS, refused="delays in dense_rec"),
    ]  # fmt: skip


def weighted(
    form: str, value: Any, means: IntArray, lava: str = RUNS, refused: str = "",
) -> Form:  # fmt: skip
    """A form of the weights of the dense layer."""
    return Form(
        key="weight", form=form, layer="d", stored={"weight": value},
        means=weighing(means), lava=lava, refused=refused,
    )  # fmt: skip


def of_weights() -> list[Form]:
    own = np.abs(DENSE.synapses.weight)
    weight: IntArray = DENSE.synapses.weight
    large: IntArray = np.where(weight > 20, 400, weight)
    packed = {"chunks": (2, 7), "shuffle": True, "fletcher32": True}
    return [
        weighted("int8, int16, int32", weight.astype(np.int8), weight),
        weighted("uint8 or uint64", own.astype(np.uint64), own),
        weighted("float that is whole", weight.astype(np.float32), weight),
        weighted("with a fraction", weight + np.where(weight > 0, 0.7, -0.7), weight, LOADS),
        weighted("truth values", weight > 0, (weight > 0) * 1),
        weighted("packed with gzip", (weight, {"compression": "gzip", **packed}), weight),
        weighted("packed with lzf", (weight, {"compression": "lzf", **packed}), weight),
        weighted("packed with scale-offset", (weight, {"scaleoffset": 0}), weight, RUNS,
                 "in another way than gzip or lzf"),
        Form(key="weight", form="both signs, above 254", layer="d",
             stored={"weight": large, "neuron/vThMant": 900},
             means=lambda d: replace(
                 reconnected(d, weight=large), neuron=replace(d.neuron, threshold=900)),
             lava=ALTERS, refused="Lava clips it"),
        weighted("no negative, 255", own * 0 + 255, own * 0 + 255),
        weighted("no negative, 256", own * 0 + 256, own * 0 + 256, ALTERS, "silences"),
        weighted("no positive, 3", own * 0 - 3, own * 0 - 3),
        Form(key="weight", form="no positive, 64 (a power of two)", layer="d",
             stored={"weight": own * 0 - 64, "bias": np.full(5, 900)},
             means=lambda d: replace(reconnected(d, weight=own * 0 - 64), bias=np.full(5, 900)),
             lava=ALTERS,
             refused="Lava alters it"),
        weighted("all zero", own * 0, own * 0, FAILS, "all zero"),
    ]  # fmt: skip


def recurrent(
    form: str, weight: IntArray, own: IntArray, lava: str = RUNS, refused: str = ""
) -> Form:
    """A form of both matrices of the recurrent layer."""
    return Form(
        key="weight, weight_rec", form=form, layer="r",
        stored={"weight": weight, "weight_rec": own},
        means=weighing(weight, own), lava=lava, refused=refused,
    )  # fmt: skip


def of_recurrent() -> list[Form]:
    weight, own = RECURRENT.synapses.weight, RECURRENT.own[0].synapses.weight
    ones = np.ones_like(own)
    return [
        recurrent("both without negative", abs(weight), abs(own)),
        recurrent("recurrent without negative", weight, abs(own)),
        recurrent("recurrent all zero", weight, 0 * own),
        recurrent("input without negative", abs(weight), own),
        recurrent("recurrent -200, all even", 2 * weight, -200 * ones),
        recurrent("recurrent 200, an odd one beside", weight, 200 * ones, ALTERS,
                  "25 of the 25 recurrent weights"),
        recurrent("both all zero", 0 * weight, 0 * own, FAILS, "all zero"),
    ]  # fmt: skip


def of_biases() -> list[Form]:
    each = np.array([0, 30, 50, 70, 90])
    of_map = np.random.default_rng(8).integers(0, 60, CONV.output_shape)
    rows = [
        ("scalar", "d", np.int64(30), np.full(5, 30), RUNS, ""),
        ("one element", "d", np.array([30]), np.full(5, 30), RUNS, ""),
        ("uint8", "d", each.astype(np.uint8), each, RUNS, ""),
        ("with a fraction", "d", each + 0.5, each, LOADS, ""),
        ("beyond 16 bits", "d", each * 1000, each * 1000, ALTERS, "16 bits"),
        ("of maps, one per channel, (C,)", "c", np.array([9, 40]), np.array([9, 40]), RUNS, ""),
        ("of maps, (W, H, C)", "c", of_map.transpose(), of_map.reshape(-1), RUNS, ""),
        ("of maps, (neurons,)", "c", of_map.reshape(-1), of_map.reshape(-1), FAILS, "(C,) or"),
        ("of maps, scalar", "c", np.int64(9), np.full(24, 9), FAILS, "(C,) or (W, H, C)"),
        ("of maps, one element", "c", np.array([9]), np.full(24, 9), FAILS, "(C,) or (W, H, C)"),
    ]
    return [
        Form(key="bias", form=form, layer=layer, stored={"bias": value}, means=having(bias=means),
             lava=lava, refused=refused)
        for form, layer, value, means, lava, refused in rows
    ]  # fmt: skip


def of_messages() -> list[Form]:
    return [
        Form(key="messageBits", form="of CUBA neurons", layer="d",
             stored={"neuron/messageBits": 8}, means=same, lava=FAILS, refused="messageBits"),
        Form(key="messageBits", form="of SDNN neurons", layer="n",
             stored={"neuron/messageBits": 16}, means=same, lava=FAILS, refused="messageBits"),
    ]  # fmt: skip


def deltas(form: str, value: Any, means: int, lava: str = RUNS, refused: str = "") -> Form:
    """A form of the threshold of sigma-delta neurons."""
    return Form(
        key="vThMant", form=f"SDNN: {form}", layer="n", stored={"neuron/vThMant": value},
        means=having(neuron=SigmaDeltaNeuron(threshold=means)), lava=lava, refused=refused,
    )  # fmt: skip


def of_sigma_delta() -> list[Form]:
    wide, high = np.array([-(1 << 17), 0, 3, -9, 40]), 1 << 19
    of_map = np.random.default_rng(9).integers(-9, 60, FILM.layers[0].output_shape)
    each = np.random.default_rng(9).integers(0, 3, (5, 24))
    rows = [
        ("bias", "SDNN: beyond 16 bits", "n", {"bias": wide}, having(bias=wide), RUNS, ""),
        ("bias", "SDNN: beyond 20 bits", "n", {"bias": wide * 5}, same, ALTERS, "20 bits"),
        ("bias", "SDNN: of maps, (W, H, C)", "m", {"bias": of_map.transpose()},
         having(bias=of_map.reshape(-1)), RUNS, ""),
        ("bias", "SDNN: beside sigma_output", "o", {"bias": np.array([1, 2, 3])}, same, FAILS,
         "Lava fails on it"),
        ("sigma_output", "false", "o", {"neuron/sigma_output": False}, same, RUNS, ""),
        ("sigma_output", "of the input", "input", {"neuron/sigma_output": True}, same, RUNS, ""),
        ("vThMant", "SDNN: beside sigma_output", "o", {"neuron/vThMant": 77}, same, RUNS, ""),
        ("weight", "SDNN: of the input", "input", {"weight": 7, "bias": 3}, same, RUNS, ""),
        ("delay", "SDNN: one per synapse", "n", {"delay": each},
         weighing(FILM.layers[1].synapses.weight, delay=each), RUNS, ""),
    ]  # fmt: skip
    return [
        deltas("one element", np.array([2]), 2),
        deltas("one per neuron", np.array([0, 1, 2, 3, 4]), 2, FAILS, "one number for all"),
        deltas("float that is whole", np.float32(2), 2),
        deltas("with a fraction", 1.3, 1, ALTERS, "twelve binary places"),
        deltas("truth value", np.True_, 1),
        deltas("uint16, int32 or int16 up to 7", np.int16(7), 7),
        deltas("int16 from 8 on", np.int16(9), 9, ALTERS, "times 4096 it does not fit int16"),
        deltas("int32 from 2^19 on", np.int32(high), high - 1, ALTERS, "it does not fit int32"),
        deltas("int64 from 2^19 on", np.int64(high), high - 1, FAILS, "the 32 bits of Lava"),
        deltas("uint8 or int8", np.uint8(1), 1, FAILS, "on which Lava fails"),
        deltas("negative", np.int64(-3), -3),
        *(Form(key=key, form=form, layer=layer, stored=stored, means=means, lava=lava,
               refused=refused)
          for key, form, layer, stored, means, lava, refused in rows),
    ]  # fmt: skip


FORMS = [
    *of_neurons(), *of_delays(), *of_weights(), *of_recurrent(), *of_biases(), *of_messages(),
    *of_sigma_delta(),
]  # fmt: skip

_HEAD = """# Numbers in `.net` files

What tssl reads is what Lava runs; what Lava alters or fails on is refused, and the message says
which. `tests/lava_runtime/test_forms.py` tries every line on Lava's simulator and on tssl's engine,
spike for spike, with lava-nc 0.10.0 and lava-dl 0.6.0.
`python -m tests.lava_runtime.forms > docs/net-forms.md` writes the page.

"Loads it as another number" means that lava-dl cuts fractions toward zero and clamps delays to
0..62 while it loads the file; tssl reads the same number, so engine and Lava agree. Where Lava
"fails", plain Lava often hangs. N stands for the neurons of a dense layer; maps are (C, H, W),
which Lava holds as (W, H, C).

| key | form in the file | Lava | tssl |
|---|---|---|---|
"""


def page() -> str:
    """Return the table for people."""
    rows = []
    for form in FORMS:
        ours = f"refuses it: `... {form.refused} ...`" if form.refused else "reads it"
        rows.append(f"| {form.key} | {form.form} | {form.lava} | {ours} |\n")
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(page())
