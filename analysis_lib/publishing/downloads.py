"""Protected tables as CSV files that open well in a spreadsheet and carry names beside codes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import partial

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures.labels import Labels
from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.publishing.titles import category_title, measure_title
from analysis_lib.study import Study

BOM = "\ufeff"  # without it, spreadsheets take UTF-8 for the local code page
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
NAMED = ("measure", "region", "category")  # columns of codes that have names


def csv_text(table: ProtectedTable, *, study: Study) -> str:
    """The table as CSV: its own columns, and after measure, region and category their names in both languages."""
    frame = table.table
    names = {f"{column}_{language}": [guarded(name) for name in names_of(frame, column, study=study, language=language)]
             for column in NAMED for language in ("zh", "en")}  # fmt: skip
    head = head_of(table)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(head)
    for place, row in enumerate(frame.to_dict("records")):
        writer.writerow([names[column][place] if column in names else _cell(row[column]) for column in head])
    return BOM + stream.getvalue()


def head_of(table: ProtectedTable) -> list[str]:
    """Columns of a table's CSV."""
    return [name for column in table.table.columns for name in _with_names(column)]


def _with_names(column: str) -> list[str]:
    return [column, f"{column}_zh", f"{column}_en"] if column in NAMED else [column]


def names_of(frame: pd.DataFrame, column: str, *, study: Study, language: str) -> list[str]:
    """Names, in a language, of the codes that a column of `NAMED` holds, a name for each row."""
    labels, text = Labels(study, language), Catalogue(language)
    title: Callable[..., str] = {
        "region": labels.region,
        "category": partial(category_title, labels, text),
        "measure": partial(measure_title, labels, text),
    }[column]
    keys = list(zip(*(frame[each] for each in (["by", column] if column == "category" else [column])), strict=True))
    names = {key: title(*key) for key in dict.fromkeys(keys)}
    return [names[key] for key in keys]


def _cell(value: object) -> str:
    if value is None or value != value or str(value) == "<NA>":
        return ""
    return guarded(value) if isinstance(value, str) else f"{value:.10g}"


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula.

    >>> guarded("=1+1"), guarded("gross")
    ("'=1+1", 'gross')
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
