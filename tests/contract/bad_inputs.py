"""What users and broken files do wrong, as a table: command, exit status, message.

Every case runs in a folder of its own that holds copies of the good files of :func:`good_files`;
``python -m tests.contract.bad_inputs > docs/bad-input.md`` writes the table for people.
"""

import contextlib
import io
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

import tssl
from tests.contract.bad_files import (
    DENSE,
    LOG,
    NAMED,
    TRAP,
    Make,
    Trap,
    altered,
    arrays,
    both,
    checkpoint,
    events,
    failing,
    file,
    film,
    folder,
    half,
    idx,
    labels,
    liar,
    log,
    named_files,
    net,
    note,
    npy,
    own,
    own_arrays,
    profile,
    put,
    recipe,
    recordings,
    result,
    samples,
    stored,
    sweep,
    tar,
    training,
    weights,
)
from tests.contract.nir_files import graph
from tests.exchange.nir.files import lif, linear
from tssl.cli import run_command

USAGE, TARGET, BACKEND, TIME_OUT = 2, 3, 5, 6


@dataclass(frozen=True)
class Case:
    """One bad input.

    Parameters
    ----------
    command
        As typed, without ``tssl``.
    wrong
        In words; it is the name of the case.
    names
        File, flag or value that the message must name.
    says
        What else the message must contain.
    environment
        Variables; ``$PWD`` stands for the folder of the case.
    """

    command: str
    wrong: str
    names: str
    says: str
    make: Make | None = None
    code: int = USAGE
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def typed(self) -> str:
        """The command with its environment, as typed."""
        words = [f"{name}={value}" for name, value in self.environment.items()]
        return " ".join([*words, "tssl", self.command])


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str
    before: dict[str, bytes]
    after: dict[str, bytes]

    @property
    def message(self) -> str:
        """The error, without what all errors begin with."""
        return self.err.removeprefix("tssl: error: ").strip()


LONG = "n" * 256
"""A longer name than file systems have."""
T = "train bad.toml --out new"
FASHION = "data fetch fashion-mnist --data-dir data"
IMAGES = "train-images-idx3-ubyte"
NMNIST = "data fetch nmnist --data-dir data"
ANGLES = """name = "bad"
[data]
name = "digit-angles"
[network]
layers = [{ type = "dense", neurons = 1 }]
"""
SHOW, FETCH, PAIRS = "data show data", "data fetch data", "data show x.npz"
DAT = b"% Width 3\n% Height 3\n\0\x08" + bytes(8)
TACTILE = "data fetch tactile-objects --data-dir data"
CIFAR = "run digits.net --backend engine --data cifar10 --data-dir data"
EXPORT = "export bad.safetensors --target loihi2 -o bad.net"
RUN = "run digits.net --backend engine"
ARRAY = f"{RUN} --input x.npy"
LABELS = f"{ARRAY} --labels y.npy"
REPORT = "report result --profile loihi2"
CHECK = "profiles check bad.toml"
PRICE = "value = 23.6e-12"
NIR = "nir read bad.nir -o new"
NIR_EXPORT = "export bad.nir --target loihi2 -o new.net --no-lava"
SWEEP = "sweep digits --out new --over"
SIM = "run digits.net --backend sim --samples 1 --out new"

CALIBRATE = "profiles calibrate bad.csv --base loihi2 -o new.toml"

CASES: dict[str, list[Case]] = {
    "Command line": [
        Case("trian", "a command that is not there", "trian", "No such command"),
        Case("profiles", "a group without its command", "tssl profiles --help", "Missing command"),
        Case("inspect", "a missing argument", "NET", "Missing argument"),
        Case("recipes --jsno", "an option that is not there", "--jsno", "No such option"),
        Case("export run", "a missing option", "--target", "Missing option"),
        Case("inspect ''", "an empty path, as of an unset variable", "'NET'", "path is empty"),
        Case("train digits --out ''", "an empty folder", "'--out'", "path is empty"),
    ],
    "Training: flags": [
        Case("train", "neither recipe nor run", "RECIPE", "--from RUN or --resume DIR"),
        Case("train digit", "an unknown recipe", "'digit'", "neither a file nor a shipped recipe"),
        Case("train run", "a folder as a recipe", "run: is a run and no recipe", "--resume run"),
        Case("train digits --epochs x", "no number", "--epochs", "'x' is not a valid integer"),
        Case("train digits --epochs 0", "no epochs", "training.epochs", "(given: 0)"),
        Case(f"train digits --epochs 1{'0' * 30}", "epochs without end", "training.epochs",
             "less than or equal to 1000000000"),
        Case("train digits --lr nan", "a rate that is no number", "training.lr", "a finite number"),
        Case("train digits --lr -1", "a negative rate", "training.lr", "greater than 0"),
        Case("train digits --lr 1e300", "a rate beyond single precision", "training.lr",
             "between 1e-30 and 1e+30"),
        Case("train digits --seed -1", "a negative seed", "training.seed", "(given: -1)"),
        Case("train digits --device tpu", "an unknown device", "--device", "'tpu' is not one of"),
        Case("train digits --set lr", "no value", "--set 'lr'", "expected KEY=VALUE"),
        Case("train digits --set epocs=3", "a misspelt key", "epocs", "did you mean 'epochs'?"),
        Case("train digits --set network.layers.0=5", "a key inside a list",
             "network.layers.0", "layers is not a table"),
        Case("train digits --set training.rule=magic", "an unknown rule", "'magic'", "known rules"),
        Case("train digits --set name=../../x", "a name that leads out of runs/", "'../../x'",
             "must be letters from A to Z, digits"),
        Case(f"train digits --set layers={'[' * 3000}", "brackets without end", "network.layers",
             "[[[..."),
        Case("train digits --data-dir none", "a data folder that is not there", "none",
             "is not a folder"),
        Case("train digits --out digits.net", "a file as the folder of the run", "digits.net",
             "is a file"),
        Case("train digits --out digits.net/x", "a folder below a file", "digits.net/x",
             "cannot be written"),
        Case(f"train {LONG}", "a name that is too long", "nnn", "File name too long"),
        Case("train digits --epochs 1 --out run", "a folder with another run", "run",
             "go on with `tssl train --resume run` or choose another folder"),
        Case("train digits --epochs 1 --out new", "a number of processes that is none",
             "WORLD_SIZE = 'two'", "no count of processes", environment={"WORLD_SIZE": "two"}),
        Case("train digits --epochs 1 --out new", "a process that is not there", "RANK = 3",
             "WORLD_SIZE = 1", environment={"RANK": "3"}),
        Case("train digits --epochs 1 --out new", "processes that were never started",
             "WORLD_SIZE = 2", "start with torchrun", code=BACKEND,
             environment={"WORLD_SIZE": "2"}),
    ],
    "Training: going on": [
        Case("train --resume result", "no run", "result", "recipe.toml is missing"),
        Case("train --resume run --lr 1", "another rate", "--resume run", "only --epochs may"),
        Case("train --resume run --out new", "another folder", "--out", "its own folder"),
        Case("train --resume run --epochs 2", "half a state", "run/state.safetensors",
             "cannot be read as a checkpoint", half("run/state.safetensors")),
        Case("train --resume run", "a damaged recipe in the run", "run/recipe.toml",
             "not valid TOML", file("run/recipe.toml", "name = ")),
        Case("train --from none", "weights that are not there", "--from none", "no recipe.toml"),
        Case("train digits --set rule=sigma-delta --out new", "changes of values that come again",
             "encoding.input = 'graded'", "rule sigma-delta has an input that sends changes"),
        Case("train digits --from digits.net --out new", "a network as weights", "digits.net",
             "is exported already"),
        Case("train --from run --set tau_m=4 --out new", "weights of another network", "--from run",
             "another [network]"),
        Case("train --from run --set forward=chip --target loihi3", "an unknown target",
             "'loihi3'", "no hardware profile"),
        Case("train --from run --set forward=chip --target speck --out new",
             "a target without such neurons", "Speck", "nothing can be exported", code=TARGET),
        Case("train digits --target loihi1 --out new", "a target of training from nothing",
             "--target", "--from RUN"),
        Case("train --from run --target loihi1 --out new", "a target of training in floating point",
             "--target loihi1", "forward=chip"),
        Case("train digits --set forward=chip --epochs 1 --out new", "chip integers from nothing",
             "training.epochs = 1", "--from"),
    ],
    "Recipes": [
        Case(T, "a number of five thousand digits", "bad.toml", "not valid TOML",
             file("bad.toml", f"x = {'9' * 4990}")),
        Case(T, "a file that is no recipe by its size", "bad.toml", "too large",
             file("bad.toml", f"x = {'9' * 5000}")),
        Case(T, "an empty file", "bad.toml", "key 'name' is missing", file("bad.toml")),
        Case(T, "damaged TOML", "bad.toml", "not valid TOML", file("bad.toml", "name = ")),
        Case(T, "not UTF-8", "bad.toml", "a text in TOML", file("bad.toml", b"\xff\xfe\0")),
        Case(T, "brackets without end", "bad.toml", "not valid TOML",
             file("bad.toml", "a = " + "[" * 4990)),
        Case(T, "an unknown table", "'trainign'", "did you mean 'training'?",
             recipe(tables="[trainign]\nepochs = 1")),
        Case(T, "an unknown key", "'training.epoch'", "did you mean 'epochs'?",
             training("epoch = 3")),
        Case(T, "a text for a number", "training.lr", "must be a valid number (given: 'fast')",
             training('lr = "fast"')),
        Case(T, "infinity", "network.tau_s", "must be a finite number",
             recipe(network="tau_s = inf")),
        Case(T, "a time constant below a step", "network.tau_m", "greater than or equal to 1",
             recipe(network="tau_m = 0.5")),
        Case(T, "steps without end", "network.time_steps", "equal to 1000000",
             recipe(network="time_steps = 10000000")),
        Case(T, "steps without a target", "network.time_steps = 7", "use training.loss",
             recipe(network="time_steps = 7")),
        Case(T, "no layers", "network.layers", "at least one layer", recipe("")),
        Case(T, "an unknown layer", "network.layers.0.type", "'lstm'", recipe('{ type = "lstm" }')),
        Case(T, "a layer without a type", "network.layers.0.type", "is missing",
             recipe("{ neurons = 10 }")),
        Case(T, "more neurons than anything has", "network.layers.0.neurons",
             "less than or equal to 1000000000",
             recipe('{ type = "dense", neurons = 1000000000000 }')),
        Case(T, "more weights than the machine holds", "network.layers", "GiB of memory",
             recipe('{ type = "dense", neurons = 1000000000 },' * 2 + DENSE)),
        Case(T, "the wrong number of classes", "4 neurons", "digits has 10 classes",
             recipe('{ type = "dense", neurons = 4 }')),
        Case(T, "a picture at the end", "conv1, gives a picture 10 x 1 x 1", "add a dense layer",
             recipe('{ type = "conv", channels = 10, kernel = 8 }')),
        Case(T, "a kernel larger than the picture", "conv1 with kernel (9, 9)",
             "does not fit an input of shape (1, 8, 8)",
             recipe('{ type = "conv", channels = 2, kernel = 9 },' + DENSE)),
        Case(T, "a convolution behind a dense layer", "layer conv2", "cannot follow a dense",
             recipe(DENSE + ', { type = "conv", channels = 2, kernel = 1 }')),
        Case(T, "a leaky integrator before the end", "layer dense1",
             "only the last layer can have it",
             recipe(f'{{ type = "dense", neurons = 9, neuron = "li" }}, {DENSE}')),
        Case(T, "a leaky integrator with a threshold", "network.layers.0", "leave threshold out",
             recipe('{ type = "dense", neurons = 10, neuron = "li", threshold = 1.0 }')),
        Case(f"{T} --set rule=lee", "a leaky integrator under another rule",
             "layer dense1", "use training.rule = 'tssl-bp' or a surrogate",
             recipe('{ type = "dense", neurons = 10, neuron = "li" }')),
        Case(f"{T} --set loss=kernel", "a loss of spikes for a leaky integrator",
             "training.loss = 'kernel'", "has cross-entropy",
             recipe('{ type = "dense", neurons = 10, neuron = "li" }')),
        Case(T, "a pool at the end", "network", "the last layer must have neurons that learn",
             recipe('{ type = "pool", kernel = 2 }')),
        Case(T, "a stride of whole maps", "network.layers.0", "leave stride and padding out",
             recipe('{ type = "pool", kernel = "global", stride = 2 },' + DENSE)),
        Case(T, "a pool of zeros", "padding = (2, 2)", "more than half of kernel = (3, 3)",
             recipe('{ type = "pool", kernel = 3, padding = 2 },' + DENSE)),
        Case(T, "windows that overlap, in integers", "windows of pool pool1 overlap",
             "use forward = 'float', or windows side by side",
             recipe('{ type = "pool", kernel = 3, stride = 2 },' + DENSE,
                    tables='[training]\nforward = "chip"')),
        Case(T, "a concat at the end", "network", "neurons that learn; it is a concat",
             recipe(f'{NAMED}, {{ type = "concat", from = ["a", "input"] }}')),
        Case(T, "a concat of one", "network.layers.1.from", "at least two layers",
             recipe(f'{NAMED}, {{ type = "concat", from = ["a"] }}, {DENSE}')),
        Case(T, "maps of two sizes side by side", "concat2", "and input of shape (1, 8, 8)",
             recipe('{ type = "conv", name = "a", channels = 4, kernel = 3 }, '
                    f'{{ type = "concat", from = ["a", "input"] }}, {DENSE}')),
        Case(T, "a convolution behind neurons side by side", "layer conv3", "concat2 sends none",
             recipe(f'{NAMED}, {{ type = "concat", from = ["a", "input"] }}, '
                    f'{{ type = "conv", channels = 2, kernel = 1 }}, {DENSE}')),
        Case(T, "a gate of a concat", "gate4", "no input, no concat",
             recipe(f'{NAMED}, {{ type = "concat", from = ["a", "input"] }}, {{ type = "dense", '
                    'neurons = 80, name = "b" }, { type = "gate", function = "and", '
                    f'from = ["b", "concat2"] }}, {DENSE}')),
        Case(T, "a concat for a rule without one", "layer concat2", "rule st-rsbp has dense layers",
             recipe(f'{NAMED}, {{ type = "concat", from = ["a", "input"] }}, {DENSE}',
                    network="tau_s = 1", tables="[training]\nrule = 'st-rsbp'")),
        Case(T, "groups that do not divide", "groups = 2", "do not divide the 1 channels",
             recipe('{ type = "conv", channels = 2, kernel = 3, groups = 2 },' + DENSE)),
        Case(T, "a pair of three", "network.layers.0.kernel", "a pair (height, width)",
             recipe('{ type = "conv", channels = 2, kernel = [1, 2, 3] },' + DENSE)),
        Case(T, "pixels beyond 32 bits", "encoding", "more than the 32 bits of a spike",
             recipe(tables="[encoding]\nstd = 1e-9")),
        Case(T, "rounded factors of the chip's integers", "precision", "would round the integers",
             training('forward = "chip"\nprecision = "bfloat16"')),
        Case("train digits --set precision=tf32 --device cpu --out new", "tensor cores of a CPU",
             "training.precision = 'tf32'", "use --device cuda"),
        Case(T, "patience with nothing held out", "patience", "set validation above 0",
             training("validation = 0\npatience = 3")),
        Case(T, "an unknown data set", "'stars'", "is unknown",
             file("bad.toml", f'name = "x"\n[data]\nname = "stars"\n[network]\nlayers=[{DENSE}]')),
        Case(T, "a bin for pictures", "data.bin_us", "holds pictures",
             recipe(data="bin_us = 3000")),
        Case("recipes nothing", "a recipe that is not there", "'nothing'", "shipped recipe"),
        Case(T, "a penalty that the rule has not", "training.operations_penalty",
             "only rules that train on potentials",
             recipe(network="tau_s = 1", tables="[training]\nrule = 'st-rsbp'\n"
                    "operations_penalty = 1")),
    ],
    "Data": [
        Case("data fetch stars", "an unknown data set", "'stars'", "is unknown"),
        Case("data list --data-dir none", "a folder that is not there", "none", "not a folder"),
        Case("data fetch mnist", "no network", f"{IMAGES}.gz",
             "cannot be downloaded; mirrors tried", environment={"https_proxy": "127.0.0.1:9"}),
        Case("data fetch mnist", "a cache that cannot be written", "digits.net",
             "cannot be written", environment={"XDG_CACHE_HOME": "$PWD/digits.net"}),
        Case(FASHION, "half a file", f"data/{IMAGES}.gz", "unfinished copy",
             both(idx(IMAGES, b"\0\0\x08\3", 60000, 28, 28), half(f"data/{IMAGES}.gz"))),
        Case(FASHION, "an error page for a file", f"data/{IMAGES}.gz", "an IDX file starts with",
             file(f"data/{IMAGES}.gz", "<html>")),
        Case(FASHION, "another IDX type", f"data/{IMAGES}.gz", "IDX type 0x09",
             idx(IMAGES, b"\0\0\x09\3", 60000, 28, 28)),
        Case(FASHION, "fewer pictures than announced", f"data/{IMAGES}.gz", "ends early",
             idx(IMAGES, b"\0\0\x08\3", 60000, 28, 28)),
        Case(FASHION, "labels for pictures", f"data/{IMAGES}.gz", "exchanged?",
             idx(IMAGES, b"\0\0\x08\1", 60000, content=bytes(60000))),
        Case(CIFAR, "a pickle that runs code", "test_batch", "is not the published file",
             file("data/test_batch", TRAP)),
        Case(CIFAR, "a pickle for an archive", "data/cifar-10-python.tar.gz", "damaged tar",
             file("data/cifar-10-python.tar.gz", TRAP)),
        Case(CIFAR, "a member that leads out of the archive", "data/cifar-10-python.tar.gz",
             "is not the published file", tar("cifar-10-python.tar.gz", "../../test_batch", TRAP)),
        Case(NMNIST, "nothing", "nmnist", "cannot be downloaded", folder("data")),
        Case(NMNIST, "half an event", "data/nmnist.zip: Train/0/1.bin", "events of 5 bytes",
             events(bytes(7), "Train/0/1.bin", "Test/0/1.bin")),
        Case(NMNIST, "an event outside the picture", "data/nmnist.zip: Train/0/1.bin",
             "outside 34 x 34", events(b"\xff" * 5, "Train/0/1.bin", "Test/0/1.bin")),
        Case(NMNIST, "a recording twice", "data/nmnist.zip", "number 1 of digit 0 twice",
             events(bytes(5), "Train/0/1.bin", "Test/0/1.bin", "x/Train/0/1.bin")),
        Case(NMNIST, "a damaged archive", "data/nmnist.zip", "damaged zip",
             file("data/nmnist.zip", "PK hello")),
        Case(TACTILE, "an error page for a zip", "data/Ev-Objects.zip", "is a damaged tar",
             file("data/Ev-Objects.zip", "<html>")),
        Case(TACTILE, "a zip without recordings", "data/Ev-Objects.zip",
             "holds 0 recordings in train/, expected 576", recordings(None)),
        Case(TACTILE, "an array of another shape", "train/sample_0_label_0.npy",
             "expected float32 of (39, 2, 250)", recordings(np.zeros((39, 2, 25), np.float32))),
        Case(TACTILE, "an array of counts", "train/sample_0_label_0.npy", "expected 0 and 1",
             recordings(np.full((39, 2, 250), 3, np.float32))),
        Case(TACTILE, "a label too high", "train/sample_0_label_36.npy", "labels are 0..35",
             recordings(np.zeros((39, 2, 250), np.float32), 36)),
        Case("train bad.toml --data-dir data --out new", "frames shorter than the recorded",
             "bin_us = 10000", "is shorter than a recorded one, 20000 us",
             both(folder("data"), file(
                 "bad.toml", 'name = "x"\n[data]\nname = "tactile-objects"\nbin_us = 10000\n'
                 '[network]\nlayers=[{ type = "dense", neurons = 36 }]'))),
    ],
    "Own data": [
        Case("train digits --data none.npz --out new", "a path that leads nowhere", "'none.npz'",
             "is unknown; there are cifar10"),
        Case("data show x.zip", "an archive", "x.zip", "is packed; unpack it",
             file("x.zip", b"PK\3\4")),
        Case(SHOW, "files of a named data set", "data: holds the files of data set",
             "with --data-dir",
             named_files),
        Case(SHOW, "a folder with nothing in it", "data: holds nothing that is recognised",
             "what can be read: arrays x_train", folder("data")),
        Case(SHOW, "recordings among pictures", "data: holds 1 recordings of 5 bytes an event",
             "and 1 pictures; keep samples of one kind",
             both(file("data/a/1.bin", bytes(5)), file("data/b/1.png"))),
        Case(SHOW, "one class", "data: holds 1 recordings", "all of class 'a'; a folder for each",
             file("data/a/1.bin", bytes(5))),
        Case(SHOW, "a class of the test split that training lacks", "class 'c'",
             "is in test/ and not in train/",
             both(samples("bin", bytes(5)), file("data/test/c/1.bin"))),
        Case(SHOW, "a table of labels that leads out", "labels.csv, line 2",
             "'../x.npy' leads out of the folder",
             file("data/labels.csv", "file,label\n../x.npy,1\n")),
        Case(f"{SHOW} --set size=[0,1]", "no size", "data.size.0", "must be greater than 0",
             folder("data")),
        Case(f"{SHOW} --set sise=1", "a misspelt key", "'data.sise'", "did you mean 'size'?"),
        Case(FETCH, "half an event", "data/train/b/2.bin", "not a whole number of events of 5",
             samples("bin", bytes(7))),
        Case(FETCH, "time that goes back", "data/train/b/2.bin: event 2", "a counter that wrapped",
             samples("bin", b"\0\0\0\0\x09" + bytes(5))),
        Case(FETCH, "another sensor", "data/train/b/2.dat", "is of a sensor of (2, 9, 9)",
             samples("dat", DAT.replace(b"3", b"9"), DAT)),
        Case(FETCH, "times without a unit", "data/train/a/1.csv", "set data.time_unit = 'us'",
             samples("csv", b"", b"1,1,5,0\n")),
        Case(FETCH, "no events at all", "data: holds no event in any", "of its recordings",
             samples("bin", b"", b"")),
        Case(FETCH, "sound that is none", "data/train/a/1.wav", "cannot be read as sound",
             both(samples("wav", b"hello", b"hello"))),
        Case(PAIRS, "floats without a range", "x.npz: holds float64 from 0 to 1",
             "data.range = [0, 1]", own_arrays(x_train=np.eye(4))),
        Case(PAIRS, "an array with a hole", "x_train[1, 0] is nan", "expected numbers",
             own_arrays(x_train=np.array([[0.0], [np.nan], [0], [0]]))),
        Case(PAIRS, "labels below 0", "y_train holds -1", "labels begin at 0",
             own_arrays(y_train=np.array([0, 1, -1, 1]))),
        Case(PAIRS, "targets with a hole", "x.npz: y_train[1, 0] is nan", "expected numbers",
             own_arrays(y_train=np.array([[0.5], [np.nan], [0], [0]]))),
        Case(f"{PAIRS} --set targets=classes", "numbers where classes are wanted",
             "y_train is float64", "data.targets = 'numbers'",
             own_arrays(y_train=np.array([0.5, 1, 0, 1]))),
        Case(f"{PAIRS} --set targets=numbers", "text where numbers are wanted", "y_train is <U1",
             "expected numbers", own_arrays(y_train=np.array(list("abab")))),
        Case("train bad.toml --out new", "a rule for classes, and data with numbers",
             "training.rule = 'tssl-bp'", "rule sigma-delta has one",
             file("bad.toml", ANGLES)),
        Case("train fashion-mnist-sdnn --data digits --set loss=squares --out new",
             "a loss for numbers, and data with classes", "training.loss = 'squares'",
             "has cross-entropy"),
        Case("run digits.net --backend engine --data digit-angles",
             "numbers for a network of classes", "its targets are numbers", "says classes"),
        Case(PAIRS, "a label too few", "4 samples and 3 labels", "in y_train",
             own_arrays(y_train=np.array([0, 1, 0]))),
        Case(PAIRS, "arrays without labels", "x.npz: holds no array y_train", "needed are x_train",
             lambda: np.savez("x.npz", x_train=np.eye(3))),
        Case("train digits --data x.npz --out new", "other classes than the network's",
             "10 neurons", "data set x has 2 classes", own_arrays()),
        Case("train digits --data x.npz --set network.layers.1.neurons=1 --out new",
             "samples of one class", "data set x", "there is nothing to tell apart",
             own_arrays(y_train=np.zeros(4, int), x_test=np.zeros((1, 1, 8, 8), np.uint8),
                        y_test=np.zeros(1, int))),
        Case("run digits.net --backend engine --data x.npz", "other shapes than the network's",
             "data set x has samples of shape (1, 4, 16)", "takes (1, 8, 8)",
             own_arrays(x_train=np.zeros((4, 4, 16), np.uint8))),
        Case(T, "a path beside a name", "bad.toml: data",
             "give either name, of a data set, or path", recipe(data='path = "x.npz"')),
        Case(T, "a setting that named data have no use for", "data.range", "have no use for it",
             recipe(data="range = [0, 1]")),
    ],
    "Checkpoints": [
        Case("export none --target loihi2", "nothing", "none", "does not exist"),
        Case(EXPORT, "text", "bad.safetensors", "cannot be read as a checkpoint",
             file("bad.safetensors", "hello")),
        Case(EXPORT, "half a file", "bad.safetensors", "cannot be read as a checkpoint",
             half("run/best.safetensors", "bad.safetensors")),
        Case(EXPORT, "a header without end", "bad.safetensors", "cannot be read as a checkpoint",
             file("bad.safetensors", b"\xff" * 8 + b"{}")),
        Case(EXPORT, "a pickle that runs code", "bad.safetensors",
             "cannot be read as a checkpoint", file("bad.safetensors", TRAP)),
        Case(EXPORT, "a file of another program", "bad.safetensors", "was not written by tssl",
             file("bad.safetensors", (2).to_bytes(8, "little") + b"{}")),
        Case(EXPORT, "altered after training", "bad.safetensors", "was altered",
             altered("run/best.safetensors", "bad.safetensors")),
        Case(EXPORT, "another version", "bad.safetensors", "format_version = 99",
             stored(format_version=99)),
        Case(EXPORT, "a damaged recipe inside", "bad.safetensors", "key 'name' is missing",
             stored(recipe={})),
        Case(EXPORT, "a shape below zero", "bad.safetensors", "input_shape = [1, -8, 8]",
             stored(input_shape=[1, -8, 8])),
        Case(EXPORT, "a layer without weights", "bad.safetensors", "no weights for layer dense2",
             checkpoint(lambda arrays, _: arrays.pop("dense2"))),
        Case(EXPORT, "weights of another shape", "bad.safetensors", "(16, 63), not (16, 64)",
             weights(dense1=np.zeros((16, 63), np.float32))),
        Case(EXPORT, "weights that are no numbers", "bad.safetensors", "not finite numbers",
             weights(dense1=np.nan)),
        Case(EXPORT, "a dead layer", "layer dense1", "all weights are zero", weights(dense1=0),
             TARGET),
        Case(EXPORT + " --no-lava --samples 9", "a layer that never fires", "dense1",
             "is dead", weights(dense1=-1), TARGET),
        Case(EXPORT, "a name that leads out of the folder", "bad.safetensors", "'../../x'",
             checkpoint(lambda _, document: document["recipe"].update(name="../../x"))),
    ],
    "Export": [
        Case("export run --target loihi3", "an unknown target", "'loihi3'", "shipped are"),
        Case("export run --target cmos45", "a target without fields", "45 nm CMOS",
             "nothing can be exported", code=TARGET),
        Case("export run --target loihi1 -o bad.net", "graded input for binary spikes",
             "values up to 16", "encoding.resolution", code=TARGET),
        Case("export run --target loihi2 -o a.h5", "another ending", "a.h5", "must end in .net"),
        Case("export run --target loihi2 -o result", "a folder for a file", "'result'",
             "is a directory"),
        Case("export run --target loihi2 --weight-bits 1", "too few bits", "--weight-bits",
             "2...8 bits are possible"),
        Case("export run --target loihi2 --weight-bits dense9=4", "bits of no layer",
             "--weight-bits dense9=4", "the layers are dense1, dense2"),
        Case("export run --target loihi2 --weight-bits many", "bits that are no number",
             "--weight-bits many", "expected N or LAYER=N"),
        Case("export run --target loihi2 --proof-samples 0", "nothing to prove",
             "--proof-samples", "x>=1"),
        Case("export run --target loihi2 --bundle run", "a bundle among other files", "run",
             "not empty and not a bundle"),
        Case("export run --target loihi1 --bundle new", "a bundle of what does not fit",
             "values up to 16", "another target", code=TARGET),
        Case("export run --target loihi2 --timeout 0", "no time", "--timeout", "0<x<="),
        Case("export run --target loihi2 --workers 65", "too many workers", "--workers",
             "1<=x<=64"),
        Case("export run --target loihi2 -o bad.net --samples 9", "a Lava that is not there",
             "none/python", "tssl lava install", code=BACKEND,
             environment={"TSSL_LAVA_PYTHON": "none/python"}),
    ],
    ".net files": [
        Case("inspect bad.net", "nothing", "bad.net", "No such file"),
        Case("inspect none", "a folder that holds no result", "none", "tssl run", folder("none")),
        Case("inspect digits.net --figures f", "figures of a network", "--figures f", "--record"),
        Case("inspect bad.net", "not HDF5", "bad.net", "is not an HDF5 file",
             file("bad.net", "hello")),
        Case("inspect bad.net", "a pointer of Git LFS", "bad.net", "`git lfs pull`",
             file("bad.net", "version https://git-lfs.github.com/spec/v1\n"
                  "oid sha256:" + 64 * "0" + "\nsize 611968\n")),
        Case("inspect /dev/null", "a device", "/dev/null", "save it to a file first"),
        Case("inspect bad.net", "half a file", "bad.net", "is not an HDF5 file",
             half("digits.net", "bad.net")),
        Case("inspect bad.net", "HDF5 of another program", "bad.net", "no key 'layer'",
             net(lambda opened: opened.pop("layer"))),
        Case("inspect bad.net", "a layer missing between others", "bad.net",
             "'layer/1' is missing", net(lambda opened: opened.pop("layer/1"))),
        Case("inspect bad.net", "no weights", "bad.net", "'/layer/2/weight' is missing",
             put("layer/2/weight", None)),
        *(Case("inspect bad.net", f"a layer of type {kind}", f"type '{kind}'", "is not supported",
               put("layer/2/type", kind), TARGET)
          for kind in ("pool", "average", "concat", "gru")),
        Case("inspect bad.net", "a neuron of another kind", "neuron type 'RF'", "CUBA, LOIHI",
             put("layer/2/neuron/type", "RF"), TARGET),
        Case("inspect bad.net", "weights that are no numbers", "bad.net", "/layer/2/weight",
             put("layer/2/weight", np.full((16, 64), np.nan))),
        Case("inspect bad.net", "weights for another input", "bad.net", "expects 63 inputs",
             put("layer/2/weight", np.arange(16 * 63).reshape(16, 63) % 9 - 4), TARGET),
        Case("inspect bad.net", "weights that Lava would clip", "layer dense1", "-256..254",
             put("layer/2/weight", np.arange(1024).reshape(16, 64) - 512), TARGET),
        Case("inspect bad.net", "weights that Lava would alter", "layer dense1", "Lava alters it",
             put("layer/2/weight", -np.ones((16, 64), np.int64)), TARGET),
        Case("inspect bad.net", "a threshold in a type too narrow", "vThMant", "int16",
             put("layer/2/neuron/vThMant", np.int16(600))),
        Case("inspect bad.net", "a decay above one", "current_decay = 4097", "0..4096",
             put("layer/2/neuron/iDecay", 4097)),
        Case("inspect bad.net", "another shape than the weights give", "'/layer/2/shape'",
             "(17,), but the layer computes (16,)", put("layer/2/shape", [17])),
        Case("inspect bad.net", "altered behind the proof's back", "bad.net", "export again",
             put("layer/2/neuron/vThMant", 7)),
        Case("inspect bad.net", "a sigma-delta threshold beyond its exponent", "threshold = 524288",
             "-524287..524287", film("layer/1/neuron/vThMant", np.int64(1 << 19))),
        Case("inspect bad.net", "a sigma-delta threshold in a type too narrow", "vThMant",
             "times 4096 it does not fit int16", film("layer/1/neuron/vThMant", np.int16(9))),
        Case("inspect bad.net", "a sigma-delta threshold for each neuron", "vThMant",
             "one number for all", film("layer/1/neuron/vThMant", np.array([1, 2]))),
        Case("inspect bad.net", "a sigma-delta activation that Lava ignores", "activation 'tanh'",
             "Lava computes relu", film("layer/1/neuron/activation", "tanh"), TARGET),
        Case("inspect bad.net", "a bias that wraps", "spans 524288..524288", "20 bits",
             film("layer/1/bias", np.full(2, 1 << 19)), TARGET),
        Case("inspect bad.net", "a bias of an output that only adds up", "'/layer/2/bias'",
             "Lava fails on it", film("layer/2/bias", np.array([3])), TARGET),
        Case("inspect bad.net", "bits of messages", "/layer/1", "messageBits, on which Lava fails",
             film("layer/1/neuron/messageBits", 16), TARGET),
        Case("inspect bad.net", "another version", "bad.net", "format_version = 9",
             own(format_version=9)),
        Case("inspect bad.net", "no steps", "bad.net", "time_steps = 0", own(time_steps=0)),
    ],
    "Run and verify": [
        Case("run bad.net --backend engine --input x.npy", "a change that fits no message",
             "layer input: a message of 32768", "does not fit 16 bits", film(frames=512), TARGET),
        Case("run bad.net --backend engine --input x.npy", "messages that add up to one too large",
             "layer a: a message of 70264", "does not fit 16 bits", film(frames=100), TARGET),
        Case("run bad.net --backend loihi2 --input x.npy", "values for a board",
             "layer a: sigma-delta neurons", "use `tssl run --backend sim`", film(), TARGET),
        Case("run digits.net", "no backend", "--backend", "Missing option"),
        Case(RUN + " --record conv7 --out new", "a layer that is not there", "conv7",
             "there are all"),
        Case(RUN + " --record dense1:u --out new", "no such quantity", "dense1:u", "potential"),
        Case("run digits.net --backend loihi2 --record dense1 --out new", "potentials of a board",
             "--record dense1", "':spikes'"),
        Case("diff digits.net none.net", "a second network that is not there", "none.net",
             "No such"),
        Case("run digits.net --backend gpu", "an unknown backend", "'gpu'",
             "there are engine, sim, loihi2"),
        Case(f"{RUN} --data stars", "an unknown data set", "'stars'", "is unknown"),
        Case("run bad.net --backend engine", "data named by the network that are none", "'../x'",
             "is unknown", note(data="../x")),
        Case(f"{RUN} --data digits --input x.npy", "two inputs", "--data or --input", "not both"),
        Case(f"{RUN} --samples 0", "no samples", "--samples 0", "at least 1"),
        Case(f"{RUN} --steps 0", "no steps", "--steps 0", "at least 1"),
        Case(f"{RUN} --steps 1{'0' * 30}", "steps without end", "--steps", "at most 1000000"),
        Case(f"{RUN} --split valid", "an unknown split", "--split", "'valid' is not"),
        Case(f"{RUN} --out run", "a result in a training run", "run", "choose another --out"),
        Case(f"{RUN} --out digits.net/x", "a result below a file", "digits.net/x",
             "cannot be written"),
        Case(SIM, "a Lava that is not there", "none", "tssl lava install", code=BACKEND,
             environment={"TSSL_LAVA_PYTHON": "none"}),
        Case(f"{SIM} --lava-python result/false", "an interpreter that is none", "result/false",
             "ended with code 1", failing("result/false"), BACKEND),
        Case(f"{SIM} --timeout 0.01", "too little time", "0.01 seconds", "--timeout",
             code=TIME_OUT),
        Case(f"{SIM} --timeout nan", "a time that is no number", "--timeout", "nan"),
        Case("run digits.net --backend loihi2 --workers 2 --out new", "two workers on a board",
             "--workers 2", "takes one"),
        Case("verify digits.net --seed 1 --data digits", "random input of a data set", "--seed 1",
             "leave out"),
        Case("report run --profile loihi2", "the folder of a training run", "run",
             "give a folder that `tssl run` wrote"),
        Case("verify digits.net --density 0", "no active input", "--density", "0<x<=1"),
        Case("verify digits.net --seed -1", "a negative seed", "--seed -1", "at least 0"),
        Case("verify bad.net --seed 1", "a range that ends before it begins", "bad.net",
             "input_range: is no range of 32-bit integers",
             note(input_range=[5, 1])),
        Case("verify digits.net --lava-python none", "no Lava to compare with", "none",
             "tssl lava install", code=BACKEND),
    ],
    "Input arrays": [
        Case(ARRAY, "nothing", "x.npy", "No such file"),
        Case(ARRAY, "a folder", "x.npy", "is a directory", folder("x.npy")),
        Case(f"{RUN} --input x.npz", "several arrays", "x.npz", "one called x, is expected",
             lambda: np.savez("x.npz", a=np.zeros(2), b=np.zeros(2))),
        Case(ARRAY, "objects, pickled", "x.npy", "holds Python objects",
             npy(np.array([Trap()], dtype=object))),
        Case(ARRAY, "a pickle", "x.npy", "not a .npy or .npz file", file("x.npy", TRAP)),
        Case(ARRAY, "fractions", "x.npy", "whole numbers", npy(np.full((2, 1, 8, 8), 0.5))),
        Case(ARRAY, "NaN", "x.npy", "whole numbers", npy(np.full((2, 1, 8, 8), np.nan))),
        Case(ARRAY, "more than 32 bits", "x.npy", "32 bits", npy(np.full((2, 1, 8, 8), 1 << 40))),
        Case(ARRAY, "sums beyond 32 bits", "layer dense1", "overflows 32 bits",
             npy(np.full((2, 1, 8, 8), (1 << 31) - 1)), TARGET),
        Case(ARRAY, "another shape", "x.npy", "inputs of shape (2, 7, 7) do not fit",
             npy(np.zeros((2, 7, 7), np.int64))),
        Case(ARRAY, "no samples", "x.npy", "holds no samples",
             npy(np.zeros((0, 1, 8, 8), np.int64))),
        Case(ARRAY, "no steps", "x.npy", "no time steps", npy(np.zeros((2, 0, 1, 8, 8), np.int64))),
        Case(ARRAY, "a header that promises terabytes", "x.npy", "says that it holds", liar),
        Case(f"{ARRAY} --steps 7", "other steps than the file has", "--steps 7",
             "x.npy holds 3 time steps", npy(np.zeros((2, 3, 64), np.int64))),
        Case(LABELS, "labels of other samples", "y.npy", "of shape (3,); one for each sample, (2,)",
             labels([0, 1, 2])),
        Case(LABELS, "a label that no output has", "y.npy", "holds 10; whole numbers from 0 to 9",
             labels([0, 10])),
        Case(LABELS, "labels that are fractions", "y.npy", "holds 0.5", labels([0, 0.5])),
        Case(f"{RUN} --data digits --labels y.npy", "labels of a data set", "--labels", "--input",
             labels([0, 1])),
    ],
    "Results": [
        Case("report none --profile loihi2", "nothing", "none/result.json", "No such file"),
        Case("report digits.net --profile loihi2", "a file", "'digits.net'", "is a file; give the "
             "folder of a result"),
        Case("export result --target loihi2", "a result", "result", "is a result of `tssl run`"),
        Case("nir write result -o new.nir", "a result to write", "result",
             "give the folder of a training run"),
        Case("report result", "no profile", "--profile", "Missing option"),
        Case(f"{REPORT} --profile abacus", "an unknown profile", "'abacus'", "shipped are"),
        Case("report result --profile truenorth", "a chip without such neurons", "layer dense1",
             "IBM TrueNorth", code=TARGET),
        Case(f"{REPORT} --html run", "a folder for a page", "'run'", "is a directory"),
        Case(f"{REPORT} --html digits.net/a.html", "a page below a file", "digits.net",
             "cannot be written"),
        Case(REPORT, "damaged JSON", "result/result.json", "not valid JSON",
             file("result/result.json", "{")),
        Case(REPORT, "another schema", "result/result.json", "schema_version = 9",
             result(schema_version=9)),
        Case(REPORT, "another number of samples", "result/result.npz", "output_spikes",
             result(samples=21)),
        Case(REPORT, "half a file", "result/result.npz", "cannot be read as a run result",
             half("result/result.npz")),
        Case(REPORT, "objects, pickled", "result/result.npz", "allow_pickle=False",
             arrays(output_spikes=np.array([Trap()], dtype=object))),
        Case(REPORT, "counts that are no numbers", "result/result.npz", "synaptic_operations",
             arrays(counts__synaptic_operations=np.full((2, 5), np.nan))),
        Case(REPORT, "an array less", "result/result.npz", "predictions", arrays(predictions=None)),
        Case(REPORT, "another network", "result/network.net", "is not the network that this result",
             result(digest="0" * 64)),
        Case(REPORT, "no network", "result/network.net", "No such file",
             lambda: os.remove("result/network.net")),
    ],
    "Hardware profiles": [
        Case("profiles show abacus", "an unknown name", "'abacus'", "a path must end in .toml"),
        Case(CHECK, "nothing", "bad.toml", "No such file"),
        Case(CHECK, "a folder", "'bad.toml'", "is a directory", folder("bad.toml")),
        Case(CHECK, "damaged TOML", "bad.toml", "not valid TOML", file("bad.toml", "x =")),
        Case(CHECK, "an unknown key", "chip.titel", "is no key of a profile",
             profile("title", "titel")),
        Case(CHECK, "a figure without a source", "energy.synaptic_operation.source", "is missing",
             profile('source = "not published; Loihi 1 (Davies et al. 2018, Table 2, simulated), '
                     'band x0.5 to x2.5; PilotNet LIF comes out 2 to 10 % low"\n', "")),
        Case(CHECK, "a negative price", "energy.synaptic_operation.value",
             "greater than or equal to 0, not -1.0", profile(PRICE, "value = -1.0")),
        Case(CHECK, "a price that is no number", "energy.synaptic_operation.value",
             "must be a finite number", profile(PRICE, "value = nan")),
        Case(CHECK, "a price outside its band", "energy.synaptic_operation", "is above value",
             profile(PRICE, "value = 1e-12")),
        Case(CHECK, "another unit", "'pJ'", "it must be 'J'",
             profile(f'{PRICE}\nunit = "J"', f'{PRICE}\nunit = "pJ"')),
        Case(CHECK, "an unknown kind", "'guess'", "'measured'",
             profile('kind = "estimate"', 'kind = "guess"')),
        Case(CHECK, "an unknown execution", "chip.execution", "'magic'",
             profile('execution = "barrier"', 'execution = "magic"')),
        Case(CHECK, "a reset interval that no chip has", "chip.reset_interval", "'prime'",
             profile('"power of two"', '"prime"')),
        Case(CHECK, "a field wider than any", "limits.weight_bits", "up to 32 bits",
             profile("weight_bits = { value = 8", "weight_bits = { value = 1e9")),
        Case("report result --profile bad.toml", "a mesh without end", "mesh.columns",
             "less than or equal to",
             profile("columns = { value = 8", "columns = { value = 1e300")),
    ],
    "Sweeps": [
        Case("sweep", "neither recipe nor folder", "RECIPE|DIR", "Missing argument"),
        Case("sweep digits --out new", "nothing to try", "--over", "at least one KEY="),
        Case("sweep result --over lr=1,2", "a folder that is no sweep", "'result'",
             "neither a file nor a shipped recipe"),
        Case(f"{SWEEP} lr", "no values", "--over 'lr'", "expected KEY=V1,V2,..."),
        Case(f"{SWEEP} lr=", "an empty list", "--over lr", "has no values"),
        Case(f"{SWEEP} lr=0.1,0.1", "a value twice", "--over lr", "the value 0.1 twice"),
        Case(f"{SWEEP} lr=0.1 --over lr=0.2", "a key twice", "--over lr", "given twice"),
        Case(f"{SWEEP} lr=0.1 --over training.lr=0.2", "a key under two names",
             "--over training.lr", "given twice"),
        Case(f"{SWEEP} tau_m=5..3", "an empty range", "--over tau_m=5..3", "5 to 3 is empty"),
        Case(f"{SWEEP} lr=0..1:log --optimize accuracy --trials 3", "a logarithm of nothing",
             "--over lr=0..1:log", "begins above 0"),
        Case(f"{SWEEP} lr=0.1..0.2", "all values of a range", "--over training.lr",
             "search with --optimize accuracy"),
        Case(f"{SWEEP} lrr=1,2", "an unknown key", "'lrr'", "did you mean 'lr'?"),
        Case(f"{SWEEP} training.lrr=1,2", "an unknown key of a section", "training.lrr",
             "did you mean 'lr'?"),
        Case(f"{SWEEP} lr=fast,slow", "values of another type", "training.lr",
             "must be a valid number"),
        Case(f"{SWEEP} seed=0,1", "seeds as a key", "--over seed", "--seeds"),
        Case(f"{SWEEP} export.samples=3", "another key of an export", "--over export.samples",
             "only export.weight_bits"),
        Case(f"{SWEEP} weight_bits=few", "bits that are no number", "'few'", "no number of bits"),
        Case(f"{SWEEP} target=loihi2,loihi3", "an unknown target", "'loihi3'",
             "no hardware profile"),
        Case(f"{SWEEP} lr=0.1 --seeds 1,x", "a seed that is no number", "--seeds '1,x'",
             "expected whole numbers"),
        Case(f"{SWEEP} lr=0.1 --seeds 1,1", "a seed twice", "--seeds", "none of them twice"),
        Case(f"{SWEEP} lr=0.1 --optimize speed --trials 3", "an unknown goal", "--optimize",
             "'accuracy' or 'energy'"),
        Case(f"{SWEEP} lr=0.1 --optimize accuracy", "a search without an end", "--trials",
             "give both or none"),
        Case("sweep digits --over lr=0.1 --out run", "the folder of a training", "run",
             "holds no sweep"),
        Case("sweep digits --over lr=0.1,0.2 --out sweep", "a folder of another sweep", "sweep",
             "its --over is not this", sweep()),
        Case("sweep digits --over lr=0.001,0.002 --set tau_m=4 --out sweep",
             "a recipe that changed in mid-sweep", "sweep", "network.tau_m was 5.0 and is 4.0",
             sweep()),
        Case("sweep sweep --seeds 1", "other seeds for a sweep to look at", "--seeds",
             "give the recipe to go on", sweep()),
        Case("sweep sweep", "a damaged sweep", "sweep/sweep.json", "not valid JSON",
             sweep("sweep.json", "{")),
        Case("sweep sweep", "a sweep without its recipe", "sweep/base.toml", "not valid TOML",
             sweep("base.toml", "name =")),
        Case("sweep sweep", "a damaged journal", "sweep/journal.log", "is damaged",
             sweep("journal.log", "x\ny\n")),
    ],
    "Plans": [
        Case("plan digit", "an unknown recipe", "'digit'", "neither a file nor a shipped recipe"),
        Case("plan none.net", "no network", "none.net", "No such file"),
        Case("plan digits --samples 3", "samples of a recipe", "--samples 3",
             "the run of a .net file"),
        Case("plan digits.net --seeds 1", "seeds of a network", "--seeds", "is of recipes"),
        Case("plan digits --trials 3", "a search over nothing", "--trials", "give --over too"),
        Case("plan digits --over lrr=1,2", "an unknown key", "'lrr'", "did you mean 'lr'?"),
    ],
    "Clusters": [
        Case(f"{RUN} --cluster node1", "an address that is none", "--cluster node1",
             "expected tcp://HOST:PORT"),
        Case(f"{RUN} --cluster local:0", "no processes", "--cluster local:0", "local:N with 1 to"),
        Case(f"{RUN} --samples 2 --out new --cluster tcp://127.0.0.1:9", "a dead scheduler",
             "--cluster tcp://127.0.0.1:9", "no scheduler answers", code=BACKEND),
        Case(f"{RUN} --cluster local:2 --slurm nodes=2", "two clusters", "--cluster or --slurm",
             "not both"),
        Case(f"{RUN} --slurm nodez=2", "an unknown setting of jobs", "--slurm nodez",
             "expected one of nodes, partition"),
        Case(f"{RUN} --slurm nodes=all", "a number that is none", "--slurm nodes=all",
             "a whole number from 1"),
        Case(f"{RUN} --slurm short", "no setting at all", "--slurm 'short'", "expected KEY=VALUE"),
        Case(f"{RUN} --samples 2 --out new --slurm nodes=2", "a machine without SLURM", "--slurm",
             "there is no sbatch", code=BACKEND, environment={"PATH": "$PWD"}),
    ],
    "Logs of a board": [
        Case(CALIBRATE, "nothing", "bad.csv", "No such file"),
        Case(CALIBRATE, "an empty file", "bad.csv", "is empty", file("bad.csv")),
        Case(CALIBRATE, "not UTF-8", "bad.csv", "no text in UTF-8", file("bad.csv", b"\xff\xfe")),
        Case(CALIBRATE, "a zero byte", "bad.csv", "cannot be printed", file("bad.csv", LOG + "\0")),
        Case(CALIBRATE, "a field without end", "bad.csv", "field larger than",
             log(result="x" * 200000)),
        Case(CALIBRATE, "milliwatts", "'total_power [mW]'", "the unit must be W",
             log(title=LOG.replace("total_power [W]", "total_power [mW]"))),
        Case(CALIBRATE, "no unit", "'time_per_step'", "the unit must be s",
             log(title=LOG.replace(" [s]", ""))),
        Case(CALIBRATE, "microseconds in the place of seconds", "time_per_step 131 s",
             "is it in other units?", log(time="131")),
        Case(CALIBRATE, "milliwatts in the place of watts", "line 2", "is it in other units?",
             log(total="412000")),
        Case(CALIBRATE, "rails that are no part of the total", "line 2", "the rails add up to 0.03",
             file("bad.csv", LOG.replace("static_power", "vdd_power")
                  + ",vddm_power [W],vddio_power [W]\nresult,00,1e-6,0.3,0.01,0.01,0.01")),
        Case(CALIBRATE, "an unknown column", "'colour'", "known are result, digest",
             log(title=LOG.replace("digest", "colour"))),
        Case(CALIBRATE, "a column twice", "bad.csv", "twice",
             log(title=LOG.replace("digest", "result"))),
        Case(CALIBRATE, "a missing power", "line 2", "total_power [W] is missing",
             log(total="", static="")),
        Case(CALIBRATE, "more fields than titles", "line 2", "6 fields, the first line names 5",
             log(static="0.2,7")),
        Case(CALIBRATE, "a negative power", "total_power '-0.3'", "above 0", log(total="-0.3")),
        Case(CALIBRATE, "a time that is no number", "time_per_step 'nan'", "above 0",
             log(time="nan")),
        Case(CALIBRATE, "a power at rest above that at work", "static_power 0.5 W",
             "measure longer", log(static="0.5")),
        Case(CALIBRATE, "too few runs", "bad.csv", "at least 3 are needed", log(runs=2)),
        Case(CALIBRATE, "a log of another network", "network '00000000'",
             "was on the board", log(digest="0" * 64)),
        Case(CALIBRATE, "a result that is not there", "line 2", "none", log(result="none")),
        Case("profiles calibrate bad.csv --base speck -o new.toml", "a chip without steps",
             "--base speck", "end at a barrier", log()),
        Case("profiles calibrate bad.csv --base loihi2 -o new.txt", "a profile by another name",
             "new.txt", "a profile is a .toml file", log()),
        Case("profiles calibrate run/recipe.toml --base loihi2 -o new.toml", "no log at all",
             "run/recipe.toml", "result is missing"),
    ],
    "NIR files": [
        Case(NIR, "nothing", "bad.nir", "No such file"),
        Case(NIR, "a text", "bad.nir", "is not an HDF5 file", file("bad.nir", "hello")),
        Case(NIR, "a missing node", "node 'x'", "which is missing",
             graph([("input", "w"), ("w", "x"), ("x", "output")])),
        Case(NIR, "a loop without neurons", "through v, w", "no neurons that fire",
             graph([("input", "w"), ("w", "v"), ("v", "w"), ("w", "l"), ("l", "output")],
                   v=linear(np.eye(4, 3))), TARGET),
        Case(NIR, "a node that leads nowhere", "node w", "no edges lead from it to the output",
             graph([("input", "w"), ("input", "l"), ("l", "output")])),
        Case(NIR, "an unknown node", "node l", "'Izhikevich'",
             graph(l={"type": "Izhikevich"}), TARGET),
        Case(NIR, "NaN", "node w", "not finite", graph(w=linear(np.full((3, 4), np.nan)))),
        Case(NIR, "weights of another shape", "node w", "does not fit what reaches it",
             graph(w=linear(np.ones((3, 5))))),
        Case(NIR, "no time step", "--dt DT", "--rule euler or", graph(l=lif(3, r=np.ones(3)))),
        Case(f"{NIR} --dt 0.001", "no rule", "--rule", "euler", graph(l=lif(3, r=np.ones(3)))),
        Case(f"{NIR} --dt 0.02 --rule exp", "a step longer than a time constant", "node l",
             "not as long as a step", graph()),
        Case(f"{NIR} --dt nan --rule exp", "a step that is none", "--dt", "above 0", graph()),
        Case(NIR, "neurons of several time constants", "node l", "of different lengths",
             graph(l=lif(3, tau=np.array([0.01, 0.02, 0.03]))), TARGET),
        Case(NIR, "neurons without spikes before others", "node v (LI)", "sends no spikes",
             graph([("input", "w"), ("w", "v"), ("v", "l"), ("l", "output")],
                   v={"type": "LI", "tau": np.full(3, 0.01), "r": np.full(3, 10.0),
                      "v_leak": np.zeros(3)}), TARGET),
        Case(NIR, "weights at the end", "node v (Linear)", "or with a LI, I or CubaLI",
             graph([("input", "w"), ("w", "l"), ("l", "v"), ("v", "output")],
                   v=linear(np.eye(3))), TARGET),
        Case("nir read sinabs.nir -o new", "neurons that reset otherwise", "sinabs", "--as-nir",
             both(graph(), lambda: Path("bad.nir").rename("sinabs.nir")), TARGET),
        Case("nir read bad.nir -o run", "a folder with a run", "run", "already holds a run",
             graph()),
        Case(f"{NIR_EXPORT} --data x.npy", "inputs of another shape", "x.npy", "do not fit",
             both(graph(), npy(np.ones((2, 7, 7), int)))),
        Case(f"{NIR_EXPORT} --data x.npy", "inputs that are fractions", "x.npy", "whole numbers",
             both(graph(), npy(np.full((2, 9, 4), 0.5)))),
        Case("nir write digits.net -o x.h5", "another name", "x.h5", "must end in .nir"),
        Case("nir write digits.net -o x.nir --dt 0", "no time", "--dt 0", "above 0"),
        Case("nir write nothing -o x.nir", "no run", "nothing", "does not exist"),
    ],
    "Installation": [
        Case("lava install --lava-python none", "an interpreter that is not there", "none",
             "not a Python interpreter", code=BACKEND),
    ],
}  # fmt: skip

ALL = {f"{group}: {case.wrong}": case for group, cases in CASES.items() for case in cases}


# --- running them ----------------------------------------------------------------------------


def good_files(into: Path) -> None:
    """Write a trained run, its network and a result, all small, into a folder."""
    layers = '[{"type": "dense", "neurons": 16}, {"type": "dense", "neurons": 10}]'
    commands = (
        ["train", "digits", "--epochs", "1", "--set", f"layers={layers}", "--out", "run"],
        ["export", "run", "--target", "loihi2", "-o", "digits.net", "--no-lava", "--samples", "9",
         "--proof-samples", "3"],
        ["run", "digits.net", "--backend", "engine", "--samples", "20", "--out", "result"],
    )  # fmt: skip
    with _inside(into), contextlib.redirect_stdout(io.StringIO()):
        for command in commands:
            if run_command([*command, "--quiet"]):
                raise RuntimeError(f"tssl {' '.join(command)} failed")
    for picture in (into / "run").glob("*.png"):
        picture.unlink()  # nobody reads them, and they are most of the bytes to copy


def run_case(case: Case, good: Path, where: Path) -> Ran:
    """Run a case in the empty folder ``where``, beside which the cache for downloads is."""
    shutil.copytree(good, where, dirs_exist_ok=True)
    out, err = io.StringIO(), io.StringIO()
    with _inside(where), _environment(case, where.with_name("cache")):
        if case.make is not None:
            case.make()
        before = content(where)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command(shlex.split(case.command))
    return Ran(code, out.getvalue(), err.getvalue(), before, content(where))


def content(folder: Path) -> dict[str, bytes]:
    """Return all files in a folder, and its folders as empty files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _environment(case: Case, cache: Path) -> Iterator[None]:
    """Set the variables of a case; none reaches the network or the user's cache."""
    offline = {"http_proxy": "127.0.0.1:9", "https_proxy": "127.0.0.1:9"}
    given = {"XDG_CACHE_HOME": str(cache), **offline, **case.environment}
    ours = {name: value.replace("$PWD", os.getcwd()) for name, value in given.items()}
    unset = ("RANK", "WORLD_SIZE", "TSSL_LAVA_PYTHON")
    before = {name: os.environ.get(name) for name in {*ours, *unset}}
    for name in unset:
        os.environ.pop(name, None)
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


# --- the page --------------------------------------------------------------------------------

INTRODUCTION = """# Bad input

What `tssl` says to mistakes and damaged files: {count} cases, each of them a test
(`tests/contract/test_bad_input.py`). This page is written by
`python -m tests.contract.bad_inputs > docs/bad-input.md`.

A mistake is one line on stderr, `tssl: error: ...`, that says who, what value, what is allowed and
what to do; `--debug` adds the traceback. Nothing is on stdout. The exit code says whose turn it is:

| code | meaning |
|---|---|
| 2 | a flag, a recipe, a profile or a file is wrong: change it |
| 3 | the target, or Lava's file format, cannot do it: change the network or the target |
| 4 | verification failed: nothing is written that was not proven |
| 5 | Lava, a board or a package is missing or failed: `tssl doctor` |
| 6 | time-out |

What holds in every case:

- **No pickle is ever loaded.** Checkpoints are safetensors, arrays are read with
  `allow_pickle=False`, and CIFAR-10's pickles are read only when their SHA-256 is the published
  one, by a reader that knows no functions.
- **Nothing half-written is left.** A command that fails leaves the folder as it was.
- **Sizes are bounded** before memory is taken: steps, neurons, weights, members of archives,
  unpacked bytes, headers.
- **Paths never lead out.** Names of recipes and members of archives are never used as paths, and
  archives are read in memory.

In the table, `run`, `digits.net` and `result` are a good run, network and result; `bad.*`, `data`
and `x.npy` hold what the second column says.
"""
HEADER = "| command | what is wrong | exit code | message |\n|---|---|---|---|"
LONGEST = 60


def row(case: Case, message: str) -> str:
    """Return the line of the table for a case."""
    typed = " ".join(
        f"{word[:LONGEST]}..." if len(word) > LONGEST else word for word in case.typed.split(" ")
    )
    return f"| `{typed}` | {case.wrong} | {case.code} | `` {message} `` |"


def page(good: Path, scratch: Path) -> str:
    """Run all cases and return the page about them."""
    parts = [INTRODUCTION.format(count=len(ALL))]
    package = str(Path(tssl.__file__).parent.parent)
    for group, cases in CASES.items():
        lines = [f"## {group}\n", HEADER]
        for case in cases:
            where = Path(tempfile.mkdtemp(dir=scratch)) / "case"
            message = run_case(case, good, where).message
            message = message.replace(str(where), "$PWD").replace(f"{package}/", "")
            lines.append(row(case, message))
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


def main() -> None:
    """Write the page to stdout."""
    with tempfile.TemporaryDirectory() as name:
        good = Path(name, "good")
        good.mkdir()
        good_files(good)
        sys.stdout.write(page(good, Path(name)))


if __name__ == "__main__":
    main()
