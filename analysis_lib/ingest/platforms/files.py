"""Safe reading of what senders send: delimited text, workbooks and Parquet, as columns of texts with row numbers.

A file that cannot be read with certainty is rejected as a whole with the reason; nothing is guessed or repaired here.
Columns are dictionaries of distinct texts, so that what a cell means is decided once per text.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import gzip
import io
import mmap
import re
import unicodedata
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from analysis_lib.errors import InputRejected, did_you_mean
from analysis_lib.ingest.checks import Action
from analysis_lib.ingest.instruments import FileSpec

TEXTS = pa.dictionary(pa.int32(), pa.string())
MAX_UNZIPPED = 200 * 2**20  # bytes of a workbook's parts
MAX_TEXT = 4 * 2**30  # bytes of a compressed text file, unpacked
MAX_RATIO = 100  # unpacked to packed; only looked at beyond SMALL
SMALL = 10 * 2**20
MAX_ENTRIES = 2_000
MAX_ROWS = 1_000_000
MAX_CELL = 32_767
_HEAD = 2**18  # bytes looked at to find the header
_TITLE_LINES = 10  # lines above a header that are looked through
_EXACT_INTEGERS = 10**15  # a spreadsheet keeps 15 digits; longer numbers are damaged


@dataclass(frozen=True)
class TextTable:
    """A table as the sender wrote it.

    Attributes
    ----------
    columns : dict of str to pyarrow.DictionaryArray
        Header as the instrument writes it → texts.
    rows : numpy.ndarray
        Row of the source as a spreadsheet numbers it.
    sheet : str
        Sheet of a workbook.
    notes : list of (str, str, str)
        Rule, action and message for what was noticed about the file as a whole.
    short_rows : list of int
        Rows left out because they have too few fields.
    """

    columns: dict[str, pa.DictionaryArray]
    rows: np.ndarray
    sheet: str
    notes: list[tuple[str, Action, str]]
    short_rows: list[int]


def read_table(path: Path, spec: FileSpec) -> TextTable:
    """Read a file by what it is, and keep the columns that the instrument names.

    Raises
    ------
    InputRejected
        Saying what is wrong with the file and what to do.
    """
    with path.open("rb") as stream:
        magic = stream.read(8)
    if not magic:
        _reject(path, "I20: the file is empty", "ask the sender for it again")
    if magic.startswith(b"\xd0\xcf\x11\xe0"):
        _reject(path, "I69: an old or password-protected workbook", "save it as .xlsx without a password")
    if magic.startswith(b"PK\x03\x04"):
        if path.suffix != ".xlsx":
            _reject(path, "I69: a workbook or archive under another name", "send the .xlsx under its own name")
        table = _read_workbook(path, spec)
    elif path.suffix == ".xlsx":
        _reject(path, "F11: no workbook, or one whose beginning is damaged", "ask the sender for it again")
    elif magic.startswith(b"PAR1") or path.suffix == ".parquet":
        table = _read_parquet(path, spec)
    else:
        table = _read_delimited(path, spec)
    if not len(table.rows):
        _reject(path, "I20: a header and no rows", "ask the sender whether the export was filtered")
    return table


def texts(values: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    """One dictionary array of the values as texts; what is null becomes an empty text."""
    if not pa.types.is_dictionary(values.type):
        values = pc.fill_null(values.cast(pa.string()), "").dictionary_encode()
    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries().combine_chunks() if values.num_chunks else pa.array([], TEXTS)
    return values.cast(TEXTS) if values.type != TEXTS else values


# -- headers -------------------------------------------------------------------------------------------


def _plain(header: str) -> str:
    """A header without the differences that spreadsheets and forms make: width, case, blanks."""
    return re.sub(r"[\s\u200b-\u200f\ufeff]+", "", unicodedata.normalize("NFKC", header)).casefold()


def _find_header(lines: list[list[str]], spec: FileSpec) -> tuple[int, int]:
    """Position of the line that holds most of the headers expected, and how many it holds."""
    expected = {_plain(header) for header in spec.headers}
    hits = [len(expected & {_plain(cell) for cell in line}) for line in lines[:_TITLE_LINES]]
    best = max(hits, default=0)
    return (hits.index(best) if best else 0), best


def _match_header(cells: list[str], spec: FileSpec, path: Path) -> dict[str, int]:
    """Our way of writing each header → its position; blank ones at ``(column n)``, to be checked for emptiness."""
    seen = [_plain(cell) for cell in cells]
    twice = sorted(cells[seen.index(name)] for name, count in Counter(seen).items() if name and count > 1)
    if twice:
        _reject(path, f"I06: header(s) twice: {_listed(twice)}", "export again without renaming columns")
    expected = {_plain(header): header for header in spec.headers}
    known = set(expected) | {_plain(header) for header in spec.ignored}
    absent = [header for plain, header in expected.items() if plain not in seen]
    extra = [cell for cell, plain in zip(cells, seen, strict=True) if plain and plain not in known]
    if absent and _is_garbled(cells, expected):
        _reject(
            path,
            "I05: its text was once read in the wrong encoding and saved again",
            "ask the sender for the export as the platform gave it, not opened and saved",
        )
    if absent:
        hint = did_you_mean(absent[0], extra) if extra else "the file has no column that the instrument does not know"
        _reject(
            path,
            f"I66: column(s) missing: {_listed(absent)}",
            f"{hint.replace('Allowed:', 'Unknown columns in the file:')}; if the form changed, add an instrument version",
        )
    if extra:
        _reject(
            path,
            f"I66: column(s) that the instrument does not know: {_listed(extra)}",
            "add them to the instrument: to `columns` if they are wanted, to `ignored` if not",
        )
    places = {expected[plain]: place for place, plain in enumerate(seen) if plain in expected}
    blanks = {f"(column {place + 1})": place for place, plain in enumerate(seen) if not plain}
    return places | blanks


def _is_garbled(cells: list[str], expected: dict[str, str]) -> bool:
    for wrong in ("latin-1", "cp1252", "gb18030"):
        for right in ("utf-8", "gb18030"):
            try:
                undone = {_plain(cell.encode(wrong).decode(right)) for cell in cells if not cell.isascii()}
            except UnicodeError:
                continue
            if undone & set(expected):
                return True
    return False


def _checked(
    columns: dict[str, pa.DictionaryArray], rows: np.ndarray, path: Path
) -> tuple[dict[str, pa.DictionaryArray], np.ndarray]:
    """Columns and rows without those that hold nothing at all; a column of values without a header is refused."""
    is_blank = np.ones(len(rows), dtype=bool)
    for name, values in columns.items():
        blank_texts = np.array([not text.strip() for text in values.dictionary.to_pylist()], dtype=bool)
        is_blank_here = blank_texts[values.indices.to_numpy()] if len(blank_texts) else is_blank
        if name.startswith("(column ") and not is_blank_here.all():
            _reject(path, f"I11: {name} has values and no header", "export again; every column needs a header")
        is_blank &= is_blank_here
    columns = {name: values for name, values in columns.items() if not name.startswith("(column ")}
    if not is_blank.any():
        return columns, rows
    kept = pa.array(~is_blank)
    return {name: values.filter(kept) for name, values in columns.items()}, rows[~is_blank]


# -- delimited text ------------------------------------------------------------------------------------

_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class _Dialect:
    encoding: str
    delimiter: str
    header: list[str]
    header_line: int  # lines before the data begin
    hits: int


def _read_delimited(path: Path, spec: FileSpec) -> TextTable:
    content = _unpacked(path) if path.suffix == ".gz" else None
    head = content[:_HEAD].tobytes() if content is not None else _first_bytes(path)
    dialect, notes = _find_dialect(head, spec, path)
    if b"\0" in head and dialect.encoding != "utf-16":
        _reject(path, "I18: NUL bytes in a text file", "ask the sender for it again")
    places = _match_header(dialect.header, spec, path)
    _check_bytes(path, content, dialect.encoding)
    names = [f"_{place}" for place in range(len(dialect.header))]
    wanted = {header: names[place] for header, place in places.items()}
    table, bad_rows = _parse(path, content, dialect, names, wanted)
    long_rows = [number for number, fields, _ in bad_rows if fields > len(names)]
    if long_rows:
        _reject(
            path,
            f"I10: {len(long_rows)} row(s) with more fields than headers, the first is row {long_rows[0]}",
            "look for an unquoted delimiter in that row, and export again",
        )
    short_rows = [number for number, _, text in bad_rows if text.strip(f"{dialect.delimiter} \r\n\t")]
    total = table.num_rows + len(bad_rows)
    rows = np.setdiff1d(
        np.arange(total) + dialect.header_line + 1, [number for number, *_ in bad_rows], assume_unique=True
    )
    columns, rows = _checked({header: texts(table[name]) for header, name in wanted.items()}, rows, path)
    return TextTable(columns, rows, "", notes, short_rows)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD)


def _unpacked(path: Path) -> memoryview:
    packed, unpacked = path.stat().st_size, io.BytesIO()
    try:
        with gzip.open(path) as stream:
            while piece := stream.read(2**20):
                unpacked.write(piece)
                size = unpacked.tell()
                if size > MAX_TEXT or (size > SMALL and size > MAX_RATIO * packed):
                    _reject(path, "X06: it unpacks to far more than it should", "ask the sender what it is")
    except (EOFError, gzip.BadGzipFile) as error:
        raise InputRejected(
            f"F11: damaged or cut off ({packed} bytes)", where=path.name, fix="ask the sender for it again"
        ) from error
    if not unpacked.tell():
        _reject(path, "I20: the file is empty", "ask the sender for it again")
    return unpacked.getbuffer()


def _find_dialect(head: bytes, spec: FileSpec, path: Path) -> tuple[_Dialect, list[tuple[str, Action, str]]]:
    """The encoding and delimiter under which the header reads as the instrument says."""
    marked = next((name for mark, name in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
    encodings = [marked] if marked else list(dict.fromkeys([spec.encoding, "utf-8", "gb18030"]))
    found = [
        dialect
        for encoding in encodings
        for delimiter in (",", "\t", ";")
        for dialect in _read_head(head, encoding, delimiter, spec)
    ]
    if not found:
        _reject(
            path,
            f"I04: its bytes are not text in {' nor '.join(encodings)}",
            "ask the sender for it again, and for its encoding",
        )
    best = max(found, key=lambda dialect: dialect.hits)  # the first of equals: as the instrument says
    notes: list[tuple[str, Action, str]] = []
    if best.delimiter == ";" and best.hits > 1:
        _reject(
            path, "I08: separated by semicolons, so decimals may be commas", "export with commas and decimal points"
        )
    if best.encoding != spec.encoding:
        notes.append(("I03" if best.encoding == "utf-16" else "I02", "fixed", f"read as {best.encoding}"))
    if best.delimiter == "\t":
        notes.append(("I09", "fixed", "read as tab-separated"))
    if best.hits and best.header_line > 1:
        notes.append(("I13", "fixed", f"{best.header_line - 1} line(s) above the header left out"))
    return best, notes


def _read_head(head: bytes, encoding: str, delimiter: str, spec: FileSpec) -> list[_Dialect]:
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
    try:
        text = decoder.decode(head)
    except UnicodeDecodeError:
        return []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines, ends = [], []
    try:
        for line in reader:
            lines.append(line)
            ends.append(reader.line_num)
            if len(lines) == _TITLE_LINES:
                break
    except csv.Error:  # a field longer than the csv module takes: no header here
        return []
    place, hits = _find_header(lines, spec)
    return [_Dialect(encoding, delimiter, lines[place], ends[place], hits)] if lines else []


def _check_bytes(path: Path, content: memoryview | None, encoding: str) -> None:
    """Refuse what parsers read past: NUL bytes and a quote that is never closed."""
    if encoding == "utf-16":
        return
    with path.open("rb") as stream:
        data = content.tobytes() if content is not None else mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if data.find(b"\0") >= 0:
            _reject(path, "I18: NUL bytes in a text file", "ask the sender for it again")
        quotes = sum(data[start : start + 2**24].count(b'"') for start in range(0, len(data), 2**24))
    if quotes % 2:
        _reject(path, "I16: a quotation mark is never closed", "export again; the file may be cut off")


def _parse(
    path: Path, content: memoryview | None, dialect: _Dialect, names: list[str], wanted: dict[str, str]
) -> tuple[pa.Table, list[tuple[int, int, str]]]:
    """The table, and number, fields and text of every row whose number of fields is wrong."""
    bad_rows: list[tuple[int, int, str]] = []

    def note(row: Any) -> str:
        bad_rows.append((row.number or 0, row.actual_columns, row.text))
        return "skip"

    def parse(*, threads: bool) -> pa.Table:
        return pacsv.read_csv(
            pa.py_buffer(content) if content is not None else pa.memory_map(str(path)),
            read_options=pacsv.ReadOptions(
                use_threads=threads,
                block_size=2**24,
                column_names=names,
                skip_rows=dialect.header_line,
                encoding={"utf-8": "utf8"}.get(dialect.encoding, dialect.encoding),
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=dialect.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=note,
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=list(wanted.values()),
                column_types=dict.fromkeys(names, TEXTS),
                strings_can_be_null=False,
            ),
        )

    try:
        table = parse(threads=True)
        if bad_rows:  # only a parser on one thread knows the numbers of its rows
            bad_rows.clear()
            table = parse(threads=False)
    except (pa.ArrowInvalid, UnicodeError) as error:
        raise InputRejected(
            f"I04: damaged, cut off, or not in {dialect.encoding} ({path.stat().st_size} bytes)",
            where=path.name,
            fix="ask the sender for it again, and for its encoding",
        ) from error
    return table, bad_rows


# -- workbooks -----------------------------------------------------------------------------------------


def _read_workbook(path: Path, spec: FileSpec) -> TextTable:
    _check_archive(path)
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            sheet, notes = _choose_sheet(workbook, spec, path)
            cells = sheet.to_python(skip_empty_area=False)
    except CalamineError as error:
        raise InputRejected(
            f"F11: no readable workbook ({path.stat().st_size} bytes)",
            where=path.name,
            fix="save it as .xlsx without a password, or ask the sender for it again",
        ) from error
    if not any(any(cell != "" for cell in line) for line in cells):
        _reject(path, f"I20: sheet {sheet.name!r} is empty", "ask the sender for it again")
    if len(cells) > MAX_ROWS:
        _reject(path, f"X06: more than {MAX_ROWS} rows", "split the export")
    place, hits = _find_header([[cell_text(cell) for cell in line] for line in cells[:_TITLE_LINES]], spec)
    if hits and place:
        notes.append(("I13", "fixed", f"{place} line(s) above the header left out"))
    if any(last > place for _, (last, _) in sheet.merged_cell_ranges or []):
        _reject(path, "I37: merged cells below the header", "unmerge them; every row needs its own values")
    places = _match_header([cell_text(cell) for cell in cells[place]], spec, path)
    body = cells[place + 1 :]
    columns = {header: _column(body, position, path) for header, position in places.items()}
    rows = np.arange(len(body), dtype=np.int64) + place + 2
    columns, rows = _checked(columns, rows, path)
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
        len(parts) > MAX_ENTRIES
        or unpacked > MAX_UNZIPPED
        or (unpacked > SMALL and unpacked / packed > MAX_RATIO)
        or any(part.flag_bits & 1 for part in parts)
    ):
        _reject(
            path,
            f"X06: unpacks to {unpacked // 2**20} MiB in {len(parts)} parts from {packed // 1024} KiB, or is encrypted",
            "ask the sender what it is; split a large export, or send it as CSV",
        )


def _choose_sheet(
    workbook: CalamineWorkbook, spec: FileSpec, path: Path
) -> tuple[CalamineSheet, list[tuple[str, Action, str]]]:
    names = workbook.sheet_names
    name = spec.sheet or names[0]
    if not spec.sheet and len(names) > 1:
        _reject(path, "I39: several sheets", f"name the sheet in the instrument: {', '.join(names)}")
    if name not in names:
        _reject(path, f"I39: no sheet {name!r}", did_you_mean(name, names))
    hidden = any(sheet.name == name and sheet.visible != SheetVisibleEnum.Visible for sheet in workbook.sheets_metadata)
    notes: list[tuple[str, Action, str]] = [("I38", "warned", "the sheet is hidden in the workbook")] if hidden else []
    return workbook.get_sheet_by_name(name), notes


def _column(body: list[list[Any]], position: int, path: Path) -> pa.DictionaryArray:
    values = [cell if isinstance(cell := line[position], str) else cell_text(cell) for line in body]
    encoded = pa.array(values, pa.string()).dictionary_encode()
    if max((len(text) for text in encoded.dictionary.to_pylist()), default=0) > MAX_CELL:
        _reject(path, f"X06: a cell longer than {MAX_CELL} characters", "ask the sender what it is")
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


# -- Parquet -------------------------------------------------------------------------------------------


def _read_parquet(path: Path, spec: FileSpec) -> TextTable:
    try:
        header = pq.read_schema(path).names
        places = _match_header(header, spec, path)
        table = pq.read_table(path, columns=[header[place] for place in places.values()])
    except pa.ArrowInvalid as error:
        raise InputRejected(
            f"F11: damaged or cut off ({path.stat().st_size} bytes)",
            where=path.name,
            fix="ask the sender for it again",
        ) from error
    columns = {ours: texts(table[header[place]]) for ours, place in places.items()}
    return TextTable(columns, np.arange(table.num_rows, dtype=np.int64) + 1, "", [], [])


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(f'"{name}"' for name in names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")


def _reject(path: Path, what: str, fix: str) -> NoReturn:
    raise InputRejected(what, where=path.name, fix=fix)
