"""Effects by burden before the reform, on small panels that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis_lib.effects.dose_response import BY_DOSE, MIN_REGIONS, DoseResponse, Slope, dose_response, dose_rows
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import EffectResult, as_rows
from analysis_lib.errors import DesignError

PERIODS = 10
STARTS = [5] * 5 + [6] * 5
BURDENS = np.array([1.0, 2, 3, 5, 8, 1, 4, 6, 7, 9])


def panel_of(slope: float, *, noise: float = 0.0, starts: list[int] = STARTS, never: int = 9, seed: int = 4) -> Panel:
    """Regions whose effect is −1 and ``slope`` for each hour of burden."""
    rng = np.random.default_rng(seed)
    level = np.concatenate([BURDENS[: len(starts)], np.linspace(0, 8, never)])
    began = np.array(starts + [PERIODS] * never)
    in_force = np.arange(PERIODS) >= began[:, None]
    values = 10 + level[:, None] + np.sin(np.arange(PERIODS)) + in_force * (slope * level - 1)[:, None]
    names = tuple(f"r{place}" for place in range(len(level)))
    values = values + noise * rng.normal(size=values.shape)
    return Panel(names, tuple(map(str, range(PERIODS))), values, began, np.ones(len(level)))


def result() -> EffectResult:
    return EffectResult(
        reform="less", measure="gross", unit="hours_week", estimand="treated", estimator="imputation",
        comparison="not_yet", inference="cohort", treatment_date="local_start", period="2024Q1–2026Q2", estimate=-1.0,
        se=0.2, df=9.0, ci_low=-1.4, ci_high=-0.6, p_value=0.01, n_treated=10, n_comparison=9, n=900, n_psu=90,
    )  # fmt: skip


@pytest.mark.parametrize("slope", [-0.3, 0.0, 0.2])
def test_without_noise_the_slope_and_the_thirds_are_the_truth(slope: float) -> None:
    found = dose_response(panel_of(slope))
    assert found.slope.estimate == pytest.approx(slope, abs=1e-9)
    assert found.placebo is not None
    assert found.placebo.estimate == pytest.approx(0.0, abs=1e-9)
    assert found.points["effect"].to_numpy() == pytest.approx(slope * BURDENS - 1)
    means = [part.mean() for part in np.array_split(np.sort(BURDENS), 3)]
    assert found.thirds["estimate"].to_numpy() == pytest.approx(slope * np.array(means) - 1)
    assert found.thirds["regions"].tolist() == [4, 3, 3]
    assert np.diff(found.points["burden"]) == pytest.approx(np.diff(BURDENS))


def test_the_limits_of_the_interval_are_where_a_t_test_turns() -> None:
    panel = panel_of(-0.3, noise=1.0)
    found = dose_response(panel).slope

    def p_value(slope: float) -> float:
        early, late, after = (
            np.array([panel.values[row, part(start)].mean() for row, start in enumerate(STARTS)])
            for part in (
                lambda start: slice(0, start // 2),
                lambda start: slice(start - start // 2, start),
                lambda start: slice(start, None),
            )
        )
        cohorts = np.column_stack([early, *(np.array(STARTS) == start for start in (5, 6))]).astype(float)
        left = after - late - slope * late
        coefficients, ssr, *_ = np.linalg.lstsq(cohorts, left, rcond=None)
        se = np.sqrt(ssr[0] / found.df * np.linalg.inv(cohorts.T @ cohorts)[0, 0])
        return 2 * stats.t.sf(abs(coefficients[0] / se), found.df)

    assert found.df == 7
    assert found.ci_low < found.estimate < found.ci_high
    assert p_value(found.estimate) == pytest.approx(1.0)
    assert p_value(found.ci_low) == pytest.approx(0.05)
    assert p_value(found.ci_high) == pytest.approx(0.05)


def test_a_burden_that_is_only_noise_has_no_interval_and_no_slope() -> None:
    panel = panel_of(0.0, noise=1.0)
    found = dose_response(replace(panel, values=panel.values - panel.values[:, :4].mean(axis=1, keepdims=True))).slope
    assert np.isnan([found.estimate, found.ci_low, found.ci_high]).all()
    assert found.strength < stats.t.ppf(0.975, found.df) ** 2


def test_sampling_noise_that_both_halves_share_is_taken_out() -> None:
    panel, variance = panel_of(-0.2, noise=0.3), 0.5
    lasting = np.full((len(panel.regions), PERIODS, PERIODS), variance)  # the same officials answer in every period
    without, shared = dose_response(panel), dose_response(replace(panel, sampling=lasting))
    halves = [(panel.values[row, : start // 2], panel.values[row, start - start // 2 : start])
              for row, start in enumerate(STARTS)]  # fmt: skip
    means = np.array([[half.mean() for half in each] for each in halves]).reshape(2, 5, 2)
    early, late = np.moveaxis(means - means.mean(axis=1, keepdims=True), 2, 0)
    # It stands in both halves alike, and so in no change; of ten regions two are lost to the means of their cohorts.
    left = (early * late).sum() / ((early * late).sum() - variance * (10 - 2))
    assert left > 1.02
    assert shared.slope.estimate == pytest.approx(without.slope.estimate * left)
    assert shared.thirds["estimate"].to_numpy() == pytest.approx(without.thirds["estimate"].to_numpy())


def test_another_reform_is_taken_out() -> None:
    panel = panel_of(-0.3)
    other = np.zeros(panel.values.shape)
    other[[0, 4, 7, 12], [[6], [2], [8], [5]]] = 1.0
    found = dose_response(replace(panel, values=panel.values - 4 * other, exposures={"other": other}))
    assert found.slope.estimate == pytest.approx(-0.3)
    assert found.points["effect"].to_numpy() == pytest.approx(-0.3 * BURDENS - 1)


def test_periods_in_which_it_may_act_early_belong_to_neither_side() -> None:
    panel = panel_of(-0.3)
    early = panel.event_time == -1
    found = dose_response(replace(panel, values=panel.values + early * BURDENS.max()), anticipation=1)
    assert found.slope.estimate == pytest.approx(-0.3)


def test_too_few_regions_or_periods_before_the_reform_are_refused() -> None:
    few = MIN_REGIONS - 1
    with pytest.raises(DesignError, match=f"{few} regions") as caught:
        dose_response(panel_of(0.0, starts=[5] * few + [7]))
    assert "dose response" in caught.value.where
    assert str(MIN_REGIONS) in caught.value.fix
    with pytest.raises(DesignError, match="0 regions"):
        dose_response(panel_of(0.0, starts=[1] * 10))


def test_without_regions_enough_that_never_had_it_there_is_no_placebo() -> None:
    assert dose_response(panel_of(-0.3, never=MIN_REGIONS - 1)).placebo is None


def test_rows_name_their_parts_and_a_slope_that_also_stands_without_the_reform_is_not_told() -> None:
    found = dose_response(panel_of(-0.3, noise=0.2))
    table = as_rows(dose_rows(found, result()))
    assert table["category"].tolist() == [f"less.{part}" for part in ("slope", "low", "middle", "high", "placebo")]
    assert (table["by"] == BY_DOSE).all()
    assert table["unit"].tolist() == ["share", *["hours_week"] * 3, "share"]
    assert table["outcome"].tolist() == ["holds", "", "", "", "cannot_tell"]
    drifting = replace(found, placebo=Slope(-0.2, -0.3, -0.1, 7.0, 50.0, 9))
    assert _outcomes(drifting) == ["cannot_tell", "", "", "", "fails"]
    weak = replace(found, slope=Slope(np.nan, np.nan, np.nan, 7.0, 1.0, 10), placebo=None)
    assert _outcomes(weak) == ["cannot_tell", "", "", ""]


def _outcomes(found: DoseResponse) -> list[str]:
    return as_rows(dose_rows(found, result()))["outcome"].tolist()
