"""Shared answers over all pairs, and units formed again at random, against counting by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from analysis_lib.quality import matching
from analysis_lib.quality.answers import as_codes
from analysis_lib.quality.matching import best_matches, best_matches_of, colleagues, shuffled_units, upper_p_by_size

NO = np.nan


def by_hand(values: np.ndarray, i: int, j: int) -> int:
    return int(sum(a == b for a, b in zip(values[i], values[j], strict=True)))


@pytest.fixture
def wave() -> tuple[np.ndarray, np.ndarray]:
    """Answers of 150 people with gaps, in units of unlike size; one item has more answers than a byte can number."""
    rng = np.random.default_rng(1)
    values = rng.integers(0, 3, (150, 12)).astype(float)
    values[:, 0] = rng.permutation(600)[:150]
    values[rng.random(values.shape) < 0.1] = NO
    return values, rng.integers(0, 30, 150)


def test_the_best_match_is_that_of_every_pair_of_strangers_counted_by_hand(wave, monkeypatch):
    values, unit = wave
    monkeypatch.setattr(matching, "_ROWS", 7)  # many blocks, ragged at the edges
    monkeypatch.setattr(matching, "_COLUMNS", 40)
    wanted = [max(by_hand(values, i, j) for j in range(len(values)) if unit[j] != unit[i]) for i in range(len(values))]
    assert best_matches(as_codes(values), unit).tolist() == wanted
    some = np.array([3, 77, 149])
    anybody = [max(by_hand(values, i, j) for j in range(len(values)) if j != i) for i in some]
    assert best_matches_of(as_codes(values), some).tolist() == anybody


def test_two_missing_answers_are_no_match():
    codes = as_codes(np.array([[NO, 1.0], [NO, 1.0], [NO, 2.0]]))
    assert best_matches(codes, np.array([0, 1, 2])).tolist() == [1, 1, 0]


def test_codes_of_many_answers_take_two_bytes_and_keep_them_apart():
    codes = as_codes(np.arange(1000.0)[:, None])
    assert codes[0].dtype == np.uint16
    assert best_matches(codes, np.arange(1000)).max() == 0


def test_colleagues_are_all_pairs_of_a_unit_and_nobody_else():
    unit = np.array([4, 1, 4, 9, 1, 4])
    first, second = colleagues(unit)
    pairs = {frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}
    assert pairs == {frozenset(pair) for pair in ((1, 4), (0, 2), (0, 5), (2, 5))}
    assert colleagues(np.array([1, 2, 3]))[0].size == 0


def test_shuffled_units_keep_their_sizes_and_their_mixture_of_groups():
    rng = np.random.default_rng(2)
    unit, cell = np.repeat(np.arange(20), 5), rng.integers(0, 3, 100)
    mixture = {(u, c): int(((unit == u) & (cell == c)).sum()) for u, c in itertools.product(range(20), range(3))}
    for shuffled in itertools.islice(shuffled_units(unit, cell, rng), 5):
        assert not (shuffled == unit).all()
        for (u, c), number in mixture.items():
            assert ((shuffled == u) & (cell == c)).sum() == number


def test_a_p_value_is_read_among_units_of_the_same_size():
    p = upper_p_by_size(
        np.array([5.0, 5.0, NO]), np.array([1.0, 2, 3, 6, 7, 8]), np.array([2, 3, 2]), np.array([2, 2, 2, 3, 3, 3])
    )
    assert p[:2].tolist() == [0.25, 1.0]
    assert np.isnan(p[2])
