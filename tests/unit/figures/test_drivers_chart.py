"""Charts of marginal effects and of the parts of a difference."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from sample_study import REPOSITORY, write_study

from analysis_lib.disclosure.protect import protect
from analysis_lib.figures.drivers import draw_drivers, prepare_drivers, prepare_parts
from analysis_lib.survey.drivers import as_estimates


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = write_study(tmp_path_factory.mktemp("study") / "s")
    shutil.copy(REPOSITORY / "data" / "reference" / "drivers.toml", study.reference)
    return study


def protected(study, rows, statistic, n=100):
    frame = pd.DataFrame(rows, columns=["measure", "by", "category", "estimate"]).assign(
        statistic=statistic, unit="hours_week", region="all", period="2026Q3", se=0.25, df=20.0, deff=np.nan,
        n=n, n_psu=20, residual_df=80,
    )  # fmt: skip
    frame = frame.assign(ci_low=frame["estimate"] - 0.5, ci_high=frame["estimate"] + 0.5)
    return protect(as_estimates(frame), "drivers", study=study)


@pytest.fixture(scope="module")
def effects(study):
    rows = [
        ("recall_gross", "driver", "tier.village", 2.0),
        ("recall_gross", "driver", "tier.county", -1.0),
        ("recall_gross", "driver", "inspections", 0.6),
        ("gross", "driver", "inspections", 0.0),
    ]
    return protected(study, rows, "effect")


def test_terms_stand_in_the_order_of_the_plan_and_say_what_a_step_is(study, effects):
    frame = prepare_drivers(effects, study=study, language="en")
    assert frame["label"].tolist() == [
        "One more inspection a month",
        "County offices against Townships",
        "Villages against Townships",
        "One more inspection a month",
    ]
    assert frame["panel"].tolist() == ["Gross hours lost as recalled"] * 3 + ["Gross hours lost, diaries alone"]
    assert frame["text"].tolist() == ["+0.6", "−1.0", "+2.0", "0.0"]


def test_each_outcome_has_a_panel_and_what_may_be_zero_is_hollow(study, effects):
    figure = draw_drivers(prepare_drivers(effects, study=study, language="zh"))
    assert len(figure.axes) == 2
    fills = [[line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"] for axes in figure.axes]
    assert "white" not in fills[0]
    assert fills[1] == ["white"]


def test_parts_end_with_the_whole_and_a_withheld_one_shows_its_mark(study):
    rows = [
        ("gross", "", "", -2.0),
        ("gross", "composition", "meetings", -1.5),
        ("gross", "composition", "tier", 0.1),
        ("gross", "rate", "", -0.6),
        ("gross", "rate", "meetings", 3.0),
        ("gross", "unanswered", "", 0.0),
    ]
    n = [100, 100, 6, 100, 100, 100]
    frame = prepare_parts(protected(study, rows, "part", n), "gross", study=study, language="en")
    assert frame["label"].tolist() == [
        "Meetings",
        "Mix by tier",
        "Same circumstances, other hours",
        "Answers missing",
        "Whole difference",
    ]
    assert frame["is_total"].tolist() == [False] * 4 + [True]
    assert frame["text"].tolist()[1] == "[c]"
    assert len(draw_drivers(frame).axes) == 1
