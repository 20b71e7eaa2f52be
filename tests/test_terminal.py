"""What the command line shows."""

import io
import json
import os
import signal
import sys
import time
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tssl import terminal
from tssl.terminal import Output, TrainingBar, show_layers, show_proof
from tssl.trainer.progress import EpochMetrics, LayerMetrics, TrainingProgress

ACTIVITY = {"dense1": [100.0, 25.0, 0.0]}
LAYERS = [LayerMetrics(epoch=1, layer="dense1", firing_rate=0.25, fallback_share=0.0)]
METRICS = EpochMetrics(
    epoch=1, loss=0.5, train_accuracy=0.25, validation_accuracy=0.5, test_accuracy=0.75,
    test_accuracy_psp=0.7, firing_rate=0.1, seconds=2.0, samples_per_second=1234.5,
)  # fmt: skip


def output(*, as_json: bool = False, quiet: bool = False) -> Output:
    return Output(as_json=as_json, quiet=quiet)


def test_progress_goes_to_stderr_and_results_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output()
    shown.say("going [on]")
    shown.line("result [of] it")
    captured = capsys.readouterr()
    assert captured.err == "going [on]\n"
    assert captured.out == "result [of] it\n"


def test_control_characters_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output()
    shown.say("going\x1b[2J on")
    shown.line("result\r \x9b31m")
    shown.table("title\x1b", ["column\x1b"], [["cell\x1b [b]x[/]"]])
    captured = capsys.readouterr()
    assert captured.err == "going\\x1b[2J on\n"
    assert captured.out.startswith("result\\r \\x9b31m\ntitle\\x1b\n")
    assert "column\\x1b" in captured.out
    assert "cell\\x1b [b]x[/]" in captured.out


def test_colours_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = output()
    shown.results = type(shown.results)(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown.table("title", ["verdict"], [["FAIL"]])
    text = shown.results.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1m" in text
    assert "\\x1b" not in text


def test_quiet_silences_progress_only(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output(quiet=True)
    shown.say("going on")
    shown.download("file", 3, 3)
    shown.line("result")
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out == "result\n"


def test_long_lines_are_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    output().line("word " * 200)
    output().say("word " * 200)
    captured = capsys.readouterr()
    assert captured.out.count("\n") == captured.err.count("\n") == 1


def test_document_knows_numpy(capsys: pytest.CaptureFixture[str]) -> None:
    output(as_json=True).document({"a": np.int64(3), "b": np.float32(0.5), "c": os.curdir})
    assert json.loads(capsys.readouterr().out) == {"a": 3, "b": 0.5, "c": "."}


def test_document_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    """``NaN`` is no JSON; strict readers refuse it."""
    output(as_json=True).document({"rate": float("nan"), "deep": [{"x": np.float64("inf")}]})
    text = capsys.readouterr().out
    assert json.loads(text, parse_constant=pytest.fail) == {"rate": None, "deep": [{"x": None}]}


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    output().table("A [title]", ["name", "number"], [["[x]", 1], ["y", 20000], ["z", 3.5]])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "A [title]"
    rows = [line.split(None, 1) for line in lines if line.split()[:1] in (["[x]"], ["y"])]
    assert rows == [["[x]", "1"], ["y", "20\u202f000"]]
    first, second = (next(line for line in lines if word in line) for word in ("[x]", "000"))
    assert len(first) == len(second)  # to the right


def test_table_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    output().table("Empty", ["name"], [])
    assert "Empty" in capsys.readouterr().out


@pytest.mark.parametrize("colour", [True, False])
def test_verdicts_are_coloured_unless_told_not_to(
    monkeypatch: pytest.MonkeyPatch, colour: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    shown, stream = output(), io.StringIO()
    shown.results = Console(file=stream, force_terminal=True, width=100, highlight=False)
    shown.table("", ["verdict"], [["PASS"], ["FAIL"]])
    assert ("\x1b[32m" in stream.getvalue()) is colour
    assert ("\x1b[1;31m" in stream.getvalue()) is colour


def test_proof_shows_every_witness(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"layer": "dense1", "quantity": "spikes", "compared": 1000, "left": 7, "right": 6}
    quiet = {**row, "layer": "dense2", "left": 0, "right": 0, "differences": 0}
    size = {"samples": 3, "time_steps": 5, "skipped": ""}
    stages = [
        {**size, "witness": "trainer", "verdict": "PASS", "rows": [{**row, "differences": 0}]},
        {**size, "witness": "liar", "verdict": "FAIL", "rows": [{**row, "differences": 3}, quiet]},
        {**size, "witness": "Lava", "verdict": "SKIPPED", "rows": [], "skipped": "not installed"},
    ]
    show_proof(output(), {"network": "net", "verdict": "FAIL", "stages": stages})
    shown = capsys.readouterr().out
    assert "Proof of net: FAIL" in shown
    assert "engine against trainer, 3 samples, 5 steps: PASS" in shown
    assert "engine against liar, 3 samples, 5 steps: FAIL" in shown
    assert "engine against Lava: SKIPPED: not installed" in shown
    layers = [line.split() for line in shown.splitlines() if line.strip().startswith("dense")]
    assert [(cells[0], cells[-1]) for cells in layers] == [
        ("dense1", "PASS"), ("dense1", "FAIL"), ("dense2", "silent"),
    ]  # fmt: skip


def test_quantization_table(capsys: pytest.CaptureFixture[str]) -> None:
    row: dict[str, Any] = {
        "layer": "dense1", "scale": 12.34, "weight_bits": 8, "threshold": 77,
        "smallest_weight": -254, "largest_weight": 120, "largest_current": 4321,
        "largest_voltage": 987, "current_headroom_bits": 1.5, "voltage_headroom_bits": 0.25,
        "can_wrap": True,
    }  # fmt: skip
    show_layers(output(), [row, {**row, "can_wrap": False}])
    shown = capsys.readouterr().out
    for part in ("12.3", "-254..120", "4\u202f321", "987", "beyond calibration data", "never"):
        assert part in shown


def test_training_bar_leaves_one_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingBar(output(), epochs=3, samples=100) as bar:
        for batch in range(1, 4):
            bar.batch_done(
                TrainingProgress(batch=batch, loss_sum=1.0, seconds=0.0), samples=10 * batch
            )
        bar.epoch_done(METRICS, LAYERS)
        assert not bar.stop_requested()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("epoch 1/3  loss 0.5000  accuracy: train 25.00%")
    assert captured.err.count("\n") == 1


def test_training_bar_says_when_the_chips_integers_begin(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TrainingBar(output(), epochs=4, samples=100) as bar:
        for epoch, batch in ((2, 1), (3, 1), (3, 2)):
            progress = TrainingProgress(epoch=epoch, batch=batch, integers_from=3 * (epoch == 3))
            bar.batch_done(progress, samples=10 * batch)
    assert capsys.readouterr().err == "epoch 4: the chip's integers begin\n"


@pytest.mark.parametrize(
    ("rate", "said"),
    [(0.0, "hardly fires"), (0.0005, "hardly fires"), (0.002, ""), (0.8, ""), (0.95, "saturated")],
)
def test_dead_and_saturated_layers_are_named(
    rate: float, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = LayerMetrics(epoch=1, layer="conv3", firing_rate=rate, fallback_share=0.5)
    with TrainingBar(output(), epochs=3, samples=100) as bar:
        bar.epoch_done(METRICS, [*LAYERS, layer])
    shown = capsys.readouterr().err
    assert ("conv3" in shown) == bool(said)
    assert said in shown


def test_a_silent_layer_is_told_before_the_integers(capsys: pytest.CaptureFixture[str]) -> None:
    layer = LayerMetrics(epoch=1, layer="conv3", firing_rate=0.0, fallback_share=0.5)
    with TrainingBar(output(), epochs=3, samples=100, integers_ahead=True) as bar:
        bar.epoch_done(METRICS, [layer])
        assert "training ends where the chip's integers would begin" in capsys.readouterr().err
        bar.batch_done(TrainingProgress(epoch=2, batch=1, integers_from=2), samples=10)
        capsys.readouterr()
        bar.epoch_done(METRICS, [layer])
    shown = capsys.readouterr().err
    assert "hardly fires" in shown
    assert "integers" not in shown


def test_long_epochs_show_signs_of_life(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tssl.terminal._SECONDS_BETWEEN_LINES", 0.0)
    with TrainingBar(output(), epochs=3, samples=100) as bar:
        bar.batch_done(TrainingProgress(batch=1, loss_sum=5.0, correct=5, seconds=0.5), samples=20)
    assert capsys.readouterr().err.startswith("epoch 1/3, 20/100 samples  loss 0.2500")


def test_training_bar_on_a_terminal() -> None:
    shown, stream = output(), io.StringIO()
    shown.progress = Console(file=stream, force_terminal=True, width=200)
    with TrainingBar(shown, epochs=3, samples=100) as bar:
        bar.batch_done(
            TrainingProgress(
                epoch=1, batch=2, loss_sum=5.0, correct=5, seconds=0.5, activity=ACTIVITY
            ),
            samples=20,
        )
        bar._bar.refresh()
    for part in ("epoch 2/3", "120/300", "loss 0.2500", "accuracy 25.00%", "rate 25.0%", "40 samp"):
        assert part in stream.getvalue()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_ctrl_c_asks_second_interrupts(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with TrainingBar(output(), epochs=1, samples=1) as bar:
        signal.raise_signal(number)
        assert bar.stop_requested()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before
    assert "press Ctrl-C again" in capfd.readouterr().err


def test_ctrl_c_while_something_is_being_written() -> None:
    """A handler that used the same buffered stream would fail: "reentrant call"."""

    class Interrupted(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            if not bar.stop_requested():
                signal.raise_signal(signal.SIGINT)
            return len(data)

    shown = output()
    stream = io.TextIOWrapper(io.BufferedWriter(Interrupted()))
    shown.progress = Console(file=stream, highlight=False)
    with TrainingBar(shown, epochs=1, samples=1) as bar:
        bar.epoch_done(METRICS, LAYERS)
        assert bar.stop_requested()


def test_quiet_ctrl_c(capfd: pytest.CaptureFixture[str]) -> None:
    with TrainingBar(output(quiet=True), epochs=1, samples=1) as bar:
        signal.raise_signal(signal.SIGINT)
        assert bar.stop_requested()
    assert capfd.readouterr().err == ""


def test_download_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output()
    for received in (10, 500, 1000):
        shown.download("images.gz", received, 1000)
    assert capsys.readouterr().err == "downloaded images.gz (1\u202f000 bytes)\n"


def test_bar_of_samples(capsys: pytest.CaptureFixture[str]) -> None:
    with output().bar("engine", 5) as progress:
        progress(3)
    assert SimpleNamespace(**capsys.readouterr()._asdict()) == SimpleNamespace(out="", err="")


@pytest.mark.parametrize("silent", [True, False])
def test_a_silence_at_the_beginning_is_explained(
    silent: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "_SECONDS_TO_COMPILE", 0.05 if silent else 60.0)
    with TrainingBar(output(), epochs=1, samples=3) as bar:
        if silent:
            time.sleep(0.3)
        bar.batch_done(TrainingProgress(), samples=1)
    assert ("compiles for 10 to 20 seconds" in capsys.readouterr().err) == silent


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a notebook is given to display; IPython need not be installed."""
    found: list[Any] = []
    ipython = ModuleType("IPython")
    ipython.display = ModuleType("IPython.display")  # type: ignore[attr-defined]
    ipython.display.display = found.append  # type: ignore[attr-defined]
    ipython.__spec__ = ModuleSpec("IPython", None)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    return found


class Widget:
    """What rich asks of ``ipywidgets.Output``."""

    def __init__(self) -> None:
        self.cleared, self.closed = 0, False

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def clear_output(self, *, wait: bool) -> None:
        self.cleared += wait

    def close(self) -> None:
        self.closed = True


def notebook() -> Output:
    shown = output()
    shown.progress = Console(force_jupyter=True, highlight=False)
    return shown


def train_in(shown: Output) -> None:
    with TrainingBar(shown, epochs=2, samples=100) as bar:
        for epoch in range(2):
            for batch in range(1, 51):
                progress = TrainingProgress(epoch=epoch, batch=batch, loss_sum=1.0, seconds=0.1)
                bar.batch_done(progress, samples=2 * batch)
            bar.epoch_done(METRICS, LAYERS)
    with shown.bar("engine", 100) as moved:
        for done in range(100):
            moved(done)


def test_notebook_without_widgets_gets_a_line_for_each_epoch(
    displayed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train_in(notebook())
    assert [each.text.split("  ")[0] for each in displayed] == ["epoch 1/2"] * 2
    assert capsys.readouterr() == ("", "")


def test_notebook_with_widgets_gets_a_bar(
    displayed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    widgets = ModuleType("ipywidgets")
    widgets.Output = Widget  # type: ignore[attr-defined]
    widgets.__spec__ = ModuleSpec("ipywidgets", None)
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    monkeypatch.setattr(terminal, "_SECONDS_BETWEEN_LINES", 0.0)  # the bar says it already
    before = sys.stdout
    train_in(notebook())
    assert sys.stdout is before
    bars = [each for each in displayed if isinstance(each, Widget)]
    lines = [each.text for each in displayed if not isinstance(each, Widget)]
    assert 1 <= len(bars) <= 2
    assert all(bar.cleared and bar.closed for bar in bars)
    assert sum("epoch 1/2  loss" in text for text in lines) == 2
