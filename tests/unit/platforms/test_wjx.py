"""问卷星-like workbooks: answers by sheet, episodes side by side in numbered blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest_study import as_workbook, full_rows, ingest, listed, make_store, receive

from analysis_lib.ingest.instruments import Instrument, read_instrument
from analysis_lib.tables.store import Store

ID, SUBMITTED, DATE = "1、您的工作编号", "提交答卷时间", "2、日志日期"
HOURS = "2、上一个完整工作周，您总共工作多少小时（含晚上和周末）？"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


@pytest.fixture
def instrument(store: Store) -> Instrument:
    return read_instrument(store.study, "wjx-v1")


def block(n: int, start: str, end: str, activity: str, **more: str) -> dict[str, object]:
    return {
        f"第{n}段开始时间": start,
        f"第{n}段结束时间": end,
        f"第{n}段主要活动": activity,
        f"第{n}段是否重复": more.get("repeat", "(跳过)"),
        f"第{n}段价值": more.get("value", "(跳过)"),
    }


def diary(store: Store, instrument: Instrument, *rows: dict[str, object]) -> Path:
    return as_workbook(store.study.root / "outbox/diary.xlsx", "日志", full_rows(instrument, "diary", *rows))


def test_a_questionnaire_row_becomes_a_respondent(store: Store, instrument: Instrument) -> None:
    rows = full_rows(
        instrument,
        "questionnaire",
        {ID: "E1", SUBMITTED: "2026/2/3 9:30:12", "所用时间": "312秒", HOURS: "５０", "11、上周共参加几场会？": 3},
    )
    receive(store, "wjx-v1", {"questionnaire": as_workbook(store.study.root / "outbox/q.xlsx", "答卷", rows)})
    respondents = ingest(store)["respondents"]
    row = respondents.iloc[0]
    assert (row["respondent_id"], row["submitted_at"], row["duration_s"]) == ("E1", "2026-02-03T09:30:12", 312)
    assert (row["work_hours"], row["meetings_attended"]) == (50, 3)
    assert (row["region"], row["received"], row["instrument"]) == ("all", "2026-04-05", "wjx-v1")
    assert "来自IP" not in respondents.columns


def test_blocks_become_episodes_and_empty_blocks_nothing(store: Store, instrument: Instrument) -> None:
    row = {ID: "E1", SUBMITTED: "2026/2/3 9:30", DATE: "2026/2/2"}
    row |= block(1, "00:00", "0830", "P0") | block(2, "８：３０", "下午1:00", "M1", repeat="是", value="2")
    row |= block(4, "13:00", "24:00", "P0")
    receive(store, "wjx-v1", {"diary": diary(store, instrument, row)})
    episodes = ingest(store)["episodes"]
    columns = ["respondent_id", "diary_date", "start_minute", "end_minute", "activity", "value"]
    assert episodes[columns].fillna(-1).to_numpy().tolist() == [
        ["E1", "2026-02-02", 0, 510, "P0", -1],
        ["E1", "2026-02-02", 510, 780, "M1", 2],
        ["E1", "2026-02-02", 780, 1440, "P0", -1],
    ]
    assert episodes["is_repeat"].tolist()[1] is True
    assert episodes["is_repeat"].isna().tolist() == [True, False, True]


def test_a_faulty_block_is_listed_with_its_own_header_and_row(store: Store, instrument: Instrument) -> None:
    row = {ID: "E1", DATE: "2026/2/2"} | block(1, "00:00", "08:00", "P0") | block(2, "25:10", "09:00", "M1")
    row |= block(3, "09:00", "10:00", "X9") | block(4, "10:00", "11:00", "M1", value="7")
    receive(store, "wjx-v1", {"diary": diary(store, instrument, {}, row)})
    tidy = ingest(store)
    assert tidy["episodes"]["activity"].tolist() == ["P0", "M1"]
    assert listed(tidy["problems"], "sheet", "row", "column", "rule", "action") == [
        ("日志", 3, "第2段开始时间", "I47", "row_rejected"),
        ("日志", 3, "第3段主要活动", "I64", "value_rejected"),
        ("日志", 3, "第4段价值", "range", "value_rejected"),
    ]


def test_a_day_handed_in_twice_stands_as_last_submitted_with_all_its_episodes(
    store: Store, instrument: Instrument
) -> None:
    first = {ID: "E1", SUBMITTED: "2026/2/3 9:30", DATE: "2026/2/2"} | block(1, "00:00", "12:00", "P0")
    later = {ID: "E1", SUBMITTED: "2026/2/3 18:00", DATE: "2026/2/2"} | block(1, "12:00", "24:00", "M1")
    receive(store, "wjx-v1", {"diary": diary(store, instrument, later, first)})
    tidy = ingest(store)
    assert tidy["episodes"][["start_minute", "activity"]].to_numpy().tolist() == [[720, "M1"]]
    assert ("I58", "superseded", 3) in listed(tidy["problems"], "rule", "action", "row")


def test_the_same_workbook_may_hold_both_sheets(store: Store, instrument: Instrument, tmp_path: Path) -> None:
    import openpyxl

    path = tmp_path / "outbox" / "both.xlsx"
    path.parent.mkdir()
    book = openpyxl.Workbook()
    for role, name in (("questionnaire", "答卷"), ("diary", "日志")):
        sheet = book.create_sheet(name)
        for line in full_rows(instrument, role, {ID: "E1", DATE: "2026-02-02"} | block(1, "00:00", "24:00", "P0")):
            sheet.append(line)
    book.save(path)
    receive(store, "wjx-v1", {"questionnaire": path, "diary": path})
    tidy = ingest(store)
    assert (len(tidy["respondents"]), len(tidy["episodes"])) == (1, 1)
