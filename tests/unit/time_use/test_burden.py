from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_study import STUDY_TOML, write_study
from small_tables import MONDAY, QUARTER, SATURDAY, day_totals, diary, no_totals, respondents

from analysis_lib.errors import InputRejected, UsageError
from analysis_lib.measures import by_requirer, listed
from analysis_lib.study import Study
from analysis_lib.time_use.burden import official_quarters
from analysis_lib.time_use.diaries import day_activities

TUESDAY = "2026-01-06"
EASY = "[diary]\nmin_episodes = 0\nmax_unknown_minutes = 1440\n"
ONE_DAY = EASY + 'represents = "one_day"\n'


def study_with(tmp_path: Path, settings: str = EASY, measures: str = "") -> Study:
    study = write_study(tmp_path, study_toml=STUDY_TOML + settings)
    if measures:
        (study.reference / "measures.toml").write_text(measures, encoding="utf-8")
    return study


def measured(
    study: Study,
    people: pd.DataFrame,
    *episodes: pd.DataFrame,
    totals: pd.DataFrame | None = None,
    **more: pd.DataFrame,
) -> pd.DataFrame:
    none = diary("A", MONDAY, (0, 60, "M1")).iloc[:0]
    activities, days, _ = day_activities(
        pd.concat([none, *episodes]), no_totals() if totals is None else totals, study=study
    )
    tables = {"respondents": people, "day_activities": activities, "diary_days": days}
    return official_quarters(tables | more, study=study).set_index("respondent_id")


def titled(key: str, rest: str) -> str:
    return f'[{key}]\ntitle_zh = "{key}"\ntitle_en = "{key}"\n{rest}\n'


def test_a_week_is_five_weekdays_and_two_weekend_days(tmp_path: Path) -> None:
    officials = measured(
        study_with(tmp_path),
        respondents("A"),
        diary("A", MONDAY, (0, 120, "M1")),
        diary("A", TUESDAY, (0, 60, "M1")),
        diary("A", SATURDAY, (0, 30, "M1")),
    )
    assert officials.at["A", "gross"] == pytest.approx(5 * 1.5 + 2 * 0.5)


def test_hours_on_weekdays_and_on_weekend_days_make_up_the_week_of_a_measure_beyond_a_limit(tmp_path: Path) -> None:
    officials = measured(
        study_with(tmp_path),
        respondents("A", "B"),
        diary("A", MONDAY, (0, 120, "M1")),
        diary("A", TUESDAY, (0, 60, "M1")),
        diary("A", SATURDAY, (0, 30, "M1")),
        diary("B", MONDAY, (0, 30, "M1")),
    )
    assert officials.loc["A", ["gross_on_weekdays", "gross_on_weekends"]].tolist() == [7.5, 1.0]
    assert officials.loc["B", ["gross_on_weekdays", "gross_on_weekends"]].isna().all()


def test_an_official_without_an_activity_has_zero_hours_and_one_without_a_diary_has_none(tmp_path: Path) -> None:
    days = [diary("A", date, (0, 120, "M1")) for date in (MONDAY, SATURDAY)]
    officials = measured(study_with(tmp_path), respondents("A", "B"), *days)
    assert officials.loc["A", ["gross", "service"]].tolist() == [14, 0]
    assert officials.loc["B", ["gross", "service"]].isna().all()
    assert officials["has_diary"].tolist() == [True, False]
    assert officials["diary_weight"].isna().tolist() == [False, True]


def test_a_week_needs_a_used_day_of_each_type(tmp_path: Path) -> None:
    weekdays = [diary("A", date, (0, 120, "M1")) for date in (MONDAY, TUESDAY)]
    officials = measured(study_with(tmp_path), respondents("A"), *weekdays)
    assert not officials.at["A", "has_diary"]
    assert np.isnan(officials.at["A", "gross"])


def test_a_day_that_is_not_used_gives_no_hours(tmp_path: Path) -> None:
    study = study_with(tmp_path, "[diary]\nmin_episodes = 2\nmax_unknown_minutes = 1440\n")
    full = [diary("A", date, (0, 60, "M1"), (60, 120, "P0")) for date in (MONDAY, SATURDAY)]
    officials = measured(study, respondents("A"), *full, diary("A", TUESDAY, (0, 600, "M1")))
    assert officials.at["A", "gross"] == pytest.approx(7)


def test_in_a_one_day_study_the_day_stands_for_the_week_and_says_its_type(tmp_path: Path) -> None:
    officials = measured(
        study_with(tmp_path, ONE_DAY),
        respondents("A", "B", "C"),
        diary("A", MONDAY, (0, 120, "M1")),
        diary("B", SATURDAY, (0, 60, "M1")),
    )
    assert officials["gross"].tolist()[:2] == [14, 7]
    assert officials["day_type"].tolist() == ["weekday", "weekend", ""]


def test_the_groups_of_a_full_week_add_up_to_168_hours(tmp_path: Path) -> None:
    full = [(0, 500, "P0"), (500, 620, "T1"), (620, 700, "M2"), (700, 1440, "S3")]
    days = [diary("A", date, *full, is_for_show=True, secondary_activity="G1") for date in (MONDAY, SATURDAY)]
    officials = measured(study_with(tmp_path), respondents("A"), *days)
    groups = officials.filter(like="group_").loc["A"]
    assert groups.sum() == pytest.approx(168)
    assert groups["group_for_show"] == pytest.approx(14)


def test_training_for_show_counts_in_gross_and_avoidable_hours(tmp_path: Path) -> None:
    days = [diary("A", date, (600, 660, "T1"), is_for_show=True) for date in (MONDAY, SATURDAY)]
    officials = measured(study_with(tmp_path), respondents("A"), *days)
    assert officials.loc["A", ["gross", "avoidable", "work_time", "group_training"]].tolist() == [7, 7, 7, 0]


def test_secondary_time_is_measured_beside_every_total(tmp_path: Path) -> None:
    days = [diary("A", date, (600, 660, "M1"), secondary_activity="G1") for date in (MONDAY, SATURDAY)]
    officials = measured(study_with(tmp_path), respondents("A"), *days)
    assert officials.loc["A", ["gross", "group_digital", "parallel_digital"]].tolist() == [7, 0, 7]


def test_only_out_of_hours_counts_evenings_and_weekends(tmp_path: Path) -> None:
    days = [diary("A", date, (17 * 60, 19 * 60, "M1")) for date in (MONDAY, SATURDAY)]
    officials = measured(study_with(tmp_path), respondents("A"), *days)
    assert officials.at["A", "gross_out_of_hours"] == pytest.approx(5 * 1 + 2 * 2)


def test_codes_are_prefixes_in_measures_and_may_be_taken_out_again(tmp_path: Path) -> None:
    measures = titled("home", 'unit = "hours_day"\ninclude = ["02", "1802"]\nexclude = ["020903"]')
    study = study_with(tmp_path, ONE_DAY, measures)
    (study.reference / "activities.csv").write_text(
        "code,group,kind,loss,name_zh,name_en\n02,core,core,never,家,Home\n18,core,core,never,路,Travel\n", "utf-8"
    )
    totals = day_totals(
        [("A", MONDAY, code, 60.0) for code in ("020101", "020903", "020904", "180201", "180301", "180202")]
    )
    officials = measured(study, respondents("A"), totals=totals)
    assert officials.at["A", "home"] == pytest.approx(4)


def test_a_measure_that_names_no_activity_is_about_all_time(tmp_path: Path) -> None:
    study = study_with(tmp_path, ONE_DAY, titled("awake", 'unit = "hours_day"\nexclude = ["P"]'))
    officials = measured(study, respondents("A"), diary("A", MONDAY, (0, 60, "M1"), (60, 180, "S1"), (180, 240, "P0")))
    assert officials.at["A", "awake"] == pytest.approx(3)


def test_hours_under_a_condition_are_unknown_when_the_source_gives_day_totals(tmp_path: Path) -> None:
    study = study_with(tmp_path, ONE_DAY + "must_fill_the_day = false\n")
    officials = measured(study, respondents("A"), totals=day_totals([("A", MONDAY, "M1", 60.0)]))
    assert officials.at["A", "gross"] == pytest.approx(7)
    assert officials.loc["A", ["avoidable", "gross_out_of_hours"]].isna().all()


def test_excess_is_never_below_zero_and_missing_without_an_acceptable_figure(tmp_path: Path) -> None:
    people = respondents("A", "B", "C", acceptable_hours=[10.0, 20.0, None])
    days = [diary(person, date, (0, 120, "M1")) for person in "ABC" for date in (MONDAY, SATURDAY)]
    officials = measured(study_with(tmp_path), people, *days)
    np.testing.assert_array_equal(officials["excess"], [4, 0, np.nan])


def test_a_sum_of_answers_is_missing_when_one_of_them_is(tmp_path: Path) -> None:
    study = study_with(tmp_path, EASY, titled("said", 'kind = "questionnaire"\ncolumns = ["q1", "q2"]'))
    people = respondents("A", "B", q1=[1.0, 2.0], q2=[3.0, None])
    np.testing.assert_array_equal(measured(study, people)["said"], [4, np.nan])


def test_counts_are_answers_too_and_a_question_not_asked_is_missing(tmp_path: Path) -> None:
    counts = pd.DataFrame({"respondent_id": ["B"], "quarter": QUARTER, "item": "apps_required", "count": [7.0]})
    officials = measured(study_with(tmp_path), respondents("A", "B"), counts=counts)
    np.testing.assert_array_equal(officials["apps_required"], [np.nan, 7])
    assert officials["meetings_attended"].isna().all()


def test_every_region_above_a_person_has_a_column(tmp_path: Path) -> None:
    officials = measured(study_with(tmp_path), respondents("A", "B", region=["C0102", "P02"]))
    assert officials[["province", "county"]].to_numpy().tolist() == [["P01", "C0102"], ["P02", ""]]


def test_an_unknown_region_is_refused_without_naming_anybody(tmp_path: Path) -> None:
    with pytest.raises(InputRejected, match="1 region codes are not listed"):
        measured(study_with(tmp_path), respondents("A", region="nowhere"))


def test_the_sample_list_says_what_it_knows_about_a_respondent(tmp_path: Path) -> None:
    sample = pd.DataFrame(
        {
            "respondent_id": ["A", "B"], "quarter": QUARTER, "region": "C0101", "base_weight": [3.0, 4.0],
            "has_diary_task": True, "diary_base_weight": [6.0, 8.0], "stratum": "from-list", "psu": ["p", "q"],
            "tier": ["village", "county"],
        }
    )  # fmt: skip
    days = [diary("A", date, (0, 120, "M1")) for date in (MONDAY, SATURDAY)]
    officials = measured(study_with(tmp_path), respondents("A", tier="told otherwise"), *days, sample=sample)
    row = officials.loc["A", ["weight", "diary_weight", "stratum", "psu", "tier"]]
    assert row.tolist() == [3, 6, "from-list", "p", "village"]


def test_a_respondent_who_was_not_drawn_is_refused(tmp_path: Path) -> None:
    sample = pd.DataFrame(
        {
            "respondent_id": ["A"], "quarter": QUARTER, "region": "C0101", "base_weight": [3.0],
            "has_diary_task": True, "diary_base_weight": [6.0],
        }
    )  # fmt: skip
    with pytest.raises(InputRejected, match="1 respondents are not on the sample list"):
        measured(study_with(tmp_path), respondents("A", "B"), sample=sample)


def test_a_design_without_strata_units_and_weights_counts_everybody_once(tmp_path: Path) -> None:
    study = study_with(tmp_path, '[design]\nstratum = ""\npsu = ""\nweight = ""\n')
    officials = measured(study, respondents("A", "B").drop(columns=["stratum", "psu", "weight"]))
    assert officials[["stratum", "psu", "weight"]].to_numpy().tolist() == [["all", "A", 1], ["all", "B", 1]]


def test_a_design_column_that_nobody_gives_is_refused(tmp_path: Path) -> None:
    study = study_with(tmp_path, '[design]\nstratum = "layer"\n')
    with pytest.raises(InputRejected, match="'layer' is in neither"):
        measured(study, respondents("A"))


@pytest.mark.parametrize("unit", ["count", "score"])
def test_a_diary_measure_in_a_unit_that_is_not_hours_is_refused(tmp_path: Path, unit: str) -> None:
    study = study_with(tmp_path, EASY, titled("odd", f'unit = "{unit}"\ngroups = ["meeting"]'))
    with pytest.raises(UsageError, match=r"measures\.toml, \[odd\]"):
        measured(study, respondents("A"), diary("A", MONDAY, (0, 60, "M1")))


def test_a_diary_without_a_questionnaire_and_an_answer_without_text_do_no_harm(tmp_path: Path) -> None:
    people = respondents("A", tier=pd.Series([None], dtype="str"))
    officials = measured(study_with(tmp_path), people, diary("B", MONDAY, (0, 60, "M1")))
    assert officials.index.tolist() == ["A"]
    assert officials.at["A", "tier"] == ""


def test_nobody_answered_gives_an_empty_table_with_every_column(tmp_path: Path) -> None:
    officials = measured(study_with(tmp_path), respondents("A").iloc[:0])
    assert officials.empty
    assert {"gross", "has_diary", "weight"} <= set(officials.columns)


def test_hours_that_a_diary_did_not_ask_about_are_unknown_not_zero(tmp_path: Path) -> None:
    """A diary without ratings and without a second activity once printed 0.0 avoidable hours."""
    study, people = study_with(tmp_path), respondents("A", "B")
    plain = [diary("A", day, (0, 120, "M1")).assign(drop="plain") for day in (MONDAY, SATURDAY)]
    rated = [
        diary("B", day, (0, 120, "M1")).assign(drop="rated", value=[4.0], secondary_activity=["G1"])
        for day in (MONDAY, SATURDAY)
    ]
    officials = measured(study, people, *plain, *rated, episodes=pd.concat([*plain, *rated], ignore_index=True))
    assert officials["gross"].tolist() == pytest.approx([14, 14])
    assert officials.loc["A", ["avoidable", "parallel_digital"]].isna().all()
    assert officials.loc["B", ["avoidable", "parallel_digital"]].tolist() == pytest.approx([0, 14])


def test_gross_hours_divide_by_who_required_them_without_remainder(tmp_path: Path) -> None:
    study = study_with(tmp_path)
    said = [
        diary("A", day, (minute, minute + length, activity), required_by=by)
        for day in (MONDAY, SATURDAY)
        for minute, length, activity, by in [
            (0, 60, "M1", "county"), (60, 120, "D2", "county"), (180, 30, "F1", "self"), (300, 15, "G1", ""),
            (400, 60, "S1", "county"),
        ]
    ]  # fmt: skip
    hours = measured(study, respondents("A"), *said, episodes=pd.concat(said, ignore_index=True)).loc["A"]
    assert hours["gross_required_county"] == pytest.approx(7 * 3)
    assert hours["gross_required_self"] == pytest.approx(7 * 0.5)
    assert hours["gross_required_unsaid"] == pytest.approx(7 * 0.25)
    assert sum(hours[key] for key in by_requirer(study.measures)) == pytest.approx(hours["gross"])


def test_who_required_it_is_unknown_where_no_episode_of_the_drop_says_and_for_day_totals(tmp_path: Path) -> None:
    study = study_with(tmp_path)
    silent = [diary("A", day, (0, 120, "M1")).assign(drop="silent") for day in (MONDAY, SATURDAY)]
    asked = [diary("B", MONDAY, (0, 120, "M1"), required_by="city"), diary("B", SATURDAY, (0, 120, "M1"))]
    totals = day_totals([("C", day, "M1", 120.0) for day in (MONDAY, SATURDAY)])
    officials = measured(
        study, respondents("A", "B", "C"), *silent, *asked, totals=totals,
        episodes=pd.concat([*silent, *asked], ignore_index=True),
    )  # fmt: skip
    parts = by_requirer(study.measures)
    assert officials["gross"].tolist() == pytest.approx([14, 14, 14])
    assert officials.loc[["A", "C"], parts].isna().all(axis=None)
    assert officials.loc["B", ["gross_required_city", "gross_required_unsaid"]].tolist() == pytest.approx([10, 4])


def on_media(study: Study) -> list[str]:
    return [key for key in study.measures if key.startswith("gross_on_")]


def test_gross_hours_divide_by_medium_without_remainder(tmp_path: Path) -> None:
    study = study_with(tmp_path)
    said = [
        diary("A", day, (minute, minute + length, activity), medium=medium, secondary_activity="G1")
        for day in (MONDAY, SATURDAY)
        for minute, length, activity, medium in [
            (0, 60, "M1", "meeting_room"), (60, 120, "D2", "paper"), (180, 30, "F1", "paper"), (300, 15, "F2", "app"),
            (400, 45, "D1", ""), (500, 60, "S1", "paper"),
        ]
    ]  # fmt: skip
    hours = measured(study, respondents("A"), *said, episodes=pd.concat(said, ignore_index=True)).loc["A"]
    found = {"gross_on_meeting_room": 1.0, "gross_on_paper": 2.5, "gross_on_app": 0.25, "gross_on_unsaid": 0.75,
             "gross_on_chat": 0.0, "document_on_paper": 2.0, "form_on_paper": 0.5, "form_on_app": 0.25}  # fmt: skip
    assert hours[list(found)].tolist() == pytest.approx([7 * each for each in found.values()])
    assert sum(hours[key] for key in on_media(study)) == pytest.approx(hours["gross"])


def test_the_medium_is_unknown_where_no_episode_of_the_drop_names_one_and_for_day_totals(tmp_path: Path) -> None:
    study = study_with(tmp_path)
    silent = [diary("A", day, (0, 120, "M1")).assign(drop="silent") for day in (MONDAY, SATURDAY)]
    asked = [diary("B", MONDAY, (0, 120, "M1"), medium="video"), diary("B", SATURDAY, (0, 120, "M1"))]
    totals = day_totals([("C", day, "M1", 120.0) for day in (MONDAY, SATURDAY)])
    officials = measured(
        study, respondents("A", "B", "C"), *silent, *asked, totals=totals,
        episodes=pd.concat([*silent, *asked], ignore_index=True),
    )  # fmt: skip
    assert officials.loc[["A", "C"], [*on_media(study), "form_on_app"]].isna().all(axis=None)
    assert officials.loc["B", ["gross_on_video", "gross_on_unsaid"]].tolist() == pytest.approx([10, 4])


def test_measures_that_only_accounts_read_are_not_listed(tmp_path: Path) -> None:
    study = study_with(tmp_path)
    assert {*on_media(study), "form_on_chat", "cut_out_of_hours", "coping"}.isdisjoint(listed(study.measures))
    assert {"gross_combined", "gross", "authority_gap"} <= set(listed(study.measures))
