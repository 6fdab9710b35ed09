"""What protection must do to any table."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_study import write_study

from analysis_lib.disclosure.protect import protect

NUMBERS = ["value", "ci_low", "ci_high"]


@functools.cache
def study():
    return write_study(Path(tempfile.mkdtemp()) / "s")


@st.composite
def cells(draw):
    statistic, unit = draw(
        st.sampled_from([("mean", "hours_week"), ("share", "share"), ("total", "fte"), ("count", "count")])
    )
    # A measure of nobody is absent altogether (a unit test of its own), so somebody answers here.
    top = {"hours_week": 100.0, "share": 1.0, "fte": 1e7, "count": 1e5}[unit]
    low, estimate, high = sorted(draw(st.lists(st.floats(0, top), min_size=3, max_size=3)))
    return {
        "measure": f"m{draw(st.integers(0, 10**9))}", "statistic": statistic, "unit": unit, "region": "all",
        "by": "", "category": "", "period": draw(st.sampled_from(["2026Q3", "2025Q3→2026Q3"])), "estimate": estimate,
        "se": draw(st.floats(0, top)), "ci_low": low, "ci_high": high, "df": 9.0, "deff": 1.0,
        "n": draw(st.integers(1, 2000)), "n_psu": draw(st.integers(0, 60)),
    }  # fmt: skip


frames = st.lists(cells(), min_size=1, max_size=8, unique_by=lambda cell: (cell["measure"], cell["period"])).map(
    pd.DataFrame
)


@settings(deadline=None, max_examples=60)  # machines are busy; the property is not about time
@given(frames)
def test_protecting_rounded_values_again_changes_nothing(estimates):
    once = protect(estimates, "t", study=study()).table
    shown = once["value"].notna().to_numpy()
    again = estimates.loc[shown].reset_index(drop=True)
    again[["estimate", "ci_low", "ci_high"]] = once.loc[shown, NUMBERS].to_numpy()
    again["se"] = 0.0  # the marks are not under test, and a share may round across the limit of C03
    twice = protect(again, "t", study=study()).table
    both = twice["value"].notna().to_numpy()
    np.testing.assert_array_equal(once.loc[shown, NUMBERS].to_numpy()[both], twice.loc[both, NUMBERS].to_numpy())


@settings(deadline=None, max_examples=60)  # machines are busy; the property is not about time
@given(frames)
def test_the_published_interval_holds_the_interval_and_the_published_value(estimates):
    table = protect(estimates, "t", study=study()).table
    shown = table["value"].notna() & (table["statistic"] != "count")
    assert (table.loc[shown, "ci_low"] <= estimates.loc[shown, "ci_low"] * (1 + 1e-8) + 1e-8).all()
    assert (table.loc[shown, "ci_high"] >= estimates.loc[shown, "ci_high"] * (1 - 1e-8) - 1e-8).all()
    assert table.loc[shown, "value"].between(table.loc[shown, "ci_low"], table.loc[shown, "ci_high"]).all()


@settings(deadline=None, max_examples=60)  # machines are busy; the property is not about time
@given(frames)
def test_nothing_small_leaves_the_building(estimates):
    table = protect(estimates, "t", study=study()).table
    small = (estimates["n"] < 10) & (estimates["statistic"] != "count")
    assert (table.loc[small, "mark"] == "c").all()
    assert (table["n"].dropna() % 5 == 0).all()
    assert table.loc[table["mark"].isin(["c", "x"]), NUMBERS].isna().all(axis=None)
