"""What the command line shows: live bars on stderr, tables on stdout."""

import importlib.util
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tssl.tables import Table, count, show_table
from tssl.wording import visible
from tssl.workflow import tables

if TYPE_CHECKING:
    from tssl.sweeps import Count
    from tssl.trainer.progress import EpochMetrics, LayerMetrics, TrainingProgress

_STDERR = 2
_STOPPING = b"stopping after this batch; press Ctrl-C again to stop at once\n"
_DEAD, _SATURATED = 0.001, 0.9
"""Firing rates of a layer beyond which training hardly goes on."""

_UNTIL_INTEGERS = "; if it never fires, training ends where the chip's integers would begin"

_SECONDS_TO_COMPILE = 4.0
"""A first batch that takes longer is probably the first on this machine."""

_SECONDS_BETWEEN_LINES = 30.0
"""Between signs of life where nothing can show a bar."""

_WIDE = 10_000
"""Columns where nobody watches: a file or pipe gets every row of a table in one line."""


class _Console(Console):
    """A console to which every text comes with its control characters written out."""

    def render_str(self, text: str, **how: Any) -> Text:  # noqa: ANN401 - rich's own options
        """Return a text as rich does, before anything is measured or coloured."""
        return super().render_str(visible(text), **how)


class Output:
    """Results on stdout, progress on stderr.

    Parameters
    ----------
    as_json
        Print one JSON document instead of tables.
    quiet
        No progress.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.results = _Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
        self.progress = _Console(stderr=True, quiet=quiet, highlight=False)

    def say(self, text: str) -> None:
        """Write a line about what is going on."""
        self.progress.print(escape(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Write a line about something that the user may not expect."""
        self.say(f"warning: {text}")

    def document(self, document: Mapping[str, Any]) -> None:
        """Write the one JSON document."""
        text = json.dumps(_plain(document), indent=2, allow_nan=False)
        self.results.file.write(text + "\n")

    def line(self, text: str) -> None:
        """Write a line of results."""
        self.results.print(escape(text), soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write a table of results."""
        show_table(self.results, title, columns, rows)

    def tables(self, shown: Iterable[Table]) -> None:
        """Write tables of results."""
        for table in shown:
            self.table(table.title, table.columns, table.rows)

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Any]:
        """Show a bar of samples; yields the function that moves it to a count."""
        with _bar(self.progress) as bar:
            task = bar.add_task(title, total=total, note="")
            yield lambda done: bar.update(task, completed=done)

    def download(self, name: str, received: int, expected: int) -> None:
        """Say when a file is complete; downloads are rare and short."""
        if received == expected:
            self.say(f"downloaded {name} ({count(expected)} bytes)")


Bar = TypeVar("Bar", bound="_Interruptible")


class _Interruptible:
    """Turns Ctrl-C into an orderly stop, as long as it is entered, and SIGTERM likewise.

    The first one stops after the batch under way and saves; a second one interrupts.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bar = _bar(output.progress)
        self._stop = False
        self._previous: dict[int, Any] = {}

    def __enter__(self: Bar) -> Bar:
        if threading.current_thread() is threading.main_thread():  # others get no signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._interrupted)
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def stop_requested(self) -> bool:
        """Return whether somebody or something wants it."""
        return self._stop

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._stop:
            raise KeyboardInterrupt
        self._stop = True
        if not self._output.quiet:  # past all buffers: they may be in use just now
            with suppress(OSError):
                os.write(_STDERR, _STOPPING)


class TrainingBar(_Interruptible):
    """Shows training live and turns Ctrl-C into an orderly stop."""

    def __init__(
        self, output: Output, *, epochs: int, samples: int, integers_ahead: bool = False
    ) -> None:
        super().__init__(output)
        self._epochs, self._samples = epochs, samples
        self._integers_ahead = integers_ahead
        text = "no batch is done yet; a machine's first training compiles for 10 to 20 seconds"
        self._silence = threading.Timer(_SECONDS_TO_COMPILE, output.say, [text])
        self._silence.daemon = True
        self._task: TaskID | None = None
        self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES

    def __enter__(self) -> "TrainingBar":
        super().__enter__()
        self._silence.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._silence.cancel()
        super().__exit__(kind, error, trace)

    def batch_done(self, progress: "TrainingProgress", *, samples: int) -> None:
        """Move the bar."""
        self._silence.cancel()
        if self._task is None:
            total = self._epochs * self._samples
            self._task = self._bar.add_task("", total=total, note="")
        if progress.batch == 1 and 0 < progress.integers_from == progress.epoch:
            self._integers_ahead = False
            self._output.say(f"epoch {progress.epoch + 1}: the chip's integers begin")
        note = (
            f"loss {progress.loss_sum / samples:.4f}  "
            f"{progress.measure} {progress.correct / samples:.2%}  "
            f"firing rate {progress.firing_rate:.1%}  "
            f"{count(round(samples / max(progress.seconds, 1e-9)))} samples/s"
        )
        where = f"epoch {progress.epoch + 1}/{self._epochs}"
        if self._bar.disable and time.monotonic() > self._next_line:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            self._output.say(f"{where}, {samples}/{self._samples} samples  {note}")
        self._bar.update(
            self._task,
            description=where,
            completed=progress.epoch * self._samples + samples,
            note=note,
        )

    def epoch_done(self, metrics: "EpochMetrics", layers: "list[LayerMetrics]") -> None:
        """Leave one line for the epoch, and one for each layer that fires too little or much."""
        held_out = metrics.validation_accuracy
        shown = "" if held_out is None else f"held-out {held_out:.2%}, "
        self._output.say(
            f"epoch {metrics.epoch}/{self._epochs}  loss {metrics.loss:.4f}  "
            f"{metrics.measure}: train {metrics.train_accuracy:.2%}, "
            f"{shown}test {metrics.test_accuracy:.2%}  "
            f"firing rate {metrics.firing_rate:.1%}  "
            f"{count(round(metrics.samples_per_second))} samples/s"
        )
        for layer in layers:
            if layer.firing_rate < _DEAD:
                self._output.warn(
                    f"layer {layer.layer} hardly fires ({layer.firing_rate:.2%} of its "
                    "neurons at a step): raise its weight_scale or lower its threshold"
                    + (_UNTIL_INTEGERS if self._integers_ahead else "")
                )
            elif layer.firing_rate > _SATURATED:
                self._output.warn(
                    f"layer {layer.layer} is saturated ({layer.firing_rate:.2%} of its "
                    "neurons fire at a step): lower its weight_scale or raise its threshold"
                )


class SweepBar(_Interruptible):
    """Shows all trials of a sweep, those of other processes too, in one bar."""

    def __init__(self, output: Output, *, trials: int) -> None:
        super().__init__(output)
        self._task = self._bar.add_task("sweep", total=trials, note="")
        self._name, self._epochs = "", 1

    def trial_begun(self, name: str, epochs: int) -> None:
        """Show which training is under way."""
        self._name, self._epochs = name, epochs
        self._bar.update(self._task, note=name)

    def batch_done(self, progress: "TrainingProgress", *, samples: int) -> None:
        """Show how far the training is."""
        score = f"{progress.measure} {progress.correct / samples:.2%}"
        note = f"{self._name}  epoch {progress.epoch + 1}/{self._epochs}  {score}"
        self._bar.update(self._task, note=note)

    def trial_ended(self, name: str, how: str) -> None:
        """Leave one line."""
        self._output.say(f"{name}: {how}")

    def counted(self, count: "Count") -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=count.finished, note=f"{count.running} under way")


def show_layers(output: Output, layers: Sequence[Mapping[str, Any]]) -> None:
    """Write what quantization did."""
    output.tables([tables.quantization(layers)])


def show_proof(output: Output, proof: Mapping[str, Any]) -> None:
    """Write the PASS/FAIL table, one row per witness and layer."""
    from tssl.proof import statement_table

    for stage in proof["stages"]:
        if stage["skipped"]:
            output.line(f"engine against {stage['witness']}: SKIPPED: {stage['skipped']}")
        else:
            output.tables([statement_table(stage)])
    output.line(f"Proof of {proof['network']}: {proof['verdict']}")


def show_nir(output: Output, facts: Mapping[str, Any]) -> None:
    """Write how a NIR graph became steps, and what its decays lose on the chip."""
    output.line(
        f"{facts['file']} (nir {facts['version']}): dt = {facts['dt']:g}, rule {facts['rule']}: "
        f"{facts['evidence']}"
    )
    output.line("spikes that a layer sends itself arrive one step later; all others in their step")
    for note in facts["notes"]:
        output.line(f"note: {note}")
    output.tables([tables.decays(facts)])


def show_reference(output: Output, facts: Mapping[str, Any]) -> None:
    """Write how far the chip's spikes are those of the graph in floating point."""
    if not facts["reference"]:
        output.line("The NIR file is not at hand: not compared with the graph in floating point")
        return
    output.tables([tables.agreement(facts)])


def show_loading(output: Output, lava_dl: Mapping[str, Any]) -> None:
    """Write the Python that loads a network with lava-dl alone."""
    if not lava_dl["lines"]:
        output.line(
            "lava-dl cannot load it: it is no chain of layers. tssl builds it from the processes "
            "of lava-nc: `tssl run --backend sim`"
        )
        return
    output.line(
        "With lava-dl alone (the first two lines are for Python 3.11 and later and for numpy 2; "
        "`tssl lava shims > lava_worker.py` writes their file):"
    )
    for line in (*lava_dl["shims"], *lava_dl["lines"]):
        output.line(f"    {line}")


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        refresh_per_second=2 if console.is_jupyter else 10,
        disable=not (console.is_terminal or _has_widgets(console)),
    )


def _has_widgets(console: Console) -> bool:
    """Return whether a console is a notebook's that can draw a live bar; without, lines do."""
    needed = ("IPython", "ipywidgets")
    return console.is_jupyter and all(importlib.util.find_spec(name) for name in needed)


def _plain(value: object) -> object:
    """Return Python's own JSON data: numpy's numbers converted, null for what is no number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)
