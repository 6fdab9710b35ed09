"""C11: two releases must not tell what a few late returns said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_results import protected, row
from sample_study import write_study

from analysis_lib.disclosure.members import TAG, Roster, differing
from analysis_lib.disclosure.over_releases import count_changed, must_stay, must_stay_withheld
from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.errors import PublicationBlocked
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study

QUARTER = "2026Q3"
KEY = b"k" * 32


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_study(tmp_path / "s")


def people(hours: dict[str, float], *, weight: float = 1.0, province: str = "P01", **more: object) -> pd.DataFrame:
    """People with their hours."""
    return pd.DataFrame(
        {
            "respondent_id": list(hours), "quarter": QUARTER, "region": "C0101", "province": province, "tier": "county",
            "weight": weight, "diary_weight": weight, "recall_gross": list(hours.values()),
        }
    ).assign(**more)  # fmt: skip


def roster(study: Study, officials: pd.DataFrame, method: str = "m") -> Roster:
    return Roster.of(officials, study=study, key=KEY, method=method)


def tags(study: Study, *names: str) -> set[int]:
    return set(roster(study, people(dict.fromkeys(names, 1.0))).rows[TAG])


def hours(study: Study, values: dict[str, float], *, n: int = 100) -> pd.DataFrame:
    """A protected table of means by region."""
    rows = [row("gross", "hours_week", "mean", each, 0.4, region=code, n=n) for code, each in values.items()]
    return protected(study, "hours", rows).table


def stays(
    study: Study, then: pd.DataFrame, now: pd.DataFrame, here: dict[str, int], in_all: int, report: str
) -> list[str]:
    counted = pd.Series([here.get(code, 0) for code in now["region"]], index=now.index)
    whole = pd.Series(in_all, index=now.index)
    found = must_stay(now, then, counted, whole, study=study, report=Quarter.parse(report))
    return now.loc[found, "region"].tolist()


def test_only_people_whose_own_returns_changed_count_not_those_whose_weight_moved(study: Study) -> None:
    then = roster(study, people({"A": 10, "B": 20, "C": np.nan, "D": 5}))
    now = roster(study, people({"A": 10, "B": 21, "C": np.nan, "E": 7}, weight=1.3))
    assert set(differing(then, now)[TAG]) == tags(study, "B", "D", "E")
    assert differing(then, roster(study, people({"A": 10, "B": 20, "C": np.nan, "D": 5}, weight=2.0))).empty


def test_under_another_method_only_those_count_who_came_went_or_stand_elsewhere(study: Study) -> None:
    then = roster(study, people({"A": 10, "B": 20, "C": 5}))
    now = people({"A": 11, "B": 22, "D": 5})
    assert set(differing(then, roster(study, now, "another"))[TAG]) == tags(study, "C", "D")
    assert set(
        differing(then, roster(study, now.assign(tier=["county", "village", "county"]), "another"))[TAG]
    ) == tags(study, "B", "C", "D")


def test_people_are_counted_where_they_were_and_where_they_are(study: Study) -> None:
    frames = [people({"A": 1}), people({"A": 1}, province="P02"), people({"B": np.nan})]
    changed = pd.concat([roster(study, each).rows for each in frames]).assign(quarter=QUARTER)
    cells = pd.DataFrame(
        [("all", "", "", QUARTER), ("P01", "", "", QUARTER), ("P02", "tier", "county", QUARTER), ("all", "", "", "2026Q2"),
         ("all", "", "", "2026Q1–2026Q3"), ("P02", "tier", "village", QUARTER)],
        columns=["region", "by", "category", "period"],
    )  # fmt: skip
    assert count_changed(cells.assign(measure="of no roster"), changed, study=study).tolist() == [2, 2, 1, 0, 2, 0]
    answered = count_changed(cells.assign(measure="recall_gross"), changed, study=study)
    assert answered.tolist() == [1, 1, 1, 0, 1, 0]  # B said nothing of these hours


def test_a_number_in_which_fewer_than_ten_changed_stays_and_takes_a_sibling_with_it(study: Study) -> None:
    then, now = (
        hours(study, {"all": 16.0, "P01": 17.0, "P02": 15.0}),
        hours(study, {"all": 16.4, "P01": 17.3, "P02": 15.4}),
    )
    assert stays(study, then, now, {"all": 30, "P01": 3, "P02": 27}, 30, QUARTER) == ["P01", "P02"]
    assert stays(study, then, now, {"all": 30, "P01": 12, "P02": 18}, 30, QUARTER) == []
    assert stays(study, then, now, {"all": 9, "P01": 0, "P02": 9}, 9, QUARTER) == ["all", "P01", "P02"]


def test_numbers_move_freely_where_nobody_changed_as_with_a_new_method(study: Study) -> None:
    then, now = hours(study, {"all": 16.0}), hours(study, {"all": 16.4})
    assert stays(study, then, now, {}, 0, QUARTER) == []


def test_a_year_later_the_whole_table_is_published_anew_if_enough_changed_in_all(study: Study) -> None:
    then, now = hours(study, {"all": 16.0, "P01": 17.0}), hours(study, {"all": 16.4, "P01": 17.3})
    assert stays(study, then, now, {"all": 12, "P01": 3}, 12, "2027Q3") == []
    assert stays(study, then, now, {"all": 12, "P01": 3}, 12, "2027Q2") == ["P01"]
    assert stays(study, then, now, {"all": 3, "P01": 3}, 3, "2027Q3") == ["all", "P01"]


def test_the_number_of_people_stays_with_the_mean(study: Study) -> None:
    then, now = hours(study, {"all": 16.0}, n=64), hours(study, {"all": 16.0}, n=68)
    assert then["n"].tolist() == [65]
    assert now["n"].tolist() == [70]
    assert stays(study, then, now, {"all": 4}, 4, QUARTER) == ["all"]


def test_a_kept_row_shows_the_published_number_and_says_so(study: Study) -> None:
    rows = [row("gross", "hours_week", "mean", each, 0.4, region="all", n=n) for each, n in ((16.0, 64), (16.4, 68))]
    then, now = (protected(study, "hours", [each]) for each in rows)
    kept = now.kept(then.table)
    assert kept.table[["value", "n", "mark"]].to_numpy().tolist() == [[16.0, 65, "p"]]
    assert ProtectedTable.from_json(kept.to_json()).table.equals(kept.table)
    with pytest.raises(PublicationBlocked, match="hidden"):
        now.kept(then.table.assign(mark="c"))


def test_rows_gathered_from_several_releases_are_kept_where_they_belong(study: Study) -> None:
    then = hours(study, {"all": 16.0, "P01": 17.0, "P02": 15.0}).drop(index=0)
    gathered = pd.DataFrame(then.astype(object).to_dict("records"), index=[1, 2])
    rows = [row("gross", "hours_week", "mean", 18.0, 0.4, region=code, n=90) for code in ("all", "P01", "P02")]
    kept = protected(study, "hours", rows).kept(gathered).table
    assert kept["value"].tolist() == [18.0, 17.0, 15.0]
    assert kept["n"].tolist() == [90, 100, 100]


def test_a_number_that_was_withheld_does_not_stay(study: Study) -> None:
    hidden = hours(study, {"P02": 15.0}, n=5)
    assert hidden["value"].isna().all()
    published = pd.concat([hours(study, {"all": 16.0, "P01": 17.0}), hidden], ignore_index=True)
    published = pd.DataFrame([row for _, row in published.iterrows()])  # gathered row by row from several releases
    now = hours(study, {"all": 16.0, "P01": 17.0, "P02": 15.4})
    assert stays(study, published, now, {"P02": 3}, 3, QUARTER) == []


def test_a_number_that_was_withheld_stays_so_until_enough_people_changed_in_it(study: Study) -> None:
    published = pd.concat([hours(study, {"P01": 17.0}), hours(study, {"P02": 15.0}, n=5)], ignore_index=True)
    assert must_stay_withheld(published, pd.Series([3, 9]), study=study).tolist() == [False, True]
    assert must_stay_withheld(published, pd.Series([3, 10]), study=study).tolist() == [False, False]
