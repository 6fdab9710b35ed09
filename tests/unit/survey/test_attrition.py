"""Who stops answering: the risk set, life tables by hand, hazards, and a study's rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import DesignError, UsageError
from analysis_lib.survey.attrition import hazard_model, life_table, participation, staying_table, young_changes
from analysis_lib.survey.design import SurveyDesign
from tests.sample_study import write_study

QUARTERS = ["2025Q1", "2025Q2", "2025Q3", "2025Q4"]
DESIGN = SurveyDesign(stratum="stratum", psu="psu")


def asked(history: dict[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Person → a letter for each quarter: a answered, n did not, . not on the list."""
    rows = [
        {"respondent_id": person, "quarter": quarter, "answered": letter == "a"}
        for person, letters in history.items()
        for quarter, letter in zip(QUARTERS, letters, strict=False)
        if letter != "."
    ]
    frame = pd.DataFrame(rows)
    return frame.drop(columns="answered"), frame.loc[frame["answered"], ["respondent_id", "quarter"]]


@pytest.mark.parametrize(
    ("letters", "events"),
    [
        ("aaaa", [None, 0, 0, 0]),
        ("aana", [None, 0, 1, None]),  # who comes back is no longer in the first spell
        ("naaa", [None, None, None, None]),  # never in it
        ("..aa", [None, 0]),
        ("aa..", [None, 0]),  # rotated out: censored, not gone
        ("a.an", [None, 0, 1]),  # times asked count, not quarters
    ],
)
def test_who_is_at_risk(letters, events) -> None:
    found = participation(*asked({"x": letters}))
    assert [None if np.isnan(event) else int(event) for event in found["event"]] == events
    assert found["time"].tolist() == list(range(len(events)))


def test_the_whole_list_stays_in_the_order_of_quarters() -> None:
    sample, officials = asked({"x": "aana", "y": "naaa", "z": ".aa."})
    found = participation(sample.sample(frac=1, random_state=1), officials)
    assert len(found) == len(sample)
    assert found["event"].notna().sum() == 3
    assert found.groupby("respondent_id")["quarter"].apply(lambda quarters: quarters.is_monotonic_increasing).all()


def periods(n: int = 1200, seed: int = 4) -> pd.DataFrame:
    """Three times at risk; hazards 0.1, 0.2, 0.3, of the young twice the odds."""
    rng = np.random.default_rng(seed)
    people = pd.DataFrame({"person": np.arange(n), "psu": np.arange(n) // 6, "stratum": np.arange(n) // 6 % 3})
    people = people.assign(weight=1.0 + np.arange(n) % 3, age=np.where(rng.random(n) < 0.4, "young", "older"))
    rows, alive = [], np.ones(n, dtype=bool)
    for time, odds in ((1, 0.1 / 0.9), (2, 0.25), (3, 0.3 / 0.7)):
        odds_here = odds * np.where(people["age"] == "young", 2.0, 1.0)
        event = (rng.random(n) < odds_here / (1 + odds_here)).astype(float)
        rows.append(people.assign(time=time, event=np.where(alive, event, np.nan)))
        alive &= event == 0
    return pd.concat(rows, ignore_index=True)


def test_a_life_table_by_hand() -> None:
    frame = periods()
    found = life_table(frame, design=DESIGN, by="age").set_index(["category", "time"])
    left = 1.0
    for time in (1, 2, 3):
        rows = frame[(frame["age"] == "young") & (frame["time"] == time) & frame["event"].notna()]
        hazard = np.average(rows["event"], weights=rows["weight"])
        left *= 1 - hazard
        row = found.loc[("young", time)]
        assert (row["at_risk"], row["events"]) == (len(rows), rows["event"].sum())
        assert [row["hazard"], row["staying"]] == pytest.approx([hazard, left])
        assert 0 < row["staying_low"] < row["staying"] < row["staying_high"] < 1
    # What happens before is in the error of what is left: at time 1 both errors are one.
    assert found.loc[("young", 1), "staying_se"] == pytest.approx(found.loc[("young", 1), "hazard_se"])
    assert found.loc[("young", 3), "staying_se"] < found.loc[("young", 3), "hazard_se"]


def test_errors_of_what_is_left_agree_with_leaving_out_one_unit_at_a_time() -> None:
    frame = periods(360)
    whole = life_table(frame, design=DESIGN).set_index("time")
    model = hazard_model(frame, ["age"], design=DESIGN)
    estimates, weights = {"staying": [], "model": [], "gap": []}, []
    units = frame[["stratum", "psu"]].drop_duplicates()
    for stratum, psu in units.to_numpy():
        n = (units["stratum"] == stratum).sum()
        weights.append((n - 1) / n)
        inside, out = frame["stratum"] == stratum, frame["psu"] == psu
        weight = np.where(out, 0.0, frame["weight"] * np.where(inside, n / (n - 1), 1.0))
        without = frame.assign(weight=weight)
        estimates["staying"].append(life_table(without, design=DESIGN)["staying"].iloc[-1])
        refitted = hazard_model(without, ["age"], design=DESIGN)
        estimates["model"].append(refitted.table["estimate"].iloc[-1])
        estimates["gap"].append(refitted.average_difference("age", "older", "young")["estimate"])
    gap = model.average_difference("age", "older", "young")
    expected = {
        "staying": (whole["staying"].iloc[-1], whole["staying_se"].iloc[-1]),
        "model": (model.table["estimate"].iloc[-1], model.table["se"].iloc[-1]),
        "gap": (gap["estimate"], gap["se"]),
    }
    for name, (value, se) in expected.items():
        jackknife = np.sqrt(np.array(weights) @ (np.array(estimates[name]) - value) ** 2)
        assert se == pytest.approx(jackknife, rel=0.05), name


def test_a_saturated_model_gives_back_the_life_table_by_either_link() -> None:
    frame = periods()
    table = life_table(frame, design=DESIGN).set_index("time")
    for link, inverse in (("logit", lambda a: 1 / (1 + np.exp(-a))), ("cloglog", lambda a: 1 - np.exp(-np.exp(a)))):
        found = hazard_model(frame, [], design=DESIGN, link=link).table
        np.testing.assert_allclose(inverse(found["estimate"]), table["hazard"], atol=1e-9)


def test_the_average_difference_is_that_of_standardised_hazards() -> None:
    frame = periods(6000)
    model = hazard_model(frame, ["age"], design=DESIGN, link="logit")
    odds_ratio = model.table.set_index("term").loc["age=young"]
    assert odds_ratio["ci_low"] < np.log(2) < odds_ratio["ci_high"]
    there = model.average_difference("age", "older", "young")
    back = model.average_difference("age", "young", "older")
    assert there["estimate"] == pytest.approx(-back["estimate"])
    assert there["se"] == pytest.approx(back["se"])
    assert model.average_difference("age", "young", "young")["estimate"] == 0


def test_refusals() -> None:
    frame = periods()
    with pytest.raises(DesignError, match="nobody at time=3"):
        hazard_model(frame.assign(event=frame["event"].where(frame["time"] < 3, frame["event"] * 0)), [], design=DESIGN)
    with pytest.raises(DesignError, match="everybody at age=young"):
        hazard_model(
            frame.assign(event=frame["event"].where((frame["age"] == "older") | frame["event"].isna(), 1.0)),
            ["age"],
            design=DESIGN,
        )
    with pytest.raises(UsageError, match="'ages' is no column"):
        hazard_model(frame, ["ages"], design=DESIGN)
    with pytest.raises(UsageError, match="no categories"):
        hazard_model(frame, ["age"], design=DESIGN).average_difference("tier", "a", "b")


@pytest.fixture
def panel() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Sample list, official-quarters and answers of four quarters; the young skip more and mean to leave more."""
    rng, n = np.random.default_rng(8), 600
    people = pd.DataFrame({"respondent_id": [f"p{i}" for i in range(n)], "psu": np.arange(n) // 5})
    people = people.assign(
        stratum=np.arange(n) // 5 % 2, base_weight=2.0, age_group=rng.choice(["under_35", "35_49", "50_plus"], n)
    )
    sample = pd.concat([people.assign(quarter=quarter) for quarter in QUARTERS], ignore_index=True)
    is_young = sample["age_group"] == "under_35"
    answers = rng.random(len(sample)) < np.where(is_young, 0.7, 0.85)
    officials = sample[answers].assign(weight=2.3)
    said = officials[["respondent_id", "quarter"]].assign(
        leave_intention=(2 + is_young[answers] + rng.integers(0, 3, answers.sum()) - 1).astype(float)
    )
    return sample, officials, said


def test_a_studys_rows(tmp_path, panel) -> None:
    study = write_study(tmp_path)
    found = staying_table(*panel, study=study, period="2025", quarters=QUARTERS).set_index(
        ["measure", "by", "category"]
    )
    assert found.loc[("leaving", "age_group", "under_35"), "estimate"] == pytest.approx(0.3, abs=0.05)
    gap = found.loc[("leaving", "age_difference", "under_35")]
    assert gap["ci_low"] < 0.15 < gap["ci_high"]
    assert gap["ci_low"] > 0
    meant = found.loc[("leave_intention", "age_difference", "under_35")]
    assert (meant["estimate"], meant["unit"]) == (pytest.approx(1.0, abs=0.1), "score")
    assert found.loc[("staying", "staying", "50_plus.3"), "estimate"] == pytest.approx(0.85**3, abs=0.1)
    assert found.loc[("staying", "staying", "50_plus.1"), "n"] > found.loc[("staying", "staying", "50_plus.3"), "n"]


def test_changes_of_the_young_and_quarters_without_answers(tmp_path, panel) -> None:
    study = write_study(tmp_path)
    sample, officials, said = panel
    raised = said.assign(leave_intention=said["leave_intention"] + (said["quarter"] == "2025Q4"))
    before, after = (
        young_changes(
            sample, officials, answers, study=study, label="change", earlier=["2025Q2", "2025Q3"], later=["2025Q4"]
        ).set_index("measure")
        for answers in (said, raised)
    )
    assert list(after.index) == ["leaving_under_35", "leave_intention_under_35"]
    moved = after["estimate"] - before["estimate"]
    assert moved.tolist() == pytest.approx([0.0, 1.0])
    assert after.at["leaving_under_35", "ci_low"] < 0 < after.at["leaving_under_35", "ci_high"]
    nothing = young_changes(
        sample, officials, said.drop(columns="leave_intention"), study=study, label="x", earlier=[], later=["2025Q4"]
    )
    assert nothing.empty
    unasked = staying_table(
        sample, officials, said.drop(columns="leave_intention"), study=study, period="x", quarters=["2025Q1"]
    )
    assert unasked.empty  # nobody can have stopped in the first quarter
