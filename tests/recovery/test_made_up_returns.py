"""Made-up returns planted in a simulated quarter are found, and honest ones are left in peace."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.certify import list_experiment, quality

ALLOWED = 0.001  # false alarms asked for
STRONG = {
    "dictated": "colleague_duplicate",
    "fabricated_unit": "alike_unit",
    "copied": "near_duplicate",
    "straight_lined": "variability",
    "random_scales": "distance",
    "copied_diary": "diary_copied",
}
AT_LEAST = {"random_scales": 0.2, "fabricated_unit": 0.7}  # one answer at random is like many honest ones


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return quality.planted(11, share=0.04)


@pytest.mark.parametrize("kind", STRONG)
def test_what_was_planted_is_found(found, kind):
    p = found.loc[found["kind"] == kind, STRONG[kind]].dropna()
    assert len(p) >= 3
    assert (p <= ALLOWED).mean() >= AT_LEAST.get(kind, 0.8)


@pytest.mark.parametrize(
    "sign", ["longstring", "variability", "distance", "near_duplicate", "colleague_duplicate", "diary_identical"]
)
def test_honest_returns_are_flagged_hardly_more_often_than_was_asked_for(found, sign):
    p = found.loc[found["kind"] == "honest", sign].dropna()
    assert (p <= ALLOWED).sum() <= 5  # about one is asked for among some thousand


def test_intervals_of_the_list_experiment_hold_the_truth_and_combining_pays():
    table = list_experiment.certify(repetitions=150).set_index("what")
    shares = table.loc[[f"list experiment, as assumed: {name}" for name in ("listed", "combined", "hidden")]]
    assert (shares["coverage"] >= 0.90).all()
    assert (shares["bias"].abs() < 4 * shares["spread"] / np.sqrt(150)).all()
    assert shares["spread"].iloc[1] < 0.95 * shares["spread"].iloc[0]
    noticed = table["rejected_at_5_percent"]
    assert noticed["list experiment, as assumed: placebo_admitting"] < 0.12
    assert noticed["list experiment, false confessions: placebo_admitting"] > 0.12


def test_the_certificate_of_quality_is_a_table_of_shares(monkeypatch, found):
    monkeypatch.setattr(quality, "planted", lambda seed: found)
    table = quality.certify(quarters=1, rates=(0.001,))
    assert {"what", "n", "repetitions", "seed", "found", "false_alarms"} <= set(table.columns)
    assert table["found"].between(0, 1).all()
    assert json.loads(table.to_json(orient="records"))
