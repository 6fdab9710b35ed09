"""A day told as episodes or as slots, in any order and from any hour on, is the same day of 1440 minutes."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_study import DIARY, STUDY_TOML, ingest, make_store, receive

SLOTS = """
version = "tiny-slots"
platform = "slots"
title_zh = "时段"
title_en = "slots"
[files.diary]
grain = "slots"
slot_minutes = 10
[files.diary.columns]
respondent_id = { from = "id", type = "id" }
diary_date = { from = "date", type = "date" }
start = { from = "start", type = "clock" }
activity = { from = "activity", type = "activity" }
"""
ACTIVITIES = ["M1", "S1", "P0"]


def clock(minute: int) -> str:
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"


@st.composite
def days(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    """Start, end and activity of the episodes of a day; neighbours differ."""
    cuts = sorted(draw(st.sets(st.integers(1, 143), min_size=1, max_size=20)))
    edges = [0, *(10 * cut for cut in cuts), 1440]
    first = draw(st.integers(0, 2))
    steps = draw(st.lists(st.integers(1, 2), min_size=len(cuts), max_size=len(cuts)))
    names = [first]
    for step in steps:
        names.append((names[-1] + step) % 3)
    return [(start, end, ACTIVITIES[name]) for (start, end), name in zip(pairwise(edges), names, strict=True)]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("days")


def read_day(folder: Path, instrument: str, role: str, header: str, rows: list[str], day_starts: int) -> pd.DataFrame:
    shutil.rmtree(folder, ignore_errors=True)
    toml = STUDY_TOML + f'[diary]\nday_starts = "{clock(day_starts)}"\n'
    store = make_store(folder, DIARY, SLOTS, study_toml=toml)
    receive(store, instrument, {role: header + "\n" + "".join(row + "\n" for row in rows)})
    return ingest(store)["episodes"]


@given(day=days(), day_starts=st.sampled_from([0, 240, 300, 720]), data=st.data())
@settings(max_examples=20, deadline=None)
def test_a_day_has_1440_minutes_however_it_is_told(
    scratch: Path, day: list[tuple[int, int, str]], day_starts: int, data: st.DataObject
) -> None:
    told = [
        f"E1,2026-02-02,{clock(start + day_starts)},{clock(end + day_starts)},{name},"
        for start, end, name in data.draw(st.permutations(day))
    ]
    episodes = read_day(scratch / "a", "diary", "episodes", "id,date,start,end,activity,value", told, day_starts)
    columns = ["start_minute", "end_minute", "activity"]
    assert episodes[columns].to_numpy().tolist() == [list(episode) for episode in day]
    assert (episodes["end_minute"] - episodes["start_minute"]).sum() == 1440

    slots = [
        f"E1,2026-02-02,{clock(minute + day_starts)},{name}"
        for start, end, name in day
        for minute in range(start, end, 10)
    ]
    shuffled = data.draw(st.permutations(slots))
    joined = read_day(scratch / "b", "tiny-slots", "diary", "id,date,start,activity", shuffled, day_starts)
    pd.testing.assert_frame_equal(joined[columns], episodes[columns])
