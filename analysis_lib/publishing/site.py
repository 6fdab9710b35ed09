"""Releases that are never rewritten, and the site that is put together from the latest of each quarter."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from analysis_lib.disclosure.handover import read_results
from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.errors import PublicationBlocked
from analysis_lib.publishing import change_pages, details, pages, reform_pages
from analysis_lib.publishing.downloads import csv_text
from analysis_lib.publishing.sentences import Writer
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study

MANIFEST = "release.json"
RESULTS = "results"
_SAFE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,40}$")
_RELEASE = re.compile(r"^r([1-9]\d*)$")

Results = dict[str, dict[str, ProtectedTable]]


@dataclass(frozen=True)
class Release:
    """A published state of a quarter.

    Attributes
    ----------
    quarter : Quarter
        The quarter reported.
    number : int
        1 for the first release, one more for each revision.
    folder : pathlib.Path
        Where it stands, for good.
    is_new : bool
        Whether this build wrote it; false when its content was released before.
    """

    quarter: Quarter
    number: int
    folder: Path
    is_new: bool = False

    @property
    def name(self) -> str:
        """Such as ``2026Q3/r1``."""
        return f"{self.quarter}/r{self.number}"

    @property
    def manifest(self) -> dict[str, Any]:
        """What ``release.json`` says."""
        return json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))


def build_release(
    study: Study, quarter: Quarter, results: Results, *, spread: Callable[..., Iterable[str]] = map
) -> Release:
    """Write a quarter's pages, downloads and results, unless the last release holds the very same.

    Parameters
    ----------
    results : dict
        Unit → table name → table; a regional unit is ``<notebook>/<region>``.
    spread : callable
        A ``map`` over pages, such as one that draws several at a time.

    Returns
    -------
    Release
        The new release, or the one that has this content already.
    """
    last = latest_release(study, quarter)
    # The same numbers can stand on other pages, where texts or templates changed; other numbers cannot on the same.
    if (
        last is not None
        and _same_results(results, last)
        and _hashes(release_files(study, quarter, results, last.number, spread)) == last.manifest["files"]
    ):
        return last
    number = last.number + 1 if last else 1
    files = release_files(study, quarter, results, number, spread)
    final = study.reports / str(quarter) / f"r{number}"
    final.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=final.parent, prefix=".building-"))
    try:
        for path, text in files.items():
            _write(staging / path, text)
        _write(staging / MANIFEST, _json(_manifest(study, quarter, number, files)))
        staging.chmod(0o755)
        staging.rename(final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Release(quarter, number, final, is_new=True)


def build_site(study: Study) -> Path:
    """Put the latest release of every quarter together and swap the site in one step.

    Returns
    -------
    pathlib.Path
        ``reports/site``, a link to the folder of the site in place.

    Raises
    ------
    PublicationBlocked
        When there is no release, or one was changed after it was written.
    """
    releases = [release for quarter in study.config.calendar.quarters if (release := latest_release(study, quarter))]
    if not releases:
        raise PublicationBlocked("there is no release to show", where="reports", fix="run a quarter, then jianfu build")
    for release in releases:
        _verify(release)
    sites = study.reports / ".sites"
    sites.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=sites, prefix=".building-"))
    try:
        digests = []
        for path, text in _site_files(study, releases):
            _write(staging / path, text)
            digests.append(f"{path} {_sha256(text)}")
        final = sites / _sha256("\n".join(sorted(digests)))[:16]
        staging.chmod(0o755)
        if not final.exists():
            staging.rename(final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    link = study.reports / "site"
    before = link.resolve() if link.is_symlink() else None
    _swap(link, final)
    _remove_old(sites, keep={final.resolve(), before})
    return link


def latest_release(study: Study, quarter: Quarter) -> Release | None:
    """The newest release of a quarter."""
    folders = (study.reports / str(quarter)).glob("r*")
    numbers = [int(match[1]) for folder in folders if (match := _RELEASE.match(folder.name))]
    return Release(quarter, max(numbers), study.reports / str(quarter) / f"r{max(numbers)}") if numbers else None


# -- a release ----------------------------------------------------------------------------------------


def release_files(
    study: Study, quarter: Quarter, results: Results, number: int, spread: Callable[..., Iterable[str]]
) -> dict[str, str]:
    """Relative path → text of everything in a release but its manifest; see `build_release`."""
    reports = _reports(study, quarter, results, number)
    asked = [
        (report, page, language)
        for report in reports
        for page in ["", *report.further_pages, *(pages.reform_page(reform.id) for reform in report.reforms)]
        for language in study.config.publishing.languages
    ]
    drawn = zip(asked, spread(render_page, *zip(*asked, strict=True)), strict=True)
    files = {
        f"{language}/{quarter}/{''.join(f'{part}/' for part in _address(report, page))}index.html": text
        for (report, page, language), text in drawn
    }
    tables = [(report, table) for report in reports for table in report.tables.values()]
    texts = spread(partial(csv_text, study=study), [table for _, table in tables])
    for (report, table), text in zip(tables, texts, strict=True):
        files[f"data/{quarter}/{pages.download_name(table.name, report.region)}"] = text
    return dict(sorted((files | _result_files(results)).items()))


def render_page(report: pages.Report, page: str, language: str) -> str:
    """A page of a report by the last part of its address; the report's own without one."""
    further = {
        "": pages.render_report,
        pages.DETAILS: details.render_details,
        pages.RETURNS: details.render_returns,
        pages.AREAS: details.render_areas,
        pages.REFORMS: reform_pages.render_reforms,
        pages.CHANGES: change_pages.render_changes,
    }
    if page in further:
        return further[page](report, language)
    (reform,) = (each for each in report.reforms if pages.reform_page(each.id) == page)
    return reform_pages.render_reform(report, reform, language)


def _address(report: pages.Report, page: str) -> list[str]:
    return [part for part in ("" if report.is_national else report.region, page) if part]


def _result_files(results: Results) -> dict[str, str]:
    return {
        f"{RESULTS}/{unit}/{name}.json": table.to_json()
        for unit, tables in results.items()
        for name, table in tables.items()
    }


def _same_results(results: Results, release: Release) -> bool:
    released = {path: digest for path, digest in release.manifest["files"].items() if path.startswith(f"{RESULTS}/")}
    return _hashes(_result_files(results)) == released


def _reports(study: Study, quarter: Quarter, results: Results, number: int) -> list[pages.Report]:
    national: dict[str, ProtectedTable] = {}
    regional: dict[str, dict[str, ProtectedTable]] = {}
    for unit, tables in results.items():
        notebook, _, region = unit.partition("/")
        if not region:
            national |= tables
            continue
        if (
            not _SAFE.match(region)
            or not _SAFE.match(notebook)
            or region in pages.FURTHER
            or region.startswith(pages.reform_page(""))
        ):
            raise PublicationBlocked(
                f"{unit!r} cannot be an address", where="results", fix="use region codes of Latin letters and digits"
            )
        named = {name.removeprefix("region_"): table for name, table in tables.items()}
        regional[region] = regional.get(region, {}) | named
    order = [code for code in study.regions.index if code in regional]
    first = pages.Report(study, quarter, NATION, national, order, number)
    return [first, *(pages.Report(study, quarter, code, regional[code], order, number) for code in order)]


def _manifest(study: Study, quarter: Quarter, number: int, files: dict[str, str]) -> dict[str, Any]:
    return {
        "study": study.config.study.id,
        "quarter": str(quarter),
        "release": number,
        "is_simulated": study.config.study.is_simulated,
        "languages": list(study.config.publishing.languages),
        "files": _hashes(files),
    }


def _verify(release: Release) -> None:
    for path, expected in release.manifest["files"].items():
        file = release.folder / path
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise PublicationBlocked(
                f"{path} is not what was released", where=release.name, fix="restore the release from a copy"
            )


# -- the site -----------------------------------------------------------------------------------------


def _site_files(study: Study, releases: list[Release]) -> Iterator[tuple[str, str]]:
    quarters = [release.quarter for release in releases]
    listed = {release.quarter: set(release.manifest["files"]) for release in releases}
    for release in releases:
        for path in sorted(listed[release.quarter]):
            if path.startswith(f"{RESULTS}/"):
                continue
            text = _read(release.folder / path)
            yield (
                path,
                _with_navigation(study, text, path, release.quarter, quarters, listed)
                if path.endswith(".html")
                else text,
            )
    reports = [_national_report(study, release) for release in releases]
    yield "index.html", pages.render_choice(reports[-1])
    for language in study.config.publishing.languages:
        yield f"{language}/index.html", pages.render_overview(reports[-1], language)
        yield f"{language}/archive/index.html", pages.render_archive(reports, language)
    latest = [
        {"name": release.name, "manifest_sha256": _sha256(_read(release.folder / MANIFEST))} for release in releases
    ]
    yield MANIFEST, _json({"study": study.config.study.id, "releases": latest})


def _with_navigation(
    study: Study, text: str, path: str, quarter: Quarter, quarters: list[Quarter], listed: dict[Quarter, set[str]]
) -> str:
    """A released page with links to its neighbours; nothing else of it changes."""
    language, _, *region = path.split("/")[:-1]
    below = "".join(f"{part}/" for part in region)
    links, notice = pages.navigation(
        Writer(study, language),
        quarter,
        quarters,
        below,
        lambda other: f"{language}/{other}/{below}index.html" in listed[other],
    )
    return text.replace(pages.NAVIGATION, links, 1).replace(pages.NOTICE, notice, 1)


def _national_report(study: Study, release: Release) -> pages.Report:
    folder = release.folder / RESULTS
    # Of regions the first page and the archive need no more than the names.
    units = sorted({str(path.parent.relative_to(folder)) for path in folder.rglob("*.json")})
    national = {unit: read_results(folder / unit) for unit in units if "/" not in unit}
    results: Results = national | {unit: {} for unit in units if "/" in unit}
    return _reports(study, release.quarter, results, release.number)[0]


def _swap(link: Path, target: Path) -> None:
    """Point the link elsewhere in one step: a reader sees the old site or the new one, never half of both."""
    staging = link.with_name(".site-next")
    staging.unlink(missing_ok=True)
    staging.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
    staging.replace(link)


def _remove_old(sites: Path, keep: set[Path | None]) -> None:
    for folder in sites.iterdir():
        if folder.resolve() not in keep:
            shutil.rmtree(folder)


# -- text and bytes -----------------------------------------------------------------------------------


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def _read(path: Path) -> str:
    return path.read_bytes().decode()  # text mode would turn the line ends of CSV files


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _hashes(files: dict[str, str]) -> dict[str, str]:
    return {path: _sha256(text) for path, text in files.items()}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
