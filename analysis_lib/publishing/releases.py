"""Releases: the pages, downloads and results of a quarter with the hashes of all of them, never rewritten once published."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from analysis_lib.disclosure.handover import read_results
from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.errors import EnvironmentProblem, PublicationBlocked, UsageError
from analysis_lib.publishing import (
    about_pages,
    adjust_pages,
    change_pages,
    data_page,
    details,
    guardrail_page,
    pages,
    reform_pages,
)
from analysis_lib.publishing.downloads import csv_text
from analysis_lib.publishing.printing import printed
from analysis_lib.publishing.workbooks import workbook_bytes
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.tables.drops import file_sha256
from analysis_lib.tables.store import sync

MANIFEST = "release.json"
SBOM = "sbom.cdx.json"  # the packages that a release was made with
RESULTS = "results"
_SAFE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,40}$")
_NAME = re.compile(r"(\d{4}Q[1-4])/r([1-9]\d*)")
SYNCED_AT_ONCE = 8  # files
BUILDING = ".building-"  # start of the names of folders that are not complete yet

Results = dict[str, dict[str, ProtectedTable]]
Content = str | bytes  # of a file


@dataclass(frozen=True)
class Release:
    """A state of a quarter: a candidate, or published.

    Attributes
    ----------
    quarter : Quarter
        The quarter reported.
    number : int
        1 for the first release, one more for each revision.
    folder : pathlib.Path
        Where it stands, for good.
    is_new : bool
        Whether this build wrote it; false when its content stood there before.
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

    @property
    def manifest_sha256(self) -> str:
        """Hash of ``release.json``, which holds the hash of every other file."""
        return file_sha256(self.folder / MANIFEST)


def build_release(
    study: Study,
    quarter: Quarter,
    results: Results,
    *,
    published: int = 0,
    facts: dict[str, Any] | None = None,
    sbom: str = "",
    spread: Callable[..., Iterable[Any]] = map,
) -> Release:
    """Write a quarter's pages, downloads and results, unless the last published release holds the very same.

    A candidate takes the number after the last published one; one that was built before and never published gives way.

    Parameters
    ----------
    results : dict
        Unit → table name → table; a regional unit is ``<notebook>/<region>``.
    published : int
        Number of the last release of the quarter that readers have seen; 0 when they saw none.
    facts : dict, optional
        What the manifest says besides: the drops that were read, the state of the quarter.
    sbom : str
        The packages that it is made with. Other packages that give the same files make no new release: the one that
        stands was made with those that it names.
    spread : callable
        A ``map`` over pages, such as one that draws several at a time.

    Returns
    -------
    Release
        The new candidate, or the release that has this content already.
    """
    last = release_of(study, f"{quarter}/r{published}") if published else None
    # The same numbers can stand on other pages, where texts or templates changed; other numbers cannot on the same.
    if (
        last is not None
        and _same_results(results, last)
        and hashes(release_files(study, quarter, results, published, spread)) == made_here(last.manifest["files"])
    ):
        return last
    number = published + 1
    candidate = Release(quarter, number, study.reports / str(quarter) / f"r{number}")
    files = release_files(study, quarter, results, number, spread)
    told = facts or {}
    if (
        (candidate.folder / MANIFEST).is_file()
        and candidate.manifest | {"files": made_here(candidate.manifest["files"])}
        == json.loads(as_json(_manifest(study, quarter, number, files) | told))
        and candidate.manifest["files"].get(SBOM) == (sha256(sbom) if sbom else None)
        and not lacks_pdf(study, candidate)
        and not altered(candidate)
    ):
        return candidate
    pdfs, lacking = _pdfs(study, quarter, files, spread)
    files |= pdfs | ({SBOM: sbom} if sbom else {})
    manifest = as_json(_manifest(study, quarter, number, files) | told | ({"lacking": lacking} if lacking else {}))
    candidate.folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=candidate.folder.parent, prefix=BUILDING))
    try:
        for path, text in files.items():
            write(staging / path, text)
        write(staging / MANIFEST, manifest)
        staging.chmod(0o755)
        shutil.rmtree(candidate.folder, ignore_errors=True)
        staging.rename(candidate.folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Release(quarter, number, candidate.folder, is_new=True)


def lacks_pdf(study: Study, release: Release) -> list[str]:
    """Addresses of the PDF files that the study asks for and a release does not hold."""
    return [path for path in _printed_pages(study, release.quarter) if path not in release.manifest["files"]]


def _printed_pages(study: Study, quarter: Quarter) -> dict[str, str]:
    """Address of each PDF that the study asks for → that of its page."""
    if not study.config.publishing.pdf:
        return {}
    languages = study.config.publishing.languages
    return {f"data/{quarter}/{quarter}-{each}.pdf": f"{each}/{quarter}/index.html" for each in languages}


def _pdfs(
    study: Study, quarter: Quarter, files: Mapping[str, Content], spread: Callable[..., Iterable[Any]]
) -> tuple[dict[str, bytes], str]:
    """The PDF files that the study asks for, or why there are none: pages are built all the same."""
    asked = _printed_pages(study, quarter)
    try:
        return dict(zip(asked, spread(printed, [files[page] for page in asked.values()]), strict=True)), ""
    except EnvironmentProblem as problem:
        return {}, problem.what


def made_here(files: Mapping[str, str]) -> dict[str, str]:
    """Hashes of what results and this package decide alone.

    A PDF is other bytes with another version of Chromium, and the list of packages names those of its own build.
    """
    return {path: digest for path, digest in files.items() if not path.endswith(".pdf") and path != SBOM}


def release_of(study: Study, name: str) -> Release:
    """A release by its name, such as ``2026Q3/r1``; raises `UsageError` when there is none."""
    match = _NAME.fullmatch(name)
    folder = study.reports / name
    if match is None or not (folder / MANIFEST).is_file():
        raise UsageError(
            f"no release {name!r}", where="reports", fix="write it like 2026Q3/r1; jianfu status lists them"
        )
    return Release(Quarter.parse(match[1]), int(match[2]), folder)


def altered(release: Release) -> list[str]:
    """Files of a release that are not what its manifest says, with what is wrong, sorted."""
    listed = release.manifest["files"]
    there = {path.relative_to(release.folder).as_posix() for path in release.folder.rglob("*") if path.is_file()}
    wrong = [f"{path} was added" for path in there - set(listed) - {MANIFEST}]
    for path, expected in listed.items():
        if path not in there:
            wrong.append(f"{path} is missing")
        elif (release.folder / path).is_symlink():
            wrong.append(f"{path} is a link")
        elif file_sha256(release.folder / path) != expected:
            wrong.append(f"{path} is not what was released")
    return sorted(wrong)


def results_of(release: Release) -> Results:
    """Tables that a release was made from, by unit."""
    folder = release.folder / RESULTS
    units = sorted({path.parent.relative_to(folder).as_posix() for path in folder.rglob("*.json")})
    return {unit: read_results(folder / unit) for unit in units}


# -- a release ----------------------------------------------------------------------------------------


def release_files(
    study: Study, quarter: Quarter, results: Results, number: int, spread: Callable[..., Iterable[Any]]
) -> dict[str, Content]:
    """Relative path → content of everything in a release but its manifest; see `build_release`."""
    reports, languages = reports_of(study, quarter, results, number), study.config.publishing.languages
    asked = [(report, page, language) for report in reports for page in pages_of(report) for language in languages]
    tables = [(report, table) for report in reports for table in report.tables.values()]
    about = {"study": study, "quarter": quarter, "number": number}
    # All is begun before anything is waited for, and what takes longest first.
    books = spread(partial(workbook_bytes, [table for _, table in tables], **about), languages)
    drawn = zip(asked, spread(render_page, *zip(*asked, strict=True)), strict=True)
    texts = spread(partial(csv_text, study=study), [table for _, table in tables])
    files: dict[str, Content] = {
        f"{language}/{quarter}/{''.join(f'{part}/' for part in _address(report, page))}index.html": text
        for (report, page, language), text in drawn
    }
    downloads = {
        pages.download_name(table.name, report.region): text
        for (report, table), text in zip(tables, texts, strict=True)
    }
    files |= {f"data/{quarter}/{name}": text for name, text in downloads.items()}
    files[f"data/{quarter}/{data_page.PACKAGE}"] = data_page.data_package(reports, downloads, **about)
    sizes = {name: len(text.encode()) for name, text in downloads.items()}
    for language in languages:
        files[f"{language}/{quarter}/{pages.DATA}/index.html"] = data_page.render_data(reports, sizes, language)
    files |= {
        f"data/{quarter}/{pages.workbook_name(quarter, each)}": book
        for each, book in zip(languages, books, strict=True)
    }
    return dict(sorted((files | _result_files(results)).items()))


def pages_of(report: pages.Report) -> list[str]:
    """Last parts of the addresses of a report's pages, its own first; that on data needs the files and comes later."""
    about = [pages.METHODS, pages.QUALITY] if report.is_national else []
    return ["", *report.further_pages, *(pages.reform_page(reform.id) for reform in report.reforms), *about]


def render_page(report: pages.Report, page: str, language: str) -> str:
    """A page of a report by the last part of its address; the report's own without one."""
    further = {
        "": pages.render_report,
        pages.DETAILS: details.render_details,
        pages.RETURNS: details.render_returns,
        pages.AREAS: details.render_areas,
        pages.REFORMS: reform_pages.render_reforms,
        pages.CHANGES: change_pages.render_changes,
        pages.ADJUST: adjust_pages.render_adjust,
        pages.GUARDRAILS: guardrail_page.render_guardrails,
        pages.METHODS: about_pages.render_methods,
        pages.QUALITY: about_pages.render_quality,
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
    return hashes(_result_files(results)) == released


def reports_of(study: Study, quarter: Quarter, results: Results, number: int) -> list[pages.Report]:
    """What the pages of the nation and of each region are made from, in this order."""
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
            or region in (*pages.FURTHER, *pages.ABOUT)
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


def _manifest(study: Study, quarter: Quarter, number: int, files: dict[str, Content]) -> dict[str, Any]:
    return {
        "study": study.config.study.id,
        "quarter": str(quarter),
        "release": number,
        "is_simulated": study.config.study.is_simulated,
        "languages": list(study.config.publishing.languages),
        "files": hashes(files),
    }


# -- text and bytes -----------------------------------------------------------------------------------


def write(path: Path, content: Content, *, same: Iterable[Path] = ()) -> None:
    """Write a text or bytes as they are, and the folders they need.

    Parameters
    ----------
    same : iterable of pathlib.Path
        Files of sites that stand: one that holds the very same is taken, for the disk has it already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    wanted = _bytes(content)
    for other in same:
        if other.is_file() and other.read_bytes() == wanted:
            with contextlib.suppress(OSError):  # a disk without such links, or one that allows no more of them
                path.hardlink_to(other)
                return
    path.write_bytes(wanted)


def read(path: Path) -> str:
    """Text as it is."""
    return path.read_bytes().decode()  # text mode would turn the line ends of CSV files


def as_json(content: dict[str, Any]) -> str:
    """The same content always gives the same text."""
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def hashes(files: Mapping[str, Content]) -> dict[str, str]:
    """Path → hash of its content."""
    return {path: sha256(content) for path, content in files.items()}


def sha256(content: Content) -> str:
    """Hash of a text or bytes."""
    return hashlib.sha256(_bytes(content)).hexdigest()


def _bytes(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else content


def sync_tree(folder: Path) -> None:
    """Wait until a folder stands on the disk: its files first, then the folders that name them, then its own name.

    A file that another folder shows too reached the disk with that one.
    """
    paths = sorted(folder.rglob("*"))
    with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:  # the disk waits for itself, not for us
        list(pool.map(sync, [path for path in paths if path.is_file() and path.stat().st_nlink == 1]))
    for path in reversed([folder.parent, folder, *(path for path in paths if path.is_dir())]):
        sync(path)
