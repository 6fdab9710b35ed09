"""Corrections: known errors of sources, with a reason, that stop by themselves when the source is fixed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from ingest_study import ANSWERS, DIARY, ingest, listed, make_store, receive

from analysis_lib.errors import InputRejected

CSV = "id,name,submitted,hours,meetings\nE1,x,2026-02-01 10:00,40,3\nE2,x,2026-02-01 10:00,8,\n"
HEAD = '[[correction]]\nquarter = "2026Q1"\nreason = "phoned the office"\nauthor = "wl"\n'


def corrected(folder: Path, body: str, *, csv: str = CSV) -> dict[str, pd.DataFrame]:
    store = make_store(folder, ANSWERS, DIARY, corrections=HEAD + body)
    receive(store, "answers", {"questionnaire": csv})
    return ingest(store)


OVERRIDE = (
    'table = "respondents"\naction = "override"\nrespondent_id = "E2"\ncolumn = "work_hours"\nvalue = 48\nexpect = 8\n'
)


def test_an_override_replaces_the_value_and_is_listed(tmp_path: Path) -> None:
    tidy = corrected(tmp_path, OVERRIDE)
    assert tidy["respondents"]["work_hours"].tolist() == [40, 48]
    assert listed(tidy["problems"], "row", "column", "rule", "action", "message") == [
        (3, "work_hours", "correction 1", "fixed", "phoned the office")
    ]


def test_a_correction_stops_when_the_source_is_fixed(tmp_path: Path) -> None:
    tidy = corrected(tmp_path, OVERRIDE, csv=CSV.replace(",8,", ",47,"))
    assert tidy["respondents"]["work_hours"].tolist() == [40, 47]
    ((row, action, message),) = listed(tidy["problems"], "row", "action", "message")
    assert (row, action) == (3, "warned")
    assert message.startswith("correction no longer applies")


def test_a_correction_that_meets_no_row_says_so(tmp_path: Path) -> None:
    tidy = corrected(tmp_path, OVERRIDE.replace("E2", "E7"))
    assert listed(tidy["problems"], "file", "action") == [("corrections.toml", "warned")]


def test_rows_are_dropped_by_drop_and_row(tmp_path: Path) -> None:
    tidy = corrected(tmp_path, 'table = "respondents"\naction = "drop"\ndrop = "2026Q1/2026-04-05/first"\nrow = 2\n')
    assert tidy["respondents"]["respondent_id"].tolist() == ["E2"]
    assert listed(tidy["problems"], "row", "action") == [(2, "row_rejected")]


def test_a_flag_changes_nothing_but_the_list(tmp_path: Path) -> None:
    tidy = corrected(tmp_path, 'table = "respondents"\naction = "flag"\nrespondent_id = "E1"\n')
    assert len(tidy["respondents"]) == 2
    assert listed(tidy["problems"], "row", "action") == [(2, "warned")]


def test_a_correction_of_a_diary_day_leaves_the_other_days_alone(tmp_path: Path) -> None:
    body = 'table = "episodes"\naction = "override"\nrespondent_id = "E1"\ndiary_date = "2026-02-01"\ncolumn = "activity"\nvalue = "S1"\nexpect = "M1"\n'
    store = make_store(tmp_path, DIARY, corrections=HEAD + body)
    rows = "id,date,start,end,activity,value\nE1,2026-02-01,08:00,09:00,M1,2\nE1,2026-02-02,08:00,09:00,M1,2\n"
    receive(store, "diary", {"episodes": rows})
    assert ingest(store)["episodes"]["activity"].tolist() == ["S1", "M1"]


@pytest.mark.parametrize(
    "entry", [HEAD + OVERRIDE + 'status = "closed"\n', (HEAD + OVERRIDE).replace("2026Q1", "2025Q4")]
)
def test_closed_corrections_and_those_of_other_quarters_rest(tmp_path: Path, entry: str) -> None:
    store = make_store(tmp_path, ANSWERS, corrections=entry)
    receive(store, "answers", {"questionnaire": CSV})
    tidy = ingest(store)
    assert tidy["respondents"]["work_hours"].tolist() == [40, 8]
    assert listed(tidy["problems"], "rule") == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (OVERRIDE.replace("respondent_id", "respondent"), "did you mean .*respondent_id"),
        (OVERRIDE.replace('respondent_id = "E2"\n', ""), "name a respondent_id or a drop"),
        (OVERRIDE.replace("value = 48\n", ""), "names a column and a value"),
        (OVERRIDE.replace("work_hours", "work_hour"), 'did you mean "work_hours"'),
        (OVERRIDE.replace("value = 48", 'value = "48"'), "must be a number"),
    ],
)
def test_a_correction_that_does_not_say_what_and_where_is_refused(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(InputRejected, match=message):
        corrected(tmp_path, body)
