"""The page in a browser without a window, where there is one: no error, nothing too wide."""

import json
import re
import shutil
import subprocess

import pytest

from tests.reporting.samples import sheet
from tests.reporting.test_page import script_of
from tssl.reporting import render_page

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

PROBE = """
const press = (svg, key) => svg.dispatchEvent(new KeyboardEvent("keydown", { key }));
const report = {};
report.wide = [...document.querySelectorAll("body *")].filter((each) =>
  each.getBoundingClientRect().right > innerWidth + 1 && !each.closest(".scroll")
  && !each.closest("pre")).map((each) => each.outerHTML.slice(0, 80));
report.scroll = document.documentElement.scrollWidth - innerWidth;
const svg = document.querySelector("[data-network] figure.plot svg");
press(svg, "ArrowRight");
report.first = svg.parentNode.querySelector(".readout").textContent;
press(svg, "ArrowRight");
report.second = svg.parentNode.querySelector(".readout").textContent;
const slider = document.querySelector("input[type=range]");
slider.value = 3;
slider.dispatchEvent(new Event("input"));
report.time = document.querySelector(".controls output").textContent;
report.cursors = document.querySelectorAll(".cursor[visibility=visible]").length;
const box = document.querySelector("input[type=checkbox]");
const drawn = () => [...document.querySelectorAll(`[data-layer="${box.value}"]`)]
  .filter((each) => getComputedStyle(each).display !== "none").length;
report.before = drawn();
box.click();
report.hidden = drawn();
report.focusable = svg.tabIndex;
document.body.innerHTML = "";
document.title = JSON.stringify(report);
"""


def probed(text, width, folder):
    """Return what a script that is added to the page finds in it, and the browser's complaints."""
    text = re.sub(r"script-src '[^']*'", "script-src 'unsafe-inline'", text)
    text = text.replace("</body>", f"<script>{PROBE}</script></body>")
    (folder / "page.html").write_text(text)
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            f"--window-size={width},900", "--dump-dom", (folder / "page.html").as_uri(),
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    (title,) = re.findall(r"<title>(.*?)</title>", done.stdout, flags=re.S)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return title.replace("&amp;", "&").replace("&gt;", ">").replace("&lt;", "<"), complaints


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 768, 1200])
def test_page(width, tmp_path):
    found, complaints = probed(render_page([sheet("small"), sheet("large")]), width, tmp_path)
    assert complaints == []
    report = json.loads(found)
    assert report["wide"] == []
    assert report["scroll"] <= 0
    assert report["first"] == "1: loss 0.5"
    assert report["second"] == "2: loss 0.25"
    assert report["time"] == "step 3, neurons that fire: dense1 1, dense2 1, dense3 1"
    assert report["cursors"] == 3 * 3
    assert report["before"] == 2 * report["hidden"] > 0  # the other network keeps its own
    assert report["focusable"] == 0


@pytest.mark.slow
def test_the_policy_lets_the_own_script_run(tmp_path):
    text = render_page([sheet()])
    assert script_of(text)
    (tmp_path / "page.html").write_text(text)
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--dump-dom", (tmp_path / "page.html").as_uri(),
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert '<div class="controls">' in done.stdout  # it was hidden until the script ran
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
