"""问卷星-like workbooks: one row per answer sheet, a diary's episodes side by side in numbered blocks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from analysis_lib.ingest.checks import Problems
from analysis_lib.ingest.instruments import BLOCK, FileSpec
from analysis_lib.ingest.platforms.raw import RawTable, ReadFile, numbered, raw_table
from analysis_lib.ingest.platforms.texts import TextTable, texts


def read(files: Iterable[ReadFile], _problems: Problems) -> list[RawTable]:
    """Answer sheets as respondents or diary days, blocks as episodes of their sheet."""
    tables = []
    for _, spec, table, source in files:
        sheets = np.arange(len(table.rows))
        tables.append(raw_table(spec, table, source, submissions=sheets))
        if spec.blocks:
            tables.append(_episodes(spec, table, source))
    return tables


def _episodes(spec: FileSpec, table: TextTable, source: int) -> RawTable:
    """One row per block that holds anything."""
    numbers = range(1, spec.blocks + 1)
    columns = {
        name: texts(pa.chunked_array([table.columns[column.sources[0].replace(BLOCK, str(n))] for n in numbers]))
        for name, column in spec.block_columns.items()
    }
    sheets = len(table.rows)
    is_used = np.zeros(sheets * spec.blocks, dtype=bool)
    for values in columns.values():
        has_text = np.array([bool(text.strip()) for text in values.dictionary.to_pylist()], dtype=bool)
        is_used |= has_text[values.indices.to_numpy()]
    used = np.flatnonzero(is_used)
    return RawTable(
        "episodes",
        source,
        spec.block_columns,
        {name: values.take(pa.array(used)) for name, values in columns.items()},
        table.rows[used % sheets],
        numbered(used % sheets, source),
        blocks=used // sheets + 1,
        has_parent=True,
    )
