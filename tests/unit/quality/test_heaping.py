"""Whipple's index where its value is known."""

from __future__ import annotations

import numpy as np
import pytest

from analysis_lib.quality.heaping import whipple, whole_cycles


def test_evenly_spread_answers_have_an_index_of_one_hundred():
    assert whipple(np.arange(10.0, 60, 0.5), 5, step=0.5) == pytest.approx(100)
    assert whipple(np.arange(23.0, 63), 5, step=1) == pytest.approx(100)


@pytest.mark.parametrize(("base", "step", "most"), [(5, 1, 500), (10, 1, 1000), (5, 0.5, 1000), (1, 0.5, 200)])
def test_answers_on_round_numbers_only_have_the_largest_index(base, step, most):
    values = np.arange(20, 60, base, dtype=float)
    assert whipple(values, base, step=step) == pytest.approx(most)


def test_the_ends_of_a_distribution_are_cut_to_whole_cycles_so_that_no_digit_is_favoured():
    values = np.arange(21.0, 58.0)
    inside = whole_cycles(values, np.ones(len(values)), 5)
    digits = np.bincount(values[inside].astype(int) % 5)
    assert (digits == digits[0]).all()


def test_weights_count_and_missing_answers_do_not():
    values = np.append(np.arange(20.0, 50), np.nan)
    heavy = np.where(values % 5 == 0, 3.0, 1.0)
    assert whipple(values, 5, step=1, weight=np.where(np.isnan(values), 50.0, heavy)) == pytest.approx(100 * 3 / 7 * 5)


def test_without_a_whole_cycle_there_is_no_index():
    assert np.isnan(whipple(np.array([20.0, 21, 22, 23]), 5, step=1))
    assert np.isnan(whipple(np.array([np.nan]), 5, step=1))
