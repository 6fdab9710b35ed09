"""Counts × minutes against diary hours, in numbers small enough to check by hand."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from small_tables import MONDAY, QUARTER, SATURDAY, diary, respondents

from analysis_lib.errors import InputRejected, UsageError
from analysis_lib.study import Study
from analysis_lib.survey.bottom_up import (
    WEEKS,
    bottom_up_titles,
    count_episodes,
    estimate_bottom_up,
    read_items,
)
from analysis_lib.survey.derived import given, mean_of, measured
from analysis_lib.survey.design import SurveyDesign, read_sample

HEAD = "item,group,activities,per,minutes,se_minutes,is_episode,source_zh,source_en\n"
MEETINGS = "meetings_attended,meeting,M1,week,90,0,no,会,norm\n"
DOCUMENTS = "documents_received,document,D1,month,,,no,基期,base\n"
BEFORE = "2025Q1"
GROUPS = ["meeting", "document", "form", "inspection", "digital", "for_show"]


@pytest.fixture
def study(repository, tmp_path) -> Study:
    shutil.copytree(repository / "data" / "reference", tmp_path / "reference")
    shutil.copy(repository / "data" / "study.toml", tmp_path)
    return Study.open(tmp_path)


def write(study: Study, *lines: str) -> None:
    (study.reference / "unit_minutes.csv").write_text(HEAD + "".join(lines), encoding="utf-8")


def officials(quarter: str = QUARTER, n: int = 40, seed: int = 1) -> pd.DataFrame:
    """Everybody counts, every other one keeps a diary; hours of six groups, gross their sum."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "respondent_id": [f"{i}" for i in range(n)], "quarter": quarter, "region": "9101", "province": "91",
            "county": "9101", "stratum": np.resize(["a", "b"], n), "psu": [f"{i // 4}" for i in range(n)],
            "weight": rng.uniform(1, 3, n), "has_diary": np.arange(n) % 2 == 0,
            "meetings_attended": rng.poisson(4, n).astype(float), "documents_received": rng.poisson(20, n) + 0.0,
        }
    )  # fmt: skip
    has_diary = frame["has_diary"]
    frame["diary_weight"] = (2 * frame["weight"]).where(has_diary)
    for code in ("m1", "d1"):
        frame[f"activity_{code}"] = pd.Series(rng.uniform(2, 8, n)).where(has_diary)
    for group in GROUPS:
        counted = {"meeting": "activity_m1", "document": "activity_d1"}.get(group)
        frame[f"group_{group}"] = (pd.Series(rng.uniform(0, 2, n)) + (frame[counted] if counted else 0)).where(
            has_diary
        )
    frame["gross"] = frame[[f"group_{group}" for group in GROUPS]].sum(axis=1, skipna=False)
    return frame


def account(study, frame, base=None, regions=("all",), **options) -> pd.DataFrame:
    found = estimate_bottom_up(
        frame, study=study, quarter=QUARTER, base=base or [QUARTER], regions=list(regions), **options
    )
    return found.set_index(["region", "measure"]).loc[regions[0]]


def weighted(frame: pd.DataFrame, column: str, weight: str) -> float:
    return float(np.average(frame[column].dropna(), weights=frame.loc[frame[column].notna(), weight]))


def test_meetings_times_minutes_against_the_diaries(study):
    write(study, MEETINGS)
    frame = officials()
    found = account(study, frame)["estimate"]
    meetings = weighted(frame, "meetings_attended", "weight")
    hours = weighted(frame, "activity_m1", "diary_weight")
    assert found["bottom_up_items_meetings_attended"] == pytest.approx(meetings)
    assert found["bottom_up_minutes_meetings_attended"] == pytest.approx(90)
    assert found["bottom_up_total"] == found["bottom_up_meeting"] == pytest.approx(1.5 * meetings)
    assert found["bottom_up_gap_meeting_minutes"] == pytest.approx(hours - 1.5 * meetings)
    assert found["bottom_up_gap_form"] == found["bottom_up_gap_form_not_counted"] == found["group_form"]


def test_every_gap_is_the_sum_of_its_parts_in_value(study):
    write(study, MEETINGS, DOCUMENTS)
    frame = officials()
    frame["gross"] += 1.0  # the headline holds an hour that is in no group
    found = account(study, frame)["estimate"]
    parts = ["counts", "minutes", "not_counted"]
    for group in GROUPS:
        whole = found[f"bottom_up_gap_{group}"]
        assert sum(found[f"bottom_up_gap_{group}_{part}"] for part in parts) == pytest.approx(whole, abs=1e-12)
    remainder = found["bottom_up_gap_remainder"]
    assert remainder == pytest.approx(1.0)
    total = sum(found[f"bottom_up_gap_{part}"] for part in parts) + remainder
    assert total == pytest.approx(found["bottom_up_gap"], abs=1e-12)
    assert found["bottom_up_gap"] == pytest.approx(found["gross"] - found["bottom_up_total"])


def test_a_standard_time_of_the_base_is_held_while_counts_fall(study):
    write(study, DOCUMENTS)
    now, before = officials(seed=2), officials(BEFORE, seed=3)
    found = account(study, pd.concat([now, before], ignore_index=True), base=[BEFORE])["estimate"]
    per_week = weighted(before, "documents_received", "weight") / WEEKS["month"]
    minutes = 60 * weighted(before, "activity_d1", "diary_weight") / per_week
    assert found["bottom_up_minutes_documents_received"] == pytest.approx(minutes)
    items = weighted(now, "documents_received", "weight") / WEEKS["month"]
    assert found["bottom_up_document"] == pytest.approx(items * minutes / 60)


def test_in_the_base_itself_nothing_is_left_to_explain(study):
    write(study, DOCUMENTS)
    found = account(study, officials())
    assert found.loc["bottom_up_gap_document_minutes", "estimate"] == pytest.approx(0, abs=1e-12)
    assert found.loc["bottom_up_gap_document_minutes", "se"] == pytest.approx(0, abs=1e-12)


def test_episodes_split_the_gap_into_counts_and_minutes(study):
    write(study, "meetings_attended,meeting,M1,week,90,6,yes,会,norm\n")
    frame = officials()
    episodes = pd.DataFrame({"M1": pd.Series(5.0, index=frame.index).where(frame["has_diary"])})
    found = account(study, frame, episodes=episodes)["estimate"]
    c, h = weighted(frame, "meetings_attended", "weight"), weighted(frame, "activity_m1", "diary_weight")
    assert found["bottom_up_gap_meeting_counts"] == pytest.approx((5 - c) * (h / 5 + 1.5) / 2)
    assert found["bottom_up_gap_meeting_minutes"] == pytest.approx((h / 5 - 1.5) * (5 + c) / 2)
    with pytest.raises(UsageError, match="episode"):
        account(study, frame)


def test_the_mean_length_of_an_episode_is_a_standard_time_that_leaves_only_counts(study):
    write(study, "meetings_attended,meeting,M1,week,,,yes,日志,diary\n")
    frame = officials()
    episodes = pd.DataFrame({"M1": pd.Series(5.0, index=frame.index).where(frame["has_diary"])})
    found = account(study, frame, episodes=episodes)
    assert found.loc["bottom_up_gap_meeting_minutes", "estimate"] == pytest.approx(0, abs=1e-12)
    assert abs(found.loc["bottom_up_gap_meeting_counts", "estimate"]) > 0.1


def test_doubt_about_the_minutes_widens_the_interval(study):
    frame = officials()
    write(study, MEETINGS)
    sure = account(study, frame)["se"]
    write(study, MEETINGS.replace("90,0", "90,30"))
    unsure = account(study, frame)["se"]
    meetings = weighted(frame, "meetings_attended", "weight")
    assert unsure["bottom_up_meeting"] ** 2 == pytest.approx(sure["bottom_up_meeting"] ** 2 + (0.5 * meetings) ** 2)
    assert unsure["group_meeting"] == sure["group_meeting"]


def test_a_region_is_a_domain_and_an_empty_one_has_no_numbers(study):
    write(study, MEETINGS)
    frame = officials()
    whole, part = account(study, frame), account(study, frame, regions=("91",))
    assert part["estimate"].to_list() == whole["estimate"].to_list()
    nobody = account(study, frame, regions=("92",))
    assert nobody.loc["bottom_up_total", "n"] == 0
    assert nobody["estimate"].drop("bottom_up_minutes_meetings_attended").isna().any()


def test_nobody_counts_and_nobody_divides_by_zero(study):
    write(study, DOCUMENTS)
    frame = officials().assign(documents_received=0.0)
    assert np.isnan(account(study, frame).loc["bottom_up_total", "estimate"])


def test_parts_say_how_many_respondents_they_have_to_spare(study):
    write(study, MEETINGS)
    found = account(study, officials())
    parts = found[found["statistic"] == "part"]
    assert len(parts) == 5 + 4 * len(GROUPS)
    assert (parts["residual_df"] < parts["n"]).all()


def test_without_the_file_there_is_no_account(study):
    (study.reference / "unit_minutes.csv").unlink(missing_ok=True)
    assert read_items(study) == []
    assert estimate_bottom_up(officials(), study=study, quarter=QUARTER, base=[QUARTER], regions=["all"]).empty


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gross,meeting,M1,week,90,0,no,,\n", "no questionnaire measure"),
        ("meetings_attended,service,S1,week,90,0,no,,\n", "no burden group"),
        ("meetings_attended,meeting,D1,week,90,0,no,,\n", "no activity of the group"),
        ("meetings_attended,meeting,M1,fortnight,90,0,no,,\n", "unknown period"),
        ("meetings_attended,meeting,M1,week,-5,0,no,,\n", "negative"),
        ("meetings_attended,meeting,M1,week,lots,0,no,,\n", "not a number"),
        ("meetings_attended,meeting,M1,week,90,,no,,\n", "standard error"),
        ("meetings_attended,meeting,,week,90,0,yes,,\n", "activities"),
        (MEETINGS + MEETINGS.replace("meetings_attended", "apps_required"), "twice"),
    ],
)
def test_a_fault_in_the_file_is_named(study, line, said):
    write(study, line)
    with pytest.raises(InputRejected, match=said):
        read_items(study)


def test_every_number_of_the_account_has_a_title(study):
    write(study, MEETINGS, DOCUMENTS)
    found = account(study, officials())
    own = {key for key in found.index if key.startswith("bottom_up")}
    assert own <= set(bottom_up_titles(study))


def test_the_demonstration_study_counts_five_items(repository):
    items = read_items(Study.open(repository / "data"))
    assert {item.group for item in items} == {"meeting", "inspection", "document", "digital"}


def test_episodes_a_week_are_five_weekdays_and_two_weekend_days(study):
    write(study, "meetings_attended,meeting,M1,week,90,0,yes,,\n")
    people = respondents("p", "q", "r")
    episodes = pd.concat(
        [
            diary("p", MONDAY, (0, 60, "M1"), (60, 90, "D1"), (90, 120, "M1")),
            diary("p", SATURDAY, (0, 60, "M1")),
            diary("q", MONDAY, (0, 60, "D1")),
            diary("q", SATURDAY, (0, 60, "D1")),
            diary("r", MONDAY, (0, 60, "M1")),
        ]
    )
    days = episodes[["respondent_id", "quarter", "diary_date"]].drop_duplicates()
    days = days.assign(
        day_type=np.where(days["diary_date"] == MONDAY, "weekday", "weekend"), n_episodes=1, is_used=True
    )
    found = count_episodes(episodes, days, people, study=study)["M1"]
    assert found.iloc[:2].to_list() == [5 * 2 + 2 * 1, 0]
    assert np.isnan(found.iloc[2])  # no weekend day, no week


def test_arithmetic_carries_scores_along():
    frame = pd.DataFrame(
        {"psu": [str(i) for i in range(8)], "y": [1.0, 2, 3, 4, 5, 6, 7, 9], "x": [2.0] * 4 + [3.0] * 4}
    )
    sample = read_sample(frame, SurveyDesign(psu="psu"))
    everybody, ones = np.ones(8, dtype=bool), np.ones(8)
    y, x = (mean_of(sample, frame[name].to_numpy(), ones, everybody) for name in ("y", "x"))
    back, twice, constant = (y / x) * x, y + y, given(sample, "k", 4.0, 0.5)
    found = measured(sample, [y, back, twice, y - y, constant, constant - constant], 0.95)
    assert found["estimate"] == pytest.approx([4.625, 4.625, 9.25, 0, 4, 0])
    assert found["se"][1] == pytest.approx(found["se"][0])
    assert found["se"][2] == pytest.approx(2 * found["se"][0])
    assert found["se"][3:] == pytest.approx([0, 0.5, 0])
