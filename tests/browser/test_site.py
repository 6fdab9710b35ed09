"""The built site in headless Chromium, from disk and under its own policy, in both languages and two widths.

What no parser sees: charts turned black, texts too small to read, pages that scroll sideways, requests to others.
"""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

PAGES = [
    "zh/2026Q3/index.html", "en/2026Q3/index.html", "zh/2026Q3/P01/index.html", "en/2026Q2/P01/index.html",
    "zh/index.html", "en/archive/index.html", "index.html",
]  # fmt: skip
SMALLEST_TEXT_PX = 11
NEAR_BLACK, BLACK_SHARE = 40, 0.4

# Size in px of each text of each chart: its own, as the drawing is scaled.
TEXT_SIZES = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const drawn = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return [...svg.querySelectorAll('text')].map(text => drawn * parseFloat(getComputedStyle(text).fontSize));
})"""
# Texts that reach out of their drawing by more than a pixel.
OUTSIDE = """() => [...document.querySelectorAll('svg text')].filter(text => {
  const box = text.getBoundingClientRect(), chart = text.ownerSVGElement.getBoundingClientRect();
  return box.left < chart.left - 1 || box.right > chart.right + 1;
}).map(text => text.textContent)"""


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_quiet_self_contained_legible_and_not_black(opened, path, width):
    page = opened(path, width)
    assert page.complaints == []
    outside = [url for url in page.requests_made if not url.startswith(("file:", "data:"))]
    assert outside == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == []
    assert min(page.evaluate(TEXT_SIZES), default=SMALLEST_TEXT_PX) >= SMALLEST_TEXT_PX - 0.05
    for place, chart in enumerate(page.locator("svg").all()):
        pixels = np.asarray(Image.open(io.BytesIO(chart.screenshot())).convert("L"))
        assert (pixels < NEAR_BLACK).mean() < BLACK_SHARE, f"chart {place} is near black"
        assert (pixels < 200).mean() > 0.005, f"chart {place} is near empty"


@pytest.mark.parametrize("path", ["zh/2026Q3/index.html", "en/2026Q3/P01/index.html"])
def test_twice_the_zoom_does_not_scroll_sideways(opened, path):
    page = opened(path, 640, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 640


@pytest.mark.parametrize("path", ["zh/2026Q3/index.html", "en/index.html"])
def test_links_are_large_enough_to_touch_and_reached_by_keyboard(opened, path):
    page = opened(path, 320)
    heights = page.evaluate(
        "[...document.querySelectorAll('nav a, .tools a, summary, .places a')].map(a => a.getBoundingClientRect().height)"
    )
    assert min(heights) >= 24
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0


def test_the_switch_and_the_quarters_can_be_walked(opened):
    page = opened("zh/2026Q3/P01/index.html", 1280)
    page.click("text=English")
    assert page.locator("h1").inner_text().startswith("Gross hours lost in Example Province A")
    page.click("text=Previous: 2026Q2")
    assert "2nd quarter of 2026" in page.locator("h1").inner_text()
    assert "older report" in page.locator(".notice").inner_text()
    page.click(".notice a")
    assert "3rd quarter of 2026" in page.locator("h1").inner_text()
    assert page.locator("html").get_attribute("lang") == "en"


def test_the_first_screen_of_a_phone_holds_the_answer(opened):
    page = opened("en/2026Q3/index.html", 390)
    bottom = (
        "Math.max(...[...document.querySelectorAll('h1, .verdict .word')].map(e => e.getBoundingClientRect().bottom))"
    )
    assert page.evaluate("document.querySelectorAll('.verdict .word').length") >= 1
    assert page.evaluate(bottom) <= 844, "the number in the heading, and every verdict"


def test_a_report_prints_on_a_few_pages(opened):
    page = opened("zh/2026Q3/index.html", 1280)
    pdf = page.pdf(format="A4", tagged=True)
    assert pdf.startswith(b"%PDF")
    assert b"/StructTreeRoot" in pdf, "the PDF is tagged"
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 8
