"""Codes of regions that were renamed, merged or split are read as the regions of today, quarter by quarter."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sample_results import row
from sample_study import write_study

from analysis_lib.errors import InputRejected
from analysis_lib.monitoring.linking import broken_at_borders
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study

HEAD = "old,new,quarter,kind,share,source\n"


def study_with(folder: Path, *rows: str) -> Study:
    """The sample study (provinces P01 and P02, counties C0101 … C0202) with these changes."""
    study = write_study(folder / "study")
    (study.reference / "region_changes.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return Study.open(study.root)


def reads(study: Study, code: str, quarter: str) -> str:
    return study.region_changes.read(code, Quarter.parse(quarter)).region


def test_a_study_without_the_table_reads_every_code_as_itself(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    assert study.region_changes.readings(Quarter.parse("2025Q1")) == {}
    assert study.ancestors("C0101") == ["C0101", "P01"]


def test_renames_and_merges_are_followed_through_chains_and_by_quarter(tmp_path: Path) -> None:
    study = study_with(
        tmp_path,
        "X1,X2,2025Q2,rename,,decree 1",
        "X2,C0101,2026Q1,merge,,decree 2",
        "X3,C0101,2026Q1,merge,,decree 2",
    )
    assert [reads(study, code, "2025Q1") for code in ("X1", "X2", "X3", "C0101")] == ["C0101"] * 4
    assert reads(study, "X1", "2026Q2") == "C0101"  # an old code that somebody still uses
    assert "merged into C0101 in 2026Q1" in study.region_changes.read("X1", Quarter.parse("2025Q1")).message
    assert study.region_changes.breaks == {"C0101": [Quarter.parse("2026Q1")]}


def test_a_region_that_is_only_renamed_keeps_its_series_without_a_break(tmp_path: Path) -> None:
    study = study_with(tmp_path, "X1,P01,2026Q1,rename,,decree")
    assert study.region_changes.breaks == {}
    assert study.region_changes.as_published("X1", Quarter.parse("2025Q4")) == "P01"


def test_a_split_region_stays_one_of_its_own_until_then_and_its_parts_begin_anew(tmp_path: Path) -> None:
    study = study_with(tmp_path, "C0101,C0101,2026Q1,split,0.6,decree", "C0101,C0102,2026Q1,split,0.4,decree")
    assert reads(study, "C0101", "2025Q4") == "C0101@2026Q1"
    assert reads(study, "C0101", "2026Q1") == "C0101"
    assert study.ancestors("C0101@2026Q1") == ["C0101@2026Q1", "P01"]
    assert study.region_changes.level("C0101@2026Q1") == "county"
    assert study.region_changes.breaks == {code: [Quarter.parse("2026Q1")] for code in ("C0101", "C0102")}
    assert study.region_name("C0101@2026Q1", "en") == "C0101 (until 2025Q4)"
    assert "begin there" in study.region_changes.told()[0]


def test_a_split_across_regions_above_breaks_their_series_too(tmp_path: Path) -> None:
    study = study_with(tmp_path, "X,C0101,2026Q1,split,0.5,decree", "X,C0201,2026Q1,split,0.5,decree")
    assert study.ancestors("X@2026Q1") == ["X@2026Q1"]
    assert set(study.region_changes.breaks) == {"C0101", "C0201", "P01", "P02"}


def test_a_split_region_that_stays_above_its_parts_goes_on_as_their_union(tmp_path: Path) -> None:
    study = study_with(tmp_path, "P01,C0101,2026Q1,split,0.5,decree", "P01,C0102,2026Q1,split,0.5,decree")
    assert reads(study, "P01", "2025Q4") == "P01"
    assert set(study.region_changes.breaks) == {"C0101", "C0102"}
    assert "goes on as all of them" in study.region_changes.told()[0]


def test_a_part_that_is_split_again_and_an_old_code_after_a_split(tmp_path: Path) -> None:
    study = study_with(
        tmp_path,
        "X,Y,2025Q2,split,0.5,decree", "X,C0102,2025Q2,split,0.5,decree",
        "Y,C0101,2026Q1,split,0.5,decree", "Y,C0201,2026Q1,split,0.5,decree",
    )  # fmt: skip
    assert reads(study, "X", "2025Q1") == "X@2025Q2"
    assert reads(study, "Y", "2025Q3") == "Y@2026Q1"
    assert study.ancestors("X@2025Q2") == ["X@2025Q2"]  # its parts lie under two provinces by now
    late = study.region_changes.read("X", Quarter.parse("2025Q3"))
    assert late == ("", "split into Y, C0102 in 2025Q2: say which part")


def test_a_region_that_took_others_in_is_no_longer_the_place_that_was_published(tmp_path: Path) -> None:
    study = study_with(tmp_path, "X,C0101,2026Q1,merge,,decree")
    assert study.region_changes.as_published("C0101", Quarter.parse("2025Q4")) == "C0101@2026Q1"
    assert study.region_changes.as_published("C0101", Quarter.parse("2026Q1")) == "C0101"
    assert study.region_name("C0101@2026Q1", "zh") == "示例县甲一（至2025Q4）"


@pytest.mark.parametrize(
    ("rows", "place", "told"),
    [
        (["X,P01,2026Q1,fusion,,d"], "row 2, column kind", "rename"),
        (["X,P01,2026-1,rename,,d"], "row 2, column quarter", "2026Q1"),
        (["X,P01,2026Q1,rename,,"], "row 2, column source", "decreed"),
        (["X,P01,2026Q1,rename,,d", "P02,P01,2026Q1,merge,,d"], "row 2, column kind", "merge"),
        (["X,P01,2026Q1,rename,0.5,d"], "row 2, column share", "split"),
        (["X,C0101,2026Q1,split,0.5,d", "X,C0102,2026Q1,split,0.4,d"], "row 2, column share", "share"),
        (["X,C0101,2026Q1,split,1,d"], "row 2, column new", "every part"),
        (["X,C0101,2026Q1,split,0.5,d", "X,C0101,2026Q1,split,0.5,d"], "row 2, column new", "once"),
        (["X,C0101,2026Q1,split,0.5,d", "X,P02,2026Q1,split,0.5,d"], "row 2, column new", "one level"),
        (["X,P01,2026Q1,merge,,d", "X,P02,2026Q1,merge,,d"], "row 2, column old", "one row"),
        (["P01,P02,2026Q1,merge,,d"], "row 2, column old", "take it out of regions.csv"),
        (["X,P1,2026Q1,rename,,d"], "row 2, column new", 'did you mean "P01"'),
    ],
)
def test_a_fault_of_the_table_names_row_column_and_remedy(
    tmp_path: Path, rows: list[str], place: str, told: str
) -> None:
    with pytest.raises(InputRejected) as caught:
        _ = study_with(tmp_path, *rows).region_changes
    assert caught.value.where == f"reference/region_changes.csv, {place}"
    assert told in caught.value.fix


def test_totals_of_earlier_codes_are_added_to_the_regions_that_they_are_read_as(tmp_path: Path) -> None:
    study = study_with(tmp_path, "X,P01,2026Q1,merge,,decree")
    (study.reference / "margins.csv").write_text(
        "quarter,column,category,total\n2025Q4,province,X,30\n2025Q4,province,P01,70\n2025Q4,tier,county,100\n"
        "2026Q1,province,P01,100\n2026Q1,tier,county,100\n",
        encoding="utf-8",
    )
    margins = Study.open(study.root).margins
    assert margins is not None
    places = margins[margins["column"] == "province"]
    assert places.set_index("quarter")[["category", "total"]].to_dict("index") == {
        quarter: {"category": "P01", "total": 100.0} for quarter in ("2025Q4", "2026Q1")
    }


def test_series_of_touched_regions_break_in_their_first_quarter_since(tmp_path: Path) -> None:
    study = study_with(tmp_path, "X,P01,2026Q1,merge,,decree")
    quarters = ["2025Q3", "2025Q4", "2026Q2"]  # the quarter of the change itself has no data
    places = [(region, quarter) for region in ("P01", "P02") for quarter in quarters]
    rows = [row("gross", "hours_week", "mean", 16.0, 0.4, region=region, period=each) for region, each in places]
    series = pd.DataFrame(rows)
    broken = broken_at_borders(series.assign(is_break=False), study.region_changes)
    assert broken.loc[broken["is_break"], ["region", "period"]].to_numpy().tolist() == [["P01", "2026Q2"]]
