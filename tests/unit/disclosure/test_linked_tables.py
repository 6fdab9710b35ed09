"""What tables tell together: each kind of link on a crafted release, and the audit against plain linear programmes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from crafted_release import NOW, SIZES, SMALL, cells, crafted_study, officials, release_of_rows, tables_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from analysis_lib.disclosure import linked
from analysis_lib.disclosure.handover import EVIDENCE, hand_over, read_evidence
from analysis_lib.disclosure.linked import Narrow, _Cells, _Equation, _System, audit, protect_together
from analysis_lib.disclosure.members import Roster, differing
from analysis_lib.disclosure.over_releases import Published, Readers, count_changed
from analysis_lib.disclosure.protect import protect
from analysis_lib.errors import PublicationBlocked

# P03 as a whole has nine people, so that the nation and the other provinces are what could give it away.
SMALL_PROVINCE = {**SIZES, "C0301": 2, "C0302": 2, "C0303": 2, "C0304": 3}
KEY = ["measure", "statistic", "region", "by", "category", "period"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return crafted_study(tmp_path_factory.mktemp("study") / "s")


@pytest.fixture(scope="module")
def small_province(study):
    return tables_of(study, officials(SMALL_PROVINCE))


def marks(results, **asked):
    frame = cells(results)
    found = frame[np.logical_and.reduce([frame[name] == value for name, value in asked.items()])]
    return set(found["mark"])


def test_a_cell_withheld_in_one_table_is_withheld_in_every_table(study, small_province):
    """A province that goes with a small one in the nation's table stood open on its own page."""
    results, evidence = small_province
    asked = {"measure": "recall_gross", "region": "P01", "by": "", "period": NOW}
    assert marks(results, **asked) == {"c", ""}
    assert marks(protect_together(results, evidence, study=study), **asked) == {"c"}


def test_the_audit_names_table_cell_and_width(study, small_province):
    results, evidence = small_province
    with pytest.raises(PublicationBlocked) as blocked:
        audit(results, evidence, study=study)
    assert blocked.value.exit_code == 4
    assert "recall_gross, mean, P03" in str(blocked.value)
    assert "is known within" in str(blocked.value)


def test_what_passes_the_audit_is_left_as_it_is(study):
    results, evidence = tables_of(study, officials())
    together = protect_together(results, evidence, study=study)
    pd.testing.assert_frame_equal(cells(together), cells(results))
    audit(together, evidence, study=study)


def test_withholding_together_shows_no_number_that_was_withheld_before(study, small_province):
    results, evidence = small_province
    before, after = cells(results), cells(protect_together(results, evidence, study=study))
    assert (after.loc[before["mark"] == "c", "mark"] == "c").all()
    same = after["mark"] != "c"
    pd.testing.assert_frame_equal(after[same], before[same])


def test_people_who_come_back_are_counted_once(study):
    """Four people who answer in four quarters are sixteen returns and still four people."""
    results, _ = tables_of(study, officials())
    frame = cells(results)
    pooled = frame[frame["region"].isin(SMALL) & (frame["period"] == "2025Q4–2026Q3")]
    assert len(pooled) and (pooled["mark"] == "c").all()


def test_the_few_who_are_in_no_part_of_a_whole_are_protected_too(study):
    """C10: three people without a level of office are the nation less all levels of office."""
    rows = officials()
    rows.loc[rows["respondent_id"].isin(["C0201-0", "C0201-1", "C0201-2"]), "tier"] = ""
    results, evidence = tables_of(study, rows)
    exact = dataclasses.replace(study, config=study.config.model_copy(update={
        "disclosure": study.config.disclosure.model_copy(update={"round_counts_to": 1})}))  # fmt: skip
    with pytest.raises(PublicationBlocked, match="in none of its parts"):
        audit(*tables_of(exact, rows), study=exact)
    together = protect_together(results, evidence, study=study)
    audit(together, evidence, study=study)


def test_a_change_does_not_bring_back_a_withheld_level(study):
    """This quarter is last year's, which readers have, and the change: one of the two goes."""
    rows = officials(SMALL_PROVINCE)
    before = release_of_rows(study, officials(quarters=["2025Q3"]), now="2025Q3")
    rows = pd.concat([officials(quarters=["2025Q3"]), rows[rows["quarter"] != "2025Q3"]], ignore_index=True)
    results, evidence = tables_of(study, rows)
    together = protect_together(results, evidence, study=study, earlier=[before])
    assert marks(together, measure="recall_gross", region="P03", period=f"2025Q3→{NOW}") == {"c"}
    audit(together, evidence, study=study, earlier=[before])


def test_a_companion_that_its_year_tells_goes_with_a_companion_of_its_own(study):
    """P01 is withheld beside P03, and known from its year as long as one of the other quarters is shown."""
    places = [
        ("all", NOW, 100),
        ("P03", NOW, 3),
        ("P01", NOW, 97),
        ("P01", "2025Q4", 60),
        ("P01", "2025Q4–2026Q3", 157),
    ]
    frame = pd.DataFrame(places, columns=["region", "period", "people"]).assign(
        by="", value=20.0, is_ours=True, is_withheld=[False, True, True, False, False], is_kept=False, changed=np.nan
    )
    equations = [_Equation(whole=0, parts=[1, 2]), _Equation(whole=4, parts=[2, 3])]
    alone = Narrow(place=1, kind="mean", is_rest=False, width=0.1, needed=4.0)
    assert _Cells(study, frame, ["hours"] * 5, equations).companions(alone) == [3]


def test_a_part_of_a_long_day_is_not_known_by_the_longest_working_week(study):
    """Sleep and all that is no work take more than a hundred hours a week."""
    rows = officials(SMALL_PROVINCE)
    rows["recall_gross"] += 90.0
    results, evidence = tables_of(study, rows)
    audit(protect_together(results, evidence, study=study), evidence, study=study)


def test_where_withholding_does_not_help_nothing_is_built(study, small_province):
    results, evidence = small_province
    limits = study.config.disclosure.model_copy(update={"min_mean_width": 30.0})
    strict = dataclasses.replace(study, config=study.config.model_copy(update={"disclosure": limits}))
    with pytest.raises(PublicationBlocked, match="is the least"):
        protect_together(results, evidence, study=strict)


def test_the_evidence_is_readable_by_its_owner_alone_and_its_absence_stops_a_build(study, tmp_path):
    results, _ = tables_of(study, officials(quarters=[NOW]))
    hand_over(str(tmp_path / "tables"), *results["03-hours-lost"].values())
    assert (tmp_path / "tables" / EVIDENCE).stat().st_mode & 0o077 == 0
    assert {"estimate", "weight", "n", "rule", "table"} <= set(read_evidence(tmp_path / "tables").columns)
    (tmp_path / "tables" / EVIDENCE).unlink()
    with pytest.raises(PublicationBlocked, match="missing"):
        read_evidence(tmp_path / "tables")


def test_a_table_does_not_print_its_evidence(study):
    results, _ = tables_of(study, officials(quarters=[NOW]))
    table = results["03-hours-lost"]["hours"]
    exact = table.evidence["estimate"].dropna().iloc[0]
    assert repr(exact) not in repr(table) + table.to_json()


# -- rules that need to know how a cell is spread ---------------------------------------------------

ROW = {
    "measure": "gross", "statistic": "mean", "unit": "hours_week", "region": "all", "by": "", "category": "",
    "period": "2026Q3", "estimate": 16.84, "se": 0.31, "ci_low": 16.23, "ci_high": 17.45, "df": 40.0, "deff": 1.5,
    "n": 412, "n_psu": 48, "weight": 9e3, "people": 400, "unit_share": 0.1, "top_two": 0.05,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({}, ""),
        ({"people": 9}, "C01"),
        ({"measure": "coping_listed", "people": 19}, "C01"),
        ({"measure": "coping_listed", "people": 20}, ""),
        ({"measure": "copings", "people": 19}, ""),
        ({"unit_share": 0.51}, "C02"),
        ({"unit_share": 0.5}, ""),
        ({"top_two": 0.91}, "C08"),
        ({"measure": "coping", "unit": "share", "estimate": 0.001}, "C03"),
        ({"measure": "coping", "unit": "share", "estimate": 0.999}, "C03"),
        ({"measure": "gross", "unit": "share", "estimate": 0.001, "se": 0.0001}, ""),
    ],
)
def test_each_rule_by_its_limit(study, change, rule):
    table = protect(pd.DataFrame([ROW | change]), "hours", study=study)
    assert table.evidence["rule"].tolist() == [rule]
    assert table.table["mark"].tolist() == ["c" if rule else ""]


# -- the certificate without a programme ------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10**6))
def test_a_width_found_without_a_programme_is_never_more_than_the_programme_finds(seed):
    rng = np.random.default_rng(seed)
    equations, numbers = int(rng.integers(1, 4)), int(rng.integers(3, 8))
    matrix = rng.choice([0.0, 0.5, 1.0, -1.0], (equations, numbers), p=[0.5, 0.2, 0.2, 0.1])
    matrix = matrix[np.abs(matrix).sum(axis=1) > 0]
    if not len(matrix):
        return
    true = rng.uniform(5, 20, numbers)
    unknown = rng.random(numbers) < 0.6
    low, high = np.where(unknown, 0.0, true - 0.05), np.where(unknown, 100.0, true + 0.05)
    system = _System("mean", sparse.csr_array(matrix), matrix @ true, low, high, true, unknown, [])
    for variable in np.flatnonzero(unknown & (np.abs(matrix).sum(axis=0) > 0)).tolist():
        assert system._traded(variable) <= system._width(variable, np.inf) + 1e-6


@pytest.mark.parametrize(
    ("unknown", "width"),
    [
        ([True, False, False, False], 0.9),  # alone: what rounding of the others leaves, 2 × 0.05 (0.3 + 0.5 + 1) / 0.2
        ([True, True, False, False], 40.375),  # from none to all of what the other one has, 10 + 20 × 0.3 / 0.2 + 0.375
    ],
)
def test_two_siblings_hide_each_other_and_one_alone_does_not(unknown, width):
    matrix = sparse.csr_array([[0.2, 0.3, 0.5, -1.0]])
    true, hidden = np.array([10.0, 20.0, 16.0, 16.0]), np.array(unknown)
    low, high = np.where(hidden, 0.0, true - 0.05), np.where(hidden, 100.0, true + 0.05)
    target = Narrow(0, "mean", False, 0.0, 50.0)
    (found,) = _System("mean", matrix, matrix @ true, low, high, true, hidden, [(0, target)]).narrow({})
    assert found.width == pytest.approx(width, abs=1e-6)


# -- over releases ------------------------------------------------------------------------------------


def kept(results, before, regions):
    """Results in which the hours of regions stay as they were before."""

    def table(name, each, earlier):
        rows = each.table.set_index(KEY, drop=False)
        stays = rows.index.isin(pd.MultiIndex.from_product([["recall_gross"], ["mean"], regions, [""], [""], [NOW]]))
        if not stays.any():
            return each
        then = earlier[name].table.set_index(KEY, drop=False).loc[rows.index[stays]]
        return each.kept(then.set_axis(np.flatnonzero(stays)))

    return {unit: {name: table(name, each, before[unit]) for name, each in tables.items()} for unit, tables in results.items()}  # fmt: skip


def had(before, then, now, study):
    """What readers have of a release, and how many changed since in each of its cells."""
    rosters = [
        Roster.of(rows[rows["quarter"] == NOW].assign(diary_weight=1.0), study=study, key=b"k", method="m")
        for rows in (then, now)
    ]
    shown = cells(before).drop_duplicates(KEY).reset_index(drop=True)
    changed = count_changed(shown, differing(*rosters).assign(quarter=NOW), study=study)
    return Readers({tuple(row[KEY]): Published(row, changed[at]) for at, row in shown.iterrows()})


@pytest.fixture(scope="module")
def two_releases(study):
    """Two releases: since the first, three changed what they said in P01, nobody in P02, and thirty in P03."""
    limits = study.config.disclosure.model_copy(update={"hours_decimals": 2})  # rounding would hide three of a hundred
    study = dataclasses.replace(study, config=study.config.model_copy(update={"disclosure": limits}))
    rows = officials()
    changed = rows.copy()
    for county, people in {"C0101": 3, "C0301": 30}.items():
        there = changed.index[(changed["county"] == county) & (changed["quarter"] == NOW)][:people]
        changed.loc[there, "recall_gross"] += 5
    before = release_of_rows(study, rows)
    return study, before, *tables_of(study, changed), had(before, rows, changed, study)


def test_c09_what_stays_and_what_is_new_are_audited_together(two_releases):
    """P01 stays with its county; the nation as it is now less P02 and P03 is P01 as it is now."""
    study, before, results, evidence, readers = two_releases
    mixed = kept(results, before, ["P01", "C0101"])
    audit(mixed, evidence, study=study)  # each release by itself gives nothing away
    with pytest.raises(PublicationBlocked, match="recall_gross, mean, P01") as blocked:
        audit(mixed, evidence, study=study, readers=readers)
    assert blocked.value.exit_code == 4
    together = protect_together(mixed, evidence, study=study, readers=readers)
    audit(together, evidence, study=study, readers=readers)
    assert "p" in marks(together, measure="recall_gross", region="P03", by="", period=NOW)


def test_c09_numbers_that_readers_have_already_hide_nothing_beside_them(study, small_province):
    """P03 is withheld with P01 and P02 beside it; but those two were published before, and nobody changed in them."""
    results, evidence = small_province
    together = protect_together(results, evidence, study=study)
    shown = cells(release_of_rows(study, officials()))
    plain = shown[(shown["measure"] == "recall_gross") & (shown["by"] == "") & shown["region"].isin(["P01", "P02"])]
    readers = Readers({tuple(row[KEY]): Published(row, 0) for _, row in plain.iterrows()})
    with pytest.raises(PublicationBlocked, match="recall_gross, mean, P03") as blocked:
        audit(together, evidence, study=study, readers=readers)
    assert blocked.value.exit_code == 4


def test_c10_a_cell_of_nearly_the_same_people_goes_with_a_companion(study):
    results, evidence = tables_of(study, officials())
    near = ("recall_gross", "mean", "P02", "", "", NOW)
    together = protect_together(results, evidence, study=study, readers=Readers({}, frozenset({near})))
    asked = {"measure": "recall_gross", "by": "", "period": NOW}
    assert marks(together, region="P02", **asked) == {"c"}
    assert {"c"} in (marks(together, region="P01", **asked), marks(together, region="P03", **asked))


def test_widths_from_solutions_that_were_found_spare_programmes_and_change_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    solve = linked.linprog
    monkeypatch.setattr(linked, "linprog", lambda *a, **k: calls.append(1) or solve(*a, **k))

    def verdicts(seed: int) -> list[int]:
        rng = np.random.default_rng(seed)
        n_equations, n_numbers = 12, 30
        matrix = sparse.csr_array(rng.random((n_equations, n_numbers)) * (rng.random((n_equations, n_numbers)) < 0.3))
        true, low = rng.uniform(10, 20, n_numbers), np.zeros(n_numbers)
        targets = [(place, Narrow(place, "mean", False, 0.0, float(rng.uniform(0, 15)))) for place in range(n_numbers)]
        system = _System("mean", matrix, matrix @ true, low, low + 30, true, np.ones(n_numbers, bool), targets)
        return [each.place for each in system.narrow({})]

    with_solutions = [verdicts(seed) for seed in range(8)]
    n_spared = len(calls)
    calls.clear()
    monkeypatch.setattr(_System, "_reached", lambda *_: 0.0)
    assert with_solutions == [verdicts(seed) for seed in range(8)]
    assert n_spared < 0.8 * len(calls)
