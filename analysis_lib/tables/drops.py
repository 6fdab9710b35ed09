"""What a raw drop is: files as received, a sidecar that describes them, and perhaps one that withdraws them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from analysis_lib.errors import InputRejected
from analysis_lib.quarters import Quarter

SIDECAR, WITHDRAWAL = "drop.toml", "withdrawn.toml"


@dataclass(frozen=True, slots=True)
class RawFile:
    """One file of a drop: its path, the part it plays for the instrument, its hash, and its size in bytes."""

    path: Path
    role: str
    sha256: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """From which day a drop no longer counts, why, and who said so after the quarter was final."""

    since: dt.date
    reason: str
    after_final: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """One delivery of raw files.

    Attributes
    ----------
    id : str
        ``<quarter>/<received>/<slug>``, unique in the study.
    quarter : Quarter
        Reference quarter of the data.
    received : datetime.date
        Day on which it reached the group.
    instrument : str
        Version of the instrument that collected it: a file of ``reference/instruments/``.
    source : str
        Who sent it.
    files : tuple of RawFile
        In the order of the sidecar.
    supersedes : tuple of str
        Ids of drops that this one replaces as a whole.
    sha256 : str
        Hash over the hashes of its files.
    after_final : str
        Who let it in after its quarter was final, and why; empty for a drop in time.
    withdrawn : Withdrawal or None
        Since when it no longer counts; None while it does.
    """

    id: str
    quarter: Quarter
    received: dt.date
    instrument: str
    source: str
    files: tuple[RawFile, ...]
    supersedes: tuple[str, ...]
    sha256: str
    after_final: str = ""
    withdrawn: Withdrawal | None = None

    def counts_on(self, day: dt.date | None) -> bool:
        """Whether it was received and not withdrawn by a day; None means today and ever after."""
        if day is None:
            return self.withdrawn is None
        return self.received <= day and (self.withdrawn is None or day < self.withdrawn.since)


@dataclass(frozen=True, slots=True)
class DropState:
    """Where a drop stands on a day.

    Attributes
    ----------
    drop : Drop
        The drop.
    state : str
        ``in_force``, ``superseded`` or ``withdrawn``.
    since : datetime.date
        Day from which it stands so.
    why : str
        Ids of what replaced it, or the reason of the withdrawal.
    """

    drop: Drop
    state: Literal["in_force", "superseded", "withdrawn"]
    since: dt.date
    why: str = ""


def states_on(drops: list[Drop], day: dt.date | None) -> list[DropState]:
    """Where every drop received by a day stands, in the order received.

    What a withdrawn drop had replaced is in force again.
    """
    counting = [drop for drop in drops if drop.counts_on(day)]
    known = sorted(
        (drop for drop in drops if day is None or drop.received <= day), key=lambda drop: (drop.received, drop.id)
    )
    return [_state(drop, counting) for drop in known]


def _state(drop: Drop, counting: list[Drop]) -> DropState:
    if drop not in counting:
        assert drop.withdrawn is not None
        return DropState(drop, "withdrawn", drop.withdrawn.since, drop.withdrawn.reason)
    if replaced_by := [other for other in counting if drop.id in other.supersedes]:
        since = min(other.received for other in replaced_by)
        return DropState(drop, "superseded", since, ", ".join(other.id for other in replaced_by))
    return DropState(drop, "in_force", drop.received)


# -- sidecars -----------------------------------------------------------------------------------------


def sidecar_text(drop: Drop) -> str:
    """The sidecar of a drop as TOML."""
    lines = [
        f"source = {_text(drop.source)}",
        f'quarter = "{drop.quarter}"',
        f'received = "{drop.received.isoformat()}"',
        f"instrument = {_text(drop.instrument)}",
        f"supersedes = {json.dumps(list(drop.supersedes))}",
    ]
    if drop.after_final:
        lines.append(f"after_final = {_text(drop.after_final)}")
    for file in drop.files:
        lines += ["", "[[file]]", f'name = "{file.path.name}"', f'role = "{file.role}"', f'sha256 = "{file.sha256}"']
        lines += [f"bytes = {file.size}"]
    return "\n".join(lines) + "\n"


def withdrawal_text(withdrawal: Withdrawal) -> str:
    """The sidecar of a withdrawal as TOML."""
    lines = [f'since = "{withdrawal.since.isoformat()}"', f"reason = {_text(withdrawal.reason)}"]
    if withdrawal.after_final:
        lines.append(f"after_final = {_text(withdrawal.after_final)}")
    return "\n".join(lines) + "\n"


def read_drop(sidecar: Path) -> Drop:
    """Read a drop's sidecars; raises `InputRejected` when one is damaged or a file is gone."""
    drop = _parse_sidecar(sidecar, sidecar.stat().st_mtime_ns)
    for file in drop.files:
        if not file.path.is_file():
            raise InputRejected(
                f"{file.path.name} is gone", where=drop.id, fix="restore it; raw drops are never edited"
            )
    withdrawal = sidecar.with_name(WITHDRAWAL)
    return replace(drop, withdrawn=_parse_withdrawal(withdrawal, drop.id)) if withdrawal.exists() else drop


@cache  # a plan asks for the same drops once per unit
def _parse_sidecar(sidecar: Path, _changed: int) -> Drop:
    folder = sidecar.parent
    drop_id = "/".join(folder.parts[-3:])
    try:
        table = tomllib.loads(sidecar.read_text(encoding="utf-8"))
        files = tuple(_raw_file(folder, entry) for entry in table["file"])
        quarter, received = Quarter.parse(table["quarter"]), dt.date.fromisoformat(table["received"])
        instrument, source, supersedes = table["instrument"], table["source"], tuple(table["supersedes"])
    except (tomllib.TOMLDecodeError, KeyError, ValueError) as error:
        raise InputRejected(f"damaged sidecar: {error}", where=drop_id, fix="receive the drop again") from error
    content = content_sha256(files)
    after_final = table.get("after_final", "")
    return Drop(drop_id, quarter, received, instrument, source, files, supersedes, content, after_final)


def _raw_file(folder: Path, entry: dict[str, Any]) -> RawFile:
    return RawFile(folder / entry["name"], entry["role"], entry["sha256"], entry.get("bytes", 0))


def _parse_withdrawal(path: Path, drop_id: str) -> Withdrawal:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return Withdrawal(dt.date.fromisoformat(table["since"]), table["reason"], table.get("after_final", ""))
    except (tomllib.TOMLDecodeError, KeyError, ValueError) as error:
        raise InputRejected(
            f"damaged {WITHDRAWAL}: {error}", where=drop_id, fix="restore it; a withdrawal is never edited"
        ) from error


# -- contents -----------------------------------------------------------------------------------------


def verify_drop(drop: Drop) -> None:
    """Raise `InputRejected` when a file of a drop is not what its sidecar says."""
    for file in drop.files:
        if file_sha256(file.path) != file.sha256:
            expected = f", {file.size} expected" if file.size else ""
            raise InputRejected(
                f"{file.path.name} differs from its recorded hash (now {file.path.stat().st_size} bytes{expected})",
                where=drop.id,
                fix="restore the file as received, or receive the changed one as a new drop",
            )


def content_sha256(files: tuple[RawFile, ...]) -> str:
    """Hash over the hashes of files, whatever their order."""
    return hashlib.sha256("\n".join(sorted(file.sha256 for file in files)).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
