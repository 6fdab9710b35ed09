"""One series with a known break, made up again and again in few quarters; the long run certifies it."""

from __future__ import annotations

import pandas as pd
import pytest
from certify.single_series import interrupted_series

REPETITIONS, SEED = 150, 7
WORLDS = [(12, 0.3, False), (12, 0.6, False), (20, 0.3, True)]  # quarters, autocorrelation, known sampling errors


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    frames = [interrupted_series(*world, REPETITIONS, SEED + place) for place, world in enumerate(WORLDS)]
    rows = pd.concat(frames, ignore_index=True)
    return rows.assign(method=rows["what"].str.split(": ").str[-1])


def test_intervals_hold_the_truth_and_are_no_wider_than_that_takes(found: pd.DataFrame) -> None:
    ours = found[found["method"] == "ours"]
    assert len(ours) == len(WORLDS)
    assert ours["coverage"].between(0.90, 0.995).all()  # from 2.8 standard errors below 0.95
    assert (ours["se"] / ours["sd"]).between(0.85, 1.3).all()


def test_there_is_no_bias_to_speak_of(found: pd.DataFrame) -> None:
    assert (found["bias"].abs() < 3.5 * found["sd"] / REPETITIONS**0.5).all()


def test_what_others_would_do_says_too_much(found: pd.DataFrame) -> None:
    foils = found[found["method"] != "ours"]
    assert set(foils["method"]) == {"ols", "hac", "reml"}
    assert (foils["coverage"] < 0.92).all()
