"""Entries that are never changed: one SQLite file in which each entry carries a hash over itself and the one before.

An entry taken out or edited shows. Many rows that belong to one entry stand in a table of their own; the entry holds
their digest, so the chain covers them too. Safe under two writers and under a writer that is killed: an entry is
there with all its rows, or not at all.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis_lib.errors import EnvironmentProblem, NotReproducible

BUSY_SECONDS = 30  # how long a writer waits for another process to finish its entry
PAUSE_SECONDS = 0.02
NOT_FOR_OTHERS = 0o640  # C19: it holds keyed tags of people, with their places
ROWS_SHA256 = "rows_sha256"  # where an entry holds the digest of its rows
_VERSION = 2  # 2: rows and head; a schema only ever grows, so that an older file is brought up to date in place

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, chain TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_subject ON entries (kind, subject, seq);
CREATE TABLE IF NOT EXISTS entry_rows (
    seq INTEGER NOT NULL REFERENCES entries (seq), position INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (seq, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, chain TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_row_update BEFORE UPDATE ON entry_rows
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_row_delete BEFORE DELETE ON entry_rows
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE VIEW IF NOT EXISTS runs AS
    SELECT seq, subject AS run_id, body ->> 'state' AS state, body ->> 'at' AS at, body ->> 'command' AS command,
           body ->> 'exit_code' AS exit_code FROM entries WHERE kind = 'run';
CREATE VIEW IF NOT EXISTS endings AS
    SELECT seq, subject AS unit_id, body ->> 'run_id' AS run_id, body ->> 'kind' AS ending, body ->> 'at' AS at,
           body ->> 'seconds' AS seconds, body ->> 'peak_mb' AS peak_mb, body ->> 'message' AS message,
           body ->> 'key' AS key FROM entries WHERE kind = 'ending';
CREATE VIEW IF NOT EXISTS releases AS
    SELECT seq, subject AS quarter, body ->> 'release' AS release, body ->> 'at' AS at FROM entries
    WHERE kind = 'release';
CREATE VIEW IF NOT EXISTS publications AS
    SELECT seq, subject AS release, body ->> 'state' AS state, body ->> 'at' AS at FROM entries
    WHERE kind = 'publication';
CREATE VIEW IF NOT EXISTS sign_offs AS
    SELECT seq, subject AS release, body ->> 'name' AS name, body ->> 'role' AS role, body ->> 'at' AS at,
           body ->> 'manifest_sha256' AS manifest_sha256 FROM entries WHERE kind = 'sign_off';
PRAGMA user_version = {_VERSION};
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its place in the chain, what kind it is, whom or what it concerns, and what it says."""

    seq: int
    kind: str
    subject: str
    body: dict[str, Any]


@dataclass(frozen=True)
class ChainedEntries:
    """The entries of a file; the file is made by the first of them."""

    path: Path

    def append(
        self, kind: str, subject: str, body: dict[str, Any], rows: Iterable[dict[str, Any]] | None = None
    ) -> None:
        """Add an entry, and the rows that belong to it, with the time in UTC."""
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        lines = None if rows is None else [_json(row) for row in rows]
        digest = {} if lines is None else {ROWS_SHA256: _digest(lines), "rows": len(lines)}
        text = _json({"at": at, **body, **digest})
        with self._connected() as connection:
            # The lock is taken before the last link is read: two processes cannot hang entries on the same one.
            connection.execute("BEGIN IMMEDIATE")
            seq, chain = connection.execute("SELECT seq, chain FROM entries ORDER BY seq DESC LIMIT 1").fetchone() or (
                0,
                "",
            )
            link = _link(chain, kind, subject, text)
            connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (seq + 1, kind, subject, text, link))
            numbered = ((seq + 1, position, line) for position, line in enumerate(lines or []))
            connection.executemany("INSERT INTO entry_rows VALUES (?, ?, ?)", numbered)
            connection.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (seq + 1, link))
            connection.execute("COMMIT")

    def of(self, kind: str, subject: str | None = None) -> list[Entry]:
        """Entries of a kind, of one subject or of all, in the order recorded."""
        query = (
            "SELECT seq, kind, subject, body FROM entries WHERE kind = ? AND (? IS NULL OR subject = ?) ORDER BY seq"
        )
        return [_entry(row) for row in self._read(query, kind, subject, subject)]

    def last(self, kind: str, subject: str | None = None) -> Entry | None:
        """The latest of them, or None."""
        query = (
            "SELECT seq, kind, subject, body FROM entries WHERE kind = ? AND (? IS NULL OR subject = ?) "
            "ORDER BY seq DESC LIMIT 1"
        )
        return next((_entry(row) for row in self._read(query, kind, subject, subject)), None)

    def rows(self, entry: Entry) -> list[dict[str, Any]]:
        """Rows that belong to an entry, in the order given."""
        query = "SELECT body FROM entry_rows WHERE seq = ? ORDER BY position"
        return [json.loads(body) for (body,) in self._read(query, entry.seq)]

    def copy(self, target: Path, *, before: int | None = None) -> None:
        """Copy the entries, or those before one, into a new file with their rows and chain."""
        until = sys.maxsize if before is None else before
        entries = self._read("SELECT * FROM entries WHERE seq < ? ORDER BY seq", until)
        rows = self._read("SELECT * FROM entry_rows WHERE seq < ?", until)
        with ChainedEntries(target)._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", entries)
            connection.executemany("INSERT INTO entry_rows VALUES (?, ?, ?)", rows)
            if entries:
                connection.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (entries[-1][0], entries[-1][-1]))
            connection.execute("COMMIT")

    def verify(self) -> int:
        """Check every hash; returns the number of entries.

        Raises
        ------
        NotReproducible
            Naming the first entry that was edited, or that follows one taken out, or whose rows were.
        """
        if not self.path.is_file():
            return 0
        expected, chain = 1, ""
        with self._connected() as connection:
            connection.execute("BEGIN")  # one view of the file, whoever adds to it meanwhile
            for seq, kind, subject, body, recorded in connection.execute("SELECT * FROM entries ORDER BY seq"):
                chain = _link(chain, kind, subject, body)
                if seq != expected or recorded != chain:
                    raise self._broken(f"entry {expected} was edited or taken out")
                if digest := json.loads(body).get(ROWS_SHA256):
                    rows = connection.execute("SELECT body FROM entry_rows WHERE seq = ? ORDER BY position", (seq,))
                    if digest != _digest([line for (line,) in rows]):
                        raise self._broken(f"rows of entry {seq} were edited or taken out")
                expected += 1
            # The chain alone does not show that its last entries are gone.
            for seq, recorded in connection.execute("SELECT seq, chain FROM head"):
                if (seq, recorded) != (expected - 1, chain):
                    raise self._broken(f"entry {expected} was edited or taken out")
        return expected - 1

    def _broken(self, what: str) -> NotReproducible:
        fix = "restore the ledger from a backup; it is never edited"
        return NotReproducible(what, where=self.path.name, fix=fix)

    def _read(self, query: str, *arguments: object) -> list[tuple]:
        if not self.path.is_file():
            return []
        with self._connected() as connection:
            return connection.execute(query, arguments).fetchall()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Open per use: a connection must not live in two processes at once."""
        try:
            if not self.path.exists():
                self.path.touch(mode=NOT_FOR_OTHERS)  # SQLite gives the files beside it the same rights
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        except (sqlite3.OperationalError, OSError) as error:
            what = error.strerror if isinstance(error, OSError) else str(error)
            raise EnvironmentProblem(str(what), where=self.path.name, fix="make the study folder writable") from error
        try:
            _log_ahead(connection)
            connection.execute("PRAGMA synchronous = FULL")
            if connection.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
                connection.executescript(_SCHEMA)
            yield connection
        except sqlite3.DatabaseError as error:
            raise EnvironmentProblem(
                str(error),
                where=self.path.name,
                fix="check the disk; restore the ledger from a backup if it is damaged",
            ) from error
        finally:
            connection.close()


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Write ahead of the file; SQLite does not wait by itself where two processes ask for that of a new file."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(PAUSE_SECONDS)


def _entry(row: tuple) -> Entry:
    seq, kind, subject, body = row
    return Entry(seq, kind, subject, json.loads(body))


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, sort_keys=True)


def _link(previous: str, kind: str, subject: str, body: str) -> str:
    return hashlib.sha256("\n".join([previous, kind, subject, body]).encode()).hexdigest()


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
