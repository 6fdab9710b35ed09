"""Sensitivity to broken parallel trends: against the general method by linear programs, and its promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from analysis_lib.effects import sensitivity
from analysis_lib.effects.sensitivity import EventStudy, breakdown, relative_magnitudes, smoothness
from analysis_lib.errors import UsageError


def made_up(target, *, n_before=3, drift=0.0, df=np.inf, seed=1) -> EventStudy:
    """Effects of −1, a line of drift, correlated errors of about 0.2."""
    rng = np.random.default_rng(seed)
    size = n_before + len(target)
    root = rng.normal(0, 0.1, (size, size)) + 0.15 * np.eye(size)
    times = np.concatenate([np.arange(-n_before, 0), np.arange(1, len(target) + 1)])
    path = drift * times - (times > 0) + root @ rng.normal(size=size)
    return EventStudy(path[:n_before], path[n_before:], root @ root.T, np.array(target, dtype=float), df)


@pytest.mark.parametrize("target", [[0.2, 0.5, 0.3], [0.0, 0.0, 1.0], [-0.5, 0.0, 1.0]])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_closed_form_is_the_linear_program(target, sign) -> None:
    """Rambachan and Roth (2023), section 3, with the programs of Andrews, Roth and Pakes (2023), section 4."""
    study, bound = made_up(target, drift=-0.1), 0.7
    n_before, n_after = 3, 3
    steps = sensitivity._steps(n_before, n_after)
    largest = sign * steps[1]
    rows = sensitivity._inequalities(study, study.covariance, steps, largest, bound)
    general = np.vstack([steps[n_before:] - bound * largest, -steps[n_before:] - bound * largest])
    spread = np.sqrt(np.diag(general @ study.covariance @ general.T))
    along = study.target / (study.target @ study.target)
    nuisance = general[:, n_before:] @ np.linalg.svd(study.target[None, :])[2][1:].T
    critical, error = 2.9, 0.045
    outcomes = set()
    for effect in np.linspace(study.estimate - 9, study.estimate + 9, 37):
        y = general @ study.path - general[:, n_before:] @ along * effect
        primal = optimize.linprog(
            np.append(1.0, np.zeros(2)),
            A_ub=-np.column_stack([spread, nuisance]),
            b_ub=-y,
            bounds=[(None, None)] * 3,
        )
        dual = -primal.ineqlin.marginals
        variance = dual @ general @ study.covariance @ general.T @ dual
        loading = general @ study.covariance @ general.T @ dual / variance
        rest = y - loading * primal.fun
        low, high = (  # the values of the largest at which the same dual solution stays the best
            sign_ * found.fun if found.status == 0 else -sign_ * np.inf
            for sign_ in (1.0, -1.0)
            for found in [
                optimize.linprog(
                    np.append(sign_, np.zeros(2)),
                    A_ub=np.column_stack([loading - spread, -nuisance]),
                    b_ub=-rest,
                    bounds=[(None, None)] * 3,
                )
            ]
        )
        deviation = np.sqrt(variance)
        cut = stats.truncnorm.ppf(1 - error, low / deviation, min(high, critical) / deviation)
        rejected = primal.fun > critical or primal.fun / deviation > max(0.0, cut)
        assert sensitivity._rejected(np.array([effect]), rows, critical, error)[0] == rejected
        assert (rows.at_zero + rows.slope * effect).max() == pytest.approx(primal.fun, abs=1e-9)
        outcomes.add(bool(rejected))
    assert outcomes == {True, False}


def test_the_least_favourable_value_is_a_quantile_of_the_largest() -> None:
    study = made_up([0.5, 0.5])
    steps = sensitivity._steps(3, 2)
    rows = sensitivity._inequalities(study, study.covariance, steps, steps[2], 1.0)
    draws = (np.random.default_rng(5).normal(size=(200_000, 2)) @ rows.factor.T).max(axis=1)
    critical = sensitivity._least_favourable(rows.factor, 0.05)
    assert (draws > critical).mean() == pytest.approx(0.05, abs=0.002)


def test_intervals_cover_the_effect_when_trends_part_as_far_as_the_bound_allows() -> None:
    rng = np.random.default_rng(20261124)
    covariance = 0.04 * (np.eye(5) + 1)
    drift = np.array([0.0, -0.3, 0.3, 0.6, 0.3])  # the largest step before is 0.3 and so is each after
    repetitions, held = 300, 0
    for path in rng.multivariate_normal(drift, covariance, repetitions):
        low, high = relative_magnitudes(EventStudy(path[:2], path[2:], covariance, np.full(3, 1 / 3)), 1.0)
        held += low <= 0 <= high
    assert held / repetitions > 0.95 - 2 * np.sqrt(0.95 * 0.05 / repetitions)


def test_wider_with_every_bound_and_around_the_estimate() -> None:
    study = made_up([0.5, 0.5], n_before=4)
    for method in (relative_magnitudes, smoothness):
        lengths = [np.diff(method(study, bound))[0] for bound in (0.0, 0.2, 0.5, 1.0)]
        assert (np.diff(lengths) > 0).all()
    low, high = relative_magnitudes(study, 0.5)
    assert low < study.estimate < high


def test_a_straight_line_is_taken_out_by_smoothness() -> None:
    """With M = 0 it does not matter how steeply trends part; with parallel trends assumed it would."""
    level, parting = (made_up([0.0, 1.0], drift=drift) for drift in (0.0, 0.4))
    assert smoothness(parting, 0.0) == pytest.approx(smoothness(level, 0.0))
    assert parting.estimate == pytest.approx(level.estimate + 0.8)


def test_no_other_neutral_weights_give_a_shorter_interval() -> None:
    study, bound = made_up([0.5, 0.5], n_before=4), 0.1
    low, high = smoothness(study, bound)
    weights, half = sensitivity._fixed_length(study, bound, 0.05)
    assert half == pytest.approx((high - low) / 2)
    ago, ahead = np.arange(4, 0, -1.0), np.array([1.0, 2.0])
    assert ago @ weights[:4] == pytest.approx(ahead @ study.target)
    rng = np.random.default_rng(3)
    for step in rng.normal(0, 0.05, (200, 4)):
        other = weights.copy()
        other[:4] += step - ago * (ago @ step) / (ago @ ago)
        # Bends 0 … 3 periods before the reference period, and the one after it.
        bias = bound * (sum(abs(np.maximum(ago - j, 0) @ other[:4]) for j in range(4)) + study.target[1])
        deviation = np.sqrt(other @ study.covariance @ other)
        assert deviation * sensitivity._critical(bias / deviation, 0.05) > half - 1e-6


def test_few_degrees_of_freedom_make_the_interval_one_on_t() -> None:
    wide, narrow = (smoothness(made_up([1.0, 0.0], df=df), 0.0) for df in (6.0, np.inf))
    assert np.diff(wide) / np.diff(narrow) == pytest.approx(stats.t.ppf(0.975, 6) / stats.norm.ppf(0.975))


def test_the_breakdown_value_is_where_the_interval_reaches_zero() -> None:
    study = made_up([0.5, 0.5])
    found = breakdown(study)
    assert 0 < found < 10
    assert relative_magnitudes(study, found - 0.002)[1] < 0 <= relative_magnitudes(study, found)[1]


def test_no_breakdown_value_without_an_effect_to_begin_with() -> None:
    study = made_up([0.5, 0.5])
    assert breakdown(EventStudy(study.before, 0 * study.after, study.covariance, study.target)) == 0
    assert breakdown(EventStudy(0 * study.before, -99 + study.after, study.covariance, study.target)) == 10


def test_nothing_to_judge_by_is_refused() -> None:
    with pytest.raises(UsageError, match="before the reference period"):
        EventStudy(np.zeros(0), np.zeros(2), np.eye(2), np.ones(2))
    with pytest.raises(UsageError, match="bound of -1"):
        smoothness(made_up([1.0]), -1)
