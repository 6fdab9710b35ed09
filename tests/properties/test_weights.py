"""What must hold for calibrated and replicate weights, quantiles and linear models of any sample."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.survey.calibration import Calibration, calibrate, one_hot, rake
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import difference, mean, total
from analysis_lib.survey.quantiles import quantile
from analysis_lib.survey.regression import least_squares, linear_model, t_test
from analysis_lib.survey.replication import (
    balanced,
    bootstrap,
    estimate_replicated,
    hadamard,
    jackknife,
    replicate,
    successive_difference,
)

DESIGN = SurveyDesign(stratum="stratum", psu="psu", single_psu="certainty")
MANY = settings(max_examples=25, deadline=None)


@st.composite
def samples(draw: st.DrawFn, *, psus: int = 0) -> pd.DataFrame:
    """Strata of PSUs (all of ``psus``, or some) of people, in random order, with two categories and two numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = [psus or int(rng.integers(2, 6)) for _ in range(draw(st.integers(1, 6)))]
    units = [(stratum, psu) for stratum, size in enumerate(sizes) for psu in range(size)]
    people = pd.DataFrame(units, columns=["stratum", "psu"])
    people = people.loc[people.index.repeat(rng.integers(1, 4, len(people)))].reset_index(drop=True)
    people = pd.concat([people, people.iloc[:6]], ignore_index=True)  # never too few for the categories
    n = len(people)
    frame = people.assign(
        weight=rng.uniform(1, 20, n),
        y=rng.gamma(2, 3, n),
        x=rng.uniform(1, 9, n),
        tier=np.arange(n) % 3,
        sex=rng.permutation(np.arange(n) % 2),
        population=[sizes[stratum] + 3 for stratum in people["stratum"]],
    )
    return frame.sample(frac=1, random_state=rng).reset_index(drop=True)


def near_totals(frame: pd.DataFrame, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Two margins that some positive weights have, not far from those at hand."""
    weights = frame["weight"].to_numpy() * np.random.default_rng(seed).uniform(0.6, 1.6, len(frame))
    codes = [frame["tier"].to_numpy(), frame["sex"].to_numpy()]
    return codes, [np.bincount(code, weights) for code in codes]


@MANY
@given(frame=samples(), seed=st.integers(0, 2**32 - 1))
def test_raking_reaches_every_margin_and_keeps_weights_positive(frame: pd.DataFrame, seed: int) -> None:
    codes, totals = near_totals(frame, seed)
    found = rake(frame["weight"].to_numpy(), codes, totals, max_rounds=5000).weights
    for code, wanted in zip(codes, totals, strict=True):
        assert np.bincount(code, found) == pytest.approx(wanted, rel=1e-7)
    assert (found > 0).all()


@MANY
@given(frame=samples(), seed=st.integers(0, 2**32 - 1))
def test_raking_by_turns_and_by_newton_is_the_same(frame: pd.DataFrame, seed: int) -> None:
    codes, totals = near_totals(frame, seed)
    base = frame["weight"].to_numpy()
    auxiliaries = np.hstack([one_hot(c, len(t)).toarray() for c, t in zip(codes, totals, strict=True)])
    by_turns = rake(base, codes, totals, tolerance=1e-13, max_rounds=20000)
    newton = calibrate(base, auxiliaries, np.concatenate(totals), method="raking")
    assert newton.weights == pytest.approx(by_turns.weights, rel=1e-6)


@MANY
@given(frame=samples(), seed=st.integers(0, 2**32 - 1), method=st.sampled_from(["linear", "raking", "logit"]))
def test_calibration_reproduces_totals_of_which_no_error_is_left(frame: pd.DataFrame, seed: int, method) -> None:
    weights = frame["weight"].to_numpy()
    auxiliaries = np.column_stack([np.ones(len(frame)), frame["x"], frame["sex"]])
    near = weights * np.random.default_rng(seed).uniform(0.9, 1.1, len(frame))
    found = calibrate(weights, auxiliaries, auxiliaries.T @ near, method=method, bounds=(0.05, 8.0))
    assert auxiliaries.T @ found.weights == pytest.approx(auxiliaries.T @ near, rel=1e-8)
    known = total(frame, "x", design=DESIGN, calibration=found).iloc[0]
    assert known["estimate"] == pytest.approx(near @ frame["x"])
    assert known["se"] == pytest.approx(0, abs=1e-6 * known["estimate"])


@MANY
@given(frame=samples())
def test_domains_of_calibrated_weights_have_the_variance_of_their_residuals(frame: pd.DataFrame) -> None:
    """By hand: residuals of the whole sample, one domain after the other."""
    weights = frame["weight"].to_numpy()
    auxiliaries = np.column_stack([np.ones(len(frame)), frame["x"]])
    found = calibrate(weights, auxiliaries, auxiliaries.T @ weights * [1, 1.01], method="raking")
    rows = mean(frame, "y", design=DESIGN, by="tier", calibration=found).set_index("category")
    for tier in range(3):
        inside = (frame["tier"] == tier).to_numpy()
        w, y = found.weights, frame["y"].to_numpy()
        value = (w * y)[inside].sum() / w[inside].sum()
        score = inside * (y - value) / w[inside].sum()
        slope = np.linalg.solve(auxiliaries.T @ (weights[:, None] * auxiliaries), auxiliaries.T @ (weights * score))
        left = frame.assign(z=w * (score - auxiliaries @ slope))
        sums = left.groupby(["stratum", "psu"])["z"].sum()
        n = sums.groupby("stratum").transform("size")
        variance = (n / (n - 1) * (sums - sums.groupby("stratum").transform("mean")) ** 2).sum()
        assert rows.at[str(tier), "estimate"] == pytest.approx(value)
        assert rows.at[str(tier), "se"] ** 2 == pytest.approx(variance, rel=1e-7, abs=1e-12)


@MANY
@given(frame=samples())
def test_a_contrast_under_calibration_turns_around_with_its_sides(frame: pd.DataFrame) -> None:
    weights = frame["weight"].to_numpy()
    found = Calibration.of_weights(weights, weights, np.column_stack([np.ones(len(frame)), frame["x"]]))
    first = frame["tier"] == 0
    there = difference(frame, "y", design=DESIGN, earlier=first, later=~first, calibration=found).iloc[0]
    back = difference(frame, "y", design=DESIGN, earlier=~first, later=first, calibration=found).iloc[0]
    assert there[["estimate", "se"]].tolist() == pytest.approx([-back["estimate"], back["se"]])


# -- replicates ---------------------------------------------------------------------------------------


def se_of_total(frame: pd.DataFrame, weights) -> float:
    return float(estimate_replicated(frame, "y", weights=weights, statistic="total").at[0, "se"])


@MANY
@given(frame=samples(), has_counts=st.booleans())
def test_the_jackknife_of_a_total_is_its_linearised_error(frame: pd.DataFrame, has_counts: bool) -> None:
    design = SurveyDesign(stratum="stratum", psu="psu", population="population" if has_counts else "")
    linearised = total(frame, "y", design=design).at[0, "se"]
    for centre in ("estimate", "mean"):
        assert se_of_total(frame, jackknife(frame, design, centre=centre)) == pytest.approx(linearised)


@MANY
@given(frame=samples(psus=2), rho=st.sampled_from([0.0, 0.3, 0.5]))
def test_half_samples_of_a_total_give_its_linearised_error(frame: pd.DataFrame, rho: float) -> None:
    weights = balanced(frame, DESIGN, rho=rho)
    assert se_of_total(frame, weights) == pytest.approx(total(frame, "y", design=DESIGN).at[0, "se"])


@MANY
@given(frame=samples(), has_counts=st.booleans())
def test_successive_differences_of_a_total_are_those_of_its_neighbours(frame: pd.DataFrame, has_counts: bool) -> None:
    design = SurveyDesign(stratum="stratum", psu="psu", population="population" if has_counts else "")
    frame = frame.assign(z=frame["weight"] * frame["y"])
    expected = 0.0
    for _, rows in frame.groupby("stratum"):
        sums = rows.groupby("psu", sort=False)["z"].sum().to_numpy()  # in the order of the frame
        left = 1 - len(sums) / rows["population"].iloc[0] if has_counts else 1.0
        expected += left * 0.5 * ((sums - np.roll(sums, 1)) ** 2).sum()
    assert se_of_total(frame, successive_difference(frame, design)) ** 2 == pytest.approx(expected)


@settings(max_examples=5, deadline=None)
@given(frame=samples(), seed=st.integers(0, 2**32 - 1))
def test_the_bootstrap_of_a_total_comes_near_its_linearised_error(frame: pd.DataFrame, seed: int) -> None:
    design = SurveyDesign(stratum="stratum", psu="psu", population="population")
    found = se_of_total(frame, bootstrap(frame, design, replicates=4000, seed=seed))
    assert found == pytest.approx(total(frame, "y", design=design).at[0, "se"], rel=0.1)


@MANY
@given(frame=samples())
def test_replicates_that_are_calibrated_too_know_the_totals(frame: pd.DataFrame) -> None:
    frame = pd.concat([frame.assign(sex=0), frame.assign(sex=1)], ignore_index=True)  # both in every PSU
    codes = frame["sex"].to_numpy()
    wanted = np.bincount(codes, frame["weight"])
    weights = jackknife(frame, DESIGN).changed(lambda w: rake(w, [codes], [wanted]).weights)
    known = replicate(lambda w: np.bincount(codes, w), weights)
    assert known.estimate == pytest.approx(wanted)
    assert np.diagonal(known.covariance) == pytest.approx(0, abs=1e-12 * wanted.max() ** 2)


@pytest.mark.parametrize("at_least", range(1, 180))
def test_hadamard_matrices_are_orthogonal(at_least: int) -> None:
    matrix = hadamard(at_least)
    assert len(matrix) >= at_least
    assert (matrix @ matrix.T == len(matrix) * np.eye(len(matrix))).all()
    assert (matrix[0] == 1).all()
    assert (matrix[:, 0] == 1).all()


# -- quantiles and models -----------------------------------------------------------------------------


@MANY
@given(frame=samples(), probability=st.floats(0.05, 0.95), factor=st.floats(0.01, 100))
def test_quantiles_follow_a_change_of_unit_and_ignore_the_size_of_weights(frame, probability, factor) -> None:
    before = quantile(frame, "y", probability, design=DESIGN).iloc[0]
    after = quantile(
        frame.assign(y=3 * frame["y"] + 1, weight=factor * frame["weight"]), "y", probability, design=DESIGN
    ).iloc[0]
    assert after["estimate"] == pytest.approx(3 * before["estimate"] + 1)
    assert after["se"] == pytest.approx(3 * before["se"], nan_ok=True)


@MANY
@given(frame=samples(), probability=st.floats(0.05, 0.95))
def test_a_quantile_splits_the_weight_as_it_says(frame: pd.DataFrame, probability: float) -> None:
    for row in quantile(frame, "y", probability, design=DESIGN, by="tier").itertuples():
        people = frame[frame["tier"].astype(str) == row.category]
        whole = people["weight"].sum()
        assert people.loc[people["y"] <= row.estimate, "weight"].sum() >= probability * whole * (1 - 1e-9)
        assert people.loc[people["y"] < row.estimate, "weight"].sum() < probability * whole


@MANY
@given(frame=samples())
def test_least_squares_leaves_residuals_orthogonal_to_every_column(frame: pd.DataFrame) -> None:
    x = np.column_stack([np.ones(len(frame)), frame["x"], frame["x"] ** 2])
    w = frame["weight"].to_numpy()
    fit = least_squares(x, frame["y"].to_numpy(), w)
    assert x.T @ (w * fit.residuals) == pytest.approx(0, abs=1e-8 * np.abs(x).max())
    assert fit.inverse @ (x.T @ (w[:, None] * x)) == pytest.approx(np.eye(3), abs=1e-6)


@MANY
@given(frame=samples())
def test_a_model_of_the_mean_alone_is_the_mean(frame: pd.DataFrame) -> None:
    model, known = linear_model(frame, "y", [], design=DESIGN), mean(frame, "y", design=DESIGN).iloc[0]
    assert model.table.loc[0, ["estimate", "se", "ci_low"]].tolist() == pytest.approx(
        known[["estimate", "se", "ci_low"]].tolist()
    )
    assert model.df == known["df"]


@MANY
@given(frame=samples())
def test_a_t_test_of_two_groups_is_their_difference(frame: pd.DataFrame) -> None:
    is_second = frame["sex"] == 1
    known = difference(frame, "y", design=DESIGN, earlier=~is_second, later=is_second).iloc[0]
    if known["df"] > 1:
        found = t_test(frame.assign(sex=is_second), "y", "sex", design=DESIGN)
        assert found[["estimate", "se"]].tolist() == pytest.approx(known[["estimate", "se"]].tolist())
