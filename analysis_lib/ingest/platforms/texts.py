"""Tables of texts as senders wrote them, and the match of their headers with the instrument."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis_lib.errors import InputRejected, did_you_mean
from analysis_lib.ingest.instruments import FileSpec

if TYPE_CHECKING:
    from analysis_lib.ingest.checks import Action  # its libraries are slow to import

TEXTS = pa.dictionary(pa.int32(), pa.string())
TITLE_LINES = 10  # lines above a header that are looked through
Note = tuple[str, "Action", str]  # rule, action, message


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
    notes : list of Note
        Rule, action and message for what was noticed about the file as a whole.
    short_rows : list of int
        Rows left out because they have too few fields.
    """

    columns: dict[str, pa.DictionaryArray]
    rows: np.ndarray
    sheet: str
    notes: list[Note]
    short_rows: list[int]


def texts(values: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    """One dictionary array of the values as texts; what is null becomes an empty text."""
    if not pa.types.is_dictionary(values.type):
        values = pc.fill_null(values.cast(pa.string()), "").dictionary_encode()
    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries().combine_chunks() if values.num_chunks else pa.array([], TEXTS)
    return values.cast(TEXTS) if values.type != TEXTS else values


def listed(names: list[str], most: int = 5) -> str:
    """The first few names, quoted, and how many more there are."""
    return ", ".join(f'"{name}"' for name in names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")


def reject(path: Path, what: str, fix: str) -> NoReturn:
    """Refuse a file as a whole."""
    raise InputRejected(what, where=path.name, fix=fix)


# -- headers -------------------------------------------------------------------------------------------


def _plain(header: str) -> str:
    """A header without the differences that spreadsheets and forms make: width, case, blanks."""
    return re.sub(r"[\s\u200b-\u200f\ufeff]+", "", unicodedata.normalize("NFKC", header)).casefold()


def find_header(lines: list[list[str]], spec: FileSpec) -> tuple[int, int]:
    """Position of the line that holds most of the headers expected, and how many it holds."""
    expected = {_plain(header) for header in spec.headers}
    hits = [len(expected & {_plain(cell) for cell in line}) for line in lines[:TITLE_LINES]]
    best = max(hits, default=0)
    return (hits.index(best) if best else 0), best


def match_header(cells: list[str], spec: FileSpec, path: Path) -> dict[str, int]:
    """Our way of writing each header → its position; blank ones at ``(column n)``, to be checked for emptiness."""
    seen = [_plain(cell) for cell in cells]
    twice = sorted(cells[seen.index(name)] for name, count in Counter(seen).items() if name and count > 1)
    if twice:
        reject(path, f"I06: header(s) twice: {listed(twice)}", "export again without renaming columns")
    expected = {_plain(header): header for header in spec.headers}
    known = set(expected) | {_plain(header) for header in spec.ignored}
    absent = [header for plain, header in expected.items() if plain not in seen]
    extra = [cell for cell, plain in zip(cells, seen, strict=True) if plain and plain not in known]
    if absent and _is_garbled(cells, expected):
        reject(
            path,
            "I05: its text was once read in the wrong encoding and saved again",
            "ask the sender for the export as the platform gave it, not opened and saved",
        )
    if absent:
        hint = did_you_mean(absent[0], extra) if extra else "the file has no column that the instrument does not know"
        reject(
            path,
            f"I66: column(s) missing: {listed(absent)}",
            f"{hint.replace('Allowed:', 'Unknown columns in the file:')}; if the form changed, add an instrument version",
        )
    if extra:
        reject(
            path,
            f"I66: column(s) that the instrument does not know: {listed(extra)}",
            "add them to the instrument: to `columns` if they are wanted, to `ignored` if not",
        )
    places = {expected[plain]: place for place, plain in enumerate(seen) if plain in expected}
    blanks = {f"(column {place + 1})": place for place, plain in enumerate(seen) if not plain}
    return places | blanks


def _is_garbled(cells: list[str], expected: dict[str, str]) -> bool:
    """Whether reading a header's bytes in another encoding gives one that is expected."""
    for cell in cells:
        for wrong, right in _CONFUSED:
            try:
                undone = cell.encode(wrong).decode(right)
            except UnicodeError:
                continue
            if undone != cell and _plain(undone) in expected:
                return True
    return False


_CONFUSED = [
    (wrong, right) for wrong in ("latin-1", "cp1252", "gb18030") for right in ("utf-8", "gb18030") if wrong != right
]


def without_blanks(
    columns: dict[str, pa.DictionaryArray], rows: np.ndarray, path: Path
) -> tuple[dict[str, pa.DictionaryArray], np.ndarray]:
    """Columns and rows without those that hold nothing at all; a column of values without a header is refused."""
    is_blank = np.ones(len(rows), dtype=bool)
    for name, values in columns.items():
        blank_texts = np.array([not text.strip() for text in values.dictionary.to_pylist()], dtype=bool)
        is_blank_here = blank_texts[values.indices.to_numpy()] if len(blank_texts) else is_blank
        if name.startswith("(column ") and not is_blank_here.all():
            reject(path, f"I11: {name} has values and no header", "export again; every column needs a header")
        is_blank &= is_blank_here
    columns = {name: values for name, values in columns.items() if not name.startswith("(column ")}
    if not is_blank.any():
        return columns, rows
    kept = pa.array(~is_blank)
    return {name: values.filter(kept) for name, values in columns.items()}, rows[~is_blank]
