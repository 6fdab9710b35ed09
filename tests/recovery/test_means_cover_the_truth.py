"""Drawn again and again from a known population, the 95 % interval should hold the truth about 95 times in 100."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import difference, mean, ratio

REPETITIONS = 400
STRATA, TOWNSHIPS, OFFICIALS = 6, 80, 25  # townships per stratum, officials per township
DRAWN_TOWNSHIPS, DRAWN_OFFICIALS = 5, 6
NEAR_NOMINAL = (0.92, 0.98)  # ± 2.7 standard errors of 400 draws about 0.95
DESIGN = SurveyDesign(stratum="stratum", psu="township", weight="weight")


@pytest.fixture(scope="module")
def population() -> pd.DataFrame:
    """Officials of alike townships of unlike strata, in two quarters, the second two hours lower."""
    rng = np.random.default_rng(20260101)
    stratum = np.repeat(np.arange(STRATA), TOWNSHIPS * OFFICIALS)
    township = np.repeat(np.arange(STRATA * TOWNSHIPS), OFFICIALS)
    level = 20 + 3 * stratum + rng.normal(0, 3, STRATA * TOWNSHIPS)[township]
    before = np.maximum(0, level + rng.normal(0, 8, len(level)))
    return pd.DataFrame(
        {
            "stratum": stratum,
            "township": township,
            "before": before,
            "after": np.maximum(0, before - 2 + rng.normal(0, 3, len(level))),
            "work": before + rng.uniform(15, 35, len(level)),
            "is_village": rng.random(len(level)) < 0.4,
        }
    )


def draws(population: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Two-stage samples: townships by stratum, officials by township."""
    rng = np.random.default_rng(7)
    rows = np.arange(len(population)).reshape(STRATA, TOWNSHIPS, OFFICIALS)
    weight = TOWNSHIPS / DRAWN_TOWNSHIPS * OFFICIALS / DRAWN_OFFICIALS
    for _ in range(REPETITIONS):
        townships = rng.permuted(np.tile(np.arange(TOWNSHIPS), (STRATA, 1)), axis=1)[:, :DRAWN_TOWNSHIPS]
        chosen = rows[np.arange(STRATA)[:, None], townships].reshape(-1, OFFICIALS)
        yield population.iloc[rng.permuted(chosen, axis=1)[:, :DRAWN_OFFICIALS].ravel()].assign(weight=weight)


def coverage(found: list[pd.Series], truth: float) -> float:
    return float(np.mean([row["ci_low"] <= truth <= row["ci_high"] for row in found]))


def test_intervals_of_a_mean_a_domain_and_a_ratio_hold_the_truth(population: pd.DataFrame) -> None:
    whole, villages, shares = [], [], []
    for sample in draws(population):
        whole.append(mean(sample, "before", design=DESIGN).iloc[0])
        villages.append(mean(sample, "before", design=DESIGN, where=sample["is_village"]).iloc[0])
        shares.append(ratio(sample, "before", "work", design=DESIGN).iloc[0])
    in_villages = population.loc[population["is_village"], "before"].mean()
    for found, truth in (
        (whole, population["before"].mean()),
        (villages, in_villages),
        (shares, population["before"].sum() / population["work"].sum()),
    ):
        assert NEAR_NOMINAL[0] <= coverage(found, truth) <= NEAR_NOMINAL[1]
        spread = np.std([row["estimate"] for row in found])
        assert np.sqrt(np.mean([row["se"] ** 2 for row in found])) == pytest.approx(spread, rel=0.12)


def test_intervals_of_a_change_in_a_panel_hold_the_truth(population: pd.DataFrame) -> None:
    found = []
    for sample in draws(population):
        both = pd.concat(
            [sample.assign(hours=sample[quarter], is_after=quarter == "after") for quarter in ("before", "after")],
            ignore_index=True,
        )
        found.append(
            difference(both, "hours", design=DESIGN, earlier=~both["is_after"], later=both["is_after"]).iloc[0]
        )
    truth = population["after"].mean() - population["before"].mean()
    assert NEAR_NOMINAL[0] <= coverage(found, truth) <= NEAR_NOMINAL[1]


def test_forgetting_the_townships_covers_far_less_than_it_says(population: pd.DataFrame) -> None:
    """The reason why the design is carried along: the same data as if drawn one by one."""
    alone = SurveyDesign(stratum="stratum", weight="weight")
    found = [mean(sample, "before", design=alone).iloc[0] for sample in draws(population)]
    assert coverage(found, population["before"].mean()) < NEAR_NOMINAL[0]
