"""The questionnaire of all respondents combined with the diaries of some, measure by measure (`double_sampling`)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.errors import UsageError
from analysis_lib.measures import CombinedMeasure
from analysis_lib.study import Study
from analysis_lib.survey.columns import column_values, in_universe, refuse_unknown
from analysis_lib.survey.double_sampling import Combined, Fit, combine_hours, combine_hours_beyond
from analysis_lib.time_use.activities import all_measures


def combine_instruments(rows: pd.DataFrame, measure: CombinedMeasure) -> Combined:
    """Pseudo-values of a combined measure, whose mean with the weight of all respondents is the estimate.

    Parameters
    ----------
    rows : pandas.DataFrame
        Official-quarters of a period, all of them. Each quarter is fitted on its own, within the categories of
        ``measure.within``, because memory may err differently from quarter to quarter; a group with too few diaries
        takes the fit of its quarter, a quarter with too few that of all rows.

    Raises
    ------
    UsageError
        For hours beyond a limit in a study of one diary day, or an unknown column.
    """
    answers = np.column_stack([column_values(rows, key) for key in measure.on])
    phases = {
        "weight": np.where(in_universe(rows, measure), rows["weight"].to_numpy(float), np.nan),
        "diary_weight": rows["diary_weight"].to_numpy(float),
        "groupings": [numbers for numbers, _ in _groupings(rows, measure)],
        "min_diaries": measure.min_diaries,
    }
    if measure.beyond:
        if not {*measure.parts} <= {*rows.columns}:
            raise UsageError(
                "hours beyond a limit need a weekday and a weekend day of the same person",
                where=f"measures.toml, [{measure.key}] beyond",
                fix="leave out the measure in a study of one diary day",
            )
        on_weekdays, on_weekends = (column_values(rows, part) for part in measure.parts)
        return combine_hours_beyond(on_weekdays, on_weekends, column_values(rows, measure.beyond), answers, **phases)
    return combine_hours(column_values(rows, measure.of), answers, **phases)


def combined_fits(
    official_quarters: pd.DataFrame, keys: list[str], *, study: Study, quarters: list[str]
) -> pd.DataFrame:
    """How diaries were fitted on answers for the combined measures among ``keys``; it passes no disclosure rule.

    Returns
    -------
    pandas.DataFrame
        A row per measure and fit. ``fitted_on``: the group of the diaries, ``everybody`` where quarters had too few;
        ``respondents``, ``unanswered``: whom it serves, and how many of them left an answer out; ``diaries``: what it
        rests on; ``method``: ``combined``, or ``diaries only`` where there were too few to fit anything; ``at_mean``:
        hours at the mean answers; ``per_…``: hours per unit of an answer; ``r_squared``.
    """
    rows = official_quarters[official_quarters["quarter"].isin(quarters)]
    known = all_measures(study)
    found = []
    for measure in (known[key] for key in keys):
        if isinstance(measure, CombinedMeasure):
            names = [words for _, words in _groupings(rows, measure)]
            answers = [*measure.on, *filter(None, [measure.beyond])]
            fits = combine_instruments(rows, measure).fits
            found += [{"measure": measure.key, **_row(fit, names, answers)} for fit in fits]
    return pd.DataFrame(found)


def _groupings(rows: pd.DataFrame, measure: CombinedMeasure) -> list[tuple[np.ndarray, list[str]]]:
    """Groupings, finest first: the number of each row's group, and what the groups are called."""
    own = rows["quarter"].astype(str)
    for column in reversed(measure.within):
        refuse_unknown(column, rows, f"measures.toml, [{measure.key}] within")
        own = rows[column].astype(str) + " " + own
    found = [pd.factorize(label.to_numpy(object), sort=True) for label in (own, rows["quarter"])]
    named = [(numbers, [str(name) for name in names]) for numbers, names in found]
    return [*named, (np.zeros(len(rows), dtype=np.int64), ["everybody"])]


def _row(fit: Fit, names: list[list[str]], answers: list[str]) -> dict[str, object]:
    at_mean, *slopes = fit.coefficients.tolist()
    return {
        "fitted_on": names[fit.level][fit.group],
        "respondents": fit.respondents,
        "unanswered": fit.unanswered,
        "diaries": fit.diaries,
        "method": "combined" if slopes else "diaries only",
        "at_mean": at_mean,
        **{f"per_{answer}": slope for answer, slope in zip(answers, slopes, strict=False)},
        "r_squared": fit.r_squared,
    }
