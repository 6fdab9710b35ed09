"""Export formats, one module each: a drop's files → tables of texts under our names."""

from __future__ import annotations

from analysis_lib.ingest.checks import Problems
from analysis_lib.ingest.instruments import Instrument
from analysis_lib.ingest.platforms import odk, plain, slots, wjx
from analysis_lib.ingest.platforms.raw import RawTable
from analysis_lib.tables.drops import Drop

_PLATFORMS = {"wjx": wjx.read, "odk": odk.read, "slots": slots.read, "plain": plain.read}


def read_raw(drop: Drop, instrument: Instrument, problems: Problems) -> list[RawTable]:
    """Read a drop by the platform that its instrument names."""
    return _PLATFORMS[instrument.platform](drop, instrument, problems)
