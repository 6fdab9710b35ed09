"""Sensitivity to broken parallel trends against the R package HonestDiD, to the digits printed.

Truth: ``honestdid_published`` of the shared data set ``ehec_medicaid``: states that expanded Medicaid in 2014 against
states that had not by 2015, the effect in 2014, five years before it. The package was given the event study of fixest::

    feols(dins ~ i(year, D, ref = 2013) | stfips + year, data = through_2015, cluster = "stfips")
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from analysis_lib.effects.sensitivity import EventStudy, breakdown, relative_magnitudes, smoothness

pytestmark = pytest.mark.real_data

YEARS = ["2008", "2009", "2010", "2011", "2012", "2014", "2015"]  # before and after 2013
MAGNITUDES = ["0.5", "1.0", "1.5", "2.0"]
BENDS = ["0.00", "0.01", "0.02", "0.03", "0.04", "0.05"]


@pytest.fixture(scope="module")
def expected(shared_data: Callable[[str], Path]) -> dict:
    return json.loads((shared_data("ehec_medicaid") / "expected.json").read_text())


@pytest.fixture(scope="module")
def study(shared_data: Callable[[str], Path]) -> EventStudy:
    data = pd.read_csv(shared_data("ehec_medicaid") / "ehec_data.csv")
    data = data[(data["year"] < 2016) & (data["yexp2"] != 2015)]
    has_expanded = (data["yexp2"] == 2014).to_numpy(float)
    effects = [f"effect_{year}" for year in YEARS]
    design = pd.get_dummies(data[["stfips", "year"]].astype(str), drop_first=True).astype(float).assign(constant=1.0)
    for name, year in zip(effects, YEARS, strict=True):
        design[name] = has_expanded * (data["year"] == int(year))
    fit = sm.OLS(data["dins"], design).fit(cov_type="cluster", cov_kwds={"groups": pd.factorize(data["stfips"])[0]})
    # States are nested in the clusters, and fixest does not count their effects among the coefficients.
    counted = len(effects) + data["year"].nunique()
    factor = (len(data) - design.shape[1]) / (len(data) - counted)
    estimates = fit.params[effects].to_numpy()
    covariance = fit.cov_params().loc[effects, effects].to_numpy() * factor
    return EventStudy(estimates[:5], estimates[5:], covariance, target=np.array([1.0, 0.0]))


def test_the_event_study_that_the_package_was_given(study, expected) -> None:
    truth = np.array([expected["event_study_2014_cohort_vs_untreated_through_2015"][year] for year in YEARS])
    assert study.path == pytest.approx(truth[:, 0], abs=1e-7)
    assert np.sqrt(np.diag(study.covariance)) == pytest.approx(truth[:, 1], abs=1e-7)


@pytest.mark.parametrize("bound", MAGNITUDES)
def test_relative_magnitudes(study, expected, bound) -> None:
    """createSensitivityResults_relativeMagnitudes(betahat, sigma, 5, 2, Mbarvec = seq(0.5, 2, by = 0.5))"""
    truth = expected["honestdid_published"]["relative_magnitudes_C-LF"][bound]
    assert np.round(relative_magnitudes(study, float(bound)), 3).tolist() == truth


@pytest.mark.parametrize("bound", BENDS)
def test_smoothness(study, expected, bound) -> None:
    """createSensitivityResults(betahat, sigma, 5, 2, Mvec = seq(0, 0.05, by = 0.01))"""
    truth = expected["honestdid_published"]["smoothness_FLCI"][bound]
    assert np.round(smoothness(study, float(bound)), 3).tolist() == truth


def test_the_effect_breaks_down_just_under_twice_the_largest_step_before(study) -> None:
    assert 1.9 < breakdown(study) < 2
