"""The ledger: what it remembers, and what it does not let anyone forget."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from analysis_lib.errors import EnvironmentProblem, NotReproducible
from analysis_lib.monitoring import chained_entries
from analysis_lib.monitoring.chained_entries import ChainedEntries
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


def test_the_ledger_is_not_for_others(ledger: Ledger) -> None:
    ledger.record_ending(an_ending("a"))
    assert ledger.path.stat().st_mode & 0o007 == 0


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


# -- releases, publications and what they said --------------------------------------------------------

CELLS = [
    {"unit": "03-hours-lost", "table": "hours", "key": '{"measure": "gross"}', "estimate": 16.0, "se": 0.3, "mark": ""},
    {"unit": "03-hours-lost", "table": "hours", "key": '{"measure": "avoidable"}', "estimate": None, "mark": "c"},
]


def test_of_two_builds_of_a_quarter_the_last_is_the_release(ledger: Ledger) -> None:
    ledger.record_release("2026Q2", "2026Q2/r1", made_from="a", drops=[["2026Q2/2026-07-05/first", "0f"]])
    ledger.record_release("2026Q3", "2026Q3/r1", made_from="b")
    ledger.record_release("2026Q3", "2026Q3/r1", made_from="c")
    last = ledger.last_release("2026Q3")
    assert last is not None
    assert (last["release"], last["quarter"], last["made_from"]) == ("2026Q3/r1", "2026Q3", "c")
    assert [(each["release"], each["made_from"]) for each in ledger.releases()] == [
        ("2026Q2/r1", "a"),
        ("2026Q3/r1", "c"),
    ]
    assert ledger.last_release("2025Q1") is None


def test_what_is_prepared_or_rolled_back_is_not_published(ledger: Ledger) -> None:
    ledger.record_publication("2026Q3/r1", "prepared", site="s1")
    assert ledger.last_publication("2026Q3") is None
    ledger.record_publication("2026Q3/r1", "published", site="s1")
    ledger.record_publication("2026Q3/r2", "prepared", site="s2")
    ledger.record_publication("2026Q3/r2", "rolled_back", site="s2")
    in_force = ledger.last_publication("2026Q3")
    assert in_force is not None
    assert (in_force["release"], in_force["site"]) == ("2026Q3/r1", "s1")
    assert ledger.last_publication("2026Q2") is None
    states = [(each["release"], each["state"]) for each in ledger.publications()]
    assert states[-1] == ("2026Q3/r2", "rolled_back")
    assert len(states) == 4


def test_an_older_release_put_back_is_the_one_in_force(ledger: Ledger) -> None:
    for release in ("2026Q3/r1", "2026Q3/r2", "2026Q3/r1"):
        ledger.record_publication(release, "published")
    in_force = ledger.last_publication("2026Q3")
    assert in_force is not None
    assert in_force["release"] == "2026Q3/r1"


def test_sign_offs_and_corrections_are_kept_with_their_words(ledger: Ledger) -> None:
    ledger.record_sign_off("2026Q3/r1", "甲", "statistician", "0f", accept_jump="a new diary")
    ledger.record_sign_off("2026Q3/r1", "乙", "head", "0f")
    ledger.record_correction("2026Q3/r1", "correction", "更正", "A mistake", "2026-11-24")
    signed = ledger.sign_offs("2026Q3/r1")
    assert [(one["name"], one["role"], one["manifest_sha256"]) for one in signed] == [
        ("甲", "statistician", "0f"),
        ("乙", "head", "0f"),
    ]
    assert signed[0]["accept_jump"] == "a new diary"
    assert ledger.sign_offs("2026Q3/r2") == []
    (correction,) = ledger.corrections()
    assert (correction["release"], correction["kind"], correction["text_en"]) == (
        "2026Q3/r1",
        "correction",
        "A mistake",
    )


def test_rows_of_the_latest_record_of_a_release_hold(ledger: Ledger) -> None:
    ledger.record_cells("2026Q3/r1", CELLS[:1])
    ledger.record_cells("2026Q3/r1", CELLS)
    assert ledger.cells("2026Q3/r1") == CELLS
    assert ledger.cells("2026Q2/r1") == []
    for record, read in (
        (ledger.record_claims, ledger.claims),
        (ledger.record_scores, ledger.scores),
        (ledger.record_forecasts, ledger.forecasts),
    ):
        assert read() == []
        record("2026Q2/r1", [{"claim": "lower"}])
        record("2026Q3/r1", iter([{"claim": "higher"}, {"claim": "within"}]))
        assert read() == [
            {"claim": "lower", "release": "2026Q2/r1"},
            {"claim": "higher", "release": "2026Q3/r1"},
            {"claim": "within", "release": "2026Q3/r1"},
        ]
    assert ledger.verify_chain() == 8


@pytest.mark.parametrize(
    "statement",
    [
        """UPDATE entry_rows SET body = replace(body, '16.0', '6.0') WHERE seq = 2""",
        "DELETE FROM entry_rows WHERE seq = 2 AND position = 1",
        "INSERT INTO entry_rows VALUES (2, 9, '{}')",
    ],
)
def test_a_row_edited_past_the_triggers_shows(ledger: Ledger, statement: str) -> None:
    ledger.record_ending(an_ending("a"))
    ledger.record_cells("2026Q3/r1", CELLS)
    with sqlite3.connect(ledger.path) as connection:
        connection.executescript("DROP TRIGGER no_row_update; DROP TRIGGER no_row_delete;")
        connection.execute(statement)
    with pytest.raises(NotReproducible, match="rows of entry 2"):
        ledger.verify_chain()


def test_last_entries_taken_out_show_although_the_chain_before_them_is_whole(ledger: Ledger) -> None:
    for unit in ("a", "b", "c"):
        ledger.record_ending(an_ending(unit))
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("DROP TRIGGER no_delete")
        connection.execute("DELETE FROM entries WHERE seq = 3")
    with pytest.raises(NotReproducible, match="entry 3"):
        ledger.verify_chain()


FIRST_SCHEMA = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, chain TEXT NOT NULL
);
CREATE VIEW releases AS SELECT seq, subject AS quarter, body ->> 'release' AS release, body ->> 'at' AS at FROM entries
    WHERE kind = 'release';
"""


def test_an_older_ledger_is_read_and_written_on_in_place(ledger: Ledger) -> None:
    body = json.dumps({"at": "2026-01-01T00:00:00.000+00:00", "release": "2025Q4/r1", "made_from": "x"}, sort_keys=True)
    link = hashlib.sha256("\n".join(["", "release", "2025Q4", body]).encode()).hexdigest()
    with sqlite3.connect(ledger.path) as connection:
        connection.executescript(FIRST_SCHEMA)
        connection.execute("INSERT INTO entries VALUES (1, 'release', '2025Q4', ?, ?)", (body, link))
    last = ledger.last_release("2025Q4")
    assert last is not None
    assert last["made_from"] == "x"
    assert ledger.verify_chain() == 1
    ledger.record_cells("2025Q4/r1", CELLS)
    assert ledger.verify_chain() == 2
    with sqlite3.connect(ledger.path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM entry_rows")


WRITER = """
import sys
from pathlib import Path
from analysis_lib.monitoring.ledger import Ledger
ledger, count = Ledger(Path(sys.argv[1])), 0
while True:
    ledger.record_cells("2026Q3/r1", [{"n": count, "text": "x" * 200} for count in range(500)])
    print(count := count + 1, flush=True)
"""


def test_writers_killed_at_any_moment_leave_whole_entries_only(ledger: Ledger) -> None:
    written = 0
    for _ in range(4):
        pair = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(ledger.path)], stdout=subprocess.PIPE) for _ in range(2)
        ]
        for writer in pair:
            assert writer.stdout is not None
            for _ in range(3):
                writer.stdout.readline()
            os.kill(writer.pid, signal.SIGKILL)
        for writer in pair:
            rest = writer.communicate()[0].split()
            written += 3 + len(rest)
    assert ledger.verify_chain() >= written, "an entry that was said to be written is there"
    assert len(ledger.cells("2026Q3/r1")) == 500


def test_a_copy_knows_what_was_known_before_a_release_and_its_chain_holds(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record_release("2026Q2", "2026Q2/r1")
    ledger.record_cells("2026Q2/r1", [{"unit": "a"}])
    ledger.record_release("2026Q3", "2026Q3/r1")
    before, whole = Ledger(tmp_path / "before.sqlite"), Ledger(tmp_path / "whole.sqlite")
    ledger.copy(before.path, before="2026Q3/r1")
    ledger.copy(whole.path)
    assert (before.verify_chain(), whole.verify_chain()) == (2, 3)
    assert before.cells("2026Q2/r1") == ledger.cells("2026Q2/r1")
    assert [each["release"] for each in before.releases()] == ["2026Q2/r1"]


def test_a_chain_is_checked_as_of_one_moment_while_another_process_adds_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = ChainedEntries(tmp_path / "ledger.sqlite")
    for number in range(3):
        entries.append("run", f"r{number}", {}, [{"number": number}])
    link, late = chained_entries._link, ["late"]

    def meanwhile(*parts: str) -> str:
        if late:
            entries.append("run", late.pop(), {}, [{"number": 9}])
        return link(*parts)

    monkeypatch.setattr(chained_entries, "_link", meanwhile)
    assert entries.verify() == 3
    assert entries.verify() == 4
