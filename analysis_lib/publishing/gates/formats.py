"""The same numbers wherever they stand: results, CSV, workbooks, tables of pages, and each language."""

from __future__ import annotations

import csv
import html
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from python_calamine import CalamineWorkbook

from analysis_lib.disclosure.protect import FIGURES
from analysis_lib.figures.labels import Labels
from analysis_lib.publishing import pages as names
from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.publishing.downloads import BOM
from analysis_lib.publishing.gates.markup import Page
from analysis_lib.publishing.releases import Release, Results, reports_of
from analysis_lib.publishing.workbooks import LONGEST_NAME
from analysis_lib.study import Study

_NUMBERS = ("value", "ci_low", "ci_high", "n", *FIGURES)
_FIGURE = re.compile(r"[+−-]?\d[\d,]*(?:\.\d+)?%?")
_NUMBER = re.compile(r"\d+(?:\.\d+)?%?")
_NUMERIC = re.compile(r"[\d.,%+−\s-]+(?:(?:to|至)[\d.,%+−\s-]+)?(?:\[\w+\])?")  # a number or an interval, no sentence


def unequal_formats(
    study: Study, site: Path, release: Release, results: Results, pages: Mapping[str, Page]
) -> list[str]:
    """Downloads and tables of pages that say anything else than the results of a release, a line each."""
    reports = reports_of(study, release.quarter, results, release.number)
    folder, found = site / "data" / str(release.quarter), []
    together: dict[str, list[pd.DataFrame]] = {}
    for report in reports:
        for table in report.tables.values():
            file = folder / names.download_name(table.name, report.region)
            found += [f"{file.relative_to(site).as_posix()}: {each}" for each in _unlike_csv(file, table.table)]
            if not table.table.empty:
                together.setdefault(table.name, []).append(table.table)
    for language in study.config.publishing.languages:
        book = folder / names.workbook_name(release.quarter, language)
        found += [f"{book.relative_to(site).as_posix()}: {each}" for each in _unlike_workbook(book, together, language)]
        pdf = folder / f"{release.quarter}-{language}.pdf"
        if pdf.is_file():
            page = site / language / str(release.quarter) / "index.html"
            found += [f"{pdf.relative_to(site).as_posix()}: {each}" for each in _unlike_page(pdf, page)]
        shown = _shown(Labels(study, language), [frame for frames in together.values() for frame in frames])
        folder_of_pages = f"{language}/{release.quarter}/"
        # Rows and sizes of files, and versions of methods, are no results.
        about = tuple(f"{folder_of_pages}{page}/" for page in names.ABOUT)
        of_quarter = [
            page for path, page in pages.items() if path.startswith(folder_of_pages) and not path.startswith(about)
        ]
        found += [f"{page.path}: {each}" for page in of_quarter for each in _strange_figures(page, shown)]
    return found


def unequal_languages(pages: Mapping[str, Page], languages: Sequence[str]) -> list[str]:
    """Pages that lack their twin in another language, or whose tables have other numbers there, a line each."""
    found = []
    first, *others = languages
    for path, page in pages.items():
        language, _, rest = path.partition("/")
        if language != first or not rest:
            continue
        for other in others:
            twin = pages.get(f"{other}/{rest}")
            if twin is None:
                found.append(f"{path}: there is no such page in {other!r}")
                continue
            if page.tables.keys() != twin.tables.keys():
                found.append(f"{path}: its tables are not those of {twin.path}")
            for name in page.tables.keys() & twin.tables.keys():
                if _figures(page.tables[name]) != _figures(twin.tables[name]):
                    found.append(f"{path}: table {name!r} has other numbers in {other!r}")
    return found


def _unlike_csv(file: Path, frame: pd.DataFrame) -> Iterator[str]:
    if not file.is_file():
        yield "it is missing"
        return
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode().removeprefix(BOM), newline="")))
    if len(rows) != len(frame):
        yield f"{len(rows)} rows, {len(frame)} in the results"
        return
    for column in frame.columns:
        for place, (row, cell) in enumerate(zip(rows, frame[column], strict=True)):
            if not _is_same(row[column], cell):
                yield f"row {place + 1}, {column} is not that of the results"


def _unlike_workbook(file: Path, together: Mapping[str, list[pd.DataFrame]], language: str) -> Iterator[str]:
    if not file.is_file():
        yield "it is missing"
        return
    book, text = CalamineWorkbook.from_path(file), Catalogue(language)
    for name, parts in together.items():
        if name[:LONGEST_NAME] not in book.sheet_names:
            yield f"no sheet {name!r}"
            continue
        frame = pd.concat(parts, ignore_index=True)
        lines = book.get_sheet_by_name(name[:LONGEST_NAME]).to_python(skip_empty_area=False)
        head = [text.texts.get(f"column.{column}", column) for column in frame.columns]
        top = next((place for place, line in enumerate(lines) if set(head) <= set(line)), None)
        if top is None or len(lines) - top - 1 != len(frame):
            yield f"sheet {name!r} has other columns or rows than the results"
            continue
        for column in [each for each in _NUMBERS if each in frame.columns]:
            at = lines[top].index(text.texts.get(f"column.{column}", column))
            for place, number in enumerate(frame[column]):
                if not _is_same(lines[top + 1 + place][at], number):
                    yield f"sheet {name!r}, row {place + 1}, {column} is not that of the results"


def _unlike_page(pdf: Path, page: Path) -> Iterator[str]:
    """What a PDF says that its page does not; tables that a page keeps folded are not printed."""
    from pypdf import PdfReader

    reader, written = PdfReader(pdf), page.read_text(encoding="utf-8")
    marked = (reader.root_object.get("/MarkInfo") or {}).get("/Marked")
    if marked is None or not marked.value or "/Lang" not in reader.root_object:
        yield "it is not tagged, or does not say its language"
    text = unicodedata.normalize("NFKC", "\n".join(each.extract_text() for each in reader.pages))
    on_page = unicodedata.normalize("NFKC", html.unescape(re.sub(r"<[^>]+>", " ", written)))
    strange = set(_NUMBER.findall(text.replace(",", ""))) - set(_NUMBER.findall(on_page.replace(",", "")))
    if strange:
        yield f"{len(strange)} numbers are not those of the page"
    heading = unicodedata.normalize(
        "NFKC", html.unescape(re.sub(r".*<h1[^>]*>(.*?)</h1>.*", r"\1", written, flags=re.DOTALL))
    )
    if re.sub(r"\s", "", heading) not in re.sub(r"\s", "", text):
        yield "the finding of the page does not stand in it"


def _is_same(cell: Any, published: Any) -> bool:
    """Whether a cell of a download is what the results have: a number, a text, or nothing."""
    if pd.isna(published):
        return cell == "" or str(cell).startswith("[")
    if isinstance(published, str):
        return cell in (published, f"'{published}")
    try:
        return float(cell) == float(published)
    except ValueError:
        return False


def _shown(labels: Labels, frames: list[pd.DataFrame]) -> set[str]:
    """Every way in which a page may write a number of the results, without its sign."""
    numbers: set[tuple[str, float, str, str]] = set()
    for frame in frames:
        for column in [each for each in _NUMBERS if each in frame.columns]:
            is_number = frame[column].notna()
            sizes = frame.loc[is_number, column].astype(float).abs()
            kinds = (frame.loc[is_number, name] for name in ("unit", "statistic"))
            numbers |= {(column, *each) for each in zip(sizes, *kinds, strict=True)}
    written = set()
    for column, size, unit, statistic in numbers:
        written.add(labels.number(size, unit, statistic if column != "n" else "count"))
        if column in FIGURES:
            written.add(f"{size:.{FIGURES[column]}f}")
    return written


def _strange_figures(page: Page, shown: set[str]) -> Iterator[str]:
    for name, rows in page.tables.items():
        for row in rows[1:]:
            for cell in row[1:]:
                text = re.sub(r"\[\w+\]", "", cell).strip()
                if _FIGURE.fullmatch(text) and text.lstrip("+−-") not in shown:
                    yield f"table {name!r} has a number that the results do not have"


def _figures(rows: list[list[str]]) -> list[list[str]]:
    cells = [cell for row in rows[1:] for cell in row[1:]]
    return [_NUMBER.findall(cell.replace(",", "")) if _NUMERIC.fullmatch(cell) else [] for cell in cells]
