"""Attacks 1–9, 18, 22 and 24: what a reader with a pencil gets out of published numbers.

The reader knows who took part, how many people each cell stands for where that is not withheld, and the weight of every
cell: more than readers do. Each attack must fail on what is published, and succeed where a rule is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from crafted_release import NOW, SIZES, cells, crafted_study, officials, release_of_rows, tables_of, without_rules
from scipy.optimize import linprog

from analysis_lib.disclosure import policy
from analysis_lib.disclosure.protect import protect

SMALL_PROVINCE = {**SIZES, "C0301": 2, "C0302": 2, "C0303": 2, "C0304": 3}
KEY = ["region", "by", "category", "period"]
CLOSE = 0.2  # share of the mean within which a number counts as recovered (C09)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return crafted_study(tmp_path_factory.mktemp("study") / "s")


def primary_only(study, rows):
    """Tables that withhold what is small and nothing beside it, to two decimals, and the evidence behind them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "with_companions", lambda withheld, estimates, study: withheld)
        return tables_of(without_rules(study, min_respondents=10), rows)


# -- the reader -------------------------------------------------------------------------------------


Range = tuple[float, float]


def published(results, measure="recall_gross") -> dict[tuple, Range]:
    """Every number of a measure that stands anywhere, by cell, within its rounding."""
    frame = cells(results)
    frame = frame[(frame["measure"] == measure) & frame["value"].notna()]
    step = 0.05 if (frame["value"] * 10 % 1).round(6).isin([0, 1]).all() else 0.005
    keys = frame[KEY].itertuples(index=False, name=None)
    return {key: (value - step, value + step) for key, value in zip(keys, frame["value"], strict=True)}


def behind(evidence, column, measure="recall_gross") -> dict[tuple, float]:
    """Of every cell what only the office knows."""
    frame = pd.concat(evidence.values())
    frame = frame[(frame["measure"] == measure) & frame[column].notna()]
    return dict(zip(frame[KEY].itertuples(index=False, name=None), frame[column], strict=True))


def families(keys) -> Iterator[tuple[tuple, list[tuple]]]:
    """Wholes with their parts: the nation and its provinces, a province and its counties, everybody and the tiers."""
    keys = {*keys}
    for region, by, category, period in sorted(keys):
        whole = (region, by, category, period)
        if region == "all":
            parts = [key for key in keys if key[0].startswith("P") and key[1:] == whole[1:]]
        else:
            parts = [key for key in keys if key[0].startswith(f"C{region[1:]}") and key[1:] == whole[1:]]
        if parts and region[0] != "C":
            yield whole, sorted(parts)
        tiers = [key for key in keys if key[0] == region and key[1] and key[3] == period]
        if tiers and not by:
            yield whole, sorted(tiers)


def by_subtraction(known: dict[tuple, Range], weight: dict[tuple, float]) -> dict[tuple, Range]:
    """Whatever follows, step by step, from wholes and parts of which one number is missing."""
    known, found = dict(known), {}
    while True:
        before = len(known)
        for whole, parts in families(weight):
            missing = [key for key in (whole, *parts) if key not in known]
            if len(missing) != 1:
                continue
            (key,) = missing
            ends = []
            for end in (0, 1):
                total = sum(
                    weight[part] * known[part][end if key == whole else 1 - end] for part in parts if part != key
                )
                ends.append((total if key == whole else weight[whole] * known[whole][end] - total) / weight[key])
            known[key] = found[key] = (ends[0], ends[1])
        if len(known) == before:
            return found


def recovered(found: dict[tuple, Range], truth: dict[tuple, float], small: str) -> list[tuple]:
    """Levels of small places that the reader now knows within a fifth of the mean."""
    mean = truth["all", "", "", NOW]
    return [
        key for key, (low, high) in found.items()
        if key[0].startswith(small) and "→" not in key[3] and high - low < CLOSE * mean and low <= truth[key] <= high
    ]  # fmt: skip


def n_of(results, measure="recall_gross") -> dict[tuple, float]:
    frame = cells(results)
    frame = frame[(frame["measure"] == measure) & frame["n"].notna()]
    return dict(zip(frame[KEY].itertuples(index=False, name=None), frame["n"].astype(float), strict=True))


# -- 1, 2, 4, 5: wholes less parts --------------------------------------------------------------------


def test_a01_total_minus_visible_cells(study):
    rows = officials()
    unprotected, evidence = primary_only(study, rows)
    weight, truth = behind(evidence, "weight"), behind(evidence, "estimate")
    assert recovered(by_subtraction(published(unprotected), weight), truth, "C0102")
    assert not recovered(by_subtraction(published(release_of_rows(study, rows)), weight), truth, "C0102")


def test_a02_mean_times_n_over_linked_tables(study):
    rows = officials().assign(weight=1.0)  # every official counts the same, so n is the weight
    unprotected, evidence = primary_only(study, rows)
    truth, size = behind(evidence, "estimate"), {**n_of(unprotected)}
    whole = ("P01", "", "", NOW)
    size["C0102", "", "", NOW] = size[whole] - sum(size[f"C01{c:02}", "", "", NOW] for c in (1, 3, 4))
    assert size["C0102", "", "", NOW] == 4
    assert recovered(by_subtraction(published(unprotected), size), truth, "C0102")
    together = release_of_rows(study, rows)
    assert not recovered(by_subtraction(published(together), behind(evidence, "n")), truth, "C0102")


@pytest.mark.parametrize("small", ["P03", "C03"])
def test_a04_a05_nation_minus_regions_and_province_minus_counties(study, small):
    """Each table by itself withholds two provinces; the page of one of them shows it."""
    rows = officials(SMALL_PROVINCE)
    alone, evidence = tables_of(without_rules(study, min_respondents=10), rows)
    weight, truth = behind(evidence, "weight"), behind(evidence, "estimate")
    if small == "P03":
        assert recovered(by_subtraction(published(alone), weight), truth, small)
    assert not recovered(by_subtraction(published(release_of_rows(study, rows)), weight), truth, small)


def test_a05_province_minus_counties_without_companions(study):
    rows = officials()
    alone, evidence = primary_only(study, rows)
    weight, truth = behind(evidence, "weight"), behind(evidence, "estimate")
    assert recovered(by_subtraction(published(alone), weight), truth, "C0302")
    assert not recovered(by_subtraction(published(release_of_rows(study, rows)), weight), truth, "C0302")


# -- 3, 24: two periods -----------------------------------------------------------------------------------


def panel_with_newcomer() -> pd.DataFrame:
    """Two quarters of the same officials with the same hours; in the second one more, who lost 71.3 hours."""
    first = officials(quarters=["2026Q2"]).assign(weight=1.0)
    newcomer = first.iloc[[0]].assign(respondent_id="new", recall_gross=71.3)
    return pd.concat([first, first.assign(quarter=NOW), newcomer.assign(quarter=NOW)], ignore_index=True)


def newcomer_within(results) -> tuple[float, float]:
    """Smallest and largest hours of the newcomer that fit the county's two quarters."""
    frame = cells(results).query("measure == 'recall_gross' and region == 'P01' and by == '' and table == 'series'")
    rows = {row["period"]: row for row in frame.to_dict("records")}
    base = 1 if any(row["n"] % 5 for row in rows.values()) else 5
    step = 0.005 if base == 1 else 0.05
    ends = []
    for n in np.arange(max(1, rows["2026Q2"]["n"] - base // 2), rows["2026Q2"]["n"] + base // 2 + 1):
        ends += [
            (n + 1) * (rows[NOW]["value"] + sign * step) - n * (rows["2026Q2"]["value"] - sign * step)
            for sign in (-1, 1)
        ]
    return min(ends), max(ends)


def test_a03_this_quarter_minus_last(study):
    rows = panel_with_newcomer()
    low, high = newcomer_within(tables_of(without_rules(study), rows)[0])
    assert low < 71.3 < high and high - low < CLOSE * 16
    low, high = newcomer_within(release_of_rows(study, rows))
    assert high - low > CLOSE * 16


def test_a24_a_change_rests_on_the_people_of_its_two_levels(study):
    """A change taken over those in both quarters would, beside the two levels, give those in one of them away."""
    rows = panel_with_newcomer()
    frame = cells(tables_of(without_rules(study), rows)[0]).query(
        "measure == 'recall_gross' and region == 'P01' and by == ''"
    )
    level = frame[frame["table"] == "series"].set_index("period")["value"]
    (change,) = frame[frame["table"] == "change"]["value"].unique()
    assert change == pytest.approx(level[NOW] - level["2026Q2"], abs=0.011), "nothing is left to be told from the two"
    here = rows[rows["province"] == "P01"]
    in_both = here[here["respondent_id"] != "new"].groupby("quarter")["recall_gross"].mean().diff().iloc[-1]
    n = (here["quarter"] == NOW).sum()
    told = (level[NOW] - level["2026Q2"] - in_both) * n + level["2026Q2"]
    assert told == pytest.approx(71.3, abs=1.6), "the attack that a change of the panel would have allowed"


# -- 6, 7, 8: counts ---------------------------------------------------------------------------------------


def count_within(results, region: str) -> float:
    """Width of what all published counts leave for the people of a county, by linear programming."""
    n = {key[0]: value for key, value in n_of(results).items() if key[1:] == ("", "", NOW)}
    base = 1 if any(value % 5 for value in n.values()) else 5
    places = ["all", "P01", "P02", "P03", *SIZES]
    low = [n[place] - base / 2 if place in n else 0 for place in places]
    high = [n[place] + base / 2 if place in n else 1e4 for place in places]
    wholes = {"all": ["P01", "P02", "P03"]} | {p: [c for c in SIZES if c[1:3] == p[1:]] for p in ("P01", "P02", "P03")}
    matrix = np.zeros((len(wholes), len(places)))
    for at, (whole, parts) in enumerate(wholes.items()):
        matrix[at, places.index(whole)] = -1
        matrix[at, [places.index(part) for part in parts]] = 1
    goal = np.eye(len(places))[places.index(region)]
    ends = [
        linprog(sign * goal, A_eq=matrix, b_eq=np.zeros(len(wholes)), bounds=list(zip(low, high, strict=True))).fun
        for sign in (1, -1)
    ]
    return -ends[1] - ends[0]


@pytest.mark.parametrize("county", ["C0102", "C0302"])
def test_a06_margins_rounded_each_by_itself_are_squeezed_together(study, county):
    rows = officials()
    assert count_within(release_of_rows(study, rows), county) >= 10
    unprotected, _ = primary_only(study, rows)
    assert count_within(unprotected, county) <= 5


ROW = {
    "measure": "participation", "statistic": "share", "unit": "share", "region": "C0101", "by": "", "category": "",
    "period": NOW, "estimate": 1 / 3, "se": 0.02, "ci_low": 0.29, "ci_high": 0.38, "df": 40.0, "deff": 1.0, "n": 9,
    "n_psu": 5,
}  # fmt: skip


def only(study, **change) -> pd.Series:
    return protect(pd.DataFrame([ROW | change]), "hours", study=study).table.iloc[0]


def counts_that_fit(row: pd.Series, base: int) -> set[tuple[int, int]]:
    """Pairs of (people for whom it holds, people) that a published share and its rounded n allow."""
    if pd.isna(row["value"]) or pd.isna(row["n"]):
        return set()
    around = range(max(1, int(row["n"]) - base // 2), int(row["n"]) + base // 2 + 1)
    return {(k, n) for n in around for k in range(n + 1) if abs(k / n - row["value"]) <= 0.005}


def test_a07_a_percentage_with_an_odd_denominator_gives_the_count(study):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "MIN_EITHER_SIDE", 0)
        assert counts_that_fit(only(without_rules(study)), base=1) == {(3, 9)}
    assert counts_that_fit(only(study), base=5) == set()
    for k, n in [(4, 30), (27, 30), (3, 100)]:
        assert counts_that_fit(only(study, estimate=k / n, n=n), base=5) == set(), "fewer than five on one side"


def people_from_interval(row: pd.Series | dict, value: str, step: float) -> tuple[float, float]:
    """n of a simple random sample from the interval of a share, within the rounding of its bounds."""
    width = row["ci_high"] - row["ci_low"]
    return tuple(4 * 2.02**2 * row[value] * (1 - row[value]) / (width - sign * step) ** 2 for sign in (-2, 2))


def test_a08_an_interval_s_width_gives_n_no_closer_than_n_is_published(study):
    n, share = 40, 0.35
    half = 2.02 * np.sqrt(share * (1 - share) / n)
    exact = ROW | {"estimate": share, "ci_low": share - half, "ci_high": share + half, "n": n}
    low, high = people_from_interval(exact, "estimate", 0.0)
    assert low == pytest.approx(n) and high == pytest.approx(n), "the exact interval is as good as n"
    shown = protect(pd.DataFrame([exact]), "hours", study=study).table.iloc[0]
    low, high = people_from_interval(shown, "value", 0.01)
    assert high - low > 5
    assert {"se", "deff", "df", "n_psu"}.isdisjoint(shown.index)
    withheld = only(study)
    assert withheld[["value", "ci_low", "ci_high", "n"]].isna().all()


# -- 18, 22: groups and models ---------------------------------------------------------------------------------


@pytest.mark.parametrize("estimate", [0.0, 1.0])
def test_a18_nobody_or_everybody_says_it(study, estimate):
    everybody = {"measure": "coping_share", "statistic": "mean", "estimate": estimate, "n": 40, "se": 0.0}
    assert only(without_rules(study), **everybody)["value"] == estimate
    assert only(study, **everybody)["mark"] == "c"
    assert only(study, **(everybody | {"measure": "uses_an_app", "statistic": "share"}))["mark"] == "c"


def test_a22_coefficient_of_a_category_of_one_person(study, monkeypatch):
    dummy = ROW | {"measure": "gross", "statistic": "effect", "unit": "hours_week", "by": "driver", "n": 1,
                   "category": "tier.expert", "estimate": 55.1, "ci_low": 50.0, "ci_high": 60.0, "residual_df": 390.0}  # fmt: skip
    reference = 16.2
    bare = protect(pd.DataFrame([dummy]), "drivers", study=without_rules(study)).table.iloc[0]
    assert reference + bare["value"] == pytest.approx(71.3, abs=0.01)
    assert protect(pd.DataFrame([dummy]), "drivers", study=study).table["mark"].tolist() == ["c"]
    saturated = dummy | {"n": 40, "residual_df": 3.0}
    assert protect(pd.DataFrame([saturated]), "drivers", study=study).table["mark"].tolist() == ["c"]


def test_every_pair_of_companions_is_large_enough_to_hide_a_cell(study):
    """The audit's promise, checked with nothing of its code: two unknowns of a family never settle each other."""
    rows = officials()
    _, evidence = tables_of(study, rows)
    known, weight = published(release_of_rows(study, rows)), behind(evidence, "weight")
    known = {key: sum(ends) / 2 for key, ends in known.items()}
    mean = known["all", "", "", NOW]
    for whole, parts in families(weight):
        hidden = [part for part in parts if part not in known]
        if whole not in known or not hidden:
            continue
        assert len(hidden) > 1
        left = weight[whole] * known[whole] - sum(weight[part] * known[part] for part in parts if part in known)
        for one, other in itertools.permutations(hidden, 2):
            room = min(100.0, left / weight[one]) - max(0.0, (left - 100.0 * weight[other]) / weight[one])
            assert room >= CLOSE * mean or weight[other] < weight[one]
