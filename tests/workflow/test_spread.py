"""A run in parts elsewhere brings what a run here does, whatever is lost on the way."""

from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tssl
from tests.workflow.test_shards import assert_same
from tssl.errors import BackendError, BackendUnavailableError, DataError
from tssl.results import RunResult
from tssl.workflow import spread
from tssl.workflow.export import ExportOutcome
from tssl.workflow.run import load_result

SAMPLES = 23
FILES = ["network.net", "result.json", "result.npz"]


def run(exported: ExportOutcome, out: Path, cluster: Any = None, **more: Any) -> RunResult:
    record = {"dense1": ["spikes"]}
    given = {"data": "rows", "samples": SAMPLES, "record": record, "progress": False, **more}
    return tssl.run(exported.path, out=out, cluster=cluster, **given).result


@pytest.fixture(scope="module")
def whole(exported: ExportOutcome, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(exported, tmp_path_factory.mktemp("whole") / "out")


class Here(Executor):
    """Calls at once in this thread; ``before`` gets the number of each call, and may raise."""

    def __init__(self, before: Callable[[int], None] = lambda _: None) -> None:
        self.calls, self.before = 0, before

    def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls += 1
        try:
            self.before(self.calls)
            future.set_result(fn(*args))
        except Exception as error:  # noqa: BLE001 - as executors do
            future.set_exception(error)
        return future


def left(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def test_any_executor_brings_the_same(
    exported: ExportOutcome, whole: RunResult, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(3) as executor:
        assert_same(run(exported, tmp_path / "out", executor), whole)
    assert left(tmp_path / "out") == FILES
    assert_same(load_result(tmp_path / "out")[0], whole)


def test_parts_are_divided(exported: ExportOutcome, tmp_path: Path) -> None:
    executor = Here()
    run(exported, tmp_path / "a", executor)
    assert executor.calls == SAMPLES  # fewer than the 32 parts of an executor of unknown size
    executor = Here()
    run(exported, tmp_path / "b", executor, samples=40)
    assert executor.calls == 20


def test_parts_are_not_too_large(
    exported: ExportOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "_LARGEST", 1)
    executor = Here()
    run(exported, tmp_path / "out", executor, samples=40)
    assert executor.calls == 40


def test_samples_without_labels(exported: ExportOutcome, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 8, (7, 1, 4, 4))
    given = {"data": None, "samples": None, "input": values}
    parts = run(exported, tmp_path / "parts", Here(), **given)
    assert parts.labels is None
    assert_same(parts, run(exported, tmp_path / "here", **given))


@pytest.mark.parametrize("error", [BrokenProcessPool("died"), CancelledError(), OSError("cable")])
def test_what_is_lost_is_done_again(
    exported: ExportOutcome, whole: RunResult, tmp_path: Path, error: Exception
) -> None:
    def dies(call: int) -> None:
        if call in (3, 7, SAMPLES + 1):
            raise error

    executor = Here(dies)
    assert_same(run(exported, tmp_path / "out", executor), whole)
    assert executor.calls == SAMPLES + 2 + 1
    assert left(tmp_path / "out") == FILES


def test_an_executor_that_breaks_when_asked(exported: ExportOutcome, tmp_path: Path) -> None:
    class Broken(Here):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            if self.calls == 5:
                raise BrokenProcessPool("it broke")
            return super().submit(fn, *args, **kwargs)

    with pytest.raises(BackendError, match="cluster=Broken: samples 5 to 5 were lost 3 times"):
        run(exported, tmp_path / "out", Broken())
    assert len(left(tmp_path / "out" / "shards")) == 5


def test_nothing_finished_is_lost(
    exported: ExportOutcome, whole: RunResult, tmp_path: Path
) -> None:
    def dies(call: int) -> None:
        if call == 4 or call > SAMPLES:
            raise OSError("no route to host")

    out = tmp_path / "out"
    with pytest.raises(BackendError, match="samples 3 to 3 were lost 3 times: no route to host"):
        run(exported, out, Here(dies))
    assert len(left(out / "shards")) == SAMPLES - 1
    executor = Here()
    assert_same(run(exported, out, executor), whole)
    assert executor.calls == 1
    assert left(out) == FILES


def test_parts_of_a_run_here_are_taken(
    exported: ExportOutcome, whole: RunResult, tmp_path: Path
) -> None:
    """And the other way round: parts are parts."""

    def stops(call: int) -> None:
        if call > 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(exported, tmp_path / "out", Here(stops))
    assert not (tmp_path / "out" / "result.json").exists()
    assert_same(run(exported, tmp_path / "out"), whole)


def test_another_version_is_refused(
    exported: ExportOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Older(Here):
        def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
            return super().submit(fn, "0.0.9", *args[1:])

    with pytest.raises(BackendUnavailableError, match=r"has tssl .*, and 0\.0\.9 asks; install"):
        run(exported, tmp_path / "out", Older())
    assert not (tmp_path / "out").exists()


def test_a_machine_without_tssl(exported: ExportOutcome, tmp_path: Path) -> None:
    def lacks(_: int) -> None:
        try:
            raise ModuleNotFoundError("No module named 'tssl'")
        except ModuleNotFoundError as error:
            raise RuntimeError("cannot be unpacked") from error

    with pytest.raises(BackendUnavailableError, match="has no tssl, or another version: No module"):
        run(exported, tmp_path / "out", Here(lacks))


def test_another_network_is_refused(exported: ExportOutcome, tmp_path: Path) -> None:
    class Swapped(Here):
        def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
            return super().submit(fn, args[0], replace(args[1], digest="0" * 64))

    with pytest.raises(DataError, match=f"arrived as {exported.network.digest:.12}, it was 0000"):
        run(exported, tmp_path / "out", Swapped())


def test_what_a_machine_says_is_said(exported: ExportOutcome, tmp_path: Path) -> None:
    """Lava is not there, for instance."""
    with pytest.raises(BackendError, match=r"^cluster=Here: .*: .*none"):
        run(
            exported, tmp_path / "out", Here(), backend="sim", lava_python=tmp_path / "none",
            record=None,
        )  # fmt: skip
