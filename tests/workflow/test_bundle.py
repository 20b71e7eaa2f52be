"""From an exported network to a folder for the board."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.trainer import tiny
from tssl.engine import run_chunk
from tssl.errors import ConfigError
from tssl.lava_runtime.plain import SHIMS
from tssl.workflow.bundle import bundle
from tssl.workflow.export import ExportOutcome
from tssl.workflow.inputs import InputChoice, encode
from tssl.workflow.run import load_result


def test_a_bundle_of_the_networks_own_data(exported: ExportOutcome, tmp_path: Path) -> None:
    bundle(exported.path, tmp_path / "board", InputChoice(samples=5))
    assert sorted(path.name for path in (tmp_path / "board").iterdir()) == [
        "README.md", "bundle.json", "check.py", "expected", "input.npy", "labels.npy",
        "lava_worker.py", "measure.py", "network.net", "result", "worker",
    ]  # fmt: skip
    facts = json.loads((tmp_path / "board" / "bundle.json").read_text())
    assert facts["digest"] == exported.network.digest
    result, network, _ = load_result(tmp_path / "board" / "result")
    assert result.digest == network.digest == facts["digest"]
    assert np.array_equal(
        np.load(tmp_path / "board" / "labels.npy"), tiny.dataset("test").labels[:5]
    )
    readme = (tmp_path / "board" / "README.md").read_text()
    own = [line.replace(str(exported.path), "network.net") for line in exported.lines]
    assert "\n".join([*SHIMS, *own]) in readme
    train = encode(exported.network, tiny.dataset("test"), 5)
    assert np.array_equal(np.load(tmp_path / "board" / "input.npy"), train)
    expected = run_chunk(exported.network, train, exported.network.time_steps or 1)
    for index, name in enumerate(facts["layers"]):
        stored = np.load(tmp_path / "board" / "expected" / f"layer_{index}.npy")
        assert stored.any()
        assert np.array_equal(stored, expected.trains[name].transpose(1, 0, 2))


def test_a_folder_of_something_else_is_left_alone(exported: ExportOutcome, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear board")
    with pytest.raises(ConfigError, match="choose another folder"):
        bundle(exported.path, tmp_path, InputChoice(samples=2))
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]
