"""Tables for people: every number with its kind; names are text, not markup."""

import io

from rich.console import Console

from tests.report.samples import costs, result
from tssl.costs import Refusal
from tssl.report import show_costs, show_result


def shown(show, what):
    console = Console(file=io.StringIO(), width=200)
    show(what, console)
    return console.file.getvalue()


def test_result_shows_accuracy():
    text = shown(show_result, result()[1])
    assert "75.00%" in text
    assert "mnist, test split" in text
    assert "no labels" in shown(show_result, result(labels=None)[1])


def test_costs_show_parts_layers_and_assumptions():
    text = shown(show_costs, costs("[red]net[/red]"))
    for words in (
        "[red]net[/red] on Intel Loihi 2",
        "energy, dynamic",
        "energy, static",
        "not included",
        "synaptic memory",
        "5 cores",
        "one chip at its nominal voltage",
        "energy: synaptic operation",
        "11.8 to 59.0 pJ",
    ):
        assert words in text
    for line in text.splitlines():
        if "latency" in line and "│" in line and " s " in line:
            assert "estimate" in line


def test_a_narrow_terminal_loses_no_figure():
    console = Console(file=io.StringIO(), width=60)
    show_costs(costs(), console)
    assert "23.6" in console.file.getvalue()


def test_a_chip_that_cannot_run_it_is_not_priced():
    text = shown(show_costs, Refusal(profile="loihi1", reason="spikes [carry] " + 50 * "much "))
    assert text.startswith("Not priced: loihi1: spikes [carry] much")
    assert len(text.strip().splitlines()) == 1


def test_an_assumption_is_one_line_in_a_file():
    console = Console(file=io.StringIO(), width=80)
    report = costs()
    show_costs(report, console)
    lines = console.file.getvalue().splitlines()
    for item in report.assumptions:
        if item.quantity is None:
            assert f"- {item.statement} ({item.kind}: {item.source})" in lines
