"""CSV files as senders really send them: what is read, what is refused, and what the refusal tells them to do."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from analysis_lib.errors import InputRejected
from analysis_lib.ingest.instruments import FileSpec
from analysis_lib.ingest.platforms.files import read_table
from analysis_lib.ingest.platforms.texts import TextTable

SPEC = FileSpec.model_validate(
    {
        "grain": "respondents",
        "ignored": ["姓名"],
        "columns": {
            "respondent_id": {"from": "工作编号", "type": "id"},
            "work_hours": {"from": "周工作小时", "type": "hours"},
        },
    }
)
GOOD = "工作编号,姓名,周工作小时\nE1,测试,40\nE2,测试,8.5\n"


def read(folder: Path, content: str | bytes, *, name: str = "answers.csv") -> TextTable:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, SPEC)


def cells(table: TextTable) -> list[tuple]:
    columns = [values.to_pylist() for values in table.columns.values()]
    return list(zip(table.rows.tolist(), *columns, strict=True))


def refusal(folder: Path, content: str | bytes, *, name: str = "answers.csv") -> str:
    with pytest.raises(InputRejected) as caught:
        read(folder, content, name=name)
    assert caught.value.fix
    return str(caught.value)


READ = [(2, "E1", "40"), (3, "E2", "8.5")]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (GOOD.encode(), ""),
        (GOOD.encode("utf-8-sig"), ""),
        (GOOD.encode("gb18030"), "I02"),
        (GOOD.encode("utf-16"), "I03"),
        (GOOD.replace(",", "\t").encode(), "I09"),
        (GOOD.replace("\n", "\r\n").encode(), ""),
        (GOOD.replace("\n", "\r").encode(), ""),
    ],
    ids=["utf-8", "byte-order mark", "gb18030", "utf-16", "tabs", "crlf", "cr"],
)
def test_encodings_and_line_ends_do_not_change_what_is_read(tmp_path: Path, content: bytes, note: str) -> None:
    table = read(tmp_path, content)
    assert cells(table) == READ
    assert [rule for rule, *_ in table.notes] == ([note] if note else [])


def test_gb18030_is_read_without_a_note_when_the_instrument_says_so(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_bytes(GOOD.encode("gb18030"))
    table = read_table(path, SPEC.model_copy(update={"encoding": "gb18030"}))
    assert (cells(table), table.notes) == (READ, [])


def test_a_gzipped_file_is_read_as_what_it_holds(tmp_path: Path) -> None:
    assert cells(read(tmp_path, gzip.compress(GOOD.encode()), name="answers.csv.gz")) == READ


def test_headers_may_differ_in_width_case_and_blanks(tmp_path: Path) -> None:
    table = read(tmp_path, "  工作编号 ,姓 名,周工作小时\u3000\nE1,测试,40\n")
    assert list(table.columns) == ["工作编号", "周工作小时"]


def test_personal_columns_that_the_instrument_ignores_are_never_kept(tmp_path: Path) -> None:
    assert "姓名" not in read(tmp_path, GOOD).columns


def test_title_lines_above_the_header_are_left_out_and_rows_keep_their_numbers(tmp_path: Path) -> None:
    table = read(tmp_path, "2026年第一季度\n\n" + GOOD)
    assert cells(table) == [(4, "E1", "40"), (5, "E2", "8.5")]
    assert [rule for rule, *_ in table.notes] == ["I13"]


def test_row_numbers_count_blank_and_short_rows_and_line_breaks_inside_quotes(tmp_path: Path) -> None:
    content = '工作编号,姓名,周工作小时\nE1,"两\n行",40\n\nE2,测试\nE3,测试,41\n,,\nE4,测试,42\n'
    table = read(tmp_path, content)
    assert cells(table) == [(2, "E1", "40"), (5, "E3", "41"), (7, "E4", "42")]
    assert table.short_rows == [4]


def test_the_words_na_and_null_stay_words(tmp_path: Path) -> None:
    table = read(tmp_path, "工作编号,姓名,周工作小时\nNA,x,null\nNone,x,\n")
    assert cells(table) == [(2, "NA", "null"), (3, "None", "")]


def test_a_column_without_header_and_values_is_passed_over(tmp_path: Path) -> None:
    assert cells(read(tmp_path, "工作编号,姓名,周工作小时,\nE1,x,40,\n")) == [(2, "E1", "40")]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("", "I20"),
        ("工作编号,姓名,周工作小时\n", "I20"),
        ("工作编号,姓名,周工作小时\n\n\n", "I20"),
        (GOOD.replace(",", ";"), "I08"),
        (GOOD.replace("周工作小时", "工作编号"), "I06"),
        (GOOD.replace("周工作小时", "工作小时"), "I66"),
        (GOOD.replace("姓名", "身份证号"), "I66"),
        ("工作编号,姓名,周工作小时\nE1,x,40,9\n", "I10"),
        ("工作编号,姓名,周工作小时,\nE1,x,40,9\n", "I11"),
        (GOOD + 'E3,"测试,40\n', "I16"),
        (GOOD.encode() + b"E3,\0,40\n", "I18"),
        (GOOD.encode()[:-5] + b"\xe5\xb7", "I04"),
        (GOOD.encode("gb18030") + b"E3,\xff\xff,1\n", "I04"),
        (GOOD.encode("utf-8").decode("latin-1").encode("utf-8"), "I05"),
        (GOOD.encode("utf-8").decode("gb18030", errors="ignore").encode("utf-8"), "I05"),
        (GOOD.encode("gb18030").decode("latin-1").encode("utf-8"), "I05"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, "I69"),
        (b"PK\x03\x04" + b"x" * 600, "I69"),
    ],
    ids=[
        "empty", "header only", "header and blank lines", "semicolons", "header twice", "column missing",
        "unknown column", "a field too many", "values without header", "quote never closed", "NUL", "cut off",
        "invalid bytes", "utf-8 read as latin-1", "utf-8 read as gb18030", "gb18030 read as latin-1", "old workbook",
        "workbook named csv",
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_with_certainty_is_refused(tmp_path: Path, content: str | bytes, rule: str) -> None:
    assert f": {rule}: " in refusal(tmp_path, content)


def test_a_missing_column_is_refused_with_the_nearest_unknown_one(tmp_path: Path) -> None:
    message = refusal(tmp_path, GOOD.replace("周工作小时", "每周工作小时"))
    assert 'column(s) missing: "周工作小时"' in message
    assert 'did you mean "每周工作小时"' in message


def test_the_row_with_a_field_too_many_is_named(tmp_path: Path) -> None:
    assert "the first is row 3" in refusal(tmp_path, "工作编号,姓名,周工作小时\nE1,x,40\nE2,x,40,9\n")


def test_a_damaged_or_swollen_archive_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(GOOD.encode())
    assert "F11" in refusal(tmp_path, packed[:-9], name="answers.csv.gz")
    assert "F11" in refusal(tmp_path, b"\x1f\x8b\x08\x00" + b"x" * 50, name="answers.csv.gz")
    assert "X06" in refusal(tmp_path, gzip.compress(b"0" * 30_000_000), name="answers.csv.gz")


def test_a_refusal_never_repeats_what_a_row_says(tmp_path: Path) -> None:
    message = refusal(tmp_path, "工作编号,姓名,周工作小时\nE1,张三,40,9\n")
    assert "张三" not in message
    assert "E1" not in message


@pytest.mark.real_data
def test_a_real_qualtrics_export_with_a_trailing_blank_column_is_read(shared_data) -> None:
    spec = FileSpec.model_validate(
        {
            "grain": "respondents",
            "ignored": [
                "V2",
                "V3",
                "V4",
                "V5",
                "V6",
                "V7",
                "V9",
                "V10",
                "Q2",
                "LocationLatitude",
                "LocationLongitude",
                "LocationAccuracy",
            ],
            "columns": {
                "respondent_id": {"from": "V1", "type": "id"},
                "submitted_at": {"from": "V8", "type": "datetime"},
                "q1": {"from": "Q1", "type": "number"},
            },
        }
    )
    table = read_table(shared_data("survey_exports") / "qualtrics_legacy_two_header_rows.csv", spec)
    assert list(table.columns) == ["V1", "V8", "Q1"]
    assert table.columns["Q1"].to_pylist()[-1] == "2"
