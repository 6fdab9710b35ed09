"""Pages read once for every gate, and what is wrong with them: HTML that breaks its grammar, or its readers' tools.

Every element that is opened must be closed, in order: stricter than HTML asks, so that no reader has to guess. Which
elements may stand where html-validate checks in the tests; what needs a browser, axe does (`gates.browser`).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

_NAMES = ("aria-labelledby", "aria-describedby", "for", "headers")  # attributes that name ids
_POLICY = re.compile(
    r"default-src 'none'; style-src 'sha256-[\w+/=]+'; img-src data:; base-uri 'none'; form-action 'none'"
)
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_READ = {"title", "td", "th"}
_ACTIVE = {"script", "iframe", "object", "embed", "form", "base", "link", "frame", "applet"}


@dataclass
class Element:
    """A tag with its attributes and, for those of `_READ`, the text below it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass(frozen=True)
class Page:
    """A page as every gate sees it.

    Attributes
    ----------
    path : str
        Address in the site.
    errors : list of str
        What breaks the grammar, with its line.
    elements : list of Element
        In the order of the document.
    tables : dict
        Id of the caption → rows of texts of cells, heads included.
    """

    path: str
    errors: list[str]
    elements: list[Element]
    tables: dict[str, list[list[str]]]

    @property
    def title(self) -> str:
        """Text of the title."""
        return next((each.text for each in self.elements if each.tag == "title"), "")

    @cached_property
    def ids(self) -> set[str]:
        """Anchors of the page."""
        return {each.attributes["id"] for each in self.elements if "id" in each.attributes}


def read_page(file: Path, path: str) -> Page:
    """Parse a page of a site."""
    reader = _Reader()
    reader.feed(file.read_text(encoding="utf-8"))
    reader.close()
    open_tags = [f"<{each.tag}> is never closed" for each in reader.open]
    tables = {name or f"table {place}": rows for place, (name, rows) in enumerate(reader.tables)}
    return Page(path, reader.errors + open_tags, reader.elements, tables)


def faults_of(page: Page) -> list[str]:
    """What is wrong with a page, a line each."""
    tags: dict[str, list[Element]] = {}
    for each in page.elements:
        tags.setdefault(each.tag, []).append(each)
    found = [*page.errors, *_names(page), *_headings(page), *_active(page)]
    root = tags["html"][0].attributes
    if not root.get("lang"):
        found.append("the page does not say its language")
    found += [f"{len(tags.get(tag, []))} elements <{tag}> where one is meant"
              for tag in ("title", "main", "h1") if len(tags.get(tag, [])) != 1]  # fmt: skip
    if not page.title.strip():
        found.append("the title is empty")
    found += ["a picture has no text in its place" for each in tags.get("img", []) if not each.attributes.get("alt")]
    found += ["a head of a table says no scope" for each in tags.get("th", []) if "scope" not in each.attributes]
    found += ["a table has no caption"] * (len(tags.get("table", [])) - len(tags.get("caption", [])))
    if not any(_POLICY.fullmatch(each.attributes.get("content", "")) for each in tags.get("meta", [])):
        found.append("the content policy is not the one that was tested")
    return [f"{page.path}: {each}" for each in dict.fromkeys(found)]


def _names(page: Page) -> list[str]:
    counted = Counter(each.attributes["id"] for each in page.elements if "id" in each.attributes)
    found = [f"id {name!r} stands {count} times" for name, count in counted.items() if count > 1]
    for each in page.elements:
        asked = {name for attribute in _NAMES for name in each.attributes.get(attribute, "").split()}
        found += [f"no element has the id {name!r}" for name in sorted(asked - set(counted))]
    return found


def _headings(page: Page) -> list[str]:
    levels = [int(each.tag[1]) for each in page.elements if re.fullmatch(r"h[1-6]", each.tag)]
    return ["a level of headings is left out" for before, after in itertools.pairwise(levels) if after > before + 1]


def _active(page: Page) -> list[str]:
    """X01, X03: a page runs nothing, loads nothing and sends nothing."""
    found = []
    for each in page.elements:
        if each.tag in _ACTIVE and not (each.tag == "link" and _is_quiet(each.attributes)):
            found.append(f"an element <{each.tag}>")
        found += [f"an attribute {name}" for name in each.attributes if name.startswith("on") or name == "style"]
        found += [f"{name} refers to something outside" for name in ("src", "srcset", "data", "xlink:href", "action")
                  if not each.attributes.get(name, "data:").startswith("data:")]  # fmt: skip
    return found


def _is_quiet(attributes: dict[str, str]) -> bool:
    """Whether a ``link`` element loads nothing."""
    return attributes.get("rel") in ("alternate", "canonical") or attributes.get("href", "").startswith("data:")


class _Reader(HTMLParser):
    """Elements of a page in their order, and the tables among them; what is not closed in order is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.errors: list[str] = []
        self.tables: list[tuple[str, list[list[str]]]] = []
        self.has_doctype = False

    def handle_decl(self, decl: str) -> None:
        self.has_doctype = decl.lower() == "doctype html"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self.elements and not self.has_doctype:
            self._wrong("the doctype of HTML is missing")
        attributes = {name: value or "" for name, value in attrs}
        if len(attributes) < len(attrs):
            self._wrong(f"<{tag}> has an attribute twice")
        is_of_picture = tag == "title" and self.open and self.open[-1].tag != "head"
        element = Element("svg title" if is_of_picture else tag, attributes)
        self.elements.append(element)
        if tag not in _VOID:
            self.open.append(element)
        if tag == "table":
            self.tables.append(("", []))
        elif tag == "caption" and self.tables:
            self.tables[-1] = (attributes.get("id", ""), self.tables[-1][1])
        elif tag == "tr" and self.tables:
            self.tables[-1][1].append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1].tag.removeprefix("svg ") != tag:
            self._wrong(f"</{tag}> closes nothing, or closes it too early")
            return
        element = self.open.pop()
        if tag in ("td", "th") and self.tables and self.tables[-1][1]:
            self.tables[-1][1][-1].append(element.text.strip())

    def handle_data(self, data: str) -> None:
        for each in self.open:
            if each.tag in _READ:
                each.text += data

    def _wrong(self, what: str) -> None:
        self.errors.append(f"line {self.getpos()[0]}: {what}")
