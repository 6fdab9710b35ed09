"""Plain tables: CSV, CSV.gz or Parquet whose columns an instrument maps one to one."""

from __future__ import annotations

from collections.abc import Iterable

from analysis_lib.ingest.checks import Problems
from analysis_lib.ingest.platforms.raw import RawTable, ReadFile, raw_table


def read(files: Iterable[ReadFile], _problems: Problems) -> list[RawTable]:
    """Every file as it is."""
    return [raw_table(file.spec, file.table, file.source) for file in files]
