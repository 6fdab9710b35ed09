"""Metrics of single diary days, and which days are told alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis_lib.quality.diary_quality import day_flags, diary_quality
from analysis_lib.quality.duplicates import copied_day_p, day_slots, is_identical, same_work, work_codes
from analysis_lib.time_use.activities import read_classification
from tests.sample_study import STUDY_TOML, write_study
from tests.small_tables import MONDAY, SATURDAY, diary

FULL = [(0, 480, "P0"), (480, 600, "M1"), (600, 690, "D1"), (690, 1440, "P0")]
QUALITY = "\n[quality]\nmin_episodes = 4\nmax_activity_minutes = 100\nbasic_domains = {domains}\n"


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path, study_toml=STUDY_TOML + QUALITY.format(domains='{ sleep = ["P0"], eating = ["P1"] }'))


def metrics(study, *stretches, **said) -> pd.Series:
    return diary_quality(diary("a", MONDAY, *stretches, **said), study=study).iloc[0]


def test_a_plain_day(study):
    found = metrics(study, *FULL)
    assert found["n_episodes"] == 4
    assert found["unknown_minutes"] == 0
    assert found["longest_activity"] == 120
    assert found["identical_slots"] == 12
    assert found["work_codes"] == 2
    assert found["exact_hour_share"] == pytest.approx(2 / 3)  # 8:00 and 10:00, not 11:30
    assert found["missing_domains"] == 1
    assert np.isnan(found["lag_hours"])


def test_one_activity_told_in_two_pieces_is_one_stretch_but_not_across_a_gap(study):
    found = metrics(study, (480, 540, "M1"), (540, 600, "M1"), (610, 660, "M1"))
    assert found["longest_activity"] == 120
    assert found["unknown_minutes"] == 1440 - 170


def test_time_under_a_code_that_is_not_listed_is_unknown(study):
    assert metrics(study, (0, 1380, "P0"), (1380, 1440, "X9"))["unknown_minutes"] == 60


def test_a_second_activity_is_a_share_of_known_time(study):
    day = pd.concat(
        [diary("a", MONDAY, (0, 1080, "P0")), diary("a", MONDAY, (1080, 1440, "S1"), secondary_activity="G1")]
    )
    assert diary_quality(day, study=study)["secondary_share"].iloc[0] == pytest.approx(0.25)


def test_the_lag_counts_from_the_end_of_the_day(study):
    day = diary("a", MONDAY, *FULL).assign(submitted_at="2026-01-06T09:30:00")
    assert diary_quality(day, study=study)["lag_hours"].iloc[0] == pytest.approx(9.5)


def test_flags_are_cuts_and_a_day_off_is_not_judged_by_its_work(study):
    days = pd.concat([diary("a", MONDAY, *FULL), diary("a", SATURDAY, (0, 1440, "P0"))])
    flags = day_flags(diary_quality(days, study=study), study=study).set_index("diary_date")
    assert flags.loc[MONDAY, ["diary_few_episodes", "diary_long_activity", "diary_few_kinds"]].tolist() == [
        False,
        True,
        True,
    ]
    assert flags.at[SATURDAY, "diary_few_episodes"]
    assert flags.loc[SATURDAY, ["diary_long_activity", "diary_few_kinds"]].isna().all()


def test_where_personal_time_is_one_code_a_day_off_of_one_episode_is_a_day_off(tmp_path):
    study = write_study(tmp_path)
    flags = day_flags(diary_quality(diary("a", SATURDAY, (0, 1440, "P0")), study=study), study=study)
    assert flags[["diary_few_episodes", "diary_missing_domains"]].isna().all(axis=None)


# -- days told alike ------------------------------------------------------------------------------------


def slots_of(study, *days: list[tuple[int, int, str]]) -> np.ndarray:
    told = pd.concat([diary(f"p{n}", MONDAY, *day) for n, day in enumerate(days)])
    return day_slots(told, told[["respondent_id", "diary_date"]].drop_duplicates(), read_classification(study))


def test_a_slot_belongs_to_the_episode_that_holds_its_middle(study):
    slots = slots_of(study, [(0, 484, "P0"), (484, 494, "M1"), (494, 1440, "P0")])
    place = {code: n + 1 for n, code in enumerate(read_classification(study).activities.index)}
    assert (slots[0] == place["M1"]).nonzero()[0].tolist() == [48]  # 8:00 to 8:10; the middle of the next is 8:15


def test_only_work_counts_when_two_days_are_compared(study):
    slots = slots_of(study, FULL, [(0, 480, "P0"), (480, 600, "M1"), (600, 1440, "P0")], [(0, 1440, "P0")])
    is_work = work_codes(read_classification(study))
    share = same_work(slots, is_work, np.array([0, 2, 0]), np.array([1, 2, 0]))
    assert share[0] == pytest.approx(12 / 21)
    assert np.isnan(share[1])  # two days off
    assert share[2] == 1


def test_an_eventful_day_told_twice_is_identical_and_two_days_off_are_not(study):
    slots = slots_of(study, FULL, FULL, [(0, 1440, "P0")], [(0, 1440, "P0")])
    assert is_identical(slots, min_stretches=4).tolist() == [True, True, False, False]
    assert is_identical(slots[:1], min_stretches=4, also=slots[2:]).tolist() == [False]
    assert is_identical(slots[:1], min_stretches=4, also=slots[1:]).tolist() == [True]


def test_a_day_copied_from_a_colleague_stands_out_among_days_of_chance(study):
    rng = np.random.default_rng(1)
    classification = read_classification(study)
    work = np.flatnonzero(work_codes(classification))
    slots = np.zeros((400, 144), dtype=np.uint16)
    slots[:, 48:108] = rng.choice(work, (400, 12)).repeat(5, axis=1)
    slots[1] = slots[0]
    unit = np.arange(400) // 4
    p = copied_day_p(slots, work_codes(classification), unit, np.zeros(400, dtype=np.int64), rng=rng)
    assert (p[:2] < 0.001).all()
    assert (p[2:] < 0.01).mean() < 0.03
