"""What the calendar asks for: units to run, and quarters that are late."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import cache

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
    built, published : str
        Its latest release as built, and the one that readers see; empty when there is none.
    days_late : int
        Days since the due day without anything published: what is built and not shown to readers is late too. Quarters
        before the last one published, or before the last one due when there is none yet, do not count: a study that
        starts late owes no reports of the past.
    """

    quarter: Quarter
    has_data: bool
    units: int
    to_run: int
    due: dt.date
    built: str
    published: str
    days_late: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What ``run --due`` would do.

    Attributes
    ----------
    to_run : list of Planned
        Units that the study's policy lets run, oldest quarter first.
    left : list of Planned
        Units that must run and are left alone: stale ones of a quarter that readers know, and those that the policy
        leaves to somebody who asks for their quarter.
    """

    to_run: list[Planned]
    left: list[Planned]

    @property
    def quarters(self) -> list[Quarter]:
        """Quarters with a unit to run, oldest first."""
        return sorted({each.unit.quarter for each in self.to_run})


def due_units(study: Study, ledger: Ledger, planned: list[Planned], today: dt.date) -> Asked:
    """Units that are missing, failed or stale, as far as ``[running] policy`` and ``rerun_stale`` let them run unasked.

    Which quarters there are is said by the calendar and the drops, not by the clock; the day matters to
    ``rerun_stale = "not_final"`` alone.
    """
    running = study.config.running
    allowed = {"missing": {"missing"}, "missing_failed": {"missing", "failed"}, "all": {"missing", "failed", "stale"}}

    @cache
    def is_closed(quarter: Quarter) -> bool:
        if running.rerun_stale == "always" or ledger.last_publication(str(quarter)) is None:
            return False
        return running.rerun_stale == "unpublished" or study.state_of(quarter, today) == "final"

    must_run = sorted((each for each in planned if each.due), key=lambda each: each.unit.quarter)
    runs = [
        each.due in allowed[running.policy] and not (each.due == "stale" and is_closed(each.unit.quarter))
        for each in must_run
    ]
    return Asked(
        [each for each, does in zip(must_run, runs, strict=True) if does],
        [each for each, does in zip(must_run, runs, strict=True) if not does],
    )


def status(study: Study, ledger: Ledger, planned: list[Planned], today: dt.date) -> list[QuarterStatus]:
    """Where each quarter of the calendar stands that has ended or has data, oldest first."""
    with_data = set(Store(study).quarters_with_data())
    quarters = [each for each in study.config.calendar.quarters if each.last_day < today or each in with_data]
    published = {quarter: ledger.last_publication(str(quarter)) for quarter in quarters}
    owed_from = max(
        (quarter for quarter in quarters if published[quarter]),
        default=max((quarter for quarter in quarters if study.due_date(quarter) <= today), default=None),
    )
    rows = []
    for quarter, publication in published.items():
        units = [each for each in planned if each.unit.quarter == quarter]
        due, built = study.due_date(quarter), ledger.last_release(str(quarter))
        is_owed = not publication and owed_from is not None and quarter >= owed_from
        rows.append(
            QuarterStatus(
                quarter,
                quarter in with_data,
                len(units),
                sum(bool(each.due) for each in units),
                due,
                built["release"] if built else "",
                publication["release"] if publication else "",
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
            fix="jianfu run --due --build, then sign and publish; without data: jianfu receive",
        )


def parse_days(text: str) -> int:
    """Read a number of days such as ``14d``."""
    match = re.fullmatch(r"(\d+)d?", text)
    if match is None:
        raise UsageError(f"{text!r} is no number of days", where="--fail-if-late", fix="write it like 14d")
    return int(match[1])
