"""Segmented regression against the corrected models on the smoking ban of Sicily, and against other implementations.

Truth of the former: the README of the shared data set ``sicily_smoking_ban_its``, R's ``glm`` on the article's own data
(Lopez Bernal, Cummins and Gasparrini 2017). Its intervals are normal; ours use t and are a little longer, so the test
takes the standard error. Of the latter: ``statsmodels`` 0.15 and scipy's normal density.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import linalg, optimize, stats

from analysis_lib.effects.interrupted_time_series import segmented, segmented_counts
from analysis_lib.quarters import Quarter

NORMAL = 1.959963984540054


@pytest.fixture(scope="module")
def sicily(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    rows = pd.read_csv(shared_data("sicily_smoking_ban_its") / "sicily.csv")
    period = rows["year"].astype(str) + "-" + rows["month"].astype(str).str.zfill(2)
    return pd.DataFrame({"period": period, "count": rows["aces"], "exposure": rows["stdpop"]})


def printed(row: pd.Series) -> list[float]:
    reach = NORMAL * row["se"]
    return [round(float(np.exp(row["estimate"] + step)), 3) for step in (0, -reach, reach)]


@pytest.mark.real_data
class TestSicily:
    def test_poisson_step_and_trend(self, sicily):
        found = segmented_counts(sicily, start="2005-01", season=0)
        assert printed(found.foils.loc[("poisson", "level")]) == [0.894, 0.865, 0.925]

    def test_the_same_with_dispersion(self, sicily):
        found = segmented_counts(sicily, start="2005-01", season=0)
        assert printed(found.effects.loc["level"]) == [0.894, 0.839, 0.953]
        assert found.dispersion == pytest.approx(3.56, abs=0.005)

    def test_two_harmonics_of_twelve_months(self, sicily):
        found = segmented_counts(sicily, start="2005-01", season=2)
        assert printed(found.effects.loc["level"]) == [0.885, 0.839, 0.933]
        assert found.dispersion == pytest.approx(2.26, abs=0.005)
        assert np.expm1(12 * found.effects.loc["trend", "estimate"]) == pytest.approx(0.067, abs=0.0005)

    def test_a_change_of_slope_counted_from_the_last_month_before(self, sicily):
        found = segmented_counts(sicily, start="2005-01", season=2, slope=True)
        assert printed(found.effects.loc["level"]) == [0.876, 0.827, 0.929]
        slope = found.effects.loc["slope"]
        assert slope["estimate"] == pytest.approx(0.00148, abs=5e-6)
        assert slope["p_value"] == pytest.approx(0.43, abs=0.005)
        assert (slope["estimate"] / slope["se"]) ** 2 == pytest.approx(0.639, abs=0.0005)

    def test_rates_on_the_logarithm_tell_the_same_story(self, sicily):
        """The fall stays what it is when autocorrelation may be there; the interval is wider."""
        rates = pd.DataFrame({"period": sicily["period"], "estimate": np.log(sicily["count"] / sicily["exposure"])})
        level = segmented(rates, start="2005-01", season=2).effects.loc["level"]
        assert np.exp(level["estimate"]) == pytest.approx(0.885, abs=0.01)
        assert level["se"] > segmented_counts(sicily, start="2005-01", season=2).effects.loc["level", "se"]
        assert level["ci_high"] < 0


@pytest.fixture(scope="module")
def seeded() -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Twenty-four quarters with autocorrelated noise: values, the matrix of trend, level and slope, the series."""
    rng = np.random.default_rng(41)
    t = np.arange(24)
    noise = np.linalg.cholesky(0.4 ** np.abs(np.subtract.outer(t, t))) @ rng.normal(0, 2, 24)
    in_force = np.clip(t - 13, 0, None)
    matrix = np.column_stack([np.ones(24), t - t.mean(), in_force > 0, in_force]).astype(float)
    values = matrix @ [40, 0.3, -5, -0.2] + noise
    periods = [str(Quarter.parse("2023Q1").shift(int(step))) for step in t]
    return values, matrix, pd.DataFrame({"period": periods, "estimate": values})


def fitted(series: pd.DataFrame):
    return segmented(series, start="2026Q3", slope=True, season=0)


def test_autocorrelation_is_where_the_density_of_error_contrasts_is_highest(seeded):
    """Patterson and Thompson (1971): the restricted likelihood is that of N'y with N'X = 0."""
    values, matrix, series = seeded
    null = linalg.null_space(matrix.T)
    contrasts, t = null.T @ values, np.arange(24)

    def minus_density(theta: np.ndarray) -> float:
        covariance = np.exp(theta[1]) * np.tanh(theta[0]) ** np.abs(np.subtract.outer(t, t))
        return -float(stats.multivariate_normal(cov=null.T @ covariance @ null).logpdf(contrasts))

    best = optimize.minimize(minus_density, [0.2, 1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
    assert fitted(series).autocorrelation == pytest.approx(np.tanh(best.x[0]), abs=1e-4)


def test_least_squares_at_that_autocorrelation_is_that_of_statsmodels(seeded):
    values, matrix, series = seeded
    found, t = fitted(series), np.arange(24)
    other = sm.GLS(values, matrix, sigma=found.autocorrelation ** np.abs(np.subtract.outer(t, t))).fit()
    rows = found.foils.loc["reml"].loc[["trend", "level", "slope"]]
    assert rows["estimate"].tolist() == pytest.approx(list(other.params[1:]), rel=1e-9)
    assert rows["se"].tolist() == pytest.approx(list(other.bse[1:]), rel=1e-9)
    assert rows["p_value"].tolist() == pytest.approx(list(other.pvalues[1:]), rel=1e-8)


def test_newey_west_is_its_formula(seeded):
    values, matrix, series = seeded
    residual = values - matrix @ np.linalg.lstsq(matrix, values, rcond=None)[0]
    scores, lags = matrix * residual[:, None], 2  # 4 (24 / 100)^(2/9) = 2.9
    meat = scores.T @ scores
    for lag in range(1, lags + 1):
        cross = scores[lag:].T @ scores[:-lag]
        meat += (1 - lag / (lags + 1)) * (cross + cross.T)
    bread = np.linalg.inv(matrix.T @ matrix)
    se = np.sqrt(np.diag(bread @ meat @ bread) * 24 / 20)
    assert fitted(series).foils.loc["hac"].loc[["trend", "level", "slope"], "se"].tolist() == pytest.approx(
        list(se[1:])
    )


def test_the_interval_is_that_of_draws_from_the_distribution_it_is_taken_from(seeded):
    """φ drawn by its weight, then σ² given φ, then the level given both: quantiles of 400,000 draws."""
    values, matrix, series = seeded
    rng, t, df = np.random.default_rng(7), np.arange(24), 20
    phis = (np.arange(400) + 0.5) / 400 * 0.95
    null = linalg.null_space(matrix.T)
    log_weight, centre, scale, rest = [], [], [], []
    for phi in phis:
        correlation = phi ** np.abs(np.subtract.outer(t, t))
        projected = null.T @ correlation @ null
        quadratic = values @ null @ np.linalg.solve(projected, null.T @ values)
        log_weight.append(-np.log(1 - phi) - np.linalg.slogdet(projected)[1] / 2 - df / 2 * np.log(quadratic))
        fit = sm.GLS(values, matrix, sigma=correlation).fit()
        centre.append(fit.params[2])
        scale.append(np.sqrt(fit.normalized_cov_params[2, 2]))
        rest.append(quadratic)
    weight = np.exp(np.array(log_weight) - max(log_weight))
    which = rng.choice(400, 400_000, p=weight / weight.sum())
    sigma = np.sqrt(np.array(rest)[which] / rng.chisquare(df, len(which)))
    draws = np.array(centre)[which] + np.array(scale)[which] * sigma * rng.standard_normal(len(which))
    level = fitted(series).effects.loc["level"]
    assert [level["ci_low"], level["ci_high"]] == pytest.approx(
        np.quantile(draws, [0.025, 0.975]), abs=0.03 * level["se"]
    )
    assert level["estimate"] == pytest.approx(draws.mean(), abs=0.01 * level["se"])
