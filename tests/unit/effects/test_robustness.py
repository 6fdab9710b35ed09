"""Checks on an effect: each holds where its assumption does, and fails where that is broken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import CheckResult
from analysis_lib.effects.robustness import (
    check_anticipation,
    check_attrition,
    check_dates,
    check_leave_one_out,
    check_other_reforms,
    check_placebo_activity,
    check_placebo_time,
    check_pretrends,
    check_sensitivity,
    event_study,
    run_checks,
)
from analysis_lib.effects.specification_curve import Choices, estimate

WAY = Choices()
R, T = 40, 12
STARTS = np.array([6] * 10 + [8] * 10 + [T] * 20)
SINCE = np.arange(T)[None, :] - STARTS[:, None]
IS_EVER = (STARTS < T)[:, None]


def made_up(added: np.ndarray | float = 0.0, *, noise: float = 0.1, seed: int = 1, effect: float = -1.0) -> Panel:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (R, 1)) + rng.normal(0, 1, T) + rng.normal(0, noise, (R, T)) + effect * (SINCE >= 0)
    return Panel(tuple(f"{i}" for i in range(R)), tuple(f"{i}" for i in range(T)), values + added, STARTS, np.ones(R))


def test_all_hold_where_trends_are_parallel() -> None:
    found = run_checks(
        made_up(noise=0.05),
        smallest_change=0.5,
        unit="hours_day",
        unexposed=made_up(effect=0.0),
        response=np.full((R, T), 0.8),
        spread=1.0,
        dates={"issued": STARTS},
    )
    outcomes = {tried.key: tried.outcome for tried in found}
    assert set(outcomes) == {
        "pretrends", "placebo_time", "leave_one_out", "anticipation", "sensitivity", "placebo_activity", "dates",
        "attrition",
    }  # fmt: skip
    assert set(outcomes.values()) == {"holds"}
    assert {tried.unit for tried in found if tried.key != "sensitivity"} == {"hours_day"}


def test_pretrends_find_a_line_and_say_which_they_would_have_found() -> None:
    drifting = check_pretrends(made_up(0.1 * np.arange(T) * IS_EVER), WAY, smallest_change=0.5)
    assert drifting.outcome == "fails"
    assert drifting.ci_low < 0.1 < drifting.ci_high
    noisy = check_pretrends(made_up(noise=1.0), WAY, smallest_change=0.5)
    assert noisy.outcome == "cannot_tell"
    assert 0 < noisy.facts["slope_half"] < noisy.facts["slope_most"]
    study = event_study(made_up(noise=1.0), WAY)
    lever = study.target @ np.arange(1, len(study.after) + 1)
    assert noisy.facts["bias_most"] == pytest.approx(lever * noisy.facts["slope_most"])


@pytest.mark.parametrize(("name", "power"), [("slope_half", 0.5), ("slope_most", 0.8)])
def test_the_power_that_is_stated_is_had(name, power) -> None:
    """A line of the slope that is said to be found so often, in 200 panels."""
    stated = np.mean([check_pretrends(made_up(seed=s), WAY, smallest_change=1).facts[name] for s in range(30)])
    line = stated * np.arange(T) * IS_EVER
    found = [check_pretrends(made_up(line, seed=s), WAY, smallest_change=1).outcome == "fails" for s in range(200)]
    assert np.mean(found) == pytest.approx(power, abs=0.12)


def test_the_pretrend_test_keeps_its_size() -> None:
    found = [check_pretrends(made_up(seed=s), WAY, smallest_change=1).facts["p_value"] for s in range(300)]
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.09


def test_too_few_periods_before_the_start_cannot_tell() -> None:
    panel = replace(made_up(), starts=np.where(STARTS < T, 1, T))
    for found in (
        check_pretrends(panel, WAY, smallest_change=0.5),
        check_placebo_time(panel, WAY, smallest_change=0.5),
        check_sensitivity(panel, WAY),
    ):
        assert found.outcome == "cannot_tell"
        assert np.isnan(found.estimate)


def test_a_placebo_in_time_finds_a_drop_before_the_start() -> None:
    early = made_up(-1.0 * ((np.arange(T) >= 3) & IS_EVER))
    found = check_placebo_time(early, WAY, smallest_change=0.5)
    assert found.outcome == "fails"
    assert found.estimate == pytest.approx(-1, abs=0.1)
    assert found.facts == {"periods": 3.0}
    # What happens once the reform is in force is not looked at.
    assert check_placebo_time(made_up(effect=-9.0), WAY, smallest_change=0.5) == check_placebo_time(
        made_up(effect=0.0), WAY, smallest_change=0.5
    )


@pytest.mark.parametrize(
    ("effect", "noise", "outcome"), [(0.0, 0.1, "holds"), (-1.0, 0.1, "fails"), (0.0, 3.0, "cannot_tell")]
)
def test_a_placebo_in_activities(effect, noise, outcome) -> None:
    assert check_placebo_activity(made_up(effect=effect, noise=noise), WAY, smallest_change=0.5).outcome == outcome


def test_one_region_that_makes_the_effect_is_found() -> None:
    lonely = made_up(-30.0 * ((np.arange(R)[:, None] == 0) & (SINCE >= 0)), effect=0.2)
    found = check_leave_one_out(lonely, WAY)
    assert found.facts["tried"] == R
    assert found.facts["same_sign"] == R - 1
    assert found.estimate == pytest.approx(0.2, abs=0.1)
    assert found.outcome == "fails"


def test_an_effect_ahead_of_the_start_moves_the_estimate_by_anticipation() -> None:
    ahead = made_up(-0.8 * (SINCE == -1))
    way = Choices(comparison="never")  # regions about to begin are no comparison for those that have
    found = check_anticipation(ahead, way)
    assert estimate(ahead, way)["estimate"] == pytest.approx(-0.2, abs=0.15)
    assert found.estimate == pytest.approx(-1.0, abs=0.15)
    assert found.facts["tried"] == 2


def test_another_date_under_which_the_effect_turns_round_fails() -> None:
    turned = np.where(np.arange(R) < 20, T, 6)
    assert check_dates(made_up(), WAY, {"public": turned}).outcome == "fails"
    assert check_dates(made_up(), WAY, {"public": np.zeros(R, dtype=int)}).outcome == "cannot_tell"  # none possible


def test_another_reform_that_makes_the_effect() -> None:
    """The other reform came to most of the same regions a period later, and to some others, and did it all."""
    came = np.where(np.arange(R) < 14, STARTS, np.where(np.arange(R) < 20, T, np.where(np.arange(R) < 30, 4, T)))
    other = (np.arange(T) >= came[:, None]).astype(float)
    panel = replace(made_up(-1.0 * other, effect=0.0), exposures={"other": other})
    found = check_other_reforms(panel, WAY)
    assert abs(found.facts["planned"]) < 0.2
    assert found.estimate < -0.4
    assert found.outcome == "cannot_tell"


def test_how_different_those_who_did_not_answer_must_be() -> None:
    panel, response = made_up(), np.full((R, T), 0.6)
    found = check_attrition(panel, WAY, response, spread=2.0)
    planned = estimate(panel, WAY)
    # Had the silent 40 % of the exposed so many hours more, the upper limit would be zero.
    silent = np.where(SINCE >= 0, 0.4 * found.estimate, 0.0)
    assert planned["ci_high"] < 0
    assert estimate(replace(panel, values=panel.values + silent), WAY)["ci_high"] == pytest.approx(0, abs=1e-9)
    assert found.outcome == "holds"
    assert found.facts["response_effect"] == pytest.approx(0)


def test_a_reform_that_changes_who_answers_fails_where_little_is_enough() -> None:
    rng = np.random.default_rng(4)
    response = 0.6 - 0.2 * (SINCE >= 0) + rng.normal(0, 0.01, (R, T))
    found = check_attrition(made_up(effect=-0.3), WAY, response, spread=10.0)
    assert found.outcome == "fails"
    assert found.facts["response_ci_high"] < 0
    assert check_attrition(made_up(effect=-0.3), WAY, np.full((R, T), 0.6), spread=10.0).outcome == "cannot_tell"


def test_the_event_study_asks_for_the_same_effect() -> None:
    for way in (WAY, Choices(anticipation=1)):
        study = event_study(made_up(), way)
        assert study.estimate == pytest.approx(estimate(made_up(), way)["estimate"])


def test_sensitivity_says_how_far_and_does_not_take_the_word() -> None:
    found = check_sensitivity(made_up(noise=0.5), WAY)
    assert not found.matters
    assert 0 < found.estimate < 1
    assert found.outcome == "cannot_tell"
    assert found.facts["half_low"] < found.facts["half_high"]
    assert isinstance(found, CheckResult)
