"""All declared ways to estimate one effect: which are tried, what they give, and the joint test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis_lib.effects.panel import Panel
from analysis_lib.effects.specification_curve import (
    Alternatives,
    Choices,
    contrast,
    estimate,
    prepared,
    specification_curve,
)
from analysis_lib.errors import DesignError, UsageError


def made_up(effect: float = -1.0, *, seed: int = 1, weighted: bool = False, others: bool = False) -> Panel:
    """Sixteen regions, ten quarters; six begin in the fifth or seventh."""
    rng = np.random.default_rng(seed)
    starts = np.array([4] * 3 + [6] * 3 + [10] * 10)
    values = rng.normal(0, 1, (16, 1)) + rng.normal(0, 1, 10) + rng.normal(0, 0.3, (16, 10))
    values = values + effect * (np.arange(10) >= starts[:, None])
    other = (np.arange(10) >= np.tile([2, 5, 8, 12], 4)[:, None]).astype(float)
    return Panel(
        tuple(f"{i}" for i in range(16)),
        tuple(f"{i}" for i in range(10)),
        values,
        starts,
        rng.uniform(1, 3, 16) if weighted else np.ones(16),
        {"other": other} if others else {},
    )


def test_every_open_choice_is_tried_once() -> None:
    plain = specification_curve(made_up(), Choices(), draws=0)
    tried = set(zip(plain.frame["estimator"], plain.frame["comparison"], plain.frame["anticipation"], strict=True))
    ways = {("group_time", "not_yet"), ("group_time", "never"), ("imputation", "not_yet")}
    assert tried == {(*way, anticipation) for way in ways for anticipation in (0, 1)}
    assert plain.frame["is_planned"].sum() == 1
    assert plain.frame["estimate"].is_monotonic_increasing
    assert len(specification_curve(made_up(weighted=True), Choices(), draws=0).frame) == 12
    assert len(specification_curve(made_up(weighted=True, others=True), Choices(), draws=0).frame) == 24


def test_shares_are_of_the_sign_of_the_planned_estimate() -> None:
    found = specification_curve(made_up(), Choices(), draws=0)
    assert (found.same_sign, found.beyond_zero, found.impossible) == (1.0, 1.0, 0)
    assert np.isnan(found.p_value)
    nothing = specification_curve(made_up(0.0), Choices(), draws=0)
    planned = nothing.frame.loc[nothing.frame["is_planned"], "estimate"].iloc[0]
    assert nothing.same_sign == (np.sign(nothing.frame["estimate"]) == np.sign(planned)).mean()


def test_the_planned_way_is_in_the_curve_even_when_it_is_not_among_the_options() -> None:
    found = specification_curve(made_up(), Choices(anticipation=2), draws=0)
    assert found.frame.loc[found.frame["is_planned"], "anticipation"].tolist() == [2]


def test_other_dates_and_windows_change_starts_and_periods() -> None:
    panel = made_up()
    later = Alternatives({"public": panel.starts + 1}, {"recent": (2, 9)})
    moved = prepared(panel, Choices(date="public", window="recent"), later)
    assert moved.periods == panel.periods[2:]
    assert moved.starts[:6].tolist() == [3, 3, 3, 5, 5, 5]
    assert moved.cohorts == [3, 5]
    assert not moved.is_ever[6:].any()
    found = specification_curve(panel, Choices(), alternatives=later, draws=0).frame
    assert {"local_start", "public"} == set(found["date"])
    assert {"all", "recent"} == set(found["window"])
    with pytest.raises(UsageError, match="no window"):
        estimate(panel, Choices(window="recent"))
    with pytest.raises(UsageError, match="by the date"):
        estimate(panel, Choices(date="issued"), alternatives=later)


def test_regions_that_had_it_before_the_window_are_left_out_and_named() -> None:
    panel = made_up()
    cut = prepared(panel, Choices(window="late"), Alternatives(windows={"late": (4, 9)}))
    assert cut.left_out == {"0": "always", "1": "always", "2": "always"}


def test_ways_that_the_rollout_does_not_allow_are_counted() -> None:
    found = specification_curve(made_up(), Choices(), anticipations=(0, 9), draws=0)
    assert found.impossible == 3
    with pytest.raises(DesignError):
        specification_curve(made_up(), Choices(anticipation=9), draws=0)


def test_the_joint_test_finds_an_effect_and_not_its_absence() -> None:
    assert specification_curve(made_up(-1.0), Choices(), draws=99).p_value == 0.01
    p_values = np.array([specification_curve(made_up(0.0, seed=s), Choices(), draws=19).p_value for s in range(40)])
    assert (p_values <= 0.1).mean() < 0.3
    assert p_values.mean() == pytest.approx(0.525, abs=0.15)


def test_moving_weights_is_the_same_as_estimating_anew() -> None:
    """With weights that differ ever so little the starts are moved and everything is estimated again."""
    panel = made_up(-0.1)
    nearly = replace(panel, weights=1 + 1e-9 * np.arange(16))
    way = Choices()
    order = np.random.default_rng(2).permutation(16)
    again = replace(panel, starts=panel.starts[order])
    moved = contrast(panel, way).weights[0][order]
    assert moved == pytest.approx(contrast(again, way).weights[0])
    few = {"anticipations": (0,), "draws": 39}
    quick = specification_curve(panel, Choices(weighs=False), **few).p_value
    assert quick == specification_curve(replace(nearly, weights=panel.weights), Choices(weighs=False), **few).p_value
    assert quick == pytest.approx(specification_curve(nearly, Choices(), **few).p_value, abs=0.06)
