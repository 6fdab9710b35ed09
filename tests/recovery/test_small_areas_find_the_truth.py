"""Model estimates of areas find a known truth with less error than direct ones, and say how much."""

from __future__ import annotations

import pytest
from certify.small_areas import certify

REPETITIONS = 60  # 1,800 areas a row: coverage to ± 1.2 points


@pytest.fixture(scope="module")
def certified():
    return certify(REPETITIONS).set_index("what")


@pytest.mark.parametrize("variance", [1, 3, 9])
@pytest.mark.parametrize("kind", ["model", "benchmarked model"])
def test_intervals_hold_the_truth_as_often_as_they_say(certified, kind, variance):
    row = certified.loc[f"small areas, {kind}, model variance {variance}"]
    assert 0.92 <= row["coverage"] <= 0.985
    assert abs(row["bias"]) < 0.3


def test_the_less_areas_differ_the_more_the_model_gains(certified):
    gains = [certified.loc[f"small areas, model, model variance {variance}", "gain"] for variance in (0, 1, 3, 9)]
    assert gains == sorted(gains)
    assert gains[0] < 0.2
    assert gains[-1] < 0.85


def test_areas_that_do_not_differ_get_intervals_that_are_too_wide_never_too_narrow(certified):
    assert certified.loc["small areas, model, model variance 0", "coverage"] > 0.95


def test_a_true_model_passes_its_diagnostics(certified):
    assert certified["passes"].min() > 0.85


def test_averaging_to_the_region_costs_some_of_the_gain(certified):
    for variance in (0, 1, 3, 9):
        tied = certified.loc[f"small areas, benchmarked model, model variance {variance}"]
        free = certified.loc[f"small areas, model, model variance {variance}"]
        assert free["mse"] < tied["mse"] < certified.loc[f"small areas, direct, model variance {variance}", "mse"]
