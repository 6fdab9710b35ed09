"""Small literal tables in the shape of the contracts, for tests of time use and estimates."""

from __future__ import annotations

import pandas as pd

QUARTER = "2026Q1"
MONDAY, SATURDAY = "2026-01-05", "2026-01-10"


def diary(
    person: str,
    date: str,
    *stretches: tuple[int, int, str],
    quarter: str = QUARTER,
    **said: object,
) -> pd.DataFrame:
    """Episodes of one diary day as (start, end, activity); ``said`` holds for all of them."""
    frame = pd.DataFrame(stretches, columns=["start_minute", "end_minute", "activity"]).assign(
        respondent_id=person, quarter=quarter, diary_date=date, medium="", required_by="", drop="a-drop"
    )
    told = {"secondary_activity": "", "is_repeat": None, "value": None, "is_for_show": None} | said
    return frame.assign(**told).astype({"is_repeat": "boolean", "is_for_show": "boolean", "value": float})


def no_totals() -> pd.DataFrame:
    """The empty table ``day_totals``."""
    return day_totals([])


def day_totals(rows: list[tuple[str, str, str, float]]) -> pd.DataFrame:
    """Minutes by (person, date, activity)."""
    frame = pd.DataFrame(rows, columns=["respondent_id", "diary_date", "activity", "minutes"])
    return frame.assign(quarter=QUARTER, drop="a-drop").astype(
        {"respondent_id": str, "diary_date": str, "activity": str, "minutes": float, "quarter": str, "drop": str}
    )


def respondents(*ids: str, quarter: str = QUARTER, **columns: object) -> pd.DataFrame:
    """People who answered, each alone in a PSU of one stratum unless the columns say otherwise."""
    described = {"region": "C0101", "stratum": "s", "psu": list(ids), "weight": 1.0} | columns
    return pd.DataFrame({"respondent_id": list(ids)}).assign(
        quarter=quarter, drop="a-drop", received="2026-04-10", instrument="v1", **described
    )
