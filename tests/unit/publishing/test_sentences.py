"""Words follow from intervals, in both languages, and never claim a cause."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_results import national_results, protected, regional_results, row
from sample_study import write_combined_study

from analysis_lib.errors import PublicationBlocked
from analysis_lib.publishing.catalogue import Catalogue, places
from analysis_lib.publishing.sentences import (
    Writer,
    change_word,
    compare_word,
    display_table,
    hours_answer,
    pick,
    response_answer,
    week_answer,
)  # fmt: skip

CAUSAL = re.compile(
    r"because|due to|thanks to|as a result|led to|impact|caused by|由于|因为|导致|得益于|成效|促使|归功", re.IGNORECASE
)
SPACED_CHINESE = re.compile(r"[\u4e00-\u9fff] [\d{]|[\d}] [\u4e00-\u9fff]")
HALF_WIDTH_AFTER_CHINESE = re.compile(r"[\u4e00-\u9fff}][,;:!?]|[\u4e00-\u9fff]\(")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


@pytest.fixture(scope="module")
def national(study):
    return {name: table for tables in national_results(study).values() for name, table in tables.items()}


def change_row(study, low, value, high, *, key="gross_combined", unit="hours_week", statistic="mean"):
    cells = row(key, unit, statistic, value, 0.1, period="2025Q3→2026Q3", ci_low=low, ci_high=high)
    return protected(study, "change", [cells]).table.iloc[0]


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-1.7, -0.3, "lower"),
        (0.1, 2.0, "higher"),
        (-0.4, 0.4, "little_change"),
        (-0.9, 0.4, "cannot_tell"),
        (-0.3, 0.0, "little_change"),
        (0.0, 3.0, "cannot_tell"),
    ],
)
def test_the_word_for_a_change_follows_the_table(low, high, word):
    assert change_word(low, high, 0.5) == word


@given(st.floats(-50, 50), st.floats(0, 50), st.floats(0.01, 5))
def test_an_interval_that_covers_zero_is_never_higher_or_lower(low, width, smallest):
    word = change_word(low, low + width, smallest)
    assert (word in ("lower", "higher")) == (low > 0 or low + width < 0)


def test_without_a_smallest_change_nothing_is_called_little():
    assert change_word(-0.01, 0.01, None) == "cannot_tell"


def test_the_word_agrees_with_the_interval_as_printed(study):
    """An interval of −1.04 to −0.01 prints as −1.1 to 0.0, so the sentence may not say lower."""
    assert Writer(study, "en").word_for(change_row(study, -1.04, -0.5, -0.01)) == "cannot_tell"


def test_a_change_is_said_with_its_amount_its_interval_and_its_word(study):
    lower = change_row(study, -1.7, -1.0, -0.3)
    assert Writer(study, "en").change(lower) == (
        "Lower than in the 3rd quarter of 2025 by 1.0 hours a week (95% interval −1.7 to −0.3)."
    )
    assert Writer(study, "zh").change(lower) == "与2025年第三季度相比下降1.0小时（95%区间−1.7至−0.3）。"
    wide = change_row(study, -0.9, 0.1, 1.1)
    assert Writer(study, "en").change(wide) == (
        "Whether it changed from the 3rd quarter of 2025 cannot be told "
        "(change +0.1 hours a week, 95% interval −0.9 to 1.1, about 810 people)."
    )


def test_a_share_changes_by_percentage_points(study):
    moved = change_row(study, -0.06, -0.04, -0.01, key="gross_share_combined", unit="share", statistic="ratio")
    assert Writer(study, "en").change(moved) == (
        "Lower than in the 3rd quarter of 2025 by 4 percentage points (95% interval −6 to −1)."
    )
    assert Writer(study, "zh").change(moved) == "与2025年第三季度相比下降4个百分点（95%区间−6至−1）。"


def test_a_change_that_is_not_there_or_spans_no_time_is_not_claimed(study):
    writer = Writer(study, "en")
    same = protected(study, "change", [row("gross_combined", "hours_week", "mean", 0.0, 0.1, period="2026Q3→2026Q3")])
    assert writer.change(None) == writer.change(same.table.iloc[0]) == writer.text("change.unknown")


def test_a_place_differs_only_where_intervals_lie_apart():
    nation = pd.Series({"ci_low": 16.2, "ci_high": 17.5})
    words = [compare_word(pd.Series({"ci_low": low, "ci_high": low + 1}), nation) for low in (17.6, 17.5, 15.2, 15.1)]
    assert words == ["higher", "within", "within", "lower"]


def test_the_finding_names_value_unit_period_and_place(study, national):
    headline = pick(national["hours"], measure="gross_combined")
    assert Writer(study, "zh").finding(headline, region="all", period="2026Q3") == (
        "2026年第三季度，基层干部的会议、文件等总耗时为每周16.8小时"
    )
    regional = pick(national["hours"], measure="gross_combined", region="P01")
    assert Writer(study, "en").finding(regional, region="P01", period="2026Q3") == (
        "Gross hours lost in Example Province A: 18.3 hours a week, 3rd quarter of 2026"
    )


def test_a_withheld_finding_says_so_without_a_number(study):
    hours = protected(study, "hours", [row("gross_combined", "hours_week", "mean", 16.0, 0.3, region="P01", n=6)])
    said = Writer(study, "en").finding(
        pick(hours, measure="gross_combined", region="P01"), region="P01", period="2026Q3"
    )
    assert said == "Gross hours lost in Example Province A: not published, 3rd quarter of 2026"


def test_the_answers_of_the_notebooks(study, national):
    asked = {"study": study, "language": "en"}
    assert response_answer(national["response"], national["returns"], **asked) == (
        "About 1,320 people were sampled this quarter, 71% responded, and about 795 diary days are usable."
    )
    assert week_answer(national["week"], **asked) == (
        "Most time goes to Meetings (5.2 hours a week), Documents (4.6 hours a week); "
        "the differences are within the margin of error."
    )
    assert hours_answer(national["hours"], national["change"], **asked) == (
        "Gross hours lost: 16.8 hours a week (95% interval 16.2 to 17.5). "
        "Lower than in the 3rd quarter of 2025 by 1.0 hours a week (95% interval −1.7 to −0.3)."
    )


def test_one_activity_is_called_the_largest_only_where_it_is_known_to_be(study):
    rows = [row("group_meeting", "hours_week", "mean", 6.0, 0.2), row("group_form", "hours_week", "mean", 3.0, 0.2)]
    said = week_answer(protected(study, "week", rows), study=study, language="zh")
    assert said == "占时最多的是会议：每周6.0小时（95%区间5.6至6.4）。"


def test_a_study_without_a_sample_list_still_gets_its_answer(study, national):
    empty = protected(study, "response", [])
    said = response_answer(empty, national["returns"], study=study, language="zh")
    assert said == "本季度可用日志约795天。"
    nothing = response_answer(empty, protected(study, "returns", []), study=study, language="zh")
    assert nothing == "本季度没有可公布的回收情况。"


def test_a_shown_table_has_names_for_codes(study, national):
    shown = display_table(national["hours"], study=study, language="en")
    assert shown.iloc[0].tolist() == ["Gross hours lost", "National", "", "2026Q3", "16.8", "16.2 to 17.5", "810"]
    assert display_table(national["returns"], study=study, language="en")["Measure"].iloc[0] == "People sampled"


# -- catalogues ---------------------------------------------------------------------------------------


def test_both_languages_have_the_same_keys_and_fill_the_same_places():
    chinese, english = Catalogue("zh").texts, Catalogue("en").texts
    assert chinese.keys() == english.keys()
    # Which place of a text is named depends on the language, but no language may ask for one of its own.
    differing = {key for key in chinese if places(chinese[key]) != places(english[key])}
    assert differing == {"finding.national", "finding.regional", "finding.hidden"}  # population is named in Chinese


def test_a_missing_text_or_value_stops_the_build():
    with pytest.raises(PublicationBlocked, match=r"no\.such\.key"):
        Catalogue("en")("no.such.key")
    with pytest.raises(PublicationBlocked, match="needs"):
        Catalogue("en")("point.value", title="Gross hours lost")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_text_claims_a_cause(language):
    claims = {key for key, text in Catalogue(language).texts.items() if CAUSAL.search(text)}
    # These say that a cause is not claimed.
    assert claims <= {"figure.reforms", "quality.not_for"}


def test_chinese_texts_keep_chinese_typography():
    texts = Catalogue("zh").texts
    assert [key for key, text in texts.items() if SPACED_CHINESE.search(text)] == []
    assert [key for key, text in texts.items() if HALF_WIDTH_AFTER_CHINESE.search(text)] == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_texts_hold_no_numbers_of_their_own(language):
    assert [key for key, text in Catalogue(language).texts.items() if re.search(r"\d", text)] == []


def test_a_region_is_compared_with_the_national_mean(study):
    tables = regional_results(study, "P01")
    here = pick(tables["region_hours"], measure="gross_combined", region="P01")
    nation = here.copy()
    nation[["region", "value", "ci_low", "ci_high"]] = ["all", 16.8, 16.2, 17.3]
    assert Writer(study, "zh").comparison(here, nation) == "示例省甲为每周18.3小时，高于全国平均水平（每周16.8小时）。"
