"""A run that was stopped goes on, and what it brings is that of one that was not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.test_counting import assert_equal_counts
from tssl.engine import Engine, collect
from tssl.errors import BackendError
from tssl.lava_runtime import BackendOptions, create_backend
from tssl.results import RunResult
from tssl.workflow import run as workflow
from tssl.workflow import shards
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inputs import InputChoice

SAMPLES, SIZE = 23, 5


class Recorded(Engine):
    """The engine, which fails at the call of this number."""

    fails_at: int | None = None
    calls: list[int] = []  # noqa: RUF012 - shared by all
    timeouts: list[float | None] = []  # noqa: RUF012

    def run(self, network: Any, train: Any, time_steps: int, progress: Any) -> Any:
        if Recorded.fails_at == len(Recorded.calls):
            raise BackendError("the power is gone")
        Recorded.calls.append(train.shape[1])
        return super().run(network, train, time_steps, progress)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_first_size", lambda _: SIZE)
    monkeypatch.setattr(shards, "_SECONDS", 0.0)
    Recorded.fails_at, Recorded.calls, Recorded.timeouts = None, [], []

    def make(name: str, options: BackendOptions) -> Engine:
        Recorded.timeouts.append(options.timeout)
        return Recorded(options.states)

    monkeypatch.setattr(workflow, "create_backend", make)


def run(net: Path, out: Path, moved: list[int] | None = None, **choice: Any) -> RunResult:
    @contextmanager
    def bar(title: str, total: int) -> Iterator[Any]:
        yield (lambda _: None) if moved is None else moved.append

    given = InputChoice(**{"data": "rows", "samples": SAMPLES, **choice})
    record = {"dense1": ["spikes"]}
    return workflow.run(net, "engine", given, out, BackendOptions(), bar, record).result


def assert_same(one: RunResult, other: RunResult) -> None:
    for name in ("output_spikes", "spike_counts", "predictions", "labels"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert_equal_counts(one.counts, other.counts)
    documents = [{**each.document(), "seconds": 0, "made": {}} for each in (one, other)]
    assert documents[0] == documents[1]
    for trace, values in one.traces.items():
        np.testing.assert_array_equal(values, other.traces[trace])


@pytest.fixture
def whole(exported: ExportOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunResult:
    with monkeypatch.context() as patch:
        patch.setattr(shards, "_first_size", lambda _: SAMPLES)
        result = run(exported.path, tmp_path / "whole")
    assert Recorded.calls == [SAMPLES]
    Recorded.calls = []
    return result


def stopped(exported: ExportOutcome, out: Path, after: int = 3) -> list[str]:
    """Run until the backend fails; return the names of the parts that are kept."""
    Recorded.fails_at, Recorded.calls = after, []
    with pytest.raises(BackendError, match="power"):
        run(exported.path, out)
    Recorded.fails_at, Recorded.calls = None, []
    return sorted(path.name for path in (out / "shards").iterdir())


def test_it_goes_on_where_it_stopped(
    exported: ExportOutcome, whole: RunResult, tmp_path: Path
) -> None:
    out, moved = tmp_path / "out", []
    assert stopped(exported, out) == [
        "000000000-000000005", "000000005-000000010", "000000010-000000015",
    ]  # fmt: skip
    found = run(exported.path, out, moved)
    assert Recorded.calls == [5, 3]
    assert (moved[0], moved[-1]) == (15, SAMPLES)
    assert moved == sorted(moved)
    assert_same(found, whole)
    assert_same(workflow.load_result(out)[0], whole)
    assert sorted(path.name for path in out.iterdir()) == [
        "network.net", "result.json", "result.npz",
    ]  # fmt: skip


def test_a_gap_is_filled(exported: ExportOutcome, whole: RunResult, tmp_path: Path) -> None:
    import shutil

    out = tmp_path / "out"
    shutil.rmtree(out / "shards" / stopped(exported, out)[1])
    assert_same(run(exported.path, out), whole)
    assert Recorded.calls == [5, 5, 3]


@pytest.mark.parametrize("damage", ["shard.json", "result.json", "result.npz"])
def test_half_a_part_is_done_again(
    exported: ExportOutcome, whole: RunResult, tmp_path: Path, damage: str
) -> None:
    out = tmp_path / "out"
    file = out / "shards" / stopped(exported, out)[0] / damage
    file.write_bytes(file.read_bytes()[:-20])
    assert_same(run(exported.path, out), whole)
    assert Recorded.calls == [5, 5, 3]


@pytest.mark.parametrize(
    ("key", "value"),
    [("network", "0" * 64), ("samples", "0" * 64), ("backend", "sim"), ("time_steps", 9),
     ("traces", []), ("first", 1), ("stop", 99), ("stop", "5"), ("schema_version", 0)],
)  # fmt: skip
def test_parts_of_other_runs_are_done_again(
    exported: ExportOutcome, whole: RunResult, tmp_path: Path, key: str, value: object
) -> None:
    out = tmp_path / "out"
    for name in stopped(exported, out):
        file = out / "shards" / name / "shard.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    assert_same(run(exported.path, out), whole)
    assert sum(Recorded.calls) == SAMPLES


def test_other_samples_do_not_take_them(exported: ExportOutcome, tmp_path: Path) -> None:
    """The train split has other pictures; and fewer samples are a beginning of the same."""
    out = tmp_path / "out"
    stopped(exported, out)
    run(exported.path, out, split="train")
    assert sum(Recorded.calls) == SAMPLES
    stopped(exported, out)
    assert len(run(exported.path, out, samples=12).predictions) == 12
    assert Recorded.calls == [2]


def test_a_short_run_writes_no_part(
    exported: ExportOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(shards.Shards, "keep", refused)
    run(exported.path, tmp_path / "out", samples=SIZE)
    assert Recorded.calls == [SIZE]


def test_parts_grow_to_their_time(
    exported: ExportOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_SECONDS", 1e6)
    run(exported.path, tmp_path / "out")
    assert Recorded.calls == [SIZE, SAMPLES - SIZE]


def test_all_parts_share_the_time(
    exported: ExportOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first may take all of it, and others what is left."""
    options = BackendOptions(timeout=1e6)
    monkeypatch.setattr(shards, "collect", lambda *args, **more: replace(collect(*args, **more),
                                                                         seconds=4e5))  # fmt: skip
    choice = InputChoice(data="rows", samples=SAMPLES)

    @contextmanager
    def bar(title: str, total: int) -> Iterator[Any]:
        yield lambda _: None

    workflow.run(exported.path, "engine", choice, tmp_path / "out", options, bar)
    asked, *parts = Recorded.timeouts
    assert asked == 1e6
    assert parts == [1e6, 6e5, 2e5, 1e-3, 1e-3]


@pytest.mark.lava
def test_parts_of_lava_add_up(
    exported: ExportOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "create_backend", create_backend)

    @contextmanager
    def bar(title: str, total: int) -> Iterator[Any]:
        yield lambda _: None

    choice = InputChoice(data="rows", samples=2 * SIZE + 1)
    results = []
    for size, name in ((SIZE, "parts"), (SAMPLES, "whole")):
        monkeypatch.setattr(shards, "_first_size", lambda _, size=size: size)
        out = tmp_path / name
        results.append(workflow.run(exported.path, "sim", choice, out, BackendOptions(), bar))
    assert_same(*(each.result for each in results))
