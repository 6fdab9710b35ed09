"""Tables on their way in: our column names, the sender's texts, and the place in the source of every row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from analysis_lib.errors import InputRejected, did_you_mean
from analysis_lib.ingest.checks import ROW, SOURCE, Problems
from analysis_lib.ingest.instruments import BLOCK, Column, FileSpec, Grain, Instrument
from analysis_lib.ingest.platforms.confined import Limits, read_confined
from analysis_lib.ingest.platforms.texts import TextTable, texts
from analysis_lib.tables.drops import Drop

_SUBMISSIONS_PER_SOURCE = 2**32  # leaves every submission of a quarter a number of its own


@dataclass(frozen=True)
class RawTable:
    """A table of texts under our names.

    Attributes
    ----------
    grain : str
        What one row is.
    source : int
        Position of its file and sheet in `Problems.sources`.
    specs : dict of str to Column
        How each column is read.
    columns : dict of str to pyarrow.DictionaryArray
        Texts.
    rows : numpy.ndarray
        Row of the source.
    submissions : numpy.ndarray
        Number of the submission that a row belongs to; a file without submissions is one.
    blocks : numpy.ndarray or None
        Number of the block that an episode was read from.
    has_parent : bool
        Whether respondent and diary date come from the table that shares the submission.
    slot_minutes : int
        Length of a slot, in a table of slots.
    """

    grain: Grain
    source: int
    specs: dict[str, Column]
    columns: dict[str, pa.DictionaryArray]
    rows: np.ndarray
    submissions: np.ndarray
    blocks: np.ndarray | None = None
    has_parent: bool = False
    slot_minutes: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def places(self, where: np.ndarray) -> pl.DataFrame:
        """Positions in the source of some rows, as `Problems.add` takes them."""
        return pl.DataFrame({SOURCE: np.full(len(where), self.source), ROW: self.rows[where]})

    def label(self, name: str, where: np.ndarray) -> str | pl.Series:
        """Header of a column in the source, for some rows."""
        header = "+".join(self.specs[name].sources)
        if self.blocks is None:
            return header
        return pl.Series([header.replace(BLOCK, str(block)) for block in self.blocks[where]], dtype=pl.String)


class ReadFile(NamedTuple):
    """A file of a drop: its role, its part of the instrument, its texts, its position among the sources."""

    role: str
    spec: FileSpec
    table: TextTable
    source: int


def read_files(drop: Drop, instrument: Instrument, problems: Problems, limits: Limits) -> Iterator[ReadFile]:
    """Every file of a drop, read within the limits.

    Raises
    ------
    InputRejected
        For a role that the instrument does not have, or a file that cannot be read with certainty.
    """
    for file in drop.files:
        spec = instrument.files.get(file.role)
        if spec is None:
            raise InputRejected(
                f"{file.path.name} has the role {file.role!r}, which {instrument.version} does not know",
                where=drop.id,
                fix=did_you_mean(file.role, instrument.files),
            )
        try:
            table = read_confined(file.path, spec, limits)
        except InputRejected as error:
            raise InputRejected(error.what, where=f"{drop.id}/{file.path.name}", fix=error.fix) from error
        source = problems.register(drop.id, file.path.name, table.sheet)
        for rule, action, message in table.notes:
            problems.add(pl.DataFrame({SOURCE: [source], ROW: [0]}), "", rule, action, message)
        problems.add(
            pl.DataFrame({SOURCE: [source] * len(table.short_rows), ROW: table.short_rows}),
            "",
            "I12",
            "row_rejected",
            "fewer fields than headers",
        )
        yield ReadFile(file.role, spec, table, source)


def raw_table(spec: FileSpec, table: TextTable, source: int, *, submissions: np.ndarray | None = None) -> RawTable:
    """The columns of a file under our names, one to one."""
    columns = {
        name: _composed([table.columns[header] for header in column.sources]) for name, column in spec.columns.items()
    }
    one = np.zeros(len(table.rows), dtype=np.int64)
    submissions = numbered(one if submissions is None else submissions, source)
    return RawTable(spec.grain, source, spec.columns, columns, table.rows, submissions, slot_minutes=spec.slot_minutes)


def numbered(submissions: np.ndarray, source: int) -> np.ndarray:
    """Submissions of a source as numbers that no other source uses."""
    return submissions.astype(np.int64) + source * _SUBMISSIONS_PER_SOURCE


def _composed(parts: list[pa.DictionaryArray]) -> pa.DictionaryArray:
    if len(parts) == 1:
        return parts[0]
    joined = pl.select(pl.concat_str([pl.Series(part) for part in parts], separator="-"))
    return texts(joined.to_series().to_arrow())
