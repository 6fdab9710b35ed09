"""A forecast is recorded when its release is published, and held against what came when a later one is."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pandas as pd
import pytest
from sample_results import protected, row
from sample_study import write_combined_study

from analysis_lib import history
from analysis_lib.disclosure.protect import ProtectedTable, protect
from analysis_lib.monitoring.forecasts import BY_FORECAST, BY_INNER, BY_PUBLISHED, BY_PUBLISHED_INNER, published_table
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.parameters import RunParameters
from analysis_lib.publishing.releases import build_release
from analysis_lib.quarters import Quarter
from analysis_lib.running import builds, releases
from analysis_lib.study import Study

BEFORE, QUARTER = Quarter(2026, 2), Quarter(2026, 3)
CAME = 16.8
Tables = dict[str, ProtectedTable]


@pytest.fixture(autouse=True)
def up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """No notebooks stand behind these releases."""
    monkeypatch.setattr(releases, "plan_quarters", lambda *_: [])
    monkeypatch.setattr(builds, "made_from", lambda *_: "made")


def foreseen(study: Study, made_in: str, period: str, value: float, inner: float = 0.5) -> ProtectedTable:
    rows = [
        row("gross_combined", "hours_week", "effect", value, 0.6, by=by, category=f"{made_in}.1", period=period,
            ci_low=value - reach, ci_high=value + reach, residual_df=400.0)
        for by, reach in ((BY_FORECAST, 1.0), (BY_INNER, inner))
    ]  # fmt: skip
    return protected(study, "forecasts", rows)


def publish(study: Study, quarter: Quarter, tables: Tables) -> str:
    hours = [row("gross_combined", "hours_week", "mean", CAME, 0.3, period=str(quarter))]
    results = {"03-hours-lost": {"hours": protected(study, "hours", hours)}, "09-adjust": tables}
    ledger = Ledger(study.ledger)
    release = build_release(study, quarter, results, published=releases.last_published(ledger, quarter))
    ledger.record_release(str(quarter), release.name, made_from="made", manifest_sha256=release.manifest_sha256)
    releases.sign(study, release.name, "A. Reader", "statistician")
    releases.sign(study, release.name, "B. Head", "head")
    releases.publish(study, release.name)
    return release.name


def recorded(study: Study) -> pd.DataFrame:
    """What notebook 09 of the later quarter reads from the ledger."""
    run = RunParameters.parse(study=str(study.root), quarter=str(QUARTER), region="all", as_of="", results_dir="")
    return published_table(history.past_forecasts(run), until=str(QUARTER))


def test_what_came_is_held_against_the_forecast_in_force_and_recorded(tmp_path: Path) -> None:
    study = write_combined_study(tmp_path / "s")
    publish(study, BEFORE, {"forecasts": foreseen(study, "2026Q2", "2026Q3", 18.6)})
    in_force = publish(study, BEFORE, {"forecasts": foreseen(study, "2026Q2", "2026Q3", 17.5)})
    assert in_force == "2026Q2/r2"

    said = recorded(study)
    assert said[["by", "category", "period", "estimate"]].to_numpy().tolist() == [
        [BY_PUBLISHED, "1.2026Q2/r2", "2026Q3", 17.5], [BY_PUBLISHED_INNER, "1.2026Q2/r2", "2026Q3", 17.5],
    ]  # fmt: skip
    series = [row("gross_combined", "hours_week", "mean", CAME, 0.3, period=str(QUARTER))]
    tables = {
        "forecasts": foreseen(study, "2026Q3", "2026Q4", 16.7),
        "forecast_series": protected(study, "forecast_series", series),
        "published_forecasts": protect(said, "published_forecasts", study=study),
    }
    later = publish(study, QUARTER, tables)

    (score,) = [each for each in Ledger(study.ledger).scores() if each["release"] == later]
    assert {name: score[name] for name in ("kind", "claimed_in", "period", "ahead", "value", "came", "error")} == {
        "kind": "forecast", "claimed_in": "2026Q2/r2", "period": "2026Q3", "ahead": 1, "value": 17.5, "came": CAME, "error": 0.7,
    }  # fmt: skip
    assert (score["score"], score["inner"]) == ("within", "outside")
    assert score["interval_score"] == pytest.approx(2.0)
    page = study.reports / "site" / "en" / str(QUARTER) / "adjust" / "index.html"
    shown = html.unescape(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))
    assert "Published forecasts whose quarter has come: 1. Within their 95% interval: 1" in shown
    assert "2026Q2/r2" in shown
    assert "17.5 (16.5 to 18.5)" in shown


def test_a_forecast_of_a_quarter_to_come_waits(tmp_path: Path) -> None:
    study = write_combined_study(tmp_path / "s")
    publish(study, BEFORE, {"forecasts": foreseen(study, "2026Q2", "2026Q4", 17.5)})
    assert recorded(study).empty


def test_forecasts_recorded_before_there_was_an_inner_interval_are_scored_by_the_other(tmp_path: Path) -> None:
    study = write_combined_study(tmp_path / "s")
    old = {"measure": "gross_combined", "unit": "hours_week", "period": "2026Q3", "made_in": "2026Q2", "ahead": 1,
           "value": 17.5, "ci_low": 16.5, "ci_high": 18.5}  # fmt: skip
    Ledger(study.ledger).record_forecasts("2026Q2/r1", [old])
    Ledger(study.ledger).record_publication("2026Q2/r1", "published")
    assert recorded(study)["by"].tolist() == [BY_PUBLISHED]
