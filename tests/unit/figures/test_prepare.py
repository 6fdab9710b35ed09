"""What each chart is given to draw: rows, order, labels and texts."""

from __future__ import annotations

import pandas as pd
import pytest
from sample_results import change_rows, hours_rows, national_results, protected, regional_results, row, week_rows
from sample_study import write_combined_study

from analysis_lib.figures.comparison import prepare_categories, prepare_regions
from analysis_lib.figures.labels import Labels, the_period
from analysis_lib.figures.nested import prepare_nested
from analysis_lib.figures.response import prepare_response
from analysis_lib.figures.trend import prepare_trend, reform_lines
from analysis_lib.figures.working_week import prepare_week


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


@pytest.fixture(scope="module")
def national(study):
    return {name: table for tables in national_results(study).values() for name, table in tables.items()}


def test_the_week_shows_groups_in_their_order_and_leaves_personal_time_out(study, national):
    frame = prepare_week(national["week"], study=study, language="en")
    assert frame["label"].tolist() == [
        "Meetings", "Documents", "Forms and ledgers", "Inspections", "Chats and apps", "Serving residents",
        "Core duties", "Training",
    ]  # fmt: skip
    assert frame["text"].tolist()[:2] == ["5.2", "4.6"]
    assert frame["panel"].unique().tolist() == ["National"]


def test_the_week_by_tier_has_a_panel_for_each_in_listed_order(study, national):
    frame = prepare_week(national["week"], study=study, language="zh", by="tier")
    assert frame["panel"].unique().tolist() == ["全国", "县级机关", "乡镇街道", "村与社区"]


def test_a_withheld_group_keeps_its_row_with_its_mark(study):
    rows = week_rows(["all"], with_tiers=False)
    rows[0] |= {"n": 4}
    frame = prepare_week(protected(study, "week", rows), study=study, language="en")
    assert frame.loc[0, "text"] == "[c]"
    assert pd.isna(frame.loc[0, "value"])


def test_the_trend_counts_quarters_from_the_first_and_writes_the_last_value(study, national):
    frame = prepare_trend(national["series"], ["gross_combined", "excess_combined"], study=study, language="en")
    gross = frame[frame["measure"] == "gross_combined"]
    assert gross["place"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert gross["text"].iloc[-1] == "16.8"
    assert frame["panel"].unique().tolist() == ["Gross hours lost", "Hours beyond what is reasonable"]
    assert frame["nation"].isna().all()


def test_a_regional_trend_has_the_nation_beside_it(study):
    tables = regional_results(study, "P01")
    frame = prepare_trend(tables["region_series"], ["gross_combined"], study=study, language="en", region="P01")
    assert frame[["value", "nation"]].iloc[-1].tolist() == [18.3, 16.8]


def test_a_reform_is_dated_by_its_first_start_in_the_region(study, tmp_path):
    assert reform_lines(study, language="en").to_dict("records") == [
        {"quarter": "2025Q4", "label": "Fewer and shorter meetings and documents"},
        {"quarter": "2026Q2", "label": "One form"},
    ]
    assert reform_lines(study, language="zh", region="P02")["quarter"].tolist() == ["2026Q1", "2026Q2"]
    assert reform_lines(study, language="zh", region="C0101")["quarter"].tolist() == ["2025Q4"]
    other = write_combined_study(tmp_path / "s")
    (other.reference / "reforms.toml").unlink()
    assert reform_lines(other, language="zh").empty


def test_regions_stay_in_code_order_whatever_their_values(study, national):
    frame = prepare_regions(national["hours"], "gross_combined", study=study, language="en", regions=["P01", "P02"])
    assert frame[["label", "text"]].to_numpy().tolist() == [
        ["Example Province A", "18.3"], ["Example Province B", "15.6"], ["National", "16.8"],
    ]  # fmt: skip


def test_categories_end_with_the_whole(study, national):
    frame = prepare_categories(national["hours"], "gross_combined", study=study, language="en", by="tier")
    assert frame["label"].tolist() == ["County offices", "Townships", "Villages", "National"]
    assert frame["is_reference"].tolist() == [False, False, False, True]


def test_the_pooled_period_is_not_taken_for_the_quarter(study):
    rows = [*hours_rows(["all"]), *hours_rows(["all"], by_for="none", period="2025Q4–2026Q3"), *change_rows("all")]
    hours = protected(study, "hours", rows)
    assert the_period(hours.table) == "2026Q3"
    assert prepare_nested(hours, study=study, language="en")["text"].tolist() == ["16.8", "6.4", "5.1"]


def test_response_starts_with_the_nation(study, national):
    frame = prepare_response(national["response"], study=study, language="en", regions=["P01", "P02"])
    assert frame["label"].tolist()[:3] == ["National", "Example Province A", "Example Province B"]
    assert frame["panel"].unique().tolist() == ["Questionnaire response", "Diary response"]


def test_response_may_be_empty(study):
    empty = protected(study, "response", [])
    assert prepare_response(empty, study=study, language="en").empty


def test_numbers_are_written_as_in_print(study):
    zh, en = Labels(study, "zh"), Labels(study, "en")
    assert zh.quantity(16.8, "hours_week") == "每周16.8小时"
    assert en.quantity(43200.0, "fte") == "43,200 full-time equivalents"
    assert en.number(-0.9, "hours_week") == "−0.9"
    assert en.signed(0.04, "share") == "+4%"
    assert en.number(1430.0, "count", "count") == "1,430"
    assert zh.period("2026Q3") == "2026年第三季度"
    assert en.period("2025Q4–2026Q3") == "2025Q4–2026Q3"


def test_a_mark_follows_its_number(study):
    imprecise = protected(study, "hours", [row("gross_combined", "hours_week", "mean", 10.0, 2.0)])
    assert Labels(study, "en").cell(imprecise.table.iloc[0]) == "10.0 [u]"
