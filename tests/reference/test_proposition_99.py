"""Cigarette sales in California: the published effects of Proposition 99, and the standard errors down to the draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis_lib.effects.panel import Panel
from analysis_lib.effects.synthetic_control import Kind, Synthetic, synthetic

pytestmark = pytest.mark.real_data

# Arkhangelsky et al. (2021), table 1, and points to four digits by two other programs.
PUBLISHED: dict[Kind, tuple[float, float]] = {
    "synthetic_difference": (-15.6038, 8.4),
    "synthetic_control": (-19.6197, 9.9),
    "difference": (-27.3491, 17.7),
}
SEED, DRAWS = 12345, 200  # of the paper's own code


@pytest.fixture(scope="module", params=list(PUBLISHED))
def found(request: pytest.FixtureRequest, shared_data: Callable[[str], Path]) -> Synthetic:
    frame = pd.read_csv(shared_data("prop99") / "california_prop99.csv", sep=";")
    frame["start"] = np.where(frame["State"] == "California", 1989, 0)
    panel = Panel.of(frame, region="State", period="Year", value="PacksPerCapita", start="start")
    return synthetic(panel, kind=request.param)


def test_the_effect(found: Synthetic) -> None:
    assert found.estimate == pytest.approx(PUBLISHED[found.kind][0], abs=5.1e-5)


def test_the_printed_standard_error_is_that_of_200_of_our_placebos(found: Synthetic) -> None:
    """The paper draws placebo states with replacement; ours takes each of the 38 once, which is what draws estimate."""
    drawn = found.placebos[last_of_shuffles(len(found.placebos), DRAWS, SEED)]
    assert drawn.std() == pytest.approx(PUBLISHED[found.kind][1], abs=0.0501)
    assert found.se == found.placebos.std()


def test_random_numbers_are_those_of_r() -> None:
    assert last_of_shuffles(10, 1, seed=42) == [2]  # set.seed(42); sample(10) ends in 3


def last_of_shuffles(n: int, draws: int, seed: int) -> list[int]:
    """Where R's ``sample(n)`` puts last, from 0: Mersenne Twister, its seed scrambled as there, rejection sampling."""
    numbers = [seed]
    for _ in range(50 + 625):
        numbers.append((69069 * numbers[-1] + 1) % 2**32)
    twister = np.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": np.array(numbers[52:], np.uint32), "pos": 624}}

    def below(end: int) -> int:
        bits = math.ceil(math.log2(end))
        while True:
            number = 0
            for _ in range(0, bits + 1, 16):
                number = number << 16 | int(twister.random_raw()) >> 16
            number &= (1 << bits) - 1
            if number < end:
                return number

    found = []
    for _ in range(draws):
        left, last = list(range(n)), 0
        for end in range(n, 0, -1):
            place = below(end)
            last, left[place] = left[place], left[end - 1]
        found.append(last)
    return found
