"""Forty quarterly looks at no effect, in staggered panels with autocorrelated shocks; the long run certifies them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from certify.looks import LOOKS, STARTS, World, blank, staggered

from analysis_lib.effects.specification_curve import Choices
from analysis_lib.monitoring.repeated_looks import looks_at, repeated_looks

REPETITIONS, SEED = 400, 20268
PLANS = (8, 12)  # looks declared
PROMISED = 0.05
CHANCE = 3 * np.sqrt(PROMISED * (1 - PROMISED) / REPETITIONS)  # three standard errors
FEW = (16, 8)  # counties, and those with the reform: two in each quarter of start


@pytest.fixture(scope="module")
def few() -> pd.DataFrame:
    return by_practice(*FEW)


@pytest.fixture(scope="module", params=["few", (60, 30)], ids=["few counties", "many counties"])
def found(request: pytest.FixtureRequest) -> pd.DataFrame:
    return request.getfixturevalue("few") if request.param == "few" else by_practice(*request.param)


def by_practice(n_counties: int, n_treated: int) -> pd.DataFrame:
    table = staggered(n_counties, n_treated, repetitions=REPETITIONS, seed=SEED, plans=PLANS)
    return table.assign(what=table["what"].str.split(": ").str[1]).set_index("what")


def test_the_sequence_keeps_five_per_cent_over_forty_looks(found: pd.DataFrame) -> None:
    assert found.loc["sequence", "by 40"] <= PROMISED + CHANCE


def test_the_usual_interval_does_not(found: pd.DataFrame) -> None:
    assert found.loc["naive", "by 40"] > 3 * PROMISED


def test_spending_keeps_five_per_cent_over_the_looks_declared(found: pd.DataFrame) -> None:
    for declared in PLANS:
        assert found.loc[f"spending for {declared}, then the sequence", f"by {declared}"] <= PROMISED + CHANCE


def test_past_its_plan_the_sequence_adds_little_and_the_last_bound_much(found: pd.DataFrame) -> None:
    honest = found.loc["spending for 8, then the sequence"]
    reused = found.loc["spending for 8, then its last bound"]
    assert honest["by 40"] - honest["by 8"] < 0.02
    assert reused["by 40"] - reused["by 8"] > 0.03


def test_the_price_is_paid_in_width(found: pd.DataFrame) -> None:
    assert found.loc["sequence", "price"] > 1.5 > found.loc["spending for 12, then the sequence", "price"] >= 1


def test_few_counties_need_students_tails(few: pd.DataFrame) -> None:
    assert few.loc["sequence, normal tails", "by 40"] > 2 * PROMISED


def test_estimated_degrees_of_freedom_fail_where_a_cohort_is_a_pair(few: pd.DataFrame) -> None:
    assert few.loc["sequence", "by 40"] < 0.02 < few.loc["sequence, estimated df", "by 40"]


def test_what_is_simulated_is_what_a_study_does() -> None:
    world = World.of(*FEW)
    values = world.values(2, np.random.default_rng(SEED))
    looked = world.looks(values)
    for draw in range(2):
        panel = replace(blank(world.starts, min(STARTS) + LOOKS), values=values[draw])
        found = looks_at(panel, Choices(estimator="imputation"))
        for name in ("estimate", "se", "df"):
            assert found[name].tolist() == pytest.approx(getattr(looked, name)[draw].tolist())
        assert found["design_df"].tolist() == pytest.approx(looked.design_df.tolist())
        assert repeated_looks(found, smallest_change=0.5)["ci_low"].notna().all()
