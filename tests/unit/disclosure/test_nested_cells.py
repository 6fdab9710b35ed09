"""C10 over releases: which cells are nearly the people of a cell that readers have, against sets counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from crafted_release import NOW, crafted_study, officials
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.disclosure.members import Roster
from analysis_lib.disclosure.nested import levels_of, too_near
from analysis_lib.study import Study
from analysis_lib.tables.contracts import ESTIMATE_KEY

KEY = b"k" * 32
COUNTY = {"C0201": 40}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return crafted_study(tmp_path_factory.mktemp("study") / "s")


def roster(study: Study, rows: pd.DataFrame) -> Roster:
    return Roster.of(rows.assign(diary_weight=rows["weight"]), study=study, key=KEY, method="m")


def cells(*places: tuple[str, str, str, str]) -> pd.DataFrame:
    """Cells of one measure."""
    return pd.DataFrame([("recall_gross", "mean", *place) for place in places], columns=ESTIMATE_KEY)


def named(*places: tuple[str, str, str, str]) -> set[tuple[str, ...]]:
    return {("recall_gross", "mean", *place) for place in places}


def county(role: list[str]) -> pd.DataFrame:
    return officials(COUNTY, quarters=[NOW]).assign(tier=["village"] * 30 + ["township"] * 10, role=role)


VILLAGE, STAFF = ("C0201", "tier", "village", NOW), ("C0201", "role", "staff", NOW)


def test_a_new_category_of_nearly_the_same_people_is_not_told(study: Study) -> None:
    """Readers have the means of village officials; of thirty-three staff, thirty are those."""
    rows = county(["staff"] * 33 + ["leader"] * 7)
    people = {NOW: roster(study, rows)}
    assert too_near(cells(STAFF), people, [(cells(VILLAGE), people)], study=study) == named(STAFF)
    assert too_near(cells(STAFF), people, [], study=study) == set()


def test_ten_people_apart_are_enough_and_the_very_same_people_tell_nothing_new(study: Study) -> None:
    apart = {NOW: roster(study, county(["staff"] * 40))}
    assert too_near(cells(STAFF), apart, [(cells(VILLAGE), apart)], study=study) == set()
    same = {NOW: roster(study, county(["staff"] * 30 + ["leader"] * 10))}
    assert too_near(cells(STAFF), same, [(cells(VILLAGE), same)], study=study) == set()


def test_of_two_new_cells_that_nearly_coincide_the_smaller_is_not_told(study: Study) -> None:
    people = {NOW: roster(study, county(["staff"] * 33 + ["leader"] * 7))}
    assert too_near(cells(STAFF, VILLAGE), people, [], study=study) == named(VILLAGE)


def test_parts_of_a_whole_in_one_release_are_left_to_the_audit_of_linked_tables(study: Study) -> None:
    people = {NOW: roster(study, county(["staff"] * 33 + ["leader"] * 7))}
    assert too_near(cells(STAFF, ("C0201", "", "", NOW)), people, [], study=study) == set()


def test_a_place_that_lost_few_people_since_is_near_its_province_of_then_and_its_own_past_is_left_to_c11(
    study: Study,
) -> None:
    then = county(["staff"] * 40)
    before, now = {NOW: roster(study, then)}, {NOW: roster(study, then.iloc[3:])}
    whole, province = ("C0201", "", "", NOW), ("P02", "", "", NOW)
    assert too_near(cells(whole), now, [(cells(whole), before)], study=study) == set()
    assert too_near(cells(whole), now, [(cells(province), before)], study=study) == named(whole)


def test_a_year_less_three_quarters_that_readers_have_is_told_by_people_not_by_their_returns(study: Study) -> None:
    quarters = ["2025Q4", "2026Q1", "2026Q2", NOW]
    rows = officials(COUNTY, quarters=quarters)
    rows = rows[(rows["quarter"] == NOW) | rows["respondent_id"].isin([f"C0201-{i}" for i in range(4)])]
    people = {each: roster(study, rows[rows["quarter"] == each]) for each in quarters}
    year, quarter = ("C0201", "", "", f"2025Q4–{NOW}"), ("C0201", "", "", NOW)
    found = too_near(cells(year), people, [(cells(quarter), people)], study=study)
    assert found == named(year), "twelve returns of four people"


def test_a_table_without_rows_has_no_cells_and_gives_no_warning() -> None:
    texts = {name: pd.Series([], dtype="str") for name in [*ESTIMATE_KEY, "mark"]}
    assert levels_of(pd.DataFrame(texts | {"value": pd.Series([], dtype=float)})).empty


def test_only_levels_of_people_are_cells_of_people() -> None:
    rows = pd.DataFrame(
        [("mean", NOW, 1.0), ("effect", NOW, 1.0), ("mean", f"2025Q3→{NOW}", 1.0), ("mean", "", 1.0), ("mean", NOW, np.nan)],
        columns=["statistic", "period", "value"],
    ).assign(measure="recall_gross", region="all", by="", category="", mark="")  # fmt: skip
    assert levels_of(rows)["period"].tolist() == [NOW]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from("abc"), min_size=40, max_size=40),
    st.lists(st.sampled_from("xyz"), min_size=40, max_size=40),
)
def test_it_finds_what_sets_find(study: Study, tiers: list[str], roles: list[str]) -> None:
    rows = county(roles).assign(tier=tiers)
    people = {NOW: roster(study, rows)}
    new, old = ([("C0201", by, each, NOW) for each in sorted({*rows[by]})] for by in ("role", "tier"))
    sets = {place: {*rows.loc[rows[place[1]] == place[2], "respondent_id"]} for place in (*new, *old)}
    expected = {
        place
        for place in new
        if any(0 < len(sets[place] ^ sets[other]) < 10 for other in old)
        and not any(sets[place] == sets[other] for other in old)
    }
    assert too_near(cells(*new), people, [(cells(*old), people)], study=study) == named(*expected)
