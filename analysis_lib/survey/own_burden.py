"""What the survey itself takes from officials: hours spent on its questionnaire and diaries, and the promise kept.

No weights: this is about those who actually answered, not about those they stand for. Hours of the whole survey are a
sum, so they say what the quarter cost; minutes per respondent are held against what was promised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.survey.linearisation import MEASURED
from analysis_lib.tables.contracts import check

PERSON = ["respondent_id", "quarter"]
SECONDS_PER_MINUTE = MINUTES_PER_HOUR = 60


@dataclass(frozen=True, slots=True)
class Minutes:
    """Minutes that each respondent spent, and how far they were measured.

    Attributes
    ----------
    questionnaire, diary : numpy.ndarray
        Minutes by respondent, shape (rows,).
    replaced : int
        Questionnaire times that were missing or not plausible and stand at the median of the others.
    """

    questionnaire: np.ndarray
    diary: np.ndarray
    replaced: int


def minutes_spent(
    seconds: np.ndarray, n_days: np.ndarray, *, diary_day_minutes: float, plausible_minutes: tuple[float, float]
) -> Minutes:
    """Minutes by respondent; times that no person can have taken stand at the median of the plausible ones.

    A form left open overnight would else count as hours of work. Without a single plausible time the questionnaire's
    minutes are unknown (NaN), not zero.

    >>> minutes_spent(np.array([600.0, 900.0, 86400.0]), np.array([0, 2, 0]), diary_day_minutes=15,
    ...               plausible_minutes=(1, 120)).questionnaire.tolist()
    [10.0, 15.0, 12.5]
    """
    minutes = seconds / SECONDS_PER_MINUTE
    low, high = plausible_minutes
    plausible = (minutes >= low) & (minutes <= high)  # a missing time is in no range
    usual = np.median(minutes[plausible]) if plausible.any() else np.nan
    return Minutes(np.where(plausible, minutes, usual), n_days * diary_day_minutes, int((~plausible).sum()))


def own_burden(respondents: pd.DataFrame, diary_days: pd.DataFrame, *, study: Study, quarter: Quarter) -> pd.DataFrame:
    """The survey's own burden in a quarter, as rows of the contract ``estimates``.

    Parameters
    ----------
    respondents : pandas.DataFrame
        One row per respondent of the quarter; ``duration_s`` where the platform measured it.
    diary_days : pandas.DataFrame
        Diary days handed in, used or not: filling in a day that cannot be used took time too.
    study : Study
        ``[own_burden]`` has the minutes of a diary day, the promise and the plausible range.

    Returns
    -------
    pandas.DataFrame
        Hours: ``own_questionnaire_hours``, ``own_diary_hours``, ``own_total_hours`` (statistic count, rounded on the
        way out). Minutes: ``own_minutes`` per respondent, ``own_minutes_diarist`` of those with a diary,
        ``own_minutes_promised``. ``own_promise_kept``: share of respondents within the promise.
        ``own_times_replaced``: questionnaire times replaced by the median. Everything is known, not sampled: the
        standard error is zero and the interval a point.
    """
    settings = study.config.own_burden
    people = pd.MultiIndex.from_frame(respondents[PERSON])
    n_days = diary_days.groupby(PERSON).size().reindex(people, fill_value=0).to_numpy(float)
    seconds = (
        respondents["duration_s"].to_numpy(float)
        if "duration_s" in respondents.columns
        else np.full(len(respondents), np.nan)
    )
    low, high = settings.plausible_minutes
    spent = minutes_spent(seconds, n_days, diary_day_minutes=settings.diary_day_minutes, plausible_minutes=(low, high))
    total = spent.questionnaire + spent.diary
    diarist = n_days > 0
    n = len(respondents)
    rows = [
        ("own_questionnaire_hours", "count", "count", spent.questionnaire.sum() / MINUTES_PER_HOUR, n),
        ("own_diary_hours", "count", "count", spent.diary.sum() / MINUTES_PER_HOUR, int(diarist.sum())),
        ("own_total_hours", "count", "count", total.sum() / MINUTES_PER_HOUR, n),
        ("own_times_replaced", "count", "count", float(spent.replaced), n),
        ("own_minutes", "mean", "count", _mean(total), n),
        ("own_minutes_diarist", "mean", "count", _mean(total[diarist]), int(diarist.sum())),
        ("own_minutes_promised", "mean", "count", settings.promised_minutes, n),
        ("own_promise_kept", "share", "share", _mean((total <= settings.promised_minutes).astype(float)), n),
    ]
    frame = pd.DataFrame(rows, columns=["measure", "statistic", "unit", "estimate", "n"])
    known = frame["estimate"].notna()
    n_psu = respondents["psu"].nunique() if "psu" in respondents.columns else n
    frame = frame.assign(
        region=NATION,
        by="",
        category="",
        period=str(quarter),
        se=np.where(known, 0.0, np.nan),
        ci_low=frame["estimate"],
        ci_high=frame["estimate"],
        df=np.nan,
        deff=np.nan,
        n_psu=n_psu,
    ).astype({"n": "int64", "n_psu": "int64"})
    texts = ["measure", "statistic", "region", "by", "category", "period"]
    return check(frame[[*texts, "unit", *MEASURED]].astype(dict.fromkeys([*texts, "unit"], str)), "estimates")


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
