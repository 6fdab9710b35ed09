"""Workbooks of a release, read back: what a spreadsheet holds, and what it must not hold."""

from __future__ import annotations

import csv
import io
import re
import zipfile

import openpyxl
import pytest
from sample_results import all_results, protected, row
from sample_study import with_category, write_combined_study

from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.publishing.downloads import csv_text
from analysis_lib.publishing.workbooks import workbook_bytes
from analysis_lib.quarters import Quarter

QUARTER = Quarter(2026, 3)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return with_category(
        write_combined_study(tmp_path_factory.mktemp("study") / "s"),
        'tier,odd,"=HYPERLINK(""http://x.example"")",https://x.example',
    )


@pytest.fixture(scope="module")
def tables(study):
    return [table for found in all_results(study, "2026Q3").values() for table in found.values()]


def made(study, tables, language="en"):
    return workbook_bytes(tables, language, study=study, quarter=QUARTER, number=2)


def opened(study, tables, language="en"):
    return openpyxl.load_workbook(io.BytesIO(made(study, tables, language)))


def records(sheet):
    """Rows of a sheet's table by its heads."""
    (table,) = sheet.tables.values()
    head, *rows = sheet[table.ref]
    names = [cell.value for cell in head]
    return [dict(zip(names, [cell.value for cell in cells], strict=True)) for cells in rows]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_workbook_has_contents_notes_and_a_sheet_for_each_table(study, tables, language):
    book, text = opened(study, tables, language), Catalogue(language)
    names = list(dict.fromkeys(table.name for table in tables if not table.table.empty))
    assert book.sheetnames == [text("sheet.contents"), text("sheet.notes"), *names]
    listed = records(book[text("sheet.contents")])
    assert [each[text("sheet.name")] for each in listed] == names
    assert [each[text("sheet.holds")] for each in listed] == [text(f"table.{name}") for name in names]
    rows = {name: sum(len(table.table) for table in tables if table.name == name) for name in names}
    assert {each[text("sheet.name")]: each[text("sheet.rows")] for each in listed} == rows
    assert {name: len(records(book[name])) for name in names} == rows


def test_its_numbers_are_those_of_the_csv(study, tables):
    book, head = opened(study, tables), Catalogue("en").texts
    hours = next(table for table in tables if table.name == "hours")
    rows = list(csv.DictReader(io.StringIO(csv_text(hours, study=study)[1:])))
    for sheet_row, csv_row in zip(records(book["hours"]), rows, strict=True):
        for column in ("value", "ci_low", "ci_high", "n"):
            cell, text = sheet_row[head[f"column.{column}"]], csv_row[column]
            assert cell == float(text) if text else re.fullmatch(r"\[[cxz]\]", str(cell))
        for column in ("measure", "region", "category"):
            assert sheet_row[head[f"column.{column}"]] in (csv_row[f"{column}_en"], "[z]")
            assert sheet_row[head[f"column.{column}_code"]] in (csv_row[column], "[z]")


def test_sheets_keep_the_rules_of_accessible_spreadsheets(study, tables):
    for sheet in opened(study, tables).worksheets:
        (table,) = sheet.tables.values()
        assert table.autoFilter is None, sheet.title
        assert not sheet.merged_cells.ranges
        assert sheet.freeze_panes is None
        assert sheet.sheet_state == "visible"
        assert not any(each.hidden for each in (*sheet.column_dimensions.values(), *sheet.row_dimensions.values()))
        assert all(row[0].value not in (None, "") for row in sheet.iter_rows()), "a row is blank"
        assert all(cell.value not in (None, "") for row in sheet[table.ref] for cell in row), "a cell is blank"


def test_marks_that_a_table_uses_are_explained_above_it(study):
    few = row("gross_combined", "hours_week", "mean", 16.82, 0.31, region="P01", n=4)
    count = row("meetings_attended", "count", "count", 400.0, 0.0)
    sheet = opened(study, [protected(study, "hours", [few, count])])["hours"]
    one, other = records(sheet)
    head = Catalogue("en").texts
    assert [one[head[f"column.{name}"]] for name in ("value", "ci_low", "ci_high", "n")] == ["[c]"] * 4
    assert (other[head["column.value"]], other[head["column.ci_low"]]) == (400, "[z]")
    (table,) = sheet.tables.values()
    above = [cells[0].value for cells in sheet.iter_rows(max_row=openpyxl.utils.range_boundaries(table.ref)[1] - 1)]
    assert head["mark.c"] in above
    assert head["sheet.not_applicable"] in above
    assert head["mark.u"] not in above


def test_no_cell_is_a_formula_or_a_link(study):
    odd = row("gross_combined", "hours_week", "mean", 16.0, 0.3, by="tier", category="odd")
    for language in ("zh", "en"):
        content = made(study, [protected(study, "hours", [odd])], language)
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            sheets = [file.read(name) for name in file.namelist() if "/worksheets/" in name]
        assert not any(b"<f>" in sheet or b"<hyperlink" in sheet or b"http://x" in sheet for sheet in sheets)
        book = openpyxl.load_workbook(io.BytesIO(content))
        cells = [cell for sheet in book for cells in sheet.iter_rows() for cell in cells]
        assert {cell.data_type for cell in cells} == {"s", "n"}
        assert not any(cell.hyperlink for cell in cells)


def test_no_cell_has_more_digits_than_were_published(study, tables):
    book = opened(study, tables)
    for sheet in book.worksheets[2:]:
        (table,) = sheet.tables.values()
        numbers = [cell.value for cells in sheet[table.ref] for cell in cells if cell.data_type == "n"]
        assert all(number == round(number, 3) for number in numbers)


def test_properties_name_no_person_and_no_day_of_writing(study, tables):
    properties = opened(study, tables).properties
    assert not properties.creator and not properties.lastModifiedBy
    assert properties.created == properties.modified
    assert (properties.created.date(), properties.title) == (
        QUARTER.last_day,
        "Grassroots burden assessment (simulated demonstration), 3rd quarter of 2026, release 2",
    )


def test_the_same_tables_give_the_same_bytes(study, tables):
    assert made(study, tables) == made(study, tables)


def test_every_table_of_the_suite_and_every_column_has_a_title(repository):
    import tomllib

    from analysis_lib.disclosure.protect import COLUMNS, FIGURES, TEXTS

    suite = tomllib.loads((repository / "notebooks" / "suite.toml").read_text(encoding="utf-8"))
    names = {name for notebook in suite["notebook"] for name in notebook["tables"]}
    for language in ("zh", "en"):
        texts = Catalogue(language).texts
        assert names == {key.removeprefix("table.") for key in texts if key.startswith("table.")}
        assert {f"column.{name}" for name in (*COLUMNS, *TEXTS, *FIGURES)} <= set(texts)
