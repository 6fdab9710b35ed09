"""Safe reading of what senders send, by what a file is and not by what it is called.

A file that cannot be read with certainty is rejected as a whole with the reason; nothing is guessed or repaired here.
Columns are dictionaries of distinct texts, so that what a cell means is decided once per text.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis_lib.errors import InputRejected
from analysis_lib.ingest.instruments import FileSpec
from analysis_lib.ingest.platforms.delimited import read_delimited
from analysis_lib.ingest.platforms.texts import TextTable, match_header, reject, texts
from analysis_lib.ingest.platforms.workbooks import read_workbook


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
        reject(path, "I20: the file is empty", "ask the sender for it again")
    if magic.startswith(b"\xd0\xcf\x11\xe0"):
        reject(path, "I69: an old or password-protected workbook", "save it as .xlsx without a password")
    if magic.startswith(b"PK\x03\x04"):
        if path.suffix != ".xlsx":
            reject(path, "I69: a workbook or archive under another name", "send the .xlsx under its own name")
        table = read_workbook(path, spec)
    elif path.suffix == ".xlsx":
        reject(path, "F11: no workbook, or one whose beginning is damaged", "ask the sender for it again")
    elif magic.startswith(b"PAR1") or path.suffix == ".parquet":
        table = _read_parquet(path, spec)
    else:
        table = read_delimited(path, spec)
    if not len(table.rows):
        reject(path, "I20: a header and no rows", "ask the sender whether the export was filtered")
    return table


def _read_parquet(path: Path, spec: FileSpec) -> TextTable:
    try:
        header = pq.read_schema(path).names
        places = match_header(header, spec, path)
        table = pq.read_table(path, columns=[header[place] for place in places.values()])
    except pa.ArrowInvalid as error:
        raise InputRejected(
            f"F11: damaged or cut off ({path.stat().st_size} bytes)",
            where=path.name,
            fix="ask the sender for it again",
        ) from error
    columns = {ours: texts(table[header[place]]) for ours, place in places.items()}
    return TextTable(columns, np.arange(table.num_rows, dtype=np.int64) + 1, "", [], [])
