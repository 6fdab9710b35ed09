"""Indices of careless answers against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import distance

from analysis_lib.quality.answers import Answers
from analysis_lib.quality.careless import careless_p, even_odd, indices, longstring, mahalanobis

NO = np.nan


@pytest.mark.parametrize(
    ("answers", "run"),
    [([1, 1, 1, 1], 4), ([1, 2, 3, 4], 1), ([1, 1, 2, 2], 2), ([2, 1, 1, 1], 3), ([1, NO, 1, 1], 2), ([NO] * 4, 0)],
)
def test_a_long_string_is_the_longest_run_of_equal_answers(answers, run):
    assert longstring(np.array([answers], dtype=float)).tolist() == [run]


def test_the_distance_is_that_of_mahalanobis():
    values = np.random.default_rng(1).normal(size=(50, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0, 2]])
    inverse = np.linalg.inv(np.cov(values.T))
    wanted = [distance.mahalanobis(row, values.mean(axis=0), inverse) ** 2 for row in values]
    assert mahalanobis(values, values) == pytest.approx(wanted, rel=1e-9)


def test_somebody_at_the_mean_who_left_out_a_question_is_not_far_from_it():
    values = np.random.default_rng(2).normal(size=(50, 3))
    middle = values.mean(axis=0)
    middle[1] = NO
    assert mahalanobis(middle[None], values)[0] == pytest.approx(0)


def test_even_and_odd_items_agree_for_the_consistent_and_not_for_the_others():
    rng = np.random.default_rng(3)
    blocks = [list(range(start, start + 4)) for start in range(0, 24, 4)]
    level = rng.normal(size=(200, 6)).repeat(4, axis=1)
    consistent = level + rng.normal(0, 0.3, level.shape)
    at_random = rng.normal(size=level.shape)
    assert np.median(even_odd(consistent, blocks)) > 0.9
    assert abs(np.median(even_odd(at_random, blocks))) < 0.2
    assert np.isnan(even_odd(consistent, blocks[:2])).all()  # two points have no correlation worth the name


def test_an_index_is_unknown_to_somebody_who_left_out_most_of_its_items():
    values = np.full((2, 6), 3.0)
    values[0, :4] = NO
    answers = Answers(values, list("abcdef"), {"scale 1 to 5": list(range(6))}, np.zeros(2, int), np.arange(2))
    found = indices(values, answers)
    assert np.isnan(found["longstring"][0])
    assert found["longstring"][1] == 6


def test_a_straight_liner_is_found_and_honest_people_are_flagged_as_often_as_was_allowed():
    rng = np.random.default_rng(4)
    n = 2000
    person = rng.normal(0, 0.5, (n, 1))
    values = np.round(3 + person + rng.normal(0, 1.0, (n, 12))).clip(1, 5)
    values[:20] = 4.0
    answers = Answers(
        values, [f"q{i}" for i in range(12)], {"scale 1 to 5": list(range(12))}, np.zeros(n, int), np.arange(n)
    )
    p = careless_p(answers, false_alarm=0.01, rng=rng)
    assert (p.loc[:19, "longstring"] <= 0.01).all()
    assert (p.loc[:19, "variability"] <= 0.01).all()
    for name in ("longstring", "variability", "distance"):
        assert (p.loc[20:, name] <= 0.01).mean() < 0.02
