"""Simulated honest waves keep what the wave has, except that nobody copies."""

from __future__ import annotations

import numpy as np
import pytest

from analysis_lib.quality.answers import Answers
from analysis_lib.quality.null_wave import honest_waves


def made_up(n: int = 3000) -> Answers:
    """Two groups; the first three questions go together, the fourth does not."""
    rng = np.random.default_rng(3)
    cell = np.repeat([0, 1], n // 2)
    common = rng.standard_normal((n, 1))
    values = np.round(1.2 * common * [1, 1, 1, 0] + rng.standard_normal((n, 4)) + 3 + cell[:, None]).clip(1, 5)
    values[rng.random(values.shape) < 0.05] = np.nan
    return Answers(values, list("abcd"), {"scale 1 to 5": [0, 1, 2, 3]}, cell, np.arange(n) // 5)


@pytest.fixture(scope="module")
def pair() -> tuple[Answers, np.ndarray]:
    answers = made_up()
    return answers, next(honest_waves(answers, np.random.default_rng(4)))


def test_every_question_keeps_its_distribution_in_every_group(pair):
    answers, wave = pair
    assert (np.isnan(wave) == np.isnan(answers.values)).all()
    for cell in (0, 1):
        rows = answers.cell == cell
        for item in range(4):
            for answer in range(1, 6):
                share = np.nanmean(np.where(np.isnan(wave[rows, item]), np.nan, wave[rows, item] == answer))
                real = answers.values[rows, item]
                assert share == pytest.approx(np.mean(real[~np.isnan(real)] == answer), abs=0.04)


def test_correlations_survive_the_rounding_to_answers(pair):
    answers, wave = pair
    for cell in (0, 1):
        whole = (answers.cell == cell) & ~np.isnan(answers.values).any(axis=1)
        assert np.corrcoef(wave[whole].T) == pytest.approx(np.corrcoef(answers.values[whole].T), abs=0.07)


def test_the_same_seed_gives_the_same_wave_and_the_next_one_differs():
    answers = made_up(200)
    first, again = (honest_waves(answers, np.random.default_rng(5)) for _ in range(2))
    wave = next(first)
    np.testing.assert_array_equal(wave, next(again))
    assert not np.array_equal(wave, next(first), equal_nan=True)


def test_a_small_group_and_a_question_with_one_answer_do_no_harm():
    values = np.column_stack([np.full(40, 3.0), np.arange(40.0) % 5, np.full(40, np.nan)])
    answers = Answers(values, list("abc"), {}, np.repeat([0, 1, 2], [20, 15, 5]), np.arange(40))
    wave = next(honest_waves(answers, np.random.default_rng(6)))
    assert (wave[:, 0] == 3).all()
    assert np.isnan(wave[:, 2]).all()
