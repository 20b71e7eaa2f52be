"""Tables for people: every number with its kind; names are text, not markup."""

import io

from rich.console import Console

from tests.reporting.samples import costs, result, sheet
from tssl.costs import Refusal
from tssl.hw_profiles import quoted_for
from tssl.reporting import (
    amounts,
    render_page,
    show_comparison,
    show_costs,
    show_operations,
    show_quoted,
    show_result,
)


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


def test_what_cannot_be_said_is_refused_with_the_reason():
    text = shown(show_costs, costs(profile_name="cortex-m"))
    assert "no dynamic energy: no source gives energy.mac" in text
    assert "no time: the profile gives no time.mac" in text
    assert "not supported" in text


def test_costs_stand_side_by_side():
    refused = (Refusal(profile="odin", reason="no"),)
    text = shown(show_comparison, [sheet(profiles=("loihi2", "cortex-m"), refused=refused)])
    assert "Intel Loihi 2" in text
    assert "refused" in text
    assert "Not priced: odin: no" in text


def test_the_network_without_spikes_is_compared():
    text = shown(show_costs, costs())
    assert "The same network, 8 bits and without spikes" in text
    assert "the spiking network needs" in text


def test_counts_are_shown_before_any_price():
    run = result()[1]
    table = amounts(run.counts)
    assert table["dense1"] == {
        "synaptic operations": 20 * 14000,
        "stored zeros": None,
        "active updates": 20 * 120,
        "inactive updates": 20 * 8,
        "spikes": 20 * 19,
    }
    assert table["all"]["spikes"] == 20 * (19 + 9 + 1)
    assert "280\u202f000" in shown(show_operations, run)


def test_published_figures_are_quoted_with_their_limits():
    assert shown(show_quoted, [sheet()]) == ""
    quoted = sheet(quoted=quoted_for("mnist"))
    for text in (shown(show_quoted, [quoted, quoted]), render_page([quoted])):
        assert text.count("35.8 µJ") == 1
        assert "derived" in text
        assert "no chip, node" in " ".join(text.split())
    assert "Published" not in render_page([sheet()])
