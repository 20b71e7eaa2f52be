"""The page holds everything, loads nothing and trusts no name."""

import re
from html.parser import HTMLParser

import pytest

from tests.reporting.samples import PROOF, costs, result, sheet
from tssl.costs import Refusal
from tssl.reporting import render_page
from tssl.reporting.page import firing_rates

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\" ' & {{ 7*7 }}"


def page(name="mnist-mlp", proof=PROOF):
    return render_page([sheet(name, proof=proof)])


class Reader(HTMLParser):
    """Collects tags with their attributes, and complains about what is not closed."""

    VOID = ("meta", "img", "link", "br")

    def __init__(self):
        super().__init__()
        self.tags, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

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
    hostile = {"statement": HOSTILE, "columns": ['"><i>'], "rows": [[HOSTILE]]}
    assert "<img" not in page(proof=hostile)
    assert '"><i>' not in page(proof=hostile)


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
    assert ("<h3>Proof</h3>" in page(proof=proof)) == bool(proof)


def test_a_run_without_labels_or_reports_has_a_page():
    _, run = result(labels=None)
    text = render_page([sheet(result=run, costs=(), weights={}, traces=(), traces_note="None.")])
    assert "no labels" in text
    assert "Confusion matrix" not in text
    assert "None." in text


def test_refusals_and_gaps_are_shown():
    refused = (Refusal(profile="loihi1", reason="spikes <carry> 15, at most 1"),)
    text = render_page([sheet(profiles=("loihi2", "cortex-m"), refused=refused)])
    assert "<b>loihi1</b>: spikes &lt;carry&gt; 15, at most 1" in text
    assert "no dynamic energy: no source gives energy.mac of Cortex-M" in text
    assert "not supported" in text
    assert "Not said, and why" not in page()


def test_networks_and_chips_stand_side_by_side():
    profiles = ("loihi2", "spinnaker1", "jetson-orin")
    text = render_page([sheet("small", profiles), sheet("large", profiles)])
    assert "What small and large cost<" in text
    rows = text[text.index("Side by side") : text.index("Energy per inference, logarithmic")]
    assert rows.count("<tr>") == 1 + 6
    for words in ("small, Intel Loihi 2", "large, Jetson Orin Nano (8-bit)"):
        assert words in text


def test_a_network_that_loses_without_spikes_is_said_to_lose():
    text = page()
    assert "The same network, 8 bits and without spikes" in text
    assert "it loses" in text or "it wins" in text


def test_pictures_are_drawn():
    text = page()
    assert text.count('class="raster"') == 3
    assert 'aria-label="core map of chip 0"' in text
    assert "core 0: dense1, 43 neurons" in text
    assert "1 of class 1 taken for 2" in text  # the one wrong sample
    assert text.count("<path") == 3 + 3 + 6  # rasters, weights, u and v


def test_firing_rates_by_hand():
    _, run = result()
    bars = firing_rates(run)
    assert [bar.text for bar in bars] == ["14.84%", "14.06%", "10.00%"]  # 19/128, 9/64, 1/10
    assert bars[0].value == pytest.approx(100)


def test_a_silent_network_has_a_page():
    _, run = result()
    run.counts.spikes[:] = 0
    assert "0.00%" in render_page([sheet(result=run)])
