"""What must hold for the hours of any diary."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_study import STUDY_TOML, write_study
from small_tables import MONDAY, SATURDAY, diary, no_totals, respondents

from analysis_lib.measures import by_requirer
from analysis_lib.study import Study
from analysis_lib.time_use.activities import read_classification
from analysis_lib.time_use.burden import official_quarters
from analysis_lib.time_use.diaries import day_activities

CODES = ["M1", "D2", "F1", "I2", "G1", "S2", "C1", "T1", "P0"]
FEW = settings(max_examples=15, deadline=None)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("study"), study_toml=STUDY_TOML + "[diary]\nmin_episodes = 0\n")


@st.composite
def full_days(draw: st.DrawFn, date: str) -> pd.DataFrame:
    """A diary day without gap or overlap, however it is cut, coded and rated."""
    cuts = draw(st.sets(st.integers(1, 1439), max_size=12))
    edges = [0, *sorted(cuts), 1440]
    parts = [
        diary(
            "A", date, (first, last, draw(st.sampled_from(CODES))),
            secondary_activity=draw(st.sampled_from(["", "G1", "M1"])), is_repeat=draw(st.sampled_from([None, False, True])),
            value=draw(st.sampled_from([None, 1, 2, 3, 4])), is_for_show=draw(st.sampled_from([None, False, True])),
            required_by=draw(st.sampled_from(["", "central", "county", "self"])),
            medium=draw(st.sampled_from(["", "paper", "video", "chat"])),
        )
        for first, last in pairwise(edges)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


weeks = st.tuples(full_days(MONDAY), full_days(SATURDAY)).map(lambda days: pd.concat(days, ignore_index=True))


def measured(study: Study, episodes: pd.DataFrame) -> pd.Series:
    activities, days, _ = day_activities(episodes, no_totals(), study=study)
    tables = {"respondents": respondents("A"), "day_activities": activities, "diary_days": days}
    return official_quarters(tables, study=study).iloc[0]


@FEW
@given(day=full_days(MONDAY))
def test_a_diary_day_has_1440_minutes_of_main_activity(study: Study, day: pd.DataFrame) -> None:
    activities, days, problems = day_activities(day, no_totals(), study=study)
    assert activities.loc[activities["role"] == "main", "minutes"].sum() == 1440
    assert days["known_minutes"].tolist() == [1440]
    assert problems.empty


@FEW
@given(week=weeks)
def test_the_groups_of_any_week_add_up_to_168_hours_and_parts_never_exceed_the_whole(
    study: Study, week: pd.DataFrame
) -> None:
    hours = measured(study, week)
    assert sum(hours[f"group_{group}"] for group in read_classification(study).groups.index) == pytest.approx(168)
    whole = hours["gross"] + 1e-9
    assert 0 <= hours["avoidable"] <= whole
    assert 0 <= hours["gross_out_of_hours"] <= whole
    assert whole <= hours["work_time"] + 2e-9
    assert sum(hours[key] for key in by_requirer(study.measures)) == pytest.approx(hours["gross"])
    media = [key for key in study.measures if key.startswith("gross_on_")]
    assert sum(hours[key] for key in media) == pytest.approx(hours["gross"])


@FEW
@given(week=weeks, where=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_cutting_an_episode_in_two_or_shuffling_episodes_changes_no_hour(
    study: Study, week: pd.DataFrame, where: float, seed: int
) -> None:
    longest = (week["end_minute"] - week["start_minute"]).idxmax()
    first, last = week.loc[longest, ["start_minute", "end_minute"]].astype(int)
    cut = first + max(1, int((last - first) * where))
    left = week.assign(end_minute=week["end_minute"].where(week.index != longest, cut))
    right = week.loc[[longest]].assign(start_minute=cut)
    pieces = pd.concat([left, right] if cut < last else [left], ignore_index=True)
    shuffled = pieces.sample(frac=1, random_state=np.random.default_rng(seed))
    before, after = measured(study, week), measured(study, shuffled)
    numbers = [name for name in before.index if isinstance(before[name], float)]
    np.testing.assert_allclose(after[numbers].astype(float), before[numbers].astype(float))


@FEW
@given(week=weeks)
def test_what_is_done_on_the_side_changes_no_total(study: Study, week: pd.DataFrame) -> None:
    alone = measured(study, week.assign(secondary_activity=""))
    hours = measured(study, week)
    for measure in ("gross", "avoidable", "work_time", "service", "group_digital"):
        assert hours[measure] == pytest.approx(alone[measure])
    assert alone["parallel_digital"] == 0
