"""Every table of a release in one spreadsheet, by the rules that statistical offices keep for readers of all kinds.

A contents sheet, a notes sheet, then one table a sheet: marked as a table, with one header row, its marks explained
above it, and no merged, hidden, frozen, filtered or blank rows (UK Government Analysis Function, "Releasing statistics
in spreadsheets"). Cells hold rounded values, never more digits behind a format, and neither formulas nor links.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import xlsxwriter
from babel.numbers import format_percent
from xlsxwriter.worksheet import Worksheet

from analysis_lib.disclosure.protect import FIGURES, ProtectedTable
from analysis_lib.figures.labels import Labels
from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.publishing.downloads import NAMED, names_of
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study

NOT_APPLICABLE = "z"
LONGEST_NAME = 31  # characters of a sheet's name
_NUMBERS = ("value", "ci_low", "ci_high", "n", *FIGURES)
_SETTINGS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "default_date_format": "yyyy-mm-dd",
}
_WIDE, _NARROW = 26, 13  # characters


def workbook_bytes(
    tables: Iterable[ProtectedTable], language: str, *, study: Study, quarter: Quarter, number: int
) -> bytes:
    """The tables of a release as an XLSX file; the same tables always give the same bytes.

    Parameters
    ----------
    tables : iterable of ProtectedTable
        Tables of the same name, such as those of regions, share a sheet; an empty one has none.
    language : str
        Language of names, heads and notes.
    number : int
        Release of the quarter.
    """
    labels, text = Labels(study, language), Catalogue(language)
    title = getattr(study.config.study, f"title_{language}")
    about = text("sheet.about", title=title, period=labels.period(str(quarter)), number=number)
    sheets = _by_name(tables)
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, _SETTINGS) as book:
        midnight = dt.datetime.combine(quarter.last_day, dt.time())  # the day of writing would change the bytes
        book.set_properties({"title": about, "created": midnight})
        draw = _Drawing(book)
        rows = [[name, _title(text, name), len(frame)] for name, frame in sheets.items()]
        head = [text("sheet.name"), text("sheet.holds"), text("sheet.rows")]
        draw.sheet(text("sheet.contents"), [about, *_simulated(study, text)], head, rows, "contents")
        notes = [*((f"[{mark}]", text(f"mark.{mark}")) for mark in _marks(text)), ("[z]", text("sheet.not_applicable"))]
        rows = [[mark, words.removeprefix(mark).strip()] for mark, words in notes]
        lines = [text("sheet.notes"), text("sheet.rounded"), text("sheet.codes")]
        draw.sheet(text("sheet.notes"), lines, [text("sheet.sign"), text("sheet.meaning")], rows, "notes")
        level = format_percent(study.config.estimation.confidence_level, locale=language)
        for name, frame in sheets.items():
            columns = _columns(frame, study, language, labels)
            lines = [_title(text, name), text("sheet.subtitle", about=about, level=level), *_simulated(study, text)]
            lines += _explained(columns, text)
            head = [text.texts.get(f"column.{column}", column) for column in columns]
            rows = list(zip(*columns.values(), strict=True))
            shares = {place for place, unit in enumerate(frame["unit"]) if unit == "share"}
            percent = {place for place, column in enumerate(columns) if column in ("value", "ci_low", "ci_high")}
            draw.sheet(name[:LONGEST_NAME], lines, head, rows, name, percent=(shares, percent))
    return stream.getvalue()


class _Drawing:
    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self.book = book
        self.heading = book.add_format({"bold": True, "font_size": 14})
        self.head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
        self.words = book.add_format({"text_wrap": True, "valign": "top"})
        self.number = book.add_format({"align": "right", "valign": "top"})
        self.percent = book.add_format({"align": "right", "valign": "top", "num_format": "0%"})

    def sheet(
        self,
        name: str,
        lines: list[str],
        head: list[str],
        rows: Sequence[Sequence[Any]],
        table: str,
        *,
        percent: tuple[set[int], set[int]] = (set(), set()),
    ) -> None:
        """A sheet with lines of text and below them a table; ``percent`` are places of rows and columns of shares."""
        sheet: Worksheet = self.book.add_worksheet(name)
        for place, line in enumerate(lines):
            sheet.write_string(place, 0, line, self.heading if place == 0 else None)
        top = len(lines)
        for place, row in enumerate(rows):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(top + 1 + place, column, cell, self.words)
                    continue
                is_share = place in percent[0] and column in percent[1]
                sheet.write_number(top + 1 + place, column, cell, self.percent if is_share else self.number)
        if not rows:
            return
        for column, cell in enumerate(rows[0]):
            sheet.set_column(column, column, _WIDE if isinstance(cell, str) and len(cell) >= _NARROW else _NARROW)
        sheet.add_table(
            top,
            0,
            top + len(rows),
            len(head) - 1,
            {
                "name": f"table_{table}",
                "autofilter": False,
                "style": "Table Style Light 1",
                "columns": [{"header": each, "header_format": self.head} for each in head],
            },
        )


def _by_name(tables: Iterable[ProtectedTable]) -> dict[str, pd.DataFrame]:
    frames: dict[str, list[pd.DataFrame]] = {}
    for each in tables:
        if not each.table.empty:
            frames.setdefault(each.name, []).append(each.table)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in frames.items()}


def _columns(frame: pd.DataFrame, study: Study, language: str, labels: Labels) -> dict[str, list[str | float]]:
    """Column → cells: names before codes, a mark in brackets wherever there is no number or word."""
    cells: dict[str, list[str | float]] = {}
    for column in frame.columns:
        if column in NAMED:
            names = names_of(frame, column, study=study, language=language)
            cells[column] = [name or f"[{NOT_APPLICABLE}]" for name in names]
            cells[f"{column}_code"] = [str(code) or f"[{NOT_APPLICABLE}]" for code in frame[column]]
        elif column == "unit":
            cells[column] = [labels.unit(unit) for unit in frame[column]]
        elif column in _NUMBERS:
            cells[column] = [
                f"[{mark if pd.isna(value) and mark else NOT_APPLICABLE}]" if pd.isna(number) else float(number)
                for number, mark, value in zip(frame[column], frame["mark"], frame["value"], strict=True)
            ]
        else:
            cells[column] = [
                f"[{NOT_APPLICABLE}]" if pd.isna(each) or each == "" else str(each) for each in frame[column]
            ]
    cells["mark"] = [f"[{mark}]" if mark else f"[{NOT_APPLICABLE}]" for mark in frame["mark"]]
    return cells


def _explained(columns: dict[str, list[str | float]], text: Catalogue) -> list[str]:
    used = {cell for cells in columns.values() for cell in cells if isinstance(cell, str)}
    lines = [text(f"mark.{mark}") for mark in _marks(text) if f"[{mark}]" in used]
    return [*lines, *([text("sheet.not_applicable")] if f"[{NOT_APPLICABLE}]" in used else [])]


def _marks(text: Catalogue) -> list[str]:
    return [key.removeprefix("mark.") for key in text.texts if key.startswith("mark.")]


def _title(text: Catalogue, name: str) -> str:
    return text.texts.get(f"table.{name}", name)


def _simulated(study: Study, text: Catalogue) -> list[str]:
    if not study.config.study.is_simulated:
        return []
    return [f"{text('page.simulated')}: {text('page.simulated_text')}"]
