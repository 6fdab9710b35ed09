"""Plain tables: the way in for a study with files of its own."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from ingest_study import STUDY_TOML, ingest, listed, make_store, receive

from analysis_lib.errors import InputRejected
from analysis_lib.tables.store import Store

TIME_USE = """
version = "time-use"
platform = "plain"
title_zh = "时间利用"
title_en = "Time use"
[files.respondents]
grain = "respondents"
ignored = ["state"]
[files.respondents.columns]
respondent_id = { from = "case", type = "id", pad = 4 }
diary_date = { from = ["year", "month", "day"], type = "date" }
weight = { from = "wt", type = "weight", required = true }
sex = { from = "sex", type = "category" }
age = { from = "age", type = "number" }
[files.totals]
grain = "day_totals"
[files.totals.columns]
respondent_id = { from = "case", type = "id", pad = 4 }
activity = { from = "code", type = "activity", pad = 6 }
minutes = { from = "dur", type = "number", min = 0, max = 1440 }
[files.episodes]
grain = "episodes"
[files.episodes.columns]
respondent_id = { from = "case", type = "id", pad = 4 }
start = { from = "start", type = "clock" }
end = { from = "stop", type = "clock" }
activity = { from = "code", type = "activity", pad = 6 }
"""

RESPONDENTS = (
    "case,year,month,day,wt,sex,age,state\n0101,2026,1,3,8155462.67,female,60,x\n0102,2026,2,9,1.7e6,male,41,x\n"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = make_store(tmp_path, TIME_USE, study_toml=STUDY_TOML + '[diary]\nday_starts = "04:00"\n')
    codes = store.study.reference / "activities.csv"
    codes.write_text(codes.read_text(encoding="utf-8") + "010101,sleep,,,,\n050101,work,,,,\n", encoding="utf-8")
    return store


def parquet(store: Store, rows: list[tuple[int, int, float]]) -> Path:
    path = store.study.root / "totals.parquet"
    pd.DataFrame(rows, columns=pd.Index(["case", "code", "dur"])).to_parquet(path)
    return path


def test_numbers_in_parquet_become_codes_and_ids_again(store: Store) -> None:
    totals = parquet(store, [(101, 10101, 600.0), (101, 50101, 840.0), (102, 10101, 480.5)])
    receive(store, "time-use", {"respondents": RESPONDENTS, "totals": totals})
    tidy = ingest(store)
    assert tidy["day_totals"][["respondent_id", "diary_date", "activity", "minutes"]].to_numpy().tolist() == [
        ["0101", "2026-01-03", "010101", 600.0],
        ["0101", "2026-01-03", "050101", 840.0],
        ["0102", "2026-02-09", "010101", 480.5],
    ]
    columns = ["respondent_id", "region", "diary_date", "weight", "sex", "age"]
    assert tidy["respondents"][columns].to_numpy().tolist() == [
        ["0101", "all", "2026-01-03", 8155462.67, "female", 60.0],
        ["0102", "all", "2026-02-09", 1.7e6, "male", 41.0],
    ]
    assert tidy["sample"].empty
    assert tidy["problems"].empty


def test_a_day_from_four_to_four_is_counted_from_four_and_cut_at_four(store: Store) -> None:
    rows = "case,start,stop,code\n0101,04:00:00,09:30:00,10101\n0101,09:30,23:00,50101\n0101,23:00,06:45,10101\n"
    receive(store, "time-use", {"respondents": RESPONDENTS, "episodes": rows})
    tidy = ingest(store)
    assert tidy["episodes"][["start_minute", "end_minute"]].to_numpy().tolist() == [[0, 330], [330, 1140], [1140, 1440]]
    assert listed(tidy["problems"], "row", "rule", "action") == [(0, "midnight", "fixed")]


def test_an_hour_after_midnight_belongs_to_the_diary_day_before(store: Store) -> None:
    rows = "case,start,stop,code\n0101,00:30,04:00,10101\n"
    receive(store, "time-use", {"respondents": RESPONDENTS, "episodes": rows})
    assert ingest(store)["episodes"][["start_minute", "end_minute"]].to_numpy().tolist() == [[1230, 1440]]


def test_a_diary_of_somebody_without_a_date_is_listed(store: Store) -> None:
    totals = parquet(store, [(101, 10101, 600.0), (999, 10101, 600.0)])
    receive(store, "time-use", {"respondents": RESPONDENTS, "totals": totals})
    tidy = ingest(store)
    assert tidy["day_totals"]["respondent_id"].tolist() == ["0101"]
    assert listed(tidy["problems"], "file", "row", "rule", "action") == [
        ("totals.parquet", 2, "unknown_respondent", "row_rejected")
    ]


def test_a_day_with_too_many_minutes_or_two_totals_of_one_activity_is_rejected(store: Store) -> None:
    totals = parquet(store, [(101, 10101, 900.0), (101, 50101, 600.0), (102, 10101, 60.0), (102, 10101, 90.0)])
    receive(store, "time-use", {"respondents": RESPONDENTS, "totals": totals})
    tidy = ingest(store)
    assert tidy["day_totals"].empty
    assert listed(tidy["problems"], "row", "rule", "action") == [(1, "I53", "day_rejected"), (4, "I58", "day_rejected")]


def test_a_row_without_weight_is_rejected_and_a_zero_weight_only_listed(store: Store) -> None:
    respondents = (
        "case,year,month,day,wt,sex,age,state\n0101,2026,1,3,0,f,60,x\n0102,2026,1,3,,f,60,x\n0103,2026,1,3,-1,f,60,x\n"
    )
    receive(store, "time-use", {"respondents": respondents})
    tidy = ingest(store)
    assert tidy["respondents"]["respondent_id"].tolist() == ["0101"]
    found = tidy["problems"][["row", "rule", "action"]].to_numpy().tolist()
    assert found == [[2, "I61", "warned"], [3, "missing:not_answered", "row_rejected"], [4, "I61", "row_rejected"]]


def test_damaged_parquet_is_refused(store: Store) -> None:
    path = parquet(store, [(101, 10101, 600.0)])
    path.write_bytes(path.read_bytes()[:-20])
    receive(store, "time-use", {"respondents": RESPONDENTS, "totals": path})
    with pytest.raises(InputRejected, match=r"totals\.parquet: F11"):
        ingest(store)


def test_a_diary_without_any_date_is_refused(store: Store) -> None:
    receive(store, "time-use", {"episodes": "case,start,stop,code\n0101,00:30,04:00,10101\n"})
    with pytest.raises(InputRejected, match="diary_date"):
        ingest(store)
