"""The study's list experiment: identities, refusals, and what is left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis_lib.disclosure.protect import protect
from analysis_lib.errors import InputRejected, UsageError
from analysis_lib.survey.list_experiment import list_experiment
from tests.sample_study import STUDY_TOML, write_study

SETTINGS = '\n[list_experiment]\narm = "list_arm"\ndirect_at_least = 3\nmax_half_width = {width}\n'
PERIODS = {"2025Q4": ["2025Q4"], "2025": ["2025Q1", "2025Q2", "2025Q3", "2025Q4"]}


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path, study_toml=STUDY_TOML + SETTINGS.format(width=0.2))


def answers(n: int = 600, *, quarter: str = "2025Q4") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Half of the people in each arm; a third admit it, another third hide it."""
    rng = np.random.default_rng(1)
    does, admits = np.arange(n) % 3 < 2, np.arange(n) % 3 < 1
    is_long = rng.random(n) < 0.5
    people = pd.DataFrame(
        {
            "respondent_id": [f"{quarter}{i}" for i in range(n)],
            "quarter": quarter,
            "psu": np.arange(n) // 4,
            "stratum": "s",
        }
    ).assign(weight=1.0 + (np.arange(n) % 2))
    said = people[["respondent_id", "quarter"]].assign(
        list_arm=np.where(is_long, "long", "short"),
        list_count=rng.integers(0, 5, n) + (is_long & does).astype(float),
        coping=np.where(admits, 4.0, 1.0),
    )
    return people, said


def test_the_combined_share_lies_near_the_truth_and_hides_less_than_the_direct_one(study):
    people, said = answers(3000)
    found = list_experiment(people, said, study=study, periods={"2025Q4": ["2025Q4"]}).set_index("measure")
    assert found.at["coping_direct", "estimate"] == pytest.approx(1 / 3, abs=0.01)
    assert abs(found.at["coping_combined", "estimate"] - 2 / 3) < 3 * found.at["coping_combined", "se"]
    assert found.at["coping_combined", "se"] < found.at["coping_listed", "se"]
    hidden = found.at["coping_combined", "estimate"] - found.at["coping_direct", "estimate"]
    assert found.at["coping_hidden", "estimate"] == pytest.approx(hidden)
    assert (found.loc[["coping_placebo_admitting", "coping_placebo_arms"], "p"] > 0.01).all()


def test_a_precision_that_is_not_there_is_not_printed_but_said(tmp_path):
    study = write_study(tmp_path, study_toml=STUDY_TOML + SETTINGS.format(width=0.05))
    people, said = answers()
    published = protect(list_experiment(people, said, study=study, periods=PERIODS), "list_experiment", study=study)
    table = published.table.query("period == '2025Q4'").set_index("measure")
    assert table.at["coping_combined", "mark"] == "x"
    assert np.isnan(table.at["coping_combined", "value"])
    assert table.at["coping_half_width", "value"] > 0.05
    assert table.at["coping_direct", "value"] == pytest.approx(0.33, abs=0.01)


def test_a_year_pools_the_quarters_in_which_the_list_was_asked(study):
    quarters = [answers(2000, quarter=quarter) for quarter in ("2025Q3", "2025Q4")]
    people, said = (pd.concat(tables, ignore_index=True) for tables in zip(*quarters, strict=True))
    said.loc[said["quarter"] == "2025Q3", ["list_arm", "list_count"]] = ["", np.nan]  # not asked
    found = list_experiment(people, said, study=study, periods=PERIODS | {"2025Q3": ["2025Q3"]})
    by_period = found[found["measure"] == "coping_combined"].set_index("period")
    assert set(by_period.index) == {"2025Q4", "2025"}
    assert by_period.at["2025", "estimate"] == pytest.approx(by_period.at["2025Q4", "estimate"])
    assert by_period.at["2025", "n"] == by_period.at["2025Q4", "n"] == 2000


def test_missing_answers_and_people_without_weight_are_left_out_of_the_estimate(study):
    people, said = answers()
    said.loc[:9, "coping"] = np.nan
    said.loc[10:19, "list_count"] = np.nan
    people.loc[20:29, "weight"] = 0.0
    found = list_experiment(people, said, study=study, periods={"2025Q4": ["2025Q4"]})
    assert found.set_index("measure").at["coping_combined", "n"] == 570


def test_a_study_without_a_list_experiment_has_no_rows(tmp_path):
    people, said = answers()
    assert list_experiment(people, said, study=write_study(tmp_path), periods=PERIODS).empty


def test_an_arm_of_another_name_and_a_column_that_is_not_there_are_refused(study):
    people, said = answers()
    with pytest.raises(UsageError, match="arms are neither"):
        list_experiment(people, said.replace({"list_arm": {"long": "B"}}), study=study, periods=PERIODS)
    with pytest.raises(InputRejected, match="coping"):
        list_experiment(people, said.drop(columns="coping"), study=study, periods=PERIODS)
