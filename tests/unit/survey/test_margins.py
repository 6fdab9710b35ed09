"""Trimming by a stated rule, and calibration to margins that differ by quarter."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_study import STUDY_TOML, write_study
from small_tables import respondents

from analysis_lib.errors import DesignError, InputRejected, UsageError
from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate
from analysis_lib.survey.weighting import calibrate_to_margins, final_weights, trim, trim_weights

NOBODY = pd.DataFrame({"respondent_id": pd.Series(dtype=str)})
TIERS = {"2026Q1": {"village": 60, "county": 40}, "2026Q2": {"village": 70, "county": 50}}
AGES = {"2026Q1": {"young": 30, "old": 70}, "2026Q2": {"young": 20, "old": 100}}


def study_with(folder: Path, margins: str = "", design: str = "") -> Study:
    study = write_study(folder, study_toml=STUDY_TOML + ("[design]\n" + design if design else ""))
    if margins:
        (folder / "reference" / "margins.csv").write_text(margins, encoding="utf-8")
    return study


def margins_csv(**columns: dict[str, dict[str, float]]) -> str:
    lines = [
        f"{quarter},{column},{category},{total}"
        for column, quarters in columns.items()
        for quarter, totals in quarters.items()
        for category, total in totals.items()
    ]
    return "\n".join(["quarter,column,category,total", *lines]) + "\n"


def officials() -> pd.DataFrame:
    """Eight people in each of two quarters, half of them with a diary."""
    frames = []
    for quarter in TIERS:
        people = respondents(*(f"{quarter}-{number}" for number in range(8)), quarter=quarter)
        frames.append(
            people.assign(
                tier=["village", "county"] * 4,
                age_group=["young", "young", "old", "old"] * 2,
                weight=[3.0, 6, 9, 12, 15, 18, 21, 24],
                has_diary=[True] * 4 + [False] * 4,
                diary_weight=[20.0, 20, 30, 30] + [np.nan] * 4,
                gross=[10.0, 20, 12, 25, 9, 30, 11, 16],
            )
        )
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("method", ["raking", "logit", "linear"])
def test_every_margin_of_every_quarter_is_reached_by_both_weights(tmp_path: Path, method: str) -> None:
    design = f'calibration = "{method}"\ncalibration_bounds = [0.05, 40]\n'
    study = study_with(tmp_path, margins_csv(tier=TIERS, age_group=AGES), design)
    found = calibrate_to_margins(officials(), study=study)
    for name in ("weight", "diary_weight"):
        for column, truth in (("tier", TIERS), ("age_group", AGES)):
            sums = found.groupby(["quarter", column])[name].sum()
            for quarter, totals in truth.items():
                assert sums[quarter].to_dict() == pytest.approx(totals, rel=1e-8)
    assert found["weight_before_margins"].tolist() == officials()["weight"].tolist()
    assert found["diary_weight"].isna().tolist() == officials()["diary_weight"].isna().tolist()


def test_without_a_file_nothing_happens(tmp_path: Path) -> None:
    frame = officials()
    found, problems = final_weights(frame, NOBODY, study=study_with(tmp_path))
    pd.testing.assert_frame_equal(found, frame)
    assert problems.empty


def test_knowing_the_margins_makes_what_they_explain_certain(tmp_path: Path) -> None:
    """Hours that depend on the tier alone have no error left; without margins they have."""
    frame = officials().assign(gross=officials()["tier"].map({"village": 10.0, "county": 20.0}))
    known = study_with(tmp_path / "known", margins_csv(tier=TIERS))
    asked = {"periods": {"a": ["2026Q1"]}, "regions": ["all"], "keys": ["gross"]}
    calibrated = estimate(calibrate_to_margins(frame, study=known), study=known, **asked).iloc[0]
    plain = estimate(frame, study=study_with(tmp_path / "plain"), **asked).iloc[0]
    assert calibrated["estimate"] == pytest.approx(0.6 * 10 + 0.4 * 20)  # by weight of the population's tiers
    assert calibrated["se"] == pytest.approx(0, abs=1e-9)
    assert plain["se"] > 1


@pytest.mark.parametrize(
    ("margins", "error", "message"),
    [
        (margins_csv(tier={"2026Q1": TIERS["2026Q1"]}), InputRejected, "no totals for 2026Q2"),
        (margins_csv(teir=TIERS), InputRejected, "'teir' is no column"),
        (margins_csv(tier={quarter: {"village": 100} for quarter in TIERS}), DesignError, "category without a total"),
        (
            margins_csv(tier={quarter: {**totals, "city": 5} for quarter, totals in TIERS.items()}),
            DesignError,
            "cannot be reached",
        ),
        (margins_csv(tier=TIERS, age_group={**AGES, "2026Q1": {"young": 1, "old": 1}}), InputRejected, "add up"),
        (margins_csv(tier={"2026Q1": {"village": "many", "county": 3}}), InputRejected, "not a number"),
    ],
)
def test_margins_that_do_not_fit_are_refused_in_words(
    tmp_path: Path, margins: str, error: type[Exception], message: str
) -> None:
    study = study_with(tmp_path, margins)
    with pytest.raises(error, match=message):
        calibrate_to_margins(officials(), study=study)


def test_linear_calibration_says_so_when_a_weight_would_turn_negative(tmp_path: Path) -> None:
    extreme = {quarter: {"village": 99, "county": 1} for quarter in TIERS}
    ages = {quarter: {"young": 99, "old": 1} for quarter in TIERS}
    study = study_with(tmp_path, margins_csv(tier=extreme, age_group=ages), 'calibration = "linear"\n')
    with pytest.raises(DesignError, match="zero or negative"):
        calibrate_to_margins(officials(), study=study)


def test_trimming_keeps_the_sum_and_the_cap() -> None:
    weights = np.array([1.0, 1, 1, 1, 2, 2, 8])
    found = trim(weights, 3)
    assert found.cap == 3
    assert found.weights.max() == 3
    assert found.weights.sum() == pytest.approx(weights.sum())
    assert (found.n, found.moved) == (1, pytest.approx(5 / 16))


def test_a_weight_lifted_above_the_cap_is_cut_in_turn() -> None:
    found = trim(np.array([1.0, 1, 1, 1, 1, 1.9, 5, 0]), 2)
    assert found.weights.max() == pytest.approx(2)
    assert found.weights[5] == 2  # 1.9 would have risen to 2.5
    assert found.weights.sum() == pytest.approx(11.9)
    assert found.weights[7] == 0


def test_a_cap_that_cannot_hold_all_weight_is_refused() -> None:
    with pytest.raises(DesignError, match="below the mean weight"):
        trim(np.array([1.0, 1, 1, 100]), 2)


def test_trimming_prints_its_rule(tmp_path: Path) -> None:
    study = study_with(tmp_path, design="trim_weights_above = 1.5\n")
    found, problems = final_weights(officials(), NOBODY, study=study)
    assert found["weight"].max() == pytest.approx(20.25)
    assert found.groupby("quarter")["weight"].sum().tolist() == pytest.approx([108, 108])
    row = problems.set_index(["quarter", "column"]).loc[("2026Q1", "weight")]
    assert row["rule"] == "trimmed_weights"
    assert row["message"].startswith(
        "weights above 1.5 times the median were cut to 20.25: 2 of 8; 4.17% of all weight"
    )


def test_weights_are_left_alone_where_no_trimming_is_asked_for(tmp_path: Path) -> None:
    frame, rules = trim_weights(officials(), study=study_with(tmp_path))
    pd.testing.assert_frame_equal(frame, officials())
    assert not rules


def test_a_cap_below_the_median_is_no_cap(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="above their median"):
        study_with(tmp_path, design="trim_weights_above = 0.5\n")
