from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from sample_study import STUDY_TOML, write_study
from small_tables import MONDAY, SATURDAY, day_totals, diary, no_totals, respondents

from analysis_lib.errors import UsageError
from analysis_lib.study import Study
from analysis_lib.time_use.diaries import day_activities

EASY = "[diary]\nmin_episodes = 0\nmax_unknown_minutes = 1440\n"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_study(tmp_path, study_toml=STUDY_TOML + EASY)


def with_diary(tmp_path: Path, settings: str) -> Study:
    return write_study(tmp_path, study_toml=f"{STUDY_TOML}[diary]\n{settings}\n")


def cells(study: Study, episodes: pd.DataFrame, *columns: str) -> dict[tuple, float]:
    activities, _, _ = day_activities(episodes, no_totals(), study=study)
    return activities.groupby(list(columns))["minutes"].sum().to_dict()


def day_type(study: Study, date: str, people: pd.DataFrame | None = None) -> str:
    _, days, _ = day_activities(diary("A", date, (0, 60, "M1")), no_totals(), study=study, respondents=people)
    return str(days.at[0, "day_type"])


def test_minutes_add_up_by_activity(study: Study) -> None:
    episodes = diary("A", MONDAY, (0, 480, "P0"), (480, 600, "M1"), (600, 660, "D2"), (660, 690, "M1"))
    assert cells(study, episodes, "activity") == {"P0": 480, "M1": 150, "D2": 60}


def test_a_secondary_activity_keeps_its_role_and_adds_nothing_to_the_day(study: Study) -> None:
    episodes = diary("A", MONDAY, (480, 600, "M1"), secondary_activity="G1", value=1)
    activities, days, _ = day_activities(episodes, no_totals(), study=study)
    assert activities.groupby(["activity", "role"])["minutes"].sum().to_dict() == {
        ("M1", "main"): 120, ("G1", "secondary"): 120,
    }  # fmt: skip
    assert days.at[0, "known_minutes"] == 120
    assert not activities.loc[activities["role"] == "secondary", "is_avoidable"].any()


@pytest.mark.parametrize(
    ("said", "is_avoidable"),
    [
        ({"value": 2}, True),
        ({"value": 3}, False),
        ({"is_repeat": True, "value": 4}, True),
        ({"is_for_show": True}, True),
        ({}, False),
    ],
)
def test_burden_is_avoidable_when_of_low_value_repeated_or_for_show(
    study: Study, said: dict, is_avoidable: bool
) -> None:
    assert cells(study, diary("A", MONDAY, (0, 60, "M1"), **said), "is_avoidable") == {is_avoidable: 60}


def test_service_is_never_avoidable_however_it_is_rated(study: Study) -> None:
    assert cells(study, diary("A", MONDAY, (0, 60, "S1"), value=1, is_repeat=True), "is_avoidable") == {False: 60}


def test_training_for_show_leaves_its_group_for_the_burden_and_other_training_stays(study: Study) -> None:
    episodes = pd.concat(
        [diary("A", MONDAY, (0, 60, "T1"), is_for_show=True), diary("A", MONDAY, (60, 90, "T1"), value=1)]
    )
    assert cells(study, episodes, "group", "is_avoidable") == {("for_show", True): 60, ("training", False): 30}


def test_an_episode_across_the_end_of_work_hours_is_split_there(study: Study) -> None:
    episodes = diary("A", MONDAY, (7 * 60, 9 * 60, "M1"), (17 * 60 + 30, 18 * 60 + 15, "F1"))
    assert cells(study, episodes, "activity", "is_out_of_hours") == {
        ("M1", True): 60, ("M1", False): 60, ("F1", False): 30, ("F1", True): 15,
    }  # fmt: skip


def test_a_weekend_day_is_out_of_hours_throughout(study: Study) -> None:
    assert cells(study, diary("A", SATURDAY, (9 * 60, 12 * 60, "M1")), "is_out_of_hours") == {True: 180}


def test_work_hours_are_clock_times_where_the_diary_day_starts_at_four(tmp_path: Path) -> None:
    """Minute 240 of a day that starts at 04:00 is 08:00 on the clock."""
    study = with_diary(tmp_path, 'day_starts = "04:00"\nmin_episodes = 0\nmax_unknown_minutes = 1440')
    assert cells(study, diary("A", MONDAY, (210, 300, "M1")), "is_out_of_hours") == {True: 30, False: 60}


def test_a_night_shift_s_work_hours_may_wrap_around_the_diary_day(tmp_path: Path) -> None:
    study = with_diary(tmp_path, 'work_hours = ["22:00", "06:00"]\nmin_episodes = 0\nmax_unknown_minutes = 1440')
    episodes = diary("A", MONDAY, (300, 420, "M1"), (1380, 1440, "M1"))
    assert cells(study, episodes, "is_out_of_hours") == {False: 120, True: 60}


@pytest.mark.parametrize("settings", ['work_hours = ["08:00"]', 'work_hours = ["8 am", "18:00"]'])
def test_work_hours_that_are_no_two_clock_times_are_refused(tmp_path: Path, settings: str) -> None:
    study = with_diary(tmp_path, settings)
    with pytest.raises(UsageError, match=r"study\.toml"):
        day_activities(diary("A", MONDAY, (0, 60, "M1")), no_totals(), study=study)


def test_a_saturday_is_weekend_and_a_make_up_saturday_is_a_weekday(study: Study) -> None:
    assert day_type(study, SATURDAY) == "weekend"
    (study.reference / "calendar.toml").write_text(f'working_weekends = ["{SATURDAY}"]')
    assert day_type(study, SATURDAY) == "weekday"


def test_a_holiday_counts_as_the_study_says(tmp_path: Path) -> None:
    for holiday_is, expected in (("weekend", "weekend"), ("as_dated", "weekday")):
        study = with_diary(tmp_path / holiday_is, f'holiday_is = "{holiday_is}"')
        (study.reference / "calendar.toml").write_text(f'holidays = ["{MONDAY}"]')
        assert day_type(study, MONDAY) == expected


def test_a_holiday_may_be_marked_by_the_respondent_s_row(tmp_path: Path) -> None:
    study = with_diary(tmp_path, 'holiday_is = "weekend"')
    assert day_type(study, MONDAY, respondents("A", is_holiday=True)) == "weekend"
    assert day_type(study, MONDAY, respondents("A", is_holiday=False)) == "weekday"
    assert day_type(study, MONDAY, respondents("A", is_holiday="yes")) == "weekend"
    assert day_type(study, MONDAY, respondents("B", is_holiday=True)) == "weekday"


def test_an_unknown_key_in_the_calendar_is_refused_with_a_suggestion(study: Study) -> None:
    (study.reference / "calendar.toml").write_text(f'holiday = ["{MONDAY}"]')
    with pytest.raises(UsageError, match='did you mean "holidays"'):
        day_type(study, MONDAY)


FULL = [(0, 400, "P0"), (400, 600, "M1"), (600, 700, "D1"), (700, 800, "S1"), (800, 1440, "P0")]


@pytest.mark.parametrize(
    ("stretches", "rule", "reason"),
    [
        (FULL, "", ""),
        ([*FULL[:4], (800, 1260, "P0")], "", ""),
        ([*FULL[:4], (800, 1259, "P0")], "I52", "more than 180 minutes unknown"),
        ([(0, 400, "P0"), (400, 600, "M1"), (600, 700, "D1"), (700, 1440, "P0")], "I55", "fewer than 5 episodes"),
        ([*FULL, (0, 60, "M1")], "I53", "activities add up to more than 1440 minutes"),
        ([*FULL[:4], (800, 1440, "")], "I52", "more than 180 minutes unknown"),
    ],
)
def test_a_diary_day_is_used_or_has_a_reason_and_a_problem(
    tmp_path: Path, stretches: list[tuple[int, int, str]], rule: str, reason: str
) -> None:
    study = write_study(tmp_path)
    _, days, problems = day_activities(diary("A", MONDAY, *stretches), no_totals(), study=study)
    assert days[["is_used", "reason"]].iloc[0].tolist() == [reason == "", reason]
    assert problems["rule"].tolist() == ([rule] if rule else [])
    assert set(problems["action"]) <= {"day_rejected"}
    assert set(problems["drop"]) <= {"a-drop"}


def test_time_under_a_code_that_is_not_listed_is_unknown_and_said_once(study: Study) -> None:
    episodes = diary("A", MONDAY, (0, 60, "X9"), (60, 90, "M1"))
    activities, days, problems = day_activities(episodes, no_totals(), study=study)
    assert activities["activity"].tolist() == ["M1"]
    assert days.at[0, "known_minutes"] == 30
    assert problems["rule"].tolist() == ["I64"]
    assert "X9 is not in activities.csv" in problems.at[0, "message"]


def test_day_totals_are_used_as_they_are_when_the_source_leaves_time_out(tmp_path: Path) -> None:
    study = with_diary(tmp_path, "must_fill_the_day = false")
    totals = day_totals([("A", MONDAY, "M1", 60.0), ("A", MONDAY, "P0", 600.0)])
    activities, days, problems = day_activities(no_episodes(), totals, study=study)
    assert activities.set_index("activity")["minutes"].to_dict() == {"M1": 60, "P0": 600}
    assert days[["is_used", "n_episodes"]].iloc[0].tolist() == [True, 0]
    assert problems.empty


def test_day_totals_of_a_source_that_fills_the_day_are_judged_by_their_unknown_time(tmp_path: Path) -> None:
    totals = day_totals([("A", MONDAY, "P0", 1260.0), ("B", MONDAY, "P0", 1259.0)])
    _, days, _ = day_activities(no_episodes(), totals, study=write_study(tmp_path))
    assert days["is_used"].tolist() == [True, False]


def test_nothing_in_gives_empty_tables_that_keep_their_contracts(study: Study) -> None:
    assert [len(table) for table in day_activities(no_episodes(), no_totals(), study=study)] == [0, 0, 0]


def test_a_lazy_scan_gives_the_same_tables_as_a_frame(study: Study, tmp_path: Path) -> None:
    episodes = pd.concat([diary(person, MONDAY, *FULL, value=2, secondary_activity="G1") for person in "ABC"])
    path = tmp_path / "episodes.parquet"
    episodes.to_parquet(path, index=False)
    by_frame = day_activities(episodes, no_totals(), study=study)
    by_scan = day_activities(pl.scan_parquet(path), no_totals(), study=study)
    for ours, theirs in zip(by_frame, by_scan, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)


def no_episodes() -> pd.DataFrame:
    return diary("A", MONDAY, (0, 60, "M1")).iloc[:0]
