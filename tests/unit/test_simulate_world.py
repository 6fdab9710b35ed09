"""The invented country, its officials and their true weeks."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import UsageError
from analysis_lib.ingest.simulate.diaries import MOST_EPISODES, draw_dates, draw_day
from analysis_lib.ingest.simulate.fieldwork import field_response
from analysis_lib.ingest.simulate.hours import (
    BURDEN_CODES,
    GROUPS,
    WORK_CODES,
    group_hours,
    hours_lost,
    live_quarter,
    settle_habits,
)
from analysis_lib.ingest.simulate.officials import draw_sample, whole_frame
from analysis_lib.ingest.simulate.places import place_table, population_table
from analysis_lib.ingest.simulate.recall import answer_questionnaire
from analysis_lib.ingest.simulate.scenarios import SCENARIOS, exposure, find_scenario
from analysis_lib.ingest.simulate.streams import stream
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.study import Study, read_reference_csv

SEED = 7
FIRST = Quarter(2023, 4)
BEFORE_REFORMS, AFTER_REFORMS = Quarter(2024, 2), Quarter(2026, 3)


@pytest.fixture(scope="module")
def study(repository):
    return Study.open(repository / "data")


@pytest.fixture(scope="module")
def frame(study):
    return whole_frame(study, seed=SEED)


@pytest.fixture(scope="module")
def live(study, frame):
    """True weeks by scenario and quarter, each computed once."""
    habits, reforms, known = settle_habits(frame, seed=SEED), read_reforms(study), {}

    def weeks(letter: str, quarter: Quarter):
        if (letter, quarter) not in known:
            known[letter, quarter] = live_quarter(
                frame, habits, quarter, scenario=SCENARIOS[letter], reforms=reforms, seed=SEED
            )
        return known[letter, quarter]

    return weeks


# -- places and people --------------------------------------------------------------------------------------------


def test_the_reference_files_of_the_repository_are_those_that_the_simulator_writes(study):
    for name, table in {"regions.csv": place_table(), "population.csv": population_table()}.items():
        kept = read_reference_csv(study.reference / name, list(table.columns))
        pd.testing.assert_frame_equal(kept, table.astype(str), check_dtype=False)


def test_every_place_is_announced_as_an_example():
    places = place_table()
    provinces = places[places["level"] == "province"]
    assert provinces["name_zh"].str.startswith("示例省").all()
    assert provinces["name_en"].str.startswith("Example").all()
    assert (places[places["level"] == "county"].groupby("parent").size() == 5).all()


def test_a_random_number_depends_on_its_name_and_not_on_earlier_draws():
    assert stream(1, "weeks", FIRST).random() == stream(1, "weeks", FIRST).random()
    assert stream(1, "weeks", FIRST).random() != stream(1, "weeks", FIRST.shift(1)).random()


def test_the_panel_represents_the_population_and_its_diarists_represent_the_panel(study, frame):
    panel = draw_sample(frame, FIRST, first=FIRST, seed=SEED)
    officials = population_table()["officials"].sum()
    assert 1_600 <= len(panel) <= 1_900
    assert panel["base_weight"].sum() == pytest.approx(officials, rel=0.05)
    assert panel["diary_base_weight"].sum() == pytest.approx(panel["base_weight"].sum(), rel=0.03)
    assert panel["has_diary_task"].mean() == pytest.approx(0.45, abs=0.02)
    assert (panel.groupby("stratum")["psu"].nunique() >= 6).all()
    assert panel.groupby("psu")["has_diary_task"].any().all()


def test_a_quarter_of_the_panel_is_new_each_time_and_nobody_stays_longer_than_a_year(study, frame):
    panels = [draw_sample(frame, FIRST.shift(step), first=FIRST, seed=SEED) for step in range(8)]
    for step, (earlier, later) in enumerate(itertools.pairwise(panels), start=1):
        stayed = later["respondent_id"].isin(earlier["respondent_id"])
        assert 0.7 < stayed.mean() < 0.8
        said_new = later["first_quarter"] == str(FIRST.shift(step))
        assert (said_new == ~stayed).all()
    assert panels[-1]["n_quarters"].max() == 3


# -- the true week ------------------------------------------------------------------------------------------------


def test_weeks_lie_in_the_published_envelope(live, frame):
    weeks = live("a", BEFORE_REFORMS)
    leader = frame["role"].eq("leader").to_numpy()
    assert weeks.work.mean() == pytest.approx(52, abs=1)
    assert 44 < np.quantile(weeks.work, 0.1) < np.quantile(weeks.work, 0.9) < 66
    assert weeks.work[leader].mean() - weeks.work[~leader].mean() == pytest.approx(7, abs=1)
    assert (weeks.gross / weeks.work).mean() == pytest.approx(0.5, abs=0.03)
    central = {"meeting": (8, 2), "document": (7, 2), "form": (6, 2), "inspection": (4, 1.5), "digital": (4, 1.5)}
    for group, (hours, tolerance) in central.items():
        assert weeks.group(group).mean() == pytest.approx(hours, abs=tolerance)
    assert weeks.group("service").mean() == pytest.approx(13, abs=1.5)
    assert pd.Series(weeks.group("meeting")).skew() > 0.8  # pyright: ignore[reportOperatorIssue]
    assert (weeks.group("inspection") == 0).mean() > 0.1  # inspections come in bursts


def test_no_hours_are_negative_and_no_part_exceeds_its_whole(live):
    for letter in SCENARIOS:
        weeks = live(letter, AFTER_REFORMS)
        assert (weeks.hours >= 0).all()
        assert (weeks.work < 168).all()
        assert (weeks.avoidable >= 0).all()
        assert (weeks.avoidable <= weeks.hours[:, : len(BURDEN_CODES)] + 1e-9).all()


def test_a_reform_starts_where_and_when_its_file_says(study):
    reforms = read_reforms(study)
    counties = study.regions_at("county")

    def treated(quarter: Quarter) -> set[str]:
        in_force = exposure(reforms, SCENARIOS["b"], quarter, counties=counties, groups=GROUPS)
        return {county for county, row in zip(counties, in_force, strict=True) if row.any()}

    assert treated(Quarter(2024, 2)) == set()
    assert treated(Quarter(2024, 3)) == set(study.regions_at("county", under="91"))
    assert treated(Quarter(2024, 4)) == {*study.regions_at("county", under="91"), "9401", "9402", "9202"}
    never = set(counties) - treated(Quarter(2026, 3))
    assert set(study.regions_at("county", under="96")) <= never


def test_an_unknown_scenario_is_refused_with_the_list():
    with pytest.raises(UsageError, match="Allowed: a, b, c, d, e, f, g, h, i, j"):
        find_scenario("k")


# -- the ten scenarios --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", SCENARIOS)
def test_before_any_reform_no_scenario_changes_anything(live, letter):
    weeks = live(letter, BEFORE_REFORMS)
    np.testing.assert_allclose(weeks.hours, weeks.untreated)


@pytest.mark.parametrize("letter", ["a", "c", "h", "i", "j"])
def test_where_nothing_works_hours_stay_what_they_would_have_been(live, letter):
    weeks = live(letter, AFTER_REFORMS)
    np.testing.assert_allclose(weeks.hours, weeks.untreated)


def test_b_a_real_cut_falls_by_five_to_fifteen_percent_where_treated_and_by_nothing_elsewhere(live):
    weeks = live("b", AFTER_REFORMS)
    change = weeks.gross - hours_lost(weeks.untreated)
    treated = weeks.exposure.any(axis=1)
    np.testing.assert_allclose(change[~treated], 0, atol=1e-9)
    assert -0.20 < change[treated].mean() / weeks.gross[treated].mean() < -0.05
    freed = weeks.hours[:, len(BURDEN_CODES) :].sum() - weeks.untreated[:, len(BURDEN_CODES) :].sum()
    assert freed > 0  # hours given back go to service and core work


def test_c_counts_fall_but_hours_do_not(live, frame):
    panel = draw_sample(frame, AFTER_REFORMS, first=FIRST, seed=SEED)
    counts = {
        letter: answer_questionnaire(
            panel,
            live(letter, AFTER_REFORMS),
            live(letter, BEFORE_REFORMS),
            scenario=SCENARIOS[letter],
            rng=stream(SEED, "recall"),
        )
        for letter in "ac"
    }
    treated = live("c", AFTER_REFORMS).exposure[panel.index.to_numpy(), GROUPS.index("document")] > 0
    ratio = counts["c"]["documents_received"][treated].mean() / counts["a"]["documents_received"][treated].mean()
    assert ratio == pytest.approx(0.6, abs=0.06)


def test_d_the_total_is_flat_while_the_digital_share_rises(live):
    weeks = live("d", AFTER_REFORMS)
    treated = weeks.exposure.any(axis=1)
    np.testing.assert_allclose(weeks.work, weeks.untreated.sum(axis=1))
    before = group_hours(weeks.untreated, "digital")
    assert weeks.group("digital")[treated].mean() > 1.4 * before[treated].mean()


def test_e_the_cut_is_gone_within_four_quarters(live, frame):
    start, here = Quarter(2024, 3), frame["region"].eq("9102").to_numpy()

    def cut(step: int) -> float:
        weeks = live("e", start.shift(step))
        return float(1 - weeks.gross[here].sum() / hours_lost(weeks.untreated[here]).sum())

    assert cut(1) > 0.05
    assert cut(1) > cut(2) > cut(3)
    assert cut(4) == pytest.approx(0, abs=0.002)


def test_f_a_small_cut_with_coping_work_leaves_more_in_total(live):
    weeks = live("f", AFTER_REFORMS)
    treated = weeks.exposure.any(axis=1)
    assert weeks.group("meeting")[treated].sum() < weeks.untreated[treated][:, :3].sum()
    assert weeks.hours[treated, : len(BURDEN_CODES)].sum() > weeks.untreated[treated, : len(BURDEN_CODES)].sum()


def test_g_only_leaders_have_fewer_hours(live, frame):
    weeks = live("g", AFTER_REFORMS)
    changed = ~np.isclose(weeks.hours, weeks.untreated).all(axis=1)
    assert changed.any()
    assert frame["role"][changed].eq("leader").all()


def test_h_answers_improve_although_nothing_does(live, frame):
    panel = draw_sample(frame, AFTER_REFORMS, first=FIRST, seed=SEED)
    answers = {
        letter: answer_questionnaire(
            panel,
            live(letter, AFTER_REFORMS),
            live(letter, BEFORE_REFORMS),
            scenario=SCENARIOS[letter],
            rng=stream(SEED, "recall"),
        )
        for letter in "ah"
    }
    treated = live("h", AFTER_REFORMS).exposure[panel.index.to_numpy()].any(axis=1)
    for column, factor in {"meeting_hours": 0.85, "document_hours": 0.85}.items():
        assert answers["h"][column][treated].mean() < factor * answers["a"][column][treated].mean()
    assert answers["h"]["felt_meetings"][treated].mean() < answers["a"]["felt_meetings"][treated].mean() - 0.8
    pd.testing.assert_frame_equal(answers["h"][~treated], answers["a"][~treated])
    same = answers["h"][treated].groupby(panel["psu"][treated]).nunique().eq(1).all(axis=1)
    assert 0.15 < same.mean() < 0.6  # units whose answers were handed down


def test_i_overloaded_young_officials_drop_out_the_longer_they_are_asked(live, frame):
    quarter = FIRST.shift(7)
    panel = draw_sample(frame, quarter, first=FIRST, seed=SEED)
    weeks = live("i", quarter)
    answers = field_response(panel, weeks, quarter, scenario=SCENARIOS["i"], rng=stream(SEED, "response"))["answers"]
    overloaded = panel["age_group"].eq("under_35") & (weeks.gross[panel.index.to_numpy()] > weeks.gross.mean())
    veteran = panel["n_quarters"] >= 2
    assert answers[overloaded & veteran].mean() < answers[~overloaded].mean() - 0.2


def test_j_the_year_end_peak_is_season_and_not_effect(live):
    year_end, next_quarter = live("j", Quarter(2025, 4)), live("j", Quarter(2026, 1))
    assert year_end.group("inspection").mean() > 1.6 * next_quarter.group("inspection").mean()
    mild = (
        live("a", Quarter(2025, 4)).group("inspection").mean() / live("a", Quarter(2026, 1)).group("inspection").mean()
    )
    assert 1 < mild < 1.3


# -- diary days ---------------------------------------------------------------------------------------------------


def test_five_weekdays_and_two_weekend_days_make_up_the_true_week(live):
    """Whatever is rounded, split or reordered, each activity keeps its expected hours."""
    weeks = live("b", AFTER_REFORMS)
    who = stream(SEED, "who").choice(len(weeks.hours), 6_000)
    told = np.zeros((len(who), len(WORK_CODES)))
    for day_type, days in (("weekday", 5), ("weekend", 2)):
        episodes = draw_day(weeks, who, day_type, rounded_to=None, moved=0.0, rng=stream(SEED, day_type))
        worked = episodes[episodes["activity"] != "P0"]
        column = worked["activity"].map(WORK_CODES.index)
        np.add.at(told, (worked["row"], column), days * (worked["end"] - worked["start"]) / 60)
    error = told - weeks.hours[who]
    standard_error = error.std(axis=0) / np.sqrt(len(who))
    assert (np.abs(error.mean(axis=0)) < 4 * standard_error).all()
    assert abs(error.sum(axis=1).mean()) < 4 * error.sum(axis=1).std() / np.sqrt(len(who))


@pytest.mark.parametrize("rounded_to", [None, 10])
@pytest.mark.parametrize("day_type", ["weekday", "weekend"])
def test_a_drawn_day_runs_from_midnight_to_midnight_without_a_hole(live, day_type, rounded_to):
    weeks = live("b", AFTER_REFORMS)
    episodes = draw_day(weeks, np.arange(400), day_type, rounded_to=rounded_to, moved=0.0, rng=stream(SEED, "day"))
    days = episodes.groupby("row")
    assert (days["start"].first() == 0).all()
    assert (days["end"].last() == 1440).all()
    follows = episodes["start"] == episodes["end"].shift()
    assert follows[episodes["row"].duplicated()].all()
    assert (episodes["end"] > episodes["start"]).all()
    assert days.size().max() <= MOST_EPISODES
    assert (episodes["start"] % (rounded_to or 5) == 0).all()
    if day_type == "weekday":
        assert 15 <= days.size().mean() <= 25


def test_the_share_of_avoidable_time_is_the_true_one(live):
    weeks = live("b", AFTER_REFORMS)
    who = stream(SEED, "who").choice(len(weeks.hours), 6_000)
    minutes = pd.Series(0.0, index=["avoidable", "burden", "parallel"])
    for day_type, days in (("weekday", 5), ("weekend", 2)):
        episodes = draw_day(weeks, who, day_type, rounded_to=None, moved=0.0, rng=stream(SEED, day_type))
        length = days * (episodes["end"] - episodes["start"])
        is_burden = episodes["activity"].isin(BURDEN_CODES)
        is_avoidable = is_burden & ((episodes["value"] <= 2) | episodes["is_repeat"])
        beside = episodes["secondary_activity"] != ""
        minutes += [length[is_avoidable].sum(), length[is_burden].sum(), length[beside].sum()]
    true_share = weeks.avoidable[who].sum() / weeks.hours[who][:, : len(BURDEN_CODES)].sum()
    assert minutes["avoidable"] / minutes["burden"] == pytest.approx(true_share, abs=0.015)
    assert minutes["parallel"] / 60 / len(who) == pytest.approx(weeks.parallel[who].mean(), rel=0.03)


def test_a_holiday_is_drawn_as_a_weekend_day_and_a_make_up_day_as_a_weekday(study):
    quarter = Quarter(2024, 4)  # 1 October is a holiday
    weekdays = draw_dates(study, quarter, "weekday", 3_000, stream(SEED, "dates")).astype(str)
    weekends = draw_dates(study, quarter, "weekend", 3_000, stream(SEED, "dates")).astype(str)
    assert "2024-10-01" in weekends
    assert "2024-10-01" not in weekdays
    assert "2024-09-29" in draw_dates(study, Quarter(2024, 3), "weekday", 3_000, stream(SEED, "dates")).astype(str)
    assert not set(weekdays) & set(weekends)


# -- answers ------------------------------------------------------------------------------------------------------


def test_memory_overstates_the_week_a_little_and_single_tasks_by_more(live, frame):
    weeks = live("a", BEFORE_REFORMS)
    panel = draw_sample(frame, BEFORE_REFORMS, first=FIRST, seed=SEED)
    answers = answer_questionnaire(
        panel, weeks, live("a", BEFORE_REFORMS), scenario=SCENARIOS["a"], rng=stream(SEED, "recall")
    )
    who = panel.index.to_numpy()
    assert answers["work_hours"].mean() / weeks.work[who].mean() == pytest.approx(1.04, abs=0.01)
    assert answers["meeting_hours"].mean() > 1.05 * weeks.group("meeting")[who].mean()
    assert answers["digital_hours"].mean() < 0.9 * weeks.group("digital")[who].mean()
    assert answers["acceptable_hours"].mean() == pytest.approx(weeks.acceptable[who].mean(), rel=0.02)
    assert (answers["work_hours"] % 5 == 0).mean() > 0.45  # heaping
    assert (answers["meetings_unrelated"] <= answers["meetings_attended"]).all()
    parts = answers[[f"{group}_hours" for group in [*GROUPS, "service"]]].sum(axis=1)
    assert 0 < (parts > answers["work_hours"]).mean() < 0.02


def test_a_week_that_did_not_change_is_felt_as_heavier(live, frame):
    weeks = live("a", BEFORE_REFORMS)
    panel = draw_sample(frame, BEFORE_REFORMS, first=FIRST, seed=SEED)
    answers = answer_questionnaire(panel, weeks, weeks, scenario=SCENARIOS["a"], rng=stream(SEED, "recall"))
    felt = answers.filter(like="felt_")
    assert (felt.mean() > 0.2).all()
    assert felt.to_numpy().min() == -2
    assert felt.to_numpy().max() == 2


def test_about_eight_in_ten_answer_and_the_busiest_least(live, frame):
    weeks = live("a", BEFORE_REFORMS)
    panel = draw_sample(frame, BEFORE_REFORMS, first=FIRST, seed=SEED)
    rounds = [
        field_response(panel, weeks, BEFORE_REFORMS, scenario=SCENARIOS["a"], rng=stream(SEED, "response", n))
        for n in range(10)
    ]
    answered = np.mean([response["answers"] for response in rounds], axis=0)
    assert answered.mean() == pytest.approx(0.81, abs=0.02)
    assert np.corrcoef(answered, weeks.gross[panel.index.to_numpy()])[0, 1] < 0
    both = sum((r["weekday"] & r["weekend"]).sum() for r in rounds)
    asked = sum((r["answers"] & panel["has_diary_task"]).sum() for r in rounds)
    assert both / asked == pytest.approx(0.85, abs=0.02)
