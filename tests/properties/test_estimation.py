"""What must hold for estimates from any sample."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import difference, mean, ratio, total

DESIGN = SurveyDesign(stratum="stratum", psu="psu", weight="weight", single_psu="certainty")
MANY = settings(max_examples=60, deadline=None)


@st.composite
def samples(draw: st.DrawFn) -> pd.DataFrame:
    """Some strata of some PSUs of some people, a category and a gap here and there."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(8, 60))
    frame = pd.DataFrame(
        {
            "stratum": rng.integers(0, draw(st.integers(1, 4)), n),
            "psu": rng.integers(0, draw(st.integers(2, 6)), n),
            "weight": rng.uniform(0.5, 20, n),
            "y": rng.gamma(2, 3, n),
            "x": rng.uniform(1, 9, n),
            "tier": rng.choice(["a", "b", "c"], n),
        }
    )
    frame.loc[rng.random(n) < draw(st.sampled_from([0.0, 0.2])), "y"] = np.nan
    frame.loc[0, ["y", "tier"]] = [5.0, "a"]  # never nobody
    return frame


def by_hand(frame: pd.DataFrame, where: np.ndarray, of: str) -> tuple[float, float]:
    """Estimate and variance of a total or a mean, written as the textbook writes them, one PSU at a time."""
    inside = where & frame["y"].notna().to_numpy()
    w, y = frame["weight"].to_numpy() * inside, frame["y"].fillna(0).to_numpy()
    value = (w * y).sum() if of == "total" else (w * y).sum() / w.sum()
    score = w * y if of == "total" else w * (y - value) / w.sum()
    variance = 0.0
    for _, stratum in frame.assign(score=score).groupby("stratum"):
        sums = stratum.groupby("psu")["score"].sum()
        if len(sums) > 1:
            variance += len(sums) / (len(sums) - 1) * ((sums - sums.mean()) ** 2).sum()
    return value, variance


@MANY
@given(frame=samples())
def test_every_domain_of_a_partition_is_what_the_textbook_gives_for_it_alone(frame: pd.DataFrame) -> None:
    for of, function in (("mean", mean), ("total", total)):
        found = function(frame, "y", design=DESIGN, by="tier")
        for row in found[found["n"] > 0].itertuples():
            value, variance = by_hand(frame, (frame["tier"] == row.category).to_numpy(), of)
            assert row.estimate == pytest.approx(value)
            assert row.se**2 == pytest.approx(variance, rel=1e-9, abs=1e-12)


@MANY
@given(frame=samples(), factor=st.floats(0.01, 100))
def test_scaling_all_weights_leaves_the_mean_alone_and_scales_the_total(frame: pd.DataFrame, factor: float) -> None:
    scaled = frame.assign(weight=frame["weight"] * factor)
    before, after = mean(frame, "y", design=DESIGN).iloc[0], mean(scaled, "y", design=DESIGN).iloc[0]
    assert after[["estimate", "se", "df"]].tolist() == pytest.approx(before[["estimate", "se", "df"]].tolist())
    before, after = total(frame, "y", design=DESIGN).iloc[0], total(scaled, "y", design=DESIGN).iloc[0]
    assert after[["estimate", "se"]].tolist() == pytest.approx([factor * before["estimate"], factor * before["se"]])


@MANY
@given(frame=samples(), shift=st.floats(-50, 50), slope=st.floats(-3, 3))
def test_the_mean_follows_a_change_of_unit(frame: pd.DataFrame, shift: float, slope: float) -> None:
    before = mean(frame, "y", design=DESIGN).iloc[0]
    after = mean(frame.assign(y=shift + slope * frame["y"]), "y", design=DESIGN).iloc[0]
    assert after["estimate"] == pytest.approx(shift + slope * before["estimate"], rel=1e-9, abs=1e-9)
    assert after["se"] == pytest.approx(abs(slope) * before["se"], rel=1e-6, abs=1e-9)


@MANY
@given(frame=samples(), seed=st.integers(0, 2**32 - 1))
def test_order_of_rows_and_names_of_units_do_not_matter(frame: pd.DataFrame, seed: int) -> None:
    renamed = frame.assign(
        psu=frame["stratum"].astype(str) + "/" + frame["psu"].astype(str), stratum="s" + frame["stratum"].astype(str)
    ).sample(frac=1, random_state=np.random.default_rng(seed))
    pd.testing.assert_frame_equal(
        ratio(renamed, "y", "x", design=DESIGN, by="tier"), ratio(frame, "y", "x", design=DESIGN, by="tier")
    )


@MANY
@given(frame=samples())
def test_totals_of_the_categories_add_up(frame: pd.DataFrame) -> None:
    parts, whole = total(frame, "y", design=DESIGN, by="tier"), total(frame, "y", design=DESIGN)
    assert parts["estimate"].sum() == pytest.approx(whole.at[0, "estimate"])
    assert parts["n"].sum() == whole.at[0, "n"]


@MANY
@given(frame=samples())
def test_a_difference_turned_around_changes_its_sign_only(frame: pd.DataFrame) -> None:
    is_first = frame["tier"] == "a"
    there = difference(frame, "y", design=DESIGN, earlier=is_first, later=~is_first).iloc[0]
    back = difference(frame, "y", design=DESIGN, earlier=~is_first, later=is_first).iloc[0]
    assert there["estimate"] == pytest.approx(-back["estimate"], nan_ok=True)
    assert there[["se", "df", "n"]].tolist() == pytest.approx(back[["se", "df", "n"]].tolist(), nan_ok=True)


@MANY
@given(frame=samples())
def test_a_ratio_of_a_thing_to_itself_is_certainly_one(frame: pd.DataFrame) -> None:
    found = ratio(frame, "y", "y", design=DESIGN).iloc[0]
    assert (found["estimate"], found["se"]) == (pytest.approx(1), pytest.approx(0, abs=1e-12))
