"""Staggered difference-in-differences in three regions and four quarters, by mental arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from analysis_lib.effects.difference_in_differences import (
    Contrasts,
    by_event_time,
    by_period,
    by_start,
    group_time,
    imputation,
    overall,
    untreated_residuals,
)
from analysis_lib.effects.panel import Panel
from analysis_lib.errors import DesignError

# The reform begins in the second quarter in the first region, in the third in the second, and never in the last.
HOURS = np.array([[10, 7, 6, 5], [20, 22, 19, 20], [30, 31, 33, 34]], dtype=float)
ALIKE, UNLIKE = (1.0, 1.0, 1.0), (3.0, 1.0, 1.0)
LATE_COUNTS_THRICE = (1.0, 3.0, 1.0)
ROWS = [(1, 1), (1, 2), (1, 3), (2, 0), (2, 2), (2, 3)]


def made(values: np.ndarray = HOURS, weights: tuple[float, ...] = ALIKE, starts: tuple[int, ...] = (1, 2, 4)) -> Panel:
    return Panel(("early", "late", "never"), ("q1", "q2", "q3", "q4"), values, np.array(starts), np.array(weights))


def against_never(panel: Panel) -> Contrasts:
    return group_time(panel, comparison="never")


def estimates(contrasts: Contrasts, panel: Panel) -> list[float]:
    return np.tensordot(contrasts.weights, panel.values, 2).tolist()


def rows(contrasts: Contrasts) -> list[tuple[int, int]]:
    return list(zip(contrasts.index["start"], contrasts.index["period"], strict=True))


class TestGroupTime:
    def test_against_a_region_that_never_has_it(self):
        effects = against_never(made())
        assert rows(effects) == ROWS
        assert effects.index["event_time"].tolist() == [0, 1, 2, -2, 0, 1]
        early, late = [-3 - 1, -4 - 3, -5 - 4], [-2 + 1, -3 - 2, -2 - 3]
        assert estimates(effects, made()) == pytest.approx(early + late)

    def test_against_regions_that_do_not_have_it_yet(self):
        effects = group_time(made())
        assert rows(effects) == ROWS
        assert estimates(effects, made()) == pytest.approx([-3 - (2 + 1) / 2, -7, -9, -1, -5, -5])
        thrice = made(weights=LATE_COUNTS_THRICE)
        assert estimates(group_time(thrice), thrice)[0] == pytest.approx(-3 - (3 * 2 + 1) / 4)

    def test_a_varying_base_compares_each_quarter_before_with_the_last(self):
        effects = group_time(made(), comparison="never", base="varying")
        assert rows(effects) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
        assert estimates(effects, made()) == pytest.approx([-4, -7, -9, 2 - 1, -5, -5])

    def test_anticipation_puts_the_base_earlier(self):
        effects = group_time(made(), anticipation=1)  # the early region has no quarter left to start from
        assert rows(effects) == [(2, 1), (2, 2), (2, 3)]
        assert estimates(effects, made()) == pytest.approx([2 - 1, -1 - 3, 0 - 4])

    @pytest.mark.parametrize(
        ("starts", "comparison", "why"),
        [
            ((1, 2, 3), "never", "no region is left"),
            ((1, 1, 1), "not_yet", "no region is left"),
            ((4, 4, 4), "not_yet", "begins nowhere"),
        ],
    )
    def test_nobody_to_compare_with_is_refused(self, starts, comparison, why):
        with pytest.raises(DesignError, match=why):
            group_time(made(starts=starts), comparison=comparison)


class TestImputation:
    # Quarters move the late and the last region by +2 and +1 before the reform: +1.5. That puts the last at 29.75 and
    # the late one at 20.25, so that the last two quarters are at +3.25 and +4.25.
    def test_against_a_fit_without_the_reform(self):
        effects = imputation(made())
        assert rows(effects) == [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3)]
        early, late = [7 - 11.5, 6 - 13.25, 5 - 14.25], [19 - 23.5, 20 - 24.5]
        assert estimates(effects, made()) == pytest.approx(early + late)

    def test_regions_count_in_the_fit_by_what_they_stand_for(self):
        panel = made(weights=LATE_COUNTS_THRICE)  # +1.75 instead, hence 29.625, 20.125, +3.375 and +4.375
        assert estimates(imputation(panel), panel) == pytest.approx([-4.75, -7.375, -9.375, -4.5, -4.5])

    def test_a_quarter_in_which_all_have_it_has_no_effect(self):
        effects = imputation(made(starts=(1, 2, 3)))
        assert rows(effects) == [(1, 1), (1, 2), (2, 2)]

    def test_all_at_once_is_refused(self):
        with pytest.raises(DesignError, match="no period has both"):
            imputation(made(starts=(2, 2, 2)))


class TestAverages:
    @pytest.mark.parametrize(
        ("weights", "since", "start", "quarter"),
        [
            (ALIKE, [-1, -4.5, -6, -9], [-20 / 3, -5], [-4, -6, -7]),
            (UNLIKE, [-1, -4.25, -6.5, -9], [-20 / 3, -5], [-4, -6.5, -8]),
        ],
    )
    def test_by_time_since_the_start_by_start_and_by_quarter(self, weights, since, start, quarter):
        panel = made(weights=weights)
        effects = against_never(panel)
        assert by_event_time(effects, panel).index["event_time"].tolist() == [-2, 0, 1, 2]
        assert estimates(by_event_time(effects, panel), panel) == pytest.approx(since)
        assert estimates(by_event_time(effects, panel, earliest=0, latest=1), panel) == pytest.approx(since[1:3])
        assert estimates(by_start(effects, panel), panel) == pytest.approx(start)
        assert estimates(by_period(effects, panel), panel) == pytest.approx(quarter)

    @pytest.mark.parametrize(
        ("kind", "alike", "unlike"),
        [
            ("simple", -30 / 5, -70 / 11),
            ("event_time", -19.5 / 3, -19.75 / 3),
            ("group", -35 / 6, -25 / 4),
            ("calendar", -17 / 3, -18.5 / 3),
        ],
    )
    def test_overall(self, kind, alike, unlike):
        for weights, truth in ((ALIKE, alike), (UNLIKE, unlike)):
            panel = made(weights=weights)
            assert estimates(overall(against_never(panel), panel, kind), panel) == pytest.approx([truth])


KINDS = ("simple", "event_time", "group", "calendar")
ESTIMATORS: list[Callable[[Panel], Contrasts]] = [against_never, group_time, imputation]


@pytest.mark.parametrize("weights", [ALIKE, UNLIKE, LATE_COUNTS_THRICE])
@pytest.mark.parametrize("build", ESTIMATORS)
class TestWeights:
    def test_levels_of_regions_and_what_befalls_all_are_left_out(self, build, weights):
        panel = made(weights=weights)
        effects = build(panel)
        for contrasts in (effects, by_event_time(effects, panel), *(overall(effects, panel, kind) for kind in KINDS)):
            assert contrasts.weights.sum(axis=1) == pytest.approx(0, abs=1e-12)
            assert contrasts.weights.sum(axis=2) == pytest.approx(0, abs=1e-12)

    def test_an_effect_that_is_the_same_everywhere_is_found(self, build, weights):
        panel = made(weights=weights)
        effects = build(panel)
        total = np.tensordot(effects.weights, panel.in_force.astype(float), 2)
        assert total == pytest.approx((effects.index["event_time"] >= 0).astype(float))
        for kind in KINDS:
            assert (overall(effects, panel, kind).weights[0] * panel.in_force).sum() == pytest.approx(1)


class TestOtherReforms:
    # Another reform comes to the last region in the second quarter: beside the late one it moved by +1 instead of +2.
    IN_FORCE = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 1]], dtype=float)

    def test_their_effect_is_taken_out(self):
        panel = replace(made(), exposures={"caps": self.IN_FORCE})
        effects = against_never(panel)  # the last region would have been at 30, 32, 34, 35
        assert rows(effects) == ROWS
        assert estimates(effects, panel) == pytest.approx([-3 - 2, -4 - 4, -5 - 5, -2 + 2, -3 - 2, -2 - 3])
        assert estimates(imputation(panel), panel) == pytest.approx([-5, -8, -10, -5, -5])

    @pytest.mark.parametrize("build", ESTIMATORS)
    def test_its_size_does_not_matter(self, build):
        panel = replace(made(), exposures={"caps": self.IN_FORCE})
        moved = replace(panel, values=HOURS - 8 * self.IN_FORCE)
        assert estimates(build(moved), moved) == pytest.approx(estimates(build(panel), panel))

    @pytest.mark.parametrize("build", ESTIMATORS)
    def test_one_that_comes_only_together_with_this_one_cannot_be_told_from_it(self, build):
        together = replace(made(), exposures={"caps": made().in_force.astype(float)})
        with pytest.raises(DesignError, match="effect of caps cannot be told"):
            build(together)


def test_what_the_fit_leaves_of_cells_without_the_reform():
    panel = made()
    residuals = untreated_residuals(panel)
    untreated = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]], dtype=bool)
    cells = np.argwhere(untreated)
    dummies = np.array(
        [[*(region == np.arange(3)), *(period == np.arange(4))] for region, period in cells], dtype=float
    )
    values = HOURS[untreated]
    left = values - dummies @ np.linalg.lstsq(dummies, values, rcond=None)[0]
    assert np.tensordot(residuals, HOURS, 2) == pytest.approx(left)
    assert not residuals[:, ~untreated].any()
