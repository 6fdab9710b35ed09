"""The page of a quarter's data: every file with its size, what each column means, and the codes that files hold."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from babel.numbers import format_decimal
from markupsafe import Markup

from analysis_lib.disclosure.protect import COLUMNS, FIGURES, TEXTS, ProtectedTable
from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.publishing.charts import Table
from analysis_lib.publishing.downloads import NAMED, head_of, names_of
from analysis_lib.publishing.pages import DATA, KILOBYTE, Report, download_name, switch
from analysis_lib.publishing.passages import Passage, render_passages
from analysis_lib.publishing.sentences import Writer
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study

PACKAGE = "datapackage.json"
_NUMBERS = ("value", "ci_low", "ci_high", *FIGURES)
_DEPTH = "../../../"  # from the page to the folder of the site


def render_data(reports: Sequence[Report], sizes: Mapping[str, int], language: str) -> str:
    """What can be downloaded of a quarter, and its code book.

    Parameters
    ----------
    reports : sequence of Report
        Those of the nation and of each region, in this order.
    sizes : mapping
        Bytes of each file by its name.
    """
    national, *regional = reports
    study, writer = national.study, Writer(national.study, language)
    text, folder = writer.text, f"{_DEPTH}data/{national.quarter}/"
    head = [text("data.file"), text("sheet.rows"), text("data.size")]
    files = [
        [_link(f"{folder}{name}", _title(text, table)), _number(len(table.table), language), _kilobytes(sizes[name], language)]
        for table in national.tables.values()
        if (name := download_name(table.name, national.region))
    ]  # fmt: skip
    passages = [
        Passage("files", text("data.files"), [text("data.about_files")], table=Table(text("data.files"), head, files)),
    ]
    if regional:
        names = list(dict.fromkeys(name for report in regional for name in report.tables))
        head = [text("head.place"), *(_title(text, regional[0].tables[name]) for name in names)]
        rows = [
            [writer.labels.region(report.region), *(_regional(report, name, folder, sizes, language) for name in names)]
            for report in regional
        ]
        table = Table(text("data.regional"), head, rows)
        passages.append(Passage("regional", text("data.regional"), [text("data.about_regional")], table=table))
    tables = [table for report in reports for table in report.tables.values()]
    schema = text("data.about_columns", name=PACKAGE)
    passages += [
        Passage("columns", text("data.columns"), [schema], table=_columns(tables, text)),
        Passage("marks", text("sheet.notes"), table=_marks(text)),
        *_codes(tables, study, language, text),
    ]
    return render_passages(
        study,
        language,
        title=text("data.title", period=writer.labels.period(national.period)),
        lede=text("data.lede"),
        passages=[*passages, Passage("schema", text("data.schema"), table=_schema_file(folder, text))],
        switch=switch(study, language, 3, str(national.quarter), DATA),
        downloads=True,
    )


def data_package(
    reports: Sequence[Report], files: Mapping[str, str], *, study: Study, quarter: Quarter, number: int
) -> str:
    """Frictionless description of a quarter's CSV files: names and meanings of columns in both languages, hashes.

    Parameters
    ----------
    files : mapping
        Text of each CSV file by its name.
    number : int
        Release of the quarter.
    """
    texts = {language: Catalogue(language) for language in ("zh", "en")}
    about = study.config.study
    resources = [
        _resource(table, download_name(table.name, report.region), files, texts)
        for report in reports
        for table in report.tables.values()
    ]
    package: dict[str, Any] = {
        "name": f"{about.id}-{quarter}".lower(),
        "title": about.title_en,
        "title_zh": about.title_zh,
        "version": f"{quarter}/r{number}",
        "is_simulated": about.is_simulated,
        "resources": resources,
    }
    return json.dumps(package, ensure_ascii=False, indent=1) + "\n"


def _resource(
    table: ProtectedTable, name: str, files: Mapping[str, str], texts: dict[str, Catalogue]
) -> dict[str, Any]:
    content = files[name].encode()
    fields = [_field(column, texts) for column in head_of(table)]
    return {
        "name": name.removesuffix(".csv").lower(),
        "path": name,
        "title": _title(texts["en"], table),
        "title_zh": _title(texts["zh"], table),
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": len(content),
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "schema": {"fields": fields, "missingValues": [""]},
    }


def _field(column: str, texts: dict[str, Catalogue]) -> dict[str, Any]:
    base = column.rpartition("_")[0]
    is_name = base in NAMED and column not in NAMED
    kind = "number" if column in _NUMBERS else "integer" if column == "n" else "string"
    key = base if is_name else column
    described = "described.name" if is_name else f"described.{key}"
    return {
        "name": column,
        "type": kind,
        "title": texts["en"](f"column.{key}"),
        "title_zh": texts["zh"](f"column.{key}"),
        "description": texts["en"](described),
        "description_zh": texts["zh"](described),
    }


def _columns(tables: Sequence[ProtectedTable], text: Catalogue) -> Table:
    used = {column for table in tables for column in table.table.columns}
    rows = [
        [column, text(f"column.{column}"), text(f"described.{column}")]
        for column in (*COLUMNS, *TEXTS, *FIGURES)
        if column in used
    ]
    rows.insert(1, ["measure_zh, measure_en, …", text("data.names"), text("described.name")])
    return Table(text("data.columns"), [text("data.column"), text("data.called"), text("sheet.meaning")], rows, True)


def _marks(text: Catalogue) -> Table:
    marks = [key.removeprefix("mark.") for key in text.texts if key.startswith("mark.")]
    rows = [[f"[{mark}]", text(f"mark.{mark}").removeprefix(f"[{mark}]").strip()] for mark in marks]
    return Table(text("sheet.notes"), [text("sheet.sign"), text("sheet.meaning")], rows, True)


def _codes(tables: Sequence[ProtectedTable], study: Study, language: str, text: Catalogue) -> list[Passage]:
    """Measures and regions that the files name; categories carry their names beside them in every file."""
    frame = pd.concat([table.table[["measure", "region", "unit"]] for table in tables]).drop_duplicates("measure")
    labels = Writer(study, language).labels
    names = names_of(frame, "measure", study=study, language=language)
    rows = [
        [code, name, labels.unit(unit)] for code, name, unit in zip(frame["measure"], names, frame["unit"], strict=True)
    ]
    regions = pd.concat([table.table[["region"]] for table in tables]).drop_duplicates()
    places = zip(regions["region"], names_of(regions, "region", study=study, language=language), strict=True)
    return [
        Passage("measures", text("data.measures"), table=Table(
            text("data.measures"), [text("data.code"), text("head.measure"), text("head.unit")], rows, True)),
        Passage("regions", text("data.regions"), table=Table(
            text("data.regions"), [text("data.code"), text("head.place")], [list(place) for place in places], True)),
    ]  # fmt: skip


def _schema_file(folder: str, text: Catalogue) -> Table:
    rows = [[_link(f"{folder}{PACKAGE}", PACKAGE), text("data.package")]]
    return Table(text("data.schema"), [text("data.file"), text("sheet.holds")], rows, True)


def _regional(report: Report, name: str, folder: str, sizes: Mapping[str, int], language: str) -> str:
    if name not in report.tables:
        return ""
    file = download_name(report.tables[name].name, report.region)
    return _link(f"{folder}{file}", f"CSV, {_kilobytes(sizes[file], language)}")


def _title(text: Catalogue, table: ProtectedTable) -> str:
    return text.texts.get(f"table.{table.name}", table.name)


def _link(href: str, words: str) -> str:
    return Markup('<a href="{}" download>{}</a>').format(href, words)


def _kilobytes(size: int, language: str) -> str:
    return f"{_number(math.ceil(size / KILOBYTE), language)} KB"


def _number(number: int, language: str) -> str:
    return format_decimal(number, locale=language)
