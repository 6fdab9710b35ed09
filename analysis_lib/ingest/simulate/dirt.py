"""The usual faults of survey exports, planted at small known rates and counted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from analysis_lib.ingest.instruments import Column

# Share of cells, rows, days or episodes that get each fault.
CELL_RATES = {
    "missing_code": 0.008,
    "full_width": 0.004,
    "unit_in_value": 0.004,
    "spaces": 0.004,
    "out_of_range": 0.0015,
}
ROW_RATES = {"duplicate": 0.006, "resubmitted": 0.008}
DAY_RATES = {"overlap": 0.010, "gap": 0.010, "unfinished": 0.006, "date_outside_quarter": 0.003}
EPISODE_RATES = {"unknown_activity": 0.0005, "value_out_of_range": 0.001, "full_width_clock": 0.001}

_FULL_WIDTH = str.maketrans("0123456789.:", "０１２３４５６７８９．：")
_UNITS = {"hours": "小时", "percent": "%"}
_SOILED_TYPES = {  # column type → faults it can have
    "hours": list(CELL_RATES),
    "count": ["missing_code", "full_width", "spaces", "out_of_range"],
    "percent": list(CELL_RATES),
    "scale": ["missing_code", "spaces", "out_of_range"],
    "id": ["spaces"],
}
_UNKNOWN_ACTIVITY = "X9"
_OVERLAP_MINUTES = 20
_EPISODES_OF_UNFINISHED = 3


def full_width(text: str) -> str:
    """Digits as a Chinese input method types them.

    >>> full_width("8.5")
    '８．５'
    """
    return text.translate(_FULL_WIDTH)


def soil_cells(
    answers: pd.DataFrame, columns: dict[str, Column], missing: list[str], rng: np.random.Generator, tally: Counter[str]
) -> pd.DataFrame:
    """Plant faults in single cells of a questionnaire; a cell has one fault at most."""
    soiled = {}
    for name, spec in columns.items():
        if (answers[name] == "").all():  # a question that was not put this quarter
            soiled[name] = answers[name].tolist()
            continue
        cells, luck, pick, floor = answers[name].tolist(), rng.random(len(answers)), rng.random(len(answers)), 0.0
        for fault in _SOILED_TYPES.get(spec.type, []):
            hit = np.flatnonzero((luck >= floor) & (luck < floor + CELL_RATES[fault]))
            floor += CELL_RATES[fault]
            for row in hit:
                cells[row] = _faulty(cells[row], fault, spec, missing, pick[row])
            tally[fault] += len(hit)
        soiled[name] = cells
    return pd.DataFrame(soiled)


def _faulty(text: str, fault: str, spec: Column, missing: list[str], pick: float) -> str:
    if fault == "missing_code":
        return missing[int(pick * len(missing))]
    if fault == "full_width":
        return full_width(text)
    if fault == "unit_in_value":
        return text + _UNITS[spec.type]
    if fault == "spaces":
        return f"  {text} "
    return f"{(spec.max or 0) + 4 + int(pick * 40):g}"


def soil_rows(answers: pd.DataFrame, rng: np.random.Generator, tally: Counter[str]) -> pd.DataFrame:
    """Send some rows twice: the very same one, or a later one with another answer."""
    twice = answers[rng.random(len(answers)) < ROW_RATES["duplicate"]]
    again = resubmitted(answers[rng.random(len(answers)) < ROW_RATES["resubmitted"]], rng)
    tally["duplicate_row"] += len(twice)
    tally["resubmitted_row"] += len(again)
    return pd.concat([answers, twice, again], ignore_index=True)


def resubmitted(answers: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The same respondents a little later, with other answers to two questions."""
    later = pd.to_timedelta(rng.integers(600, 86_400, len(answers)), unit="s")
    changed = rng.integers(2, 9, (2, len(answers)))
    return answers.assign(
        submitted_at=answers["submitted_at"] + later,
        meeting_hours=changed[0].astype(str),
        form_hours=changed[1].astype(str),
    )


def soil_days(days: pd.DataFrame, rng: np.random.Generator, tally: Counter[str]) -> pd.DataFrame:
    """Date some diary days outside the quarter: the year is mistyped."""
    hit = rng.random(len(days)) < DAY_RATES["date_outside_quarter"]
    tally["date_outside_quarter"] += int(hit.sum())
    wrong = days["diary_date"] - pd.DateOffset(years=1)
    return days.assign(diary_date=days["diary_date"].where(~hit, wrong))


def soil_episodes(
    days: pd.DataFrame, episodes: pd.DataFrame, rng: np.random.Generator, tally: Counter[str]
) -> pd.DataFrame:
    """Let some days overlap, have a hole or stop early, and some episodes have codes that are not in the list."""
    luck, floor = rng.random(len(days)), 0.0
    chosen = {}
    for fault in ("overlap", "gap", "unfinished"):
        hit = (luck >= floor) & (luck < floor + DAY_RATES[fault])
        floor += DAY_RATES[fault]
        chosen[fault] = episodes["day"].isin(days.loc[hit, "day"])
        tally[fault] += int(hit.sum())
    nth = episodes.groupby("day").cumcount()
    some = 2 + (episodes["day"] % 5)  # the episode within the day that is struck, never the first nor the last
    ends = episodes["end"].mask(chosen["overlap"] & (nth == some), episodes["end"] + _OVERLAP_MINUTES).clip(upper=1440)
    kept = ~(chosen["gap"] & (nth == some)) & ~(chosen["unfinished"] & (nth >= _EPISODES_OF_UNFINISHED))
    unknown = rng.random(len(episodes)) < EPISODE_RATES["unknown_activity"]
    too_high = (rng.random(len(episodes)) < EPISODE_RATES["value_out_of_range"]) & (episodes["value"] > 0)
    tally["unknown_activity"] += int((unknown & kept).sum())
    tally["value_out_of_range"] += int((too_high & kept).sum())
    return episodes.assign(
        end=ends,
        activity=episodes["activity"].mask(unknown, _UNKNOWN_ACTIVITY),
        value=episodes["value"].mask(too_high, 7),
    )[kept]


def soil_clocks(clock: pd.Series, rng: np.random.Generator, tally: Counter[str]) -> pd.Series:
    """Type some clock times in full-width digits."""
    hit = rng.random(len(clock)) < EPISODE_RATES["full_width_clock"]
    tally["full_width_clock"] += int(hit.sum())
    return clock.mask(hit, clock.str.translate(_FULL_WIDTH))


def repeat_days(
    days: pd.DataFrame, episodes: pd.DataFrame, rng: np.random.Generator, tally: Counter[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Send some diary days twice: the same again, or later and with another value in the first rated episode."""
    twice = days[rng.random(len(days)) < ROW_RATES["duplicate"]]
    again = days[rng.random(len(days)) < ROW_RATES["resubmitted"]]
    tally["duplicate_day"] += len(twice)
    tally["resubmitted_day"] += len(again)
    later = again.assign(submitted_at=again["submitted_at"] + pd.Timedelta(hours=5))
    copies = pd.concat([twice, later], ignore_index=True).rename(columns={"day": "original"})
    copies = copies.assign(day=int(days["day"].max()) + 1 + np.arange(len(copies)) if len(copies) else [])
    copied = episodes.rename(columns={"day": "original"}).merge(copies[["original", "day"]], on="original")
    rated = copied[copied["day"].isin(copies["day"].iloc[len(twice) :]) & (copied["value"] > 0)]
    copied.loc[rated.groupby("day").head(1).index, "value"] = 2
    return (
        pd.concat([days, copies[days.columns]], ignore_index=True),
        pd.concat([episodes, copied[episodes.columns]], ignore_index=True),
    )
