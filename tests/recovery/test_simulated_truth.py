"""From raw exports with all their dirt back to the truth that they were drawn from."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from analysis_lib import pipeline
from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.survey.estimation import estimate
from analysis_lib.tables.store import Store

QUARTER = Quarter(2026, 1)
MEASURES = ["gross", "avoidable", "work_time", "service", "parallel_digital", "group_form", "group_for_show"]
# A few officials a province did any of it on their diary days: a mean so rare has no normal standard error there.
TOO_RARE_FOR_PROVINCES = {"group_for_show"}


@pytest.fixture(scope="module")
def against_truth(repository, tmp_path_factory) -> pd.DataFrame:
    """A row per measure and region: estimate, interval and truth."""
    folder = tmp_path_factory.mktemp("recovery") / "study"
    folder.mkdir()
    text = (repository / "data" / "study.toml").read_text(encoding="utf-8")
    text = text.replace('first = "2023Q4"', f'first = "{QUARTER}"').replace('last = "2026Q3"', f'last = "{QUARTER}"')
    (folder / "study.toml").write_text(text, encoding="utf-8")
    shutil.copytree(repository / "data" / "reference", folder / "reference")
    study = Study.open(folder)
    simulate_study(study, seed=3, progress=False)
    pipeline.prepare(study, QUARTER)
    store = Store(study)
    officials = store.read("official_quarters", QUARTER, pipeline.measured_fingerprint(store, QUARTER))
    regions = [NATION, *study.regions_at("province"), *study.regions_at("county")]
    estimates = estimate(
        officials,
        [*MEASURES, "excess"],
        study=study,
        periods={str(QUARTER): [str(QUARTER)]},
        regions=regions,
    )
    truth = pd.read_parquet(study.root / "truth" / "population_means.parquet").query("tier == 'all'")
    truth = truth.melt(["region"], [*MEASURES, "excess"], var_name="measure", value_name="truth")
    return estimates.merge(truth, on=["region", "measure"], validate="1:1")


@pytest.mark.parametrize("measure", MEASURES)
def test_the_nation_and_every_province_come_out_within_four_standard_errors(against_truth, measure):
    rows = against_truth[(against_truth["measure"] == measure) & (against_truth["region"].str.len() < 4)]
    assert len(rows) == 7
    if measure in TOO_RARE_FOR_PROVINCES:
        rows = rows[rows["region"] == NATION]
    assert ((rows["estimate"] - rows["truth"]).abs() < 4 * rows["se"]).all()


def test_intervals_cover_the_truth_about_as_often_as_they_say(against_truth):
    """Small counties have few diaries, so coverage is somewhat below the nominal 95 %."""
    rows = against_truth[against_truth["measure"] != "excess"].dropna(subset=["ci_low"])
    covered = (rows["ci_low"] <= rows["truth"]) & (rows["truth"] <= rows["ci_high"])
    assert covered.mean() > 0.88


def test_two_diary_days_overstate_excess_because_days_scatter_around_the_week(against_truth):
    """A known bias, stated beside the truth: max(0, ·) is convex, so noise in the hours raises its mean."""
    nation = against_truth.query("region == 'all' and measure == 'excess'").iloc[0]
    assert 0 < nation["estimate"] - nation["truth"] < 2.5
