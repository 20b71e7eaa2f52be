"""The neuron by hand in docs/tssl-bp.md: its table by the page's equations, and by the code."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer import tiny
from tssl.trainer.neuron import Activity, Neurons, Trace, psp

PAGE = (Path(__file__).parents[2] / "docs" / "tssl-bp.md").read_text(encoding="utf-8")
PAGE = PAGE.replace("\u2212", "-")  # the page has minus signs, numbers in code have hyphens
HALF = 0.5  # r, k and decay of the membrane for both time constants 2
STEPS = 5


def table() -> dict[str, list[float]]:
    """Return the rows of the table by their first cell."""
    section = PAGE.split("## A neuron by hand")[1].split("\n## ")[0]
    rows = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not set(cells[1]) <= {"-"}:
            rows[cells[0].split(" ")[0]] = [float(cell) for cell in cells[1:]]
    return rows


TABLE = table()


def test_the_table_was_found() -> None:
    assert list(TABLE) == ["t", "I", "u", "s", "a", "g", "A", "δ", "D", "e"]
    assert all(len(row) == STEPS for row in TABLE.values())


def test_forward_rows_follow_from_the_equations() -> None:
    v = a = wanted = 0.0
    for t in range(STEPS):
        u = HALF * v + TABLE["I"][t]
        s = float(u > 1)
        a = HALF * a + HALF * s
        wanted = HALF * wanted + HALF * (t > 0)  # of the desired train 0 1 1 1 1
        row = {"t": t, "u": u, "s": s, "a": a, "g": a - wanted, "δ": u - v}
        assert row == {name: TABLE[name][t] for name in row}
        v = u * (1 - s)


def test_backward_rows_follow_from_the_equations() -> None:
    carry = 0.0
    for t in reversed(range(STEPS)):
        u, s, a, rise = (TABLE[name][t] for name in ("u", "s", "a", "δ"))
        total = sum(HALF * HALF**j * TABLE["g"][t + j] for j in range(STEPS - t))
        slope = min(8, 1 / rise) if s else 0.0
        carry = s * slope * (total + HALF * u * carry) + (1 - s) * HALF * carry
        z = math.exp((1 - u) / 0.2)
        error = carry if a >= 1 / 8 else total * z / (0.2 * (1 + z) ** 2)
        assert (total, carry) == (TABLE["A"][t], TABLE["D"][t])
        assert error == pytest.approx(TABLE["e"][t], abs=1e-10)


def by_rule(dtype: torch.dtype = torch.float64, **settings: Any) -> tuple[Trace, list[float]]:
    """Return what the neuron does, and its error at the current."""
    current = torch.tensor(TABLE["I"], dtype=dtype).reshape(STEPS, 1, 1).requires_grad_()
    rule = tiny.rule_of(**settings)
    trace = rule(current, Neurons(2.0, 2.0, 1.0, record=True), Activity())
    desired = torch.tensor([0, 1, 1, 1, 1], dtype=dtype).reshape(STEPS, 1, 1)
    (0.5 * (trace.psp - psp(desired, tau_s=2)).square().sum()).backward()
    assert current.grad is not None
    return trace, current.grad.flatten().tolist()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_rows_equal_the_code(dtype: torch.dtype) -> None:
    trace, error = by_rule(dtype)
    assert trace.voltage.flatten().tolist() == TABLE["u"]
    assert trace.spikes.flatten().tolist() == TABLE["s"]
    assert trace.psp.flatten().tolist() == TABLE["a"]
    assert error == pytest.approx(TABLE["e"], abs=1e-10 if dtype == torch.float64 else 1e-7)


def test_other_options_give_what_the_page_says() -> None:
    chain, none, cold = (
        by_rule(**{key: value})[1]
        for key, value in (("reset_term", "chain"), ("reset_term", "none"), ("warm_up", "none"))
    )
    said = re.search(r'"chain"` it is (\S+), with\s+`none` (\S+)\.', PAGE)
    assert said is not None
    assert [chain[1], none[1]] == [float(number) for number in said.groups()]
    assert cold == TABLE["D"]
