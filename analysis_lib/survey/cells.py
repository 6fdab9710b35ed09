"""Means by region and quarter, with the sampling covariance between the quarters of a region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.errors import DesignError, UsageError
from analysis_lib.study import Study
from analysis_lib.survey.design import SurveyDesign, read_sample, sum_by
from analysis_lib.survey.estimation import measured
from analysis_lib.survey.linearisation import Variable


@dataclass(frozen=True, slots=True, eq=False)
class CellMeans:
    """Means of a measure by region and quarter.

    Attributes
    ----------
    values : numpy.ndarray
        Shape (regions, quarters); NaN where nobody answered.
    covariance : numpy.ndarray
        Of the means of each region, shape (regions, quarters, quarters); NaN in the rows of a missing mean.
    people : numpy.ndarray
        Officials behind each mean, shape (regions, quarters).
    weight : numpy.ndarray
        Sum of their weights, same shape.
    """

    values: np.ndarray
    covariance: np.ndarray
    people: np.ndarray
    weight: np.ndarray


def cell_means(
    official_quarters: pd.DataFrame,
    keys: list[str],
    *,
    study: Study,
    level: str,
    regions: list[str],
    quarters: list[str],
) -> dict[str, CellMeans]:
    """Weighted means of measures by region of one level and quarter.

    Each quarter is estimated for itself, as `estimate` does; a PSU that comes back ties its quarters together.

    Parameters
    ----------
    level : str
        Column that holds the regions, such as ``province``.

    Returns
    -------
    dict of str to CellMeans
        Measure → its means, regions and quarters in the order given.

    Raises
    ------
    DesignError
        When a PSU lies in two regions, or a stratum has a single PSU and the design refuses it.
    UsageError
        For a measure that is no mean (a total, a ratio).

    Notes
    -----
    The covariance is that of linearised scores summed to PSUs, with replacement at the first stage. What calibration
    margins explain is not taken out: with them it is too wide, never too narrow.
    """
    rows = official_quarters[official_quarters["quarter"].isin(quarters)].reset_index(drop=True)
    region, quarter = _places(rows[level], regions), _places(rows["quarter"], quarters)
    sample = read_sample(rows, SurveyDesign.of_study(study))
    psu, stage = sample.psu, sample.stages[0]
    region_of_psu = _region_of_psu(psu, region, len(stage.parent), level)
    by_quarter = [
        (np.flatnonzero(quarter == place), measured(rows[quarter == place], keys, study=study))
        for place in range(len(quarters))
    ]
    found = {}
    for key in keys:
        cells = [(where, variables[key]) for where, variables in by_quarter]
        values, people, weight, scores = _means_and_scores(key, cells, region, psu, (len(regions), len(stage.parent)))
        between = _deviations(scores, stage.parent, stage.sampled)
        inside = region_of_psu >= 0
        products = np.einsum("pq,ps->pqs", between[inside], between[inside]).reshape(int(inside.sum()), -1)
        covariance = sum_by(region_of_psu[inside], products, len(regions))
        shape = (len(regions), len(quarters), len(quarters))
        found[key] = CellMeans(values, np.asarray(covariance).reshape(shape), people, weight)
    return found


def _places(column: pd.Series, names: list[str]) -> np.ndarray:
    """Place of each value among the names, −1 for others; values are few, so they are looked up once each."""
    code, known = pd.factorize(column)
    return np.append(pd.Index(names).get_indexer(pd.Index(known)), -1)[code]


def _region_of_psu(psu: np.ndarray, region: np.ndarray, n_psu: int, level: str) -> np.ndarray:
    """Region of each PSU, −1 for a region that is not asked for."""
    of_psu = np.full(n_psu, -1)
    asked = region >= 0  # a place that is gone, such as one that was split, is none
    of_psu[psu[asked]] = region[asked]
    if (of_psu[psu[asked]] != region[asked]).any():
        raise DesignError(
            f"some work units lie in two places of the level {level!r}",
            where="design column 'psu'",
            fix="compare places that hold whole work units, of this level or one above",
        )
    return of_psu


def _means_and_scores(
    key: str, cells: list[tuple[np.ndarray, Variable]], region: np.ndarray, psu: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means, people and weights by region and quarter, and scores of means summed by PSU and quarter."""
    n_regions, n_psu = shape
    values, people, weights = (np.full((n_regions, len(cells)), np.nan) for _ in range(3))
    scores = np.zeros((n_psu, len(cells)))
    for place, (where, variable) in enumerate(cells):
        if variable.statistic not in ("mean", "share"):
            raise UsageError(f"{key!r} is a {variable.statistic}", where="effects", fix="name a measure that is a mean")
        inside = region[where] >= 0
        at, y, w = region[where][inside], variable.y[inside], variable.weight[inside]
        answered = (w > 0) if variable.counted is None else variable.counted[inside]
        sum_w = np.bincount(at, w, n_regions)
        people[:, place] = np.bincount(at, answered, n_regions)
        weights[:, place] = sum_w
        has_any = (sum_w > 0) & (people[:, place] > 0)
        values[:, place] = np.divide(np.bincount(at, w * y, n_regions), sum_w, out=values[:, place], where=has_any)
        of_rows = np.where(has_any[at], w * (y - np.nan_to_num(values[at, place])) / np.where(has_any, sum_w, 1)[at], 0)
        scores[:, place] = np.bincount(psu[where][inside], of_rows, n_psu)
    return values, people.astype(np.int64), weights, scores


def _deviations(scores: np.ndarray, stratum: np.ndarray, sampled: np.ndarray) -> np.ndarray:
    """Deviations of PSU scores from their stratum's mean, times √(n/(n − 1)); a single PSU adds nothing."""
    mean = sum_by(stratum, scores, len(sampled)) / sampled[:, None]
    inflation = np.where(sampled > 1, np.sqrt(sampled / np.maximum(sampled - 1, 1)), 0.0)
    return np.asarray((scores - mean[stratum]) * inflation[stratum][:, None])
