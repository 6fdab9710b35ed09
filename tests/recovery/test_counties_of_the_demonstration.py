"""Counties of the demonstration study, estimated from its raw exports, against the truth they were drawn from."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis_lib import pipeline
from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate
from analysis_lib.survey.small_area import area_auxiliary, estimate_small_areas
from analysis_lib.tables.store import Store

QUARTER = Quarter(2026, 1)
MEASURES = ["gross", "avoidable", "group_meeting", "group_document", "group_form", "group_inspection"]


@pytest.fixture(scope="module")
def counties(repository, tmp_path_factory) -> pd.DataFrame:
    """A row per measure and county: what is shown, the direct and the model estimate, and the truth."""
    folder = tmp_path_factory.mktemp("counties") / "study"
    folder.mkdir()
    text = (repository / "data" / "study.toml").read_text(encoding="utf-8")
    text = text.replace('first = "2023Q4"', f'first = "{QUARTER}"').replace('last = "2026Q3"', f'last = "{QUARTER}"')
    (folder / "study.toml").write_text(text, encoding="utf-8")
    shutil.copytree(repository / "data" / "reference", folder / "reference")
    study = Study.open(folder)
    simulate_study(study, seed=11, progress=False)
    pipeline.prepare(study, QUARTER)
    store, label = Store(study), str(QUARTER)
    officials = store.read("official_quarters", QUARTER, pipeline.measured_fingerprint(store, QUARTER))
    regions = [*study.regions_at("province"), *study.regions_at("county")]
    direct = estimate(officials, MEASURES, study=study, periods={label: [label]}, regions=regions)
    auxiliary = area_auxiliary(officials, ["recall_gross"], study=study, level="county", quarters=[label])
    found = estimate_small_areas(direct, auxiliary, study=study, level="county")
    truth = pd.read_parquet(study.root / "truth" / "population_means.parquet").query("tier == 'all'")
    truth = truth.melt(["region"], MEASURES, var_name="measure", value_name="truth")
    return found.merge(truth, on=["region", "measure"], validate="1:1")


def test_the_model_is_nearer_the_truth_than_the_direct_estimates(counties):
    errors = counties.assign(
        model=(counties["model"] - counties["truth"]) ** 2, direct=(counties["direct"] - counties["truth"]) ** 2
    )
    by_measure = errors.groupby("measure")[["model", "direct"]].mean()
    assert (by_measure["model"] / by_measure["direct"]).mean() < 0.7


def test_what_a_county_shows_is_covered_by_its_interval(counties):
    shown = counties[counties["kind"] != "withheld"]
    assert {"direct", "model"} <= set(shown["kind"])
    assert ((shown["ci_low"] <= shown["truth"]) & (shown["truth"] <= shown["ci_high"])).mean() > 0.9


def test_model_intervals_cover_even_with_recall_and_diaries_of_one_quarter(counties):
    """The worst case for the covariate: four in ten who answered it also keep the diaries."""
    reach = stats.t.ppf(0.975, 28) * np.sqrt(counties["mse"])
    assert ((counties["model"] - counties["truth"]).abs() <= reach).mean() > 0.9
