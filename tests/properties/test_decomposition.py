"""What must hold for the parts of any difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.survey.decomposition import decompose_means

MANY = settings(max_examples=150, deadline=None)


@st.composite
def two_groups(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, columns (some of them constant, repeated or empty in a group), weights (some zero), side."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, k = draw(st.integers(2, 60)), draw(st.integers(0, 5))
    x = np.column_stack([np.ones(n), rng.poisson(3, (n, k)).astype(float)])
    if k and draw(st.booleans()):
        x[:, 1] = draw(st.sampled_from([0.0, 1.0]))
    if k > 1 and draw(st.booleans()):
        x[:, 2] = x[:, 1]
    weight = rng.uniform(0.1, 50, n) * (rng.random(n) < draw(st.sampled_from([0.6, 1.0])))
    side = rng.random(n) < 0.5
    weight[:2], side[:2] = 1.0, [False, True]  # never nobody
    return rng.gamma(0.5, draw(st.sampled_from([1.0, 1e4])), n), x, weight, side


@MANY
@given(two_groups())
def test_the_parts_add_up_to_the_difference_and_their_scores_to_its_score(groups) -> None:
    y, x, weight, side = groups
    found = decompose_means(y, x, weight, side)
    shares = [np.where(side == is_second, weight, 0) / weight[side == is_second].sum() for is_second in (False, True)]
    means = [share @ y for share in shares]
    size = np.abs(y).max() * (1 + np.abs(found.composition).max() / (np.abs(y).max() + 1e-12))
    assert found.difference == pytest.approx(means[1] - means[0], abs=1e-9 * size)
    scores = (found.composition_scores + found.rate_scores).sum(axis=1)
    expected = shares[1] * (y - means[1]) - shares[0] * (y - means[0])
    assert scores == pytest.approx(expected, abs=1e-7 * size)


@MANY
@given(two_groups())
def test_the_other_way_round_every_part_changes_its_sign(groups) -> None:
    y, x, weight, side = groups
    there, back = decompose_means(y, x, weight, side), decompose_means(y, x, weight, ~side)
    assert there.composition == pytest.approx(-back.composition)
    assert there.rate == pytest.approx(-back.rate)


@MANY
@given(two_groups(), st.floats(0.1, 1e3))
def test_the_scale_of_the_weights_does_not_matter(groups, factor: float) -> None:
    y, x, weight, side = groups
    first, second = decompose_means(y, x, weight, side), decompose_means(y, x, factor * weight, side)
    assert second.composition.sum() == pytest.approx(first.composition.sum(), abs=1e-7 * np.abs(y).max())
