"""What the survey costs those who answer it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis_lib.disclosure.protect import protect
from analysis_lib.quarters import Quarter
from analysis_lib.survey.own_burden import minutes_spent, own_burden
from tests.sample_study import STUDY_TOML, write_study
from tests.small_tables import QUARTER, respondents

PLAUSIBLE = {"diary_day_minutes": 15.0, "plausible_minutes": (1.0, 120.0)}


@pytest.fixture
def study(tmp_path):
    settings = "\n[own_burden]\ndiary_day_minutes = 15\npromised_minutes = 25\n"
    return write_study(tmp_path, study_toml=STUDY_TOML + settings)


def days(*people: str) -> pd.DataFrame:
    return pd.DataFrame({"respondent_id": list(people), "quarter": QUARTER})


def test_a_form_left_open_overnight_or_closed_at_once_counts_as_the_usual_time():
    spent = minutes_spent(np.array([600, 1200, 40_000, 5, np.nan]), np.zeros(5), **PLAUSIBLE)
    assert spent.questionnaire.tolist() == [10, 20, 15, 15, 15]
    assert spent.replaced == 3


def test_without_any_plausible_time_the_minutes_are_unknown_and_not_zero():
    assert np.isnan(minutes_spent(np.array([np.nan, 5.0]), np.zeros(2), **PLAUSIBLE).questionnaire).all()


def test_the_quarter_costs_the_sum_and_the_promise_is_held_against_each_person(study):
    people = respondents("a", "b", "c", "d").assign(duration_s=[600.0, 600.0, 1200.0, 1200.0])
    table = own_burden(people, days("a", "a", "d"), study=study, quarter=Quarter.parse(QUARTER))
    found = table.set_index("measure")["estimate"]
    assert found["own_questionnaire_hours"] == pytest.approx(1.0)
    assert found["own_diary_hours"] == pytest.approx(0.75)
    assert found["own_total_hours"] == pytest.approx(1.75)
    assert found["own_minutes"] == pytest.approx(105 / 4)
    assert found["own_minutes_diarist"] == pytest.approx((40 + 35) / 2)
    assert found["own_promise_kept"] == 0.5  # b with 10 and c with 20 minutes


def test_hours_are_rounded_on_the_way_out(study):
    n = 200
    people = respondents(*(f"p{i}" for i in range(n))).assign(duration_s=701.0)
    table = own_burden(people, days("p1", "p2"), study=study, quarter=Quarter.parse(QUARTER))
    published = protect(table, "own_burden", study=study).table.set_index("measure")
    assert published.at["own_questionnaire_hours", "value"] == 40
    assert published.at["own_minutes_diarist", "mark"] == "c"  # two people


def test_a_platform_that_measures_no_time_leaves_diary_hours_only(study):
    table = own_burden(respondents("a", "b"), days("a"), study=study, quarter=Quarter.parse(QUARTER))
    found = table.set_index("measure")["estimate"]
    assert np.isnan(found["own_total_hours"])
    assert found["own_diary_hours"] == pytest.approx(0.25)
