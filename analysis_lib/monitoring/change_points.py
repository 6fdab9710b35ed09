"""Change points of a series, as a description: where its level moved most, with neither interval nor verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.tsa.seasonal import STL

from analysis_lib.errors import UsageError
from analysis_lib.quarters import QUARTERS_PER_YEAR

LEAST = 2 * QUARTERS_PER_YEAR  # quarters: fewer do not tell the season from a level
SHORTEST = 2  # quarters of a segment; one alone is an outlier as likely as a level


def change_points(quarters: Sequence[str], values: np.ndarray, *, most: int = 3) -> pd.DataFrame:
    """Levels of a series between the quarters in which it moved, their number chosen by BIC.

    Parameters
    ----------
    quarters : sequence of str
        In order.
    values : numpy.ndarray
        Shape (quarters,), any unit; without season.
    most : int
        Largest number of changes considered.

    Returns
    -------
    pandas.DataFrame
        A row for each segment: ``first`` and ``last`` quarter, ``level`` (mean) and ``n``.

    Raises
    ------
    UsageError
        When a value is missing, or quarters and values differ in number.

    Notes
    -----
    Least squares by dynamic programming over all segmentations (Auger and Lawrence 1989). With m changes the criterion
    is n ln(RSS / n) + 2 m ln n, each change costing a level and a place (Yao 1988). It takes quarters as independent:
    autocorrelation makes changes of what is none. That is why nothing here is a finding; `rebound` makes those.

    References
    ----------
    Auger and Lawrence (1989), Bulletin of Mathematical Biology 51, 39–54. Yao (1988), Statistics & Probability Letters
    6, 181–189.
    """
    values = np.asarray(values, dtype=float)
    if len(values) != len(quarters) or not np.isfinite(values).all() or len(values) < SHORTEST:
        raise UsageError("the series has gaps or is too short", where="change points", fix="give a value per quarter")
    ends = _least_squares_ends(values, most)
    firsts = [0, *ends[:-1]]
    return pd.DataFrame(
        {
            "first": [quarters[first] for first in firsts],
            "last": [quarters[end - 1] for end in ends],
            "level": [values[first:end].mean() for first, end in zip(firsts, ends, strict=True)],
            "n": np.diff([0, *ends]),
        }
    )


def described_levels(series: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Levels of a published series, its season taken out (STL, Cleveland et al. 1990): a description, not a finding.

    Parameters
    ----------
    series : pandas.DataFrame
        Rows of a protected table, a row for each quarter of ``measure``: ``measure``, ``period``, ``value``.
    measure : str
        Key of a measure.

    Returns
    -------
    pandas.DataFrame
        As of `change_points`, in the unit of the measure, to one decimal; of the quarters since the last one without a
        number, and empty where these are fewer than two years.
    """
    values = series[series["measure"] == measure].sort_values("period").set_index("period")["value"].astype(float)
    gaps = values.index[values.isna()]
    values = values[values.index > gaps[-1]] if len(gaps) else values
    if len(values) < LEAST:
        return pd.DataFrame({"first": [], "last": [], "level": [], "n": []})
    season = STL(values.to_numpy(), period=QUARTERS_PER_YEAR, robust=True).fit().seasonal
    return change_points([*values.index], values.to_numpy() - season).round({"level": 1})


def _least_squares_ends(values: np.ndarray, most: int) -> list[int]:
    """Positions after the last quarter of each segment."""
    n, cost = len(values), _costs(values)
    best, ends = cost[0].copy(), [[end] for end in range(n + 1)]  # of the first quarters, in one segment
    chosen, lowest = ends[n], math.inf
    noise = 1e-12 * max(cost[0, n], np.finfo(float).tiny)  # a perfect fit has no logarithm
    for changes in range(most + 1):
        if changes:
            total = best[:, None] + cost
            last = total.argmin(axis=0)
            best, ends = total.min(axis=0), [[*ends[before], end] for end, before in enumerate(last)]
        criterion = n * math.log((best[n] + noise) / n) + 2 * changes * math.log(n) if best[n] < math.inf else math.inf
        if criterion < lowest:
            chosen, lowest = ends[n], criterion
    return chosen


def _costs(values: np.ndarray) -> np.ndarray:
    """Sums of squares of values[i:j] about their mean, shape (n + 1, n + 1); infinite where it is too short."""
    centred = values - values.mean()
    sums, squares = (np.concatenate([[0.0], each.cumsum()]) for each in (centred, centred**2))
    length = np.subtract.outer(np.arange(len(sums)), np.arange(len(sums))).T
    is_segment = length >= SHORTEST
    between = (sums[None, :] - sums[:, None]) ** 2 / np.where(is_segment, length, 1)
    return np.where(is_segment, np.maximum(squares[None, :] - squares[:, None] - between, 0.0), np.inf)
