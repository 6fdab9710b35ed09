"""Pages of the site itself: every report, corrections, what each quarter says of its data and methods, and an index."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from analysis_lib.publishing.pages import (
    ARCHIVE,
    CORRECTIONS,
    FIND,
    Report,
    glossary,
    link_items,
    main_points,
    reform_page,
    switch,
)
from analysis_lib.publishing.passages import Link, Passage, render_passages
from analysis_lib.publishing.sentences import Writer
from analysis_lib.publishing.titles import measure_title
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study

FEED = "feed.xml"
_ATOM = "http://www.w3.org/2005/Atom"
_LANGUAGES = {"zh": "zh-Hans", "en": "en"}


def site_links(writer: Writer, top: str, *, without: str = "") -> str:
    """Navigation of a page of the site; ``top`` leads to the folder of its language."""
    links = [(f"{top}index.html", writer.text("site.home"))]
    links += [(f"{top}{page}/index.html", writer.text(f"site.{page}")) for page in (ARCHIVE, FIND) if page != without]
    return link_items(links)


def next_report(study: Study, latest: Quarter, language: str) -> str:
    """Which report comes next and by when, so that a reader sees on any later day whether it is late."""
    writer, following = Writer(study, language), latest.shift(1)
    if following not in study.config.calendar.quarters:
        return writer.text("site.no_next")
    due = writer.labels.day(study.due_date(following))
    return writer.text("site.next_due", period=writer.labels.period(str(following)), date=due)


def render_archive(
    reports: Sequence[Report],
    language: str,
    older: Sequence[tuple[Quarter, int]] = (),
    published: Mapping[str, dt.date] | None = None,
) -> str:
    """Every quarter with its finding, newest first, when it was due and published, and releases that another replaced.

    Parameters
    ----------
    older : sequence of tuple
        Quarter and number of releases that readers have seen and that another one of their quarter replaces.
    published : mapping, optional
        Release → day on which readers first saw it.
    """
    study = reports[0].study
    writer, links = Writer(study, language), []
    ordered = sorted(reports, key=lambda report: report.quarter, reverse=True)
    for report in ordered:
        others = [
            Link(
                writer.text("site.entry", number=number),
                f"../../releases/{quarter}/r{number}/{language}/{quarter}/index.html",
            )
            for quarter, number in older
            if quarter == report.quarter
        ]
        finding = writer.finding(report.headline, region=NATION, period=report.period)
        links.append(Link(finding, f"../{report.quarter}/index.html", _dates(report, writer, published or {}), others))
    return render_passages(
        study,
        language,
        title=writer.text("site.title_archive"),
        lede=next_report(study, ordered[0].quarter, language),
        passages=[Passage("quarters", writer.text("site.all_quarters"), links=links)],
        switch=switch(study, language, 2, ARCHIVE),
        navigation=site_links(writer, "../", without=ARCHIVE),
        feed=f"../{FEED}" if published else "",
    )


def _dates(report: Report, writer: Writer, published: Mapping[str, dt.date]) -> str:
    text, due = writer.text, report.study.due_date(report.quarter)
    words = [text("site.entry", number=report.number)]
    first = [published[name] for name in (f"{report.quarter}/r{number}" for number in range(1, report.number + 1))
             if name in published]  # fmt: skip
    if first:
        words.append(text("site.published", date=writer.labels.day(max(first))))
        late = (min(first) - due).days
        words.append(text("site.late" if late > 0 else "site.on_time", due=writer.labels.day(due), days=late))
    return " · ".join(words)


def told_correction(entry: Mapping[str, Any], writer: Writer) -> str:
    """A correction or a revision that the ledger has, with its day, in words."""
    day = writer.labels.day(dt.date.fromisoformat(entry["date"]))
    return writer.text(f"site.{entry['kind']}", date=day, text=entry[f"text_{writer.language}"])


def render_corrections(study: Study, corrections: Sequence[dict[str, Any]], language: str) -> str:
    """What was corrected or revised after it was published, newest first."""
    writer, links = Writer(study, language), []
    for each in sorted(corrections, key=lambda each: each["date"], reverse=True):
        quarter, _, number = each["release"].partition("/r")
        words = told_correction(each, writer)
        about = f"{writer.labels.period(quarter)} · {writer.text('site.entry', number=number)}"
        links.append(Link(words, others=[Link(about, f"../{quarter}/index.html")]))
    lines = [] if links else [writer.text("site.no_corrections")]
    return render_passages(
        study,
        language,
        title=writer.text("site.title_corrections"),
        lede=writer.text("site.about_corrections"),
        passages=[Passage("corrections", writer.text("site.corrections"), lines, links)],
        switch=switch(study, language, 2, CORRECTIONS),
        navigation=site_links(writer, "../"),
    )


def render_by_quarter(study: Study, quarters: Sequence[Quarter], page: str, language: str) -> str:
    """The same page of every quarter, newest first: its data, its methods or its quality report."""
    writer = Writer(study, language)
    links = [
        Link(writer.labels.period(str(quarter)), f"../{quarter}/{page}/index.html")
        for quarter in sorted(quarters, reverse=True)
    ]
    return render_passages(
        study,
        language,
        title=writer.text(f"site.title_{page}"),
        lede=writer.text("site.by_quarter"),
        passages=[Passage("quarters", writer.text("site.all_quarters"), links=links)],
        switch=switch(study, language, 2, page),
        navigation=site_links(writer, "../"),
    )


def render_find(report: Report, pages: Sequence[str], language: str) -> str:
    """An index of the latest quarter that a browser can search: places, measures, pages and terms.

    Parameters
    ----------
    pages : sequence of str
        Last parts of the addresses of the quarter's further pages, those on data and methods among them.
    """
    study, writer = report.study, Writer(report.study, language)
    text, folder = writer.text, f"../{report.quarter}/"
    titles = {reform_page(reform.id): reform.titles[language] for reform in report.reforms}
    titles |= {
        page: text(key) for page in pages for key in (f"behind.{page}_more", f"site.{page}") if key in text.texts
    }
    table = "#measures" if {"hours", "change"} <= set(report.tables) else ""
    measures = {
        measure_title(writer.labels, text, key): f"{folder}index.html{table}"
        for key in (report.tables["hours"].table["measure"] if "hours" in report.tables else [])
    }
    found = {
        "places": {writer.labels.region(code): f"{folder}{code}/index.html" for code in report.page_regions},
        "pages": {titles[page]: f"{folder}{page}/index.html" for page in pages if page in titles},
        "measures": measures,
        "terms": {term: f"{folder}index.html#glossary" for term, _ in glossary(report, writer)},
    }
    return render_passages(
        study,
        language,
        title=text("find.title"),
        lede=text("find.lede"),
        passages=[
            Passage(name, text(f"find.{name}"), links=_in_order(links, language), style="places")
            for name, links in found.items()
            if links
        ],
        switch=switch(study, language, 2, FIND),
        navigation=site_links(writer, "../", without=FIND),
    )


def _in_order(links: Mapping[str, str], language: str) -> list[Link]:
    """By alphabet; Chinese in the order of its national standard, which is that of pronunciation for common characters."""
    order = str.casefold if language == "en" else lambda words: words.encode("gb18030")
    return [Link(words, links[words]) for words in sorted(links, key=order)]  # pyright: ignore[reportArgumentType, reportCallIssue]


def render_feed(
    reports: Sequence[Report], corrections: Sequence[dict[str, Any]], language: str, published: Mapping[str, dt.date]
) -> str:
    """Atom feed of what readers have been shown: each quarter's release in force, and what was corrected."""
    study = reports[0].study
    writer = Writer(study, language)
    title = getattr(study.config.study, f"title_{language}")
    address = study.config.publishing.address.rstrip("/")
    base = f"{address}/{language}/" if address else ""
    entries = []
    for report in reports:
        name = f"{report.quarter}/r{report.number}"
        if name in published:
            finding = writer.finding(report.headline, region=NATION, period=report.period)
            words = " ".join(main_points(report, writer)[:2])
            entries.append((published[name], name, finding, words, f"{base}{report.quarter}/index.html"))
    for each in corrections:
        day = dt.date.fromisoformat(each["date"])
        words = told_correction(each, writer)
        name = f"{each['release']} {each['date']} {each[f'text_{language}']}"
        entries.append((day, name, words, words, f"{base}{CORRECTIONS}/index.html"))
    entries.sort(key=lambda entry: entry[:2], reverse=True)
    feed = ElementTree.Element("feed", {"xmlns": _ATOM, "xml:lang": _LANGUAGES[language]})
    _add(feed, "title", writer.text("site.feed_title", title=title))
    _add(feed, "id", _urn(study, language))
    _add(feed, "updated", _moment(entries[0][0]))
    ElementTree.SubElement(ElementTree.SubElement(feed, "author"), "name").text = title
    ElementTree.SubElement(feed, "link", {"rel": "self", "href": f"{base}{FEED}"})
    ElementTree.SubElement(feed, "link", {"href": f"{base}index.html"})
    for day, name, finding, words, href in entries:
        entry = ElementTree.SubElement(feed, "entry")
        for tag, content in (("title", finding), ("id", _urn(study, f"{language} {name}")), ("updated", _moment(day)),
                             ("summary", words)):  # fmt: skip
            _add(entry, tag, content)
        ElementTree.SubElement(entry, "link", {"href": href})
    ElementTree.indent(feed, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(feed, encoding="unicode")}\n'


def _add(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = text


def _urn(study: Study, name: str) -> str:
    """A name for good: the same whenever and wherever the site is put together."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{study.config.study.id} {name}").urn


def _moment(day: dt.date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
