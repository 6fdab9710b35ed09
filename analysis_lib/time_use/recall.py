"""What respondents recall or count in the questionnaire, as one number per official and quarter."""

from __future__ import annotations

import pandas as pd


def recalled(respondents: pd.DataFrame, counts: pd.DataFrame | None, columns: list[str]) -> pd.Series:
    """Sum of a respondent's answers to the questions named, missing when any of them is missing.

    Parameters
    ----------
    respondents : pandas.DataFrame
        One row per official and quarter, answers in columns.
    counts : pandas.DataFrame or None
        One row per official, quarter and item counted: read for questions that are no column of ``respondents``.
    columns : list of str
        Questions to add up. One that was not asked in these quarters is missing for everybody.

    Returns
    -------
    pandas.Series
        Floats, on the index of ``respondents``.
    """
    answers = [_answer(respondents, counts, column) for column in columns]
    return pd.concat(answers, axis=1).sum(axis=1, skipna=False)


def _answer(respondents: pd.DataFrame, counts: pd.DataFrame | None, column: str) -> pd.Series:
    if column in respondents.columns:
        return pd.to_numeric(respondents[column]).astype(float)
    missing = pd.Series(float("nan"), index=respondents.index)
    if counts is None:
        return missing
    person = ["respondent_id", "quarter"]
    counted = counts.loc[counts["item"] == column, [*person, "count"]]
    joined = respondents[person].merge(counted, on=person, how="left", validate="1:1")
    return missing.fillna(joined["count"].set_axis(respondents.index))
