"""Rebound: what the chart says of plain paths, its promise, ratios and half-lives by hand, where paths come from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis_lib.effects.difference_in_differences import group_time
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import EffectResult
from analysis_lib.errors import DesignError
from analysis_lib.monitoring.rebound import (
    FALSE_RELAPSE,
    WITHIN,
    Path,
    Share,
    alarm_bounds,
    as_rows,
    fieller,
    half_life,
    path_of_panel,
    path_of_series,
    persistence,
    relapse,
)
from analysis_lib.quarters import Quarter

MANY = math.inf  # degrees of freedom of a known covariance


def path(estimate: list[float] | np.ndarray, se: float = 0.1, rho: float = 0.5, df: float = MANY) -> Path:
    time = np.arange(len(estimate))
    correlation = rho ** np.abs(np.subtract.outer(time, time))
    return Path(np.array(estimate, dtype=float), se * np.linalg.cholesky(correlation), df)


def quarters(n: int, first: str = "2020Q1") -> list[str]:
    return [str(Quarter.parse(first).shift(step)) for step in range(n)]


class TestTheChart:
    def test_a_cut_that_stays_holds(self) -> None:
        found = relapse(path([-3.0] * 8))
        assert (found.outcome, found.alarm, found.onset) == ("holds", None, None)
        assert found.reached.estimate == pytest.approx(-3.0)
        assert found.lost.ci_low < 0 < found.lost.ci_high < 0.5

    def test_a_cut_that_is_lost_has_relapsed_since_the_quarter_in_which_it_was(self) -> None:
        found = relapse(path([-3.0] * 4 + [-0.75] * 3))
        assert (found.outcome, found.alarm, found.onset) == ("relapsed", 4, 4)
        assert found.lost.estimate == pytest.approx(0.75)
        assert 0.6 < found.lost.ci_low < 0.75 < found.lost.ci_high < 0.9

    def test_a_slow_loss_is_found_later_than_a_fast_one(self) -> None:
        slow = relapse(path(-3.0 + 0.06 * np.arange(16)))
        fast = relapse(path(-3.0 + 0.3 * np.arange(16)))
        assert fast.alarm is not None and slow.alarm is not None
        assert fast.alarm < slow.alarm

    def test_a_deeper_cut_is_no_relapse(self) -> None:
        assert relapse(path([-3.0] * 3 + [-5.0] * 5)).outcome == "holds"

    @pytest.mark.parametrize(
        "seen",
        [path([0.0] * 8), path([2.0] * 8), path([-3.0] * 5), path([-3.0]), path([-3.0] * 8, se=2.0),
         path([-3.0] * 8, se=1.3), path([-3.0] * 4 + [-0.75] * 3, df=2.0)],
        ids=["no cut", "a rise", "too early", "first quarter", "noise", "half of it may be lost", "few regions"],
    )  # fmt: skip
    def test_nothing_is_said_where_nothing_can_be(self, seen: Path) -> None:
        assert relapse(seen).outcome == "cannot_tell"

    @pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
    def test_a_false_relapse_within_twelve_quarters_is_as_rare_as_promised(self, rho: float) -> None:
        quiet = path([0.0] * (2 + WITHIN), rho=rho)
        bounds = alarm_bounds(quiet)
        draws = np.random.default_rng(1).standard_normal((4000, len(quiet.root))) @ quiet.root.T
        reached = draws[:, :2].mean(axis=1)
        crossed = np.zeros(len(draws), dtype=bool)
        for now in range(2, 2 + WITHIN):
            for onset in range(2, now + 1):
                weights = np.zeros(2 + WITHIN)
                weights[onset : now + 1] = 1 / (now + 1 - onset)
                weights[:2] -= 0.5
                step = draws[:, onset : now + 1].mean(axis=1) - reached
                crossed |= step / np.linalg.norm(weights @ quiet.root) >= bounds[now - 2]
        assert crossed.mean() == pytest.approx(FALSE_RELAPSE, abs=0.012)

    def test_the_first_bound_is_that_of_one_test(self) -> None:
        assert alarm_bounds(path([0.0] * 3))[0] == pytest.approx(stats.norm.isf(FALSE_RELAPSE / WITHIN), abs=0.1)
        assert alarm_bounds(path([0.0] * 3, df=8.0))[0] == pytest.approx(
            stats.t.isf(FALSE_RELAPSE / WITHIN, 8), abs=0.2
        )

    def test_bounds_known_before_change_nothing(self) -> None:
        seen = path([-3.0] * 4 + [-2.0] * 4)
        pd.testing.assert_frame_equal(relapse(seen).chart, relapse(seen, bounds=alarm_bounds(seen)).chart)


class TestRatios:
    def test_limits_are_the_ratios_that_a_test_just_allows(self) -> None:
        seen = path([-4.0, -3.0], se=0.5, df=12.0)
        found = fieller(seen, np.array([0.0, 1.0]), np.array([1.0, 0.0]), 0.95)
        assert found.estimate == 0.75
        for ratio in (found.ci_low, found.ci_high):
            contrast = np.array([-ratio, 1.0])
            t = contrast @ seen.estimate / np.linalg.norm(contrast @ seen.root)
            assert abs(t) == pytest.approx(stats.t.isf(0.025, 12))

    def test_there_are_none_where_the_denominator_may_be_zero(self) -> None:
        found = fieller(path([-0.1, -3.0]), np.array([0.0, 1.0]), np.array([1.0, 0.0]), 0.95)
        assert (found.ci_low, found.ci_high) == (-math.inf, math.inf)
        assert math.isnan(found.estimate)

    def test_persistence_compares_the_last_year_with_the_first(self) -> None:
        found = persistence(path([-4.0] * 4 + [-9.0] + [-1.0] * 4))
        assert found.estimate == pytest.approx(0.25)
        assert found.ci_low < 0.25 < found.ci_high

    def test_persistence_needs_two_years(self) -> None:
        assert math.isnan(persistence(path([-4.0] * 7)).estimate)


class TestHalfLife:
    @pytest.mark.parametrize("true", [1.5, 4.0, 20.0])
    def test_of_an_exact_decay(self, true: float) -> None:
        found = half_life(path(-3.0 * 0.5 ** (np.arange(12) / true)))
        assert found.estimate == pytest.approx(true, rel=1e-3)
        assert found.ci_low < true < found.ci_high

    def test_a_lasting_effect_has_a_half_life_of_at_least_something(self) -> None:
        found = half_life(path([-3.0] * 12))
        assert found.ci_low > 12
        assert found.ci_high == math.inf

    def test_more_noise_is_a_shorter_least_half_life(self) -> None:
        assert half_life(path([-3.0] * 12, se=0.5)).ci_low < half_life(path([-3.0] * 12)).ci_low

    def test_no_half_life_is_long_enough_for_an_effect_that_grows(self) -> None:
        assert half_life(path(-1.0 - np.arange(12))) == Share(math.inf, math.inf, math.inf)

    @pytest.mark.parametrize("seen", [path([0.0] * 12), path([-3.0] * 3)], ids=["no cut", "less than a year"])
    def test_there_is_none_without_a_cut_and_a_year(self, seen: Path) -> None:
        assert math.isnan(half_life(seen).estimate)


def panel(n_periods: int = 10) -> Panel:
    """Six regions in two cohorts that gain unlike, and four without the reform."""
    rng = np.random.default_rng(4)
    starts = np.array([3, 3, 3, 5, 5, 5] + [n_periods] * 4)
    values = 20 + rng.normal(0, 0.3, (10, n_periods))
    names = tuple(f"{place:02}" for place in range(10))
    seen = Panel(names, tuple(quarters(n_periods)), values, starts, np.ones(10))
    return replace(seen, values=values + np.where(seen.in_force, gains(seen), 0.0))


def gains(seen: Panel) -> np.ndarray:
    return np.where(seen.starts == 3, -1.0, -4.0)[:, None]


NOISE = np.random.default_rng(5).normal(0, 1e-4, (10, 10))


class TestPathOfRegions:
    def test_of_one_quarter_it_is_welchs_test_of_changes(self) -> None:
        rng = np.random.default_rng(2)
        values = rng.normal(10, 1, (9, 2))
        seen = Panel(tuple("abcdefghi"), ("2025Q1", "2025Q2"), values, np.array([1] * 4 + [2] * 5), np.ones(9))
        found = path_of_panel(group_time(seen), seen)
        changes = values[:, 1] - values[:, 0]
        wanted = stats.ttest_ind(changes[:4], changes[4:], equal_var=False)
        assert found.estimate[0] / math.sqrt(found.covariance[0, 0]) == pytest.approx(wanted.statistic)
        assert found.df == pytest.approx(wanted.df)

    def test_it_stays_level_when_a_cohort_of_another_effect_drops_out(self) -> None:
        seen = panel()
        found = path_of_panel(group_time(seen), replace(seen, values=np.where(seen.in_force, gains(seen), 0.0) + NOISE))
        assert found.estimate == pytest.approx(np.full(7, -2.5), abs=1e-3)

    def test_each_step_is_that_of_the_cohorts_there(self) -> None:
        seen = panel()
        found = path_of_panel(contrasts := group_time(seen), seen)
        cells = contrasts.index.assign(estimate=np.tensordot(contrasts.weights, seen.values, 2))
        cells = cells.pivot(index="event_time", columns="start", values="estimate")
        assert found.estimate[0] == pytest.approx(cells.loc[0].mean())
        assert np.diff(found.estimate) == pytest.approx(cells.loc[0:].diff().mean(axis=1).iloc[1:].to_numpy(float))

    def test_a_peak_that_all_regions_share_is_not_in_it(self) -> None:
        seen = panel()
        peaks = np.where([period.endswith("Q4") for period in seen.periods], 5.0, 0.0)
        found = path_of_panel(group_time(seen), replace(seen, values=seen.values + peaks))
        assert found.estimate == pytest.approx(path_of_panel(group_time(seen), seen).estimate)
        assert found.covariance == pytest.approx(path_of_panel(group_time(seen), seen).covariance)

    def test_it_needs_regions_that_began_together(self) -> None:
        seen = panel()
        lonely = replace(seen, regions=seen.regions[:2], values=seen.values[[0, 9]], starts=seen.starts[[0, 9]],
                         weights=np.ones(2))  # fmt: skip
        with pytest.raises(DesignError, match="chance"):
            path_of_panel(group_time(lonely), lonely)

    def test_sampling_errors_stand_in_where_no_two_regions_began_together(self) -> None:
        seen = panel()
        own = np.zeros((2, 10, 10)) + 0.2**2 * np.eye(10)
        lonely = replace(seen, regions=seen.regions[:2], values=seen.values[[0, 9]], starts=seen.starts[[0, 9]],
                         weights=np.ones(2), sampling=own)  # fmt: skip
        shown = path_of_panel(group_time(lonely), replace(lonely, values=10 * lonely.values))
        found = path_of_panel(group_time(lonely), replace(lonely, values=np.zeros((2, 10))))
        assert (found.spread, found.df) == ("sampling", math.inf)
        assert shown.covariance[0, 0] > found.covariance[0, 0]  # quarters before differ by more than assumed
        cut = np.where(lonely.in_force, -5.0, 0.0)
        assert path_of_panel(group_time(lonely), replace(lonely, values=cut)).covariance == pytest.approx(
            found.covariance
        )
        # The change since the quarter before in two regions: four means, whose own part is correlated by a half.
        assert found.covariance[0, 0] == pytest.approx(2 * (2 * 2 * 0.2**2 - 2 * 0.5 * 0.2**2))


class TestPathOfASeries:
    def test_season_and_level_before_are_taken_out(self) -> None:
        values = 20 + np.tile([0.0, 0.5, -0.5, 1.0], 5) + np.where(np.arange(20) >= 12, -2.0, 0.0)
        series = pd.DataFrame({"period": quarters(20), "estimate": values})
        assert path_of_series(series, start="2023Q1").estimate == pytest.approx(np.full(8, -2.0))

    def test_without_autocorrelation_errors_are_those_of_new_observations(self) -> None:
        values = np.random.default_rng(3).normal(20, 1, 14)
        series = pd.DataFrame({"period": quarters(14), "estimate": values})
        found = path_of_series(series, start="2023Q1", autocorrelation=0.0)
        by_season = values[:12].reshape(3, 4)
        variance = ((by_season - by_season.mean(axis=0)) ** 2).sum() / 8
        assert found.df == pytest.approx(8)
        assert found.covariance == pytest.approx(variance * 4 / 3 * np.eye(2))

    def test_autocorrelation_leaves_fewer_degrees_of_freedom(self) -> None:
        series = pd.DataFrame({"period": quarters(14), "estimate": np.arange(14.0) % 5})
        assert path_of_series(series, start="2023Q1").df < 8

    def test_a_year_before_is_enough_where_sampling_errors_are_known(self) -> None:
        values = 20 + np.tile([0.0, 0.5, -0.5, 1.0], 3) + np.where(np.arange(12) >= 4, -2.0, 0.0)
        series = pd.DataFrame({"period": quarters(12), "estimate": values, "se": 0.3, "df": 40.0})
        found = path_of_series(series, start="2021Q1")
        assert found.estimate == pytest.approx(np.full(8, -2.0))
        assert (found.spread, found.df) == ("sampling", 40.0)
        assert np.diag(found.covariance) == pytest.approx(np.full(8, 4 * 0.3**2), rel=0.07)  # two quarters, each twice
        assert relapse(found).outcome == "holds"
        with pytest.raises(DesignError):
            path_of_series(series.drop(columns="se"), start="2021Q1")

    @pytest.mark.parametrize("start", ["2021Q1", "2022Q3"])
    def test_quarters_that_scatter_more_than_is_assumed_are_believed(self, start: str) -> None:
        values = 20 + np.random.default_rng(6).normal(0, 1, 14)
        series = pd.DataFrame({"period": quarters(14), "estimate": values, "se": 0.01})
        narrow, narrower, wide = (path_of_series(series.assign(se=se), start=start) for se in (0.02, 0.01, 2.0))
        assert narrow.covariance == pytest.approx(narrower.covariance)  # the quarters tell, not the sampling errors
        assert (np.diag(wide.covariance) > np.diag(narrow.covariance)).all()

    def test_one_step_hardly_counts_as_scatter(self) -> None:
        step = np.where(np.arange(20) >= 10, 2.0, 0.0)
        series = pd.DataFrame({"period": quarters(20), "estimate": step, "se": 0.5})
        still = path_of_series(series.assign(estimate=0.0), start="2021Q1")
        assert np.diag(path_of_series(series, start="2021Q1").covariance) == pytest.approx(np.diag(still.covariance))

    def test_three_years_before_tell_the_spread_but_never_less_than_sampling(self) -> None:
        values = 20 + np.random.default_rng(6).normal(0, 0.01, 14)
        series = pd.DataFrame({"period": quarters(14), "estimate": values, "se": 0.3})
        found = path_of_series(series, start="2023Q1", autocorrelation=0.0)
        assert found.spread == "serial"
        assert found.covariance == pytest.approx(0.3**2 * 4 / 3 * np.eye(2))

    @pytest.mark.parametrize(
        ("periods", "start"),
        [(quarters(14)[::-1], "2023Q1"), (quarters(7) + quarters(7, "2022Q1"), "2023Q1"),
         (quarters(14), "2021Q4"), (quarters(14), "2024Q1")],
        ids=["out of order", "gap", "little before", "not begun"],
    )  # fmt: skip
    def test_series_that_will_not_do(self, periods: list[str], start: str) -> None:
        with pytest.raises(DesignError):
            path_of_series(pd.DataFrame({"period": periods, "estimate": np.arange(14.0) % 5}), start=start)


RESULT = EffectResult(
    "docs", "gross", "hours_week", "treated", "imputation", "not_yet", "cohort", "local_start", "2024Q1–2025Q4",
    -1.0, 0.2, 6.0, -1.5, -0.5, 0.01, 4, 4, 3000, 300,
)  # fmt: skip


def test_rows() -> None:
    seen = path([-3.0] * 4 + [-0.75] * 6)
    found = as_rows(RESULT, relapsed=relapse(seen), lived=half_life(seen), persisted=persistence(seen))
    rows = found.set_index(["by", "category"])
    assert rows.loc[("relapse", "docs.lost"), "outcome"] == "relapsed"
    assert rows.loc[("relapse", "docs.lost"), "estimate"] == pytest.approx(0.75)
    assert rows.loc[("relapse", "docs.reached"), "unit"] == "hours_week"
    assert rows.loc[("relapse", "docs.alarm"), "estimate"] == 4
    assert rows.loc[("relapse", "docs.onset"), "estimate"] == 4
    assert rows.loc[("half_life", "docs.quarters"), "outcome"] == "between"
    assert rows.loc[("persistence", "docs.ratio"), "unit"] == "share"


@pytest.mark.parametrize(
    ("estimate", "outcome"),
    [([-3.0] * 12, "at_least"), (list(-1.0 - np.arange(12)), "grows"), ([0.0] * 12, "cannot_tell")],
)
def test_ends_that_are_not_there_are_missing(estimate: list[float], outcome: str) -> None:
    seen = path(estimate)
    rows = as_rows(RESULT, relapsed=relapse(seen), lived=half_life(seen)).set_index("by")
    assert rows.loc["half_life", "outcome"] == outcome
    assert math.isnan(rows.loc["half_life", "ci_high"])
    assert "alarm" not in "".join(rows["category"])
