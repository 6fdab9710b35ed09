"""Which quarters are late, and since when."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

import pytest
from tiny_suite import write_tiny_study

from analysis_lib import pipeline
from analysis_lib.errors import InputRejected, Late, UsageError
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.running.due import check_lateness, due_units, parse_days, status
from analysis_lib.running.units import Planned, Unit
from analysis_lib.study import Study

QUARTER = Quarter(2026, 3)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_tiny_study(tmp_path / "study")


def days_late(study: Study, today: str) -> dict[str, int]:
    rows = status(study, Ledger(study.ledger), [], dt.date.fromisoformat(today))
    return {str(row.quarter): row.days_late for row in rows if row.days_late}


def test_a_study_that_never_published_owes_the_last_quarter_that_is_due(study: Study) -> None:
    assert days_late(study, "2026-08-20") == {"2026Q2": 6}  # 45 days after 30 June are 14 August


def test_after_a_publication_every_later_quarter_that_is_due_is_owed(study: Study) -> None:
    Ledger(study.ledger).record_publication("2026Q1/r1", "published")
    assert days_late(study, "2026-11-15") == {"2026Q2": 93, "2026Q3": 1}


def test_a_published_quarter_is_not_late(study: Study) -> None:
    Ledger(study.ledger).record_publication("2026Q3/r1", "published")
    assert days_late(study, "2027-01-31") == {}


def test_what_is_built_and_not_published_is_late(study: Study) -> None:
    ledger = Ledger(study.ledger)
    ledger.record_publication("2026Q2/r1", "published")
    ledger.record_release("2026Q3", "2026Q3/r1")
    assert days_late(study, "2026-11-24") == {"2026Q3": 10}
    row = next(row for row in status(study, ledger, [], dt.date(2026, 11, 24)) if str(row.quarter) == "2026Q3")
    assert (row.built, row.published) == ("2026Q3/r1", "")


def test_the_calendar_may_name_a_deadline_of_its_own(study: Study) -> None:
    calendar = study.reference / "calendar.toml"
    calendar.write_text('[deadlines]\n"2026Q2" = 2026-08-18\n', encoding="utf-8")
    assert days_late(Study.open(study.root), "2026-08-20") == {"2026Q2": 2}
    calendar.write_text('[deadlines]\n"2026Q2" = "in August"\n', encoding="utf-8")
    with pytest.raises(InputRejected, match="2026Q2"):
        days_late(Study.open(study.root), "2026-08-20")


def test_a_deadline_that_is_moved_makes_nothing_stale(study: Study) -> None:
    before = pipeline.data_parts(study, QUARTER)
    (study.reference / "calendar.toml").write_text('[deadlines]\n"2026Q2" = 2026-08-18\n', encoding="utf-8")
    moved = pipeline.data_parts(Study.open(study.root), QUARTER)
    assert moved.get("reference/calendar.toml") == before.get(
        "reference/calendar.toml", moved["reference/calendar.toml"]
    )
    (study.reference / "calendar.toml").write_text("holidays = [2026-07-01]\n", encoding="utf-8")
    assert pipeline.data_parts(Study.open(study.root), QUARTER) != moved


def planned(quarter: Quarter, due: Literal["", "missing", "failed", "stale"]) -> Planned:
    return Planned(Unit(f"01-{due or 'fresh'}", quarter), {}, {}, due, due)


def settings(study: Study, **changed: str) -> Study:
    running = study.config.running.model_copy(update=changed)
    return Study(study.root, study.config.model_copy(update={"running": running}))


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ({"policy": "missing"}, ["2026Q2/01-missing", "2026Q3/01-missing"]),
        ({"policy": "missing_failed"}, ["2026Q2/01-failed", "2026Q2/01-missing", "2026Q3/01-missing"]),
        ({}, ["2026Q2/01-failed", "2026Q2/01-missing", "2026Q3/01-missing", "2026Q3/01-stale"]),
        (
            {"rerun_stale": "not_final"},
            ["2026Q2/01-failed", "2026Q2/01-missing", "2026Q2/01-stale", "2026Q3/01-missing", "2026Q3/01-stale"],
        ),
    ],
)
def test_the_policy_says_what_runs_unasked_and_the_oldest_quarter_goes_first(
    study: Study, changed: dict[str, str], runs: list[str]
) -> None:
    study = settings(study, **changed)
    ledger = Ledger(study.ledger)
    for each in ("2025Q1", "2026Q2"):
        ledger.record_publication(f"{each}/r1", "published")
    units = [
        planned(QUARTER, "missing"),
        planned(QUARTER, "stale"),
        planned(QUARTER, ""),
        planned(Quarter(2026, 2), "failed"),
        planned(Quarter(2026, 2), "missing"),
        planned(Quarter(2026, 2), "stale"),
        planned(Quarter(2025, 1), "stale"),  # final by now
    ]
    asked = due_units(study, ledger, units, dt.date(2026, 11, 24))
    assert [each.unit.id for each in asked.to_run] == runs
    assert len(asked.to_run) + len(asked.left) == 6
    assert asked.quarters == sorted({Quarter.parse(each[:6]) for each in runs})


def test_a_final_quarter_is_run_again_only_when_the_study_says_always(study: Study) -> None:
    Ledger(study.ledger).record_publication("2025Q1/r1", "published")
    unit = planned(Quarter(2025, 1), "stale")
    today = dt.date(2026, 11, 24)
    assert due_units(settings(study, rerun_stale="not_final"), Ledger(study.ledger), [unit], today).to_run == []
    assert due_units(settings(study, rerun_stale="always"), Ledger(study.ledger), [unit], today).to_run == [unit]


def test_a_quarter_that_has_not_ended_is_shown_once_it_has_data(study: Study) -> None:
    rows = status(study, Ledger(study.ledger), [], dt.date(2026, 8, 1))
    assert {str(row.quarter): row.has_data for row in rows}["2026Q3"] is True


def test_lateness_within_the_allowance_passes_and_beyond_it_fails(study: Study) -> None:
    rows = status(study, Ledger(study.ledger), [], dt.date(2026, 8, 20))
    check_lateness(rows, 6)
    with pytest.raises(Late, match="2026Q2 by 6 days"):
        check_lateness(rows, 5)


def test_days_are_written_with_or_without_a_d() -> None:
    assert (parse_days("14d"), parse_days("3")) == (14, 3)
    with pytest.raises(UsageError, match="14d"):
        parse_days("two weeks")
