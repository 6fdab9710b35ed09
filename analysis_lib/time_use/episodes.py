"""How often an activity begins in a week: what hours alone do not tell."""

from __future__ import annotations

import pandas as pd

from analysis_lib.measures import DAYS_PER_WEEK
from analysis_lib.study import Study
from analysis_lib.time_use.activities import read_classification
from analysis_lib.time_use.burden import DAYS_OF, PERSON


def episodes_per_week(
    episodes: pd.DataFrame, diary_days: pd.DataFrame, people: pd.DataFrame, codes: list[str], *, study: Study
) -> pd.DataFrame:
    """Episodes of main activities per person and week.

    Parameters
    ----------
    episodes, diary_days : pandas.DataFrame
        Contract tables; only days that are used count.
    people : pandas.DataFrame
        Persons and quarters asked for, in ``respondent_id`` and ``quarter``.
    codes : list of str
        Listed activity codes, as columns of the result.

    Returns
    -------
    pandas.DataFrame
        Indexed as ``people``. Zero for a person with a diary who never began the activity, missing for a person
        without a diary or whose diary came as day totals. From days to the week as for hours: 5 · weekday + 2 · weekend,
        or 7 · day.
    """
    is_one_day = study.config.diary.represents == "one_day"
    days = diary_days[diary_days["is_used"] & (diary_days["n_episodes"] > 0)]
    stands_for = pd.Series(DAYS_PER_WEEK, index=days.index) if is_one_day else days["day_type"].map(DAYS_OF)
    alike = PERSON if is_one_day else [*PERSON, "day_type"]
    weight = stands_for / days.groupby(alike)["diary_date"].transform("size")
    days = days[[*PERSON, "diary_date", "day_type"]].assign(weight=weight)
    if not is_one_day:
        days = days[days.groupby(PERSON)["day_type"].transform("nunique") == len(DAYS_OF)]
    listed = {code: read_classification(study).listed(code) for code in episodes["activity"].unique()}
    begun = episodes[[*PERSON, "diary_date"]].assign(code=episodes["activity"].map(listed))
    counted = begun[begun["code"].isin(codes)].merge(days, on=[*PERSON, "diary_date"], validate="m:1")
    per_week = counted.groupby([*PERSON, "code"])["weight"].sum().unstack("code").reindex(columns=codes)
    whole = pd.MultiIndex.from_frame(days[PERSON].drop_duplicates())
    found = per_week.reindex(whole).fillna(0.0).reindex(pd.MultiIndex.from_frame(people[PERSON]))
    return found.astype(float).set_axis(people.index).rename_axis(columns=None)
