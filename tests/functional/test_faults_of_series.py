"""Faults F31 to F36 of series, by their ids: places that change, quarters and regions that are missing, fits that fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from series_study import MEASURES, REGIONS, make
from tiny_suite import executed, jianfu, write_suite, write_tiny_study

from analysis_lib import pipeline
from analysis_lib.disclosure.handover import hand_over, read_evidence, read_results
from analysis_lib.disclosure.linked import protect_together
from analysis_lib.disclosure.protect import protect
from analysis_lib.errors import DesignError, InputRejected, UsageError
from analysis_lib.figures.trend import draw_trend, prepare_trend
from analysis_lib.monitoring.linking import with_gaps
from analysis_lib.parameters import RunParameters
from analysis_lib.publishing.pages import Report, quality_lines, silent_lines
from analysis_lib.publishing.sentences import Writer
from analysis_lib.quarters import Quarter
from analysis_lib.running.builds import build_quarters
from analysis_lib.running.study_check import check_study
from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate, estimate_change
from analysis_lib.survey.response import estimate_response
from analysis_lib.tables.store import Store

QUARTERS = ["2025Q4", "2026Q1"]


def numbers(store: Store, regions: list[str]) -> pd.DataFrame:
    """Means by region and quarter, and the change, from raw drops."""
    officials = pipeline.officials_in(store, Quarter.parse("2026Q1"))
    asked = {"study": store.study, "regions": regions}
    levels = estimate(officials, ["work"], periods={quarter: [quarter] for quarter in QUARTERS}, **asked)
    moved = estimate_change(officials, ["work"], earlier=["2025Q4"], later=["2026Q1"], label="2025Q4→2026Q1", **asked)
    rows = pd.concat([levels, moved]).set_index(["region", "period"])
    return rows[["estimate", "se", "ci_low", "ci_high", "n"]].astype(float)


# -- F32: codes of regions change -----------------------------------------------------------------------


def test_f32_a_rename_leaves_every_number_as_it_was(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain", {each: ["P01", "P02", "P03"] for each in QUARTERS}, regions=["P01", "P02", "P03"])
    renamed = make(
        tmp_path / "renamed", {"2025Q4": ["P01", "P02", "P03"], "2026Q1": ["P01", "P02", "P09"]},
        regions=["P01", "P02", "P09"], changes="P03,P09,2026Q1,rename,,decree,省丙,Province P03\n",
    )  # fmt: skip
    before = numbers(plain, ["all", "P01", "P02", "P03"])
    after = numbers(renamed, ["all", "P01", "P02", "P09"]).rename(index={"P09": "P03"})
    pd.testing.assert_frame_equal(before, after, rtol=0, atol=1e-12)


def test_f32_regions_that_merge_are_one_in_every_quarter_and_the_nation_stays(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain", {each: ["P01", "P02", "P03"] for each in QUARTERS}, regions=["P01", "P02", "P03"])
    merged = make(
        tmp_path / "merged", {"2025Q4": ["P01", "P02", "P03"], "2026Q1": ["P01", "P02", "P02"]},
        regions=["P01", "P02"], changes="P03,P02,2026Q1,merge,,decree,省丙,Province P03\n",
    )  # fmt: skip
    before, after = numbers(plain, ["all", "P01", "P02", "P03"]), numbers(merged, ["all", "P01", "P02"])
    pd.testing.assert_frame_equal(before.loc[["all", "P01"]], after.loc[["all", "P01"]], rtol=0, atol=1e-12)
    assert after["n"].loc["P02", "2025Q4"] == 50
    assert merged.study.region_changes.breaks == {"P02": [Quarter.parse("2026Q1")]}


def test_f32_parts_of_a_split_begin_anew_and_what_was_one_stays_in_the_nation(tmp_path: Path) -> None:
    split = make(
        tmp_path / "split", {"2025Q4": ["P01", "P02", "P02"], "2026Q1": ["P01", "P02", "P03"]},
        regions=["P01", "P02", "P03"],
        changes="P02,P02,2026Q1,split,0.5,decree,省乙,Province P02\nP02,P03,2026Q1,split,0.5,decree,,\n",
    )  # fmt: skip
    plain = make(tmp_path / "plain", {each: ["P01", "P02", "P03"] for each in QUARTERS}, regions=["P01", "P02", "P03"])
    before, after = numbers(plain, ["all", "P01", "P02", "P03"]), numbers(split, ["all", "P01", "P02", "P03"])
    pd.testing.assert_frame_equal(before.loc[["all", "P01"]], after.loc[["all", "P01"]], rtol=0, atol=1e-12)
    at_start = [("P02", "2025Q4"), ("P03", "2025Q4"), ("P02", "2025Q4→2026Q1"), ("P03", "2025Q4→2026Q1")]
    assert after["estimate"].loc[at_start].isna().all()
    assert after.loc[[("P03", "2026Q1")]].equals(before.loc[[("P03", "2026Q1")]])


def test_f32_a_changed_code_without_a_row_stops_with_the_name_of_the_table(tmp_path: Path) -> None:
    store = make(
        tmp_path / "s",
        {"2025Q4": ["P01", "P02", "P03"], "2026Q1": ["P01", "P02", "P09"]},
        regions=["P01", "P02", "P09"],
    )
    with pytest.raises(InputRejected, match=r"1 region code.* 20 rows or more") as caught:
        numbers(store, ["all"])
    assert "reference/region_changes.csv" in caught.value.fix
    assert "column region" in caught.value.where
    assert "2025Q4" in caught.value.where


def test_f32_check_tells_what_the_table_would_do_and_counts_the_rows(tmp_path: Path) -> None:
    store = make(
        tmp_path / "s", {"2025Q4": ["P01", "P03"], "2026Q1": ["P01", "P02"]}, regions=["P01", "P02"],
        changes="P03,P02,2026Q1,rename,,decree,,\n",
    )  # fmt: skip
    told = [each for each in check_study(store.study, store, []) if "region_changes.csv" in each]
    assert told == ["region_changes.csv: P03 is P02 from 2026Q1 on: one series under the new code"]
    problems = pipeline.ingest(store, Quarter.parse("2025Q4"))["problems"]
    read_as = problems[problems["rule"] == "F32"]
    assert read_as[["cells", "action"]].to_numpy().tolist() == [[25, "fixed"]]
    assert "renamed P02 in 2026Q1" in read_as["message"].iloc[0]


# -- F33: nothing comes from a region -------------------------------------------------------------------


def test_f33_a_region_without_a_diary_is_not_available_and_the_nation_rests_on_the_others(tmp_path: Path) -> None:
    store = make(tmp_path / "s", {"2026Q1": ["P01", "P02", "P03"]}, regions=[*REGIONS], with_diaries="P01 P02")
    quarter, study = Quarter.parse("2026Q1"), store.study
    officials = pipeline.officials_in(store, quarter)
    found = estimate(
        officials, ["gross", "work"], study=study, periods={"2026Q1": ["2026Q1"]}, regions=["all", *REGIONS]
    )
    hours = protect(found, "hours", study=study)
    rows = {(row["measure"], row["region"]): row for row in hours.table.to_dict("records")}
    assert rows["gross", "P03"]["mark"] == "x"
    assert np.isnan(rows["gross", "P03"]["value"])
    assert {rows["work", code]["mark"] for code in REGIONS} == {""}  # their questionnaires came
    kept = officials[officials["has_diary"]]
    expected = np.average(kept["gross"], weights=kept["diary_weight"])
    assert found.set_index(["measure", "region"])["estimate"]["gross", "all"] == pytest.approx(expected, abs=1e-12)
    sample = pipeline.ingest(store, quarter)["sample"]
    assert kept["diary_weight"].sum() == pytest.approx(sample["diary_base_weight"].fillna(0).sum())  # all are stood for


def test_f33_a_silent_region_is_no_part_of_what_a_reader_could_work_out(tmp_path: Path) -> None:
    store = make(tmp_path / "s", {"2026Q1": ["P01", "P02", "P03"]}, regions=[*REGIONS], with_diaries="P01 P02")
    officials = pipeline.officials_in(store, Quarter.parse("2026Q1"))
    asked = {"periods": {"2026Q1": ["2026Q1"]}, "regions": ["all", *REGIONS]}
    hours = protect(estimate(officials, ["gross"], study=store.study, **asked), "hours", study=store.study)
    hand_over(str(tmp_path / "tables"), hours)
    evidence = {"03-hours-lost": read_evidence(tmp_path / "tables")}
    together = protect_together({"03-hours-lost": {"hours": hours}}, evidence, study=store.study)
    assert together["03-hours-lost"]["hours"].table.equals(hours.table)


def test_f33_the_share_of_officials_that_is_covered_is_told_with_the_silent_regions(tmp_path: Path) -> None:
    store = make(tmp_path / "s", {"2026Q1": ["P01", "P02", "P03"]}, regions=[*REGIONS], with_diaries="P01 P02")
    quarter, study = Quarter.parse("2026Q1"), store.study
    officials, sample = pipeline.officials_in(store, quarter), pipeline.ingest(store, quarter)["sample"]
    response = protect(estimate_response(sample, officials, study=study, quarter=quarter), "response", study=study)
    told = response.table[response.table["measure"].str.endswith("_coverage")]
    assert told[["measure", "region", "value", "mark"]].to_numpy().tolist() == [
        ["diary_coverage", "all", 0.67, ""],
        ["diary_coverage", "P03", 0.0, ""],
    ]
    report = Report(study, quarter, "all", {"response": response}, [*REGIONS], 1)
    assert "P03" in silent_lines(report, Writer(study, "en"))[0]
    assert "67%" in silent_lines(report, Writer(study, "zh"))[0]


# -- F31: a quarter is missing --------------------------------------------------------------------------


def with_a_gap(folder: Path, declared: str = "") -> Store:
    """Two quarters with data and one between them without."""
    store = make(folder, {each: ["P01", "P02"] for each in ("2025Q4", "2026Q2")}, regions=["P01", "P02"])
    text = (folder / "study.toml").read_text(encoding="utf-8")
    (folder / "study.toml").write_text(text + declared, encoding="utf-8")
    return Store(Study.open(store.study.root))


NOT_HELD = '[calendar.not_held]\n"2026Q1" = { zh = "洪水", en = "floods" }\n'


def test_f31_a_build_refuses_a_quarter_without_data_that_nobody_declared(tmp_path: Path) -> None:
    store = with_a_gap(tmp_path / "s")
    with pytest.raises(InputRejected, match="no data of 2026Q1, between quarters that have some") as caught:
        build_quarters(store.study, [Quarter.parse("2026Q2")])
    assert caught.value.exit_code == 3
    assert "jianfu receive FILES --quarter 2026Q1" in caught.value.fix
    assert "[calendar.not_held]" in caught.value.fix
    assert "2026Q1: no data; a build will refuse" in check_study(store.study, store, [])


def test_f31_a_quarter_that_was_not_held_is_a_gap_with_its_reason_and_no_line_runs_across(tmp_path: Path) -> None:
    store = with_a_gap(tmp_path / "s", NOT_HELD)
    store.refuse_gaps(Quarter.parse("2026Q2"))
    assert any("2026Q1: not held" in each for each in check_study(store.study, store, []))
    run = RunParameters.parse(study=str(store.study.root), quarter="2026Q2", region="all", as_of="", results_dir="")
    periods = pipeline.periods(run)
    assert periods.unbroken == ["2026Q2"]
    held = estimate(pipeline.load_officials(run), ["work"], study=store.study, periods=periods.series, regions=["all"])
    series = protect(with_gaps(held.assign(is_break=False)), "series", study=store.study)
    assert series.table[["period", "mark"]].to_numpy().tolist() == [["2025Q4", ""], ["2026Q1", "x"], ["2026Q2", ""]]
    drawn = draw_trend(prepare_trend(series, ["work"], study=store.study, language="en"))
    lines = [line for line in drawn.axes[0].get_lines() + drawn.axes[0].artists if len(line.get_xdata()) == 3]
    assert all(np.isnan(np.asarray(line.get_ydata(), dtype=float)[1]) for line in lines)
    report = Report(store.study, Quarter.parse("2026Q2"), "all", {"series": series, "hours": series}, [], 1)
    assert any("floods" in line for line in quality_lines(report, Writer(store.study, "en")))


def test_f31_a_quarter_that_is_declared_as_not_held_must_have_no_data(tmp_path: Path) -> None:
    store = with_a_gap(tmp_path / "s", NOT_HELD.replace("2026Q1", "2026Q2"))
    with pytest.raises(InputRejected, match="no data of 2026Q1"):
        store.refuse_gaps(Quarter.parse("2026Q2"))
    store = with_a_gap(tmp_path / "t", NOT_HELD + '"2025Q4" = { zh = "无", en = "none" }\n')
    with pytest.raises(InputRejected, match="2025Q4 is declared as not held and has data"):
        store.refuse_gaps(Quarter.parse("2026Q2"))


def test_f31_a_reason_is_needed_in_both_languages(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reason"):
        with_a_gap(tmp_path / "s", '[calendar.not_held]\n"2026Q1" = { zh = "洪水" }\n')


# -- F36: a stratum with a single work unit --------------------------------------------------------------


def with_a_single_unit(folder: Path, option: str = "") -> Store:
    """Four work units in the stratum of townships, and one in that of counties."""
    store = make(folder, {"2026Q1": ["P01", "P02"]}, regions=["P01", "P02"])
    path = folder / "study.toml"
    text = path.read_text(encoding="utf-8").replace('psu = ""', f'psu = "unit"\n{option}')
    path.write_text(text, encoding="utf-8")
    listing = folder / "reference" / "instruments" / "list.toml"
    column = 'unit = { from = "unit", type = "id" }\ntier = {'
    listing.write_text(listing.read_text(encoding="utf-8").replace("tier = {", column, 1), encoding="utf-8")
    store = Store(Study.open(folder))
    (drop,) = [each for each in store.drops(Quarter.parse("2026Q1")) if each.instrument == "list"]
    head, *lines = drop.files[0].path.read_text(encoding="utf-8").splitlines()
    units = ["only" if ",county," in line else f"u{i % 4}" for i, line in enumerate(lines, start=1)]
    text = "\n".join([f"{head},unit", *(f"{line},{unit}" for line, unit in zip(lines, units, strict=True))])
    sample = folder / "sample.csv"
    sample.write_text(text + "\n", encoding="utf-8")
    store.receive(
        {"sample": sample}, quarter=drop.quarter, instrument="list", source="team", slug="units", received=drop.received,
        supersedes=(drop.id,),
    )  # fmt: skip
    return store


def test_f36_a_stratum_with_a_single_work_unit_is_refused_by_name_before_any_notebook(tmp_path: Path) -> None:
    store = with_a_single_unit(tmp_path / "s")
    with pytest.raises(DesignError, match="stratum county with a single sampled unit") as caught:
        pipeline.prepare(store.study, Quarter.parse("2026Q1"))
    assert caught.value.exit_code == 3
    assert "single_psu" in caught.value.fix


@pytest.mark.parametrize("option", ["certainty", "adjust", "average"])
def test_f36_the_option_of_the_study_lets_it_pass_and_stands_on_the_page(tmp_path: Path, option: str) -> None:
    store = with_a_single_unit(tmp_path / "s", f'single_psu = "{option}"\n')
    officials = pipeline.officials_in(store, Quarter.parse("2026Q1"))
    found = estimate(officials, ["work"], study=store.study, periods={"2026Q1": ["2026Q1"]}, regions=["all"])
    assert np.isfinite(found["se"]).all()
    report = Report(store.study, Quarter.parse("2026Q1"), "all", {}, [], 1)
    for language, words in (("en", "a single work unit"), ("zh", "只有一个工作单位")):
        assert any(words in line for line in quality_lines(report, Writer(store.study, language)))


# -- F35: a model that cannot be fitted, in a notebook ---------------------------------------------------

SEPARATED = """
outcomes = ["work"]
form = "log"
[terms.meetings]
column = "meetings"
name_zh = "会议"
name_en = "Meetings"
title_zh = "多一场会"
title_en = "One more meeting"
[terms.tier]
column = "stratum"
reference = "town"
"""
ASK_THE_MODEL = """import pandas as pd
from analysis_lib.disclosure.handover import hand_over
from analysis_lib.disclosure.protect import protect
from analysis_lib.study import Study
from analysis_lib.survey.drivers import what_drives
opened = Study.open(study)
officials = pd.read_parquet(f"{study}/officials.parquet")
driven = what_drives(officials, study=opened, period="2026Q1", quarters=["2026Q1"])
hand_over(results_dir, protect(driven.effects, "answer", study=opened))
driven.fit["reason"].iloc[0]"""


def test_f35_a_separated_model_ends_its_notebook_well_without_a_number_and_with_its_reason(tmp_path: Path) -> None:
    of_officials = make(tmp_path / "s", {"2026Q1": ["P01", "P02"]}, regions=["P01", "P02"])
    officials = pipeline.officials_in(of_officials, Quarter.parse("2026Q1"))
    officials["meetings"] = np.arange(len(officials)) % 5.0
    officials.loc[officials["stratum"] == "county", "work"] = 0.0  # not an hour in one category: its log has no end
    study = write_tiny_study(tmp_path / "t" / "data")
    (study.reference / "drivers.toml").write_text(SEPARATED, encoding="utf-8")
    (study.reference / "measures.toml").write_text(MEASURES, encoding="utf-8")
    officials.to_parquet(study.root / "officials.parquet", index=False)
    suite = write_suite(tmp_path / "notebooks", {"03-hours": [ASK_THE_MODEL]})
    code, _, err = jianfu(suite, study, "run", "--quarter", "2026Q3", "--allow-drift")
    assert code == 0, err
    (folder,) = [path.parent for path in study.results.rglob("executed.ipynb")]
    rows = read_results(folder / "tables")["answer"].table
    assert set(rows["mark"]) == {"x"}
    assert rows[["value", "ci_low", "ci_high"]].isna().all(axis=None)
    assert "no solution" in json.dumps(executed(folder))
