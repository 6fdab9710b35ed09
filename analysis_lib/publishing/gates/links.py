"""Links of a site: each leads to a file and an anchor that are there, and none leaves the site unless allowed."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from analysis_lib.publishing.gates.markup import Page, read_page

_LINKS = {"a": "href", "use": "href", "link": "href", "area": "href"}


def dead_links(site: Path, pages: Mapping[str, Page], *, hosts: Collection[str] = ()) -> list[str]:
    """Links of pages that lead nowhere, or to a host that the study does not name, a line each."""
    known = dict(pages)
    return [line for page in pages.values() for line in dict.fromkeys(_dead(site, page, known, hosts))]


def _dead(site: Path, page: Page, known: dict[str, Page], hosts: Collection[str]) -> Iterator[str]:
    for each in page.elements:
        address = each.attributes.get(_LINKS.get(each.tag, ""), "")
        if each.tag not in _LINKS or address.startswith("data:,"):
            continue
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            if parts.scheme != "https" or parts.hostname not in hosts:
                yield f"{page.path}: a link leaves the site for {parts.hostname or parts.scheme + ':'}"
            continue
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.path), unquote(parts.path)))
        target = target if parts.path else page.path
        if target.startswith("..") or not (site / target).is_file():
            yield f"{page.path}: no file stands at {address}"
        elif parts.fragment and unquote(parts.fragment) not in _page(site, target, known).ids:
            yield f"{page.path}: no anchor stands at {address}"


def _page(site: Path, path: str, known: dict[str, Page]) -> Page:
    if path not in known:
        known[path] = read_page(site / path, path)
    return known[path]
