"""Which quarters are late, and since when."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from tiny_suite import write_tiny_study

from analysis_lib.errors import Late, UsageError
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.running.due import check_lateness, parse_days, status
from analysis_lib.study import Study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_tiny_study(tmp_path / "study")


def days_late(study: Study, today: str) -> dict[str, int]:
    rows = status(study, Ledger(study.ledger), [], dt.date.fromisoformat(today))
    return {str(row.quarter): row.days_late for row in rows if row.days_late}


def test_a_study_that_never_published_owes_the_last_quarter_that_is_due(study: Study) -> None:
    assert days_late(study, "2026-08-20") == {"2026Q2": 6}  # 45 days after 30 June are 14 August


def test_after_a_release_every_later_quarter_that_is_due_is_owed(study: Study) -> None:
    Ledger(study.ledger).record_release("2026Q1", "r1")
    assert days_late(study, "2026-11-15") == {"2026Q2": 93, "2026Q3": 1}


def test_a_released_quarter_is_not_late(study: Study) -> None:
    Ledger(study.ledger).record_release("2026Q3", "r1")
    assert days_late(study, "2027-01-31") == {}


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
