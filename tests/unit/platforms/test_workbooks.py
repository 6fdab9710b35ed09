"""Workbooks: cells as a person typed them, and the traps that a reader of values would fall into."""

from __future__ import annotations

import contextlib
import datetime as dt
import zipfile
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter

from analysis_lib.errors import InputRejected
from analysis_lib.ingest.instruments import FileSpec
from analysis_lib.ingest.platforms import workbooks
from analysis_lib.ingest.platforms.files import read_table
from analysis_lib.ingest.platforms.texts import TextTable

SPEC = FileSpec.model_validate(
    {
        "grain": "respondents",
        "sheet": "答卷",
        "columns": {
            "respondent_id": {"from": "编号", "type": "id"},
            "work_hours": {"from": "小时", "type": "hours"},
        },
    }
)


def write(folder: Path, *lines: list, sheet: str = "答卷", name: str = "answers.xlsx") -> Path:
    path = folder / name
    with xlsxwriter.Workbook(path) as workbook:
        worksheet = workbook.add_worksheet(sheet)
        formats = {dt.time: "h:mm", dt.datetime: "yyyy/m/d h:mm", dt.timedelta: "[h]:mm"}
        for row, line in enumerate(lines):
            for column, cell in enumerate(line):
                style = workbook.add_format({"num_format": formats[type(cell)]}) if type(cell) in formats else None
                worksheet.write(row, column, cell, style)
    return path


def cells(table: TextTable) -> list[tuple]:
    columns = [values.to_pylist() for values in table.columns.values()]
    return list(zip(table.rows.tolist(), *columns, strict=True))


def refusal(path: Path, spec: FileSpec = SPEC) -> str:
    with pytest.raises(InputRejected) as caught:
        read_table(path, spec)
    return str(caught.value)


def test_cells_are_read_as_a_person_typed_them(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ["编号", "小时"],
        ["00123", 40],
        [123, 8.5],
        [],
        ["E4", dt.time(8, 30)],
        ["E5", dt.datetime(2026, 1, 31, 9, 5)],
        ["E6", dt.timedelta(days=1)],
        ["E7", True],
    )
    assert cells(read_table(path, SPEC)) == [
        (2, "00123", "40"),
        (3, "123", "8.5"),
        (5, "E4", "08:30:00"),
        (6, "E5", "2026-01-31 09:05:00"),
        (7, "E6", "24:00"),
        (8, "E7", "TRUE"),
    ]


def test_title_rows_and_empty_columns_do_not_shift_row_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, ["2026年第一季度"], [], ["", "编号", "小时"], ["", "E1", 40])
    table = read_table(path, SPEC)
    assert cells(table) == [(4, "E1", "40")]
    assert [rule for rule, *_ in table.notes] == ["I13"]


def test_an_id_longer_than_a_spreadsheet_keeps_shows_its_damage(tmp_path: Path) -> None:
    path = write(tmp_path, ["编号", "小时"], [110101199001011234, 40])
    assert cells(read_table(path, SPEC)) == [(2, "1.101012E+17", "40")]


def test_a_hidden_sheet_is_read_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "hidden.xlsx"
    book = openpyxl.Workbook()
    sheet = book.create_sheet("答卷")
    sheet.append(["编号", "小时"])
    sheet.append(["E1", 40])
    sheet.sheet_state = "hidden"
    book.save(path)
    assert [(rule, action) for rule, action, _ in read_table(path, SPEC).notes] == [("I38", "warned")]


def test_error_values_become_visible_instead_of_missing(tmp_path: Path) -> None:
    path = tmp_path / "errors.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet("答卷")
        sheet.write_row(0, 0, ["编号", "小时"])
        sheet.write(1, 0, "E1")
        sheet.write_formula(1, 1, "=1/0", None, "#DIV/0!")
    assert cells(read_table(path, SPEC)) == [(2, "E1", "#ERROR")]


def test_formulas_that_were_never_calculated_are_refused_by_cell(tmp_path: Path) -> None:
    path = tmp_path / "formulas.xlsx"
    book = openpyxl.Workbook()
    sheet = book.create_sheet("答卷")
    sheet.append(["编号", "小时"])
    sheet.append(["E1", "=20*2"])
    book.save(path)
    message = refusal(path)
    assert "I35" in message
    assert '"B2"' in message


def test_merged_cells_are_refused_below_the_header_only(tmp_path: Path) -> None:
    for merged, is_refused in (("A1:B1", False), ("A4:A5", True)):
        path = tmp_path / f"{merged[0]}{merged[1]}.xlsx"
        book = openpyxl.Workbook()
        sheet = book.create_sheet("答卷")
        for line in (["2026年第一季度"], ["编号", "小时"], ["E1", 40], ["E2", 41], ["", 42]):
            sheet.append(line)
        sheet.merge_cells(merged)
        book.save(path)
        if is_refused:
            assert "I37" in refusal(path)
        else:
            assert len(read_table(path, SPEC).rows) == 3


def test_a_wrong_sheet_is_refused_with_the_sheets_there_are(tmp_path: Path) -> None:
    assert 'did you mean "答卷1"' in refusal(write(tmp_path, ["编号", "小时"], ["E1", 1], sheet="答卷1"))


def test_of_several_sheets_the_instrument_must_name_one(tmp_path: Path) -> None:
    path = tmp_path / "two.xlsx"
    book = openpyxl.Workbook()
    book.create_sheet("答卷")
    book.save(path)
    assert "I39" in refusal(path, SPEC.model_copy(update={"sheet": ""}))


@pytest.mark.parametrize("lines", [[], [["编号", "小时"]], [["编号", "小时"], ["", ""]]])
def test_a_sheet_without_rows_is_refused(tmp_path: Path, lines: list) -> None:
    assert "I20" in refusal(write(tmp_path, *lines))


def test_headers_twice_are_refused(tmp_path: Path) -> None:
    assert "I06" in refusal(write(tmp_path, ["编号", "小时", "小 时"], ["E1", 1, 2]))


def test_a_cut_off_workbook_is_refused_with_its_size(tmp_path: Path) -> None:
    path = write(tmp_path, ["编号", "小时"], ["E1", 1])
    path.write_bytes(path.read_bytes()[:2_000])
    assert "F11: damaged or cut off (2000 bytes)" in refusal(path)
    path.write_bytes(b"not a workbook at all")
    assert "F11" in refusal(path)


def test_a_workbook_that_swells_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = write(tmp_path, ["编号", "小时"], ["E1", 1])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros", b"\0" * 20_000_000)
    assert "X06" in refusal(path)


def test_too_many_parts_too_many_bytes_and_endless_cells_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, ["编号", "小时"], ["E1", 1], ["E2", "y" * 40])
    for limit, value in (("MAX_PARTS", 3), ("MAX_UNPACKED", 1_000), ("MAX_ROWS", 2), ("MAX_CELL", 39)):
        with monkeypatch.context() as patched:
            patched.setattr(workbooks, limit, value)
            assert "X06" in refusal(path), limit


def test_a_workbook_that_defines_entities_is_refused(tmp_path: Path) -> None:
    path, bomb = write(tmp_path, ["编号", "小时"], ["E1", 1]), tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w") as target:
        for part in source.namelist():
            content = source.read(part)
            if part == "xl/workbook.xml":
                content = content.replace(b"<workbook", b'<!DOCTYPE x [<!ENTITY a "aaaa">]><workbook', 1)
            target.writestr(part, content)
    assert "X07" in refusal(bomb)


@pytest.mark.real_data
def test_an_old_workbook_from_the_field_is_refused_with_advice(shared_data) -> None:
    message = refusal(shared_data("survey_exports") / "xlsform_badly_named_choices_sheet.xls")
    assert "I69" in message
    assert "save it as .xlsx" in message


@pytest.mark.real_data
def test_a_workbook_from_the_field_is_read_by_sheet_name(shared_data) -> None:
    path = shared_data("survey_exports") / "xlsform_xl_date_ambiguous.xlsx"
    with contextlib.closing(openpyxl.load_workbook(path, read_only=True)) as workbook:
        names = [cell for cell in next(iter(workbook["survey"].iter_rows(values_only=True))) if cell]
    spec = FileSpec.model_validate(
        {
            "grain": "respondents",
            "sheet": "survey",
            "ignored": [name for name in names if name != "name"],
            "columns": {"respondent_id": {"from": "name", "type": "id"}},
        }
    )
    assert len(read_table(path, spec).rows) > 0
