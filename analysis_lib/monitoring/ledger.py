"""The append-only record of runs, of each unit's ending and of releases: one SQLite file, one hash chain.

An entry is never changed: a run that starts and ends leaves two entries, and a run without an end was killed.
Each entry carries a hash over the one before it and itself, so that an entry taken out or edited shows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from analysis_lib.errors import EnvironmentProblem, NotReproducible

EndingKind = Literal["ok", "cell_error", "timeout", "kernel_died", "interrupted", "output_missing"]
BUSY_SECONDS = 30  # how long a writer waits for another process to finish its entry

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, chain TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_subject ON entries (kind, subject, seq);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON entries
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
"""


@dataclass(frozen=True, slots=True)
class Ending:
    """How one unit of a run ended, on the runner's own evidence.

    Attributes
    ----------
    run_id, unit_id : str
        The run it belongs to, and the unit.
    kind : str
        ok, cell_error, timeout, kernel_died, interrupted or output_missing.
    key : str
        Hash over everything that the unit's result depends on.
    components : dict of str to str
        The parts of that key, to say later which of them changed.
    message : str
        One line without data; empty when all went well.
    seconds, peak_mb : float
        Wall time, and peak memory of the kernel (0 when unknown).
    at : str
        When it was recorded, UTC.
    """

    run_id: str
    unit_id: str
    kind: EndingKind
    key: str
    components: dict[str, str] = field(default_factory=dict)
    message: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0
    at: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the ledger knows it; ``exit_code`` is None when it never reached its end."""

    run_id: str
    command: str
    started: str
    ended: str
    exit_code: int | None


@dataclass(frozen=True)
class Ledger:
    """A study's ledger; the file is made by the first entry."""

    path: Path

    def start_run(self, run_id: str, command: str, **facts: Any) -> None:
        """Record that a run started."""
        self._append("run", run_id, {"state": "started", "command": command, **facts})

    def finish_run(self, run_id: str, exit_code: int) -> None:
        """Record that a run came to its end."""
        self._append("run", run_id, {"state": "ended", "exit_code": exit_code})

    def record_ending(self, ending: Ending) -> None:
        """Record how a unit ended."""
        body = {name: value for name, value in asdict(ending).items() if name not in ("unit_id", "at")}
        self._append("ending", ending.unit_id, body)

    def record_parts(self, component: str, parts: dict[str, str]) -> None:
        """Record what a component of keys is made from; once is enough, for its hash stands for them."""
        if self.parts(component) is None:
            self._append("parts", component, {"parts": parts})

    def parts(self, component: str) -> dict[str, str] | None:
        """What a component was made from: name → hash or value; None when it was never recorded."""
        query = "SELECT body FROM entries WHERE kind = 'parts' AND subject = ? ORDER BY seq DESC LIMIT 1"
        for (body,) in self._read(query, component):
            return json.loads(body)["parts"]
        return None

    def record_warning(self, subject: str, text: str) -> None:
        """Record what went wrong beside a run without stopping it, such as a message that could not be sent."""
        self._append("warning", subject, {"text": text})

    def warnings(self, subject: str) -> list[dict[str, Any]]:
        """Warnings about a subject, in the order recorded."""
        query = "SELECT body FROM entries WHERE kind = 'warning' AND subject = ? ORDER BY seq"
        return [json.loads(body) for (body,) in self._read(query, subject)]

    def seconds_of_units(self) -> dict[str, list[float]]:
        """Unit → wall seconds of each time it ended well, oldest first."""
        seconds: dict[str, list[float]] = {}
        query = "SELECT subject, body ->> 'seconds' FROM entries WHERE kind = 'ending' AND body ->> 'kind' = 'ok' ORDER BY seq"
        for unit_id, taken in self._read(query):
            seconds.setdefault(unit_id, []).append(float(taken))
        return seconds

    def record_publication(self, release: str, state: str, **facts: Any) -> None:
        """Record a step of showing a release, such as ``2026Q3/r1``, to readers."""
        self._append("publication", release, {"state": state, **facts})

    def last_publication(self, quarter: str) -> dict[str, Any] | None:
        """The publication in force of a quarter: the last that came to its end; None when readers saw none."""
        query = """SELECT subject, body FROM entries WHERE kind = 'publication' AND subject LIKE ? || '/%'
                   AND body ->> 'state' = 'published' ORDER BY seq DESC LIMIT 1"""
        for release, body in self._read(query, quarter):
            return {**json.loads(body), "release": release, "quarter": quarter}
        return None

    def record_release(self, quarter: str, release: str, **facts: Any) -> None:
        """Record that pages of a quarter were built."""
        self._append("release", quarter, {"release": release, **facts})

    def last_ending(self, unit_id: str) -> Ending | None:
        """The latest ending of a unit, or None when it never ran."""
        query = "SELECT body FROM entries WHERE kind = 'ending' AND subject = ? ORDER BY seq DESC LIMIT 1"
        for (body,) in self._read(query, unit_id):
            return Ending(unit_id=unit_id, **json.loads(body))
        return None

    def endings(self, run_id: str) -> list[Ending]:
        """Every ending of a run in the order recorded."""
        query = "SELECT subject, body FROM entries WHERE kind = 'ending' AND json_extract(body, '$.run_id') = ? ORDER BY seq"
        return [Ending(unit_id=unit, **json.loads(body)) for unit, body in self._read(query, run_id)]

    def last_release(self, quarter: str) -> dict[str, Any] | None:
        """The latest release of a quarter, or None."""
        query = "SELECT body FROM entries WHERE kind = 'release' AND subject = ? ORDER BY seq DESC LIMIT 1"
        for (body,) in self._read(query, quarter):
            return json.loads(body)
        return None

    def last_run(self) -> RunRecord | None:
        """The run that started last, or None."""
        query = "SELECT subject FROM entries WHERE kind = 'run' ORDER BY seq DESC LIMIT 1"
        for (run_id,) in self._read(query):
            bodies = [
                json.loads(body)
                for (body,) in self._read(
                    "SELECT body FROM entries WHERE kind = 'run' AND subject = ? ORDER BY seq", run_id
                )
            ]
            end = bodies[-1] if bodies[-1]["state"] == "ended" else {"at": "", "exit_code": None}
            return RunRecord(run_id, bodies[0]["command"], bodies[0]["at"], end["at"], end["exit_code"])
        return None

    def verify_chain(self) -> int:
        """Check the hash chain; returns the number of entries.

        Raises
        ------
        NotReproducible
            Naming the first entry that was edited, or that follows one taken out.
        """
        expected_seq, chain = 1, ""
        for seq, kind, subject, body, recorded in self._read("SELECT * FROM entries ORDER BY seq"):
            chain = _link(chain, kind, subject, body)
            if seq != expected_seq or recorded != chain:
                raise NotReproducible(
                    f"entry {expected_seq} was edited or taken out",
                    where=self.path.name,
                    fix="restore the ledger from a backup; it is never edited",
                )
            expected_seq += 1
        return expected_seq - 1

    def _append(self, kind: str, subject: str, body: dict[str, Any]) -> None:
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        text = json.dumps({"at": at, **body}, ensure_ascii=False, sort_keys=True)
        with self._connected() as connection:
            # The lock is taken before the last link is read: two processes cannot hang entries on the same one.
            connection.execute("BEGIN IMMEDIATE")
            last = connection.execute("SELECT chain FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            link = _link(last[0] if last else "", kind, subject, text)
            connection.execute(
                "INSERT INTO entries (kind, subject, body, chain) VALUES (?, ?, ?, ?)", (kind, subject, text, link)
            )
            connection.execute("COMMIT")

    def _read(self, query: str, *arguments: str) -> list[tuple]:
        if not self.path.is_file():
            return []
        with self._connected() as connection:
            return connection.execute(query, arguments).fetchall()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Open per use: a connection must not live in two processes at once."""
        try:
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        except sqlite3.OperationalError as error:
            raise EnvironmentProblem(str(error), where=self.path.name, fix="make the study folder writable") from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'releases'").fetchone():
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


def _link(previous: str, kind: str, subject: str, body: str) -> str:
    return hashlib.sha256("\n".join([previous, kind, subject, body]).encode()).hexdigest()
