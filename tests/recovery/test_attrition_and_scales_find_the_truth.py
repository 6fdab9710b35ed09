"""Attrition and scales on samples whose truth is known: errors, intervals, false alarms, and what scenario i hides."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis_lib.ingest.simulate.fieldwork import field_response
from analysis_lib.ingest.simulate.hours import live_quarter, settle_habits
from analysis_lib.ingest.simulate.officials import draw_sample, whole_frame
from analysis_lib.ingest.simulate.scenarios import SCENARIOS
from analysis_lib.reforms import read_reforms
from analysis_lib.running.scaffold import init_study
from analysis_lib.study import Study
from analysis_lib.survey.attrition import hazard_model, life_table, participation
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.scales import Scale, invariance, reliability

REPETITIONS = 150
SLACK = 3 * math.sqrt(0.95 * 0.05 / REPETITIONS)  # three standard errors of a coverage of 95 %
CLUSTERED = SurveyDesign(stratum="stratum", psu="psu")
TRIO = Scale("trio", ("a", "b", "c"))


def clusters(rng: np.random.Generator, n_psu: int = 60, size: int = 12) -> pd.DataFrame:
    """People in units of unlike size, weights that vary."""
    psu = np.repeat(np.arange(n_psu), rng.integers(size // 2, size + size // 2, n_psu))
    return pd.DataFrame({"psu": psu, "stratum": psu % 6, "weight": rng.choice([1.0, 2.0, 3.0], len(psu))})


# -- reliability ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reliabilities() -> pd.DataFrame:
    """Alpha, omega and the item–rest correlation of a, with a factor that units share."""
    rng, loadings = np.random.default_rng(11), np.array([0.9, 0.7, 0.5])
    frames = []
    for _ in range(REPETITIONS):
        frame = clusters(rng)
        of_unit = rng.normal(0, math.sqrt(0.3), 60)[frame["psu"]]
        factor = of_unit + rng.normal(0, math.sqrt(0.7), len(frame))
        values = factor[:, None] * loadings + rng.normal(0, 0.8, (len(frame), 3))
        frame[["a", "b", "c"]] = values
        frames.append(reliability(frame, TRIO, design=CLUSTERED).iloc[:3])
    covariance = np.outer(loadings, loadings) + 0.64 * np.eye(3)
    truth = {
        "alpha": 1.5 * (1 - np.trace(covariance) / covariance.sum()),
        "omega": loadings.sum() ** 2 / covariance.sum(),
        "item_rest": covariance[0, 1:].sum() / math.sqrt(covariance[0, 0] * covariance[1:, 1:].sum()),
    }
    whole = pd.concat(frames)
    return whole.assign(truth=whole["statistic"].map(truth))


@pytest.mark.parametrize("statistic", ["alpha", "omega", "item_rest"])
def test_reliability_is_right_on_average_with_intervals_that_hold_it(reliabilities, statistic) -> None:
    rows = reliabilities[reliabilities["statistic"] == statistic]
    truth = rows["truth"].iloc[0]
    assert rows["estimate"].mean() == pytest.approx(
        truth, abs=4 * rows["estimate"].std() / math.sqrt(REPETITIONS) + 0.005
    )
    assert rows["se"].mean() == pytest.approx(rows["estimate"].std(), rel=0.2)
    assert rows["ci_low"].le(truth).mul(rows["ci_high"].ge(truth)).mean() > 0.95 - SLACK


# -- the same thing in every group ----------------------------------------------------------------------


def answers(rng: np.random.Generator, shift: float) -> pd.DataFrame:
    """Five-point answers of three tiers of unlike means; one item is answered otherwise in the last of them."""
    frame = clusters(rng, n_psu=120, size=14)
    tier = frame["psu"].to_numpy() % 3
    factor = rng.normal(0, 0.4, 120)[frame["psu"]] + rng.normal(0, 0.9, len(frame)) + 0.3 * tier
    for item, loading in zip("abc", (0.8, 0.7, 0.6), strict=True):
        latent = 3 + loading * factor + rng.normal(0, 0.6, len(frame)) + shift * (item == "b") * (tier == 2)
        frame[item] = np.round(latent).clip(1, 5)
    return frame.assign(tier=np.array(["county", "township", "village"])[tier])


def test_a_scale_that_measures_the_same_is_rarely_said_not_to_and_a_shifted_item_is_named() -> None:
    rng = np.random.default_rng(12)
    same = [invariance(answers(rng, 0.0), [TRIO], "tier", design=CLUSTERED) for _ in range(50)]
    # Rounding to five points bends what a factor does to them, less than what the rule lets pass.
    assert np.mean([bool(found.differs) for found in same]) <= 0.05
    level = [found.steps.loc[1, "p_value"] < 0.05 for found in same]
    assert np.mean(level) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 50)  # the scaled statistic keeps its level
    shifted = [invariance(answers(rng, 0.6), [TRIO], "tier", design=CLUSTERED) for _ in range(10)]
    assert np.mean([found.differs == (("scalar", "b"),) for found in shifted]) >= 0.9


# -- hazards --------------------------------------------------------------------------------------------

BASELINE, RATIO = (0.10, 0.15, 0.20), 1.6  # continuous-time hazards of the young over the others


def one_panel(rng: np.random.Generator) -> pd.DataFrame:
    """A panel asked again three times; the hazards of units scatter around their mean."""
    people = clusters(rng, size=24)
    people["age"] = np.where(rng.random(len(people)) < 0.35, "young", "older")
    of_unit = rng.gamma(25, 1 / 25, 60)[people["psu"]]
    alive, frames = np.ones(len(people), dtype=bool), []
    for time, hazard in enumerate(BASELINE, start=1):
        rate = -np.log(1 - hazard) * np.where(people["age"] == "young", RATIO, 1.0)
        event = (rng.random(len(people)) < 1 - np.exp(-rate * of_unit)).astype(float)
        frames.append(people.assign(time=time, event=np.where(alive, event, np.nan)))
        alive &= event == 0
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def panels() -> pd.DataFrame:
    rng, rows = np.random.default_rng(13), []
    everybody = pd.concat(
        [one_panel(rng) for _ in range(120)]
    )  # far more people than a panel: the truth of units that scatter
    staying = 1.0
    for _, now in everybody[everybody["age"] == "young"].groupby("time"):
        staying *= 1 - np.average(now["event"].dropna())
    at_risk = everybody.dropna(subset=["event"])
    by_time = at_risk.pivot_table(index="time", columns="age", values="event", aggfunc="mean")
    gap = np.average(by_time["young"] - by_time["older"], weights=at_risk.groupby("time").size())
    truth = {"staying": staying, "ratio": math.log(RATIO), "gap": gap}
    for _ in range(REPETITIONS):
        panel = one_panel(rng)
        table = life_table(panel, design=CLUSTERED, by="age").set_index(["category", "time"]).loc[("young", 3)]
        model = hazard_model(panel, ["age"], design=CLUSTERED)
        ratio, difference = model.table.iloc[-1], model.average_difference("age", "older", "young")
        for name, found in (("ratio", ratio), ("gap", difference)):
            rows.append({"what": name, **{key: found[key] for key in ("estimate", "se", "ci_low", "ci_high")}})
        rows.append({"what": "staying", "estimate": table["staying"], "se": table["staying_se"],
                     "ci_low": table["staying_low"], "ci_high": table["staying_high"]})  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.assign(truth=frame["what"].map(truth))


@pytest.mark.parametrize("what", ["staying", "ratio", "gap"])
def test_hazards_are_right_on_average_with_intervals_that_hold_them(panels, what) -> None:
    rows = panels[panels["what"] == what]
    truth = rows["truth"].iloc[0]
    assert rows["estimate"].mean() == pytest.approx(
        truth, abs=4 * rows["estimate"].std() / math.sqrt(REPETITIONS) + 0.01 * abs(truth)
    )
    assert rows["se"].mean() == pytest.approx(rows["estimate"].std(), rel=0.2)
    assert rows["ci_low"].le(truth).mul(rows["ci_high"].ge(truth)).mean() > 0.95 - SLACK


# -- the demonstration's panel --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return init_study(Path(tmp_path_factory.mktemp("panel")) / "study", simulated=True)


def simulated_panel(study: Study, letter: str) -> pd.DataFrame:
    """The rotating panel of six quarters, who answered, and of everybody drawn the chance to (mean of many draws)."""
    scenario, frame, calendar = SCENARIOS[letter], whole_frame(study, seed=7), study.config.calendar.quarters[:6]
    habits, reforms, lists = settle_habits(frame, seed=7), read_reforms(study), []
    for quarter in calendar:
        weeks = live_quarter(frame, habits, quarter, scenario=scenario, reforms=reforms, seed=7)
        panel = draw_sample(frame, quarter, first=calendar[0], seed=7)
        draws = [
            field_response(
                panel,
                weeks,
                quarter,
                scenario=scenario,
                rng=np.random.default_rng([7, int(quarter - calendar[0]), draw]),
            )["answers"]
            for draw in range(61)
        ]
        lists.append(panel.assign(answers=draws[0], chance=np.mean(draws[1:], axis=0)))
    return pd.concat(lists, ignore_index=True)


@pytest.mark.parametrize(("letter", "leaves_more"), [("b", False), ("i", True)])
def test_overloaded_young_officials_who_stop_answering_are_found_and_not_where_they_do_not(
    study, letter, leaves_more
) -> None:
    drawn = simulated_panel(study, letter)
    periods = participation(drawn, drawn.loc[drawn["answers"], ["respondent_id", "quarter"]])
    periods["age"] = np.where(periods["age_group"] == "under_35", "young", "older")
    design = SurveyDesign.of_study(study, weight="base_weight")
    found = hazard_model(periods, ["age"], design=design).average_difference("age", "older", "young")
    at_risk = periods.dropna(subset=["event"]).assign(missed=lambda rows: 1 - rows["chance"])
    by_time = at_risk.groupby(["time", "age"])[["missed", "base_weight"]].apply(
        lambda rows: np.average(rows["missed"], weights=rows["base_weight"])
    ).unstack()  # fmt: skip
    truth = np.average(by_time["young"] - by_time["older"], weights=at_risk.groupby("time")["base_weight"].sum())
    assert abs(found["estimate"] - truth) < 3 * found["se"]
    assert (found["ci_low"] > 0) == leaves_more
    table = life_table(periods, design=design, by="age").set_index(["category", "time"])
    wrong = [(row["hazard"] - by_time.at[time, age]) / row["hazard_se"] for (age, time), row in table.iterrows()]
    assert np.abs(wrong).max() < 4
