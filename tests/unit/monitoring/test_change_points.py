"""Change points: steps are found, noise is not cut up, and the segmentation is the best of all."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import UsageError
from analysis_lib.monitoring.change_points import SHORTEST, change_points, described_levels
from analysis_lib.quarters import Quarter

QUARTERS = [str(Quarter(2022, 1).shift(step)) for step in range(16)]


def test_two_steps_are_found_with_their_levels() -> None:
    values = np.repeat([20.0, 16.0, 19.0], [6, 5, 5]) + np.tile([0.1, -0.1], 8)
    found = change_points(QUARTERS, values)
    assert found["first"].tolist() == ["2022Q1", "2023Q3", "2024Q4"]
    assert found["last"].tolist() == ["2023Q2", "2024Q3", "2025Q4"]
    assert found["level"].tolist() == pytest.approx([20.0, 16.0, 19.0], abs=0.05)
    assert found["n"].tolist() == [6, 5, 5]


@pytest.mark.parametrize("values", [np.full(16, 7.0), np.tile([1.0, -1.0], 8)], ids=["constant", "to and fro"])
def test_a_series_without_a_step_is_one_segment(values: np.ndarray) -> None:
    assert change_points(QUARTERS, values)["n"].tolist() == [16]


def test_an_exact_step_needs_no_noise() -> None:
    assert change_points(QUARTERS, np.repeat([5.0, 3.0], 8))["level"].tolist() == [5.0, 3.0]


def test_a_single_odd_quarter_is_not_a_level() -> None:
    values = np.tile([0.1, -0.1], 8)
    values[7] = 30.0
    assert (change_points(QUARTERS, values)["n"] >= SHORTEST).all()


@pytest.mark.parametrize("seed", range(8))
def test_no_segmentation_fits_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, 12) + np.repeat(rng.normal(0, 3, 4), 3)
    found = change_points(QUARTERS[:12], values)
    changes = len(found) - 1
    residual = ((values - np.repeat(found["level"], found["n"])) ** 2).sum()
    others = [
        sum(((part - part.mean()) ** 2).sum() for part in np.split(values, places))
        for places in itertools.combinations(range(1, 12), changes)
        if min(np.diff([0, *places, 12])) >= SHORTEST
    ]
    assert residual == pytest.approx(min(others))


@pytest.mark.parametrize("values", [np.zeros(15), np.array([*range(15), np.nan]), np.zeros(0)])
def test_gaps_are_refused(values: np.ndarray) -> None:
    with pytest.raises(UsageError):
        change_points(QUARTERS, values)


def published(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"measure": "gross", "period": QUARTERS, "value": values})


def test_a_year_end_peak_is_season_and_a_cut_is_a_level() -> None:
    values = np.repeat([24.0, 20.0], 8) + np.tile([0.0, -0.3, 0.3, 2.0], 4)
    found = described_levels(published(values), "gross")
    assert found["first"].tolist() == ["2022Q1", "2024Q1"]
    assert found["level"].tolist() == pytest.approx([24.5, 20.5], abs=0.3)


def test_levels_are_told_of_the_quarters_since_a_gap_alone() -> None:
    values = np.repeat([24.0, 20.0], [7, 9])
    values[6] = np.nan
    found = described_levels(published(values), "gross")
    assert found[["first", "n"]].to_numpy().tolist() == [["2023Q4", 9]]
    values[12] = np.nan
    assert described_levels(published(values), "gross").empty
