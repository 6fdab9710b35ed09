"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_site import ReaderSite, write_reader_site

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of the project."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Folder of a real data set by name; the test is skipped with a reason where it is absent."""
    root = Path(os.environ.get("JIANFU_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))

    def folder(name: str) -> Path:
        path = root / name
        if not path.is_dir():
            pytest.skip(f"real data set {name} is not on this machine (set JIANFU_SHARED_DATA)")
        return path

    return folder


@pytest.fixture(scope="session")
def reader_site(tmp_path_factory: pytest.TempPathFactory) -> ReaderSite:
    """A published site with every kind of page, a revised quarter and a correction."""
    return write_reader_site(tmp_path_factory.mktemp("site") / "s")


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; tests are skipped where it is not installed."""
    from analysis_lib.publishing.gates.browser import chromium, running_browser

    if chromium() is None:
        pytest.skip("Chromium is not on this machine (Debian: apt-get install chromium)")
    with running_browser() as running:
        yield running


@pytest.fixture
def opened(reader_site, browser):
    """Open a page of the site at a width; what it complains of and asks for is collected."""
    pages = []

    def open_page(path: str, width: int, **options):
        page = browser.new_page(viewport={"width": width, "height": 800}, **options)
        page.complaints, page.requests_made = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.requests_made.append(request.url))
        page.goto((reader_site.folder / path).as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
