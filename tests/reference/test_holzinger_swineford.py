"""Nine tests of 301 pupils in two schools (Holzinger and Swineford 1939), as R's lavaan and semTools print their fit.

The data are those that lavaan carries. Fit of one group, of two groups by level and of the robust statistic: lavaan
(Rosseel 2012, Journal of Statistical Software 48, 2); alpha and omega: help page of ``reliability`` of semTools.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.factor_model import Fit, Level, Moments, fit_groups
from analysis_lib.survey.scales import Scale, invariance, reliability

SCALES = (
    Scale("visual", ("x1", "x2", "x3")),
    Scale("textual", ("x4", "x5", "x6")),
    Scale("speed", ("x7", "x8", "x9")),
)
ITEMS = [item for scale in SCALES for item in scale.items]
FACTOR_OF = np.repeat([0, 1, 2], 3)
ALPHA = {"visual": 0.6261171, "textual": 0.8827069, "speed": 0.6884550}
OMEGA = {"visual": 0.6253180, "textual": 0.8851754, "speed": 0.6877600}  # of the model of all three factors


@pytest.fixture(scope="module")
def pupils() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parent / "holzinger_swineford_1939.csv").assign(weight=1.0)


def moments(pupils: pd.DataFrame, by: str = "") -> Moments:
    groups = [rows for _, rows in pupils.groupby(by or (lambda _: 0))]
    return Moments(
        np.array([rows[ITEMS].mean() for rows in groups]),
        np.array([rows[ITEMS].cov(ddof=0) for rows in groups]),
        np.array([float(len(rows)) for rows in groups]),
    )


def figures(fit: Fit) -> list[float]:
    return [round(fit.chi_square, 3), fit.df, round(fit.cfi, 3), round(fit.rmsea, 3)]


def test_one_group_and_its_omegas(pupils) -> None:
    fit = fit_groups(moments(pupils), FACTOR_OF)
    assert figures(fit) == [85.306, 24, 0.931, 0.092]
    for number, key in enumerate(OMEGA):
        common, error = (part[0][number == FACTOR_OF].sum() for part in (fit.loadings, fit.residuals))
        assert common**2 / (common**2 + error) == pytest.approx(OMEGA[key], abs=1e-6)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("configural", [115.851, 48, 0.923, 0.097]),
        ("metric", [124.044, 54, 0.921, 0.093]),
        ("scalar", [164.103, 60, 0.882, 0.107]),
    ],
)
def test_two_schools(pupils, level: Level, expected: list[float]) -> None:
    assert figures(fit_groups(moments(pupils, "school"), FACTOR_OF, level)) == expected


def test_alphas(pupils) -> None:
    for scale in SCALES:
        found = reliability(pupils, scale, design=SurveyDesign()).set_index(["statistic", "item"])
        assert found.loc[("alpha", ""), "estimate"] == pytest.approx(ALPHA[scale.key], abs=5e-8)


def test_what_sampling_does_to_the_statistic(pupils) -> None:
    """lavaan's ``MLM``: 80.872 = 85.306 / 1.055; its moments vary by 1/n, those of a design by 1/(n − 1)."""
    shared = invariance_moments(pupils)
    fit = fit_groups(shared, FACTOR_OF)
    n = shared.n[0]
    assert fit.scaling * (n - 1) / n == pytest.approx(1.055, abs=5e-4)
    assert fit.chi_square / (fit.scaling * (n - 1) / n) == pytest.approx(80.872, abs=5e-4)


def invariance_moments(pupils: pd.DataFrame) -> Moments:
    x = pupils[ITEMS].to_numpy()
    off = x - x.mean(axis=0)
    row, column = np.tril_indices(len(ITEMS))
    values = np.concatenate([off, off[:, row] * off[:, column]], axis=1)
    plain = moments(pupils)
    return Moments(plain.mean, plain.covariance, plain.n, np.cov(values.T) / len(x))


def test_intercepts_differ_by_school_first_of_all_of_the_third_and_seventh_test(pupils) -> None:
    """semTools' partial invariance of these data releases the intercepts of x3 and x7."""
    found = invariance(pupils, SCALES, "school", design=SurveyDesign())
    assert found.steps["outcome"].tolist() == ["cannot_tell", "holds", "fails"]
    assert found.differs[0] == ("scalar", "x3")
    assert found.is_partial
    gains = {
        item: fit_groups(moments(pupils, "school"), FACTOR_OF, "scalar", released=[("scalar", item)]).chi_square
        for item in range(9)
    }
    assert sorted(gains, key=gains.__getitem__)[:2] == [2, 6]
