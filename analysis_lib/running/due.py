"""What the calendar asks for: quarters to assess, and quarters that are late."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.running.units import Planned
from analysis_lib.study import Study
from analysis_lib.tables.store import Store


@dataclass(frozen=True, slots=True)
class QuarterStatus:
    """Where a quarter of the calendar stands.

    Attributes
    ----------
    quarter : Quarter
        The quarter.
    has_data : bool
        Whether a raw drop is known.
    units, to_run : int
        Units it has, and how many of them are missing, failed or stale.
    due : datetime.date
        Day by which its assessment should be published.
    release : str
        Its latest release; empty when pages were never built.
    days_late : int
        Days since the due day without a release; 0 when released or not yet due.
    """

    quarter: Quarter
    has_data: bool
    units: int
    to_run: int
    due: dt.date
    release: str
    days_late: int


def quarters_to_run(planned: list[Planned]) -> list[Quarter]:
    """Quarters with a unit that is missing, failed or stale, oldest first."""
    return sorted({each.unit.quarter for each in planned if each.reason})


def status(study: Study, ledger: Ledger, planned: list[Planned], today: dt.date) -> list[QuarterStatus]:
    """Where each quarter of the calendar stands that has ended or has data, oldest first."""
    with_data = set(Store(study).quarters_with_data())
    rows = []
    for quarter in study.config.calendar.quarters:
        if quarter.last_day >= today and quarter not in with_data:
            continue
        units = [each for each in planned if each.unit.quarter == quarter]
        release = ledger.last_release(str(quarter))
        due = study.due_date(quarter)
        rows.append(
            QuarterStatus(
                quarter,
                quarter in with_data,
                len(units),
                sum(bool(each.reason) for each in units),
                due,
                release["release"] if release else "",
                0 if release else max(0, (today - due).days),
            )
        )
    return rows
