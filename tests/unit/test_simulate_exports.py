"""Raw exports of the simulated study: shapes, dirt, truth beside them, the same bytes from the same seed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import UsageError
from analysis_lib.ingest.instruments import Column, read_instrument
from analysis_lib.ingest.simulate import dirt, simulate_study
from analysis_lib.ingest.simulate.fabricated import KINDS
from analysis_lib.ingest.simulate.streams import stream
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study
from analysis_lib.tables.drops import Drop
from analysis_lib.tables.store import Store

FIRST, LAST = Quarter(2025, 4), Quarter(2026, 1)


def new_study(repository: Path, folder: Path, *, last: Quarter = LAST) -> Study:
    """A copy of the demonstration study, two quarters long and without drops."""
    folder.mkdir()
    text = (repository / "data" / "study.toml").read_text(encoding="utf-8")
    text = text.replace('first = "2023Q4"', f'first = "{FIRST}"').replace('last = "2026Q3"', f'last = "{last}"')
    (folder / "study.toml").write_text(text, encoding="utf-8")
    shutil.copytree(repository / "data" / "reference", folder / "reference")
    return Study.open(folder)


@pytest.fixture(scope="module")
def study(repository, tmp_path_factory):
    study = new_study(repository, tmp_path_factory.mktemp("simulated") / "study")
    simulate_study(study, seed=1, progress=False)
    return study


def drops_of(study: Study, platform: str, quarter: Quarter = FIRST) -> list[Drop]:
    return [drop for drop in Store(study).drops(quarter) if drop.instrument == f"{platform}-v1"]


def read(drop: Drop, role: str, **options) -> pd.DataFrame:
    path = next(file.path for file in drop.files if file.role == role)
    if path.suffix == ".xlsx":
        return pd.read_excel(path, engine="calamine", **options)
    return pd.read_csv(path, dtype=str, keep_default_na=False, **options)


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# -- deliveries ---------------------------------------------------------------------------------------------------


def test_each_quarter_has_a_sample_list_on_its_first_day_and_a_delivery_from_every_province_after_its_end(study):
    for quarter in (FIRST, LAST):
        drops = Store(study).drops(quarter)
        assert drops[0].id == f"{quarter}/{quarter.first_day}/sample"
        main = [drop for drop in drops[1:] if not drop.id.endswith("-late")]
        assert sorted(drop.id.split("/")[-1] for drop in main) == [
            "p91-wjx", "p92-wjx", "p93-odk", "p94-odk", "p95-slots", "p96-slots",
        ]  # fmt: skip
        assert all(quarter.last_day < drop.received for drop in drops[1:])


def test_a_late_delivery_brings_new_respondents_and_changed_answers_of_earlier_ones(study):
    late = [drop for quarter in (FIRST, LAST) for drop in Store(study).drops(quarter) if drop.id.endswith("-late")]
    assert late
    planted = pd.concat(pd.read_csv(path) for path in (study.root / "truth" / "dirt").glob("*.csv"))
    resent = planted[planted["fault"] == "resent_in_late_delivery"]
    assert set(resent["drop"]) <= {drop.id for drop in late}
    assert resent["count"].sum() > 0


def test_the_sample_list_has_the_columns_of_its_instrument_and_a_byte_order_mark(study):
    drop = drops_of(study, "sample")[0]
    assert drop.files[0].path.read_bytes().startswith(b"\xef\xbb\xbf")
    sample = read(drop, "sample", encoding="utf-8-sig")
    assert list(sample.columns) == read_instrument(study, "sample-v1").files["sample"].headers
    assert sample["respondent_id"].is_unique
    has_weight = sample["diary_base_weight"] != ""
    assert (has_weight == (sample["diary_asked"] == "1")).all()


@pytest.mark.parametrize("platform", ["wjx", "odk", "slots"])
def test_every_file_has_exactly_the_headers_that_its_instrument_knows(study, platform):
    instrument = read_instrument(study, f"{platform}-v1")
    for drop in drops_of(study, platform):
        for file in drop.files:
            spec = instrument.files[file.role]
            options = {"sheet_name": spec.sheet} if platform == "wjx" else {"encoding": spec.encoding}
            seen = set(read(drop, file.role, **options).columns)
            assert seen - set(spec.ignored) == set(spec.headers) - set(spec.ignored)
            assert set(spec.ignored) <= seen


def test_a_workbook_holds_one_row_per_diary_day_with_its_episodes_side_by_side(study):
    diary = read(drops_of(study, "wjx")[0], "diary", sheet_name="日志")
    starts = diary.filter(regex="第[0-9]+段开始时间")
    assert starts.shape[1] == 30
    assert (starts["第1段开始时间"].dropna() == "00:00").mean() > 0.95
    assert diary["第5段主要活动"].notna().mean() > 0.95
    ends = diary.filter(regex="第[0-9]+段结束时间").ffill(axis=1).iloc[:, -1]
    assert (ends == "24:00").mean() > 0.9


def test_every_episode_of_the_repeat_group_has_its_parent(study):
    drop = drops_of(study, "odk")[0]
    diary, episodes = read(drop, "diary"), read(drop, "episodes")
    assert set(episodes["PARENT_KEY"]) == set(diary["KEY"])
    assert episodes["KEY"].is_unique
    assert episodes["episode-start_time"].str.fullmatch(r"\d\d:\d\d:00\.000\+08:00").all()


def test_a_slot_diary_has_144_slots_a_day_but_for_planted_faults(study):
    diary = read(drops_of(study, "slots")[0], "diary", encoding="gb18030")
    slots = diary.groupby(["工作编号", "日期"]).size()
    assert (slots == 144).mean() > 0.9
    assert (slots != 144).any()


def test_personal_columns_hold_nothing_that_could_be_real(study):
    names = read(drops_of(study, "slots")[0], "questionnaire", encoding="gb18030")["姓名"]
    assert names[names != ""].str.fullmatch(r"测试\d{4}").all()
    addresses = read(drops_of(study, "wjx")[0], "questionnaire")["来自IP"].dropna()
    assert addresses.str.startswith("192.0.2.").all()  # reserved for documentation (RFC 5737)


def test_a_clerks_total_closes_the_slot_questionnaire(study):
    questionnaire = read(drops_of(study, "slots")[0], "questionnaire", encoding="gb18030")
    assert questionnaire["工作编号"].iloc[-1] == "合计"
    assert (questionnaire == "").all(axis=1).sum() == 1  # the blank row


# -- dirt ---------------------------------------------------------------------------------------------------------


def test_the_usual_faults_are_all_there_and_rare(study):
    planted = pd.read_csv(study.root / "truth" / "dirt" / f"{FIRST}.csv").groupby("fault")["count"].sum()
    wanted = {*dirt.CELL_RATES, "duplicate_row", "resubmitted_row", "duplicate_day", "resubmitted_day"}
    wanted |= {"overlap", "gap", "unfinished", "date_outside_quarter", "full_width_clock", "clock_24_00", "total_row"}
    wanted |= {"unknown_activity", "value_out_of_range", "blank_row"}
    assert wanted <= set(planted.index)
    assert planted[list(dirt.CELL_RATES)].sum() < 0.03 * 1_450 * 34


def test_planted_faults_are_counted_as_they_are_found(study):
    for drop in drops_of(study, "odk"):
        planted = pd.read_csv(study.root / "truth" / "dirt" / f"{FIRST}.csv").query("`drop` == @drop.id")
        count = planted.set_index("fault")["count"]
        questionnaire = read(drop, "questionnaire").drop_duplicates("KEY")
        text = questionnaire.map(lambda cell: any(digit in cell for digit in "０１２３４５６７８９"))
        doubled = questionnaire["id-respondent_id"].str.strip().duplicated().sum()
        assert doubled == count.get("duplicate_row", 0) + count.get("resubmitted_row", 0)
        assert text.to_numpy().sum() >= count.get("full_width", 0)


def test_a_cell_has_one_fault_at_most_and_other_types_none():
    columns = {
        "work_hours": Column.model_validate({"from": "h", "type": "hours", "min": 0, "max": 110}),
        "submitted_at": Column.model_validate({"from": "t", "type": "datetime"}),
    }
    answers = pd.DataFrame({"work_hours": ["8.5"] * 20_000, "submitted_at": ["2026-01-01"] * 20_000})
    tally: Counter[str] = Counter()
    soiled = dirt.soil_cells(answers, columns, ["(跳过)"], stream(1, "cells"), tally)
    assert (soiled["submitted_at"] == "2026-01-01").all()
    changed = soiled["work_hours"] != "8.5"
    assert changed.sum() == tally.total()
    assert {"(跳过)", "８．５", "8.5小时", "  8.5 "} < set(soiled["work_hours"])
    for fault, rate in dirt.CELL_RATES.items():
        assert tally[fault] == pytest.approx(20_000 * rate, abs=5 * np.sqrt(20_000 * rate))


def test_an_overlap_moves_one_end_and_a_hole_takes_one_episode_out(monkeypatch):
    days = pd.DataFrame({"day": [0, 1]})
    episodes = pd.DataFrame(
        {
            "day": np.repeat([0, 1], 12),
            "start": np.tile(np.arange(12) * 120, 2),
            "end": np.tile(np.arange(12) * 120 + 120, 2),
            "activity": "C1",
            "value": 3,
        }
    )
    monkeypatch.setattr(dirt, "EPISODE_RATES", dict.fromkeys(dirt.EPISODE_RATES, 0.0))
    for fault in ("overlap", "gap"):
        monkeypatch.setattr(dirt, "DAY_RATES", {**dict.fromkeys(dirt.DAY_RATES, 0.0), fault: 1.0})
        soiled = dirt.soil_episodes(days, episodes, stream(1, fault), Counter())
        follows = (soiled["end"].shift() - soiled["start"])[soiled["day"].duplicated()]
        assert sorted(follows[follows != 0]) == ([20, 20] if fault == "overlap" else [-120, -120])


# -- truth --------------------------------------------------------------------------------------------------------


def test_the_truth_covers_every_place_tier_and_quarter_and_adds_up(study):
    means = pd.read_parquet(study.root / "truth" / "population_means.parquet")
    assert len(means) == 2 * (1 + 6 + 30) * 4
    cells = means.set_index(["quarter", "region", "tier"])
    for upper, lower in ((("all", "all"), [("all", tier) for tier in ("county", "township", "village")]),
                         (("all", "village"), [(code, "village") for code in study.regions_at("province")]),
                         (("92", "all"), [(code, "all") for code in study.regions_at("county", under="92")])):  # fmt: skip
        parts = cells.loc[[(str(LAST), *key) for key in lower]]
        mean = np.average(parts["gross"], weights=parts["officials"])
        assert cells.loc[(str(LAST), *upper), "gross"] == pytest.approx(mean)
        assert cells.loc[(str(LAST), *upper), "officials"] == parts["officials"].sum()


def test_the_truth_of_an_official_adds_up_to_a_week(study):
    official_quarters = pd.read_parquet(study.root / "truth" / "official_quarters.parquet")
    assert not official_quarters.duplicated(["respondent_id", "quarter"]).any()
    np.testing.assert_allclose(official_quarters.filter(like="hours_").sum(axis=1), 168)
    groups = ["meeting", "document", "form", "inspection", "digital", "for_show"]
    np.testing.assert_allclose(
        official_quarters[[f"group_{group}" for group in groups]].sum(axis=1), official_quarters["gross"]
    )
    sampled = read(drops_of(study, "sample")[0], "sample", encoding="utf-8-sig")
    first = official_quarters[official_quarters["quarter"] == str(FIRST)]
    assert set(first["respondent_id"]) == set(sampled["respondent_id"])


def test_the_truth_says_which_world_it_is(study):
    facts = json.loads((study.root / "truth" / "truth.json").read_text(encoding="utf-8"))
    assert (facts["scenario"], facts["seed"]) == ("b", 1)
    assert facts["hours_effect"]["meeting"] < 0


def test_the_list_is_asked_in_fourth_quarters_and_blank_in_others(study):
    for quarter, asked in ((FIRST, True), (LAST, False)):
        for platform, encoding in (("wjx", None), ("odk", "utf-8"), ("slots", "gb18030")):
            options = {"encoding": encoding} if encoding else {}
            for drop in drops_of(study, platform, quarter):
                columns = read_instrument(study, drop.instrument).files["questionnaire"].columns
                cells = read(drop, "questionnaire", **options)[
                    [columns[name].sources[0] for name in ("list_arm", "list_count")]
                ]
                answered = (cells.notna() & (cells != "")).to_numpy()
                assert answered.mean() > 0.5 if asked else answered.sum() <= 1  # of a clerk's line of totals
        truth = json.loads((study.root / "truth" / "list_experiment" / f"{quarter}.json").read_text(encoding="utf-8"))
        assert 0.2 < truth["share"] < 0.6


def test_nothing_is_made_up_unless_asked_for(study):
    for quarter in (FIRST, LAST):
        planted = pd.read_csv(study.root / "truth" / "fabricated" / f"{quarter}.csv")
        assert planted.empty


def test_made_up_returns_are_copies_and_are_listed(repository, tmp_path):
    made_up = new_study(repository, tmp_path / "made-up", last=FIRST)
    simulate_study(made_up, seed=1, fabricated=0.1, progress=False)
    planted = pd.read_csv(made_up.root / "truth" / "fabricated" / f"{FIRST}.csv")
    assert set(KINDS) - {"dictated"} == set(planted["kind"])
    drop = drops_of(made_up, "odk")[0]
    answers = read(drop, "questionnaire").drop_duplicates("id-respondent_id", keep="last").set_index("id-respondent_id")
    scales = answers.filter(like="scales-").drop(columns="scales-coping").apply(pd.to_numeric, errors="coerce")
    straight = planted.loc[planted["kind"] == "straight_lined", "respondent_id"]
    assert (scales[scales.index.isin(straight)].nunique(axis=1) <= 2).mean() > 0.9  # dirt may strike a cell
    with pytest.raises(UsageError, match="scenario b, seed 1"):
        simulate_study(made_up, seed=1, progress=False)


# -- the same again -----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_quarter_changes_none_of_them(study, repository, tmp_path):
    longer = new_study(repository, tmp_path / "longer", last=LAST.shift(1))
    simulate_study(longer, seed=1, quarters=[LAST], progress=False)
    before = {name: sha for name, sha in bytes_of(study.raw).items() if name.startswith(str(LAST))}
    assert bytes_of(longer.raw) == before
    assert before


def test_another_seed_gives_another_study(study, repository, tmp_path):
    other = new_study(repository, tmp_path / "other", last=FIRST)
    simulate_study(other, seed=2, quarters=[FIRST], progress=False)
    same = set(bytes_of(other.raw).values()) & set(bytes_of(study.raw).values())
    assert not same


def test_simulating_the_same_again_leaves_the_drops_alone(study):
    before = bytes_of(study.root)
    stamps = {path: path.stat().st_mtime_ns for path in study.raw.rglob("*")}
    simulate_study(study, seed=1, progress=False)
    assert bytes_of(study.root) == before
    assert {path: path.stat().st_mtime_ns for path in study.raw.rglob("*")} == stamps


@pytest.mark.parametrize("other", [{"scenario": "c", "seed": 1}, {"scenario": "b", "seed": 2}])
def test_a_study_is_not_mixed_from_two_worlds(study, other):
    with pytest.raises(UsageError, match="scenario b, seed 1"):
        simulate_study(study, **other, progress=False)


def test_drops_that_were_not_simulated_are_never_joined_by_simulated_ones(repository, tmp_path):
    real = new_study(repository, tmp_path / "real")
    (real.raw / str(FIRST) / "2026-01-10" / "someone").mkdir(parents=True)
    with pytest.raises(UsageError, match="not simulated"):
        simulate_study(real, progress=False)
    assert not (real.root / "truth").exists()


def test_a_quarter_outside_the_calendar_is_refused_before_anything_is_written(repository, tmp_path):
    empty = new_study(repository, tmp_path / "empty")
    with pytest.raises(UsageError, match="calendar"):
        simulate_study(empty, quarters=[Quarter(2030, 1)], progress=False)
    assert not (empty.root / "truth").exists()


def test_a_study_without_places_is_given_the_invented_ones(repository, tmp_path):
    bare = new_study(repository, tmp_path / "bare", last=FIRST)
    (bare.reference / "regions.csv").unlink()
    (bare.reference / "population.csv").unlink()
    simulate_study(bare, quarters=[], progress=False)
    assert Study.open(bare.root).region_name("91", "en") == "Example Province A"
