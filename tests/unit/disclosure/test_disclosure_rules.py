"""Each minimum rule on a literal table."""

from __future__ import annotations

import pandas as pd
import pytest
from sample_study import STUDY_TOML, write_study

from analysis_lib.disclosure.handover import hand_over, read_results
from analysis_lib.disclosure.protect import ProtectedTable, protect
from analysis_lib.errors import InputRejected, PublicationBlocked

ROW = {
    "measure": "gross", "statistic": "mean", "unit": "hours_week", "region": "all", "by": "", "category": "",
    "period": "2026Q3", "estimate": 16.84, "se": 0.31, "ci_low": 16.23, "ci_high": 17.45, "df": 40.0, "deff": 1.5,
    "n": 412, "n_psu": 48,
}  # fmt: skip


def estimates(*changes: dict) -> pd.DataFrame:
    return pd.DataFrame([{**ROW, **change} for change in changes])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study") / "s")


def only_row(study, **change):
    return protect(estimates(change), "hours", study=study).table.iloc[0]


def test_hours_get_one_decimal_and_intervals_only_grow(study):
    row = only_row(study)
    assert (row["value"], row["ci_low"], row["ci_high"], row["n"], row["mark"]) == (16.8, 16.2, 17.5, 410, "")


def test_a_bound_that_is_already_round_stays(study):
    row = only_row(study, ci_low=0.1 + 0.2 + 16.0, ci_high=17.4)
    assert (row["ci_low"], row["ci_high"]) == (16.3, 17.4)


def test_a_cell_of_nine_people_is_withheld_with_its_n(study):
    row = only_row(study, n=9)
    assert row["mark"] == "c"
    assert row[["value", "ci_low", "ci_high", "n"]].isna().all()


def test_a_measure_that_nobody_was_asked_is_absent_not_withheld(study):
    """A page once said that documents received were withheld to protect respondents; no one had been asked."""
    asked, not_asked = {"measure": "gross"}, {"measure": "documents_received", "n": 0, "n_psu": 0}
    table = protect(estimates(asked, not_asked), "hours", study=study).table
    assert table["measure"].tolist() == ["gross"]


def test_a_place_where_nobody_answered_is_withheld_like_any_small_one(study):
    table = protect(estimates({}, {"region": "A", "n": 0, "n_psu": 0}), "hours", study=study).table
    assert table["mark"].tolist() == ["", "c"]


def test_a_cell_of_two_work_units_is_withheld(study):
    assert only_row(study, n_psu=2)["mark"] == "c"


def test_a_design_without_work_units_has_no_rule_about_them(tmp_path):
    study = write_study(tmp_path / "s", study_toml=STUDY_TOML + '[design]\npsu = ""\n')
    assert only_row(study, n_psu=0)["mark"] == ""


@pytest.mark.parametrize(("share", "mark"), [(0.0, "c"), (0.04, "c"), (0.5, ""), (0.96, "c"), (1.0, "c")])
def test_a_share_needs_five_people_on_either_side(study, share, mark):
    row = only_row(study, statistic="share", unit="share", estimate=share, se=0.001, n=100)
    assert row["mark"] == mark


def test_shares_are_whole_percent(study):
    row = only_row(study, statistic="share", unit="share", estimate=0.614, se=0.01, ci_low=0.594, ci_high=0.6301)
    assert (row["value"], row["ci_low"], row["ci_high"]) == (0.61, 0.59, 0.64)


def test_counts_are_rounded_to_five_and_never_marked(study):
    row = only_row(study, statistic="count", unit="count", estimate=1432.0, n=1432, ci_high=1432.0)
    assert row[["ci_low", "ci_high"]].isna().all(), "an interval of 1430 to 1435 would tell the count from below"
    assert (row["value"], row["n"], row["mark"]) == (1430, 1430, "")


@pytest.mark.parametrize(("se", "mark"), [(1.6, ""), (1.8, "u"), (3.4, "x"), (float("nan"), "x")])
def test_imprecise_cells_carry_a_mark(study, se, mark):
    row = only_row(study, estimate=10.0, se=se, ci_low=5.0, ci_high=15.0)
    assert row["mark"] == mark
    assert pd.isna(row["value"]) == (mark == "x")


def test_a_change_is_not_marked_for_being_near_zero(study):
    row = only_row(study, period="2025Q3→2026Q3", estimate=-0.04, se=0.5, ci_low=-1.04, ci_high=0.96)
    assert (row["mark"], row["value"], row["ci_low"], row["ci_high"]) == ("", 0.0, -1.1, 1.0)


def test_full_time_equivalents_are_national_with_three_digits(study):
    change = {"measure": "gross_fte", "statistic": "total", "unit": "fte", "estimate": 12345.0, "se": 100.0}
    bounds = {"ci_low": 12141.0, "ci_high": 12549.0}
    table = protect(
        estimates(
            change | bounds,
            change | bounds | {"region": "P01"},
            change | bounds | {"by": "tier", "category": "county"},
        ),
        "hours",
        study=study,
    ).table
    assert table[["region", "value", "ci_low", "ci_high"]].to_numpy().tolist() == [["all", 12300, 12100, 12600]]


def test_a_region_withheld_alone_takes_its_smallest_sibling_with_it(study):
    table = protect(
        estimates({"region": "P01", "n": 300}, {"region": "P02", "n": 100}, {"region": "C0101", "n": 4},
                  {"region": "C0102", "n": 96}, {"region": "C0201", "n": 50}),
        "hours", study=study,
    )  # fmt: skip
    assert dict(zip(table.table["region"], table.table["mark"], strict=True)) == {
        "P01": "", "P02": "", "C0101": "c", "C0102": "c", "C0201": "",
    }  # fmt: skip
    assert table.withheld == 2


def test_a_category_withheld_alone_takes_its_smallest_sibling_with_it(study):
    by = [("county", 8), ("township", 200), ("village", 60)]
    table = protect(
        estimates({}, *({"by": "tier", "category": value, "n": n} for value, n in by)), "hours", study=study
    ).table
    assert table["mark"].tolist() == ["", "c", "", "c"]


def test_only_the_gate_makes_a_protected_table():
    with pytest.raises(PublicationBlocked, match="by hand"):
        ProtectedTable("hours", estimates({}), object())


def test_changing_a_copy_leaves_the_table_alone(study):
    table = protect(estimates({}), "hours", study=study)
    copy = table.table
    copy["value"] = 99.0
    assert table.table["value"].tolist() == [16.8]


def test_results_come_back_as_they_were_handed_over(study, tmp_path):
    table = protect(estimates({}, {"region": "P01", "n": 4}, {"measure": "excess", "se": 9.0}), "hours", study=study)
    hand_over(str(tmp_path / "a"), table)
    hand_over("", table)
    back = read_results(tmp_path / "a")
    assert list(back) == ["hours"]
    pd.testing.assert_frame_equal(back["hours"].table, table.table)
    assert back["hours"].to_json() == (tmp_path / "a" / "hours.json").read_text(encoding="utf-8")


def test_an_empty_table_can_be_handed_over(study, tmp_path):
    empty = protect(estimates({}).iloc[:0], "response", study=study)
    hand_over(str(tmp_path), empty)
    assert read_results(tmp_path)["response"].table.empty


def test_a_results_file_with_a_number_behind_a_mark_is_refused(study):
    text = protect(estimates({}), "hours", study=study).to_json().replace('""]', '"c"]')
    with pytest.raises(InputRejected, match="not a protected table"):
        ProtectedTable.from_json(text)
