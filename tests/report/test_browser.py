"""Pages in a real browser: what the script does, and that nothing is asked of anybody."""

from __future__ import annotations

import pytest

from ganforge.commands.report import report
from ganforge.config.requests import ReportRequest
from tests.report.pages import grid, whole_run
from tests.runs.past_runs import past_run
from tests.support.chromium import BINARY, Chromium

pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium")

HOSTILE = "</script><script>console.log('in')</script><img src=http://192.0.2.1/ onerror=alert(2)>"
CURVE = tuple((640 * place, 1000.0 / (1 + place) ** 2) for place in range(12))
SHOWN = (
    "[...document.querySelectorAll('img[data-caption]')].map(i => !i.hidden && i.naturalWidth > 0)"
)
TOLD = "document.getElementById('grid-caption').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def run_page(tmp_path_factory):
    told = {"run": HOSTILE, "error": HOSTILE, "versions": {"torch": HOSTILE}}
    run = whole_run(tmp_path_factory.mktemp("run") / "run", 3, CURVE, **told)
    return report(ReportRequest(str(run)))


@pytest.fixture(scope="module")
def sweep_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    for place in range(4):
        settings = {"optimizer.generator.lr": 10.0 ** -(place + 1)}
        run = past_run(folder / f"{place}-{HOSTILE.replace('/', '')[:60]}", place, CURVE, settings)
        grid(run / "samples" / "step_0000020.png", 90)
    return report(ReportRequest(sweep=str(folder)))


@pytest.fixture
def opened(browser, run_page):
    browser.open(run_page)
    yield browser
    assert browser.complaints == []
    assert browser.requests == [run_page.as_uri()]


def test_the_slider_moves_by_the_keyboard(opened):
    assert opened.evaluate(SHOWN) == [False] * 11 + [True]
    opened.evaluate("document.getElementById('grid-slider').focus()")
    opened.press("ArrowLeft", 37)
    opened.press("ArrowLeft", 37)
    assert opened.evaluate(SHOWN).index(True) == 9
    assert opened.evaluate(TOLD) == "step 90 · 5,760 images seen · fid_classifier 10"
    opened.press("Home", 36)
    assert opened.evaluate(SHOWN) == [True] + [False] * 11
    assert opened.evaluate(TOLD).startswith("step 0 ")
    slider = "document.getElementById('grid-slider').getAttribute('aria-valuetext')"
    assert opened.evaluate(slider) == opened.evaluate(TOLD)


def test_values_under_the_pointer_and_by_the_keyboard(opened):
    box = "document.querySelector('figure.chart svg').getBoundingClientRect()"
    opened.evaluate("document.querySelector('figure.chart').scrollIntoView()")
    left, top = opened.evaluate(f"{box}.left"), opened.evaluate(f"{box}.top")
    width = opened.evaluate(f"{box}.width")
    tip = "document.querySelector('figure.chart .tip')"
    # 64 of 640 pixels stand left of the axis, 12 right of it, and 2 % of the rest are free.
    place = 64 + (640 - 64 - 12) * (0.02 + 3 / 11) / 1.04
    opened.point_at(left + width * place / 640, top + 60)
    assert opened.evaluate(f"{tip}.textContent") == "real images seen: 1920\nfid_classifier: 62.5"
    opened.point_at(2, 2)
    assert opened.evaluate(f"{tip}.hidden")
    opened.evaluate("document.querySelector('figure.chart svg').focus()")
    opened.press("Home", 36)
    opened.press("ArrowRight", 39)
    assert opened.evaluate(f"{tip}.textContent") == "real images seen: 640\nfid_classifier: 250"


def test_the_switch_to_a_logarithmic_axis(opened):
    shown = "[...document.querySelectorAll('figure.chart')[0].querySelectorAll('svg')]"
    heights = f"{shown}.map(one => one.getBoundingClientRect().height > 0)"
    assert opened.evaluate(heights) == [True, False]
    opened.evaluate("document.querySelector('figure.chart input.log').click()")
    assert opened.evaluate(heights) == [False, True]


def test_a_curve_is_hidden_by_its_name(opened):
    chart = (
        "[...document.querySelectorAll('figure.chart')].find(c => c.innerText.includes('logit'))"
    )
    lines = f"[...{chart}.querySelectorAll('svg:not([hidden]) .series')]"
    drawn = f"{lines}.map(one => getComputedStyle(one).display !== 'none')"
    assert opened.evaluate(drawn) == [True, True]
    opened.evaluate(f"{chart}.querySelectorAll('.legend button')[1].click()")
    assert opened.evaluate(drawn) == [True, False]


def test_the_configuration_is_searched(opened):
    rows = "[...document.querySelectorAll('.config tr')].filter(row => row.checkVisibility())"
    keys = f"{rows}.map(row => row.cells[0].innerText)"
    assert opened.evaluate(keys) == []  # all is folded
    opened.evaluate("document.getElementById('config-search').focus()")
    opened.send("Input.insertText", text="generator LR")
    assert opened.evaluate(keys) == ["optimizer.generator.lr"]
    assert opened.evaluate("document.getElementById('config-found').textContent") == "1 found"


def test_light_and_dark(opened):
    colour = "getComputedStyle(document.body).backgroundColor"
    opened.send("Emulation.setEmulatedMedia", features=[])
    seen = [opened.evaluate(colour)]
    opened.evaluate("document.getElementById('theme').click()")
    seen.append(opened.evaluate(colour))
    assert sorted(seen) == ["rgb(13, 17, 23)", "rgb(255, 255, 255)"]
    opened.send("Emulation.setEmulatedMedia", media="print")
    assert opened.evaluate(colour) == "rgb(255, 255, 255)"
    assert opened.evaluate("getComputedStyle(document.querySelector('.slide')).display") == "none"
    opened.send("Emulation.setEmulatedMedia", media="")


def test_nothing_is_wider_than_a_telephone(opened):
    opened.send(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=700,
        deviceScaleFactor=1,
        mobile=True,
    )
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    opened.send("Emulation.clearDeviceMetricsOverride")


def test_a_sweep(browser, sweep_page):
    browser.open(sweep_page)
    column = "[...document.querySelectorAll('#jobs tbody tr')].map(row => row.cells[1].innerText)"
    assert browser.evaluate(column) == ["0.1", "0.01", "0.001", "0.0001"]
    browser.evaluate("document.querySelectorAll('#jobs th button')[1].click()")
    assert browser.evaluate(column) == ["0.0001", "0.001", "0.01", "0.1"]
    browser.evaluate("document.querySelectorAll('#jobs th button')[1].click()")
    assert browser.evaluate(column) == ["0.1", "0.01", "0.001", "0.0001"]
    loaded = "[...document.images].map(image => image.naturalWidth)"
    assert browser.evaluate(loaded) == [66] * 4
    assert browser.complaints == []
    assert browser.requests == [sweep_page.as_uri()]


def test_the_browser_tells_of_complaints_and_requests(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<img src=missing.png><script>console.log(1); nowhere()</script>")
    browser.open(page)
    assert browser.requests == [page.as_uri(), (tmp_path / "missing.png").as_uri()]
    assert [one.partition(":")[0] for one in sorted(browser.complaints)][:2] == [
        "console",
        "exception",
    ]


def test_the_page_refuses_scripts_that_are_not_its_own(browser, run_page, tmp_path):
    page = tmp_path / "page.html"
    bad = "<script>window.intruder = 1</script><img src='http://192.0.2.1/x.png'></main>"
    page.write_text(run_page.read_text().replace("</main>", bad))
    browser.open(page)
    assert browser.evaluate("window.intruder === undefined")
    assert len([one for one in browser.complaints if "Content Security Policy" in one]) >= 2
