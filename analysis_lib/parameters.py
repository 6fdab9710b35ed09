"""What one run may be asked: the typed parameters that the command line and every notebook share."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from analysis_lib.errors import UsageError, did_you_mean
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study


@dataclass(frozen=True, slots=True)
class RunParameters:
    """The parameters of one unit of a run.

    Attributes
    ----------
    study : Study
        The study under assessment.
    quarter : Quarter
        Quarter under report.
    region : str
        Region code, or ``"all"`` for the nation.
    as_of : datetime.date or None
        Only drops received by this day are read; None reads everything received.
    results_dir : str
        Folder to which the notebook hands its results; empty keeps nothing.
    """

    study: Study
    quarter: Quarter
    region: str = NATION
    as_of: dt.date | None = None
    results_dir: str = ""

    @classmethod
    def parse(
        cls, *, study: str = "data", quarter: str, region: str = NATION, as_of: str = "", results_dir: str = ""
    ) -> RunParameters:
        """Check and type the plain scalars of a parameters cell.

        Raises
        ------
        UsageError
            For an unknown region, a quarter outside the study's calendar, or a date that is not one.
        """
        opened = Study.open(find_study(study))
        asked = Quarter.parse(quarter)
        known = opened.config.calendar.quarters
        if asked not in known:
            raise UsageError(
                f"{asked} is outside the study's calendar {known[0]}–{known[-1]}",
                where="quarter",
                fix="choose a quarter of the calendar, or extend [calendar] in study.toml",
            )
        opened.region_name(region, "en")  # raises for an unknown code
        return cls(opened, asked, region, parse_day(as_of), results_dir)

    @property
    def series(self) -> list[Quarter]:
        """Every quarter of the study up to the one under report."""
        return [quarter for quarter in self.study.config.calendar.quarters if quarter <= self.quarter]


def parse_day(text: str) -> dt.date | None:
    """Read an ISO date; an empty text is no date."""
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a date", where="as_of", fix="write it like 2026-10-31") from error


def find_study(name: str) -> str:
    """A study folder by path; a relative one is looked for here and in each folder above.

    A notebook opened in JupyterLab runs in ``notebooks/``, the command line at the top: both mean the same folder.
    """
    path = Path(name)
    if path.is_absolute():
        return str(path)
    for base in [Path.cwd(), *Path.cwd().parents]:
        if (base / path / "study.toml").is_file():
            return str(base / path)
    return str(Path.cwd() / path)


def check_names(given: dict[str, Any], allowed: list[str], *, where: str) -> None:
    """Raise `UsageError` with a suggestion for the first name that is not allowed."""
    for name in given:
        if name not in allowed:
            raise UsageError(f"unknown parameter {name!r}", where=where, fix=did_you_mean(name, allowed))


PARAMETER_NAMES = [field.name for field in fields(RunParameters)]
