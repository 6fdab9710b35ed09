"""Staggered difference-in-differences on a panel of regions. Every estimator is linear in the cells of the panel::

    estimate_k = Σ_rt weights[k, r, t] · values[r, t]

and its weights depend on the rollout of the reform and on what regions stand for, never on the values. Group-time
effects (Callaway and Sant'Anna 2021, without covariates) compare a cohort's change since a base period with that of
regions without the reform; imputation (Borusyak, Jaravel and Spiess 2024) compares it with a model of region and period
effects fitted where the reform is not in force. Both assume that without it the means of cohorts would have moved in
parallel, and that nobody acts on it more than ``anticipation`` periods early. How sure the estimates are: `inference`.

Other reforms (``panel.exposures``) are taken out first: their effects are fitted, beside region and period effects, on
the cells where this reform is not in force, and assumed to be additive, constant, and the same once it is. That fit is
linear in the values as well, so it becomes part of the weights.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis_lib.effects.panel import Panel
from analysis_lib.errors import DesignError

NEGLIGIBLE = 1e-9  # of weights that sum to one: what rounding leaves


@dataclass(frozen=True, slots=True, eq=False)
class Average:
    """How contrasts are averages of finer ones.

    Attributes
    ----------
    parts : Contrasts
        The finest contrasts, K₀ of them.
    mix : numpy.ndarray
        Share of each part, shape (K, K₀).
    slopes : numpy.ndarray
        Derivative of ``mix`` by the share of all regions that is in each cohort, shape (K, K₀, cohorts).
    """

    parts: Contrasts
    mix: np.ndarray
    slopes: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Contrasts:
    """K linear estimators.

    Attributes
    ----------
    index : pandas.DataFrame
        A row for each: kind, start, period (positions in the panel) and event_time, missing where it is about several.
    weights : numpy.ndarray
        Shape (K, R, T).
    average : Average or None
        For averages of group-time effects, how they are made up.
    """

    index: pd.DataFrame
    weights: np.ndarray
    average: Average | None = None


def group_time(
    panel: Panel,
    *,
    comparison: Literal["never", "not_yet"] = "not_yet",
    base: Literal["universal", "varying"] = "universal",
    anticipation: int = 0,
) -> Contrasts:
    """Effect on each cohort in each period: its change since a base period less that of regions without the reform.

    Parameters
    ----------
    comparison : str
        Regions that never have it, or also those that get it later than both periods compared (and ``anticipation``).
    base : str
        Periods before the reform are compared with the last one before it, or (varying) each with the one before.
    anticipation : int
        Periods before the start in which the reform may already act; the base lies before them.

    Raises
    ------
    DesignError
        When no cohort can be compared, or the effect of another reform cannot be told from this one's.

    Notes
    -----
    A cohort without a period before ``anticipation``, and a period in which nobody is left to compare with, have no
    rows. Nor has a cohort's base period, where the effect is zero by definition.
    """
    rows, weights = [], []
    for start in panel.cohorts:
        is_cohort, last = panel.starts == start, start - 1 - anticipation
        for period in range(len(panel.periods)):
            before = last if base == "universal" or period > last else period - 1
            if last < 0 or before < 0 or period == before:
                continue
            others = ~panel.is_ever
            if comparison == "not_yet":
                others |= (panel.starts > max(period, before) + anticipation) & ~is_cohort
            if others.any():
                weight = np.zeros(panel.values.shape)
                weight[:, period] = _shares(panel, is_cohort) - _shares(panel, others)
                weight[:, before] = -weight[:, period]
                rows.append((start, period))
                weights.append(weight)
    if not rows:
        raise DesignError(
            "no region is left to compare the reformed ones with" if panel.cohorts else "the reform begins nowhere",
            where="panel",
            fix='compare with "not_yet", take more periods or regions, or use a design without comparison regions',
        )
    stacked = np.stack(weights)
    if panel.exposures:
        stacked = _less_untreated_fit(stacked, panel, anticipation)
    return Contrasts(_group_time_index("group_time", tuple(rows)), stacked)


def imputation(panel: Panel, *, anticipation: int = 0) -> Contrasts:
    """Effect on each cohort in each period since its start, against region and period effects fitted without the reform.

    Raises
    ------
    DesignError
        When there is nothing to fit them on, or the effect of another reform cannot be told from this one's.

    Notes
    -----
    A period in which the reform is in force everywhere has no rows, nor has a cohort without a period before it.
    """
    untreated = _untreated(panel, anticipation)
    rows = [
        (start, period)
        for start in panel.cohorts
        for period in range(start, len(panel.periods))
        if start > anticipation and untreated[:, period].any()
    ]
    if not rows:
        raise DesignError(
            "no period has both regions with and without the reform",
            where="panel",
            fix="take more periods or regions, or use a design without comparison regions",
        )
    targets = np.zeros((len(rows), *panel.values.shape))
    for row, (start, period) in enumerate(rows):
        targets[row, :, period] = _shares(panel, panel.starts == start)
    return Contrasts(_group_time_index("imputation", tuple(rows)), _less_untreated_fit(targets, panel, anticipation))


def untreated_residuals(panel: Panel) -> np.ndarray:
    """Weights, shape (K, R, T), of what the fit of `imputation` leaves of each cell without the reform."""
    regions, periods = np.nonzero(_untreated(panel, 0))
    targets = np.zeros((len(regions), *panel.values.shape))
    targets[np.arange(len(regions)), regions, periods] = 1.0
    return _less_untreated_fit(targets, panel, 0)


def by_event_time(
    contrasts: Contrasts, panel: Panel, *, earliest: int | None = None, latest: int | None = None
) -> Contrasts:
    """Average effect by periods since the start, cohorts weighted by what they stand for.

    Parameters
    ----------
    contrasts : Contrasts
        Of `group_time` or `imputation`.
    earliest, latest : int or None
        First and last event time wanted.
    """
    times = contrasts.index["event_time"]
    wanted = [
        time
        for time in sorted(set(times))
        if (earliest is None or time >= earliest) and (latest is None or time <= latest)
    ]
    return _averages(contrasts, panel, "event_time", {time: (times == time).to_numpy(bool) for time in wanted})


def by_start(contrasts: Contrasts, panel: Panel) -> Contrasts:
    """Average effect on each cohort over the periods in force."""
    return _averages_in_force(contrasts, panel, "start")


def by_period(contrasts: Contrasts, panel: Panel) -> Contrasts:
    """Average effect in each period on the cohorts in force, weighted by what they stand for."""
    return _averages_in_force(contrasts, panel, "period")


def overall(
    contrasts: Contrasts, panel: Panel, kind: Literal["simple", "event_time", "group", "calendar"] = "simple"
) -> Contrasts:
    """One average over all periods in force (Callaway and Sant'Anna 2021, section 3.2).

    Parameters
    ----------
    contrasts : Contrasts
        Of `group_time` or `imputation`.
    kind : str
        ``simple``: every official and period in force counts alike. ``event_time``, ``calendar``: mean of the averages
        by event time or period. ``group``: mean of the averages by cohort, weighted by what cohorts stand for.
    """
    if kind == "simple":
        return _averages(contrasts, panel, kind, {None: _is_in_force(contrasts)})
    if kind == "group":
        parts = by_start(contrasts, panel)
    elif kind == "calendar":
        parts = by_period(contrasts, panel)
    else:
        parts = by_event_time(contrasts, panel, earliest=0)
    everything = {None: np.ones(len(parts.index), dtype=bool)}
    return _averages(parts, panel, kind, everything, by_size=kind == "group")


def _averages_in_force(contrasts: Contrasts, panel: Panel, by: Literal["start", "period"]) -> Contrasts:
    in_force, values = _is_in_force(contrasts), contrasts.index[by]
    members = {key: in_force & (values == key).to_numpy(bool) for key in sorted(set(values[in_force]))}
    return _averages(contrasts, panel, by, members)


def _averages(
    contrasts: Contrasts, panel: Panel, kind: str, members: Mapping[Any, np.ndarray], *, by_size: bool = True
) -> Contrasts:
    """Averages over sets of contrasts, each counting as its cohort does or (not ``by_size``) all alike."""
    if not members or not all(chosen.any() for chosen in members.values()):
        raise DesignError("no period in force can be estimated", where=kind, fix="take more periods or regions")
    is_member = np.array(list(members.values()), dtype=float)
    is_cohort = np.zeros((len(contrasts.index), len(panel.cohorts)))
    if by_size:
        is_cohort = np.equal.outer(contrasts.index["start"].to_numpy(int), panel.cohorts).astype(float)
    sizes = np.array([panel.weights[panel.starts == start].sum() for start in panel.cohorts]) / panel.weights.sum()
    size = is_cohort @ sizes if by_size else np.ones(len(is_cohort))
    total = is_member @ size
    mix = is_member * size / total[:, None]
    slopes = (is_member[:, :, None] * is_cohort - mix[:, :, None] * (is_member @ is_cohort)[:, None]) / total[
        :, None, None
    ]
    weights = np.tensordot(mix, contrasts.weights, 1)
    parts, inner = contrasts, contrasts.average
    if inner is not None:
        slopes = np.tensordot(mix, inner.slopes, 1) + np.einsum("kpc,pj->kjc", slopes, inner.mix)
        parts, mix = inner.parts, mix @ inner.mix
    return Contrasts(_average_index(kind, tuple(members)), weights, Average(parts, mix, slopes))


@functools.lru_cache(maxsize=64)
def _average_index(kind: str, members: tuple[Any, ...]) -> pd.DataFrame:
    index = pd.DataFrame({"kind": kind}, index=range(len(members))).reindex(columns=INDEX_COLUMNS)
    if kind in INDEX_COLUMNS:
        index[kind] = list(members)
    return index.astype(INDEX_TYPES)


def _is_in_force(contrasts: Contrasts) -> np.ndarray:
    return (contrasts.index["event_time"] >= 0).to_numpy(bool)


def _less_untreated_fit(targets: np.ndarray, panel: Panel, anticipation: int) -> np.ndarray:
    """Weights of the sums that targets ask for, less what the fit on untreated cells expects of them.

    The fit is of region effects, period effects and effects of other reforms, weighted by what regions stand for.
    Region effects are taken out by differences from the region's mean over its untreated cells.
    """
    untreated = _untreated(panel, anticipation)
    count = untreated.sum(axis=1)
    regressors = other_regressors(panel)
    mean = np.einsum("rt,rtp->rp", untreated, regressors) / np.maximum(count, 1)[:, None]
    deviations = regressors - mean[:, None, :]
    fitted_on = np.where(untreated[:, :, None], deviations, 0.0)
    scores = panel.weights[:, None, None] * fitted_on
    cross = np.tensordot(scores, fitted_on, ([0, 1], [0, 1]))
    inverse = np.linalg.pinv(cross, rcond=NEGLIGIBLE, hermitian=True)
    asked = np.tensordot(targets, deviations, 2)
    unknown = np.abs(asked - asked @ inverse @ cross).max(axis=0) > np.sqrt(NEGLIGIBLE)
    if unknown.any():
        names = [
            name for name, is_unknown in zip(panel.exposures, unknown[len(panel.periods) :], strict=True) if is_unknown
        ]
        raise DesignError(
            f"the effect of {', '.join(names)} cannot be told from that of this reform",
            where="panel",
            fix="leave out regions that have both, or name both reforms as one",
        )
    of_region = (targets.sum(axis=2) / np.maximum(count, 1))[:, :, None] * untreated
    return targets - of_region - np.tensordot(asked @ inverse, scores, ([1], [2]))


def other_regressors(panel: Panel) -> np.ndarray:
    """Indicators of periods, then other reforms, shape (R, T, T + reforms)."""
    shape = (*panel.values.shape, len(panel.periods))
    return np.concatenate(
        [np.broadcast_to(np.eye(len(panel.periods)), shape), *(each[:, :, None] for each in panel.exposures.values())],
        axis=2,
    )


def _untreated(panel: Panel, anticipation: int) -> np.ndarray:
    return ~panel.is_ever[:, None] | (panel.event_time < -anticipation)


def _shares(panel: Panel, chosen: np.ndarray) -> np.ndarray:
    return np.where(chosen, panel.weights, 0.0) / panel.weights[chosen].sum()


INDEX_TYPES = {"kind": "str", "start": "Int64", "period": "Int64", "event_time": "Int64"}
INDEX_COLUMNS = list(INDEX_TYPES)


@functools.lru_cache(maxsize=64)  # randomisation asks for the same again and again
def _group_time_index(kind: str, rows: tuple[tuple[int, int], ...]) -> pd.DataFrame:
    start, period = (list(column) for column in zip(*rows, strict=True))
    index = pd.DataFrame({"kind": kind, "start": start, "period": period})
    return index.assign(event_time=index["period"] - index["start"]).astype(INDEX_TYPES)
