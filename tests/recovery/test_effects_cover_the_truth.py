"""Marginal effects and parts of a change, drawn again and again from known populations; the long run certifies them."""

from __future__ import annotations

import pandas as pd
import pytest
from certify.drivers import recovered_effects, recovered_parts

REPETITIONS = 150
NEAR_NOMINAL = (0.90, 0.99)  # ± 2.8 standard errors of 150 draws about 0.95
NO_BIAS = 0.25  # of a standard error: three standard errors of a mean of 150 draws


@pytest.fixture(scope="module", params=["effects", "parts"])
def found(request: pytest.FixtureRequest) -> pd.DataFrame:
    return {"effects": recovered_effects, "parts": recovered_parts}[request.param](repetitions=REPETITIONS)


def test_intervals_hold_the_truth_as_often_as_they_say(found: pd.DataFrame) -> None:
    assert found["coverage"].between(*NEAR_NOMINAL).all()


def test_there_is_no_bias_to_speak_of_and_standard_errors_are_the_spread(found: pd.DataFrame) -> None:
    assert (found["bias_in_se"].abs() < NO_BIAS).all()
    assert found["se_over_spread"].between(0.8, 1.2).all()
