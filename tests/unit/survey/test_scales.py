"""Scales: their items, reliability with intervals, and whether they measure the same thing in every group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import DesignError, UsageError
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.factor_model import Moments, fit_groups
from analysis_lib.survey.scales import (
    Scale,
    invariance,
    invariance_table,
    reliability,
    scale_score,
    scales_table,
    study_scales,
)
from tests.sample_study import write_study

TRIO = Scale("trio", ("a", "b", "c"))
PRESSURE = Scale("pressure", ("pressure_blame", "pressure_tolerance"), reverse=("pressure_tolerance",))
DESIGN = SurveyDesign(stratum="stratum", psu="psu")


def people(n: int = 900, loadings=(0.8, 0.7, 0.6), seed: int = 3, shift: dict | None = None) -> pd.DataFrame:
    """One factor, three items, half of the people in group g; ``shift`` moves intercepts (and ``*c`` loadings) there."""
    rng = np.random.default_rng(seed)
    factor, group = rng.standard_normal(n), np.arange(n) % 2
    frame = pd.DataFrame({"stratum": np.arange(n) % 3, "psu": np.arange(n) // 6, "weight": 1.0 + (np.arange(n) % 4)})
    for item, loading in zip("abc", loadings, strict=True):
        shifted = (shift or {}).get(item, 0.0) * group
        stretched = (shift or {}).get("*" + item, 0.0) * group
        frame[item] = 3 + shifted + (loading + stretched) * factor + 0.6 * rng.standard_normal(n)
    return frame.assign(group=np.where(group == 1, "g", "f"))


def numbers(frame: pd.DataFrame, scale: Scale = TRIO, **rest) -> pd.DataFrame:
    return reliability(frame, scale, design=DESIGN, **rest).set_index(["statistic", "item"])


def test_reversed_items_are_turned_and_a_score_needs_every_item() -> None:
    answers = pd.DataFrame({"pressure_blame": [5, 1, 3], "pressure_tolerance": [1, 5, np.nan]})
    assert scale_score(answers, PRESSURE).tolist()[:2] == [5.0, 1.0]
    assert np.isnan(scale_score(answers, PRESSURE)[2])
    turned = people().assign(b=lambda frame: 6 - frame["b"])
    expected, found = numbers(people()), numbers(turned, Scale("trio", TRIO.items, reverse=("b",)))
    pd.testing.assert_frame_equal(found, expected)


def test_alpha_and_item_rest_correlations_by_hand() -> None:
    frame, found = people(), numbers(people())
    covariance = np.cov(frame[["a", "b", "c"]].T, aweights=frame["weight"])
    assert found.loc[("alpha", ""), "estimate"] == pytest.approx(1.5 * (1 - np.trace(covariance) / covariance.sum()))
    rest = frame["b"] + frame["c"]
    both = np.cov(frame["a"], rest, aweights=frame["weight"])
    assert found.loc[("item_rest", "a"), "estimate"] == pytest.approx(both[0, 1] / np.sqrt(both[0, 0] * both[1, 1]))


def test_omega_is_the_single_factor_solved_by_hand_and_equals_alpha_for_equal_loadings() -> None:
    """Of three items λ₁² = s₁₂ s₁₃ / s₂₃."""
    frame = people()
    s = np.cov(frame[["a", "b", "c"]].T, aweights=frame["weight"], ddof=0)
    loading = np.sqrt([s[0, 1] * s[0, 2] / s[1, 2], s[0, 1] * s[1, 2] / s[0, 2], s[0, 2] * s[1, 2] / s[0, 1]])
    by_hand = loading.sum() ** 2 / s.sum()
    found = numbers(frame)
    assert found.loc[("omega", ""), "estimate"] == pytest.approx(by_hand, abs=1e-9)
    assert found.loc[("alpha", ""), "estimate"] < by_hand  # a lower bound
    s = 0.5 + 0.5 * np.eye(3)
    fit = fit_groups(Moments(np.zeros((1, 3)), s[None], np.array([100.0])), np.zeros(3, dtype=int))
    np.testing.assert_allclose(np.abs(fit.loadings), np.sqrt(0.5), atol=1e-9)


def test_a_weight_of_two_counts_as_two_people_and_units_not_people_make_the_error() -> None:
    frame = people()
    doubled = frame.loc[frame.index.repeat(frame["weight"].astype(int))].assign(weight=1.0)
    once, often = numbers(frame), numbers(doubled.reset_index(drop=True))
    for column in ("estimate", "se", "ci_low", "ci_high", "n_psu"):
        np.testing.assert_allclose(often[column], once[column], rtol=1e-9)


def test_errors_agree_with_leaving_out_one_unit_at_a_time() -> None:
    """The jackknife over PSUs within strata is another way to the same variance."""
    frame = people(180, seed=5)
    whole = numbers(frame)
    variance = np.zeros(len(whole))
    for _, members in frame.groupby("stratum"):
        psus = {(stratum, psu) for stratum, psu in zip(members["stratum"], members["psu"], strict=True)}
        n = len(psus)
        for stratum, psu in psus:
            out = (frame["stratum"] == stratum) & (frame["psu"] == psu)
            weight = np.where(
                out, 0.0, np.where(frame["stratum"] == stratum, frame["weight"] * n / (n - 1), frame["weight"])
            )
            variance += (
                (n - 1) / n * (numbers(frame.assign(weight=weight))["estimate"] - whole["estimate"]).to_numpy() ** 2
            )
    np.testing.assert_allclose(whole["se"], np.sqrt(variance), rtol=0.06)


def test_two_items_have_alpha_alone_and_a_domain_is_those_inside() -> None:
    two = numbers(people(), Scale("two", ("a", "b")))
    assert np.isnan(two.loc[("omega", ""), "estimate"])
    frame = people()
    inside = frame["group"] == "g"
    assert numbers(frame, where=inside)["n"].iloc[0] == 450
    apart = numbers(frame[inside].reset_index(drop=True))
    np.testing.assert_allclose(numbers(frame, where=inside)["estimate"], apart["estimate"])


def test_refusals() -> None:
    with pytest.raises(UsageError, match="'d'"):
        reliability(people(), Scale("s", ("a", "d")), design=DESIGN)
    with pytest.raises(UsageError, match="'c'"):
        reliability(people(), Scale("s", ("a", "b"), reverse=("c",)), design=DESIGN)
    with pytest.raises(DesignError, match="one answer"):
        reliability(people().assign(c=3.0), TRIO, design=DESIGN)
    with pytest.raises(DesignError, match="one group"):
        invariance(people().assign(group="f"), [TRIO], "group", design=DESIGN)
    with pytest.raises(DesignError, match="too few items"):
        invariance(people(), [Scale("two", ("a", "b"))], "group", design=DESIGN)


@pytest.mark.parametrize(
    ("shift", "differs", "outcomes"),
    [
        ({}, (), ["holds", "holds", "holds"]),
        ({"a": 0.48, "b": 0.42, "c": 0.36}, (), ["holds", "holds", "holds"]),  # the thing itself, not an item
        ({"b": 0.6}, (("scalar", "b"),), ["holds", "holds", "fails"]),
        ({"*c": 0.6}, (("metric", "c"),), ["holds", "fails", "holds"]),
    ],
)
def test_the_item_that_does_not_mean_the_same_is_named(shift, differs, outcomes) -> None:
    found = invariance(people(4000, shift=shift), [TRIO], "group", design=DESIGN)
    assert found.differs == differs
    assert found.is_partial
    assert found.steps["outcome"].tolist() == outcomes
    assert (found.groups, found.n) == (("f", "g"), 4000)


def test_clusters_enlarge_the_statistic_and_scaling_takes_it_back() -> None:
    """Every person entered six times over, in one unit: the same information, six times the people."""
    once = people(600).assign(psu=np.arange(600), stratum=0)
    copies = once.loc[once.index.repeat(6)].reset_index(drop=True)
    few = invariance(once, [TRIO], "group", design=DESIGN).steps
    many = invariance(copies, [TRIO], "group", design=DESIGN).steps
    np.testing.assert_allclose(many["chi_square"][1:], few["chi_square"][1:], rtol=1e-6)
    np.testing.assert_allclose(many["scaling"][1:], 6 * few["scaling"][1:], rtol=1e-6)


def test_a_studys_tables_keep_the_contract(tmp_path) -> None:
    study, rng, n = write_study(tmp_path), np.random.default_rng(2), 400
    red_tape = study_scales(study)[0]
    base = pd.DataFrame({"respondent_id": [f"p{i}" for i in range(n)], "quarter": "2025Q4"})
    officials = base.assign(stratum="s", psu=np.arange(n) // 5, weight=1.0, tier=np.where(np.arange(n) % 2, "x", "y"))
    factor = rng.standard_normal(n)
    answers = base.assign(
        **{item: np.round(3 + factor + 0.8 * rng.standard_normal(n)).clip(1, 5) for item in red_tape.items},
        pressure_blame=np.nan,
    )
    periods = {"2025Q4": ["2025Q4"], "2024Q4": ["2024Q4"]}
    table, impossible = scales_table(officials, answers, study=study, periods=periods)
    assert impossible["red_tape.2024Q4"] == "nobody answered all of its items"
    assert "red_tape.2025Q4" not in impossible
    assert table["measure"].tolist() == ["red_tape_alpha", "red_tape_omega", *["red_tape_item_rest"] * 3]
    assert table["category"].tolist()[2:] == list(red_tape.items)
    assert table.loc[0, "ci_low"] < table.loc[0, "estimate"] < table.loc[0, "ci_high"]
    tried, why = invariance_table(officials, answers, study=study, groups=["tier", "quarter"], period="2025Q4",
                             scales=[red_tape])  # fmt: skip
    outcomes = tried.set_index("category")["outcome"]
    assert outcomes["quarter.configural"] == "cannot_tell"
    assert list(why) == ["red_tape.quarter"]
    assert "one group is nothing to compare" in why["red_tape.quarter"]
    assert outcomes[["tier.configural", "tier.metric"]].tolist() == ["holds", "holds"]
    assert (tried.loc[tried["category"].str.startswith("tier"), "n"] == n).all()
