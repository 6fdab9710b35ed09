"""Claimed, counted, measured and felt, worked by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from sample_study import write_study

from analysis_lib.effects.four_series import compliance, four_series
from analysis_lib.effects.results import EffectResult, effects_table
from analysis_lib.errors import UsageError
from analysis_lib.reforms import Reform, read_reforms
from analysis_lib.study import Study

REFORM = """
[[reform]]
id = "fewer"
title_zh = "少开会"
title_en = "Fewer meetings"
groups = ["meeting"]
units = { P01 = "2026Q1", P02 = "2026Q2" }
caps = [{ measure = "meetings_attended", change = -0.3 }, { measure = "inspections_received", at_most = 2.0 }]
claims = [{ date = "2026-09-01", measure = "meetings_attended", change = -0.5, source = "a report" }]
"""
Z = 1.959963984540054


@pytest.fixture
def world(tmp_path: Path) -> tuple[Study, Reform]:
    study = write_study(tmp_path)
    (study.reference / "reforms.toml").write_text(REFORM, encoding="utf-8")
    return study, read_reforms(study)[0]


def means(measure: str, region: str, by_quarter: dict[str, float], se: float = 0.1) -> pd.DataFrame:
    row = {"measure": measure, "statistic": "mean", "unit": "count", "region": region, "by": "", "category": "",
           "se": se, "df": math.inf, "n": 200, "n_psu": 20}  # fmt: skip
    return pd.DataFrame([row | {"period": quarter, "estimate": mean} for quarter, mean in by_quarter.items()])


COUNTS = pd.concat(
    [
        # The third quarter has no like before the start within P01's baseline of 2025Q1 and 2025Q2: it does not count.
        means("meetings_attended", "P01", {"2025Q1": 10, "2025Q2": 10, "2026Q1": 6, "2026Q2": 6, "2026Q3": 60}),
        means("meetings_attended", "P02", {"2025Q2": 10, "2026Q1": 99, "2026Q2": 8}),
        means("inspections_received", "P01", {"2025Q1": 4, "2026Q1": 1}),
    ]
)
NONE = COUNTS.iloc[:0]


def result(estimator: str = "group_time") -> EffectResult:
    return EffectResult(
        reform="fewer", measure="gross", unit="hours_week", estimand="treated", estimator=estimator,
        comparison="not_yet", inference="cohort", treatment_date="local_start", period="2025Q1/2026Q3", estimate=-2.0,
        se=0.5, df=20, ci_low=-3.0, ci_high=-1.0, p_value=0.001, n_treated=2, n_comparison=4, n=900, n_psu=90,
    )  # fmt: skip


def by_category(frame: pd.DataFrame, region: str) -> pd.DataFrame:
    return frame[frame["region"] == region].set_index("category")


def test_the_four_stand_side_by_side(world: tuple[Study, Reform]) -> None:
    study, reform = world
    felt = pd.concat([means("felt_meeting", "P01", {"2025Q4": 2.0, "2026Q1": -0.5, "2026Q2": 0.1})])
    hours = means("gross", "P01", {"2025Q4": 99, "2026Q1": 18})
    counts = pd.concat([COUNTS, hours])
    rows = four_series(reform, study=study, counts=counts, effects=effects_table([result()]), felt=felt)
    told = by_category(rows, "all")
    assert told.at["fewer.claimed.meetings_attended", "estimate"] == -0.5
    assert math.isnan(told.at["fewer.claimed.meetings_attended", "ci_low"])
    assert told.at["fewer.counted.meetings_attended", "estimate"] == pytest.approx(7 / 10 - 1)
    assert told.at["fewer.measured.gross", "estimate"] == -2.0
    assert told.at["fewer.measured_relative.gross", "estimate"] == pytest.approx(-2 / 20)
    assert told.at["fewer.measured_relative.gross", "ci_low"] == pytest.approx(-3 / 21)
    assert told.at["fewer.felt.felt_meeting", "estimate"] == pytest.approx(-0.2)
    assert told.at["fewer.felt.felt_meeting", "ci_high"] == pytest.approx(-0.2 + Z * 0.1)
    assert by_category(rows, "P01").at["fewer.counted.meetings_attended", "estimate"] == pytest.approx(-0.4)


def test_two_effects_of_one_measure_are_refused(world: tuple[Study, Reform]) -> None:
    study, reform = world
    both = effects_table([result(), result("two_way")])
    with pytest.raises(UsageError, match="gross"):
        four_series(reform, study=study, counts=NONE, effects=both, felt=NONE)


def test_a_cap_is_met_missed_or_neither_by_its_interval(world: tuple[Study, Reform]) -> None:
    study, reform = world
    rows = compliance(reform, study=study, counts=COUNTS)
    first, second = by_category(rows, "P01"), by_category(rows, "P02")
    assert first.at["fewer.meetings_attended.reached", "outcome"] == "met"
    assert second.at["fewer.meetings_attended.reached", "outcome"] == "not_met"
    assert by_category(rows, "all").at["fewer.meetings_attended.reached", "outcome"] == "cannot_tell"
    assert first.at["fewer.meetings_attended.way", "estimate"] == pytest.approx(0.4 / 0.3)
    assert first.at["fewer.inspections_received.reached", "outcome"] == "met"
    assert first.at["fewer.inspections_received.reached", "unit"] == "count"
    assert first.at["fewer.inspections_received.way", "estimate"] == pytest.approx((1 - 4) / (2 - 4))


def test_the_interval_of_a_relative_change_is_on_the_logarithm(world: tuple[Study, Reform]) -> None:
    study, reform = world
    told = by_category(compliance(reform, study=study, counts=COUNTS), "P02").loc["fewer.meetings_attended.reached"]
    spread = math.hypot(0.1 / 8, 0.1 / 10)
    assert told["ci_low"] == pytest.approx(0.8 * math.exp(-Z * spread) - 1)
    assert told["ci_high"] == pytest.approx(0.8 * math.exp(Z * spread) - 1)


def test_nothing_stands_where_nothing_was_counted_before(world: tuple[Study, Reform]) -> None:
    study, reform = world
    assert compliance(reform, study=study, counts=means("meetings_attended", "P01", {"2026Q1": 5.0})).empty
