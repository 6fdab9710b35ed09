"""Calibration, replicate weights, quantiles and regression against R `survey` 4.1.1, ten digits each.

Truth: ``expected.json`` of the shared data sets ``r_survey_api`` and ``acs_sdr_replicates``. Beside each value stands the
R call. Deviations of replicates are taken from their mean (``centre="mean"``) where R did: its default.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis_lib.survey.calibration import Calibration, calibrate, margin, one_hot, post_stratify, rake
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import mean, total
from analysis_lib.survey.quantiles import quantile
from analysis_lib.survey.regression import linear_model, rao_scott_test, t_test
from analysis_lib.survey.replication import (
    ReplicateWeights,
    balanced,
    estimate_replicated,
    given,
    jackknife,
    multiplied,
)

pytestmark = pytest.mark.real_data

DIGITS = 1e-8
STRATIFIED = SurveyDesign(stratum="stype", weight="pw", population="fpc")
CLUSTERED = SurveyDesign(psu="dnum", weight="pw", population="fpc")
AMBULANCES = SurveyDesign(stratum="ESA", psu="ambulance")


@pytest.fixture(scope="module")
def folder(shared_data: Callable[[str], Path]) -> Path:
    return shared_data("r_survey_api")


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict:
    return json.loads((folder / "expected.json").read_text())


@pytest.fixture(scope="module")
def clus1(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "apiclus1.csv.gz")


@pytest.fixture(scope="module")
def strat(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "apistrat.csv.gz")


@pytest.fixture(scope="module")
def scd(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "scd.csv").assign(weight=1.0)


def close(value: float | list[float]) -> object:
    return pytest.approx(value, rel=DIGITS)


def assert_agrees(found: pd.Series, truth: dict) -> None:
    assert found["estimate"] == close(truth["estimate"])
    assert found["se"] == close(truth["se"])


# -- calibration --------------------------------------------------------------------------------------


def assert_calibrated(clus1: pd.DataFrame, calibration: Calibration, truth: dict) -> None:
    """svymean(~api00, design); svytotal(~enroll, design)"""
    weights = {"design": CLUSTERED, "calibration": calibration}
    assert_agrees(mean(clus1, "api00", **weights).iloc[0], truth["mean_api00"])
    assert_agrees(total(clus1, "enroll", **weights).iloc[0], truth["total_enroll"])


def test_post_stratification(clus1, expected) -> None:
    """postStratify(dclus1, ~stype, data.frame(stype = c("E", "H", "M"), Freq = c(4421, 755, 1018)))"""
    code, totals = margin(clus1["stype"], expected["population_margins"]["stype"])
    found = post_stratify(clus1["pw"].to_numpy(), code, totals)
    assert_calibrated(clus1, found, expected["clus1"]["poststratified_stype"])


def test_raking_that_stops_where_r_stops(clus1, expected) -> None:
    """rake(dclus1, list(~stype, ~sch.wide), list(pop.types, pop.schwide)): R stops once no cell moves by one school."""
    margins = [margin(clus1[name], expected["population_margins"][name]) for name in ("stype", "sch.wide")]
    codes, totals = zip(*margins, strict=True)
    one_school = 1 / expected["population_margins"]["N"]
    found = rake(clus1["pw"].to_numpy(), codes, totals, tolerance=one_school)
    assert_calibrated(clus1, found, expected["clus1"]["raked_stype_schwide"])


def test_raking_to_the_end_differs_from_r_in_the_sixth_digit_only(clus1, expected) -> None:
    margins = [margin(clus1[name], expected["population_margins"][name]) for name in ("stype", "sch.wide")]
    found = rake(clus1["pw"].to_numpy(), *zip(*margins, strict=True))
    truth = expected["clus1"]["raked_stype_schwide"]["mean_api00"]
    row = mean(clus1, "api00", design=CLUSTERED, calibration=found).iloc[0]
    assert row[["estimate", "se"]].tolist() == pytest.approx([truth["estimate"], truth["se"]], rel=2e-6)


def school_types_and_last_year(clus1: pd.DataFrame, expected: dict) -> tuple[np.ndarray, np.ndarray]:
    margins = expected["population_margins"]
    code, totals = margin(clus1["stype"], margins["stype"])
    auxiliaries = np.column_stack([one_hot(code, len(totals)).toarray(), clus1["api99"]])
    return auxiliaries, np.append(totals, margins["total_api99"])


def test_generalised_regression(clus1, expected) -> None:
    """calibrate(dclus1, ~stype + api99, c(`(Intercept)` = 6194, stypeH = 755, stypeM = 1018, api99 = 3914069))"""
    found = calibrate(clus1["pw"].to_numpy(), *school_types_and_last_year(clus1, expected))
    assert_calibrated(clus1, found, expected["clus1"]["greg_linear_stype_api99"])


def test_calibration_by_raking_factors(clus1, expected) -> None:
    """calibrate(dclus1, ~stype + api99, c(…), calfun = "raking")"""
    found = calibrate(clus1["pw"].to_numpy(), *school_types_and_last_year(clus1, expected), method="raking")
    assert_calibrated(clus1, found, expected["clus1"]["calibrated_raking_stype_api99"])


# -- replicate weights --------------------------------------------------------------------------------


def test_deleting_clusters_one_by_one(clus1, expected) -> None:
    """as.svrepdesign(dclus1), type JK1; svymean(~api00), svytotal(~enroll), svyratio(~api.stu, ~enroll)"""
    weights, truth = jackknife(clus1, CLUSTERED, centre="mean"), expected["clus1"]["jackknife_JK1"]
    assert weights.df == expected["clus1"]["degf"]
    assert_agrees(estimate_replicated(clus1, "api00", weights=weights).iloc[0], truth["mean_api00"])
    assert_agrees(
        estimate_replicated(clus1, "enroll", weights=weights, statistic="total").iloc[0], truth["total_enroll"]
    )
    found = estimate_replicated(clus1, "api.stu", weights=weights, statistic="ratio", denominator="enroll").iloc[0]
    assert_agrees(found, truth["ratio_api.stu_enroll"])


@pytest.mark.parametrize("centre", ["mean", "estimate"])
def test_deleting_schools_of_strata(strat, expected, centre) -> None:
    """as.svrepdesign(dstrat), type JKn; svymean(~api00): either centre, as a stratified mean is linear"""
    found = estimate_replicated(strat, "api00", weights=jackknife(strat, STRATIFIED, centre=centre)).iloc[0]
    assert_agrees(found, expected["strat"]["jackknife_JKn_mean_api00"])


def survival(scd: pd.DataFrame, weights: ReplicateWeights) -> pd.Series:
    return estimate_replicated(scd, "alive", denominator="arrests", statistic="ratio", weights=weights).iloc[0]


def test_half_samples_as_given(scd, expected) -> None:
    """svrepdesign(data = scd, type = "BRR", repweights = 2 * cbind(c(1,0,1,0,1,0), …), combined.weights = FALSE)"""
    multipliers = np.array(expected["scd"]["brr_halfsample_multipliers"])
    weights = multiplied(scd["weight"].to_numpy(), multipliers, scale=1 / 4, df=3, centre="mean")
    assert_agrees(survival(scd, weights), expected["scd"]["ratio_alive_arrests_brr"])


def test_half_samples_of_our_own_are_those_of_the_help_page(scd, expected) -> None:
    """as.svrepdesign(dscd, type = "BRR")"""
    assert_agrees(survival(scd, balanced(scd, AMBULANCES, centre="mean")), expected["scd"]["ratio_alive_arrests_brr"])


def test_fay_s_half_samples(scd, expected) -> None:
    """as.svrepdesign(dscd, type = "Fay", fay.rho = 0.3)"""
    weights = balanced(scd, AMBULANCES, rho=0.3, centre="mean")
    assert_agrees(survival(scd, weights), expected["scd"]["ratio_fay_rho_0.3"])


def test_a_total_by_the_jackknife_of_strata(scd, expected) -> None:
    """svytotal(~alive, as.svrepdesign(dscd, type = "JKn"))"""
    weights = jackknife(scd, AMBULANCES, centre="mean")
    found = estimate_replicated(scd, "alive", weights=weights, statistic="total").iloc[0]
    assert_agrees(found, expected["scd"]["total_alive_JKn"])


def test_successive_difference_weights_of_the_american_community_survey(shared_data) -> None:
    """svrepdesign(weights = ~PWGTP, repweights = "PWGTP[0-9]+", type = "successive-difference", mse = TRUE)

    svytotal(~one), svymean(~AGE), svytotal(~SEX), svymean(~I(RACE_ETHNICITY == "Hispanic or Latino"))
    """
    folder = shared_data("acs_sdr_replicates")
    frame, truth = pd.read_csv(folder / "lou_pums_microdata.csv.gz"), json.loads((folder / "expected.json").read_text())
    replicates = frame[[f"PWGTP{number}" for number in range(1, 81)]].to_numpy()
    assert (replicates == 0).sum() == 24  # rows with a zero weight stay
    weights = given(frame["PWGTP"].to_numpy(), replicates, scale=4 / 80)
    frame = frame.assign(one=1.0, is_hispanic=frame["RACE_ETHNICITY"] == "Hispanic or Latino")
    population = estimate_replicated(frame, "one", weights=weights, statistic="total").iloc[0]
    assert_agrees(population, truth["total_population"])
    assert_agrees(estimate_replicated(frame, "AGE", weights=weights).iloc[0], truth["mean_age"])
    hispanic = estimate_replicated(frame, "is_hispanic", weights=weights, statistic="share").iloc[0]
    assert_agrees(hispanic, truth["prop_hispanic"])
    by_sex = estimate_replicated(frame, "one", weights=weights, statistic="total", by="SEX").set_index("category")
    for name in ("estimate", "se"):
        assert by_sex.loc[["Male", "Female"], name].tolist() == close(truth["total_female"][name])


# -- quantiles ----------------------------------------------------------------------------------------


def test_quartiles_and_the_interval_of_the_median(clus1, expected) -> None:
    """svyquantile(~api00, dclus1, c(.25, .5, .75)); interval.type = "mean", qrule = "math": the defaults"""
    truth = expected["clus1"]["quantiles_api00"]
    rows = {
        name: quantile(clus1, "api00", p, design=CLUSTERED).iloc[0]
        for name, p in (("q25", 0.25), ("q50", 0.5), ("q75", 0.75))
    }
    assert {name: row["estimate"] for name, row in rows.items()} == {name: truth[name] for name in rows}
    assert rows["q50"][["ci_low", "ci_high"]].tolist() == truth["ci_q50"]


# -- regression and tests -----------------------------------------------------------------------------


def test_linear_regression(strat, expected) -> None:
    """summary(svyglm(api00 ~ ell + meals + mobility, design = dstrat))"""
    found = linear_model(strat, "api00", ["ell", "meals", "mobility"], design=STRATIFIED).table.set_index("term")
    truth = expected["strat"]["regression_api00_on_ell_meals_mobility"]
    for term, values in truth.items():
        assert_agrees(found.loc["intercept" if term == "(Intercept)" else term], values)


def test_two_group_t_test(strat, expected) -> None:
    """svyttest(enroll ~ comp.imp, dstrat)"""
    found, truth = t_test(strat, "enroll", "comp.imp", design=STRATIFIED), expected["strat"]["ttest_enroll_by_comp.imp"]
    assert found["df"] == truth["df"]
    assert found[["estimate", "t", "p"]].tolist() == close([truth["diff"], truth["t"], truth["p"]])


def test_rao_and_scott_s_test(strat, expected) -> None:
    """svychisq(~sch.wide + stype, dstrat)"""
    found = rao_scott_test(strat, "sch.wide", "stype", design=STRATIFIED)
    truth = expected["strat"]["rao_scott_sch.wide_stype"]
    assert found.tolist() == close([truth["F"], truth["ndf"], truth["ddf"], truth["p"]])
