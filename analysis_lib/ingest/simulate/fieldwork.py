"""Who answers, when, and in which delivery it arrives."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from analysis_lib.ingest.simulate.hours import TrueWeeks
from analysis_lib.ingest.simulate.scenarios import Scenario
from analysis_lib.quarters import Quarter

_ANSWERS = 1.4  # log odds of a leader answering the questionnaire: about eight in ten
_BUSY = -0.10  # change of the log odds for a standard deviation more burden: the busiest answer least
_BOTH_DAYS, _ONE_DAY = 0.85, 0.04  # of those asked who answered the questionnaire
_LATE_SHARE = 0.025
_OPENS_AFTER_DAYS = 30
_EARLIEST, _LATEST = 7 * 3600, 23 * 3600  # seconds of the day between which people fill in forms
_DROPS_OUT = 0.22  # overloaded young officials: share lost with each quarter in the panel


def field_response(
    panel: pd.DataFrame, weeks: TrueWeeks, quarter: Quarter, *, scenario: Scenario, rng: np.random.Generator
) -> pd.DataFrame:
    """What each sampled official hands in.

    Returns
    -------
    pandas.DataFrame
        Indexed as ``panel``: answers, weekday and weekend (whether handed in), is_late (arrives in a second
        delivery, where there is one), submitted_at, duration_s.
    """
    size = len(panel)
    gross = weeks.gross[panel.index.to_numpy()]
    busy = (gross - weeks.gross.mean()) / weeks.gross.std()
    chance = 1 / (1 + np.exp(-(_ANSWERS + _BUSY * busy + 0.1 * panel["role"].eq("staff").to_numpy())))
    if scenario.overloaded_young_leave:
        overloaded = panel["age_group"].eq("under_35").to_numpy() & (busy > 0)
        chance = chance * np.where(overloaded, (1 - _DROPS_OUT) ** panel["n_quarters"].to_numpy(), 1.0)
    answers = rng.random(size) < chance
    luck = rng.random(size)
    does_diary = answers & panel["has_diary_task"].to_numpy()
    both, one = luck < _BOTH_DAYS, (luck >= _BOTH_DAYS) & (luck < _BOTH_DAYS + _ONE_DAY)
    which = rng.random(size) < 0.5
    opens = quarter.first_day + dt.timedelta(days=_OPENS_AFTER_DAYS)
    days = rng.integers(0, (quarter.last_day - opens).days + 1, size)
    return pd.DataFrame(
        {
            "answers": answers,
            "weekday": does_diary & (both | (one & which)),
            "weekend": does_diary & (both | (one & ~which)),
            "is_late": rng.random(size) < _LATE_SHARE,
            "submitted_at": pd.Timestamp(opens) + pd.to_timedelta(days, unit="D") + in_the_daytime(size, rng),
            "duration_s": (240 + rng.gamma(4.0, 110.0, size)).astype(int),
        },
        index=panel.index,
    )


def in_the_daytime(size: int, rng: np.random.Generator) -> pd.TimedeltaIndex:
    """Times of day at which forms are handed in."""
    return pd.to_timedelta(rng.integers(_EARLIEST, _LATEST, size), unit="s")


def main_delivery(quarter: Quarter, rng: np.random.Generator) -> dt.date:
    """Day on which a province's export arrives: one to three weeks after the quarter."""
    return quarter.last_day + dt.timedelta(days=int(rng.integers(6, 21)))


def late_delivery(received: dt.date, rng: np.random.Generator) -> dt.date | None:
    """Day of a second delivery, in about four of ten cases; some come after the assessment is due."""
    days = int(rng.integers(14, 36))
    return received + dt.timedelta(days=days) if rng.random() < 0.4 else None
