"""Pages in a browser: axe-core finds no barrier, nothing is asked of anybody, nothing complains.

It needs Chromium and two packages of the extra ``test`` (playwright, which drives it, and axe-playwright-python, which
brings axe-core). Without them a publication says that this was not checked.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from analysis_lib.publishing.printing import FLAGS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

WIDTHS = (320, 1280)  # CSS pixels: the narrowest that WCAG 1.4.10 asks for, and a desk
_PACKAGES = ("playwright", "axe_playwright_python")
# axe runs in the page's own world under the page's own policy, so it is handed over by the driver, not by a tag.
_RUN = "() => axe.run(document, {resultTypes: ['violations']})"


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


def one_of_each_kind(paths: Sequence[str], regions: Sequence[str]) -> list[str]:
    """Pages of which no two are of a kind and language: of the regions, the first one stands for all."""
    first: dict[str, str] = {}
    for path in paths:
        parts = ["<region>" if part in regions else part for part in path.split("/")]
        first.setdefault("/".join(parts), path)
    return list(first.values())


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
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("the page scrolls sideways")
    page.close()
    return found


def axe_source() -> str:
    """Text of axe-core."""
    from importlib.resources import files

    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def _outside(url: str) -> list[str]:
    return [] if url.startswith(("file:", "data:")) else [f"asks {url.partition('://')[2].partition('/')[0]}"]
