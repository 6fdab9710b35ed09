"""Discrete-time hazards against Singer and Willett (2003) and a logistic model against R ``survey``.

Counts at risk and events are those of tables 10.1 (3,941 special educators) and 11.1 (first intercourse of 180 boys by
parental transition, Capaldi et al. 1996); the coefficients are model B of table 11.3. The logistic model is the example
of the help page of ``svyglm``: ``summary(svyglm(sch.wide ~ ell + meals + mobility, dstrat, family = quasibinomial()))``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis_lib.survey.attrition import hazard_model, life_table
from analysis_lib.survey.design import SurveyDesign

EDUCATORS = {  # year: left, censored at its end, hazard, still teaching
    1: (456, 0, 0.1157, 0.8843), 2: (384, 0, 0.1102, 0.7869), 3: (359, 0, 0.1158, 0.6958), 4: (295, 0, 0.1076, 0.6209),
    5: (218, 0, 0.0891, 0.5656), 6: (184, 0, 0.0825, 0.5189), 7: (123, 280, 0.0601, 0.4877), 8: (79, 307, 0.0481, 0.4642),
    9: (53, 255, 0.0422, 0.4446), 10: (35, 265, 0.0369, 0.4282), 11: (16, 241, 0.0247, 0.4177), 12: (5, 386, 0.0128, 0.4123),
}  # fmt: skip
BOYS = {"none": (72, [2, 2, 8, 8, 10, 8]), "transition": (108, [13, 5, 16, 21, 15, 18])}  # grades 7 to 12
TABLE_11_3 = {
    "time=7": (-2.9943, 0.3175), "time=8": (-3.7001, 0.4206), "time=9": (-2.2811, 0.2724), "time=10": (-1.8226, 0.2585),
    "time=11": (-1.6542, 0.2691), "time=12": (-1.1791, 0.2716), "parents=transition": (0.8736, 0.2174),
}  # fmt: skip


def lives(at_start: int, counts: list[tuple[int, int]], first: int = 1) -> pd.DataFrame:
    """Person-periods from events and censored of each time."""
    ends = [
        (first + step, event)
        for step, pair in enumerate(counts)
        for event in (1.0, 0.0)
        for _ in range(pair[event == 0])
    ]
    assert len(ends) == at_start
    rows = [
        {"person": person, "time": time, "event": event if time == last else 0.0}
        for person, (last, event) in enumerate(ends)
        for time in range(first, last + 1)
    ]
    return pd.DataFrame(rows).assign(weight=1.0)


def test_life_table_of_special_educators() -> None:
    periods = lives(3941, [row[:2] for row in EDUCATORS.values()])
    found = life_table(periods, design=SurveyDesign(psu="person")).set_index("time")
    printed = pd.DataFrame.from_dict(EDUCATORS, orient="index", columns=["events", "censored", "hazard", "staying"])
    assert found["events"].tolist() == printed["events"].tolist()
    np.testing.assert_allclose(found["hazard"], printed["hazard"], atol=5.1e-5)
    np.testing.assert_allclose(found["staying"], printed["staying"], atol=5.1e-5)
    # Binomial errors of hazards, and Greenwood's of the share still there.
    np.testing.assert_allclose(
        found["hazard_se"], np.sqrt(found["hazard"] * (1 - found["hazard"]) / found["at_risk"]), rtol=2e-3
    )
    terms = found["hazard"] / (found["at_risk"] * (1 - found["hazard"]))
    np.testing.assert_allclose(found["staying_se"], found["staying"] * np.sqrt(terms.cumsum()), rtol=1e-3)


@pytest.fixture(scope="module")
def boys() -> pd.DataFrame:
    frames = []
    for parents, (at_start, events) in BOYS.items():
        left = [0] * (len(events) - 1) + [at_start - sum(events)]
        frames.append(lives(at_start, list(zip(events, left, strict=True)), first=7).assign(parents=parents))
    whole = pd.concat(frames, ignore_index=True)
    return whole.assign(person=whole["parents"] + whole["person"].astype(str))


def test_logit_model_of_first_intercourse(boys) -> None:
    model = hazard_model(boys, ["parents"], design=SurveyDesign(psu="person"), link="logit")
    found = model.table.set_index("term")
    assert len(boys) == 822
    for term, (estimate, se) in TABLE_11_3.items():
        assert found.at[term, "estimate"] == pytest.approx(estimate, abs=6e-5)
        assert found.at[term, "se"] == pytest.approx(se, rel=0.1)  # of independent boys rather than of the likelihood


def test_grouped_and_continuous_proportional_hazards_agree_on_the_size(boys) -> None:
    """The two links differ little where hazards are small, and less on the difference of hazards."""
    models = {
        link: hazard_model(boys, ["parents"], design=SurveyDesign(psu="person"), link=link)
        for link in ("logit", "cloglog")
    }
    effects = [model.average_difference("parents", "none", "transition") for model in models.values()]
    assert effects[0]["estimate"] == pytest.approx(effects[1]["estimate"], abs=0.005)
    assert effects[0]["ci_low"] > 0


@pytest.mark.real_data
def test_logistic_model_of_a_stratified_sample(shared_data: Callable[[str], Path]) -> None:
    schools = pd.read_csv(shared_data("r_survey_api") / "apistrat.csv.gz")
    periods = schools.assign(event=(schools["sch.wide"] == "Yes").astype(float), time=0)
    design = SurveyDesign(stratum="stype", weight="pw", population="fpc")
    model = hazard_model(periods, ["ell", "meals", "mobility"], design=design, link="logit")
    printed = {
        "time=0": (0.835837, 0.455626),
        "ell": (-0.002490, 0.013252),
        "meals": (-0.003152, 0.009199),
        "mobility": (0.060897, 0.031935),
    }
    for term, (estimate, se) in printed.items():
        row = model.table.set_index("term").loc[term]
        assert row["estimate"] == pytest.approx(estimate, abs=6e-7)
        assert row["se"] == pytest.approx(se, rel=2e-5, abs=6e-7)  # R stops iterating earlier
