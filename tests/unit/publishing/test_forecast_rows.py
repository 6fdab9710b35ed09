"""Forecasts for the ledger are those that were published, and no others."""

from __future__ import annotations

import math

import pytest
from sample_results import protected, row
from sample_study import write_combined_study

from analysis_lib.publishing.forecast_rows import forecasts_of
from analysis_lib.study import Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


def test_published_forecasts_become_rows_and_withheld_ones_do_not(study):
    seen = row("gross_combined", "hours_week", "mean", 24.9, 0.9, by="forecast", category="2026Q3.1", period="2026Q4")
    hidden = seen | {"category": "2026Q3.2", "period": "2027Q1", "estimate": math.nan, "ci_low": math.nan,
                     "ci_high": math.nan, "n": 2}  # fmt: skip
    table = protected(study, "forecasts", [seen, hidden])
    rows = forecasts_of({"09-adjust": {"forecasts": table}, "02-working-week": {}})
    assert [(each["measure"], each["period"], each["made_in"], each["ahead"]) for each in rows] == [
        ("gross_combined", "2026Q4", "2026Q3", 1)
    ]
    assert rows[0]["ci_low"] < rows[0]["value"] == 24.9 < rows[0]["ci_high"]


def test_a_release_without_forecasts_has_none(study):
    assert forecasts_of({"02-working-week": {}}) == []
