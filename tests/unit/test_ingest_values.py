"""The grammar of cells, one line per way of writing (ids of the catalogue of bad inputs)."""

from __future__ import annotations

import pytest

from analysis_lib.ingest.instruments import Column
from analysis_lib.ingest.values import Vocabulary, clean, is_ambiguous_date, is_damaged_id, read_cell

WORDS = Vocabulary(
    missing={"": "not_answered", "-99": "refused", "(跳过)": "skipped"},
    values={"medium": {"1": "paper", "视频": "video"}, "yes_no": {"1": "yes", "2": "no", "是": "yes"}},
    activities=frozenset({"M1", "050101"}),
    regions=frozenset({"P01", "P02"}),
    diary_days=("2026-01-01", "2026-03-31"),
)


def read(text: str, kind: str, name: str = "x", **column: object) -> tuple:
    return read_cell(text, name, Column.model_validate({"from": "x", "type": kind, **column}), WORDS)[:2]


@pytest.mark.parametrize(
    ("text", "value", "rule"),
    [
        ("8.5", 8.5, ""),
        ("0", 0.0, ""),
        (" 8.5 ", 8.5, "I33"),
        ("8\u200b.5\u00a0", 8.5, "I33"),
        ("８．５", 8.5, "I22"),
        ("1,440", None, "range"),
        ("3小时", 3.0, "I24"),
        ("3 h", 3.0, "I24"),
        ("2小时30分钟", 2.5, "I24"),
        ("90分钟", 1.5, "I24"),
        ("３小时", 3.0, "I24"),
        ("三", None, "I23"),
        ("十二", None, "I23"),
        ("1:30", None, "I25"),
        ("3 days", None, "I24"),
        ("1,5", None, "I24"),
        ("inf", None, "I31"),
        ("1e400", None, "I31"),
        ("-1", None, "I50"),
        ("\u22121", None, "I50"),
        ("111", None, "range"),
        ("#DIV/0!", None, "I36"),
        ("NA", None, "I24"),
        ("", None, "missing:not_answered"),
        ("\u3000", None, "missing:not_answered"),
        ("-99", None, "missing:refused"),
        ("－９９", None, "missing:refused"),
        ("（跳过）", None, "missing:skipped"),
    ],
)
def test_hours_are_read_in_every_way_that_people_write_them(text: str, value: float | None, rule: str) -> None:
    assert read(text, "hours", min=0, max=110) == (value, rule)


@pytest.mark.parametrize(
    ("kind", "text", "value", "rule"),
    [
        ("seconds", "312秒", 312.0, "I24"),
        ("seconds", "5分12秒", 312.0, "I24"),
        ("count", "1,440", 1440.0, "I21"),
        ("count", "12次", 12.0, "I24"),
        ("count", "2.5", None, "whole"),
        ("count", "-7", None, "I27"),
        ("percent", "45%", 45.0, "I24"),
        ("percent", "４５％", 45.0, "I24"),
        ("scale", "4分", 4.0, "I24"),
        ("number", "-7.5", -7.5, ""),
        ("number", "8.1e6", 8_100_000.0, ""),
        ("weight", "0", 0.0, "I61"),
        ("weight", "-3", None, "I61"),
        ("weight", "heavy", None, "I24"),
    ],
)
def test_each_kind_of_number_has_its_own_units_and_limits(kind: str, text: str, value: float, rule: str) -> None:
    assert read(text, kind) == (value, rule)


def test_a_scale_takes_a_negative_end_but_nothing_beyond_it() -> None:
    assert read("-2", "scale", min=-2, max=2) == (-2.0, "")
    assert read("-3", "scale", min=-2, max=2) == (None, "range")
    assert read("-3", "scale", min=1, max=5) == (None, "I27")


@pytest.mark.parametrize(
    ("text", "minute", "rule"),
    [
        ("08:30", 510, ""),
        ("8:30", 510, ""),
        ("08:30:00", 510, ""),
        ("08:30:00.000+08:00", 510, ""),
        ("8：30", 510, "I22"),
        ("０８：３０", 510, "I22"),
        ("0830", 510, "I48"),
        ("830", 510, "I48"),
        ("1440", 880, "I48"),
        ("8点30分", 510, "I49"),
        ("8点半", 510, "I49"),
        ("8时", 480, "I49"),
        ("下午3:00", 900, "I49"),
        ("下午3点", 900, "I49"),
        ("上午9:15", 555, "I49"),
        ("中午12:30", 750, "I49"),
        ("中午1:00", 780, "I49"),
        ("凌晨12:10", 10, "I49"),
        ("晚上11:00", 1380, "I49"),
        ("3:00 PM", 900, "I49"),
        ("12:00 am", 0, "I49"),
        ("0.354166666666667", 510, "I40"),
        ("8点5分", 485, "I49"),
        ("8点三刻", 525, "I49"),
        ("上午15:00", None, "I47"),
        ("23:60", None, "I47"),
        ("25:10", None, "I47"),
        ("2500", None, "I47"),
        ("-1:00", None, "I50"),
        ("noon", None, "I49"),
        ("", None, "missing:not_answered"),
    ],
)
def test_clock_times_are_read_in_every_way_that_people_write_them(text: str, minute: int | None, rule: str) -> None:
    assert read(text, "clock", "start") == (minute, rule)


def test_24_00_ends_a_day_and_never_begins_one() -> None:
    assert read("24:00", "clock", "end") == (1440, "I46")
    assert read("24:00", "clock", "start") == (None, "I46")
    assert read("24:01", "clock", "end") == (None, "I47")


@pytest.mark.parametrize(
    ("text", "day", "rule"),
    [
        ("2026-01-31", "2026-01-31", ""),
        ("2026/1/31", "2026-01-31", ""),
        ("2026.1.31", "2026-01-31", ""),
        ("20260131", "2026-01-31", ""),
        ("2026-1-31 00:00:00", "2026-01-31", ""),
        ("2026年1月31日", "2026-01-31", "I41"),
        ("２０２６年１月３１日", "2026-01-31", "I41"),
        ("46053", "2026-01-31", "I40"),
        ("2026-02-30", None, "I45"),
        ("2026-02-29", None, "I45"),
        ("民国115年1月1日", None, "I43"),
        ("2026年第一季度", None, "I43"),
        ("０２０２６", None, "I43"),
        ("2026-01-31 09:30", None, "I41"),
    ],
)
def test_dates_are_read_when_year_month_and_day_are_certain(text: str, day: str | None, rule: str) -> None:
    assert read(text, "date") == (day, rule)


@pytest.mark.parametrize(
    ("text", "is_inside"), [("2025-12-31", 0), ("2026-01-01", 1), ("2026-03-31", 1), ("2026-04-01", 0)]
)
def test_a_diary_day_outside_the_quarter_is_rejected_at_its_very_edges(text: str, is_inside: int) -> None:
    assert read(text, "date", "diary_date") == ((text, "") if is_inside else (None, "F16"))


def test_29_february_exists_in_leap_years_only() -> None:
    assert read("2028-02-29", "date") == ("2028-02-29", "")
    assert read("2100-02-29", "date") == (None, "I45")


@pytest.mark.parametrize(
    ("text", "moment", "rule"),
    [
        ("2026-02-03 9:30:12", "2026-02-03T09:30:12", ""),
        ("2026/2/3 9:30", "2026-02-03T09:30:00", ""),
        ("2026-02-03T01:30:12.000Z", "2026-02-03T09:30:12", ""),
        ("2026-02-03T09:30:12.000+08:00", "2026-02-03T09:30:12", ""),
        ("2026-02-03", "2026-02-03T00:00:00", ""),
        ("46056.5", "2026-02-03T12:00:00", "I40"),
        ("2026-02-03 25:00", None, "I47"),
        ("yesterday", None, "I43"),
    ],
)
def test_moments_are_told_in_the_time_zone_of_the_study(text: str, moment: str | None, rule: str) -> None:
    assert read(text, "datetime") == (moment, rule)


def test_dates_that_may_be_day_first_or_month_first_are_recognised() -> None:
    assert is_ambiguous_date("01/10/2024")
    assert is_ambiguous_date("1.10.24 08:00")
    assert not is_ambiguous_date("2024/1/10")


def test_ids_keep_leading_zeros_and_lose_only_what_nobody_sees() -> None:
    assert read("0110101", "id") == ("0110101", "")
    assert read("A\u200b1", "id") == ("A1", "I33")
    assert read("Ａ１", "id") == ("A1", "I22")
    assert read("NA", "id") == ("NA", "")


def test_a_line_of_totals_is_no_respondent() -> None:
    assert read("合计", "id") == (None, "I15")
    assert read("合 计：", "id", pattern=r"E\d{6}") == (None, "pattern")


def test_ids_that_a_spreadsheet_rounded_are_recognised() -> None:
    assert is_damaged_id("1.10101E+17")
    assert not is_damaged_id("110101199001011234")
    assert not is_damaged_id("E10")


def test_codes_are_those_of_the_instrument_and_nothing_like_them() -> None:
    assert read("１", "category", "medium") == ("paper", "I22")
    assert read("视频", "category", "medium") == ("video", "")
    assert read("video", "category", "medium") == (None, "I64")
    assert read("anything", "category", "free") == ("anything", "")
    assert read("是", "yes_no") == (True, "")
    assert read("2", "yes_no") == (False, "")
    assert read("0", "yes_no") == (None, "I64")
    assert read("M9", "activity") == (None, "I64")
    assert read("50101", "activity", pad=6) == ("050101", "")


def test_an_unknown_region_gets_the_nearest_code_as_a_hint_and_is_not_repeated() -> None:
    reading = read_cell("P1", "region", Column.model_validate({"from": "r", "type": "region"}), WORDS)
    assert (reading.value, reading.rule) == (None, "I60")
    assert 'did you mean "P01"?' in reading.message
    assert '"P1"' not in reading.message


def test_plain_text_is_left_alone() -> None:
    assert clean("会议") == ("会议", "", "")
    assert clean("ab") == ("ab", "", "")
