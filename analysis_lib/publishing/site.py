"""The site and its preview, put together from releases and swapped in one step."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from analysis_lib.disclosure.handover import read_results
from analysis_lib.errors import PublicationBlocked
from analysis_lib.publishing import pages, site_pages
from analysis_lib.publishing.releases import (
    BUILDING,
    MANIFEST,
    RESULTS,
    SBOM,
    Content,
    Release,
    Results,
    altered,
    as_json,
    read,
    reports_of,
    sha256,
    sync_tree,
    write,
)
from analysis_lib.publishing.sentences import Writer, pick
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study
from analysis_lib.tables.drops import file_sha256
from analysis_lib.tables.store import sync

SITE, PREVIEW = "site", "preview"
OLDER = "releases"  # folder of the site with the releases that were published and are not in force
_MAIN = '<main id="main" class="wrap">\n'
_FOOT = "</div></footer>"


@dataclass(frozen=True)
class Contents:
    """What a site shows.

    Attributes
    ----------
    releases : list of Release
        One of each quarter, oldest first.
    older : list of Release
        Releases that readers have seen and that another one of their quarter replaces.
    corrections : list of dict
        Entries of the ledger: release, kind, text_zh, text_en, date.
    published : dict of str to datetime.date
        Release → day on which readers first saw it.
    is_preview : bool
        Whether every page says that it is not published.
    exceptions : dict of str to dict of str to str
        Release → limit that it was let past, and the reason given; no word of who gave it.
    """

    releases: list[Release]
    older: Sequence[Release] = ()
    corrections: list[dict[str, Any]] = field(default_factory=list)
    published: dict[str, dt.date] = field(default_factory=dict)
    is_preview: bool = False
    exceptions: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def has_news(self) -> bool:
        """Whether there is anything for a feed: a preview may show nothing but what readers have not seen."""
        return bool(self.corrections) or any(release.name in self.published for release in self.releases)


def assemble(study: Study, contents: Contents) -> Path:
    """Put releases together in a folder of their own; the site of readers is not touched.

    Returns
    -------
    pathlib.Path
        A folder of ``reports/.sites`` named by the hash of all that it holds, the same for the same content.

    Raises
    ------
    PublicationBlocked
        When there is no release, or one was changed after it was written.
    """
    if not contents.releases:
        raise PublicationBlocked("there is no release to show", where="reports", fix="run a quarter, then jianfu build")
    for release in (*contents.releases, *contents.older):
        if wrong := altered(release):
            raise PublicationBlocked(wrong[0], where=release.name, fix="restore the release from a copy")
    sites = study.reports / ".sites"
    sites.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=sites, prefix=BUILDING))
    stand = [study.reports / name for name in (SITE, PREVIEW)]
    try:
        for path, content in _site_files(study, contents):
            write(staging / path, content, same=[site / path for site in stand])
        digest = site_sha256(staging)
        final = sites / digest[:16]
        staging.chmod(0o755)
        if final.exists() and site_sha256(final) != digest:
            shutil.rmtree(final)  # what a loss of power left of it
        if not final.exists():
            staging.rename(final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return final


def site_sha256(folder: Path) -> str:
    """Hash over every file of a site with its address."""
    lines = [
        f"{path.relative_to(folder).as_posix()} {file_sha256(path)}" for path in folder.rglob("*") if path.is_file()
    ]
    return sha256("\n".join(sorted(lines)))


def swap(study: Study, name: str, target: Path) -> Path:
    """Point ``reports/<name>`` to another folder in one step: a reader sees the old site or the new one, never half.

    The folder shown before stays, for a reader may still have it open; older ones go.
    """
    link = study.reports / name
    before = {study.reports / each for each in (SITE, PREVIEW)}
    keep = {each.resolve() for each in before if each.is_symlink()} | {target.resolve()}
    sync_tree(target)
    staging = link.with_name(f".{name}-next")
    staging.unlink(missing_ok=True)
    staging.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
    staging.replace(link)
    sync(link.parent)
    for folder in target.parent.iterdir():
        if folder.resolve() not in keep:
            shutil.rmtree(folder, ignore_errors=True)
    return link


def _site_files(study: Study, contents: Contents) -> Iterator[tuple[str, Content]]:
    """Address → content of everything that a site holds; at the foot of each page a way to the corrections."""
    banner = {
        language: _notice(Writer(study, language).text("site.preview")) if contents.is_preview else ""
        for language in study.config.publishing.languages
    }
    for path, content in _files(study, contents):
        if isinstance(content, bytes) or not _is_page(path):
            yield path, content
            continue
        parts = [part for part in path.split("/") if part in banner]
        language = parts[0] if parts else study.config.publishing.languages[0]
        page = content.replace(_MAIN, _MAIN + banner[language], 1)
        yield path, _with_foot(study, page, path, language) if parts else page


def _with_foot(study: Study, page: str, path: str, language: str) -> str:
    """A page of a time before sites had a map, with the way to the corrections at its foot."""
    target = f"{language}/{pages.CORRECTIONS}/index.html"
    if path == target or f"/{pages.CORRECTIONS}/index.html" in page or f'"{pages.CORRECTIONS}/index.html' in page:
        return page
    words = Writer(study, language).text("site.title_corrections")
    link = str(Markup('<p><a href="{}">{}</a></p>\n').format("../" * path.count("/") + target, words))
    if _FOOT in page:
        return page.replace(_FOOT, link + _FOOT, 1)
    return page.replace("</body>", f'<footer><div class="wrap">\n{link}{_FOOT}\n</body>', 1)


def _files(study: Study, contents: Contents) -> Iterator[tuple[str, Content]]:
    releases = contents.releases
    listed = {release.quarter: set(release.manifest["files"]) for release in releases}
    for release in releases:
        for path in _shown(release):
            file = release.folder / path
            is_page = _is_page(path)
            yield (
                path,
                _with_navigation(study, read(file), path, release, listed, contents) if is_page else file.read_bytes(),
            )
    for release in contents.older:
        for path in _shown(release):
            file = release.folder / path
            is_page = _is_page(path)
            yield (
                f"{OLDER}/{release.name}/{path}",
                _as_older(study, read(file), path, release, listed, contents) if is_page else file.read_bytes(),
            )
    # The archive says the finding of each quarter, the first page more of the last one.
    reports = [_national_report(study, release, "hours") for release in releases[:-1]]
    reports.append(_national_report(study, releases[-1]))
    yield "index.html", pages.render_choice(reports[-1])
    for language in study.config.publishing.languages:
        for path, content in _pages_of_site(study, contents, reports, language):
            yield f"{language}/{path}", content
    yield MANIFEST, as_json(_about_site(study, contents))


def _pages_of_site(
    study: Study, contents: Contents, reports: list[pages.Report], language: str
) -> Iterator[tuple[str, str]]:
    """Address below a language → text of what belongs to no quarter alone."""
    writer, latest = Writer(study, language), reports[-1]
    listed = {release.quarter: set(release.manifest["files"]) for release in contents.releases}
    feed = site_pages.FEED if contents.has_news else ""
    told = {
        "": pages.render_overview(
            latest,
            language,
            navigation=site_pages.site_links(writer, ""),
            next_report=site_pages.next_report(study, latest.quarter, language),
            feed=feed,
        ),
        pages.ARCHIVE: site_pages.render_archive(
            reports, language, [(release.quarter, release.number) for release in contents.older], contents.published
        ),
        pages.CORRECTIONS: site_pages.render_corrections(study, contents.corrections, language),
    }
    for page in pages.ABOUT:
        having = [quarter for quarter, files in listed.items() if f"{language}/{quarter}/{page}/index.html" in files]
        told[page] = site_pages.render_by_quarter(study, having, page, language)
    own = f"{language}/{latest.quarter}/"
    there = [path.split("/")[2] for path in sorted(listed[latest.quarter]) if path.startswith(own) and _is_page(path)]
    told[pages.FIND] = site_pages.render_find(latest, there, language)
    for page, text in told.items():
        path = f"{page}/index.html" if page else "index.html"
        yield path, text.replace(pages.SITE_MAP, _site_map(writer, "../" * bool(page), contents), 1)
    if feed:
        yield feed, site_pages.render_feed(reports, contents.corrections, language, contents.published)


def _site_map(writer: Writer, top: str, contents: Contents, own: str = "", files: Collection[str] = ()) -> str:
    """Links to what is not about one figure: pages of the quarter where it has them, of the site otherwise.

    ``top`` leads to the folder of the language on the site, ``own`` to that of the page's quarter.
    """
    links = [
        (f"{own if f'{page}/index.html' in files else top}{page}/index.html", writer.text(f"site.{page}"))
        for page in pages.ABOUT
    ]
    links += [
        (f"{top}{page}/index.html", writer.text(f"site.{page}"))
        for page in (pages.FIND, pages.ARCHIVE, pages.CORRECTIONS)
    ]
    if contents.has_news:
        links.append((f"{top}{site_pages.FEED}", writer.text("site.feed")))
    return pages.link_items(links)


def _about_site(study: Study, contents: Contents) -> dict[str, Any]:
    """What the site holds, for programs: the releases in force, when they were published, and which comes next."""
    following = contents.releases[-1].quarter.shift(1)
    due = study.due_date(following).isoformat() if following in study.config.calendar.quarters else None
    return {
        "study": study.config.study.id,
        "is_simulated": study.config.study.is_simulated,
        "languages": list(study.config.publishing.languages),
        "releases": [
            {
                "name": release.name,
                "manifest_sha256": release.manifest_sha256,
                "published": contents.published[release.name].isoformat()
                if release.name in contents.published
                else None,
                "exceptions": contents.exceptions.get(release.name, {}),
            }
            for release in contents.releases
        ],
        "next": {"quarter": str(following), "due": due} if due else None,
    }


def _is_page(path: str) -> bool:
    return path.endswith(".html")


def _shown(release: Release) -> list[str]:
    return [path for path in sorted(release.manifest["files"]) if not path.startswith(f"{RESULTS}/") and path != SBOM]


def _with_navigation(
    study: Study, text: str, path: str, release: Release, listed: dict[Quarter, set[str]], contents: Contents
) -> str:
    """A released page with links to its neighbours and what became known later; nothing else of it changes."""
    language, _, *region = path.split("/")[:-1]
    below = "".join(f"{part}/" for part in region)
    links, notice = pages.navigation(
        Writer(study, language),
        release.quarter,
        [each.quarter for each in contents.releases],
        below,
        lambda other: f"{language}/{other}/{below}index.html" in listed[other],
    )
    notice += _notices(study, release, language, contents)
    if not region:
        notice += _revised(study, release, language, contents)
    own = f"{language}/{release.quarter}/"
    files = {file.removeprefix(own) for file in listed[release.quarter] if file.startswith(own)}
    top = "../" * (path.count("/") - 1)
    site_map = _site_map(Writer(study, language), top, contents, f"{top}{release.quarter}/", files)
    return _filled(study, text, path, release, links, notice, site_map)


def _as_older(
    study: Study, text: str, path: str, release: Release, listed: dict[Quarter, set[str]], contents: Contents
) -> str:
    """A page of a release that another one replaced: it says so, and leads there."""
    language, writer = path.split("/")[0], Writer(study, path.split("/")[0])
    top = "../" * (path.count("/") + 3)  # the folders of the older release stand between the page and the site
    newer = path if path in listed[release.quarter] else f"{language}/{release.quarter}/index.html"
    links = Markup('<li><a href="{}">{}</a></li>').format(f"{top}{language}/index.html", writer.text("site.home"))
    words = writer.text("site.replaced", number=release.number)
    notice = _notice(words, f"{top}{newer}", writer.labels.period(str(release.quarter)))
    notice += _notices(study, release, language, contents)
    own = f"{language}/{release.quarter}/"
    files = {file.removeprefix(own) for file in release.manifest["files"] if file.startswith(own)}
    below = "../" * (path.count("/") - 2)
    site_map = _site_map(writer, f"{top}{language}/", contents, below, files)
    return _filled(study, text, path, release, str(links), notice, site_map)


def _filled(study: Study, text: str, path: str, release: Release, links: str, notice: str, site_map: str) -> str:
    folder = f"data/{release.quarter}"
    sizes = {file.name: file.stat().st_size for file in (release.folder / folder).iterdir()}
    downloads = pages.whole_downloads(Writer(study, path.split("/")[0]), sizes, f"{'../' * path.count('/')}{folder}/")
    filled = text.replace(pages.NAVIGATION, links, 1).replace(pages.NOTICE, notice, 1)
    return filled.replace(pages.DOWNLOADS, downloads, 1).replace(pages.SITE_MAP, site_map, 1)


def _notices(study: Study, release: Release, language: str, contents: Contents) -> str:
    """What a reader must know of a release beside its text: that nobody can repeat it, and what was wrong in it."""
    writer, words = Writer(study, language), []
    if release.manifest.get("drift"):
        words.append(_notice(writer.text("site.drift")))
    for each in contents.corrections:
        if each["release"] == release.name:
            words.append(_notice(site_pages.told_correction(each, writer)))
    return "".join(words)


def _revised(study: Study, release: Release, language: str, contents: Contents) -> str:
    """What a newer release of a quarter changed in its headline, and what it rests on now."""
    before = [each for each in contents.older if each.quarter == release.quarter and each.number < release.number]
    if not before:
        return ""
    writer = Writer(study, language)
    old, new = (_national_report(study, each) for each in (before[-1], release))
    if old.headline is None or new.headline is None or old.headline[["value", "ci_low", "ci_high"]].equals(
        new.headline[["value", "ci_low", "ci_high"]]
    ):  # fmt: skip
        return ""
    days = [pick(each.tables["returns"], measure="diary_days_used") for each in (old, new) if "returns" in each.tables]
    counts = [float(row["value"]) for row in days if row is not None and pd.notna(row["value"])]
    more = counts[1] - counts[0] if len(counts) == len((old, new)) else 0
    methods = [each.manifest.get("methods") for each in (before[-1], release)]
    why = "revised_method" if methods[0] != methods[1] else "revised" if more > 0 else "revised_fewer"
    words = writer.text(
        f"site.{why}",
        number=release.number,
        title=writer.labels.measure(str(new.headline["measure"])),
        value=writer.labels.cell(new.headline),
        interval=_interval(new, writer),
        old=writer.labels.cell(old.headline),
        old_interval=_interval(old, writer),
        days=writer.labels.number(max(more, 0), "count", "count"),
    )
    return _notice(words)


def _interval(report: pages.Report, writer: Writer) -> str:
    row = report.headline
    return "" if row is None or pd.isna(row["ci_low"]) else writer.interval(row)


def _notice(words: str, href: str = "", target: str = "") -> str:
    link = Markup(' <a href="{}">{}</a>').format(href, target) if href else ""
    return str(Markup('<p class="notice">{}{}</p>\n').format(words, link))


def _national_report(study: Study, release: Release, table: str = "*") -> pages.Report:
    folder = release.folder / RESULTS
    # Of regions the first page and the archive need no more than the names.
    units = sorted({str(path.parent.relative_to(folder)) for path in folder.rglob("*.json")})
    national = {unit: read_results(folder / unit, table) for unit in units if "/" not in unit}
    results: Results = national | {unit: {} for unit in units if "/" in unit}
    return reports_of(study, release.quarter, results, release.number)[0]
