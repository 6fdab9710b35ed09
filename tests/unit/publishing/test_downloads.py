"""CSV downloads: what a spreadsheet opens."""

from __future__ import annotations

import csv
import io

import pytest
from sample_results import protected, row
from sample_study import with_category, write_combined_study

from analysis_lib.publishing.downloads import csv_text


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return with_category(
        write_combined_study(tmp_path_factory.mktemp("study") / "s"), 'tier,odd,"=HYPERLINK(""x"")",@SUM(A1)'
    )


def records(study, *rows):
    text = csv_text(protected(study, "hours", list(rows)), study=study)
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_a_row_has_codes_and_names_and_the_published_numbers(study):
    (record,) = records(study, row("gross_combined", "hours_week", "mean", 16.82, 0.31, region="P01"))
    assert record == {
        "measure": "gross_combined", "measure_zh": "会议、文件等总耗时", "measure_en": "Gross hours lost", "statistic": "mean",
        "unit": "hours_week", "region": "P01", "region_zh": "示例省甲", "region_en": "Example Province A", "by": "",
        "category": "", "category_zh": "", "category_en": "", "period": "2026Q3", "value": "16.8", "ci_low": "16.2",
        "ci_high": "17.5", "n": "810", "mark": "",
    }  # fmt: skip


def test_a_withheld_row_has_its_mark_and_no_number(study):
    (record,) = records(study, row("gross_combined", "hours_week", "mean", 16.82, 0.31, region="P01", n=4))
    assert [record[name] for name in ("value", "ci_low", "ci_high", "n", "mark")] == ["", "", "", "", "c"]


def test_negative_numbers_stay_numbers_and_texts_never_become_formulas(study):
    first = row("gross_combined", "hours_week", "mean", -1.04, 0.3, period="2025Q3→2026Q3")
    second = row("gross_combined", "hours_week", "mean", 16.0, 0.3, by="tier", category="odd")
    one, other = records(study, first, second)
    assert one["value"] == "-1"
    assert (other["category_zh"], other["category_en"]) == ('\'=HYPERLINK("x")', "'@SUM(A1)")
