"""What the suite remembers: runs, each unit's ending, releases, publications and who signed them, published numbers.

Nothing is ever changed: a run that starts and ends leaves two entries, and a run without an end was killed; of what
is recorded twice (the cells of a candidate that was built again) the latest holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from analysis_lib.monitoring.chained_entries import ROWS_SHA256, ChainedEntries, Entry

EndingKind = Literal["ok", "cell_error", "timeout", "kernel_died", "interrupted", "output_missing"]
PublicationState = Literal["prepared", "published", "rolled_back"]
CorrectionKind = Literal["correction", "revision"]
Rows = Iterable[dict[str, Any]]


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
    manifest_sha256 : str
        Hash of the list of what a complete result holds; empty for others, and for those of a time before it was kept.
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
    manifest_sha256: str = ""
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
    """A study's ledger; the file is made by the first entry. A release is named like ``2026Q3/r1``."""

    path: Path

    @property
    def _entries(self) -> ChainedEntries:
        return ChainedEntries(self.path)

    # -- runs and their units -------------------------------------------------------------------------

    def start_run(self, run_id: str, command: str, **facts: Any) -> None:
        """Record that a run started."""
        self._entries.append("run", run_id, {"state": "started", "command": command, **facts})

    def finish_run(self, run_id: str, exit_code: int) -> None:
        """Record that a run came to its end."""
        self._entries.append("run", run_id, {"state": "ended", "exit_code": exit_code})

    def last_run(self) -> RunRecord | None:
        """The run that started last, or None."""
        last = self._entries.last("run")
        if last is None:
            return None
        bodies = [entry.body for entry in self._entries.of("run", last.subject)]
        end = bodies[-1] if bodies[-1]["state"] == "ended" else {"at": "", "exit_code": None}
        return RunRecord(last.subject, bodies[0]["command"], bodies[0]["at"], end["at"], end["exit_code"])

    def record_ending(self, ending: Ending) -> None:
        """Record how a unit ended."""
        body = {name: value for name, value in asdict(ending).items() if name not in ("unit_id", "at")}
        self._entries.append("ending", ending.unit_id, body)

    def last_ending(self, unit_id: str) -> Ending | None:
        """The latest ending of a unit, or None when it never ran."""
        last = self._entries.last("ending", unit_id)
        return Ending(unit_id=unit_id, **last.body) if last else None

    def last_endings(self) -> list[Ending]:
        """The latest ending of every unit that ever ran."""
        latest = {entry.subject: entry for entry in self._entries.of("ending")}
        return [Ending(unit_id=unit_id, **entry.body) for unit_id, entry in latest.items()]

    def endings(self, run_id: str) -> list[Ending]:
        """Every ending of a run in the order recorded."""
        entries = self._entries.of("ending")
        return [Ending(unit_id=entry.subject, **entry.body) for entry in entries if entry.body["run_id"] == run_id]

    def record_parts(self, component: str, parts: dict[str, str]) -> None:
        """Record what a component of keys is made from; once is enough, for its hash stands for them."""
        if self.parts(component) is None:
            self._entries.append("parts", component, {"parts": parts})

    def parts(self, component: str) -> dict[str, str] | None:
        """What a component was made from: name → hash or value; None when it was never recorded."""
        last = self._entries.last("parts", component)
        return last.body["parts"] if last else None

    def record_warning(self, subject: str, text: str) -> None:
        """Record what went wrong beside a run without stopping it, such as a message that could not be sent."""
        self._entries.append("warning", subject, {"text": text})

    def warnings(self, subject: str) -> list[dict[str, Any]]:
        """Warnings about a subject, in the order recorded."""
        return self._all("warning", "subject", subject)

    def seconds_of_units(self) -> dict[str, list[float]]:
        """Unit → wall seconds of each time it ended well, oldest first."""
        seconds: dict[str, list[float]] = {}
        for entry in self._entries.of("ending"):
            if entry.body["kind"] == "ok":
                seconds.setdefault(entry.subject, []).append(float(entry.body["seconds"]))
        return seconds

    # -- releases -------------------------------------------------------------------------------------

    def record_release(self, quarter: str, release: str, **facts: Any) -> None:
        """Record that pages of a quarter were built: what they were made from, their pinned drops, their state."""
        self._entries.append("release", quarter, {"release": release, **facts})

    def last_release(self, quarter: str) -> dict[str, Any] | None:
        """The latest release built of a quarter, published or not, or None."""
        last = self._entries.last("release", quarter)
        return _told(last, "quarter") if last else None

    def releases(self) -> list[dict[str, Any]]:
        """Every release as last built, in the order of their latest build."""
        return list({told["release"]: told for told in self._all("release", "quarter")}.values())

    def record_sign_off(self, release: str, name: str, role: str, manifest_sha256: str, **facts: Any) -> None:
        """Record that a person has seen a release and stands for it; the hash says what exactly was seen."""
        body = {"name": name, "role": role, "manifest_sha256": manifest_sha256, **facts}
        self._entries.append("sign_off", release, body)

    def sign_offs(self, release: str) -> list[dict[str, Any]]:
        """Sign-offs of a release in the order given; those of another hash were of another candidate."""
        return self._all("sign_off", "release", release)

    def record_publication(self, release: str, state: PublicationState, **facts: Any) -> None:
        """Record a step of showing a release to readers: prepared before the swap of the site, published after it."""
        self._entries.append("publication", release, {"state": state, **facts})

    def publications(self) -> list[dict[str, Any]]:
        """Every step of every publication, in the order recorded."""
        return [told | {"quarter": _quarter(told["release"])} for told in self._all("publication", "release")]

    def last_publication(self, quarter: str) -> dict[str, Any] | None:
        """The publication in force of a quarter: the last that came to its end; None when readers saw none."""
        published = [one for one in self.publications() if one["state"] == "published" and one["quarter"] == quarter]
        return published[-1] if published else None

    def record_correction(self, release: str, kind: CorrectionKind, text_zh: str, text_en: str, date: str) -> None:
        """Record what readers are told about a release that was wrong (correction) or is better known (revision)."""
        body = {"kind": kind, "text_zh": text_zh, "text_en": text_en, "date": date}
        self._entries.append("correction", release, body)

    def corrections(self) -> list[dict[str, Any]]:
        """Every correction and revision, in the order recorded."""
        return self._all("correction", "release")

    def record_difference(self, release: str, name: str, reason: str, rows: Rows, **facts: Any) -> None:
        """Record that a rerun of a release gave other bytes: which files and numbers, who stands for it, and why."""
        self._entries.append("difference", release, {"name": name, "reason": reason, **facts}, rows)

    def differences(self, release: str) -> list[dict[str, Any]]:
        """Signed differences of reruns of a release, in the order recorded, each with its numbers."""
        return [
            _told(entry, "release") | {"numbers": self._entries.rows(entry)}
            for entry in self._entries.of("difference", release)
        ]

    # -- what a release said --------------------------------------------------------------------------

    def record_cells(self, release: str, rows: Rows) -> None:
        """Record the numbers of a release: unit, table, key columns, estimate, ci_low, ci_high, se, df, mark."""
        self._entries.append("cells", release, {}, rows)

    def cells(self, release: str) -> list[dict[str, Any]]:
        """Numbers of a release as recorded last."""
        last = self._entries.last("cells", release)
        return self._entries.rows(last) if last else []

    def record_roster(self, quarter: str, state: str, facts: dict[str, Any], rows: Rows) -> None:
        """Record who stands behind the cells of a quarter in a state of its data (`disclosure.members`), once."""
        if self._roster(quarter, state) is None:
            self._entries.append("roster", _state_of(quarter, state), facts, rows)

    def roster(self, quarter: str, state: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """Facts and rows of a roster; None when that state of the quarter was never published."""
        entry = self._roster(quarter, state)
        return None if entry is None else (entry.body, self._entries.rows(entry))

    def _roster(self, quarter: str, state: str) -> Entry | None:
        return self._entries.last("roster", _state_of(quarter, state))

    def record_membership(self, release: str, **facts: Any) -> None:
        """Record behind which states of which quarters the cells of a release stand, and the name of the rosters' key."""
        self._entries.append("membership", release, facts)

    def memberships(self) -> dict[str, dict[str, Any]]:
        """Release → what was recorded last: states, key, and of cells that stayed, the release that they are of."""
        return {entry.subject: entry.body for entry in self._entries.of("membership")}

    def record_claims(self, release: str, rows: Rows) -> None:
        """Record the claims of a release with their conditions."""
        self._entries.append("claims", release, {}, rows)

    def claims(self) -> list[dict[str, Any]]:
        """Claims of every release as recorded last, each with its release."""
        return self._rows("claims")

    def record_scores(self, release: str, rows: Rows) -> None:
        """Record how a release scores the claims and forecasts of earlier ones."""
        self._entries.append("scores", release, {}, rows)

    def scores(self) -> list[dict[str, Any]]:
        """Scores given by every release as recorded last, each with the release that gave it."""
        return self._rows("scores")

    def record_forecasts(self, release: str, rows: Rows) -> None:
        """Record what a release expects of quarters to come."""
        self._entries.append("forecasts", release, {}, rows)

    def forecasts(self) -> list[dict[str, Any]]:
        """Forecasts of every release as recorded last, each with the release that made it."""
        return self._rows("forecasts")

    # -- the file -------------------------------------------------------------------------------------

    def copy(self, target: Path, *, before: str = "") -> None:
        """Copy the ledger into a new file: all of it, or what it knew just before a release was recorded."""
        made = self._entries.of("release", _quarter(before)) if before else []
        first = next((entry.seq for entry in made if entry.body["release"] == before), None)
        self._entries.copy(target, before=first)

    def verify_chain(self) -> int:
        """Check the hash chain and the rows it covers; returns the number of entries.

        Raises
        ------
        NotReproducible
            Naming the first entry that was edited or taken out.
        """
        return self._entries.verify()

    def _all(self, kind: str, subject_name: str, subject: str | None = None) -> list[dict[str, Any]]:
        return [_told(entry, subject_name) for entry in self._entries.of(kind, subject)]

    def _rows(self, kind: str) -> list[dict[str, Any]]:
        latest = {entry.subject: entry for entry in self._entries.of(kind)}
        return [{**row, "release": release} for release, entry in latest.items() for row in self._entries.rows(entry)]


def _told(entry: Entry, subject_name: str) -> dict[str, Any]:
    body = {name: value for name, value in entry.body.items() if name not in (ROWS_SHA256, "rows")}
    return {**body, subject_name: entry.subject, "seq": entry.seq}


def _state_of(quarter: str, state: str) -> str:
    return f"{quarter} {state}"


def _quarter(release: str) -> str:
    return release.partition("/")[0]
