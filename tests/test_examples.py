"""The scripts in ``examples/``, one after another as their README says."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tssl.tables import Shown

EXAMPLES = Path(__file__).parents[1] / "examples"
MOST_LINES = 60


def run(folder: Path, script: str, *arguments: str) -> str:
    """Return what a script prints."""
    ran = subprocess.run(
        [sys.executable, EXAMPLES / script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with ``runs/example``, and what the first script said."""
    folder = tmp_path_factory.mktemp("examples")
    return folder, run(folder, "train_export_run_report.py", "--epochs", "1")


@pytest.mark.slow
def test_train_export_run_report(trained: tuple[Path, str]) -> None:
    folder, output = trained
    said = dict(line.split(": ", 1) for line in output.splitlines())
    assert said["proof"] == "PASS without Lava"
    assert said["accuracy"].endswith(said["accuracy on engine"])
    assert said["energy"].endswith("estimate)")
    assert (folder / "runs/example/report.html").is_file()


@pytest.mark.slow
def test_run_any_net(trained: tuple[Path, str]) -> None:
    output = run(
        trained[0], "run_any_net.py", "runs/example/digits-loihi2.net", "--largest", "16"
    ).splitlines()
    assert output[0] == "digits: input (1, 8, 8), 2 layers"
    assert [line.split(" ", 2)[:2] for line in output[1:4]] == [
        ["sample", "0:"], ["sample", "1:"], ["sample", "2:"],
    ]  # fmt: skip
    fired = sum(int(line.split("dense2 ")[1].split()[0]) for line in output[1:4])
    assert output[4] == f"output spikes (3, 16, 10): {fired} in all"


@pytest.mark.slow
def test_compare_chips(trained: tuple[Path, str]) -> None:
    output = run(trained[0], "compare_chips.py", "runs/example/result")
    first = {line.split()[0].rstrip(":") for line in output.splitlines()}
    assert {"loihi2", "jetson-orin", "spinnaker2", "loihi1"} <= first
    assert output.count("µJ") == 1


@pytest.mark.slow
def test_own_network(tmp_path: Path) -> None:
    *epochs, proof, accuracy, energy = run(tmp_path, "own_network.py", "--epochs", "3").splitlines()
    assert epochs[-1].startswith("epoch 3: test accuracy ")
    trained = float(epochs[-1].split()[-1].rstrip("%"))
    assert trained > 70  # 10 by chance
    assert proof.startswith("proof: PASS without Lava, accuracy as integers ")
    assert proof.split()[-1] == accuracy.split()[-1]
    assert abs(float(accuracy.split()[-1].rstrip("%")) - trained) < 5
    assert energy.startswith("energy of a sample: ")
    assert energy.endswith("estimate)")


@pytest.mark.slow
@pytest.mark.lava
def test_own_network_ends_on_lava(tmp_path: Path) -> None:
    output = run(tmp_path, "own_network.py", "--epochs", "1", "--backend", "sim").splitlines()
    assert output[1].startswith("proof: PASS, ")
    assert output[1].split()[-1] == output[2].split()[-1]
    assert output[2].startswith("accuracy on sim: ")


def cells(notebook: Path) -> list[str]:
    """Return the code of a notebook."""
    document = json.loads(notebook.read_text(encoding="utf-8"))
    assert document["nbformat"] == 4
    code = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    return ["".join(cell["source"]) for cell in code]


def shown_by(cell: str, names: dict[str, Any]) -> object:
    """Run a cell as Jupyter does, and return the value of its last line, if it is one."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    return (
        None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    )


@pytest.mark.slow
def test_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    values: list[Any] = [shown_by(cell, names) for cell in cells(EXAMPLES / "first_steps.ipynb")]
    shown = [value for value in values if isinstance(value, Shown)]
    assert [type(value).__name__ for value in shown] == [
        "TrainOutcome", "ExportOutcome", "RunOutcome", "Report", "RunOutcome",
        "NetworkDifference", "Inspection",
    ]  # fmt: skip
    assert all(value._repr_html_().startswith("<div><table>") for value in shown)
    assert all(len(repr(value)) <= 200 for value in shown)
    assert names["own"].result.accuracy == names["result"].result.accuracy > 0.5
    assert values[3][:2] == ((50, 5, 256), (50, 5, 256))  # 5 steps, dense1 of the recipe
    assert 0 < values[3][2] < 5 * 256
    assert capsys.readouterr().out.startswith("density 3: above 0")
    assert (tmp_path / "runs/first/report.html").is_file()


def test_all_are_listed_and_short() -> None:
    scripts = sorted(EXAMPLES.glob("*.py"))
    assert len(scripts) == 4
    assert "(first_steps.ipynb)" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for script in scripts:
        assert f"({script.name})" in readme
        assert len(script.read_text(encoding="utf-8").splitlines()) < MOST_LINES, script.name
