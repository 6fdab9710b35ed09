"""Lohr, *Sampling: Design and Analysis* (3rd ed.): textbook samples, R `survey`'s answers to ten digits.

Truth: ``expected.json`` of the shared data set ``sda_textbook``; the textbook's own rounded answers stand in its README.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import mean, ratio, share, total

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def folder(shared_data: Callable[[str], Path]) -> Path:
    return shared_data("sda_textbook")


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict:
    return json.loads((folder / "expected.json").read_text())


@pytest.fixture(scope="module")
def read(folder: Path) -> Callable[[str], pd.DataFrame]:
    return lambda name: pd.read_csv(folder / f"{name}.csv.gz")


def close(value: float | list[float]) -> object:
    return pytest.approx(value, rel=1e-8)


def assert_agrees(found: pd.DataFrame, truth: dict) -> None:
    assert found.at[0, "estimate"] == close(truth["estimate"])
    assert found.at[0, "se"] == close(truth["se"])


def test_counties_by_region(read, expected) -> None:
    """svydesign(id = ~1, strata = ~region, weights = ~strwt, fpc = ~N, data = agstrat)"""
    truth = expected["agstrat"]
    frame = read("agstrat")
    size = frame["region"].map(truth["stratum_sizes"])
    frame = frame.assign(N=size, weight=size / frame.groupby("region")["region"].transform("size"))
    design = SurveyDesign(stratum="region", population="N")
    found = mean(frame, "acres92", design=design)
    assert_agrees(found, truth["mean_acres92"])
    assert_agrees(total(frame, "acres92", design=design), truth["total_acres92"])
    assert found.loc[0, ["ci_low", "ci_high"]].tolist() == close(truth["ci95_mean_t"])
    assert found.at[0, "df"] == truth["degf"]


def test_counties_drawn_one_by_one_and_a_ratio_estimate_of_the_total(read, expected) -> None:
    """svydesign(id = ~1, fpc = rep(3078, 300), data = agsrs); svyratio(~acres92, ~acres87); predict(…, 964470625)"""
    truth = expected["agsrs"]
    frame = read("agsrs")
    frame = frame.assign(N=truth["N"], weight=truth["N"] / len(frame))
    design = SurveyDesign(population="N")
    assert_agrees(mean(frame, "acres92", design=design), truth["mean_acres92"])
    assert_agrees(total(frame, "acres92", design=design), truth["total_acres92"])
    found = ratio(frame, "acres92", "acres87", design=design)
    assert_agrees(found, truth["ratio_acres92_acres87"])
    known = 964470625
    scaled = found.assign(estimate=found["estimate"] * known, se=found["se"] * known)
    assert_agrees(scaled, truth["ratio_total_with_X_964470625"])


def test_whole_classes(read, expected) -> None:
    """svydesign(id = ~class[, fpc = ~N], data = algebra), N = 187 classes"""
    truth = expected["algebra"]
    frame = read("algebra").assign(N=truth["N_psu"], weight=truth["N_psu"] / truth["n_psu"])
    assert frame["class"].nunique() == truth["n_psu"]
    assert_agrees(mean(frame, "score", design=SurveyDesign(psu="class", population="N")), truth["mean_score_fpc"])
    assert_agrees(mean(frame, "score", design=SurveyDesign(psu="class")), truth["mean_score_no_fpc"])


def test_classes_drawn_by_size(read, expected) -> None:
    """svydesign(id = ~class, weights = ~finalweight, data = classpps)"""
    design, truth = SurveyDesign(psu="class", weight="finalweight"), expected["classpps"]
    assert_agrees(mean(read("classpps"), "hours", design=design), truth["mean_hours"])
    assert_agrees(total(read("classpps"), "hours", design=design), truth["total_hours"])


def test_eggs_of_clutches(read, expected) -> None:
    """svydesign(id = ~clutch, weights = ~I(csize / 2), data = coots)"""
    frame = read("coots")
    frame = frame.assign(weight=frame["csize"] / 2)
    assert_agrees(mean(frame, "volume", design=SurveyDesign(psu="clutch")), expected["coots"]["mean_volume"])


def test_pupils_of_schools(read, expected) -> None:
    """svydesign(id = ~schoolid, weights = ~finalwt, data = schools)"""
    design = SurveyDesign(psu="schoolid", weight="finalwt")
    assert_agrees(mean(read("schools"), "math", design=design), expected["schools"]["mean_math"])


def test_youth_in_custody(read, expected) -> None:
    """svydesign(id = ~psu, strata = ~stratum, weights = ~finalwt, nest = TRUE, data = syc); prviol: missing left out"""
    design, frame = SurveyDesign(stratum="stratum", psu="psu", weight="finalwt"), read("syc")
    assert_agrees(mean(frame, "age", design=design), expected["syc"]["mean_age"])
    assert_agrees(share(frame, "prviol", design=design), expected["syc"]["prop_prviol_1"])
