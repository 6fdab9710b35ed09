"""Segmented regression: what it finds in series whose answer is known, and when it refuses one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis_lib.effects.interrupted_time_series import segmented, segmented_counts
from analysis_lib.errors import DesignError, UsageError
from analysis_lib.quarters import Quarter

RNG = np.random.default_rng(11)


def quarters(n: int, first: str = "2023Q1") -> list[str]:
    return [str(Quarter.parse(first).shift(step)) for step in range(n)]


def series(values: np.ndarray, se: float | None = None, first: str = "2023Q1") -> pd.DataFrame:
    frame = pd.DataFrame({"period": quarters(len(values), first), "estimate": values})
    return frame if se is None else frame.assign(se=se)


def made(n: int = 20, start: int = 12, *, level: float = -3.0, slope: float = 0.0, noise: float = 1e-6) -> np.ndarray:
    """Hours with a trend, a season, and a reform in force from position ``start``."""
    t = np.arange(n)
    in_force = np.clip(t - start + 1, 0, None)
    season = np.array([2.0, -1, 0.5, -1.5])[t % 4]
    return 30 + 0.4 * t + season + level * (in_force > 0) + slope * in_force + RNG.normal(0, noise, n)


class TestEffects:
    def test_a_series_without_noise_gives_back_what_it_was_made_of(self):
        found = segmented(series(made(level=-3, slope=0.25)), start="2026Q1", slope=True)
        assert found.effects["estimate"].to_dict() == pytest.approx(
            {"trend": 0.4, "level": -3, "slope": 0.25, "average": -3 + 0.25 * 4.5}, abs=1e-4
        )
        assert (found.n, found.n_before, found.n_after) == (20, 12, 8)

    def test_no_slope_unless_asked_for(self):
        found = segmented(series(made(noise=1)), start="2026Q1")
        assert list(found.effects.index) == ["trend", "level", "average"]
        assert found.effects.loc["level"].tolist() == pytest.approx(found.effects.loc["average"].tolist())

    def test_the_counterfactual_is_the_fit_less_the_effect(self):
        path = segmented(series(made()), start="2026Q1").path
        gap = path["fitted"] - path["counterfactual"]
        assert gap[:12].to_numpy() == pytest.approx(0, abs=1e-9)
        assert gap[12:].to_numpy() == pytest.approx(-3, abs=1e-4)
        assert ((path["ci_low"] < path["counterfactual"]) & (path["counterfactual"] < path["ci_high"])).all()

    def test_a_shock_to_both_series_is_no_effect_of_the_reform(self):
        shock = np.where(np.arange(20) >= 12, 5.0, 0.0)
        touched, untouched = made(noise=0.01) + shock, 0.1 * np.arange(20) + shock
        found = segmented(series(touched), start="2026Q1", comparison=series(untouched))
        assert found.effects.loc["level", "estimate"] == pytest.approx(-3, abs=0.1)
        assert found.identification == "unexposed_series"
        assert segmented(series(touched), start="2026Q1").identification == "own_trend"

    def test_quarters_that_are_missing_leave_the_others_where_they_are(self):
        found = segmented(series(made()).drop(index=[3, 14]), start="2026Q1")
        assert found.effects.loc[["trend", "level"], "estimate"].tolist() == pytest.approx([0.4, -3], abs=1e-4)

    def test_the_pandemic_has_a_term_where_the_series_reaches_into_it(self):
        values = made(24, 16) + np.where(np.arange(24) < 8, 6.0, 0.0)  # 2021Q1–2022Q4
        found = segmented(series(values, first="2021Q1"), start="2025Q1")
        assert found.effects.loc["level", "estimate"] == pytest.approx(-3, abs=1e-4)
        ignored = segmented(series(values, first="2021Q1"), start="2025Q1", pandemic=False)
        assert abs(ignored.effects.loc["level", "estimate"] + 3) > 1

    def test_a_harmonic_costs_less_than_indicators(self):
        values = made(noise=1)
        df = [segmented(series(values), start="2026Q1", season=season).effects["df"].iloc[0] for season in (0, 1)]
        assert df == [17, 15]
        assert segmented(series(values), start="2026Q1").effects["df"].iloc[0] == 14


class TestErrors:
    def test_sampling_errors_that_vanish_give_what_no_sampling_errors_give(self):
        values = made(noise=1)
        without = segmented(series(values), start="2026Q1").effects
        with_tiny = segmented(series(values, se=1e-3), start="2026Q1").effects
        assert with_tiny[["ci_low", "ci_high"]].to_numpy() == pytest.approx(
            without[["ci_low", "ci_high"]].to_numpy(), rel=0.02, abs=0.02
        )

    def test_known_sampling_errors_bound_the_interval_from_below(self):
        """A series that is smooth by luck is not known better than its sampling errors allow."""
        t = np.arange(20)
        matrix = np.column_stack([np.ones(20), t, t >= 12])
        least = 2 * np.sqrt(np.linalg.inv(matrix.T @ matrix)[2, 2])  # standard error when nothing but sampling moves it
        smooth = 30 + 0.4 * t - 3.0 * (t >= 12)
        known = segmented(series(smooth, se=2.0), start="2026Q1", season=0).effects.loc["level"]
        assert known["ci_high"] - known["ci_low"] > 2 * 1.95 * least
        assert known["estimate"] == pytest.approx(-3, abs=1e-6)

    def test_a_sampling_covariance_takes_the_place_of_standard_errors(self):
        values, covariance = made(noise=1), np.diag(np.full(20, 0.36))
        by_matrix = segmented(series(values), start="2026Q1", sampling=covariance).effects
        assert by_matrix.to_numpy() == pytest.approx(
            segmented(series(values, se=0.6), start="2026Q1").effects.to_numpy()
        )
        # What all quarters share moves the level of no quarter against another.
        shared = segmented(series(values), start="2026Q1", sampling=covariance + 4.0).effects
        assert shared.loc["level", "se"] == pytest.approx(by_matrix.loc["level", "se"], rel=0.3)

    def test_errors_of_a_difference_are_those_of_both_series(self):
        values = made(noise=1)
        both = segmented(series(values, se=0.3), start="2026Q1", comparison=series(np.zeros(20), se=0.4)).effects
        assert both.to_numpy() == pytest.approx(segmented(series(values, se=0.5), start="2026Q1").effects.to_numpy())

    def test_units_and_shifts_do_not_matter(self):
        values = made(noise=1)
        hours = segmented(series(values), start="2026Q1").effects.loc["level"]
        minutes = segmented(series(60 * values + 7), start="2026Q1").effects.loc["level"]
        assert (60 * hours[["estimate", "se", "ci_low"]]).tolist() == pytest.approx(
            minutes[["estimate", "se", "ci_low"]].tolist()
        )
        assert hours["p_value"] == pytest.approx(minutes["p_value"])

    def test_a_p_value_of_five_percent_is_an_interval_that_ends_at_zero(self):
        values = made(noise=1)
        low = segmented(series(values), start="2026Q1").effects.loc["level", "ci_low"]
        shifted = segmented(series(values - low * (np.arange(20) >= 12)), start="2026Q1").effects.loc["level"]
        assert shifted["ci_low"] == pytest.approx(0, abs=1e-8)
        assert shifted["p_value"] == pytest.approx(0.05, abs=1e-6)

    def test_intervals_are_wider_than_those_that_take_autocorrelation_for_known(self):
        rng = np.random.default_rng(5)
        longer = 0
        for _ in range(20):
            found = segmented(series(made(noise=0.001) + rng.normal(0, 1, 20)), start="2026Q1")
            longer += found.effects.loc["level", "se"] > found.foils.loc[("reml", "level"), "se"]
        assert longer >= 18


class TestRefusals:
    @pytest.mark.parametrize(
        ("n", "start", "slope", "what"),
        [
            (13, 5, False, "5 periods before"),
            (13, 12, False, "1 from the start on"),
            (13, 10, True, "3 from the start on"),
            (9, 6, False, "too few for 6 terms"),
        ],
    )
    def test_too_few_quarters_get_no_number(self, n, start, slope, what):
        with pytest.raises(DesignError, match=what):
            segmented(series(made(n, start)), start=quarters(n + 1)[start], slope=slope)

    def test_a_reform_that_begins_as_the_pandemic_ends_cannot_be_told_from_it(self):
        with pytest.raises(DesignError, match="cannot tell these terms apart"):
            segmented(series(made(20, 8), first="2021Q1"), start="2023Q1")

    def test_series_of_different_periods_are_no_comparison(self):
        with pytest.raises(UsageError, match="different periods"):
            segmented(series(made()), start="2026Q1", comparison=series(made(19)))

    def test_a_missing_estimate_is_not_passed_over(self):
        values = made()
        values[4] = np.nan
        with pytest.raises(UsageError, match="missing"):
            segmented(series(values), start="2026Q1")

    def test_a_quarter_is_there_once(self):
        twice = pd.concat([series(made()), series(made()).head(1)])
        with pytest.raises(UsageError, match="one twice"):
            segmented(twice, start="2026Q1")


class TestCounts:
    def test_rates_without_noise_give_back_what_they_were_made_of(self):
        t = np.arange(20)
        exposure = np.linspace(9e8, 1.2e9, 20)
        rate = np.exp(-3 + 0.01 * t - 0.2 * (t >= 12))
        frame = pd.DataFrame({"period": quarters(20), "count": np.round(exposure * rate), "exposure": exposure})
        found = segmented_counts(frame, start="2026Q1", season=0)
        assert found.effects.loc[["trend", "level"], "estimate"].tolist() == pytest.approx([0.01, -0.2], abs=1e-7)
        assert found.path["counterfactual"].iloc[15] == pytest.approx(exposure[15] * np.exp(-3 + 0.15), rel=1e-6)

    def test_errors_are_never_below_those_of_poisson(self):
        exposure = np.full(20, 1e5)
        frame = pd.DataFrame({"period": quarters(20), "count": 400.0 + np.arange(20) % 3, "exposure": exposure})
        found = segmented_counts(frame, start="2026Q1", season=0)
        assert found.dispersion < 1
        assert found.effects["se"].tolist() == pytest.approx(found.foils.loc["poisson", "se"].tolist())

    def test_dispersed_counts_have_wider_intervals(self):
        rng = np.random.default_rng(2)
        frame = pd.DataFrame({"period": quarters(40), "count": rng.negative_binomial(5, 0.05, 40), "exposure": 1e4})
        found = segmented_counts(frame, start="2029Q1")
        ratio = found.effects["se"].to_numpy() / found.foils.loc["poisson", "se"].to_numpy()
        assert found.dispersion > 5
        assert ratio == pytest.approx(np.sqrt(found.dispersion))
