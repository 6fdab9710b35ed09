"""Standard errors and randomisation on small made-up panels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis_lib.effects.difference_in_differences import Contrasts, group_time, imputation, overall
from analysis_lib.effects.inference import estimate_contrasts
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.randomisation import choose_inference, randomise
from analysis_lib.errors import DesignError, UsageError


def panel_of(starts: list[int], periods: int = 6, seed: int = 1) -> Panel:
    n = len(starts)
    values = np.random.default_rng(seed).normal(0, 1, (n, periods))
    names = tuple(map(str, range(n)))
    return Panel(names, tuple(map(str, range(periods))), values, np.array(starts), np.ones(n))


def simple(panel: Panel) -> Contrasts:
    return overall(group_time(panel), panel)


def test_two_groups_and_two_periods_are_welch_s_t_test() -> None:
    panel = panel_of([1] * 5 + [2] * 7, periods=2)
    change = np.diff(panel.values)[:, 0]
    truth = stats.ttest_ind(change[:5], change[5:], equal_var=False)
    found = estimate_contrasts(simple(panel), panel).frame.iloc[0]
    assert found["p_value"] == pytest.approx(truth.pvalue)
    assert found["df"] == pytest.approx(truth.df)
    assert [found["ci_low"], found["ci_high"]] == pytest.approx(list(truth.confidence_interval()))


def test_without_two_regions_that_began_together_there_is_no_standard_error() -> None:
    panel = panel_of([1, 2, 3])
    with pytest.raises(DesignError, match="nothing tells chance"):
        estimate_contrasts(simple(panel), panel)


def test_influence_functions_are_not_for_imputation() -> None:
    panel = panel_of([3] * 4 + [6] * 4)
    with pytest.raises(UsageError, match="influence"):
        estimate_contrasts(imputation(panel), panel, inference="influence")


def test_three_of_six_at_one_date_cannot_reach_five_percent() -> None:
    found = randomise(simple, panel_of([3] * 3 + [6] * 3))
    assert (found.assignments, found.smallest_p, found.is_exhaustive) == (20, 0.1, True)
    assert np.isnan(found.ci_low)


def test_the_interval_is_where_a_constant_effect_is_not_rejected() -> None:
    panel = panel_of([2, 3, 4, 6, 6, 6])
    found = randomise(simple, panel)
    assert found.assignments == 120
    for effect, is_inside in ((found.ci_low + 1e-6, True), (found.ci_low - 1e-6, False)):
        less = replace(panel, values=panel.values - effect * panel.in_force)
        assert (randomise(simple, less).p_value > 0.05) is is_inside


def test_few_regions_on_either_side_are_randomised() -> None:
    assert choose_inference(panel_of([3] * 3 + [6] * 50)) == "randomisation"
    assert choose_inference(panel_of([3] * 50 + [6] * 3)) == "randomisation"
    assert choose_inference(panel_of([3] * 4 + [6] * 4)) == "cohort"
