"""Staggered reforms with known effects, made up again and again; the long run certifies them."""

from __future__ import annotations

import pandas as pd
import pytest
from certify.effects import VARIANTS, certified, certified_randomisation

REPETITIONS, SEED = 400, 5
NEAR_NOMINAL = (0.92, 0.98)  # ± 2.8 standard errors of 400 draws about 0.95


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    names = ["a, no effect", "b, growing", "e, rebounding"]
    frames = [certified(name, n_treated, REPETITIONS, SEED) for name in names for n_treated in (10, 30)]
    frames += [certified("b, constant", 30, REPETITIONS, SEED, variant=what) for what in VARIANTS]
    return pd.concat(frames, ignore_index=True)


def test_intervals_hold_the_truth_as_often_as_they_say(found: pd.DataFrame) -> None:
    assert found["coverage"].between(*NEAR_NOMINAL).all()


def test_no_bias_and_standard_errors_are_the_spread(found: pd.DataFrame) -> None:
    assert (found["bias"].abs() < 3.5 * found["sd"] / REPETITIONS**0.5).all()
    assert (found["se"] / found["sd"]).between(0.85, 1.15).all()


def test_three_regions_of_six_are_tested_at_the_size_that_is_said() -> None:
    row = certified_randomisation("a, no effect", (4, 6, 8), 200, SEED).iloc[0]
    assert row["size"] <= 0.10
    assert row["coverage"] == pytest.approx(1 - row["size"])
