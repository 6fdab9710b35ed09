"""Which counties show what, and what the model does at its edges."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import DesignError, InputRejected, UsageError
from analysis_lib.study import Study
from analysis_lib.survey.fay_herriot import benchmark, diagnose, fit, gap_variance, smooth_variances
from analysis_lib.survey.small_area import area_auxiliary, describe_models, estimate_small_areas

N_COUNTIES = 30
QUARTER = "2026Q1"


@pytest.fixture(scope="module")
def study(repository) -> Study:
    return Study.open(repository / "data")


def county_rows(study: Study, *, n=20, cv=0.25, seed=5, **changes: object) -> pd.DataFrame:
    """Direct estimates of every county and province: about 20 hours, n diaries each."""
    rng = np.random.default_rng(seed)
    counties, provinces = study.regions_at("county"), study.regions_at("province")
    value = 20 + rng.normal(0, 1.5, N_COUNTIES) + rng.normal(0, 20 * cv, N_COUNTIES)
    rows = pd.DataFrame(
        {
            "measure": "gross", "statistic": "mean", "unit": "hours_week", "region": counties, "by": "",
            "category": "", "period": QUARTER, "estimate": value, "se": 20 * cv, "ci_low": value - 40 * cv,
            "ci_high": value + 40 * cv, "df": 4.0, "deff": 1.0, "n": n, "n_psu": 6,
        }
    )  # fmt: skip
    above = rows.iloc[: len(provinces)].assign(region=provinces, estimate=20.0, se=1.0, n=100, df=24.0, n_psu=30)
    return pd.concat([rows.assign(**changes), above], ignore_index=True)


@pytest.fixture
def auxiliary(study) -> pd.DataFrame:
    recall = np.random.default_rng(2).normal(20, 1, N_COUNTIES)
    return pd.DataFrame({"recall_gross": recall, "officials": 1000.0}, index=study.regions_at("county"))


def estimated(study, rows, auxiliary, **options) -> pd.DataFrame:
    return estimate_small_areas(rows, auxiliary, study=study, level="county", **options).set_index("region")


def test_a_precise_county_shows_its_direct_estimate_unchanged(study, auxiliary):
    rows = county_rows(study, cv=0.05)
    found = estimated(study, rows, auxiliary)
    assert set(found["kind"]) == {"direct"}
    assert (found["estimate"] == rows.set_index("region").loc[found.index, "estimate"]).all()


def test_an_imprecise_county_shows_its_model_estimate_with_a_smaller_error(study, auxiliary):
    found = estimated(study, county_rows(study), auxiliary)
    assert set(found["kind"]) == {"model"}
    assert (found["se"] == np.sqrt(found["mse"])).all()
    assert found["se"].mean() < 0.7 * found["direct_se"].mean()
    assert found["shrinkage"].between(0, 1).all()


def test_a_county_of_few_respondents_stays_withheld_however_good_the_model(study, auxiliary):
    rows = county_rows(study)
    rows.loc[0, "n"] = study.config.disclosure.min_respondents - 1
    found = estimated(study, rows, auxiliary)
    assert found["kind"].iloc[0] == "withheld"
    assert np.isnan(found["estimate"].iloc[0])
    assert (found["kind"].iloc[1:] == "model").all()


def test_a_county_without_diaries_has_a_synthetic_estimate_that_is_not_shown(study, auxiliary):
    rows = county_rows(study)
    rows.loc[3, ["estimate", "se", "ci_low", "ci_high", "df"]] = np.nan
    rows.loc[3, ["n", "n_psu"]] = 0
    county = estimated(study, rows, auxiliary).iloc[3]
    assert county["kind"] == "withheld"
    assert county["shrinkage"] == 0
    assert 10 < county["model"] < 30


def test_a_county_within_one_unit_has_no_error_of_its_own_and_borrows_one(study, auxiliary):
    rows = county_rows(study, cv=0.05)
    rows.loc[0, ["se", "ci_low", "ci_high"]] = np.nan
    rows.loc[0, "df"] = 0.0
    found = estimated(study, rows, auxiliary)
    assert found["kind"].iloc[0] == "model"
    assert found["smoothed_se"].iloc[0] == pytest.approx(found["smoothed_se"].iloc[1])


def test_luck_in_the_error_or_the_hours_does_not_make_a_county_direct(study, auxiliary):
    rows = county_rows(study)
    rows.loc[0, "se"] = 0.2
    rows.loc[1, "estimate"] = 36.0
    assert estimated(study, rows, auxiliary)["kind"].iloc[:2].to_list() == ["model", "model"]


def test_a_model_that_fails_its_diagnostics_shows_nothing(study, auxiliary):
    rows = county_rows(study, cv=0.3)
    rows["estimate"] = rows["estimate"].clip(upper=25.0)
    rows.loc[0, "estimate"] = 150.0
    assert set(estimated(study, rows, auxiliary, benchmark_to="none")["kind"].iloc[1:]) == {"withheld"}
    assert not describe_models(rows, auxiliary, study=study, level="county")["passes"].any()


@pytest.mark.parametrize("how", ["ratio", "difference"])
def test_counties_average_to_their_province_and_pay_for_it(study, auxiliary, how):
    rows = county_rows(study)
    tied = estimated(study, rows, auxiliary, benchmark_to=how)
    free = estimated(study, rows, auxiliary, benchmark_to="none")
    parents = study.regions.loc[tied.index, "parent"]
    assert tied["model"].groupby(parents.to_numpy()).mean().to_list() == pytest.approx([20.0] * 6)
    assert (tied["mse"] > free["mse"]).all()


def test_a_benchmark_needs_the_province(study, auxiliary):
    rows = county_rows(study).iloc[:N_COUNTIES]
    with pytest.raises(UsageError, match="benchmark"):
        estimated(study, rows, auxiliary)
    assert len(estimated(study, rows, auxiliary, benchmark_to="none")) == N_COUNTIES


def test_a_share_of_people_has_no_area_model(study, auxiliary):
    with pytest.raises(UsageError, match="share"):
        estimated(study, county_rows(study, statistic="share"), auxiliary)


def test_an_area_without_a_covariate_is_not_modelled_and_shows_what_it_has_itself(study, auxiliary):
    auxiliary.iloc[2, 0] = np.nan
    found = estimated(study, county_rows(study), auxiliary)
    is_third = found.index == auxiliary.index[2]
    assert found.loc[is_third, "kind"].isin(["direct", "withheld"]).all()
    assert (found.loc[~is_third, "kind"] != "withheld").any()


def test_a_covariate_that_no_area_has_and_an_area_of_unknown_size_are_refused(study, auxiliary):
    with pytest.raises(DesignError, match="recall_gross"):
        estimated(study, county_rows(study), auxiliary.assign(recall_gross=np.nan))
    auxiliary.iloc[2, -1] = np.nan
    with pytest.raises(DesignError, match="officials") as caught:
        estimated(study, county_rows(study), auxiliary)
    assert "population.csv" in caught.value.fix


def test_a_population_list_of_regions_that_went_is_refused(study, tmp_path):
    shutil.copytree(study.root, tmp_path / "data", ignore=shutil.ignore_patterns("raw", "tidy", "results", "truth"))
    listed = tmp_path / "data" / "reference" / "population.csv"
    listed.write_text(listed.read_text(encoding="utf-8").replace("9101,", "9199,"), encoding="utf-8")
    opened = Study.open(tmp_path / "data")
    officials = pd.DataFrame({"quarter": [QUARTER], "county": ["9102"], "weight": [1.0]})
    with pytest.raises(InputRejected, match=r"population\.csv: '9199'"):
        area_auxiliary(officials, [], study=opened, level="county", quarters=[QUARTER])


def test_auxiliaries_are_questionnaire_means_and_listed_officials(study):
    counties = study.regions_at("county")
    people = pd.DataFrame(
        {
            "respondent_id": [str(i) for i in range(2 * N_COUNTIES)], "quarter": QUARTER, "stratum": "s",
            "psu": [str(i) for i in range(2 * N_COUNTIES)], "county": counties * 2, "weight": 2.0,
            "recall_gross": [10.0] * N_COUNTIES + [20.0] * N_COUNTIES,
        }
    )  # fmt: skip
    found = area_auxiliary(people, ["recall_gross"], study=study, level="county", quarters=[QUARTER])
    assert (found["recall_gross"] == 15.0).all()
    assert found["officials"].iloc[0] == 352 + 363 + 408  # population.csv
    with pytest.raises(UsageError, match="diaries"):
        area_auxiliary(people, ["gross"], study=study, level="county", quarters=[QUARTER])


# -- the model itself ---------------------------------------------------------------------------------


def areas(n_areas: int, model_variance: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    covariates = np.column_stack([np.ones(n_areas), rng.normal(0, 1, n_areas)])
    psi = rng.uniform(1, 3, n_areas)
    noise = rng.normal(0, 1, n_areas) * np.sqrt(model_variance + psi)
    return covariates @ [20.0, 2.0] + noise, psi, covariates


def test_areas_alike_beyond_chance_still_keep_a_model_variance():
    _, psi, covariates = areas(20, 0.0)
    on_the_line = covariates @ [20.0, 2.0] + 0.01 * np.resize([1.0, -1.0], 20)
    assert fit(on_the_line, psi, covariates, "ml").model_variance == 0
    model = fit(on_the_line, psi, covariates)
    assert model.is_adjusted
    assert model.model_variance > 0
    assert (model.mse > 0).all()


def test_sampling_variance_decides_how_far_an_area_is_drawn_in():
    model = fit(*areas(40, 2.0))
    order = np.argsort(model.sampling_variance)
    assert (np.diff(model.shrinkage[order]) < 0).all()
    between = np.sort(np.column_stack([model.direct, model.synthetic]), axis=1)
    assert ((between[:, 0] <= model.eblup) & (model.eblup <= between[:, 1])).all()


def test_rescaling_hours_to_minutes_rescales_everything():
    y, psi, covariates = areas(25, 2.0)
    hours, minutes = fit(y, psi, covariates), fit(60 * y, 3600 * psi, covariates)
    assert minutes.eblup == pytest.approx(60 * hours.eblup, rel=1e-9)
    assert minutes.mse == pytest.approx(3600 * hours.mse, rel=1e-9)


@pytest.mark.parametrize("fault", ["few", "zero", "missing", "collinear"])
def test_what_cannot_be_fitted_is_refused(fault):
    y, psi, covariates = areas(30, 1.0)
    if fault == "few":
        y, psi, covariates = y[:6], psi[:6], covariates[:6]
    elif fault == "zero":
        psi[0] = 0.0
    elif fault == "missing":
        y[0] = np.nan
    else:
        covariates = np.column_stack([covariates, covariates[:, 1]])
    with pytest.raises(DesignError):
        fit(y, psi, covariates)


def test_smoothing_keeps_the_mean_variance_per_respondent_and_follows_n():
    smoothed = smooth_variances(np.array([1.0, 3.0, np.nan]), np.array([20, 20, 10]), np.array([5.0, 5.0, 0.0]))
    assert smoothed == pytest.approx([2.0, 2.0, 4.0])
    with pytest.raises(DesignError, match="no area"):
        smooth_variances(np.array([np.nan]), np.array([3]), np.array([0.0]))


def test_one_area_far_off_fails_the_diagnostics_of_a_model_that_was_fine():
    y, psi, covariates = areas(30, 1.0)
    assert diagnose(fit(y, psi, covariates)).passes
    y[0] += 25
    assert not diagnose(fit(y, psi, covariates)).passes


def test_benchmarks_hit_their_target_and_a_ratio_needs_something_to_multiply():
    y, psi, covariates = areas(30, 1.0)
    model, share = fit(y, psi, covariates), np.full(30, 1 / 30)
    gap = gap_variance(model, share)
    assert gap > 0
    fitted = benchmark(model.eblup, model.mse, share, 21.0, gap)
    assert share @ fitted.estimate == pytest.approx(21.0)
    with pytest.raises(DesignError, match="positive"):
        benchmark(-model.eblup, model.mse, share, 21.0, gap)


def test_f35_areas_whose_model_is_singular_show_what_is_precise_by_itself_and_the_reason(study, auxiliary):
    twice = auxiliary.assign(again=2 * auxiliary["recall_gross"])
    assert set(estimated(study, county_rows(study), twice)["kind"]) == {"withheld"}
    assert set(estimated(study, county_rows(study, cv=0.05), twice)["kind"]) == {"direct"}
    models = describe_models(county_rows(study), twice, study=study, level="county")
    assert models[["passes", "reason"]].to_numpy().tolist() == [
        [False, "small areas: the covariates are collinear\n  fix: drop one of them"]
    ]
