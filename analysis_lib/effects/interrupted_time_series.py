"""One series, broken by a reform that binds everywhere at once: change of level and slope, with few quarters.

Segmented regression (Wagner et al. 2002; Lopez Bernal, Cummins and Gasparrini 2017). In period t, with k = 1, 2, … the
periods in force (0 before)::

    mean = a + b t + level · [k > 0] + slope · k + season + pandemic + u        cov(u_s, u_t) = σ² φ^|s − t| + S_st

S is the known sampling covariance of the means, σ² and φ those of what moves the true mean besides. A dozen quarters
hardly tell φ, and an interval at its estimate forgets that: it is too short. Here every φ (and σ²) is weighed by its
restricted likelihood, and the interval is that of the mixture of the t (normal, given S) distributions that each of them
implies (Chib 1993). The weight before data, 1 / (1 − φ) on 0 ≤ φ < 0.95, was chosen in simulation, so that the test
holds its size at φ = 0.6 with twelve quarters; it is conservative at φ = 0. `tests/certify` says how far.

There is no clean control: the number rests on the trend before going on unbroken; with a comparison series, on the
difference of the two doing so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import optimize, special, stats
from scipy.optimize import elementwise

from analysis_lib.errors import DesignError, UsageError
from analysis_lib.quarters import QUARTERS_PER_YEAR, Quarter

Season = int | Literal["indicators"]

LEAST_BEFORE, LEAST_AFTER, LEAST_AFTER_SLOPE = 6, 2, 4  # periods without which nothing is said
LEAST_DF = 4
PANDEMIC = ("2020Q1", "2022Q4"), ("2020-01", "2022-12")  # forms and visits of pandemic control, by quarter and month
HIGHEST_PHI = 0.95
REFORM_TERMS = ("level", "slope")


@dataclass(frozen=True, slots=True, eq=False)
class InterruptedSeries:
    """What a segmented regression says, and what it rests on.

    Attributes
    ----------
    effects : pandas.DataFrame
        Rows ``trend`` (per period, before), ``level``, ``slope`` where asked for, and ``average`` (of the effect over
        the periods in force); columns ``estimate``, ``se`` (half the interval over the t quantile), ``df``, ``ci_low``,
        ``ci_high``, ``p_value``. In the unit of the series; counts: of the logarithm of the rate.
    path : pandas.DataFrame
        A row per period: ``observed``, ``fitted``, ``counterfactual`` (the fit without the reform's terms) with
        ``ci_low`` and ``ci_high``. Counts: expected counts.
    identification : str
        ``own_trend``, or ``unexposed_series`` with a comparison series.
    autocorrelation : float
        φ by restricted likelihood, sampling variances left aside; counts: of the residuals, lag one.
    foils : pandas.DataFrame
        The effects as other methods give them, a row per method and term, columns as in ``effects``: ``ols``; ``hac``
        (Newey and West); ``reml`` (least squares at the estimated φ, t). Counts: ``poisson``.
    dispersion : float
        Of counts, Pearson's; NaN otherwise.
    n, n_before, n_after : int
        Periods.
    """

    effects: pd.DataFrame
    path: pd.DataFrame
    identification: Literal["own_trend", "unexposed_series"]
    autocorrelation: float
    foils: pd.DataFrame
    dispersion: float
    n: int
    n_before: int
    n_after: int


def segmented(
    series: pd.DataFrame,
    *,
    start: str,
    comparison: pd.DataFrame | None = None,
    sampling: np.ndarray | None = None,
    slope: bool = False,
    season: Season = "indicators",
    pandemic: bool = True,
    confidence_level: float = 0.95,
) -> InterruptedSeries:
    """Change of level, and of slope where asked for, in a series of means.

    Parameters
    ----------
    series : pandas.DataFrame
        Columns ``period`` (``2025Q1``, or ``2025-01`` for months), ``estimate``, and ``se`` where sampling errors are
        known. Periods may be missing between others.
    start : str
        First period in force.
    comparison : pandas.DataFrame, optional
        A series that the reform does not touch, same columns and periods. The difference is fitted; sampling errors
        count as independent unless ``sampling`` says otherwise.
    sampling : numpy.ndarray, optional
        Sampling covariance of the estimates (of the differences), shape (n, n), in place of ``se``.
    slope : bool
        Whether the reform may change the slope too. Not forced in: with few periods it costs most of the precision.
    season : int or str
        ``indicators`` of the quarters (months) of a year, or the number of harmonics, 0 for none.
    pandemic : bool
        An indicator of 2020Q1–2022Q4 where the series has periods both in and out of it.
    confidence_level : float
        Of the intervals.

    Raises
    ------
    DesignError
        For fewer than `LEAST_BEFORE` periods before, `LEAST_AFTER` (with a slope `LEAST_AFTER_SLOPE`) from the start
        on, fewer than `LEAST_DF` degrees of freedom, or terms that cannot be told apart: a number would mean nothing.
    UsageError
        For missing estimates, or series of different periods.
    """
    rows = series.sort_values("period", ignore_index=True)
    values, variance = rows["estimate"].to_numpy(float), _sampling_variance(rows)
    if comparison is not None:
        others = comparison.sort_values("period", ignore_index=True)
        if list(others["period"]) != list(rows["period"]):
            raise UsageError("the two series have different periods", where="comparison series", fix="align them")
        values, variance = values - others["estimate"].to_numpy(float), variance + _sampling_variance(others)
    if not np.isfinite(values).all():
        raise UsageError("an estimate is missing", where="series", fix="leave out periods without an estimate")
    terms = _Terms.of(list(rows["period"]), start, slope=slope, season=season, pandemic=pandemic)
    errors = np.diag(variance) if sampling is None else sampling
    mixture = _mix(values, terms, errors if np.isfinite(errors).all() else None)
    names, contrasts = terms.contrasts()
    path = mixture.summary(terms.without_reform, confidence_level)
    phi = _restricted_phi(values, terms)
    return InterruptedSeries(
        effects=mixture.summary(contrasts, confidence_level).set_axis(names),
        path=pd.DataFrame(
            {
                "period": rows["period"],
                "observed": values,
                "fitted": mixture.summary(terms.matrix, confidence_level)["estimate"],
                "counterfactual": path["estimate"],
                "ci_low": path["ci_low"],
                "ci_high": path["ci_high"],
            }
        ),
        identification="own_trend" if comparison is None else "unexposed_series",
        autocorrelation=phi,
        foils=_foils(values, terms, phi, confidence_level),
        dispersion=np.nan,
        n=len(values),
        n_before=terms.n_before,
        n_after=terms.n_after,
    )


def segmented_counts(
    series: pd.DataFrame,
    *,
    start: str,
    slope: bool = False,
    season: Season = "indicators",
    pandemic: bool = True,
    confidence_level: float = 0.95,
) -> InterruptedSeries:
    """The same for counts: Poisson regression with what they are counted in as offset, errors by the dispersion.

    Parameters
    ----------
    series : pandas.DataFrame
        Columns ``period``, ``count`` and ``exposure`` (officials, or persons, behind the count).
    start, slope, season, pandemic, confidence_level
        As in `segmented`.

    Returns
    -------
    InterruptedSeries
        ``level`` is the logarithm of the rate ratio. Errors are quasi-Poisson (Pearson's dispersion, never below one),
        t on the residual degrees of freedom; they do not hold autocorrelation, which is given: where it is plainly not
        zero, `segmented` on the logarithm of the rate is the one to use.

    Raises
    ------
    DesignError
        As `segmented`.
    """
    import statsmodels.api as sm

    rows = series.sort_values("period", ignore_index=True)
    terms = _Terms.of(list(rows["period"]), start, slope=slope, season=season, pandemic=pandemic)
    counts, offset = rows["count"].to_numpy(float), np.log(rows["exposure"].to_numpy(float))
    fitted = sm.GLM(counts, terms.matrix, family=sm.families.Poisson(), offset=offset).fit()
    residuals, df = np.asarray(fitted.resid_pearson), float(fitted.df_resid)
    dispersion = float(residuals @ residuals) / df
    beta, unscaled = np.asarray(fitted.params), np.asarray(fitted.cov_params())
    names, contrasts = terms.contrasts()
    reach = float(stats.t.ppf((1 + confidence_level) / 2, df))
    without = offset + terms.without_reform @ beta
    error = np.sqrt(max(1.0, dispersion) * _quadratic(terms.without_reform, unscaled))
    return InterruptedSeries(
        effects=_summary(contrasts @ beta, max(1.0, dispersion) * _quadratic(contrasts, unscaled), df,
                         confidence_level).set_axis(names),
        path=pd.DataFrame(
            {
                "period": rows["period"],
                "observed": counts,
                "fitted": np.asarray(fitted.fittedvalues),
                "counterfactual": np.exp(without),
                "ci_low": np.exp(without - reach * error),
                "ci_high": np.exp(without + reach * error),
            }
        ),
        identification="own_trend",
        autocorrelation=float(residuals[1:] @ residuals[:-1] / (residuals @ residuals)),
        foils=pd.concat({"poisson": _summary(contrasts @ beta, _quadratic(contrasts, unscaled), np.inf,
                                             confidence_level).set_axis(names)}),
        dispersion=dispersion,
        n=len(counts),
        n_before=terms.n_before,
        n_after=terms.n_after,
    )  # fmt: skip


# -- terms --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Terms:
    """The regression's columns: ``matrix`` (n, p), their ``names``, each period's time and periods in force."""

    names: list[str]
    matrix: np.ndarray
    time: np.ndarray
    in_force: np.ndarray

    @classmethod
    def of(cls, periods: list[str], start: str, *, slope: bool, season: Season, pandemic: bool) -> _Terms:
        clocks, per_year = zip(*(_clock(period) for period in [*periods, start]), strict=True)
        if len(set(per_year)) > 1 or len(set(clocks[:-1])) < len(periods):
            raise UsageError("periods of two kinds, or one twice", where="series", fix="a row per quarter or month")
        time = np.array(clocks[:-1])
        in_force = np.clip(time - clocks[-1] + 1, 0, None)
        columns = {"mean": np.ones(len(time)), "trend": time - time.mean(), "level": (in_force > 0).astype(float)}
        if slope:
            columns["slope"] = in_force.astype(float)
        columns |= _season_columns(time, per_year[0], season)
        during = np.array([_is_pandemic(period) for period in periods])
        if pandemic and 0 < during.sum() < len(time):
            columns["pandemic"] = during.astype(float)
        terms = cls(list(columns), np.column_stack(list(columns.values())), time, in_force)
        terms.refuse_too_little()
        return terms

    @property
    def n_before(self) -> int:
        return int((self.in_force == 0).sum())

    @property
    def n_after(self) -> int:
        return int((self.in_force > 0).sum())

    def refuse_too_little(self) -> None:
        before, after = self.n_before, self.n_after
        least_after = LEAST_AFTER_SLOPE if "slope" in self.names else LEAST_AFTER
        if before < LEAST_BEFORE or after < least_after:
            raise DesignError(
                f"{before} periods before and {after} from the start on are too few",
                where="interrupted time series",
                fix=f"wait for {LEAST_BEFORE} before and {least_after} after",
            )
        n, p = self.matrix.shape
        if n - p < LEAST_DF:
            raise DesignError(
                f"{n} periods are too few for {p} terms",
                where="interrupted time series",
                fix="fewer terms (harmonics for the season, no slope), or wait",
            )
        if np.linalg.matrix_rank(self.matrix) < p:
            raise DesignError(
                f"the periods cannot tell these terms apart: {', '.join(self.names)}",
                where="interrupted time series",
                fix="a longer series, or another date",
            )

    def correlation(self, phi: np.ndarray) -> np.ndarray:
        """φ to the power of the periods between, a matrix for each φ."""
        return phi[:, None, None] ** np.abs(np.subtract.outer(self.time, self.time))

    def contrasts(self) -> tuple[list[str], np.ndarray]:
        """The rows that are reported: the trend, the reform's terms, and its average effect."""
        reported = [name for name in ("trend", *REFORM_TERMS) if name in self.names]
        rows = [np.array([float(name == other) for other in self.names]) for name in reported]
        average = (self.matrix - self.without_reform)[self.in_force > 0].mean(axis=0)
        return [*reported, "average"], np.vstack([*rows, average])

    @property
    def without_reform(self) -> np.ndarray:
        """The matrix had there been no reform."""
        return self.matrix * np.array([name not in REFORM_TERMS for name in self.names])


def _clock(period: str) -> tuple[int, int]:
    """Number of a period on an even scale, and how many make a year."""
    month = re.fullmatch(r"(\d{4})-(\d\d)", period)
    if month:
        return int(month[1]) * 12 + int(month[2]) - 1, 12
    quarter = Quarter.parse(period)
    return quarter.year * QUARTERS_PER_YEAR + quarter.number - 1, QUARTERS_PER_YEAR


def _is_pandemic(period: str) -> bool:
    clock, per_year = _clock(period)
    (first, _), (last, _) = map(_clock, PANDEMIC[per_year == 12])
    return first <= clock <= last


def _season_columns(time: np.ndarray, per_year: int, season: Season) -> dict[str, np.ndarray]:
    """Each sums to zero over a year, so that the mean stays that of the year."""
    part = time % per_year
    if season == "indicators":
        return {f"season {k}": (part == k) - 1 / per_year for k in range(1, per_year)}
    angle = 2 * np.pi * (part + 1) / per_year
    waves = {(k, shape): shape(k * angle) for k in range(1, season + 1) for shape in (np.sin, np.cos)}
    return {f"season {i}": wave for i, wave in enumerate(waves.values()) if np.abs(wave).max() > 1e-9}


def _sampling_variance(rows: pd.DataFrame) -> np.ndarray:
    return rows["se"].to_numpy(float) ** 2 if "se" in rows.columns else np.full(len(rows), np.nan)


# -- the mixture over φ and σ² ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Mixture:
    """Distributions of the coefficients at each φ and σ², with their weights.

    ``beta`` (m, p) and ``covariance`` (m, p, p) at each of m points; t with ``df`` (inf: normal) around them.
    """

    weight: np.ndarray
    beta: np.ndarray
    covariance: np.ndarray
    df: float
    residual_df: int

    def summary(self, contrasts: np.ndarray, confidence_level: float) -> pd.DataFrame:
        """Equal-tailed intervals of c'β for each row c of contrasts."""
        centre = self.beta @ contrasts.T
        scale = np.sqrt(np.einsum("kp,mpq,kq->mk", contrasts, self.covariance, contrasts))
        rows = np.arange(len(contrasts))
        low, high = (centre - 60 * scale).min(axis=0), (centre + 60 * scale).max(axis=0)

        def quantile(probability: float) -> np.ndarray:
            return elementwise.find_root(
                lambda x, k: self._cdf(x, centre[:, k], scale[:, k]) - probability, (low, high), args=(rows,)
            ).x

        at_zero = self._cdf(np.zeros(len(contrasts)), centre, scale)
        ci_low, ci_high = quantile((1 - confidence_level) / 2), quantile((1 + confidence_level) / 2)
        return pd.DataFrame(
            {
                "estimate": self.weight @ centre,
                "se": (ci_high - ci_low) / 2 / stats.t.ppf((1 + confidence_level) / 2, self.residual_df),
                "df": float(self.residual_df),
                "ci_low": ci_low,
                "ci_high": ci_high,
                "p_value": 2 * np.minimum(at_zero, 1 - at_zero),
            }
        )

    def _cdf(self, x: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
        standard = (x - centre) / scale
        return self.weight @ (special.ndtr(standard) if np.isinf(self.df) else special.stdtr(self.df, standard))


def _mix(values: np.ndarray, terms: _Terms, sampling: np.ndarray | None) -> _Mixture:
    """Weigh every φ, and every σ² when the sampling covariance is known, by restricted likelihood times prior.

    Without S, σ² is integrated out under 1 / σ²: at each φ the coefficients are t, as in ordinary least squares. With S
    the prior is 1 / (σ² + mean of the sampling variances), the same once S is small.
    """
    n, p = terms.matrix.shape
    steps = 40 if sampling is None else 20
    phi = (np.arange(steps) + 0.5) / steps * HIGHEST_PHI
    correlation, log_prior = terms.correlation(phi), -np.log(1 - phi)
    if sampling is None:
        covariance, df = correlation, float(n - p)
    else:
        typical = float(np.diag(sampling).mean())
        # σ² + typical on an even logarithmic scale, up to where hardly any of it is sampling error: even weights there
        # are the prior.
        spread = float(np.sum((values - terms.matrix @ _least_squares(values, terms)) ** 2)) / (n - p)
        total = np.geomspace(typical, 100 * (typical + spread), 30)
        covariance = ((total - typical)[:, None, None, None] * correlation + sampling).reshape(-1, n, n)
        log_prior, df = np.tile(log_prior, len(total)), np.inf
    beta, unscaled, quadratic, log_determinants = _generalised_least_squares(values, terms.matrix, covariance)
    if sampling is None:
        log_weight = log_prior - log_determinants - df / 2 * np.log(quadratic)
        unscaled = unscaled * (quadratic / df)[:, None, None]
    else:
        log_weight = log_prior - log_determinants - quadratic / 2
    weight = np.exp(log_weight - log_weight.max())
    kept = weight > 1e-8
    return _Mixture(weight[kept] / weight[kept].sum(), beta[kept], unscaled[kept], df, n - p)


def _generalised_least_squares(
    values: np.ndarray, matrix: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each V of a stack: β, (X'V⁻¹X)⁻¹, r'V⁻¹r, and half of log |V| + log |X'V⁻¹X|."""
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(
        root, np.broadcast_to(np.column_stack([matrix, values]), (*root.shape[:2], matrix.shape[1] + 1))
    )
    x, y = white[..., :-1], white[..., -1]
    information = np.swapaxes(x, 1, 2) @ x
    inverse = np.linalg.inv(information)
    beta = np.einsum("mpq,mnq,mn->mp", inverse, x, y)
    residual = y - np.einsum("mnp,mp->mn", x, beta)
    log_determinants = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1) + np.linalg.slogdet(information)[1] / 2
    return beta, inverse, np.sum(residual**2, axis=1), log_determinants


def _least_squares(values: np.ndarray, terms: _Terms) -> np.ndarray:
    return np.linalg.lstsq(terms.matrix, values, rcond=None)[0]


# -- other methods ------------------------------------------------------------------------------------


def _restricted_phi(values: np.ndarray, terms: _Terms) -> float:
    """φ at the maximum of the restricted likelihood, sampling variances left aside."""

    def minus_likelihood(phi: float) -> float:
        _, _, quadratic, log_determinants = _generalised_least_squares(
            values, terms.matrix, terms.correlation(np.array([phi]))
        )
        return float(log_determinants[0] + (len(values) - terms.matrix.shape[1]) / 2 * np.log(quadratic[0]))

    return float(optimize.minimize_scalar(minus_likelihood, bounds=(-0.98, 0.98), method="bounded").x)  # pyright: ignore[reportAttributeAccessIssue]


def _foils(values: np.ndarray, terms: _Terms, phi: float, confidence_level: float) -> pd.DataFrame:
    """What is usually done instead, in the same columns."""
    import statsmodels.api as sm

    n, p = terms.matrix.shape
    names, contrasts = terms.contrasts()
    least_squares = sm.OLS(values, terms.matrix).fit()
    lags = int(np.floor(4 * (n / 100) ** (2 / 9)))  # Newey and West (1994)
    robust = least_squares.get_robustcov_results("HAC", maxlags=lags, use_correction=True, use_t=True)
    beta, unscaled, quadratic, _ = _generalised_least_squares(values, terms.matrix, terms.correlation(np.array([phi])))
    found = {
        "ols": (np.asarray(least_squares.params), np.asarray(least_squares.cov_params())),
        "hac": (np.asarray(robust.params), np.asarray(robust.cov_params())),
        "reml": (beta[0], unscaled[0] * quadratic[0] / (n - p)),
    }
    return pd.concat(
        {
            method: _summary(
                contrasts @ coefficients, _quadratic(contrasts, covariance), n - p, confidence_level
            ).set_axis(names)
            for method, (coefficients, covariance) in found.items()
        }
    )


def _summary(estimate: np.ndarray, variance: np.ndarray, df: float, confidence_level: float) -> pd.DataFrame:
    se = np.sqrt(variance)
    reach = stats.t.ppf((1 + confidence_level) / 2, df) * se
    return pd.DataFrame(
        {
            "estimate": estimate,
            "se": se,
            "df": float(df),
            "ci_low": estimate - reach,
            "ci_high": estimate + reach,
            "p_value": 2 * stats.t.sf(np.abs(estimate / se), df),
        }
    )


def _quadratic(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return np.einsum("kp,pq,kq->k", rows, matrix, rows)
