"""ODK CSV: a repeat group in its own file, tied to its submission by a key."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest_study import as_csv, full_rows, ingest, listed, make_store, receive

from analysis_lib.errors import InputRejected
from analysis_lib.ingest.instruments import Instrument, read_instrument
from analysis_lib.tables.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


@pytest.fixture
def instrument(store: Store) -> Instrument:
    return read_instrument(store.study, "odk-v1")


def day(key: str, respondent: str, date: str, submitted: str = "2026-02-03T09:30:00.000+08:00") -> dict[str, object]:
    return {"KEY": key, "id-respondent_id": respondent, "diary_date": date, "SubmissionDate": submitted}


def episode(parent: str, start: str, end: str, activity: str, **more: str) -> dict[str, object]:
    return {
        "PARENT_KEY": parent,
        "episode-start_time": start,
        "episode-end_time": end,
        "episode-activity": activity,
        "episode-medium": more.get("medium", ""),
    }


def send(store: Store, instrument: Instrument, days: list[dict], episodes: list[dict], **how: str) -> None:
    files = {
        "diary": as_csv(full_rows(instrument, "diary", *days)),
        "episodes": as_csv(full_rows(instrument, "episodes", *episodes)),
    }
    receive(store, "odk-v1", files, **how)


def test_episodes_get_respondent_and_date_from_their_submission(store: Store, instrument: Instrument) -> None:
    send(
        store,
        instrument,
        [day("uuid:a", "E2", "2026-02-02"), day("uuid:b", "E1", "2026-02-01")],
        [
            episode("uuid:b", "08:00:00.000+08:00", "00:00:00.000+08:00", "M1", medium="video"),
            episode("uuid:a", "00:00:00.000+08:00", "12:00:00.000+08:00", "P0"),
            episode("uuid:b", "00:00:00.000+08:00", "08:00:00.000+08:00", "P0"),
        ],
    )
    columns = ["respondent_id", "diary_date", "start_minute", "end_minute", "activity", "medium"]
    assert ingest(store)["episodes"][columns].to_numpy().tolist() == [
        ["E1", "2026-02-01", 0, 480, "P0", ""],
        ["E1", "2026-02-01", 480, 1440, "M1", "video"],
        ["E2", "2026-02-02", 0, 720, "P0", ""],
    ]


def test_an_episode_without_submission_is_listed_as_an_orphan(store: Store, instrument: Instrument) -> None:
    send(
        store,
        instrument,
        [day("uuid:a", "E1", "2026-02-02")],
        [episode("uuid:x", "00:00", "08:00", "P0"), episode("uuid:a", "08:00", "09:00", "M1")],
    )
    tidy = ingest(store)
    assert tidy["episodes"]["activity"].tolist() == ["M1"]
    assert listed(tidy["problems"], "file", "row", "column", "rule", "action") == [
        ("episodes.csv", 2, "PARENT_KEY", "orphan", "row_rejected")
    ]


def test_a_submission_exported_twice_keeps_its_episodes(store: Store, instrument: Instrument) -> None:
    twice = [day("uuid:a", "E1", "2026-02-02")] * 2
    rows = [episode("uuid:a", "00:00", "08:00", "P0"), episode("uuid:a", "08:00", "24:00", "M1")]
    send(store, instrument, twice, [*rows, *rows])
    tidy = ingest(store)
    assert tidy["episodes"]["activity"].tolist() == ["P0", "M1"]
    assert [action for (action,) in listed(tidy["problems"], "action") if action != "fixed"] == ["superseded"] * 3


def test_of_two_submissions_for_a_day_the_later_stands_whatever_the_order_in_the_file(
    store: Store, instrument: Instrument
) -> None:
    send(
        store,
        instrument,
        [
            day("uuid:late", "E1", "2026-02-02", "2026-02-04T01:00:00Z"),
            day("uuid:early", "E1", "2026-02-02", "2026-02-04T08:00:00+08:00"),
        ],
        [episode("uuid:late", "00:00", "08:00", "M1"), episode("uuid:early", "00:00", "08:00", "P0")],
    )
    assert ingest(store)["episodes"]["activity"].tolist() == ["M1"]


def test_a_day_without_a_single_episode_is_listed(store: Store, instrument: Instrument) -> None:
    send(
        store,
        instrument,
        [day("uuid:a", "E1", "2026-02-02"), day("uuid:b", "E2", "2026-02-02")],
        [episode("uuid:a", "00:00", "08:00", "P0")],
    )
    assert listed(ingest(store)["problems"], "file", "row", "rule", "action") == [
        ("diary.csv", 3, "no_episodes", "day_rejected")
    ]


def test_a_repeat_group_without_its_submissions_is_refused(store: Store, instrument: Instrument) -> None:
    rows = full_rows(instrument, "episodes", episode("uuid:a", "00:00", "08:00", "P0"))
    receive(store, "odk-v1", {"episodes": as_csv(rows)})
    with pytest.raises(InputRejected, match="receive both files together"):
        ingest(store)
