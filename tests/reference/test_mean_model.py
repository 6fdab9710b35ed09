"""The weighted model of a mean against R's ``svyglm`` and against statsmodels, and two decompositions against print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.datasets import ccard
from statsmodels.discrete.discrete_model import Poisson
from statsmodels.genmod import families
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.tools.sm_exceptions import SpecificationWarning

from analysis_lib.survey.decomposition import decompose_means
from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.mean_model import Form, Step, average_effects, fit_mean, link_test, variances

TEN_DIGITS = 1e-9


def fitted(frame: pd.DataFrame, y: str, terms: list[str], design: SurveyDesign, form: Form) -> tuple:
    x = np.column_stack([np.ones(len(frame)), *(frame[term].to_numpy(float) for term in terms)])
    model = fit_mean(frame[y].to_numpy(float), x, frame[design.weight].to_numpy(float), form)
    return model, np.sqrt(variances(read_sample(frame, design), model.influence))


@pytest.mark.real_data
class TestAgainstR:
    def test_a_linear_model_of_a_stratified_sample_to_ten_digits(self, shared_data: Callable[[str], Path]) -> None:
        """svyglm(api00 ~ ell + meals + mobility, svydesign(~1, strata = ~stype, weights = ~pw, data = apistrat, fpc = ~fpc))"""
        folder = shared_data("r_survey_api")
        truth = json.loads((folder / "expected.json").read_text())["strat"]["regression_api00_on_ell_meals_mobility"]
        design = SurveyDesign(stratum="stype", weight="pw", population="fpc")
        frame = pd.read_csv(folder / "apistrat.csv.gz")
        model, se = fitted(frame, "api00", ["ell", "meals", "mobility"], design, "identity")
        assert model.beta == pytest.approx([row["estimate"] for row in truth.values()], rel=TEN_DIGITS)
        assert se == pytest.approx([row["se"] for row in truth.values()], rel=TEN_DIGITS)

    def test_a_linear_model_of_clusters_as_the_package_s_page_prints_it(
        self, shared_data: Callable[[str], Path]
    ) -> None:
        """summary(svyglm(api00 ~ ell + meals + mobility, svydesign(~dnum + snum, weights = ~pw, data = apiclus2)))

        As printed at r-survey.r-forge.r-project.org/survey/example-regression.html.
        """
        frame = pd.read_csv(shared_data("r_survey_api") / "apiclus2.csv.gz")
        design = SurveyDesign(psu="dnum", weight="pw")
        model, se = fitted(frame, "api00", ["ell", "meals", "mobility"], design, "identity")
        assert model.beta.round(4).tolist() == [811.4907, -2.0592, -1.7772, 0.3253]
        assert se.round(4).tolist() == [30.8795, 1.4075, 1.1053, 0.5305]

    def test_a_log_model_as_zelig_prints_it(self, shared_data: Callable[[str], Path]) -> None:
        """zelig(enroll ~ api99 + yr.rnd, model = "poisson.survey", data = apistrat): svyglm, every school counting once

        As printed at docs.zeligproject.org/articles/zelig_poissonsurvey.html.
        """
        frame = pd.read_csv(shared_data("r_survey_api") / "apistrat.csv.gz")
        frame = frame.assign(yr_rnd=frame["yr.rnd"] == "Yes", once=1.0)
        model, se = fitted(frame, "enroll", ["api99", "yr_rnd"], SurveyDesign(weight="once"), "log")
        assert model.beta.round(7).tolist() == [7.1282917, -0.0008395, 0.0556202]
        assert se.round(7).tolist() == [0.2645220, 0.0004091, 0.1730477]


# -- statsmodels --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clustered() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    psu = np.repeat(np.arange(30), 12)
    x, z = rng.poisson(4, 360), rng.random(360) < 0.3
    mean = np.exp(1.5 + 0.08 * x + 0.3 * z + rng.normal(0, 0.2, 30)[psu])
    y = mean * rng.gamma(1.5, 1 / 1.5, 360) * (rng.random(360) < 0.9)
    return pd.DataFrame({"psu": psu, "x": x, "z": z, "y": y, "weight": rng.uniform(1, 5, 360)})


@pytest.mark.parametrize("form", ["log", "identity"])
def test_without_strata_errors_are_the_cluster_robust_ones(clustered: pd.DataFrame, form: Form) -> None:
    """GLM(…, var_weights).fit(cov_type="cluster", use_correction=False), times G/(G − 1)."""
    model, se = fitted(clustered, "y", ["x", "z"], SurveyDesign(psu="psu"), form)
    family = families.Poisson() if form == "log" else families.Gaussian()
    with pytest.warns(SpecificationWarning, match="var_weights"):  # it warns, and is right: the scores are weighted
        other = GLM(clustered["y"], model.x, family=family, var_weights=clustered["weight"]).fit(
            tol=1e-12, cov_type="cluster", cov_kwds={"groups": clustered["psu"].to_numpy(), "use_correction": False}
        )
    assert model.beta == pytest.approx(other.params.to_numpy(), rel=1e-9)
    assert se == pytest.approx(other.bse.to_numpy() * np.sqrt(30 / 29), rel=1e-8)


def test_effects_of_small_steps_are_the_average_marginal_effects(clustered: pd.DataFrame) -> None:
    """Poisson(y, x).fit().get_margeff(at="overall", dummy=True)"""
    frame = clustered.assign(weight=1.0)
    model, _ = fitted(frame, "y", ["x", "z"], SurveyDesign(psu="psu"), "log")
    small = 1e-6
    found, _ = average_effects(model, [Step([1], None, np.array([small])), Step([2], np.zeros(1), np.ones(1))])
    other = Poisson(frame["y"], model.x).fit(disp=0, tol=1e-12).get_margeff(at="overall", dummy=True).margeff
    assert found[0] / small == pytest.approx(other[0], rel=1e-5)
    assert found[1] == pytest.approx(other[1], rel=1e-6)


def test_the_standard_error_of_an_effect_is_that_of_leaving_out_one_cluster_after_another(
    clustered: pd.DataFrame,
) -> None:
    """The jackknife, which knows nothing of derivatives: 30 clusters, so the two differ by some per cent."""
    model, _ = fitted(clustered, "y", ["x", "z"], SurveyDesign(psu="psu"), "log")
    steps = [Step([1], None, np.ones(1)), Step([2], np.zeros(1), np.ones(1))]
    effects, scores = average_effects(model, steps)
    se = np.sqrt(variances(read_sample(clustered, SurveyDesign(psu="psu")), scores))
    without = [
        average_effects(fit_mean(model.y, model.x, np.where(clustered["psu"] == psu, 0, model.weight), "log"), steps)[0]
        for psu in range(30)
    ]
    assert se == pytest.approx(np.sqrt(29 / 30 * ((without - effects) ** 2).sum(axis=0)), rel=0.08)


def test_a_fit_begun_near_the_solution_ends_in_the_same_place(clustered: pd.DataFrame) -> None:
    model, _ = fitted(clustered, "y", ["x", "z"], SurveyDesign(psu="psu"), "log")
    again = fit_mean(model.y, model.x, model.weight, "log", start=model.beta * 0.9)
    assert again.beta == pytest.approx(model.beta, rel=1e-9)


def test_the_link_test_finds_the_wrong_form_and_lets_the_right_one_be() -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 3, 3000)
    frame = pd.DataFrame({"x": x, "y": np.exp(1 + 0.8 * x) * rng.gamma(2, 0.5, 3000), "weight": 1.0})

    def p(form: Form) -> float:
        model = link_test(fitted(frame, "y", ["x"], SurveyDesign(), form)[0])
        t = model.beta[-1] / np.sqrt(variances(read_sample(frame, SurveyDesign()), model.influence)[-1])
        return float(2 * stats.norm.sf(abs(t)))

    assert p("identity") < 1e-6
    assert p("log") > 0.05


# -- decompositions -----------------------------------------------------------------------------------


def test_oaxaca_blinder_of_credit_card_spending_as_stata_prints_it() -> None:
    """oaxaca avgexp age income income2, by(ownrent) weight(1), and weight(0); half of each is weight(0.5).

    Stata's figures stand in statsmodels' own tests (stats/tests/test_oaxaca.py): 83.29673 and 75.45371, 321.7482 and
    −162.9978, of a gap of 158.7504.
    """
    data = ccard.load_pandas()
    is_owner = data.exog["OWNRENT"].to_numpy() == 1
    terms = data.exog.drop(columns="OWNRENT").to_numpy(float)
    x = np.column_stack([np.ones(len(terms)), terms])
    found = decompose_means(data.endog.to_numpy(float), x, np.ones(len(x)), is_owner)
    assert found.difference == pytest.approx(158.7504, abs=5e-5)
    assert found.composition.sum() == pytest.approx((83.29673 + 321.7482) / 2, abs=5e-5)
    assert found.rate.sum() == pytest.approx((75.45371 - 162.9978) / 2, abs=5e-5)


def test_kitagawa_s_decomposition_of_two_death_rates() -> None:
    """Das Gupta (1993), example 5.3: United States 1970 and 1985, by race and age, deaths per 1,000.

    R: dgnpop(eg5.3, "pop", "rate", c("race", "age"), crossclassified = "size") |> dg_table(), whose vignette prints a
    difference of −0.6862158, of which −2.227725 in the rates.
    """
    size = {
        1970: [2968, 11484, 34614, 30992, 21983, 20314, 20928, 16897, 11339, 5720, 1315,
               535, 2162, 6120, 4781, 3096, 2718, 2363, 1767, 1149, 448, 117],
        1985: [3041, 11577, 27450, 32711, 35480, 27411, 19555, 19795, 15254, 8022, 2472,
               707, 2692, 6473, 6841, 6547, 4352, 3034, 2540, 1749, 804, 236],
    }  # fmt: skip
    rate = {
        1970: [18.469, 0.751, 0.391, 1.146, 1.287, 2.672, 6.636, 15.691, 34.723, 79.763, 176.837,
               36.993, 1.352, 0.541, 2.040, 3.523, 6.746, 12.967, 24.471, 45.091, 74.902, 123.205],
        1985: [9.163, 0.462, 0.248, 0.929, 1.084, 1.810, 4.715, 12.187, 27.728, 64.068, 157.570,
               17.208, 0.738, 0.328, 1.103, 2.045, 3.724, 8.052, 17.812, 34.128, 68.276, 125.161],
    }  # fmt: skip
    x = np.column_stack([np.ones(22), np.eye(22)[:, 1:]])
    found = decompose_means(
        np.array([*rate[1970], *rate[1985]]),
        np.vstack([x, x]),
        np.array([*size[1970], *size[1985]], dtype=float),
        np.repeat([False, True], 22),
    )
    assert round(found.difference, 7) == -0.6862158
    assert round(found.rate.sum(), 6) == -2.227725
