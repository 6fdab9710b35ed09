"""Calibrated means, replicate weights, medians and slopes in samples from a known population."""

from __future__ import annotations

import pandas as pd
import pytest
from certify.weights import certify

REPETITIONS = 100  # coverage to ± 2.2 points


@pytest.fixture(scope="module")
def certified() -> pd.DataFrame:
    return certify(REPETITIONS).set_index("what")


@pytest.mark.parametrize(
    "what",
    [
        "mean, calibrated to the tier",
        "median",
        "regression coefficient",
        "mean, jackknife",
        "mean, half-samples",
        "mean, bootstrap",
        "median, bootstrap",
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(certified: pd.DataFrame, what: str) -> None:
    row = certified.loc[what]
    assert 0.90 <= row["coverage"] <= 0.99
    assert abs(row["bias_in_se"]) < 0.3
    assert row["se_ratio"] == pytest.approx(1, abs=0.2)


def test_without_margins_a_response_that_differs_by_tier_biases_the_mean(certified: pd.DataFrame) -> None:
    assert certified.loc["mean, not calibrated", "coverage"] < 0.7
    assert certified.loc["mean, not calibrated", "bias_in_se"] > 1.5


def test_margins_also_make_the_mean_more_precise(certified: pd.DataFrame) -> None:
    spread = certified["spread"]
    assert spread["mean, calibrated to the tier"] < 0.95 * spread["mean, not calibrated"]
