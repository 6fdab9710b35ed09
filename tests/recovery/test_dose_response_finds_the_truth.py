"""Effects that go, or do not go, with the burden before; made up again and again; the long run certifies them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from certify.dose_response import World, certified, draws
from certify.effects import REGION_SPREAD, blank

from analysis_lib.effects.dose_response import dose_response

REPETITIONS, SEED = 400, 11
NEAR_NOMINAL = (0.92, 0.98)  # ± 2.8 standard errors of 400 draws about 0.95


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    names = ["alike everywhere", "a fifth of the burden", "a fifth, three in four answer again",
             "a fifth, another reform taken out"]  # fmt: skip
    frames = [certified(name, (30, 30), REPETITIONS, SEED) for name in names]
    return pd.concat([*frames, certified("alike everywhere", (12, 18), REPETITIONS, SEED)], ignore_index=True)


def test_intervals_hold_the_slope_as_often_as_they_say(found: pd.DataFrame) -> None:
    assert found["coverage_told"].between(*NEAR_NOMINAL).all()
    assert found["placebo"].between(*NEAR_NOMINAL).all()


def test_the_slope_is_near_the_truth_and_thirds_are_covered(found: pd.DataFrame) -> None:
    # −0.02 are owed to shocks that last from one half to the other; a median of 400 draws may err by 0.02.
    assert (found["median_error"] + 0.02).abs().max() < 0.04
    assert (found["thirds"] > NEAR_NOMINAL[0]).all()


def test_a_change_by_the_level_that_it_is_counted_from_finds_a_slope_where_there_is_none() -> None:
    world, rng = World(persistence=0.0, shock=REGION_SPREAD), np.random.default_rng(SEED)
    naive, split = [], []
    for panel, _ in draws(world, blank(30, 30, rng), 100, rng):
        treated = list(zip(panel.values, panel.starts, strict=True))[:30]
        before, after = np.array([[row[:start].mean(), row[start:].mean()] for row, start in treated]).T
        cohort = np.equal.outer(panel.starts[:30], panel.cohorts).astype(float)
        naive.append(np.linalg.lstsq(np.column_stack([before, cohort]), after - before)[0][0])
        split.append(dose_response(panel).slope.estimate)
    assert np.median(naive) < -0.12  # noise is 4.6 ÷ 5 of a variance of 4 + 4.6 ÷ 5
    assert abs(np.median(split)) < 0.09  # 3 standard errors of the median
