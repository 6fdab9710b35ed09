"""Workbooks (.xlsx): looked at from outside first, then read cell by cell as a person would have typed it."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from analysis_lib.errors import InputRejected, did_you_mean
from analysis_lib.ingest.instruments import FileSpec
from analysis_lib.ingest.platforms.texts import (
    TITLE_LINES,
    Note,
    TextTable,
    find_header,
    listed,
    match_header,
    reject,
    without_blanks,
)

MAX_UNPACKED = 200 * 2**20  # bytes of all parts
MAX_RATIO = 100  # unpacked to packed; only looked at beyond SMALL
SMALL = 10 * 2**20
MAX_PARTS = 2_000
MAX_ROWS = 1_000_000
MAX_CELL = 32_767  # characters
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_ERROR_CELL = re.compile(rb'<c r="([A-Z]+)(\d+)"[^>]*?t="e"')
_UNCALCULATED = re.compile(
    rb'<c r="([A-Z]+\d+)"[^>]*>\s*<f(?:/>|[^>]*/>|[^>]*>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>'
)
_ERROR_TEXT = "#ERROR"
_EXACT_INTEGERS = 10**15  # a spreadsheet keeps 15 digits; longer numbers are damaged


def read_workbook(path: Path, spec: FileSpec) -> TextTable:
    """Read the sheet that the instrument names; see `files.read_table`."""
    _check_archive(path)
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            sheet, notes = _choose_sheet(workbook, spec, path)
            cells = sheet.to_python(skip_empty_area=False)
            _mark_errors(cells, _sheet_xml(path, sheet.name), path)
    except CalamineError as error:
        raise InputRejected(
            f"F11: no readable workbook ({path.stat().st_size} bytes)",
            where=path.name,
            fix="save it as .xlsx without a password, or ask the sender for it again",
        ) from error
    if not any(any(cell != "" for cell in line) for line in cells):
        reject(path, f"I20: sheet {sheet.name!r} is empty", "ask the sender for it again")
    if len(cells) > MAX_ROWS:
        reject(path, f"X06: more than {MAX_ROWS} rows", "split the export")
    place, hits = find_header([[cell_text(cell) for cell in line] for line in cells[:TITLE_LINES]], spec)
    if hits and place:
        notes.append(("I13", "fixed", f"{place} line(s) above the header left out"))
    if any(last > place for _, (last, _) in sheet.merged_cell_ranges or []):
        reject(path, "I37: merged cells below the header", "unmerge them; every row needs its own values")
    places = match_header([cell_text(cell) for cell in cells[place]], spec, path)
    body = cells[place + 1 :]
    columns = {header: _column(body, position, path) for header, position in places.items()}
    rows = np.arange(len(body), dtype=np.int64) + place + 2
    columns, rows = without_blanks(columns, rows, path)
    return TextTable(columns, rows, sheet.name, notes, [])


def _check_archive(path: Path) -> None:
    """Look at what a workbook would unpack to before anything is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except zipfile.BadZipFile as error:
        raise InputRejected(
            f"F11: damaged or cut off ({path.stat().st_size} bytes)",
            where=path.name,
            fix="ask the sender for it again",
        ) from error
    unpacked = sum(part.file_size for part in parts)
    packed = max(1, sum(part.compress_size for part in parts))
    if (
        len(parts) > MAX_PARTS
        or unpacked > MAX_UNPACKED
        or (unpacked > SMALL and unpacked / packed > MAX_RATIO)
        or any(part.flag_bits & 1 for part in parts)
    ):
        reject(
            path,
            f"X06: unpacks to {unpacked // 2**20} MiB in {len(parts)} parts from {packed // 1024} KiB, or is encrypted",
            "ask the sender what it is; split a large export, or send it as CSV",
        )


def _sheet_xml(path: Path, name: str) -> bytes:
    """A sheet as it is stored; what a reader of values cannot see shows there."""
    with zipfile.ZipFile(path) as archive:
        book = _xml(archive.read("xl/workbook.xml"), path)
        links = _xml(archive.read("xl/_rels/workbook.xml.rels"), path)
        key = next(node.get(f"{_RELATION}id") for node in book.iter(f"{_MAIN}sheet") if node.get("name") == name)
        target = next(str(node.get("Target")) for node in links if node.get("Id") == key)
        return archive.read(target.lstrip("/") if target.startswith("/") else f"xl/{target}")


def _xml(content: bytes, path: Path) -> ElementTree.Element:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # no spreadsheet program writes them
        reject(path, "X07: a workbook that defines entities", "ask the sender what it is")
    return ElementTree.fromstring(content)


def _mark_errors(cells: list[list[Any]], xml: bytes, path: Path) -> None:
    """Give error values the text that a person sees; refuse formulas that were never calculated."""
    if b"<f" in xml:
        empty = [match[1].decode() for match in _UNCALCULATED.finditer(xml)]
        if empty:
            reject(
                path,
                f"I35: formulas without a stored result: {listed(empty)}",
                "open it in a spreadsheet program, save it, or paste values",
            )
    if b't="e"' in xml:
        for match in _ERROR_CELL.finditer(xml):
            cells[int(match[2]) - 1][_column_position(match[1].decode())] = _ERROR_TEXT


def _column_position(letters: str) -> int:
    """Position of a column, from 0.

    >>> [_column_position(letters) for letters in ("A", "Z", "AA")]
    [0, 25, 26]
    """
    position = 0
    for letter in letters:
        position = position * 26 + ord(letter) - ord("A") + 1
    return position - 1


def _choose_sheet(workbook: CalamineWorkbook, spec: FileSpec, path: Path) -> tuple[CalamineSheet, list[Note]]:
    names = workbook.sheet_names
    name = spec.sheet or names[0]
    if not spec.sheet and len(names) > 1:
        reject(path, "I39: several sheets", f"name the sheet in the instrument: {', '.join(names)}")
    if name not in names:
        reject(path, f"I39: no sheet {name!r}", did_you_mean(name, names))
    hidden = any(sheet.name == name and sheet.visible != SheetVisibleEnum.Visible for sheet in workbook.sheets_metadata)
    notes: list[Note] = [("I38", "warned", "the sheet is hidden in the workbook")] if hidden else []
    return workbook.get_sheet_by_name(name), notes


def _column(body: list[list[Any]], position: int, path: Path) -> pa.DictionaryArray:
    values = [cell if isinstance(cell := line[position], str) else cell_text(cell) for line in body]
    encoded = pa.array(values, pa.string()).dictionary_encode()
    if max((len(text) for text in encoded.dictionary.to_pylist()), default=0) > MAX_CELL:
        reject(path, f"X06: a cell longer than {MAX_CELL} characters", "ask the sender what it is")
    return encoded


def cell_text(cell: Any) -> str:
    """A spreadsheet's cell as a person would have typed it.

    >>> [cell_text(cell) for cell in (3.0, 0.5, dt.time(8, 30), dt.date(2026, 1, 31), True)]
    ['3', '0.5', '08:30:00', '2026-01-31', 'TRUE']
    """
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float | int):
        if abs(cell) >= _EXACT_INTEGERS:
            return f"{cell:E}"
        return str(int(cell)) if cell == int(cell) else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ")
    if isinstance(cell, dt.timedelta):
        minutes = round(cell.total_seconds() / 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}"
    return cell.isoformat()
