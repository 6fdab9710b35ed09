"""Relapses are found soon and seldom cried where there is none, with year-end peaks of an hour; the long run certifies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from certify.rebound import World, rows, single_series, staggered

SEED = 20270
PROMISED = 0.05


@pytest.fixture(scope="module")
def of_regions() -> pd.DataFrame:
    return by_effect(staggered(30, 8), 40)


@pytest.fixture(scope="module")
def of_a_series() -> pd.DataFrame:
    return by_effect(single_series(0.5), 200)


def by_effect(world: World, repetitions: int) -> pd.DataFrame:
    return rows("", world, repetitions, SEED).set_index("effect")


def most_by_chance(repetitions: int) -> float:
    return PROMISED + 3 * np.sqrt(PROMISED * (1 - PROMISED) / repetitions)


def test_regions_seldom_cry_wolf(of_regions: pd.DataFrame) -> None:
    assert of_regions.loc["holds", "by 12"] <= most_by_chance(40)


def test_a_series_with_year_end_peaks_seldom_cries_wolf(of_a_series: pd.DataFrame) -> None:
    assert of_a_series.loc["holds", "by 12"] <= most_by_chance(200)


def test_a_test_in_every_quarter_cries_wolf(of_a_series: pd.DataFrame) -> None:
    assert of_a_series.loc["holds, naive", "by 12"] > 3 * PROMISED


def test_regions_find_a_full_relapse_within_two_quarters_and_a_fading_effect_within_a_year(
    of_regions: pd.DataFrame,
) -> None:
    assert of_regions.loc["all lost after 4 quarters", "delay"] <= 1
    assert of_regions.loc["as scenario e", "delay"] <= 3
    assert of_regions.loc["fades by 0.7", "relapsed"] > 0.9
    assert of_regions.loc["holds", "relapsed"] < 0.2


def test_the_smaller_the_loss_the_later_it_is_found(of_regions: pd.DataFrame) -> None:
    delays = of_regions.loc[[f"{part} lost after 4 quarters" for part in ("all", "half", "a quarter")], "delay"]
    assert delays.is_monotonic_increasing


def test_half_lives_are_in_their_intervals(of_regions: pd.DataFrame) -> None:
    assert (of_regions["covers"].dropna() >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 40)).all()
