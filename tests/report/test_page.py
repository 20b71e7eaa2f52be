"""The page holds everything, loads nothing and trusts no name."""

import re
from html.parser import HTMLParser

import pytest

from tests.report.samples import PROOF, costs, result
from tssl.costs import Refusal
from tssl.hw_profiles import profile_names
from tssl.report import render_page
from tssl.report.page import firing_rates

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\" ' & {{ 7*7 }}"


def page(name="mnist-mlp", proof=PROOF):
    _, run = result(name)
    return render_page(run, [costs(name, each) for each in profile_names()], proof)


class Reader(HTMLParser):
    """Collects tags with their attributes, and complains about what is not closed."""

    VOID = ("meta", "rect", "img", "link", "br")

    def __init__(self):
        super().__init__()
        self.tags, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_page_is_well_formed_and_loads_nothing():
    reader = Reader()
    reader.feed(page())
    assert reader.open == []
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "base"}
    for _, attributes in reader.tags:
        assert not {"src", "href", "srcset", "data", "action"} & set(attributes)
    assert not re.search(r"https?://|url\(|@import|//[a-z]", page())


def test_a_hostile_name_is_text():
    text = page(HOSTILE)
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7*7 }}" in text
    hostile = {"statement": HOSTILE, "columns": ['"><b>'], "rows": [[HOSTILE]]}
    assert "<img" not in page(proof=hostile)
    assert '"><b>' not in page(proof=hostile)


def test_page_shows_numbers_with_kind_and_band():
    text = page()
    report = costs()
    assert "75.00 %" in text
    for item in report.assumptions:
        assert item.statement.replace("'", "&#39;") in text
    for words in ("Intel Loihi 2", "Intel Loihi<", "not included", "dense3", "synaptic memory"):
        assert words in text
    assert text.count("estimate") > 20


@pytest.mark.parametrize("proof", [None, {}, {"statement": "equal"}, {"rows": [["a"]]}])
def test_a_proof_may_be_absent_or_partial(proof):
    assert ("<h2>Proof</h2>" in page(proof=proof)) == bool(proof)


def test_a_run_without_labels_or_reports_has_a_page():
    _, run = result(labels=None)
    assert "no labels" in render_page(run, [])


def test_refusals_are_shown():
    _, run = result()
    refused = [Refusal(profile="loihi1", reason="spikes <carry> 15, at most 1")]
    text = render_page(run, [costs()], refused=refused)
    assert "<b>Not priced:</b> loihi1: spikes &lt;carry&gt; 15, at most 1" in text
    assert "Not priced" not in page()


def test_firing_rates_by_hand():
    _, run = result()
    bars = firing_rates(run)
    assert [bar.text for bar in bars] == ["14.84%", "14.06%", "10.00%"]  # 19/128, 9/64, 1/10
    assert bars[0].value == pytest.approx(100)


def test_a_silent_network_has_a_page():
    _, run = result()
    run.counts.spikes[:] = 0
    assert "0.00%" in render_page(run, [])
