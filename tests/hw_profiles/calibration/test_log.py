"""Reading logs: a CSV file, and what lava-dl's notebooks print."""

import pytest

from tests.contract.bad_files import LOG
from tssl.errors import DataError
from tssl.hw_profiles.calibration.log import read_log

PRINTED = """\
result: mlp
digest: AB12
Throughput : 408.91 fps.
Total Power   : 0.679234 W
Dynamic Power : 0.447156 W
Static Power  : 0.232078 W
VDD Power     : 0.252728 W
VDD-M Power   : 0.422127 W
VDD-IO Power  : 0.004379 W
Total Energy per inference   : 1.661103 mJ
"""
"""PilotNet LIF on a board, from the stored output of lava-dl's benchmark notebook."""


def test_rows_are_runs(tmp_path):
    path = tmp_path / "board.csv"
    path.write_text(f"# a comment\n{LOG}\na/b,AB,1e-6,0.3,0.2\n\n/abs,cd,2e-6,0.4,\n")
    one, two = read_log(path)
    assert (one.result, one.digest) == (tmp_path / "a/b", "ab")
    assert (one.seconds, one.watts, one.static, one.chips) == (1e-6, 0.3, 0.2, None)
    assert (str(two.result), two.static) == ("/abs", None)
    assert one.where == f"{path}: line 3"
    assert two.where == f"{path}: line 5"


def test_rails_make_a_total_in_any_order(tmp_path):
    path = tmp_path / "board.csv"
    path.write_text(
        "chips,vddio_power [W],vddm_power [W],vdd_power [W],digest,result,time_per_step [s]\n"
        "8,0.01,0.2,0.1,ab,x,1e-5\n"
    )
    (run,) = read_log(path)
    assert run.watts == pytest.approx(0.31)
    assert run.chips == 8


def test_what_a_notebook_prints(tmp_path):
    path = tmp_path / "pilotnet.txt"
    path.write_text(PRINTED)
    (run,) = read_log(path)
    assert (run.result, run.digest) == (tmp_path / "mlp", "ab12")
    assert (run.watts, run.static, run.throughput) == (0.679234, 0.232078, 408.91)
    assert run.seconds is None


@pytest.mark.parametrize("line", PRINTED.splitlines()[:4])
def test_a_notebook_without_a_line_that_is_needed(tmp_path, line):
    path = tmp_path / "x.txt"
    path.write_text(PRINTED.replace(line, "").replace("VDD-M", "VDDM"))
    with pytest.raises(DataError, match="is missing"):
        read_log(path)


def test_a_log_without_end(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"#" * (5 << 20))
    with pytest.raises(DataError, match="too large for a log"):
        read_log(path)
