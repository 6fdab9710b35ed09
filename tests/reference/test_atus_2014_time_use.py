"""Minutes by activity of 240 real diaries against an answer sheet that another source made.

Truth: ``expected_tier1_minutes.csv.gz`` (R package ``atus``) and ``reference_weighted_means.csv`` of the shared data
set ``atus_2014_diaries``. Here the episodes come as the contract has them, so that time use alone is under test: the
clock is turned to minutes since 04:00, and the last episode, which runs past the end of the day, is cut there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate
from analysis_lib.tables.contracts import MINUTES_PER_DAY
from analysis_lib.time_use.burden import official_quarters
from analysis_lib.time_use.diaries import day_activities

pytestmark = pytest.mark.real_data

UNCODABLE = "50"
STUDY = """
[study]
id = "students"
title_zh = "学生"
title_en = "Students"
[calendar]
first = "2014Q1"
last = "2014Q4"
[design]
stratum = ""
psu = ""
[diary]
day_starts = "04:00"
represents = "one_day"
min_episodes = 0
max_unknown_minutes = 0
"""


@pytest.fixture(scope="module")
def data(shared_data: Callable[[str], Path]) -> Path:
    return shared_data("atus_2014_diaries")


@pytest.fixture(scope="module")
def study(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("students")
    (root / "reference").mkdir()
    (root / "study.toml").write_text(STUDY)
    codes = sorted(pd.read_csv(data / "episodes.csv.gz", dtype=str)["tier1"].str.zfill(2).unique())
    files = {
        "activities.csv": ["code,group,kind,loss,name_zh,name_en", *(f"{c},all,personal,never,甲,{c}" for c in codes)],
        "activity_groups.csv": ["group,kind,name_zh,name_en", "all,personal,甲,All"],
        "regions.csv": ["code,parent,level,name_zh,name_en"],
        "measures.toml": [],
    }
    for name, lines in files.items():
        (root / "reference" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Study.open(root)


@pytest.fixture(scope="module")
def people(data: Path) -> pd.DataFrame:
    frame = pd.read_csv(data / "respondents.csv", dtype={"tucaseid": str, "tudiarydate": str})
    date = pd.to_datetime(frame["tudiarydate"], format="%Y%m%d")
    return pd.DataFrame(
        {
            "respondent_id": frame["tucaseid"], "quarter": date.dt.year.astype(str) + "Q" + date.dt.quarter.astype(str),
            "diary_date": date.dt.strftime("%Y-%m-%d"), "weight": frame["tufinlwgt"], "region": "all",
            "drop": "d", "received": "2015-06-24", "instrument": "atus",
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def episodes(data: Path, people: pd.DataFrame) -> pd.DataFrame:
    raw = pd.read_csv(data / "episodes.csv.gz", dtype={"tucaseid": str})
    start = (minute_of_clock(raw["start"]) - 240) % MINUTES_PER_DAY
    length = (minute_of_clock(raw["stop"]) - minute_of_clock(raw["start"])) % MINUTES_PER_DAY
    frame = pd.DataFrame(
        {
            "respondent_id": raw["tucaseid"], "start_minute": start,
            "end_minute": (start + length).clip(upper=MINUTES_PER_DAY),
            "activity": raw["tier1"].astype(str).str.zfill(2), "secondary_activity": "", "medium": "",
            "required_by": "", "is_repeat": pd.array([pd.NA] * len(raw), dtype="boolean"), "value": float("nan"),
            "is_for_show": pd.array([pd.NA] * len(raw), dtype="boolean"), "drop": "d",
        }
    )  # fmt: skip
    return frame.merge(people[["respondent_id", "quarter", "diary_date"]], on="respondent_id", validate="m:1")


@pytest.fixture(scope="module")
def measured(episodes: pd.DataFrame, people: pd.DataFrame, study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    no_totals = episodes[["respondent_id", "quarter", "diary_date", "activity", "drop"]].iloc[:0].assign(minutes=0.0)
    activities, days, problems = day_activities(episodes, no_totals, study=study)
    assert problems.empty
    return activities, days


def minute_of_clock(clock: pd.Series) -> pd.Series:
    parts = clock.str.split(":", expand=True).astype(int)
    return 60 * parts[0] + parts[1]


def test_all_1567_cells_of_the_answer_sheet_come_out_to_the_minute(
    measured: tuple[pd.DataFrame, pd.DataFrame], data: Path
) -> None:
    activities, _ = measured
    sheet = pd.read_csv(data / "expected_tier1_minutes.csv.gz", dtype={"tucaseid": str})
    truth = sheet.set_index(["tucaseid", sheet["tier1"].astype(str).str.zfill(2)])["minutes"]
    found = activities[activities["activity"] != UNCODABLE].groupby(["respondent_id", "activity"])["minutes"].sum()
    assert len(truth) == 1567
    assert found.rename_axis(truth.index.names).to_dict() == truth.to_dict()


def test_every_diary_day_has_1440_minutes_and_is_used(measured: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    _, days = measured
    assert len(days) == 240
    assert set(days["known_minutes"]) == {MINUTES_PER_DAY}
    assert days["is_used"].all()


def test_weighted_means_over_the_year_are_the_reference(
    measured: tuple[pd.DataFrame, pd.DataFrame], people: pd.DataFrame, study: Study, data: Path
) -> None:
    activities, days = measured
    tables = {"respondents": people.drop(columns="diary_date"), "day_activities": activities, "diary_days": days}
    officials = official_quarters(tables, study=study)
    reference = pd.read_csv(data / "reference_weighted_means.csv", dtype={"tier1": str})
    keys = [f"activity_{code.zfill(2)}" for code in reference["tier1"]]
    found = estimate(
        officials, keys, study=study, regions=["all"], periods={"2014": [f"2014Q{number}" for number in (1, 2, 3, 4)]}
    )
    minutes_a_day = found.set_index("measure")["estimate"][keys] * 60 / 7
    assert minutes_a_day.tolist() == pytest.approx(reference["weighted_mean_minutes"].tolist(), abs=6e-7)
