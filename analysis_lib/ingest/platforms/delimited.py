"""Delimited text: encoding, delimiter and header are found by what the instrument expects, never by guessing."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import mmap
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from analysis_lib.errors import InputRejected
from analysis_lib.ingest.instruments import FileSpec
from analysis_lib.ingest.platforms.texts import (
    TEXTS,
    TITLE_LINES,
    Note,
    TextTable,
    find_header,
    match_header,
    reject,
    texts,
    without_blanks,
)

MAX_UNPACKED = 4 * 2**30  # bytes
MAX_RATIO = 100  # unpacked to packed; only looked at beyond SMALL
SMALL = 10 * 2**20
_HEAD = 2**18  # bytes looked at to find the header
_PIECE = 2**24  # bytes handled at a time

_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class _Dialect:
    encoding: str
    delimiter: str
    header: list[str]
    header_line: int  # lines before the data begin
    hits: int


def read_delimited(path: Path, spec: FileSpec) -> TextTable:
    """Read comma- or tab-separated text, plain or gzipped; see `files.read_table`."""
    content = _unpacked(path) if path.suffix == ".gz" else None
    head = content[:_HEAD] if content is not None else _first_bytes(path)
    dialect, notes = _find_dialect(head, spec, path)
    if b"\0" in head and dialect.encoding != "utf-16":
        reject(path, "I18: NUL bytes in a text file", "ask the sender for it again")
    places = match_header(dialect.header, spec, path)
    _check_bytes(path, content, dialect.encoding)
    names = [f"_{place}" for place in range(len(dialect.header))]
    wanted = {header: names[place] for header, place in places.items()}
    table, bad_rows = _parse(path, content, dialect, names, wanted)
    long_rows = [number for number, fields, _ in bad_rows if fields > len(names)]
    if long_rows:
        reject(
            path,
            f"I10: {len(long_rows)} row(s) with more fields than headers, the first is row {long_rows[0]}",
            "look for an unquoted delimiter in that row, and export again",
        )
    short_rows = [number for number, _, text in bad_rows if text.strip(f"{dialect.delimiter} \r\n\t")]
    total = table.num_rows + len(bad_rows)
    rows = np.setdiff1d(
        np.arange(total) + dialect.header_line + 1, [number for number, *_ in bad_rows], assume_unique=True
    )
    columns, rows = without_blanks({header: texts(table[name]) for header, name in wanted.items()}, rows, path)
    return TextTable(columns, rows, "", notes, short_rows)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD)


def _unpacked(path: Path) -> bytes:
    packed, unpacked = path.stat().st_size, io.BytesIO()
    try:
        with gzip.open(path) as stream:
            while piece := stream.read(2**20):
                unpacked.write(piece)
                size = unpacked.tell()
                if size > MAX_UNPACKED or (size > SMALL and size > MAX_RATIO * packed):
                    reject(path, "X06: it unpacks to far more than it should", "ask the sender what it is")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputRejected(
            f"F11: damaged or cut off ({packed} bytes)", where=path.name, fix="ask the sender for it again"
        ) from error
    if not unpacked.tell():
        reject(path, "I20: the file is empty", "ask the sender for it again")
    return unpacked.getvalue()


def _find_dialect(head: bytes, spec: FileSpec, path: Path) -> tuple[_Dialect, list[Note]]:
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
        reject(
            path,
            f"I04: its bytes are not text in {' nor '.join(encodings)}",
            "ask the sender for it again, and for its encoding",
        )
    best = max(found, key=lambda dialect: dialect.hits)  # the first of equals: as the instrument says
    notes: list[Note] = []
    if best.delimiter == ";" and best.hits > 1:
        reject(path, "I08: separated by semicolons, so decimals may be commas", "export with commas and decimal points")
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
            if len(lines) == TITLE_LINES:
                break
    except csv.Error:  # a field longer than the csv module takes: no header here
        return []
    place, hits = find_header(lines, spec)
    return [_Dialect(encoding, delimiter, lines[place], ends[place], hits)] if lines else []


def _check_bytes(path: Path, content: bytes | None, encoding: str) -> None:
    """Refuse what parsers read past: NUL bytes and a quote that is never closed."""
    if encoding == "utf-16":
        return
    with path.open("rb") as stream:
        data = content if content is not None else mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if data.find(b"\0") >= 0:
            reject(path, "I18: NUL bytes in a text file", "ask the sender for it again")
        quotes = sum(data[start : start + _PIECE].count(b'"') for start in range(0, len(data), _PIECE))
    if quotes % 2:
        reject(path, "I16: a quotation mark is never closed", "export again; the file may be cut off")


def _parse(
    path: Path, content: bytes | None, dialect: _Dialect, names: list[str], wanted: dict[str, str]
) -> tuple[pa.Table, list[tuple[int, int, str]]]:
    """The table, and number, fields and text of every row whose number of fields is wrong."""
    bad_rows: list[tuple[int, int, str]] = []

    def note(row: Any) -> str:
        bad_rows.append((row.number, row.actual_columns, row.text))
        return "skip"

    def parse(*, careful: bool) -> pa.Table:
        return pacsv.read_csv(
            _utf8_stream(path, content, dialect.encoding),
            read_options=pacsv.ReadOptions(
                use_threads=not careful,  # only a parser on one thread knows the numbers of its rows
                block_size=_PIECE,
                column_names=names,
                skip_rows=dialect.header_line,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=dialect.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=note if careful else None,
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=list(wanted.values()),
                column_types=dict.fromkeys(names, TEXTS),
                strings_can_be_null=False,
            ),
        )

    try:
        return parse(careful=False), []
    except (pa.ArrowInvalid, UnicodeError):
        _check_encoding(path, content, dialect.encoding)
    try:
        return parse(careful=True), bad_rows
    except pa.ArrowInvalid as error:
        raise InputRejected(
            f"F11: damaged or cut off ({path.stat().st_size} bytes)", where=path.name, fix="ask the sender for it again"
        ) from error


def _utf8_stream(path: Path, content: bytes | None, encoding: str) -> Any:
    if encoding == "utf-8":
        return pa.py_buffer(content) if content is not None else pa.memory_map(str(path))
    return _Transcoded(path.open("rb") if content is None else io.BytesIO(content), encoding)


class _Transcoded(io.RawIOBase):
    """Bytes of another encoding as UTF-8, in large pieces; many times faster than the parser's own transcoding."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def readable(self) -> bool:
        """Always; asked by the parser."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes of UTF-8: two bytes of the encodings read here never become more than three."""
        piece = self._stream.read(max(64, size * 2 // 3 - 64) if size > 0 else -1)
        return self._decoder.decode(piece, final=not piece).encode()

    def close(self) -> None:
        """Close the stream below too."""
        self._stream.close()
        super().close()


def _check_encoding(path: Path, content: bytes | None, encoding: str) -> None:
    """Refuse bytes that are not text in the encoding, telling how far they are."""
    decoder, position = codecs.getincrementaldecoder(encoding)(), 0
    with path.open("rb") if content is None else io.BytesIO(content) as stream:
        try:
            while piece := stream.read(_PIECE):
                decoder.decode(piece)
                position += len(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise InputRejected(
                f"I04: cut off, or not in {encoding} near byte {position + error.start} of {path.stat().st_size}",
                where=path.name,
                fix="ask the sender for it again, and for its encoding",
            ) from error
