"""Instruments are read strictly: what they do not say is not guessed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ingest_study import ANSWERS, make_store

from analysis_lib.errors import InputRejected
from analysis_lib.ingest.instruments import read_instrument
from analysis_lib.study import Study


def faulty(folder: Path, old: str, new: str) -> InputRejected:
    assert old in ANSWERS
    store = make_store(folder, ANSWERS.replace(old, new))
    with pytest.raises(InputRejected) as caught:
        read_instrument(store.study, "answers")
    return caught.value


def test_every_instrument_of_the_demonstration_study_is_valid(repository: Path) -> None:
    study = Study.open(repository / "data")
    versions = sorted(path.stem for path in (study.reference / "instruments").glob("*.toml"))
    assert [read_instrument(study, version).version for version in versions] == versions


def test_an_unknown_version_gets_a_suggestion(tmp_path: Path) -> None:
    store = make_store(tmp_path, ANSWERS)
    with pytest.raises(InputRejected, match='did you mean "answers"') as caught:
        read_instrument(store.study, "answer")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ignored =", "ignore =", 'did you mean "ignored"'),
        ("[missing]", "[mising]", 'did you mean "missing"'),
        ("max = 110", "maximum = 110", 'did you mean "max"'),
        ('type = "hours"', 'type = "hour"', "files.questionnaire.columns.work_hours.type"),
        ('"plain"', '"excel"', "platform"),
        ('respondent_id = { from = "id"', 'who = { from = "id"', "needs the column\\(s\\) respondent_id"),
        (
            'submitted_at = { from = "submitted", type = "datetime"',
            'submitted_at = { from = "s", type = "id"',
            "has the type 'datetime'",
        ),
        ('{ from = "hours"', '{ from = ["hours", "minutes"]', "only a date is composed"),
        ('version = "answers"', 'version = "other"', "calls itself"),
    ],
)
def test_a_fault_is_named_where_it_stands(tmp_path: Path, old: str, new: str, message: str) -> None:
    if "other" in new:
        store = make_store(tmp_path, ANSWERS)
        path = store.study.reference / "instruments" / "answers.toml"
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        with pytest.raises(InputRejected, match=message):
            read_instrument(store.study, "answers")
        return
    assert re.search(message, str(faulty(tmp_path, old, new)))


def test_a_rule_about_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    rule = '\n[[rule]]\nkind = "sum_at_most"\nparts = ["meeting_hours"]\nwhole = "work_hours"\naction = "warned"\n'
    store = make_store(tmp_path, ANSWERS + rule)
    with pytest.raises(InputRejected, match="a rule names 'meeting_hours'"):
        read_instrument(store.study, "answers")


def test_codes_for_a_column_that_takes_none_are_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path, ANSWERS + '\n[values.work_hours]\n"1" = "one"\n')
    with pytest.raises(InputRejected, match="belongs to no column of type category"):
        read_instrument(store.study, "answers")


def test_slots_must_divide_the_day(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    path = store.study.reference / "instruments" / "slots-v1.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("slot_minutes = 10", "slot_minutes = 7"), encoding="utf-8")
    with pytest.raises(InputRejected, match="slot_minutes that divide a day"):
        read_instrument(store.study, "slots-v1")
