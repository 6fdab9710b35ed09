"""240 real diaries given as raw episodes: through ingest and time use to an answer sheet from another source.

Truth: ``expected_tier1_minutes.csv.gz`` (1,567 cells, R package ``atus``) and ``reference_weighted_means.csv`` of the
shared data set ``atus_2014_diaries``. Every diary starts at 04:00 and crosses midnight; 232 of 240 run past 04:00 and
are cut there; 51 episodes are "unable to code" (50), which the answer sheet leaves out.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis_lib.ingest.tidy import ingest_quarter
from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate
from analysis_lib.tables.contracts import MINUTES_PER_DAY
from analysis_lib.tables.store import Store
from analysis_lib.time_use.activities import all_measures
from analysis_lib.time_use.burden import official_quarters
from analysis_lib.time_use.diaries import day_activities

pytestmark = [pytest.mark.real_data, pytest.mark.xdist_group("atus2014")]

UNCODABLE = "50"


@pytest.fixture(scope="module")
def data(shared_data: Callable[[str], Path]) -> Path:
    return shared_data("atus_2014_diaries")


@pytest.fixture(scope="module")
def study(data: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("atus2014") / "study"
    runpy.run_path(str(repository / "docs/tutorial/atus2014/build_study.py"))["build"](data, folder)
    return Study.open(folder)


@pytest.fixture(scope="module")
def tables(study: Study) -> dict[str, pd.DataFrame]:
    by_quarter = [ingest_quarter(Store(study), quarter) for quarter in study.config.calendar.quarters]
    tidy = {name: pd.concat([tables[name] for tables in by_quarter], ignore_index=True) for name in by_quarter[0]}
    activities, days, _ = day_activities(
        tidy["episodes"], tidy["day_totals"], respondents=tidy["respondents"], study=study
    )
    return {**tidy, "day_activities": activities, "diary_days": days}


def test_every_diary_is_used_and_tiles_its_1440_minutes(tables: dict[str, pd.DataFrame]) -> None:
    assert len(tables["diary_days"]) == 240
    assert tables["diary_days"]["is_used"].all()
    minutes = tables["day_activities"].groupby("respondent_id")["minutes"].sum()
    assert (minutes == MINUTES_PER_DAY).all()


def test_every_cell_of_the_answer_sheet_agrees_exactly(tables: dict[str, pd.DataFrame], data: Path) -> None:
    expected = pd.read_csv(data / "expected_tier1_minutes.csv.gz", dtype={"tucaseid": str, "tier1": str})
    sheet = expected.assign(tier1=expected["tier1"].str.zfill(2)).set_index(["tucaseid", "tier1"])["minutes"]
    main = tables["day_activities"].query("role == 'main'")
    found = main[main["activity"] != UNCODABLE].groupby(["respondent_id", "activity"])["minutes"].sum()
    assert len(found) == len(sheet) == 1567
    assert found.to_dict() == sheet.to_dict()


def test_uncodable_time_is_kept_as_an_activity_of_its_own(tables: dict[str, pd.DataFrame]) -> None:
    episodes = tables["episodes"].query("activity == @UNCODABLE")
    assert (len(episodes), episodes["respondent_id"].nunique()) == (51, 40)


def test_episodes_that_ran_past_the_end_of_the_day_are_cut_and_noted(tables: dict[str, pd.DataFrame]) -> None:
    noted = tables["problems"].query("action == 'fixed'")
    assert noted["message"].str.contains("end of the diary day").all()
    assert noted["message"].str.extract(r"^(\d+) ")[0].astype(int).sum() == 232
    assert len(tables["episodes"]) == 4449


def test_weighted_means_of_all_activities_agree(study: Study, tables: dict[str, pd.DataFrame], data: Path) -> None:
    reference = pd.read_csv(data / "reference_weighted_means.csv", dtype={"tier1": str}).set_index("tier1")
    officials = official_quarters(tables, study=study)
    keys = [key for key in all_measures(study) if key.startswith("activity_")]
    assert len(keys) == 18
    weeks = estimate(
        officials, keys, study=study, periods={"2014": ["2014Q1", "2014Q2", "2014Q3"]}, regions=["all"]
    ).set_index("measure")["estimate"]
    for tier1, minutes in reference["weighted_mean_minutes"].items():
        minutes_day = weeks[f"activity_{str(tier1).zfill(2)}"] * 60 / 7
        assert minutes_day == pytest.approx(minutes, abs=1e-6)
