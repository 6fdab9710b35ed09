"""Which module reads the exports of which platform."""

from __future__ import annotations

from analysis_lib.ingest.checks import Problems
from analysis_lib.ingest.instruments import Instrument
from analysis_lib.ingest.platforms import odk, plain, slots, wjx
from analysis_lib.ingest.platforms.confined import Limits
from analysis_lib.ingest.platforms.raw import RawTable, read_files
from analysis_lib.tables.drops import Drop

_PLATFORMS = {"wjx": wjx.read, "odk": odk.read, "slots": slots.read, "plain": plain.read}


def read_raw(drop: Drop, instrument: Instrument, problems: Problems, limits: Limits) -> list[RawTable]:
    """Read a drop by the platform that its instrument names, each of its files within the limits."""
    return _PLATFORMS[instrument.platform](read_files(drop, instrument, problems, limits), problems)
