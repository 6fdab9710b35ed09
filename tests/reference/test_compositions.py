"""Displacement in two real data sets: a trade-off in minutes, and days of parts that add to 24 hours.

sleep75: Biddle and Hamermesh (1990) as printed by Wooldridge, *Introductory Econometrics*, problem 3.3 (estimates) and
4.3 (standard errors). Fairclough et al. (2017): log-ratio regression, the numbers of the data set's README.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis_lib.monitoring.compositions import balance_basis, centre, clr, from_ilr, ilr
from analysis_lib.survey.regression import least_squares

pytestmark = pytest.mark.real_data

WEEK, DAY = 7 * 1440, 1440
BEHAVIOURS = ["sleep", "sed", "lpa", "mvpa"]


def fit(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients, their covariance and R² of ordinary least squares."""
    found = least_squares(x, y)
    squared = found.residuals @ found.residuals
    covariance = found.inverse * squared / (len(y) - x.shape[1])
    return found.coefficients, covariance, 1 - squared / ((y - y.mean()) ** 2).sum()


# -- work and sleep -----------------------------------------------------------------------------------


@pytest.fixture
def sleepers(shared_data) -> pd.DataFrame:
    frame = pd.read_csv(shared_data("sleep75") / "sleep75.csv")
    return frame.assign(rest=WEEK - frame["totwrk"] - frame["sleep"])


def test_an_hour_of_work_costs_nine_minutes_of_sleep(sleepers) -> None:
    x = np.column_stack([np.ones(len(sleepers)), sleepers[["totwrk", "educ", "age"]]])
    coefficients, covariance, r_squared = fit(x, sleepers["sleep"].to_numpy(float))
    assert len(sleepers) == 706
    assert coefficients == pytest.approx([3638.25, -0.148, -11.13, 2.20], abs=0.006)
    assert np.sqrt(np.diag(covariance)) == pytest.approx([112.28, 0.017, 5.88, 1.45], abs=0.006)
    assert r_squared == pytest.approx(0.113, abs=5e-4)


def test_what_work_takes_from_all_parts_of_the_week_is_what_it_takes(sleepers) -> None:
    x = np.column_stack([np.ones(len(sleepers)), sleepers[["totwrk", "educ", "age"]]])
    slopes = {part: fit(x, sleepers[part].to_numpy(float))[0] for part in ("totwrk", "sleep", "rest")}
    assert slopes["totwrk"][1] == pytest.approx(1.0)
    assert sum(slopes.values()) == pytest.approx([WEEK, 0, 0, 0], abs=1e-7)
    a_day = fit(x / [1, 7, 1, 1], sleepers["sleep"].to_numpy(float) / 7)[0]  # minutes a day on minutes a day
    assert a_day[1] == pytest.approx(slopes["sleep"][1])


# -- days of children ---------------------------------------------------------------------------------


@pytest.fixture
def days(shared_data) -> pd.DataFrame:
    return pd.read_csv(shared_data("fairclough_24h") / "fairclough.csv")


def bases() -> list[np.ndarray]:
    """Pivot balances with the parts in two orders, and with all signs turned."""
    basis, order = balance_basis(4), [2, 0, 3, 1]
    turned = np.zeros_like(basis)
    turned[order] = basis
    return [basis, turned, -basis]


def test_the_centre_of_the_days(days) -> None:
    assert len(days) == 169
    parts = days[BEHAVIOURS].to_numpy(float)
    assert parts.sum(axis=1) == pytest.approx(DAY, abs=0.11)
    assert centre(parts, whole=DAY) == pytest.approx([548.57, 510.26, 354.80, 26.36], abs=0.006)


@pytest.mark.parametrize("basis", bases(), ids=["pivot", "other order", "turned"])
def test_fifteen_minutes_moved(days, basis: np.ndarray) -> None:
    parts = days[BEHAVIOURS].to_numpy(float)
    others = days[["decimal_age", "sex"]].to_numpy(float)
    x = np.column_stack([np.ones(len(days)), ilr(parts, basis), others])
    coefficients, covariance, r_squared = fit(x, days["z_bmi"].to_numpy(float))
    assert r_squared == pytest.approx(0.1518, abs=5e-5)
    reach, middle = stats.t.ppf(0.975, len(days) - x.shape[1]), centre(parts, whole=DAY)

    def moved(source: str, target: str) -> list[float]:
        day = middle + 15 * np.array([(name == target) - float(name == source) for name in BEHAVIOURS])
        step = np.zeros(x.shape[1])
        step[1:4] = (ilr(day[None, :], basis) - ilr(middle[None, :], basis))[0]
        estimate, se = step @ coefficients, np.sqrt(step @ covariance @ step)
        return [estimate, estimate - reach * se, estimate + reach * se]

    assert moved("sleep", "mvpa") == pytest.approx([-0.499, -0.706, -0.293], abs=6e-4)
    assert moved("sed", "mvpa") == pytest.approx([-0.448, -0.634, -0.261], abs=6e-4)
    assert moved("lpa", "mvpa") == pytest.approx([-0.513, -0.741, -0.285], abs=6e-4)
    assert moved("mvpa", "sed") == pytest.approx([0.859, 0.504, 1.214], abs=6e-4)


def test_distances_between_days_do_not_depend_on_the_basis(days) -> None:
    parts = days[BEHAVIOURS].to_numpy(float)[:30]
    between = clr(parts)[:, None] - clr(parts)[None, :]
    for basis in bases():
        coordinates = ilr(parts, basis)
        steps = coordinates[:, None] - coordinates[None, :]
        assert (steps**2).sum(axis=2) == pytest.approx((between**2).sum(axis=2))
        back = from_ilr(coordinates, basis, whole=DAY)
        for one, other in itertools.combinations(range(4), 2):
            assert back[:, one] / back[:, other] == pytest.approx(parts[:, one] / parts[:, other])
