"""Pages in a browser: axe-core finds no barrier, nothing is asked of anybody, nothing complains.

It needs Chromium and two packages of the extra ``test`` (playwright, which drives it, and axe-playwright-python, which
brings axe-core). Without them a publication says that this was not checked.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from analysis_lib.publishing.printing import FLAGS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

WIDTHS = (320, 1280)  # CSS pixels: the narrowest that WCAG 1.4.10 asks for, and a desk
_PACKAGES = ("playwright", "axe_playwright_python")
# axe runs in the page's own world under the page's own policy, so it is handed over by the driver, not by a tag.
_RUN = "() => axe.run(document, {resultTypes: ['violations', 'incomplete']})"
CONTRAST = "color-contrast"  # axe's rule; it cannot tell what lies behind words of a drawing, `_FAINT` can
# Places and contrast of words below WCAG 1.4.3, by computed colours. Behind a word lies the last shape of its drawing that
# is painted before it and holds a point of it, or the nearest ground of an element around it.
_FAINT = """() => {
  const parts = colour => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = ([r, g, b, a], under) => [r, g, b].map((part, place) => part * a + under[place] * (1 - a));
  const ground = element => !element ? [255, 255, 255]
    : over(parts(getComputedStyle(element).backgroundColor), ground(element.parentElement));
  const light = colour => colour.map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const filled = shape => {
    const {fill, fillOpacity, opacity} = getComputedStyle(shape);
    return fill === 'none' ? [0, 0, 0, 0] : [...parts(fill).slice(0, 3), fillOpacity * opacity];
  };
  const behind = (word, x, y) => [...word.ownerSVGElement.querySelectorAll('path, rect')]
    .filter(shape => shape.compareDocumentPosition(word) & Node.DOCUMENT_POSITION_FOLLOWING && !shape.closest('defs'))
    .filter(shape => shape.isPointInFill(new DOMPoint(x, y).matrixTransform(shape.getScreenCTM().inverse())))
    .reduce((under, shape) => over(filled(shape), under), ground(word.ownerSVGElement));
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const drawn = element.tagName === 'text';  // a drawn text is as wide as its textLength says
    const box = (drawn ? element : range).getBoundingClientRect();
    if (!walker.currentNode.data.trim() || !box.width) continue;
    const style = getComputedStyle(element);
    const grounds = !drawn ? [ground(element)]
      : [0.02, 0.25, 0.5, 0.75, 0.98].map(part => behind(element, box.left + part * box.width, box.top + box.height / 2));
    const ink = drawn ? filled(element) : parts(style.color), size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const least = Math.min(...grounds.map(under => contrast(over(ink, under), under)));
    if (least < needed) found.push([element.closest('[id]')?.id ?? element.tagName, least]);
  }
  return found;
}"""


def missing() -> str:
    """What keeps pages from being checked in a browser here; empty when nothing does."""
    lacking = [name.replace("_", "-") for name in _PACKAGES if importlib.util.find_spec(name) is None]
    lacking += [] if chromium() else ["Chromium"]
    return ", ".join(lacking)


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A headless Chromium without a network."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


def one_of_each_kind(paths: Sequence[str], regions: Mapping[str, str]) -> list[str]:
    """Pages to look at: one of each kind and language; of the regions, the first and the one with the widest name.

    Parameters
    ----------
    paths : sequence of str
        Addresses of pages within the site.
    regions : mapping of str to str
        Names of each region, by its code.
    """
    kinds: dict[str, list[str]] = {}
    for path in paths:
        parts = ["<region>" if part in regions else part for part in path.split("/")]
        kinds.setdefault("/".join(parts), []).append(path)
    widths = {code: _width(name) for code, name in regions.items()}
    chosen = []
    for alike in kinds.values():
        widest = max(alike, key=lambda path: max((widths.get(part, 0) for part in path.split("/")), default=0))
        chosen += dict.fromkeys([alike[0], widest])
    return chosen


def _width(name: str) -> int:
    """Width of a name in halves of a Han character."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in name)


def barriers(site: Path, paths: Sequence[str], widths: Sequence[int] = WIDTHS) -> list[str]:
    """What axe-core, the console and the network say of pages, a line each; empty when all is well."""
    found = []
    with running_browser() as browser:
        for width in widths:
            context = browser.new_context(viewport={"width": width, "height": 800}, offline=True, bypass_csp=False)
            for path in paths:
                found += [f"{path} at {width} px: {each}" for each in _looked_at(context, site / path)]
            context.close()
    return found


def _looked_at(context: BrowserContext, file: Path) -> list[str]:
    page, found = context.new_page(), []
    page.on("console", lambda message: found.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("request", lambda request: found.extend(_outside(request.url)))
    page.goto(file.as_uri())
    page.evaluate(axe_source())
    results = page.evaluate(_RUN)
    for each in results["violations"]:
        found.append(
            f"axe {each['id']} ({each['impact']}): {len(each['nodes'])} elements, first {each['nodes'][0]['target']}"
        )
    for each in results["incomplete"]:
        if each["id"] != CONTRAST:  # that one is answered below
            found.append(
                f"axe cannot tell {each['id']}: {len(each['nodes'])} elements, first {each['nodes'][0]['target']}"
            )
    found += [f"words too faint in {place}: contrast {ratio:.1f}" for place, ratio in faint_words(page)]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("the page scrolls sideways")
    page.close()
    return found


def faint_words(page: Page) -> list[tuple[str, float]]:
    """Where words of a page, drawings and folded parts that are open included, lack the contrast of WCAG 1.4.3."""
    return [(str(place), float(ratio)) for place, ratio in page.evaluate(_FAINT)]


def axe_source() -> str:
    """Text of axe-core."""
    from importlib.resources import files

    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def _outside(url: str) -> list[str]:
    return [] if url.startswith(("file:", "data:")) else [f"asks {url.partition('://')[2].partition('/')[0]}"]
