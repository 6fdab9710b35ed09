"""Estimates against R `survey` 4.1.1, ten digits each.

Truth: ``expected.json`` of the shared data set ``r_survey_api``, whose README says how R made it. Beside each design
stands the R call. Keys of the file about calibration, replicate weights, quantiles and regression are not of this page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import difference, mean, ratio, share, total

pytestmark = pytest.mark.real_data

TEN_DIGITS = 1e-9  # expected.json prints ten significant digits: half a unit of the last is at most 5e-10
DESIGNS = {
    # svydesign(id = ~1, weights = ~pw, data = apisrs, fpc = ~fpc)
    "srs": ("apisrs", SurveyDesign(weight="pw", population="fpc")),
    # svydesign(id = ~1, strata = ~stype, weights = ~pw, data = apistrat, fpc = ~fpc)
    "strat": ("apistrat", SurveyDesign(stratum="stype", weight="pw", population="fpc")),
    # svydesign(id = ~dnum, weights = ~pw, data = apiclus1, fpc = ~fpc)
    "clus1": ("apiclus1", SurveyDesign(psu="dnum", weight="pw", population="fpc")),
    # svydesign(id = ~dnum + snum, fpc = ~fpc1 + fpc2, data = apiclus2)
    "clus2": (
        "apiclus2",
        SurveyDesign(psu="dnum", weight="pw", population="fpc1", ssu="snum", ssu_population="fpc2"),
    ),
}


@pytest.fixture(scope="module")
def folder(shared_data: Callable[[str], Path]) -> Path:
    return shared_data("r_survey_api")


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict:
    return json.loads((folder / "expected.json").read_text())


@pytest.fixture(scope="module")
def read(folder: Path) -> Callable[[str], pd.DataFrame]:
    return lambda name: pd.read_csv(folder / name)


def assert_agrees(found: pd.Series, truth: dict) -> None:
    assert found["estimate"] == pytest.approx(truth["estimate"], rel=TEN_DIGITS)
    assert found["se"] == pytest.approx(truth["se"], rel=TEN_DIGITS)


@pytest.mark.parametrize("name", DESIGNS)
class TestEveryDesign:
    def test_mean_design_effect_degrees_of_freedom_and_t_interval(self, read, expected, name) -> None:
        """svymean(~api00, design, deff = TRUE); degf(design); confint(…, df = degf(design))"""
        file, design = DESIGNS[name]
        found, truth = mean(read(f"{file}.csv.gz"), "api00", design=design).iloc[0], expected[name]
        assert_agrees(found, truth["mean_api00"])
        assert found["deff"] == pytest.approx(truth["deff_mean_api00"], rel=TEN_DIGITS)
        assert found["df"] == truth["degf"]
        assert found[["ci_low", "ci_high"]].tolist() == pytest.approx(truth["ci95_t_mean_api00"], rel=TEN_DIGITS)

    def test_total(self, read, expected, name) -> None:
        """svytotal(~enroll, design, na.rm = TRUE)"""
        file, design = DESIGNS[name]
        assert_agrees(total(read(f"{file}.csv.gz"), "enroll", design=design).iloc[0], expected[name]["total_enroll"])

    def test_ratio(self, read, expected, name) -> None:
        """svyratio(~api.stu, ~enroll, design, na.rm = TRUE)"""
        file, design = DESIGNS[name]
        assert_agrees(
            ratio(read(f"{file}.csv.gz"), "api.stu", "enroll", design=design).iloc[0],
            expected[name]["ratio_api.stu_enroll"],
        )


def test_a_domain_keeps_the_whole_design(read, expected) -> None:
    """svymean(~enroll, subset(dstrat, stype == "E")); svymean(~api00, subset(dclus1, sch.wide == "No"))"""
    strat, clus1 = read("apistrat.csv.gz"), read("apiclus1.csv.gz")
    elementary = mean(strat, "enroll", design=DESIGNS["strat"][1], where=strat["stype"] == "E").iloc[0]
    assert_agrees(elementary, expected["strat"]["domain_mean_enroll_E"])
    not_met = mean(clus1, "api00", design=DESIGNS["clus1"][1], where=clus1["sch.wide"] == "No").iloc[0]
    assert_agrees(not_met, expected["clus1"]["domain_mean_api00_sch.wide_No"])


def test_means_by_group(read, expected) -> None:
    """svyby(~api00, ~stype, dstrat, svymean)"""
    found = mean(read("apistrat.csv.gz"), "api00", design=DESIGNS["strat"][1], by="stype").set_index("category")
    truth = expected["strat"]["by_stype_api00"]
    assert set(found.index) == set(truth)
    for category in truth:
        assert_agrees(found.loc[category], truth[category])


def test_the_difference_of_two_domains(read, expected) -> None:
    """svyttest(enroll ~ comp.imp, dstrat): R takes one degree of freedom more, for the second mean."""
    strat, truth = read("apistrat.csv.gz"), expected["strat"]["ttest_enroll_by_comp.imp"]
    has_improved = strat["comp.imp"] == "Yes"
    found = difference(strat, "enroll", design=DESIGNS["strat"][1], earlier=~has_improved, later=has_improved).iloc[0]
    assert found["estimate"] == pytest.approx(truth["diff"], rel=TEN_DIGITS)
    assert found["estimate"] / found["se"] == pytest.approx(truth["t"], rel=TEN_DIGITS)
    assert found["df"] == truth["df"] + 1


def test_without_finite_population_correction(read, expected) -> None:
    """The same designs without fpc: sampling with replacement."""
    strat = mean(read("apistrat.csv.gz"), "api00", design=SurveyDesign(stratum="stype", weight="pw")).iloc[0]
    assert_agrees(strat, expected["strat"]["without_fpc_mean_api00"])
    clus1 = mean(read("apiclus1.csv.gz"), "api00", design=SurveyDesign(psu="dnum", weight="pw")).iloc[0]
    assert_agrees(clus1, expected["clus1"]["without_fpc_mean_api00"])


def test_a_design_that_ignores_its_clusters_looks_three_times_as_precise(read, expected) -> None:
    """svydesign(id = ~1, weights = ~pw, data = apiclus1)"""
    found = mean(read("apiclus1.csv.gz"), "api00", design=SurveyDesign(weight="pw")).iloc[0]
    assert_agrees(found, expected["clus1"]["ignoring_clusters_mean_api00"])


def test_a_share_has_r_s_logit_interval(read, expected) -> None:
    """svyciprop(~I(sch.wide == "Yes"), dclus1, method = "logit")"""
    clus1, truth = read("apiclus1.csv.gz"), expected["clus1"]["prop_sch.wide_Yes_logit_ci"]
    found = share(clus1.assign(met=clus1["sch.wide"] == "Yes"), "met", design=DESIGNS["clus1"][1]).iloc[0]
    assert found["estimate"] == pytest.approx(truth["estimate"], rel=TEN_DIGITS)
    assert found[["ci_low", "ci_high"]].tolist() == pytest.approx(truth["ci"], rel=TEN_DIGITS)


def test_a_ratio_of_three_strata_of_two_ambulances(read, expected) -> None:
    """svyratio(~alive, ~arrests, svydesign(id = ~ambulance, strata = ~ESA, weights = ~1, data = scd, nest = TRUE))"""
    scd = read("scd.csv").assign(weight=1.0)
    found = ratio(scd, "alive", "arrests", design=SurveyDesign(stratum="ESA", psu="ambulance")).iloc[0]
    assert_agrees(found, expected["scd"]["ratio_alive_arrests_linearised"])


def test_the_help_page_of_fpc(read, expected) -> None:
    """svydesign(id = ~psuid, strata = ~stratid, weights = ~weight, data = fpc, nest = TRUE[, fpc = ~Nh])"""
    frame = read("fpc.csv")
    design = SurveyDesign(stratum="stratid", psu="psuid", weight="weight")
    corrected = SurveyDesign(stratum="stratid", psu="psuid", weight="weight", population="Nh")
    assert_agrees(mean(frame, "x", design=design).iloc[0], expected["fpc"]["mean_x_without_fpc"])
    assert_agrees(mean(frame, "x", design=corrected).iloc[0], expected["fpc"]["mean_x_with_fpc"])
    assert_agrees(total(frame, "x", design=corrected).iloc[0], expected["fpc"]["total_x_with_fpc"])


def test_two_stages_of_mu284(read, expected) -> None:
    """svydesign(id = ~id1 + id2, fpc = ~n1 + n2, data = mu284): weights from the two population counts"""
    frame = read("mu284.csv")
    sampled = frame.groupby("id1")["id2"].transform("size")
    frame = frame.assign(weight=frame["n1"] / frame["id1"].nunique() * frame["n2"] / sampled)
    design = SurveyDesign(psu="id1", population="n1", ssu="id2", ssu_population="n2")
    assert_agrees(total(frame, "y1", design=design).iloc[0], expected["mu284_two_stage"]["total_y1"])
    assert_agrees(mean(frame, "y1", design=design).iloc[0], expected["mu284_two_stage"]["mean_y1"])
