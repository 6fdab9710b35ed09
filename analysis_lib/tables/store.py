"""The only home of files at rest: raw drops with two time axes, tidy tables, reference tables.

Every raw drop has a reference quarter and a received date. Drops are immutable and content-addressed; ``as_of``
decides which of them a reader may know about. Rebuilt tables are cached under the fingerprint of what made them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import shutil
import tempfile
import tomllib
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import pandas as pd
import polars as pl

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study
from analysis_lib.tables import contracts

SIDECAR = "drop.toml"
_SLUG = re.compile(r"^[a-z0-9][a-z0-9_-]{0,60}$")
_FILE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")


@dataclass(frozen=True, slots=True)
class RawFile:
    """One file of a drop: its path, the part it plays for the instrument, and its hash."""

    path: Path
    role: str
    sha256: str


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
    """

    id: str
    quarter: Quarter
    received: dt.date
    instrument: str
    source: str
    files: tuple[RawFile, ...]
    supersedes: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class Store:
    """Raw drops and rebuilt tables of a study, as known on a day.

    Attributes
    ----------
    study : Study
        The study whose folder is read.
    known_on : datetime.date or None
        Drops received later are invisible; None shows all.
    """

    study: Study
    known_on: dt.date | None = None

    def as_of(self, day: dt.date | None) -> Store:
        """The same store as it was known on a day."""
        return Store(self.study, day)

    # -- raw drops ----------------------------------------------------------------------------------

    def drops(self, quarter: Quarter) -> list[Drop]:
        """Drops of a quarter known on the day, oldest first, superseded ones left out."""
        known = [
            drop
            for sidecar in sorted((self.study.raw / str(quarter)).glob(f"*/*/{SIDECAR}"))
            for drop in [read_drop(sidecar)]
            if self.known_on is None or drop.received <= self.known_on
        ]
        replaced = {other for drop in known for other in drop.supersedes}
        return sorted((drop for drop in known if drop.id not in replaced), key=lambda drop: (drop.received, drop.id))

    def quarters_with_data(self) -> list[Quarter]:
        """Quarters of the calendar that have at least one known drop."""
        return [quarter for quarter in self.study.config.calendar.quarters if self.drops(quarter)]

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
    ) -> tuple[Drop, bool]:
        """Copy files into the raw folder as an immutable drop with a sidecar.

        Parameters
        ----------
        files : dict of str to pathlib.Path
            Role → file to copy.
        slug : str
            Name of the drop's folder: lower-case letters, digits, dash.

        Returns
        -------
        (Drop, bool)
            The drop, and whether it is new; the same content received before gives the earlier drop.

        Raises
        ------
        InputRejected
            For a missing or empty file, an unsafe name, or other content under the same drop id.
        UsageError
            For a slug that is no folder name, or a superseded drop that the quarter does not have.
        """
        if not _SLUG.match(slug):
            raise UsageError(
                f"{slug!r} is no folder name", where="slug", fix="use lower-case letters, digits and dashes"
            )
        for path in files.values():
            if not path.is_file() or path.stat().st_size == 0:
                raise InputRejected("the file is missing or empty", where=path.name, fix="ask the sender for it again")
            if not _FILE_NAME.match(path.name):
                raise InputRejected(
                    "the file's name holds unsafe characters",
                    where=path.name,
                    fix="rename it with Latin letters and digits",
                )
        hashes = {role: file_sha256(path) for role, path in files.items()}
        content = combined_sha256(sorted(hashes.values()))
        for earlier in self.as_of(None)._all_drops(quarter):
            if earlier.sha256 == content:
                return earlier, False
        self._refuse_unknown(supersedes, quarter)
        folder = self.study.raw / str(quarter) / received.isoformat() / slug
        if folder.exists():
            raise InputRejected(
                "another drop with other content has this id",
                where=f"{quarter}/{received}/{slug}",
                fix=f"choose another --slug, or replace that drop: --supersedes {quarter}/{received}/{slug}",
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".receiving-"))
        for path in files.values():
            shutil.copyfile(path, staging / path.name)
            (staging / path.name).chmod(0o440)
        lines = [
            f"source = {json.dumps(source, ensure_ascii=False)}",
            f'quarter = "{quarter}"',
            f'received = "{received.isoformat()}"',
            f'instrument = "{instrument}"',
            f"supersedes = {json.dumps(list(supersedes))}",
        ]
        for role, path in files.items():
            lines += ["", "[[file]]", f'name = "{path.name}"', f'role = "{role}"', f'sha256 = "{hashes[role]}"']
            lines += [f"bytes = {path.stat().st_size}"]
        (staging / SIDECAR).write_text("\n".join(lines) + "\n", encoding="utf-8")
        staging.chmod(0o750)
        staging.rename(folder)
        return read_drop(folder / SIDECAR), True

    def free_slug(self, quarter: Quarter, received: dt.date, wanted: str) -> str:
        """The slug wanted, or the first of ``wanted-2``, ``wanted-3`` … that no drop of that day has."""
        day = self.study.raw / str(quarter) / received.isoformat()
        slugs = (wanted if number == 1 else f"{wanted}-{number}" for number in count(1))
        return next(slug for slug in slugs if not (day / slug).exists())

    def _refuse_unknown(self, supersedes: tuple[str, ...], quarter: Quarter) -> None:
        known = [drop.id for drop in self.as_of(None)._all_drops(quarter)]
        for drop_id in supersedes:
            if drop_id not in known:
                raise UsageError(
                    f"no drop of {quarter} is called {drop_id!r}", where="supersedes", fix=did_you_mean(drop_id, known)
                )

    def _all_drops(self, quarter: Quarter) -> list[Drop]:
        return [read_drop(path) for path in sorted((self.study.raw / str(quarter)).glob(f"*/*/{SIDECAR}"))]

    # -- rebuilt tables -----------------------------------------------------------------------------

    def folder(self, quarter: Quarter, fingerprint: str) -> Path:
        """Where the tables of a quarter with a fingerprint live."""
        return self.study.tidy / str(quarter) / fingerprint

    def has(self, quarter: Quarter, fingerprint: str) -> bool:
        """Whether that folder was completed."""
        return (self.folder(quarter, fingerprint) / "complete").is_file()

    def write(self, quarter: Quarter, fingerprint: str, tables: dict[str, pd.DataFrame]) -> None:
        """Check tables against their contracts and write them all or none."""
        final = self.folder(quarter, fingerprint)
        final.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=final.parent, prefix=".writing-"))
        try:
            for name, frame in tables.items():
                contracts.check(frame, name).to_parquet(staging / f"{name}.parquet", index=False)
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


def read_drop(sidecar: Path) -> Drop:
    """Read a drop's sidecar; raises `InputRejected` when it is damaged or a file is gone."""
    drop = _parse_sidecar(sidecar, sidecar.stat().st_mtime_ns)
    for file in drop.files:
        if not file.path.is_file():
            raise InputRejected(
                f"{file.path.name} is gone", where=drop.id, fix="restore it; raw drops are never edited"
            )
    return drop


@cache  # a plan asks for the same drops once per unit
def _parse_sidecar(sidecar: Path, _changed: int) -> Drop:
    folder = sidecar.parent
    drop_id = "/".join(folder.parts[-3:])
    try:
        table = tomllib.loads(sidecar.read_text(encoding="utf-8"))
        files = tuple(RawFile(folder / entry["name"], entry["role"], entry["sha256"]) for entry in table["file"])
        quarter, received = Quarter.parse(table["quarter"]), dt.date.fromisoformat(table["received"])
        instrument, source, supersedes = table["instrument"], table["source"], tuple(table["supersedes"])
    except (tomllib.TOMLDecodeError, KeyError, ValueError) as error:
        raise InputRejected(f"damaged sidecar: {error}", where=drop_id, fix="receive the drop again") from error
    content = combined_sha256(sorted(file.sha256 for file in files))
    return Drop(drop_id, quarter, received, instrument, source, files, supersedes, content)


def verify_drop(drop: Drop) -> None:
    """Raise `InputRejected` when a file of a drop is not what its sidecar says."""
    for file in drop.files:
        if file_sha256(file.path) != file.sha256:
            raise InputRejected(
                f"{file.path.name} differs from its recorded hash (now {file.path.stat().st_size} bytes)",
                where=drop.id,
                fix="restore the file as received, or receive the changed one as a new drop",
            )


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def combined_sha256(parts: list[str]) -> str:
    """Hash of a list of texts, order kept."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
