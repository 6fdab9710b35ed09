"""Repeated looks: which interval a look gets, what it may say, and the probabilities behind the bounds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import EffectResult
from analysis_lib.effects.specification_curve import Choices, estimate
from analysis_lib.errors import UsageError
from analysis_lib.monitoring.repeated_looks import (
    as_rows,
    confidence_sequence,
    design_df,
    false_alarm,
    looks_at,
    repeated_looks,
    sequence_factor,
    spending_bounds,
)
from analysis_lib.quarters import Quarter

QUARTERS = [str(Quarter(2024, 1).shift(step)) for step in range(12)]
MANY = math.inf  # degrees of freedom of a normal estimate


def looks(estimate: float = -1.0, df: float = MANY, n: int = 12) -> pd.DataFrame:
    number = np.arange(1, n + 1)
    return pd.DataFrame(
        {"look": number, "quarter": QUARTERS[:n], "estimate": estimate, "se": 1 / np.sqrt(number), "df": df}
    )


def judged(frame: pd.DataFrame, plan_looks: object = "every quarter", smallest_change: float = 0.1) -> pd.DataFrame:
    return repeated_looks(frame, plan_looks=plan_looks, smallest_change=smallest_change)


def half_width(frame: pd.DataFrame) -> np.ndarray:
    return ((frame["ci_high"] - frame["ci_low"]) / 2).to_numpy()


class TestWhichInterval:
    def test_without_declared_looks_every_look_has_the_sequence(self) -> None:
        found = judged(looks())
        assert set(found["kind"]) == {"sequence"}
        low, high = confidence_sequence(found["estimate"], found["se"], df=MANY, tuned_for=0.5)
        assert found["ci_low"].tolist() == pytest.approx(low.tolist())
        assert found["ci_high"].tolist() == pytest.approx(high.tolist())

    def test_declared_looks_have_the_bounds_of_their_plan(self) -> None:
        found = judged(looks(n=8), QUARTERS[:8])
        assert set(found["kind"]) == {"spending"}
        assert half_width(found) / found["se"].to_numpy() == pytest.approx(
            spending_bounds(np.arange(1, 9) / 8), abs=1e-6
        )

    def test_past_its_plan_a_look_has_the_sequence_from_the_start_and_not_the_last_bound(self) -> None:
        found, sequence = judged(looks(), QUARTERS[:8]), judged(looks())
        assert found["kind"].tolist() == ["spending"] * 8 + ["sequence"] * 4
        assert half_width(found)[8:] == pytest.approx(half_width(sequence)[8:])
        assert half_width(found)[8] > half_width(found)[7]

    def test_a_look_between_declared_ones_has_the_sequence(self) -> None:
        declared = [QUARTERS[3], QUARTERS[7]]
        found = judged(looks(n=8), declared)
        assert found.loc[found["kind"] == "spending", "quarter"].tolist() == declared
        bounds = half_width(found)[[3, 7]] / found["se"].to_numpy()[[3, 7]]
        assert bounds == pytest.approx(spending_bounds([0.5, 1.0]), abs=1e-6)

    def test_a_declared_look_that_did_not_take_place_leaves_its_alpha_to_the_next(self) -> None:
        held = looks(n=8).drop(index=[2, 3])
        found = judged(held, QUARTERS[:8])
        number = np.array([1, 2, 5, 6, 7, 8])
        assert half_width(found) / found["se"].to_numpy() == pytest.approx(spending_bounds(number / 8), abs=1e-6)

    def test_alpha_is_spent_by_the_calendar_whatever_the_information(self) -> None:
        frame = looks(n=4).assign(se=[1.0, 0.9, 0.5, 0.45])
        found = judged(frame, QUARTERS[:4])
        se = frame["se"].to_numpy()
        bounds, information = half_width(found) / se, 1 / se**2
        spent = [false_alarm(bounds[:look], information[:look]) for look in (1, 2, 3, 4)]
        due = 4 * stats.norm.sf(stats.norm.isf(0.05 / 4) / np.sqrt(np.arange(1, 5) / 4))
        assert spent == pytest.approx(due, rel=1e-4)

    def test_information_that_falls_is_taken_to_have_grown_a_little(self) -> None:
        frame = looks(n=4).assign(se=[0.5, 0.5, 0.6, 0.4])
        bounds = half_width(judged(frame, QUARTERS[:4])) / frame["se"].to_numpy()
        steady = spending_bounds([4.0, 4.04, 4.0804, 6.25], spent_at=[0.25, 0.5, 0.75, 1.0])
        assert bounds == pytest.approx(steady, abs=1e-6)


class TestFewRegions:
    def test_bounds_keep_their_probability_under_students_t(self) -> None:
        for plan in ("every quarter", QUARTERS):
            normal, few = judged(looks(), plan), judged(looks(df=18.0), plan)
            of_normal = stats.norm.sf(half_width(normal) / normal["se"].to_numpy())
            of_few = stats.t.sf(half_width(few) / few["se"].to_numpy(), 18)
            assert of_few == pytest.approx(of_normal, rel=1e-4)

    def test_a_look_without_errors_or_degrees_of_freedom_says_nothing_and_does_not_disturb_the_others(self) -> None:
        frame = looks()
        frame.loc[0, ["se", "df"]] = np.nan
        frame.loc[1, "df"] = np.nan
        for plan in ("every quarter", QUARTERS):
            found = judged(frame, plan)
            assert found.loc[:1, ["ci_low", "ci_high", "usual_low", "usual_high", "price"]].isna().all(axis=None)
            assert found.loc[:1, "outcome"].tolist() == ["cannot_tell"] * 2
            assert found.loc[2:, ["ci_low", "ci_high"]].notna().all(axis=None)
        se = frame["se"].to_numpy()[2:]
        assert half_width(judged(frame))[2:] / se == pytest.approx(sequence_factor(se, tuned_for=se[0] / 2))

    def test_no_look_with_an_interval(self) -> None:
        found = judged(looks(df=np.nan), QUARTERS)
        assert found["ci_low"].isna().all()
        assert set(found["outcome"]) == {"cannot_tell"}


class TestWords:
    def test_follow_the_repeated_look_interval_and_not_the_usual_one(self) -> None:
        found = judged(looks(estimate=-1.0))
        assert found.loc[found["usual_high"] < 0, "look"].min() == 4  # 1.96 / √4 < 1
        told = found.loc[found["outcome"] == "returned_hours", "look"].tolist()
        assert told == found.loc[found["ci_high"] < 0, "look"].tolist() == [10, 11, 12]  # 3.07 / √10 < 1
        assert set(found.loc[found["look"] < 10, "outcome"]) == {"cannot_tell"}

    def test_an_effect_that_fades_takes_its_word_back(self) -> None:
        frame = looks().assign(estimate=[-4.0] * 8 + [0.0] * 4)
        found = judged(frame, smallest_change=2.0)["outcome"]
        assert found[7] == "returned_hours"
        assert found[11] == "no_change_that_matters"

    def test_the_price_is_the_ratio_of_widths(self) -> None:
        found = judged(looks())
        usual = (found["usual_high"] - found["usual_low"]) / 2
        assert found["price"].tolist() == pytest.approx((half_width(found) / usual).tolist())
        assert found["price"].between(1.54, 1.9).all()


@pytest.mark.parametrize("quarters", [["2024Q2", "2024Q1"], ["2024Q1", "2024Q1"], []])
def test_looks_out_of_order_are_refused(quarters: list[str]) -> None:
    with pytest.raises(UsageError, match="one a quarter"):
        judged(looks(n=len(quarters)).assign(quarter=quarters))


class TestBounds:
    def test_the_sequence_is_where_the_mixture_of_likelihood_ratios_reaches_one_over_alpha(self) -> None:
        se, tuned_for = np.array([1.3, 0.4, 0.2]), 0.5
        best = 8.2069  # solves r = ln(1 + r) − 2 ln 0.05
        precision = 1 / (tuned_for**2 * best)
        for error, factor in zip(se, sequence_factor(se, tuned_for=tuned_for), strict=True):
            information = 1 / error**2
            total = factor * error * information

            def ratio(drift: float, total: float = total, information: float = information) -> float:
                return math.exp(drift * total - drift**2 * information / 2) * stats.norm.pdf(
                    drift, scale=1 / math.sqrt(precision)
                )

            assert integrate.quad(ratio, -30, 30, limit=200)[0] == pytest.approx(20, rel=1e-3)

    def test_the_sequence_is_nowhere_nearer_than_where_it_is_tuned(self) -> None:
        se = np.geomspace(0.05, 5, 101)
        found = sequence_factor(se, tuned_for=0.5)
        assert se[found.argmin()] == pytest.approx(0.5)
        assert found.min() == pytest.approx(3.0351, abs=1e-4)

    def test_five_years_of_looks_keep_the_promise_whatever_the_dependence(self) -> None:
        nearest = float(sequence_factor(np.array([1.0]), tuned_for=1.0)[0])
        assert 20 * 2 * stats.norm.sf(nearest) < 0.05

    def test_one_look_is_a_single_test(self) -> None:
        assert spending_bounds([1.0], kind="pocock") == pytest.approx([stats.norm.isf(0.025)])
        assert spending_bounds([1.0]) == pytest.approx([stats.norm.isf(0.025)])

    def test_two_looks_are_a_bivariate_normal(self) -> None:
        bounds, information = np.array([2.2, 2.0]), np.array([1.0, 3.0])
        covariance = np.array([[1, math.sqrt(1 / 3)], [math.sqrt(1 / 3), 1]])
        inside = stats.multivariate_normal(cov=covariance).cdf(bounds, lower_limit=-bounds)
        assert false_alarm(bounds, information) == pytest.approx(1 - inside, abs=1e-7)

    @pytest.mark.parametrize("share", [[0.5, 0.5], [0.5, 0.4], [0.0, 1.0], [0.5, 1.1]])
    def test_shares_of_a_plan_rise_to_one(self, share: list[float]) -> None:
        with pytest.raises(UsageError, match="shares of a plan"):
            spending_bounds([1.0, 2.0], spent_at=share)

    def test_information_rises(self) -> None:
        with pytest.raises(UsageError, match="information"):
            spending_bounds([2.0, 2.0], spent_at=[0.5, 1.0])


def panel(n_periods: int = 8) -> Panel:
    values = np.random.default_rng(5).normal(20, 1, (8, 8))[:, :n_periods]
    starts = np.array([3, 3, 5, 5, 8, 8, 8, 8])
    names = tuple(f"{place}" for place in range(8))
    return Panel(names, tuple(QUARTERS[:n_periods]), values, starts, np.ones(8))


class TestLooksAtAPanel:
    def test_a_look_is_the_estimate_on_the_quarters_up_to_it(self) -> None:
        way = Choices(estimator="imputation")
        found = looks_at(panel(), way)
        assert found["look"].tolist() == [1, 2, 3, 4, 5]
        assert found["quarter"].tolist() == QUARTERS[3:8]
        assert found["n_treated"].tolist() == [2, 2, 4, 4, 4]
        assert (found["n_treated"] + found["n_comparison"] == 8).all()
        for look, n_periods in zip(found.index, range(4, 9), strict=True):
            then = estimate(panel(n_periods), way)
            assert found.loc[look, ["estimate", "se", "df"]].tolist() == pytest.approx(
                then[["estimate", "se", "df"]].tolist()
            )

    def test_the_design_gives_degrees_of_freedom_that_no_value_moves(self) -> None:
        # Two regions with one degree of freedom against six with five; the variance of a mean of n has a part of 1 / n.
        expected = (1 / 2 + 1 / 6) ** 2 / (1 / 4 + 1 / 36 / 5)
        assert looks_at(panel(), Choices(estimator="group_time"))["design_df"][0] == pytest.approx(expected)

    def test_a_region_alone_lends_its_spread_from_the_others(self) -> None:
        alone = Panel(("a", "b", "c", "d"), tuple(QUARTERS[:4]), np.zeros((4, 4)), np.array([3, 4, 4, 4]), np.ones(4))
        weights = np.zeros((4, 4))
        weights[:, 3] = [1, -1 / 3, -1 / 3, -1 / 3]
        assert design_df(weights, alone) == pytest.approx((1 + 1 / 3) ** 2 / (1 / 2 + 1 / 9 / 2))

    def test_repeated_looks_take_them_and_the_usual_interval_does_not(self) -> None:
        plain, short = looks(df=18.0), looks(df=18.0).assign(design_df=3.0)
        assert judged(short)["usual_low"].tolist() == judged(plain)["usual_low"].tolist()
        assert half_width(judged(short)) == pytest.approx(half_width(judged(looks(df=3.0))))

    def test_no_repeated_look_interval_is_narrower_than_the_usual_one(self) -> None:
        found = judged(looks(df=1.0).assign(design_df=30.0))
        assert found["ci_low"].tolist() == found["usual_low"].tolist()
        assert found["price"].tolist() == pytest.approx([1.0] * 12)

    def test_too_few_regions_so_far_leave_a_look_without_numbers(self) -> None:
        many = panel()
        one_each = Panel(many.regions[:2], many.periods, many.values[:2], np.array([3, 8]), np.ones(2))
        found = looks_at(one_each, Choices(estimator="imputation"))
        assert found[["estimate", "se", "df"]].isna().all(axis=None)
        assert len(found) == 5

    def test_a_reform_that_has_not_begun_has_no_looks(self) -> None:
        assert looks_at(panel(3), Choices()).empty


def test_rows_of_looks() -> None:
    result = EffectResult(
        "docs", "gross", "hours_week", "treated", "imputation", "not_yet", "cohort", "local_start", "2024Q1–2025Q4",
        -1.0, 0.2, 6.0, -1.5, -0.5, 0.01, 4, 4, 3000, 300,
    )  # fmt: skip
    found = judged(looks_at(panel(), Choices(estimator="imputation")), QUARTERS[3:6])
    rows = as_rows(found, result).set_index("category")
    assert set(rows["by"]) == {"look"}
    assert list(rows.index) == [f"docs.{look}{which}" for look in range(1, 6) for which in ("", ".usual")]
    repeated, usual = rows.loc[["docs.2", "docs.5"]], rows.loc[["docs.2.usual", "docs.5.usual"]]
    assert repeated[["ci_low", "ci_high"]].to_numpy() == pytest.approx(found.loc[[1, 4], ["ci_low", "ci_high"]])
    assert usual[["ci_low", "ci_high"]].to_numpy() == pytest.approx(found.loc[[1, 4], ["usual_low", "usual_high"]])
    assert repeated["inference"].tolist() == ["spending", "sequence"]
    assert repeated["outcome"].tolist() == found.loc[[1, 4], "outcome"].tolist()
    assert usual["outcome"].tolist() == ["", ""]
    assert repeated["period"].tolist() == ["2024Q1–2025Q1", "2024Q1–2025Q4"]
