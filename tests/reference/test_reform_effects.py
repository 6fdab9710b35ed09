"""Published effects of reforms: R `did`, `fixest` and `bacondecomp`, and the papers behind them, to their printed digits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from analysis_lib.effects.difference_in_differences import (
    by_event_time,
    by_period,
    by_start,
    group_time,
    imputation,
    overall,
)
from analysis_lib.effects.inference import estimate_contrasts
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.randomisation import randomise
from analysis_lib.effects.two_way import decompose_two_way, two_way
from analysis_lib.effects.verdicts import words

pytestmark = pytest.mark.real_data

EIGHT_DECIMALS = 1e-8
DID = {  # att_gt(..., base_period = "varying"), with these control groups
    "mpdta_min_wage": ("mpdta.csv", "countyreal", "lemp", "first.treat", "never"),
    "ehec_medicaid": ("ehec_data.csv", "stfips", "dins", "yexp2", "not_yet"),
}


@pytest.fixture(params=list(DID))
def published(request: pytest.FixtureRequest, shared_data: Callable[[str], Path]) -> tuple[Panel, dict, str]:
    file, region, value, start, comparison = DID[request.param]
    folder = shared_data(request.param)
    panel = Panel.of(pd.read_csv(folder / file), region=region, period="year", value=value, start=start)
    return panel, json.loads((folder / "expected.json").read_text()), comparison


def test_group_time_effects_and_every_average(published: tuple[Panel, dict, str]) -> None:
    panel, truth, comparison = published
    effects = group_time(panel, comparison=comparison, base="varying")
    cells = [(row["g"], row["t"]) for row in truth["att_gt"]]
    years = [int(year) for year in panel.periods]
    found = effects.index[["start", "period"]].to_numpy(int).tolist()
    assert [(years[start], years[period]) for start, period in found] == cells
    averages = {
        "att_gt": (effects, truth["att_gt"]),
        "dynamic": (by_event_time(effects, panel), truth["dynamic"]["by"].values()),
        "group": (by_start(effects, panel), truth["group"]["by"].values()),
        "calendar": (by_period(effects, panel), truth["calendar"]["by"].values()),
        "simple": (overall(effects, panel), [truth["simple"]]),
        "overall dynamic": (overall(effects, panel, "event_time"), [truth["dynamic"]["overall"]]),
        "overall group": (overall(effects, panel, "group"), [truth["group"]["overall"]]),
        "overall calendar": (overall(effects, panel, "calendar"), [truth["calendar"]["overall"]]),
    }
    for contrasts, rows in averages.values():
        found = estimate_contrasts(contrasts, panel, inference="influence").frame
        assert found["estimate"].tolist() == pytest.approx([row["att"] for row in rows], abs=EIGHT_DECIMALS)
        assert found["se"].tolist() == pytest.approx([row["se"] for row in rows], abs=EIGHT_DECIMALS)


def two_way_row(panel: Panel, treatment: np.ndarray | None = None) -> pd.Series:
    return estimate_contrasts(two_way(panel, treatment=treatment), panel, inference="cluster").frame.iloc[0]


def by_kind(panel: Panel) -> pd.DataFrame:
    parts = decompose_two_way(panel)
    parts["sum"] = parts["weight"] * parts["estimate"]
    found = parts.groupby("comparison")[["weight", "sum"]].sum()
    assert found["sum"].sum() == pytest.approx(float((two_way(panel).weights[0] * panel.values).sum()), abs=1e-10)
    return found.assign(estimate=found["sum"] / found["weight"]).loc[
        ["earlier_later", "later_earlier", "treated_untreated"]
    ]


def test_two_way_and_its_decomposition(published: tuple[Panel, dict, str]) -> None:
    panel, truth, _ = published
    if "twfe_static" not in truth:  # statistics.md: pyfixest on mpdta
        truth = {"twfe_static": {"estimate": -0.0365489, "se_published": 0.0132652}}
    found = two_way_row(panel)
    assert found["estimate"] == pytest.approx(truth["twfe_static"]["estimate"], abs=1e-7)
    assert found["se"] == pytest.approx(truth["twfe_static"]["se_published"], abs=6e-7)
    if "bacon" in truth:
        rows = pd.DataFrame(truth["bacon"]).T
        np.testing.assert_allclose(by_kind(panel)[["weight", "estimate"]], rows[["weight", "estimate"]], atol=6e-6)


def test_imputation_is_what_a_regression_on_untreated_observations_leaves(shared_data: Callable[[str], Path]) -> None:
    frame = pd.read_csv(shared_data("ehec_medicaid") / "ehec_data.csv")
    frame["size"] = frame.groupby("stfips")["W"].transform("mean")
    is_treated = frame["year"] >= frame["yexp2"]  # a blank is never
    untreated = frame[~is_treated]
    fit = smf.wls("dins ~ C(stfips) + C(year)", untreated, weights=untreated["size"]).fit()
    gap = frame.assign(gap=frame["dins"] - fit.predict(frame), since=frame["year"] - frame["yexp2"])[is_treated]

    panel = Panel.of(frame, region="stfips", period="year", value="dins", start="yexp2", weight="size")
    effects = imputation(panel)
    years = np.array(panel.periods, dtype=int)
    for contrasts, keys in ((effects, ["yexp2", "year"]), (by_event_time(effects, panel), ["since"])):
        found = estimate_contrasts(contrasts, panel).frame
        truth = gap.groupby(keys)[["gap", "size"]].apply(lambda rows: np.average(rows["gap"], weights=rows["size"]))
        if len(keys) == 2:
            assert list(zip(years[found["start"]], years[found["period"]], strict=True)) == list(truth.index)
        assert found["estimate"].tolist() == pytest.approx(truth.tolist(), abs=1e-10)
    found = estimate_contrasts(overall(effects, panel), panel).frame["estimate"].iloc[0]
    assert found == pytest.approx(np.average(gap["gap"], weights=gap["size"]), abs=1e-10)


def test_castle_doctrine(shared_data: Callable[[str], Path]) -> None:
    frame = pd.read_csv(shared_data("castle_doctrine") / "castle.csv")
    first = frame[frame["post"] == 1].groupby("state")["year"].min()
    frame["start"] = frame["state"].map(first)
    panel = Panel.of(frame, region="state", period="year", value="l_homicide", start="start")
    assert two_way_row(panel)["estimate"] == pytest.approx(0.0818, abs=5e-5)
    found = by_kind(panel)
    assert found["weight"].tolist() == pytest.approx([0.05976, 0.03190, 0.90834], abs=6e-6)
    assert found["estimate"].tolist() == pytest.approx([-0.00554, 0.07032, 0.08796], abs=6e-6)
    weighted = Panel.of(frame, region="state", period="year", value="l_homicide", start="start", weight="popwt")
    share = frame.pivot(index="state", columns="year", values="cdl").to_numpy()
    found = two_way_row(weighted, share)
    assert [found["estimate"], found["se"]] == pytest.approx([0.0801, 0.0342], abs=6e-5)


def test_castle_doctrine_with_years_of_each_part_of_the_country(shared_data: Callable[[str], Path]) -> None:
    """Cheng and Hoekstra (2013), second column; errors by statsmodels, which also counts the states."""
    frame = pd.read_csv(shared_data("castle_doctrine") / "castle.csv").assign(start=0).sort_values(["state", "year"])
    wide = {name: frame.pivot(index="state", columns="year", values=name) for name in ("cdl", "region")}
    part, years = wide["region"].to_numpy(), wide["region"].columns
    of_part = {f"{name} {year}": (part == name) & (years == year) for name in np.unique(part)[1:] for year in years[1:]}
    panel = Panel.of(frame, region="state", period="year", value="l_homicide", start="start", weight="popwt")
    found = two_way_row(
        replace(panel, exposures={name: cells.astype(float) for name, cells in of_part.items()}), wide["cdl"].to_numpy()
    )
    assert found["estimate"] == pytest.approx(0.0946, abs=5e-5)

    others = {f"other{place}": cells.ravel().astype(float) for place, cells in enumerate(of_part.values())}
    formula = f"l_homicide ~ cdl + C(state) + C(year) + {' + '.join(others)}"
    model = smf.wls(formula, frame.assign(**others), weights=frame["popwt"])
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": pd.factorize(frame["state"])[0]})
    assert found["estimate"] == pytest.approx(fit.params["cdl"], abs=1e-9)
    assert found["se"] == pytest.approx(fit.bse["cdl"] * np.sqrt(fit.df_resid / (fit.df_resid + 49)), abs=1e-7)


@pytest.mark.parametrize(
    ("state", "n", "effect", "se", "word"),
    [("ky", 5626, 0.191, 0.069, "added_hours"), ("mi", 1524, 0.192, 0.154, "cannot_tell")],
)
def test_higher_benefits_and_time_off_work(
    state: str, n: int, effect: float, se: float, word: str, shared_data: Callable[[str], Path]
) -> None:
    """Repeated cross-sections of two groups (Wooldridge, example 13.4): all error is that of asking a sample.

    Both states have the same effect, and only one tells it from none: of the other nothing may be said, not "no change".
    """
    frame = pd.read_csv(shared_data("injury_benefit_reform") / "injury.csv.gz")
    frame = frame[(frame[state] == 1) & frame["ldurat"].notna()]
    cells = frame.groupby(["highearn", "afchnge"])["ldurat"].agg(["mean", "var", "count"])
    pooled = (cells["var"] * (cells["count"] - 1)).sum() / (cells["count"] - 1).sum()  # errors of least squares
    means, variances = cells["mean"].to_numpy().reshape(2, 2), (pooled / cells["count"]).to_numpy().reshape(2, 2)
    sampling = variances[:, :, None] * np.eye(2)
    panel = Panel(("low", "high"), ("before", "after"), means, np.array([2, 1]), np.ones(2), sampling=sampling, n=n)
    assert cells["count"].sum() == n
    for contrasts, inference in ((group_time(panel), "influence"), (two_way(panel), "cluster")):
        found = estimate_contrasts(contrasts, panel, inference=inference).frame.iloc[0]
        assert [found["estimate"], found["se_sampling"]] == pytest.approx([effect, se], abs=5.1e-4)
        reach = 1.96 * found["se_sampling"]
        assert words(found["estimate"] - reach, found["estimate"] + reach, 0.05) == word


def test_mathematics_requirements(shared_data: Callable[[str], Path]) -> None:
    frame = pd.read_csv(shared_data("math_reform") / "math_reform.csv")
    panel = Panel.of(frame, region="state", period="class", value="incearn_ln", start="reformyr_math")
    found = by_kind(panel)
    assert found["weight"].tolist() == pytest.approx([0.06353, 0.05265, 0.88382], abs=6e-6)
    assert found["estimate"].tolist() == pytest.approx([0.02868, 0.03375, -0.00129], abs=6e-6)
    assert two_way_row(panel)["estimate"] == pytest.approx(0.00246, abs=6e-6)


def test_turnout_with_and_without_other_reforms(shared_data: Callable[[str], Path]) -> None:
    frame = pd.read_csv(shared_data("edr_turnout") / "turnout.csv")
    wide = {name: frame.pivot(index="abb", columns="year", values=name).to_numpy(float) for name in frame.columns[2:]}
    regions, periods = sorted(set(frame["abb"])), sorted(set(frame["year"]))
    last = len(periods)
    starts = np.where(wide["policy_edr"].any(axis=1), wide["policy_edr"].argmax(axis=1), last)
    others = {name: wide[name] for name in ("policy_mail_in", "policy_motor")}
    for exposures, estimate, se in (({}, 0.8719, 2.96), (others, 0.7776, 3.15)):
        panel = Panel(
            tuple(regions), tuple(map(str, periods)), wide["turnout"], starts, np.ones(len(regions)), exposures
        )
        found = two_way_row(panel, wide["policy_edr"])
        assert found["estimate"] == pytest.approx(estimate, abs=6e-5)
        assert found["se"] == pytest.approx(se, abs=0.05)  # by small-sample convention


def test_one_treated_state_is_randomised(shared_data: Callable[[str], Path]) -> None:
    frame = pd.read_csv(shared_data("organ_donations") / "organ_donations.csv")
    frame["start"] = np.where(frame["State"] == "California", 4, 0)  # third quarter of 2011
    panel = Panel.of(frame, region="State", period="Quarter_Num", value="Rate", start="start")
    found = randomise(two_way, panel)
    assert found.estimate == pytest.approx(-0.02246, abs=6e-6)
    assert (found.assignments, found.is_exhaustive) == (27, True)
    assert found.p_value >= found.smallest_p >= 1 / 27
