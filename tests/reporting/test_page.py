"""The page holds everything, loads nothing and trusts no name."""

import base64
import hashlib
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.reporting.samples import PROOF, costs, result, sheet, traces
from tssl.costs import Refusal
from tssl.hw_profiles import quoted_for
from tssl.reporting import LearningCurve, render_page
from tssl.reporting.page import firing_rates

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\" ' & {{ 7*7 }}"


def page(name="mnist-mlp", proof=PROOF):
    return render_page([sheet(name, proof=proof)])


class Reader(HTMLParser):
    """Collects tags with their attributes, and complains about what is not closed."""

    VOID = ("meta", "img", "link", "br", "input")

    def __init__(self):
        super().__init__()
        self.tags, self.open = [], []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def read(text):
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader.tags


def script_of(text):
    """Return the page's only script."""
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.S)
    return script


def both():
    """Return a page with all that a page can hold, twice."""
    recorded = traces(result()[0])[:1]
    names = tuple(f"class {number}" for number in range(10))
    given = {"recorded": recorded, "class_names": names, "quoted": quoted_for("mnist")}
    return render_page([sheet("small", **given), sheet("large", **given)], "Made here.")


def test_page_is_well_formed_and_loads_nothing():
    tags = read(page())
    assert not {tag for tag, _ in tags} & {"img", "link", "iframe", "object", "embed", "base"}
    for _, attributes in tags:
        assert not {"src", "href", "srcset", "data", "action"} & set(attributes)
    assert not re.search(r"https?://|url\(|@import|//[a-z]", page())


def test_the_policy_allows_the_pages_own_script_alone():
    text = page()
    (policy,) = (found["content"] for tag, found in read(text) if "http-equiv" in found)
    digest = base64.b64encode(hashlib.sha256(script_of(text).encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert not re.search(r" on[a-z]+=", text[: text.index("<script>")])
    assert not re.search(r"fetch|XMLHttp|WebSocket|localStorage|cookie|import", script_of(text))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_script_is_javascript(tmp_path):
    (tmp_path / "page.js").write_text(script_of(page()))
    done = subprocess.run(
        ["node", "--check", tmp_path / "page.js"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_id_is_of_one_element_and_every_control_has_a_label():
    tags = read(both())
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids)) == 2 * (1 + 3)  # a slider and three layers each
    controls = [found["id"] for tag, found in tags if tag == "input"]
    assert sorted(controls) == sorted(found["for"] for tag, found in tags if tag == "label")
    for tag, attributes in tags:
        if "tabindex" in attributes:
            assert tag == "pre" or attributes["aria-label"]
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes["aria-label"]


def test_every_chart_has_titled_axes_with_ticks():
    text = both()
    charts = re.findall(r'<figure class="(?:plot|map|matrix)".*?</figure>', text, flags=re.S)
    # of each network: 2 of the training, 3 of each trace (3 + 1 recorded), 6 of values,
    # 3 of weights, a matrix and two core maps; and the front of both
    assert len(charts) == 2 * (2 + 3 * 4 + 6 + 3 + 1 + 2) + 1
    for chart in charts:
        titles = re.findall(r'class="axis-title"[^>]*>([^<]+)<', chart)
        assert len(titles) == 2, chart[:200]
        assert all(title.strip() for title in titles)
        assert len(re.findall(r'class="tick[^"]*"', chart)) >= 4, chart[:200]
    bars = re.findall(r'<div class="bars[ "].*?class="axis-title">([^<]+)<', text, flags=re.S)
    assert len(bars) == 1 + 2 * (1 + 2 * 3)
    assert set(bars) >= {"spikes per neuron and time step", "share of the energy per inference"}


def test_a_large_page_leaves_out_what_would_make_it_too_large():
    profiles = ("loihi1", "loihi2", "spinnaker1", "spinnaker2")
    many = [sheet(f"network {number}", profiles) for number in range(8)]
    text = render_page(many)
    assert len(text.encode()) < 1_000_000
    assert "To keep the page small" in text
    assert text.count("<summary>Intel Loihi 2") == 8
    assert "<summary>SpiNNaker 2" not in text
    assert text.count("SpiNNaker 2") >= 8  # in the table side by side
    assert "To keep the page small" not in render_page(many[:2])


def test_a_hostile_name_is_text():
    text = page(HOSTILE)
    assert text.count("<script") == 1
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7*7 }}" in text
    hostile = {"statement": HOSTILE, "columns": ['"><i>'], "rows": [[HOSTILE]]}
    assert "<img" not in page(proof=hostile)
    assert '"><i>' not in page(proof=hostile)
    given = {"recipe": HOSTILE, "class_names": (HOSTILE,) * 10, "provenance": ((HOSTILE,) * 2,)}
    text = render_page([sheet(**given)], HOSTILE)
    assert "<img" not in text
    assert text.count("<script") == 1


def test_where_everything_comes_from_stands_first():
    text = page()
    assert text.index("Provenance") < text.index("Side by side")
    assert f"SHA-256 {result()[0].digest}" in text
    for words in ("90.00 %", "80.00 %", "Learning curve", "held-out"):
        assert words in text


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
    rows = text[text.index("<h2>Side by side") : text.index("<h3>Energy per inference<")]
    assert rows.count("<tr>") == 1 + 6
    assert "Accuracy against energy" in text
    assert "Accuracy against energy" not in page()
    for words in ("small, Intel Loihi 2", "large, Jetson Orin Nano (8-bit)"):
        assert words in text


def test_a_network_that_loses_without_spikes_is_said_to_lose():
    text = page()
    assert "The same network, 8 bits and without spikes" in text
    assert "it loses" in text or "it wins" in text


def test_pictures_are_drawn():
    text = page()
    assert text.count('class="spikes"') == 3
    assert text.count('class="line threshold"') == 2 * 3  # the line and its legend
    assert 'aria-label="core map of chip 0"' in text
    assert "core 0: dense1, 43 neurons" in text
    assert "dense2 to dense3: 1.00 hops on average, 1 at most" in text
    assert "1 of class 1 taken for 2" in text  # the one wrong sample


def test_classes_have_their_names():
    text = render_page([sheet(class_names=("cat", "dog", "a bird of another kind"))])
    assert "1 of class dog taken for a bird of another kind" in text
    assert ">a bird of a…<" in text


def test_firing_rates_by_hand():
    _, run = result()
    bars = firing_rates(run)
    assert [bar.text for bar in bars.rows] == ["14.84%", "14.06%", "10.00%"]  # 19/128, 9/64, 1/10
    assert [bar.value for bar in bars.rows] == pytest.approx([14.84375, 14.0625, 10])
    assert [text for _, text in bars.axis.ticks] == ["0 %", "25 %", "50 %", "75 %", "100 %"]


def test_parts_of_the_energy_fill_the_whole_width():
    text = page()
    widths = re.findall(r'class="part (?:dynamic|static)" x="[^"]*" y="0" width="([^"]*)"', text)
    assert len(widths) == 2 * 2
    assert float(widths[0]) + float(widths[1]) == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize(("epoch", "loss"), [(1, -1.0), (10**30, 0.0), (1, 1e30)])
def test_a_curve_of_any_values_is_drawn(epoch, loss):
    curve = LearningCurve([epoch], [loss], [-9.5], [], [1e30])
    assert "Accuracy" in render_page([replace(sheet(), learning=curve)])


def test_a_silent_network_has_a_page():
    _, run = result()
    run.counts.spikes[:] = 0
    assert "0.00%" in render_page([sheet(result=run)])


def test_a_page_of_very_many_classes_shows_those_with_most_mistakes():
    names = tuple(f"class {index}" for index in range(100_000))
    text = render_page([replace(sheet(), class_names=names)])
    assert "Only the 100 of 100\u202f000 classes with most mistakes are shown." in text
    assert len(text) < len(page()) + 100_000


def test_the_slider_ends_where_the_pictures_do():
    whole = sheet()
    steps = whole.result.counts.time_steps
    last = re.compile(r'type="range"[^>]* max="(\d+)"')
    assert last.findall(render_page([whole])) == [str(steps - 1)]
    cut = tuple(
        replace(each, spikes=each.spikes[:3], current=each.current[:3], voltage=each.voltage[:3])
        for each in whole.traces
    )
    assert last.findall(render_page([replace(whole, traces=cut)])) == ["2"]
