"""What the calendar asks for: quarters to assess, and quarters that are late."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from analysis_lib.errors import Late, UsageError
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
        Days since the due day without a release. Quarters before the last release, or before the last one due
        when there is none yet, do not count: a study that starts late owes no reports of the past.
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
    quarters = [each for each in study.config.calendar.quarters if each.last_day < today or each in with_data]
    releases = {quarter: ledger.last_release(str(quarter)) for quarter in quarters}
    owed_from = max(
        (quarter for quarter in quarters if releases[quarter]),
        default=max((quarter for quarter in quarters if study.due_date(quarter) <= today), default=None),
    )
    rows = []
    for quarter, release in releases.items():
        units = [each for each in planned if each.unit.quarter == quarter]
        due = study.due_date(quarter)
        is_owed = not release and owed_from is not None and quarter >= owed_from
        rows.append(
            QuarterStatus(
                quarter,
                quarter in with_data,
                len(units),
                sum(bool(each.reason) for each in units),
                due,
                release["release"] if release else "",
                max(0, (today - due).days) if is_owed else 0,
            )
        )
    return rows


def check_lateness(rows: list[QuarterStatus], allowed: int) -> None:
    """Raise `Late` when an assessment is overdue by more than ``allowed`` days."""
    late = [row for row in rows if row.days_late > allowed]
    if late:
        raise Late(
            f"overdue: {', '.join(f'{row.quarter} by {row.days_late} days' for row in late)}",
            where="status",
            fix="jianfu run --due, then jianfu build; without data: jianfu receive",
        )


def parse_days(text: str) -> int:
    """Read a number of days such as ``14d``."""
    match = re.fullmatch(r"(\d+)d?", text)
    if match is None:
        raise UsageError(f"{text!r} is no number of days", where="--fail-if-late", fix="write it like 14d")
    return int(match[1])
