"""The only home of files at rest: raw drops with two time axes, tidy tables, reference tables.

Every raw drop has a reference quarter and a received date. Drops are immutable and content-addressed; ``as_of``
decides which of them a reader may know about. Rebuilt tables are cached under the fingerprint of what made them.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pandas as pd
import polars as pl

from analysis_lib.errors import EnvironmentProblem, InputRejected, NotReproducible, UsageError, did_you_mean
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study
from analysis_lib.tables import contracts
from analysis_lib.tables.drops import (
    SIDECAR,
    WITHDRAWAL,
    Drop,
    DropState,
    RawFile,
    Withdrawal,
    content_sha256,
    file_sha256,
    read_drop,
    sidecar_text,
    states_on,
    withdrawal_text,
)

# No folder or file is named like a device of Windows, where a study may be copied to.
_DEVICE = r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z))"
_SLUG = re.compile(_DEVICE + r"[a-z0-9][a-z0-9_-]{0,60}")
_FILE_NAME = re.compile(_DEVICE + r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.IGNORECASE)
_RECEIVING = ".receiving-"


@dataclass(frozen=True)
class Store:
    """Raw drops and rebuilt tables of a study, as known on a day or as pinned by a release.

    Attributes
    ----------
    study : Study
        The study whose folder is read.
    known_on : datetime.date or None
        Drops received later are invisible, and those withdrawn later are not; None shows what counts now.
    only : mapping of str to str, or None
        Ids and hashes of the drops to read, as `pinned_drops` gives them, whatever became of them since; those of
        the study folder by default, where it is one of a rerun.
    """

    study: Study
    known_on: dt.date | None = None
    only: Mapping[str, str] | None = field(default=None, hash=False)

    def as_of(self, day: dt.date | None) -> Store:
        """The same store as it was known on a day."""
        return Store(self.study, day)

    # -- raw drops ----------------------------------------------------------------------------------

    def drops(self, quarter: Quarter) -> list[Drop]:
        """Drops of a quarter that count, oldest first: superseded and withdrawn ones are left out.

        Raises
        ------
        NotReproducible
            For a pinned drop that is gone, or holds something else.
        """
        pins = self.study.pins if self.only is None else self.only
        if pins is not None:
            return _pinned(self._all_drops(quarter), quarter, pins)
        return [each.drop for each in self.states(quarter) if each.state == "in_force"]

    def states(self, quarter: Quarter) -> list[DropState]:
        """Where every drop of a quarter known on the day stands, oldest first."""
        return states_on(self._all_drops(quarter), self.known_on)

    def quarters_with_data(self) -> list[Quarter]:
        """Quarters of the calendar with returns: a list of who will be asked comes long before and is none."""
        return [quarter for quarter in self.study.config.calendar.quarters if self._has_returns(quarter)]

    def _has_returns(self, quarter: Quarter) -> bool:
        return any(not self.study.is_sample_list(drop.instrument) for drop in self.drops(quarter))

    def missing_quarters(self, until: Quarter) -> list[Quarter]:
        """Quarters without data between the first that has some and the one named."""
        held = self.quarters_with_data()
        return (
            [each for each in Quarter.span(min(held), until) if each not in held] if held and min(held) < until else []
        )

    def refuse_gaps(self, until: Quarter) -> None:
        """F31: stop at a quarter without data that nobody declared, for a series would pass it over unseen.

        Raises
        ------
        InputRejected
            Naming the quarter, and what can be done; also for a quarter that is declared as not held and has data.
        """
        missing, declared = self.missing_quarters(until), self.study.config.calendar.not_held
        if unexplained := [str(each) for each in missing if str(each) not in declared]:
            raise InputRejected(
                f"no data of {', '.join(unexplained)}, between quarters that have some",
                where="raw",
                fix=f"jianfu receive FILES --quarter {unexplained[0]}; or declare in study.toml that it was not held: "
                f'[calendar.not_held] "{unexplained[0]}" = {{ zh = "…", en = "…" }}',
            )
        if doubtful := [str(each) for each in self.quarters_with_data() if str(each) in declared]:
            raise InputRejected(
                f"{doubtful[0]} is declared as not held and has data",
                where="study.toml, [calendar.not_held]",
                fix="take the declaration out, or withdraw the drops",
            )

    def receive(
        self,
        files: dict[str, Path],
        *,
        quarter: Quarter,
        instrument: str,
        source: str,
        slug: str,
        received: dt.date,
        supersedes: tuple[str, ...] = (),
        after_final: str = "",
        review: Callable[[Drop], object] | None = None,
    ) -> tuple[Drop, bool]:
        """Copy files into the raw folder as an immutable drop with a sidecar.

        Parameters
        ----------
        files : dict of str to pathlib.Path
            Role → file to copy.
        slug : str
            Name of the drop's folder: lower-case letters, digits, dash.
        after_final : str
            Who lets it in though the quarter is final, and why.
        review : callable
            Called with the drop before it is taken in, its files already copied; what it raises keeps the drop out.

        Returns
        -------
        (Drop, bool)
            The drop, and whether it is new. The same content received before gives the earlier drop, unless that
            one was withdrawn, or replaced by one that this names in ``supersedes``.

        Raises
        ------
        InputRejected
            For a missing or empty file, an unsafe name, other content under the same drop id, or a final quarter.
        UsageError
            For a slug that is no folder name, or a superseded drop that is not in force.
        """
        if not _SLUG.fullmatch(slug):
            raise UsageError(
                f"{slug!r} is no folder name", where="slug", fix="use lower-case letters, digits and dashes"
            )
        for path in files.values():
            _refuse_unreadable(path)
        folder = self.study.raw / str(quarter) / received.isoformat() / slug
        self.study.raw.mkdir(exist_ok=True)
        for left_behind in self.study.raw.glob(f"{_RECEIVING}*"):  # by a receipt that was killed
            shutil.rmtree(left_behind)
        staging = Path(tempfile.mkdtemp(dir=self.study.raw, prefix=_RECEIVING))
        try:
            # The copy is hashed: the original may be replaced while it is read.
            copies = tuple(_copy(path, role, staging) for role, path in files.items())
            drop = Drop(
                "/".join(folder.parts[-3:]),
                quarter,
                received,
                instrument,
                source,
                copies,
                supersedes,
                content_sha256(copies),
                after_final,
            )
            if earlier := self._received_before(drop):
                return earlier, False
            self._refuse_not_in_force(supersedes, quarter)
            self._refuse_when_final(quarter, received, after_final)
            if folder.exists():
                raise InputRejected(
                    "another drop with other content has this id",
                    where=drop.id,
                    fix=f"choose another --slug, or replace that drop: --supersedes {drop.id}",
                )
            if review:
                review(drop)
            _write_durably(staging / SIDECAR, sidecar_text(drop))
            staging.chmod(0o750)
            folder.parent.mkdir(parents=True, exist_ok=True)
            staging.rename(folder)
            sync(folder.parent)
        except OSError as error:
            size = sum(path.stat().st_size for path in files.values() if path.is_file())
            raise EnvironmentProblem(
                f"the drop of {size} bytes cannot be kept: {error.strerror}",
                where=f"{self.study.root.name}/raw",
                fix="free space there, or give the account the right to write",
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return read_drop(folder / SIDECAR), True

    def withdraw(self, drop_id: str, *, since: dt.date, reason: str, after_final: str = "") -> Drop:
        """Let a drop no longer count from a day on; it stays where it is, and readers of earlier days see it.

        Parameters
        ----------
        drop_id : str
            A drop in force.
        reason : str
            One line that later readers understand.
        after_final : str
            Who allows it though the quarter is final.

        Raises
        ------
        UsageError
            For a drop that is not in force, a day before it came, or no reason.
        InputRejected
            For a final quarter, unless ``after_final`` says who allows it.
        """
        quarter = Quarter.parse(drop_id.partition("/")[0])
        self._refuse_not_in_force((drop_id,), quarter)
        drop = next(drop for drop in self._all_drops(quarter) if drop.id == drop_id)
        if since < drop.received:
            raise UsageError(
                f"{since} is before the day of receipt", where=drop_id, fix=f"withdraw it from {drop.received} on"
            )
        if not reason.strip():
            raise UsageError("no reason is given", where=drop_id, fix='say why: --reason "…"')
        self._refuse_when_final(quarter, since, after_final)
        withdrawal = Withdrawal(since, reason.strip(), after_final)
        folder = self.study.raw / drop_id
        _write_durably(folder / f".{WITHDRAWAL}", withdrawal_text(withdrawal))
        (folder / f".{WITHDRAWAL}").rename(folder / WITHDRAWAL)
        sync(folder)
        return read_drop(folder / SIDECAR)

    def free_slug(self, quarter: Quarter, received: dt.date, wanted: str) -> str:
        """The slug wanted, or the first of ``wanted-2``, ``wanted-3`` … that no drop of that day has."""
        day = self.study.raw / str(quarter) / received.isoformat()
        slugs = (wanted if number == 1 else f"{wanted}-{number}" for number in count(1))
        return next(slug for slug in slugs if not (day / slug).exists())

    def _received_before(self, drop: Drop) -> Drop | None:
        for earlier in self.as_of(None).states(drop.quarter):
            comes_back = earlier.state == "superseded" and earlier.why in drop.supersedes
            if earlier.drop.sha256 == drop.sha256 and earlier.state != "withdrawn" and not comes_back:
                return earlier.drop
        return None

    def _refuse_not_in_force(self, drop_ids: tuple[str, ...], quarter: Quarter) -> None:
        states = {each.drop.id: each for each in self.as_of(None).states(quarter)}
        in_force = [drop_id for drop_id, each in states.items() if each.state == "in_force"]
        for drop_id in drop_ids:
            if drop_id not in states:
                raise UsageError(
                    f"no drop of {quarter} is called {drop_id!r}", where="drop", fix=did_you_mean(drop_id, in_force)
                )
            if drop_id not in in_force:
                known = states[drop_id]
                raise UsageError(
                    f"it is {known.state} since {known.since} ({known.why})",
                    where=drop_id,
                    fix=f"name a drop in force: {', '.join(in_force) or 'there is none'}",
                )

    def _refuse_when_final(self, quarter: Quarter, day: dt.date, after_final: str) -> None:
        if self.study.state_of(quarter, day) == "final" and not after_final.strip():
            raise InputRejected(
                f"{quarter} is final since {self.study.final_day(quarter)}",
                where="raw",
                fix='say who lets it in, and why: --after-final "NAME: REASON"',
            )

    def _all_drops(self, quarter: Quarter) -> list[Drop]:
        sidecars = sorted((self.study.raw / str(quarter)).glob(f"*/*/{SIDECAR}"))
        return [read_drop(path) for path in sidecars]

    # -- rebuilt tables -----------------------------------------------------------------------------

    def folder(self, quarter: Quarter, fingerprint: str) -> Path:
        """Where the tables of a quarter with a fingerprint live."""
        return self.study.tidy / str(quarter) / fingerprint

    def has(self, quarter: Quarter, fingerprint: str) -> bool:
        """Whether that folder was completed."""
        return (self.folder(quarter, fingerprint) / "complete").is_file()

    def write(self, quarter: Quarter, fingerprint: str, tables: dict[str, pd.DataFrame]) -> None:
        """Check tables against their contracts and write them all or none; one without a contract holds estimates."""
        final = self.folder(quarter, fingerprint)
        final.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=final.parent, prefix=".writing-"))
        try:
            for name, frame in tables.items():
                contract = name if name in contracts.CONTRACTS else "estimates"
                contracts.check(frame, contract).to_parquet(staging / f"{name}.parquet", index=False)
            (staging / "complete").touch()
            if final.exists():
                shutil.rmtree(final)
            staging.rename(final)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def read(self, name: str, quarter: Quarter, fingerprint: str) -> pd.DataFrame:
        """Read a rebuilt table."""
        path = self._table(name, quarter, fingerprint)
        return pd.read_parquet(path)

    def read_all(self, quarter: Quarter, fingerprint: str) -> dict[str, pd.DataFrame]:
        """Read every table of a quarter with a fingerprint, by name."""
        return {path.stem: pd.read_parquet(path) for path in self.folder(quarter, fingerprint).glob("*.parquet")}

    def scan(self, name: str, quarter: Quarter, fingerprint: str) -> pl.LazyFrame:
        """Scan a rebuilt table lazily, for tables too large to hold."""
        return pl.scan_parquet(self._table(name, quarter, fingerprint))

    def _table(self, name: str, quarter: Quarter, fingerprint: str) -> Path:
        path = self.folder(quarter, fingerprint) / f"{name}.parquet"
        if not path.is_file():
            raise InputRejected(
                f"table {name} of {quarter} is not there", where="tidy", fix=f"jianfu run --quarter {quarter}"
            )
        return path


def pinned_drops(store: Store, quarters: Iterable[Quarter]) -> dict[str, str]:
    """Id and hash of every drop that is read for some quarters: what a release keeps, to be read again with ``only``."""
    return {drop.id: drop.sha256 for quarter in quarters for drop in store.drops(quarter)}


def _pinned(drops: list[Drop], quarter: Quarter, pins: Mapping[str, str]) -> list[Drop]:
    found = {drop.id: drop for drop in drops}
    wanted = {drop_id: sha256 for drop_id, sha256 in pins.items() if drop_id.startswith(f"{quarter}/")}
    for drop_id, sha256 in wanted.items():
        if drop_id not in found or found[drop_id].sha256 != sha256:
            raise NotReproducible(
                "the drop is gone" if drop_id not in found else "the drop holds something else",
                where=drop_id,
                fix="restore it from a copy; raw drops are never edited",
            )
    # What became of a drop later is not known yet where it is pinned.
    pinned = [replace(found[drop_id], withdrawn=None) for drop_id in wanted]
    return sorted(pinned, key=lambda drop: (drop.received, drop.id))


def _refuse_unreadable(path: Path) -> None:
    if path.is_symlink():
        raise InputRejected("the file is a link to another", where=path.name, fix="receive the file that it leads to")
    if not path.is_file() or path.stat().st_size == 0:
        raise InputRejected("the file is missing or empty", where=path.name, fix="ask the sender for it again")
    if not _FILE_NAME.fullmatch(path.name):
        raise InputRejected(
            "the file's name holds unsafe characters", where=path.name, fix="rename it with Latin letters and digits"
        )


def _copy(path: Path, role: str, folder: Path) -> RawFile:
    copy = folder / path.name
    if not copy.exists():
        shutil.copyfile(path, copy)
        copy.chmod(0o440)
        sync(copy)
    elif file_sha256(copy) != file_sha256(path):  # one workbook may hold the sheets of several roles
        raise InputRejected("two files have this name", where=path.name, fix="rename one of them")
    return RawFile(copy, role, file_sha256(copy), copy.stat().st_size)


def _write_durably(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    sync(path)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, stand on the disk and survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
