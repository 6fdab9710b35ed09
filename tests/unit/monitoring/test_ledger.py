"""The ledger: what it remembers, and what it does not let anyone forget."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from analysis_lib.errors import EnvironmentProblem, NotReproducible
from analysis_lib.monitoring.ledger import Ending, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def an_ending(unit: str, kind: str = "ok", key: str = "k1") -> Ending:
    return Ending("run-1", unit, kind, key, {"code": "c1"}, "", 1.5, 200.0)  # pyright: ignore[reportArgumentType]


def test_an_empty_ledger_knows_nothing_and_makes_no_file(ledger: Ledger) -> None:
    assert ledger.last_ending("a") is None
    assert ledger.last_run() is None
    assert ledger.verify_chain() == 0
    assert not ledger.path.exists()


def test_the_last_ending_of_a_unit_wins(ledger: Ledger) -> None:
    ledger.record_ending(an_ending("a", "timeout"))
    ledger.record_ending(an_ending("b"))
    ledger.record_ending(an_ending("a", key="k2"))
    last = ledger.last_ending("a")
    assert last is not None
    assert (last.kind, last.key, last.components, last.seconds) == ("ok", "k2", {"code": "c1"}, 1.5)
    assert [ending.unit_id for ending in ledger.endings("run-1")] == ["a", "b", "a"]


def test_a_run_without_an_end_is_known_as_such(ledger: Ledger) -> None:
    ledger.start_run("run-1", "run --all")
    started = ledger.last_run()
    assert started is not None
    assert started.exit_code is None
    ledger.finish_run("run-1", 1)
    ended = ledger.last_run()
    assert ended is not None
    assert (ended.command, ended.exit_code) == ("run --all", 1)


@pytest.mark.parametrize("statement", ["UPDATE entries SET body = '{}'", "DELETE FROM entries"])
def test_an_entry_cannot_be_changed(ledger: Ledger, statement: str) -> None:
    ledger.record_ending(an_ending("a"))
    with sqlite3.connect(ledger.path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE entries SET subject = 'x' WHERE seq = 2", "DELETE FROM entries WHERE seq = 2"],
)
def test_tampering_past_the_triggers_breaks_the_chain(ledger: Ledger, statement: str) -> None:
    for unit in ("a", "b", "c"):
        ledger.record_ending(an_ending(unit))
    assert ledger.verify_chain() == 3
    with sqlite3.connect(ledger.path) as connection:
        connection.executescript("DROP TRIGGER no_update; DROP TRIGGER no_delete;")
        connection.execute(statement)
    with pytest.raises(NotReproducible, match="entry 2"):
        ledger.verify_chain()


def test_two_processes_write_one_chain(ledger: Ledger) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_twenty, args=(ledger, name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert ledger.verify_chain() == 40


def _write_twenty(ledger: Ledger, unit: str) -> None:
    for _ in range(20):
        ledger.record_ending(an_ending(unit))


def test_a_file_that_is_no_ledger_is_said_to_be_damaged(ledger: Ledger) -> None:
    ledger.path.write_text("not a database, and long enough to be looked at " * 20)
    with pytest.raises(EnvironmentProblem, match="backup"):
        ledger.last_ending("a")


def test_views_let_a_person_read_the_ledger(ledger: Ledger) -> None:
    ledger.record_ending(an_ending("a", "timeout"))
    ledger.record_release("2026Q3", "r1")
    with sqlite3.connect(ledger.path) as connection:
        assert connection.execute("SELECT unit_id, ending, key FROM endings").fetchall() == [("a", "timeout", "k1")]
        assert connection.execute("SELECT quarter, release FROM releases").fetchall() == [("2026Q3", "r1")]
