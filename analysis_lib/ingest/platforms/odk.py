"""ODK, Kobo and SurveyCTO CSV: a repeat group stands in its own file and points to its submission by a key."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from analysis_lib.errors import InputRejected
from analysis_lib.ingest.checks import Problems
from analysis_lib.ingest.instruments import FileSpec
from analysis_lib.ingest.platforms.raw import RawTable, ReadFile, numbered, raw_table
from analysis_lib.ingest.platforms.texts import TextTable


def read(files: Iterable[ReadFile], problems: Problems) -> list[RawTable]:
    """Submissions as they are; rows of repeat groups carry the number of their submission.

    Raises
    ------
    InputRejected
        When a repeat group comes without the file that it belongs to.
    """
    by_role = {file.role: file for file in files}
    tables = []
    for role, spec, table, source in by_role.values():
        if not spec.parent:
            tables.append(_submissions(spec, table, source, problems))
            continue
        if spec.parent not in by_role:
            raise InputRejected(
                f"the file {role!r} is a repeat group of {spec.parent!r}, which is not in the drop",
                where=problems.sources[source].drop,
                fix="receive both files together",
            )
        tables.append(_repeats(spec, table, source, by_role[spec.parent], problems))
    return tables


def _submissions(spec: FileSpec, table: TextTable, source: int, problems: Problems) -> RawTable:
    """Rows numbered by the distinct keys; of rows with one key the last stands."""
    if not spec.key:
        return raw_table(spec, table, source)
    keys = table.columns[spec.key].indices.to_numpy()
    raw = raw_table(spec, table, source, submissions=keys)
    last = np.unique(keys[::-1], return_index=True)[1]
    kept = np.zeros(len(keys), dtype=bool)
    kept[len(keys) - 1 - last] = True
    problems.add(raw.places(np.flatnonzero(~kept)), spec.key, "I58", "superseded", "the same submission follows below")
    return dataclasses.replace(
        raw,
        columns={name: values.filter(pa.array(kept)) for name, values in raw.columns.items()},
        rows=raw.rows[kept],
        submissions=raw.submissions[kept],
    )


def _repeats(spec: FileSpec, table: TextTable, source: int, parent: ReadFile, problems: Problems) -> RawTable:
    keys = parent.table.columns[parent.spec.key].dictionary.to_pylist()
    number = {key: position for position, key in enumerate(keys)}
    pointers = table.columns[spec.parent_key]
    by_text = np.array([number.get(key, -1) for key in pointers.dictionary.to_pylist()], dtype=np.int64)
    submissions = by_text[pointers.indices.to_numpy()]
    raw = raw_table(spec, table, source)
    has_parent = submissions >= 0
    problems.add(
        raw.places(np.flatnonzero(~has_parent)), spec.parent_key, "orphan", "row_rejected", "no submission has this key"
    )
    return dataclasses.replace(
        raw,
        columns={name: values.filter(pa.array(has_parent)) for name, values in raw.columns.items()},
        rows=raw.rows[has_parent],
        submissions=numbered(submissions[has_parent], parent.source),
        has_parent=True,
    )
