"""Slot diaries: what goes on unchanged from slot to slot is one episode."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest_study import as_csv, full_rows, ingest, listed, make_store, receive

from analysis_lib.ingest.instruments import read_instrument
from analysis_lib.tables.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


def slots(store: Store, *rows: tuple[str, str, str, str]) -> bytes:
    """Rows of respondent, start, activity and rating on one day, as the platform writes them."""
    instrument = read_instrument(store.study, "slots-v1")
    cells = [
        {"工作编号": who, "日期": "2026-02-02", "时段": start, "主要活动": activity, "价值": value}
        for who, start, activity, value in rows
    ]
    return as_csv(full_rows(instrument, "diary", *cells)).encode("gb18030")


def episodes(store: Store, *rows: tuple[str, str, str, str]) -> list[list]:
    receive(store, "slots-v1", {"diary": slots(store, *rows)})
    table = ingest(store)["episodes"]
    return table[["respondent_id", "start_minute", "end_minute", "activity", "value"]].fillna(0).to_numpy().tolist()


def test_slots_that_touch_and_agree_become_one_episode(store: Store) -> None:
    found = episodes(
        store,
        ("E1", "08:00", "M1", "2"),
        ("E1", "08:10", "M1", "2"),
        ("E1", "08:20", "M1", "3"),
        ("E1", "08:30", "S1", "3"),
        ("E1", "08:50", "S1", "3"),
        ("E2", "09:00", "S1", "3"),
    )
    assert found == [
        ["E1", 480, 500, "M1", 2],
        ["E1", 500, 510, "M1", 3],
        ["E1", 510, 520, "S1", 3],
        ["E1", 530, 540, "S1", 3],
        ["E2", 540, 550, "S1", 3],
    ]


def test_slots_are_sorted_before_they_are_joined(store: Store) -> None:
    assert episodes(store, ("E1", "23:50", "P0", ""), ("E1", "00:00", "M1", ""), ("E1", "２３：４０", "P0", "")) == [
        ["E1", 0, 10, "M1", 0],
        ["E1", 1420, 1440, "P0", 0],
    ]


def test_a_slot_exported_twice_counts_once(store: Store) -> None:
    assert episodes(store, *[("E1", "08:00", "M1", "2")] * 3, ("E1", "08:10", "M1", "2")) == [["E1", 480, 500, "M1", 2]]
    assert [rule for (rule,) in listed(ingest(store)["problems"], "rule")] == ["duplicate", "duplicate"]


def test_a_slot_with_two_stories_rejects_the_day(store: Store) -> None:
    assert episodes(store, ("E1", "08:00", "M1", ""), ("E1", "08:00", "S1", ""), ("E2", "08:00", "S1", "")) == [
        ["E2", 480, 490, "S1", 0]
    ]
    assert listed(ingest(store)["problems"], "row", "rule", "action") == [(3, "I51", "day_rejected")]


def test_an_unknown_activity_leaves_unknown_time_behind(store: Store) -> None:
    rows = [("E1", "08:00", "M1", ""), ("E1", "08:10", "X9", ""), ("E1", "08:20", "M1", "")]
    assert episodes(store, *rows) == [["E1", 480, 490, "M1", 0], ["E1", 500, 510, "M1", 0]]
    assert listed(ingest(store)["problems"], "row", "column", "rule", "action") == [
        (3, "主要活动", "I64", "value_rejected")
    ]
