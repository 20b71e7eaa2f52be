"""What an export can be made of."""

from pathlib import Path

import numpy as np

from tests.exporter.networks import checkpoint, dense
from tssl.trainer.run_directory import RunDirectory
from tssl.workflow.nir import NirChoice
from tssl.workflow.sources import network_of


def test_a_run_may_be_named_as_the_nir_file_that_it_is_from(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "theirs.nir")
    run.path.mkdir()
    checkpoint(rng, [dense(4)], (1, 8, 8)).save(run.best)
    found, file = network_of(run.path, NirChoice())
    assert file == run.best
    assert found.graph.output.outputs == 4
