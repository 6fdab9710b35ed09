"""Forecasts of simulated series; the long run certifies them (``tests/certify/forecasts.py``)."""

import pytest
from certify.forecasts import recovered

REPETITIONS = 60


@pytest.mark.parametrize("n_quarters", [12, 20, 40])
def test_intervals_hold_what_comes_as_often_as_they_say(n_quarters: int) -> None:
    """95 % meant; four quarters of 60 series lie within 0.90 and 1 (the four go together)."""
    found = recovered("wanders slowly", n_quarters, repetitions=REPETITIONS, seed=5)
    assert 0.90 <= found["coverage"] <= 1.0
    assert found["error"] < found["naive error"]
