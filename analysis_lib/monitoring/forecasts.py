"""Forecasts of the next year of a quarterly series with honest intervals, and how earlier ones fared.

The series is a level that wanders, a season that repeats, something of each quarter's own, and sampling error::

    y_t = level_t + season_t + own_t + sampling_t     sampling_t ~ N(0, se_t²), known from the survey
    level_t = level_{t−1} + step_t                    step_t ~ N(0, σ²)        own_t ~ N(0, τ²)

A dozen quarters hardly tell σ and τ, and plugging in their best values makes intervals that are far too short. So the
forecast is averaged over a grid of both, each weighed by its likelihood and a weak prior (half-Cauchy, its scale the
typical sampling error: Gelman 2006). No trend is carried on: over four quarters that adds more error than it
takes away. Reforms to come, and changes of the questionnaire, are not foreseen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats
from statsmodels.tsa.statespace.structural import UnobservedComponents

from analysis_lib.errors import DesignError
from analysis_lib.quarters import QUARTERS_PER_YEAR, Quarter
from analysis_lib.study import NATION
from analysis_lib.tables.contracts import CONTRACTS, check

HORIZON = QUARTERS_PER_YEAR
LEAST = 2 * QUARTERS_PER_YEAR  # quarters: fewer do not tell the season from chance
SPREADS = np.concatenate([[0.0], np.geomspace(0.1, 10, 15)])  # σ and τ, as multiples of the typical sampling error

INNER_LEVEL = 0.8  # of a second, narrower interval: whether intervals are honest is sooner seen of it

BY_FORECAST, BY_INNER, BY_SCORE = "forecast", "forecast_inner", "forecast_score"
BY_PUBLISHED, BY_PUBLISHED_INNER = "published", "published_inner"  # forecasts of earlier releases, as printed
ERROR, NAIVE_ERROR, COVERED, INTERVAL_SCORE, NAIVE = "error", "naive_error", "covered", "interval_score", "naive"
SCORES = (ERROR, NAIVE_ERROR, COVERED, INTERVAL_SCORE)


def forecast(series: pd.DataFrame, *, horizon: int = HORIZON, confidence_level: float = 0.95) -> pd.DataFrame:
    """Means and intervals of the quarters to come, as they will be measured.

    Parameters
    ----------
    series : pandas.DataFrame
        ``period`` (``2025Q1``, in order, none left out), ``estimate`` (missing where nothing was measured) and ``se``
        (sampling error).
    horizon : int
        Quarters ahead.

    Returns
    -------
    pandas.DataFrame
        ``period``, ``horizon``, ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``inner_low``, ``inner_high`` (of
        `INNER_LEVEL`). Intervals are for the estimate that will be published, so they hold the sampling error of that
        quarter too, taken to be that of the last year.

    Raises
    ------
    DesignError
        When quarters are left out, or fewer than two years were measured.

    Notes
    -----
    State space form and exact diffuse start by statsmodels (Durbin and Koopman 2012); interval from the quantiles of
    the mixture. Sampling errors are taken to be independent between quarters: where a panel is kept they are not, and
    the level is then known a little better than said.

    References
    ----------
    Durbin and Koopman (2012), Time Series Analysis by State Space Methods. Gelman (2006), Bayesian Analysis 1, 515–534.
    """
    quarters = [Quarter.parse(period) for period in series["period"]]
    if any(later != earlier.shift(1) for earlier, later in itertools.pairwise(quarters)):
        raise DesignError("quarters are missing or out of order", where="forecast", fix="give every quarter, in order")
    values, errors = series["estimate"].to_numpy(float), series["se"].to_numpy(float)
    is_known = np.isfinite(values) & (errors > 0)
    if is_known.sum() < LEAST or len({quarter.number for quarter in itertools.compress(quarters, is_known)}) < HORIZON:
        raise DesignError(
            f"{is_known.sum()} quarters measured; a forecast needs {LEAST}, and every season",
            where="forecast",
            fix="wait for more quarters",
        )
    means, variances, weights = _mixture(values, errors, is_known, horizon)
    mean = weights @ means
    spread = np.sqrt(weights @ (variances + means**2) - mean**2)
    tails = [(1 - level) / 2 for level in (confidence_level, INNER_LEVEL)]
    low, high, inner_low, inner_high = (
        [_quantile(means[:, step], np.sqrt(variances[:, step]), weights, p) for step in range(horizon)]
        for tail in tails
        for p in (tail, 1 - tail)
    )
    return pd.DataFrame(
        {
            "period": [str(quarters[-1].shift(step)) for step in range(1, horizon + 1)],
            "horizon": range(1, horizon + 1),
            "estimate": mean,
            "se": spread,
            "ci_low": low,
            "ci_high": high,
            "inner_low": inner_low,
            "inner_high": inner_high,
        }
    )


def score_origins(series: pd.DataFrame, *, horizon: int = HORIZON, confidence_level: float = 0.95) -> pd.DataFrame:
    """Forecasts made anew as of each earlier quarter, from the quarters up to it, beside what came.

    Returns
    -------
    pandas.DataFrame
        A row for each quarter it was made in and each quarter ahead that has come: ``made_in``, ``period``, ``horizon``,
        ``error`` and ``naive_error`` (absolute; naive is the same quarter last year), ``covered`` (one or zero),
        ``interval_score`` (width, plus what lies outside times two over the chance allowed: Gneiting and Raftery 2007).

    Notes
    -----
    Made from the series as known today, where revisions since are part of what was known; the ledger keeps what was
    truly said.
    """
    came = dict(zip(series["period"], series["estimate"], strict=True))
    rows = []
    for end in range(LEAST, len(series)):
        known = series.iloc[:end]
        try:
            made = forecast(known, horizon=horizon, confidence_level=confidence_level)
        except DesignError:
            continue
        for row in made.to_dict("records"):
            truth = came.get(row["period"], math.nan)
            naive = came.get(str(Quarter.parse(row["period"]).shift(-QUARTERS_PER_YEAR)), math.nan)
            if math.isnan(truth):
                continue
            rows.append(
                {
                    "made_in": known["period"].iloc[-1],
                    "period": row["period"],
                    "horizon": row["horizon"],
                    ERROR: abs(row["estimate"] - truth),
                    NAIVE_ERROR: abs(naive - truth),
                    COVERED: float(row["ci_low"] <= truth <= row["ci_high"]),
                    INTERVAL_SCORE: interval_score(row["ci_low"], row["ci_high"], truth, confidence_level),
                }
            )
    return pd.DataFrame(rows, columns=pd.Index(["made_in", "period", "horizon", *SCORES]))


def interval_score(low: float, high: float, came: float, confidence_level: float) -> float:
    """Width of an interval, plus two over the chance allowed times how far what came lies outside; less is better.

    >>> round(interval_score(1.0, 3.0, 3.1, 0.95), 6)
    6.0
    """
    return high - low + 2 / (1 - confidence_level) * max(low - came, came - high, 0.0)


def forecast_tables(
    series: pd.DataFrame, measures: Sequence[str], *, confidence_level: float = 0.95
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Forecasts and scores of the measures of a series, as rows of the contract ``estimates``.

    Parameters
    ----------
    series : pandas.DataFrame
        Contract ``estimates``: means by quarter, of one region.

    Returns
    -------
    tuple of pandas.DataFrame, pandas.DataFrame and dict of str to str
        Forecasts: ``by`` is ``forecast``, or ``forecast_inner`` with the inner interval, ``period`` the quarter
        foreseen, ``category`` is ``<quarter it was made in>.<quarters ahead>``. Scores: ``by`` is ``forecast_score``, ``category`` what is scored (`SCORES`: means over all
        quarters foreseen, or the share ``covered``). Measure → why it has no forecast.
    """
    forecasts, scores, impossible = [], [], {}
    for key in measures:
        rows = series[(series["measure"] == key) & (series["by"] == "")].sort_values("period", ignore_index=True)
        try:
            made = forecast(rows, confidence_level=confidence_level)
        except DesignError as error:
            impossible[key] = str(error)
            continue
        last = rows[rows["estimate"].notna()].iloc[-1]
        common = {name: last[name] for name in ("measure", "unit", "region", "n", "n_psu")}
        common |= {"statistic": "effect", "df": math.nan, "deff": math.nan, "residual_df": float(last["n"])}
        made_in = rows["period"].iloc[-1]
        forecasts += [
            common
            | {"by": by, "category": f"{made_in}.{row['horizon']}", "ci_low": row[low], "ci_high": row[high]}
            | {name: row[name] for name in ("period", "estimate", "se")}
            for by, low, high in ((BY_FORECAST, "ci_low", "ci_high"), (BY_INNER, "inner_low", "inner_high"))
            for row in made.to_dict("records")
        ]
        tried = score_origins(rows, confidence_level=confidence_level)
        if len(tried):
            ends = {"by": BY_SCORE, "period": f"{tried['period'].min()}–{tried['period'].max()}",
                    "se": math.nan, "ci_low": math.nan, "ci_high": math.nan}  # fmt: skip
            scores += [
                common
                | ends
                | {"category": name, "estimate": float(tried[name].mean()),
                   "unit": "share" if name == COVERED else common["unit"]}
                for name in SCORES
            ]  # fmt: skip
    return _as_rows(forecasts), _as_rows(scores), impossible


def published_table(forecasts: Iterable[Mapping[str, Any]], *, until: str) -> pd.DataFrame:
    """Forecasts of earlier releases whose quarter has come, as rows of the contract ``estimates``: public numbers.

    Parameters
    ----------
    forecasts : iterable of mapping
        As the ledger gives them: ``measure``, ``unit``, ``period``, ``ahead``, ``release``, ``value`` and the ends of
        its intervals.
    until : str
        The quarter under report.

    Returns
    -------
    pandas.DataFrame
        ``by`` is ``published``, or ``published_inner`` with the inner interval; ``category`` is
        ``<quarters ahead>.<release>``.
    """
    kinds = ((BY_PUBLISHED, "ci_low", "ci_high"), (BY_PUBLISHED_INNER, "inner_low", "inner_high"))
    return _as_rows(
        [
            {
                "measure": each["measure"], "unit": each["unit"], "statistic": "claim", "region": NATION, "by": by,
                "category": f"{each['ahead']}.{each['release']}", "period": each["period"], "estimate": each["value"],
                "ci_low": each[low], "ci_high": each[high], "n": 0, "n_psu": 0,
            }
            for each in forecasts
            for by, low, high in kinds
            if each["period"] <= until and low in each
        ]
    )  # fmt: skip


def _as_rows(rows: list[dict]) -> pd.DataFrame:
    kinds = {name: str(column.dtype) for name, column in CONTRACTS["estimates"].schema.columns.items()}
    kinds |= {"residual_df": "float64"}
    return check(pd.DataFrame(rows, columns=pd.Index(list(kinds))).astype(kinds), "estimates")


def _mixture(
    values: np.ndarray, errors: np.ndarray, is_known: np.ndarray, horizon: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means and variances of the quarters to come for each σ and τ, shape (pairs, horizon), and the pairs' weights."""
    variances = np.where(is_known, errors, 1.0) ** 2
    scale = float(np.median(errors[is_known]))
    to_come = variances[is_known][-QUARTERS_PER_YEAR:].mean()
    sampling = np.concatenate([variances, np.full(horizon, to_come)])
    observed = np.concatenate([np.where(is_known, values, np.nan), np.full(horizon, np.nan)])
    model = UnobservedComponents(
        observed,
        level="rwalk",  # pyright: ignore[reportArgumentType]
        seasonal=QUARTERS_PER_YEAR,
        stochastic_seasonal=False,
        use_exact_diffuse=True,
    )
    means, spreads, scores = [], [], []
    prior = _log_prior()
    for (level, of_level), (own, of_own) in itertools.product(zip(SPREADS, prior, strict=True), repeat=2):
        model.ssm["obs_cov"] = (sampling + (own * scale) ** 2)[None, None, :]
        model.update([(level * scale) ** 2])
        filtered = model.ssm.filter()
        means.append(filtered.forecasts[0, -horizon:])
        spreads.append(filtered.forecasts_error_cov[0, 0, -horizon:])
        scores.append(filtered.llf + of_level + of_own)
    weights = np.exp(np.array(scores) - max(scores))
    return np.array(means), np.array(spreads), weights / weights.sum()


def _log_prior() -> np.ndarray:
    """Logarithm of the half-Cauchy's mass around each point of the grid."""
    edges = np.concatenate([[0.0], (SPREADS[1:] + SPREADS[:-1]) / 2, [np.inf]])
    return np.log(np.diff(stats.halfcauchy.cdf(edges)))


def _quantile(means: np.ndarray, spreads: np.ndarray, weights: np.ndarray, p: float) -> float:
    """Quantile of a mixture of normal distributions."""
    ends = stats.norm.ppf(p, means, spreads)
    found = optimize.root_scalar(
        lambda x: weights @ stats.norm.cdf(x, means, spreads) - p, bracket=(ends.min() - 1e-9, ends.max() + 1e-9)
    )
    return float(found.root)
