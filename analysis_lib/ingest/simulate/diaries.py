"""Two diary days for each official asked: drawn from the true week so that 5 weekdays + 2 weekend days make it up.

A day's work is cut into pieces, put in a random order around sleep, meals and other personal time, and laid on the
clock from midnight to midnight. Every step keeps the expected minutes of each activity, rounding included.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from analysis_lib.ingest.simulate.hours import (
    BURDEN_CODES,
    GROUP_OF,
    GROUPS,
    PERSONAL_CODE,
    TRAINING_FOR_SHOW,
    WORK_CODES,
    TrueWeeks,
)
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study, read_toml

MINUTES_PER_DAY = 1440
MOST_EPISODES = 28  # a questionnaire with thirty blocks must hold every day
DAY_TYPES = ("weekday", "weekend")
_DAYS = {"weekday": 5, "weekend": 2}

_WEEKEND_SHARE = {"meeting": 0.08, "document": 0.12, "form": 0.14, "inspection": 0.08, "digital": 0.26}
_WEEKEND_SHARE |= {"service": 0.20, "core": 0.10, "training": 0.10}
_WORKS_THAT_DAY = {"weekday": 1.0, "weekend": 0.65}
_SPREAD = {"weekday": 0.18, "weekend": 0.25}  # a day's work lies this far around its mean at most
_CONCENTRATION = 8.0  # how alike days are: a day holds about ten of the seventeen activities
_TWO_PIECES = 70  # minutes from which an activity is done in two goes

# Personal time: place in the day (work runs from 0 to 1) and share of it.
_PERSONAL = [
    (-3.0, 0.40),  # sleep until morning
    (-2.0, 0.05),  # washing, breakfast
    (-1.0, 0.05),  # commuting
    (0.42, 0.05),  # lunch
    (0.421, 0.05),  # rest at noon
    (0.83, 0.05),  # commuting
    (0.831, 0.06),  # dinner
    (2.0, 0.07),  # family
    (3.0, 0.07),  # leisure
    (4.0, 0.03),  # getting ready for bed
    (5.0, 0.12),  # sleep until midnight
]
_PERSONAL_PLACE, _PERSONAL_SHARE = (np.array(column) for column in zip(*_PERSONAL, strict=True))
_REGULAR_LIFE = 120.0  # how alike the shares of personal time are from day to day
_ASLEEP = (0, len(_PERSONAL) - 1)
_GRANULARITY, _GRANULARITY_SHARE = [5, 10, 15], [0.5, 0.35, 0.15]  # minutes to which people round clock times

MEDIA = ["paper", "meeting_room", "video", "app", "chat", "other"]
_MEDIUM_OF_GROUP = {
    "meeting": [0.02, 0.68, 0.26, 0.0, 0.02, 0.02],
    "document": [0.40, 0.02, 0.02, 0.26, 0.28, 0.02],
    "form": [0.42, 0.0, 0.0, 0.50, 0.06, 0.02],
    "inspection": [0.48, 0.12, 0.04, 0.12, 0.06, 0.18],
    "digital": [0.0, 0.0, 0.0, 0.42, 0.58, 0.0],
    "other": [0.15, 0.05, 0.02, 0.08, 0.10, 0.60],
}
REQUIRED_BY = ["central", "province", "city", "county", "township", "self"]
_REQUIRED_OF_BURDEN, _REQUIRED_OF_OTHER = [0.08, 0.14, 0.20, 0.36, 0.17, 0.05], [0.02, 0.05, 0.10, 0.23, 0.22, 0.38]


def draw_dates(study: Study, quarter: Quarter, day_type: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Dates of a day type in a quarter, as the calendar of the study has it."""
    days = [
        quarter.first_day + dt.timedelta(days=step) for step in range((quarter.last_day - quarter.first_day).days + 1)
    ]
    calendar = _calendar(study)
    is_weekend = np.array(
        [
            (day.weekday() >= 5 or day in calendar["holidays"]) and day not in calendar["working_weekends"]
            for day in days
        ]
    )
    chosen = np.flatnonzero(is_weekend == (day_type == "weekend"))
    return np.array(days, dtype="datetime64[D]")[rng.choice(chosen, size)]


def _calendar(study: Study) -> dict[str, set[dt.date]]:
    table = read_toml(study.reference / "calendar.toml")
    return {
        key: {dt.date.fromisoformat(str(day)) for day in table.get(key, [])} for key in ("holidays", "working_weekends")
    }


def draw_day(
    weeks: TrueWeeks,
    officials: np.ndarray,
    day_type: str,
    *,
    rounded_to: int | None,
    moved: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """One diary day of a type for each official.

    Parameters
    ----------
    weeks : TrueWeeks
        True weeks of the quarter.
    officials : numpy.ndarray
        Positions of the diarists in the frame of officials.
    rounded_to : int or None
        Minutes to which every clock time is rounded; None leaves it to the habit of each.
    moved : float
        Share of paper forms that a reform in full force moves to apps.

    Returns
    -------
    pandas.DataFrame
        Episodes: row (of ``officials``), start and end (minutes), activity, secondary_activity, medium, required_by
        (texts, empty when there is none), is_repeat and is_for_show (booleans), value (1-4, 0 for none).
    """
    minutes = _minutes_worked(weeks.hours[officials], day_type, rng)
    pieces, activity = _laid_out(minutes, rng)
    granularity = (
        np.full(len(officials), rounded_to)
        if rounded_to
        else rng.choice(_GRANULARITY, len(officials), p=_GRANULARITY_SHARE)
    )
    ends = _on_the_clock(pieces, granularity)
    starts = np.hstack([np.zeros((len(ends), 1), int), ends[:, :-1]])
    row, column = np.nonzero(ends > starts)
    kind = activity[row, column]
    codes = np.array([*WORK_CODES, *[PERSONAL_CODE] * len(_PERSONAL)])
    episodes = pd.DataFrame(
        {"row": row, "start": starts[row, column], "end": ends[row, column], "activity": codes[kind]}
    )
    is_awake = ~np.isin(kind, [len(WORK_CODES) + asleep for asleep in _ASLEEP])
    parallel = 60 * weeks.parallel[officials] * _per_day("digital", day_type)
    episodes["secondary_activity"] = _in_parallel(episodes, is_awake, parallel, rng)
    return _described(episodes, kind, weeks, officials, moved, rng)


def _per_day(group: str, day_type: str) -> float:
    """Share of a week's hours of a group that falls on one mean day of the type."""
    weekend = _WEEKEND_SHARE[group]
    return (weekend if day_type == "weekend" else 1 - weekend) / _DAYS[day_type]


def _minutes_worked(hours: np.ndarray, day_type: str, rng: np.random.Generator) -> np.ndarray:
    mean = 60 * hours * np.array([_per_day(GROUP_OF[code], day_type) for code in WORK_CODES])
    share_working, spread = _WORKS_THAT_DAY[day_type], _SPREAD[day_type]
    works = rng.random(len(hours)) < share_working
    total = mean.sum(axis=1) * works / share_working * (1 + spread * (2 * rng.beta(2, 2, len(hours)) - 1))
    # Shares with the right mean (Dirichlet): an activity is absent on some days and long on others.
    parts = rng.standard_gamma(_CONCENTRATION * mean / mean.sum(axis=1, keepdims=True))
    return total[:, None] * parts / parts.sum(axis=1, keepdims=True)


def _laid_out(minutes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of the day in the order of the clock, and what each is (position in work codes, personal after them)."""
    size, n_codes = minutes.shape
    first = minutes * np.where(minutes > _TWO_PIECES, rng.uniform(0.3, 0.7, minutes.shape), 1.0)
    work = np.hstack([first, minutes - first])
    order = rng.permuted(np.tile(np.arange(2 * n_codes), (size, 1)), axis=1)
    work = np.take_along_axis(work, order, axis=1)
    what = order % n_codes
    total = work.sum(axis=1, keepdims=True)
    place = (np.cumsum(work, axis=1) - work / 2) / np.maximum(total, 1e-9)
    shares = rng.standard_gamma(_REGULAR_LIFE * np.tile(_PERSONAL_SHARE, (size, 1)))
    personal = (MINUTES_PER_DAY - total) * shares / shares.sum(axis=1, keepdims=True)
    by_clock = np.argsort(np.hstack([place, np.tile(_PERSONAL_PLACE, (size, 1))]), axis=1, kind="stable")
    pieces = np.hstack([work, personal])
    kinds = np.hstack([what, np.tile(n_codes + np.arange(len(_PERSONAL)), (size, 1))])
    return np.take_along_axis(pieces, by_clock, axis=1), np.take_along_axis(kinds, by_clock, axis=1)


def _on_the_clock(pieces: np.ndarray, granularity: np.ndarray) -> np.ndarray:
    """End of each piece, rounded; a day of too many episodes is told in rounder times."""
    exact = np.cumsum(pieces, axis=1)
    exact[:, -1] = MINUTES_PER_DAY
    unit = granularity.copy()[:, None]
    while True:
        ends = (np.round(exact / unit) * unit).astype(int)
        too_many = (np.diff(ends, axis=1, prepend=0) > 0).sum(axis=1) > MOST_EPISODES
        if not too_many.any():
            return ends
        unit[too_many] *= 2


def _in_parallel(
    episodes: pd.DataFrame, is_awake: np.ndarray, parallel: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Chats and apps beside other things: enough episodes to make up the expected minutes of each day."""
    can = is_awake & ~episodes["activity"].isin(["G1", "G2"]).to_numpy()
    length = (episodes["end"] - episodes["start"]).to_numpy() * can
    row = episodes["row"].to_numpy()
    possible = np.bincount(row, length, minlength=len(parallel))
    chance = np.minimum(1, parallel / np.maximum(possible, 1))[row]
    does = can & (rng.random(len(row)) < chance)
    return np.where(does, np.where(rng.random(len(row)) < 0.7, "G1", "G2"), "")


def _described(
    episodes: pd.DataFrame,
    kind: np.ndarray,
    weeks: TrueWeeks,
    officials: np.ndarray,
    moved: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Add medium, who required it, and how the official rates it."""
    size, n_burden = len(episodes), len(BURDEN_CODES)
    is_burden, is_personal = kind < n_burden, kind >= len(WORK_CODES)
    who, code = officials[episodes["row"].to_numpy()], np.minimum(kind, n_burden - 1)
    hours = weeks.hours[who, code]
    chance = np.where(is_burden, weeks.avoidable[who, code] / np.where(hours > 0, hours, 1), 0.0)
    is_avoidable = rng.random(size) < chance
    # An avoidable episode is rated low, or is a repeat of what was already given; other work is neither.
    is_repeat = is_avoidable & (rng.random(size) < np.where(episodes["activity"].eq("F2"), 0.9, 0.35))
    rated_low = is_avoidable & (~is_repeat | (rng.random(size) < 0.5))
    value = np.where(rated_low, rng.integers(1, 3, size), rng.integers(3, 5, size))
    for_show = episodes["activity"].eq("T1").to_numpy() & (rng.random(size) < TRAINING_FOR_SHOW)
    medium = _medium(kind, weeks.exposure[who, GROUPS.index("form")], moved, rng)
    required = np.where(
        is_burden,
        rng.choice(REQUIRED_BY, size, p=_REQUIRED_OF_BURDEN),
        rng.choice(REQUIRED_BY, size, p=_REQUIRED_OF_OTHER),
    )
    return episodes.assign(
        medium=np.where(is_personal, "", medium),
        required_by=np.where(is_personal, "", required),
        is_repeat=is_repeat,
        value=np.where(is_personal, 0, value),
        is_for_show=for_show,
    )


def _medium(kind: np.ndarray, form_reform: np.ndarray, moved: float, rng: np.random.Generator) -> np.ndarray:
    group = np.array([GROUP_OF[code] for code in WORK_CODES] + ["other"] * len(_PERSONAL))[kind]
    luck = rng.random(len(kind))
    medium = np.full(len(kind), "other", dtype="<U12")
    for name, shares in _MEDIUM_OF_GROUP.items():
        rows = group == name if name in GROUPS else ~np.isin(group, GROUPS)
        medium[rows] = np.array(MEDIA)[np.searchsorted(np.cumsum(shares)[:-1], luck[rows], side="right")]
    goes_online = (group == "form") & (medium == "paper") & (rng.random(len(kind)) < moved * form_reform)
    return np.where(goes_online, "app", medium)
