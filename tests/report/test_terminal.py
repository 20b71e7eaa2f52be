"""Tables for people: every number with its kind; names are text, not markup."""

import io
from dataclasses import replace

from rich.console import Console

from tests.report.samples import costs, result
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
    report = replace(costs("[red]net[/red]"), refusals=("nobody knows",))
    text = shown(show_costs, report)
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
        "Not given: nobody knows",
    ):
        assert words in text
    for line in text.splitlines():
        if "latency" in line and "│" in line and " s " in line:
            assert "estimate" in line


def test_a_narrow_terminal_loses_no_figure():
    console = Console(file=io.StringIO(), width=60)
    show_costs(costs(), console)
    assert "23.6" in console.file.getvalue()
