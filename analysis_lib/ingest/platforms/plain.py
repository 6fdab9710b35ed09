"""Plain tables: CSV, CSV.gz or Parquet whose columns an instrument maps one to one."""

from __future__ import annotations

from analysis_lib.ingest.checks import Problems
from analysis_lib.ingest.instruments import Instrument
from analysis_lib.ingest.platforms.raw import RawTable, raw_table, read_files
from analysis_lib.tables.drops import Drop


def read(drop: Drop, instrument: Instrument, problems: Problems) -> list[RawTable]:
    """Every file as it is."""
    return [raw_table(spec, table, source) for _, spec, table, source in read_files(drop, instrument, problems)]
