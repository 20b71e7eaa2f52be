"""A folder that takes a network to a machine that has the chip, with proof and instructions."""

from contextlib import suppress
from pathlib import Path
from shutil import copyfile

import numpy as np

from tssl.chip import CLASS, INPUT, ChipNetwork, IntArray
from tssl.errors import ConfigError, OutputError
from tssl.lava_runtime.plain import SHIMS, SHIMS_FILE, shims_source
from tssl.lava_runtime.process import job, period, worker_copy
from tssl.machine.files import make_directory, write_json, write_text
from tssl.results import Recording
from tssl.version import __version__
from tssl.wording import several

__all__ = ["FACTS", "NETWORK", "check_folder", "write_bundle"]

FACTS = "bundle.json"
NETWORK = "network.net"
_PROGRAMS = {"check.py": "_bundle_check.py", "measure.py": "_bundle_measure.py"}
_README = """# {name}

A spiking network for Loihi 2, {samples} of {steps}, and every spike that is
expected of it. Made by tssl {version}; tssl is not needed here.

    python check.py                      # Lava's CPU simulator: must say PASS
    python check.py --backend loihi2     # the board
    python check.py --backend loihi2 --log board.csv    # power and time, too

**Where Lava is already (`pip show lava-nc`), install nothing over it**: pip would replace the one
that drives the board. Only into an environment without it:

    pip install numpy scipy h5py networkx asteval
    pip install --no-deps --ignore-requires-python lava-nc==0.10.0 lava-dl==0.6.0

The board needs Intel's lava-loihi extension, which comes with membership in Intel's neuromorphic
research community, and what its instructions ask for (`SLURM=1`, `LOIHI_GEN=N3B3` or similar).

With `--log`, `check.py` runs the network a second time under Lava's profiler (only the output
leaves the chip) and appends a row to the file. Copy the log back with this folder, its paths lead
to `result`, and `tssl profiles calibrate board.csv --base loihi2 -o mine.toml` makes a profile of
the logs of several bundles. On a board of several chips say how many: `--chips 8`.

Run the simulator first. If it says PASS and the board says FAIL, look at the first difference
that is named: where it lies in the first layer and the step is off by one or two for all
neurons, the adapters between host and chip delay spikes by more steps than the simulator's
ports do. This was written without a board at hand; such a shift is a finding, not an error of
the network.

{loading}| file | content |
|---|---|
| `network.net` | the network{form}; digest {digest} |
| `input.npy` | whole numbers `(time or 1, samples, inputs)` in C,H,W order |
| `expected/layer_<i>.npy` | spikes `(samples, time, neurons)` of {layers} |
| `expected/potential.npy` | membrane potential of the output after the last step |
| `check.py` | runs and compares; exit status 0 equal, 4 different, 5 failed |
{labels}| `result` | what the run does, as tssl counts it; for `tssl report` and for calibration |
| `measure.py` | what `check.py --log` starts to measure |
| `worker` | what `check.py` starts to talk to Lava |
| `lava_worker.py` | lets Lava be imported on current Pythons |
| `bundle.json` | names, sizes, settings |
"""

_LABELS = "| `labels.npy` | classes of the samples, where known; `--labels FILE` names others |\n"
_CHAIN = """To load it with lava-dl yourself, in this folder:

```python
{lines}
```

The first two lines, and `lava_worker.py`, are for Python 3.11 and later and for numpy 2. The
arguments decide the spikes: without them, lava-dl takes every input other than 0 as 1, and does
not reset the neurons between samples.

"""
_GRAPH = """Its layers have several sources, so lava-dl cannot load `network.net`;
`worker` builds it from the processes of lava-nc. Layers called `relay...` repeat spikes a
step later where paths differ in length. The board takes chains only: there, `check.py` says so.

"""


def check_folder(directory: Path) -> None:
    """Make sure that a bundle can be written to a folder; a new one is not left behind.

    Raises
    ------
    ConfigError
        When it holds something other than a bundle.
    OutputError
        When it cannot be created.
    """
    if directory.is_dir() and any(directory.iterdir()) and not (directory / FACTS).exists():
        raise ConfigError(f"{directory}: is not empty and not a bundle; choose another folder")
    is_new = not directory.exists()
    make_directory(directory)
    if is_new:
        with suppress(OSError):  # somebody else was faster, or the disk went read-only
            directory.rmdir()


def write_bundle(
    directory: Path,
    content: bytes,
    network: ChipNetwork,
    train: IntArray,
    recording: Recording,
    lines: tuple[str, ...],
) -> None:
    """Write everything; ``bundle.json`` comes last, so that half a bundle is none.

    Parameters
    ----------
    content
        Of the network's file.
    train
        ``(time or 1, samples, inputs)``.
    recording
        What is expected of these samples, all layers.
    lines
        Those of Python that load ``network.net`` with lava-dl; none when it cannot.

    Raises
    ------
    OutputError
        When something cannot be written.
    """
    check_folder(directory)
    make_directory(directory / "expected")
    names = [layer.name for layer in network.layers]
    if network.input.neuron is not None:
        names.insert(0, INPUT)
    steps = len(recording.trains[network.output.name])
    try:
        (directory / FACTS).unlink(missing_ok=True)
        (directory / NETWORK).write_bytes(content)
        for name, source in _PROGRAMS.items():
            copyfile(Path(__file__).with_name(source), directory / name)
        copyfile(shims_source(), directory / SHIMS_FILE)
        worker_copy(directory)
        np.save(directory / "input.npy", train.astype(np.int32))
        for index, name in enumerate(names):
            rows = recording.trains[name].transpose(1, 0, 2)
            np.save(directory / "expected" / f"layer_{index}.npy", rows)
        np.save(directory / "expected" / "potential.npy", recording.output_potential)
    except OSError as error:
        raise OutputError(f"{directory}: cannot be written: {error.strerror}") from error
    readme = _README.format(
        name=network.name, samples=several(train.shape[1], "input sample"),
        steps=several(steps, "step"), version=__version__,
        digest=network.digest, layers=", ".join(names),
        loading=_CHAIN.format(lines="\n".join(SHIMS + lines)) if lines else _GRAPH,
        form=", as lava-dl's netx reads it" if lines else "",
        labels=_LABELS if network.read_out == CLASS else "",
    )  # fmt: skip
    write_text(directory / "README.md", readme)
    write_json(
        directory / FACTS,
        {
            "schema_version": 1,
            "network": network.name,
            "digest": network.digest,
            "layers": names,
            "job": job(network, train, steps),
            "period": {
                "sim": period(network, steps, hardware=False),
                "loihi2": period(network, steps, hardware=True),
            },
            **({} if network.read_out == CLASS else {"read_out": network.read_out.document}),
        },
    )
