"""How region codes of earlier quarters became those of today: ``reference/region_changes.csv``.

``regions.csv`` lists the regions of today. A renamed region goes on under its new code, and regions that merged are one
region in every quarter. A region that was split stays a region of its own until then (a *former region*), for nobody
knows in which part its people were; the parts begin with the split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.quarters import Quarter

FILE = "region_changes.csv"
COLUMNS = ["old", "new", "quarter", "kind", "share", "source", "name_zh", "name_en"]
RENAME, MERGE, SPLIT = KINDS = ("rename", "merge", "split")
SHARES_AGREE = 1e-6  # by what the shares of a split may miss the whole
_UNTIL = {"zh": "{name}（至{quarter}）", "en": "{name} (until {quarter})"}


class RegionChange(NamedTuple):
    """A row of the table: what became of a code.

    Attributes
    ----------
    quarter : Quarter
        First quarter whose returns carry the new code.
    kind : str
        rename, merge or split.
    share : float
        Share of the old region's officials that the new one took over; 1 unless it was split.
    """

    old: str
    new: str
    quarter: Quarter
    kind: str
    share: float
    source: str
    name_zh: str
    name_en: str


class FormerRegion(NamedTuple):
    """A region that was split, as it was until then.

    Attributes
    ----------
    level : str
        Level of its parts.
    above : tuple of str
        Regions of today that hold all of its parts, lowest first.
    """

    level: str
    above: tuple[str, ...]


class Reading(NamedTuple):
    """How a code is read: the region (empty when it cannot be told), and why it is not the code itself."""

    region: str
    message: str


@dataclass(frozen=True)
class RegionChanges:
    """The changes of a study's region codes, oldest first, beside its regions of today.

    Attributes
    ----------
    changes : tuple of RegionChange
        Rows of the table in order of time.
    above : mapping of str to tuple of str
        Region of today → itself and every region above it, lowest first.
    levels : mapping of str to str
        Region of today → its level.
    former : dict of str to FormerRegion
        Code of a former region (``OLD@QUARTER`` of the split) → what is known of it.
    """

    changes: tuple[RegionChange, ...]
    above: Mapping[str, tuple[str, ...]]
    levels: Mapping[str, str]
    former: dict[str, FormerRegion] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: pd.DataFrame, above: Mapping[str, tuple[str, ...]], levels: Mapping[str, str]) -> RegionChanges:
        """Read and validate the table.

        Raises
        ------
        InputRejected
            Naming the row and column: for a kind or quarter that is none, a code that leads nowhere, shares that do
            not add up, a code that two changes of one quarter claim, or a change without a source.
        """
        rows = [_row(record, line) for line, record in enumerate(frame.to_dict("records"), start=2)]
        _refuse_contradictions(rows)
        changes = tuple(sorted(rows, key=lambda change: change.quarter))
        read = cls(changes, above, levels)
        for line, change in enumerate(rows, start=2):
            read._refuse_loose_ends(change, line)
        former = {
            _former(change): read._former_region(change)
            for change in changes
            if change.kind == SPLIT and not read._is_kept_whole(change)
        }
        return cls(changes, above, levels, former)

    # -- codes ----------------------------------------------------------------------------------------

    def readings(self, quarter: Quarter) -> dict[str, Reading]:
        """Codes that the returns of a quarter may carry and that are read as something else."""
        codes = {change.old for change in self.changes} | {change.new for change in self.changes}
        read = {code: self.read(code, quarter) for code in codes}
        return {code: reading for code, reading in read.items() if reading.message}

    def read(self, code: str, quarter: Quarter) -> Reading:
        """The region of today, or the former region, that a code in returns of a quarter means.

        A code that went out of use before the quarter is followed as well, unless its region was split: nobody knows
        which part was meant.
        """
        region, messages = code, []
        for change in self.changes:
            is_ahead = change.quarter > quarter
            if change.old != region or not (is_ahead or region not in self.above):
                continue
            if change.kind == SPLIT:
                if self._is_kept_whole(change):
                    continue
                parts = ", ".join(each.new for each in self._together(change))
                if not is_ahead:
                    return Reading("", f"split into {parts} in {change.quarter}: say which part")
                messages.append(f"split into {parts} in {change.quarter}")
                return Reading(_former(change), "; ".join(messages))
            if change.new != region:
                messages.append(
                    f"{'renamed' if change.kind == RENAME else 'merged into'} {change.new} in {change.quarter}"
                )
            region = change.new
        return Reading(region, "; ".join(messages))

    def as_published(self, code: str, quarter: Quarter) -> str:
        """A region as published for a quarter: its code of today, or ``CODE@QUARTER`` of the change of its borders."""
        region = code
        for change in self.changes:
            if change.quarter > quarter and region in (change.old, change.new) and change.kind != RENAME:
                return f"{region}@{change.quarter}"
            if change.quarter > quarter and change.old == region:
                region = change.new
        return region

    @property
    def breaks(self) -> dict[str, list[Quarter]]:
        """Region of today → quarters from which its borders, or those of regions now in it, are others."""
        found: dict[str, set[Quarter]] = {}
        for change in self.changes:
            touched: set[str] = set()
            if change.kind == MERGE:
                touched = {self.read(change.new, change.quarter).region}
            elif change.kind == SPLIT:
                chains = [set(self.chain(part)) for part in self._parts(change)]
                touched = set.union(*chains) - set.intersection(*chains)  # what holds all parts lost and gained nobody
            for region in touched & set(self.above):
                found.setdefault(region, set()).add(change.quarter)
        return {region: sorted(quarters) for region, quarters in sorted(found.items())}

    def told(self) -> list[str]:
        """What each change does to the series of the regions it touches, a sentence each."""
        sentences = []
        for change in self.changes:
            when, parts = f"from {change.quarter} on", self._together(change)
            if change.kind == RENAME:
                sentences.append(f"{change.old} is {change.new} {when}: one series under the new code")
            elif change.kind == MERGE:
                merged = f"{change.old} is in {change.new} {when}"
                sentences.append(f"{merged}: one series of all that merged, with [b] in {change.quarter}")
            elif change is parts[0]:
                shares = ", ".join(f"{each.new} ({each.share:.0%})" for each in parts)
                ends = (
                    "goes on as all of them" if self._is_kept_whole(change) else f"ends with {change.quarter.shift(-1)}"
                )
                sentences.append(f"{change.old} is split into {shares} {when}: they begin there, with [b]; it {ends}")
        return sentences

    # -- former regions -------------------------------------------------------------------------------

    def chain(self, code: str) -> tuple[str, ...]:
        """A region of today or a former one, and every region above it, lowest first."""
        return (code, *self.former[code].above) if code in self.former else self.above[code]

    def level(self, code: str) -> str:
        """Level of a region of today or a former one."""
        return self.former[code].level if code in self.former else self.levels[code]

    def name(self, code: str, language: str) -> str:
        """Name of a region as it was (``CODE@QUARTER``), or of a code that went out of use; empty for any other."""
        bare, _, quarter = code.partition("@")
        known = (each for each in reversed(self.changes) if each.old == bare and quarter in ("", str(each.quarter)))
        return next((_name(change, language) for change in known), "")

    def _former_region(self, change: RegionChange) -> FormerRegion:
        parts = self._parts(change)
        while any(part not in self.above for part in parts):  # a part that was split again: its parts stand for it
            parts = [deeper for part in parts for deeper in self._parts_of(part)]
        first, *others = (self.above[part] for part in parts)
        above = tuple(code for code in first[1:] if all(code in other for other in others))
        return FormerRegion(self.levels[first[0]], above)

    def _parts(self, change: RegionChange) -> list[str]:
        """Regions of today, or former ones, that the parts of a split are."""
        return [self.read(each.new, change.quarter).region for each in self._together(change)]

    def _parts_of(self, part: str) -> list[str]:
        if part in self.above:
            return [part]
        return self._parts(next(each for each in self.changes if each.kind == SPLIT and _former(each) == part))

    def _is_kept_whole(self, change: RegionChange) -> bool:
        """Whether the region that was split still stands in ``regions.csv``, above all of its parts."""
        parts = [self.above.get(each.new, ()) for each in self._together(change)]
        return change.old in self.above and all(change.old in chain[1:] for chain in parts)

    def _together(self, change: RegionChange) -> list[RegionChange]:
        """The rows of one event: all parts of a split, all that merged."""
        side = "old" if change.kind == SPLIT else "new"
        return [
            each
            for each in self.changes
            if (each.quarter, each.kind, getattr(each, side)) == (change.quarter, change.kind, getattr(change, side))
        ]

    # -- faults ---------------------------------------------------------------------------------------

    def _refuse_loose_ends(self, change: RegionChange, line: int) -> None:
        """A code must end among the regions of today; one that went out of use must not stand there too."""
        renewed = {each.new for each in self.changes if each.quarter >= change.quarter}
        if change.old in self.above and change.old not in renewed and not (
            change.kind == SPLIT and self._is_kept_whole(change)
        ):  # fmt: skip
            raise _fault(
                f"{change.old!r} went out of use in {change.quarter} and is still listed in regions.csv",
                line, "old", "take it out of regions.csv, or put the parts of a split below it",
            )  # fmt: skip
        goes_on = {each.old for each in self.changes if each.quarter > change.quarter}
        if change.new not in self.above and change.new not in goes_on:
            raise _fault(
                f"{change.new!r} leads nowhere: it is not listed in regions.csv, and no later row says what became of it",
                line, "new", did_you_mean(change.new, {*self.above, *goes_on}),
            )  # fmt: skip
        levels = {self.levels[each.new] for each in self._together(change) if each.new in self.levels}
        if change.kind == SPLIT and len(levels) > 1:
            raise _fault(
                f"parts of {change.old!r} are of the levels {', '.join(sorted(levels))}",
                line, "new", "name parts of one level; regions below them follow",
            )  # fmt: skip


def _row(record: Mapping[Any, Any], line: int) -> RegionChange:
    text = {name: str(record.get(name, "")).strip() for name in COLUMNS}
    for name in ("old", "new", "source"):
        if not text[name]:
            raise _fault("nothing is given", line, name, "give both codes and where the change is decreed")
    if text["kind"] not in KINDS:
        raise _fault(f"{text['kind']!r} is no kind of change", line, "kind", did_you_mean(text["kind"], KINDS))
    try:
        quarter = Quarter.parse(text["quarter"])
    except UsageError as error:
        raise _fault(error.what, line, "quarter", "write the first quarter with the new code, like 2026Q1") from error
    if text["kind"] == RENAME and text["old"] == text["new"]:
        raise _fault("a region renamed into itself", line, "new", "give its new code, or take the row out")
    try:
        share = float(text["share"] or (0 if text["kind"] == SPLIT else 1))
    except ValueError:
        share = 0.0
    if not (0 < share <= 1) or (text["kind"] != SPLIT and share != 1):
        raise _fault(
            "no share of a whole",
            line,
            "share",
            "above 0 and up to 1 for each part of a split; empty for other changes",
        )
    return RegionChange(
        text["old"], text["new"], quarter, text["kind"], share, text["source"], text["name_zh"], text["name_en"]
    )


def _refuse_contradictions(rows: list[RegionChange]) -> None:
    """What one quarter does to a code must be one thing, and the parts of a split must make up the whole."""
    for line, change in enumerate(rows, start=2):
        of_old = [each for each in rows if (each.old, each.quarter) == (change.old, change.quarter)]
        if len({each.kind for each in of_old}) > 1 or (change.kind != SPLIT and len(of_old) > 1):
            raise _fault(
                f"{change.old!r} changes in more than one way in {change.quarter}",
                line, "old", "one row for a rename or merge; for a split a row for each part",
            )  # fmt: skip
        if len({each.new for each in of_old}) < len(of_old):
            raise _fault(f"a part of {change.old!r} stands twice", line, "new", "name each part once")
        if change.kind == SPLIT and len(of_old) == 1:
            raise _fault(f"{change.old!r} has one part", line, "new", "name every part, or call it a rename")
        if change.kind == SPLIT and abs(sum(each.share for each in of_old) - 1) > SHARES_AGREE:
            raise _fault(f"the shares of {change.old!r} do not add up to 1", line, "share", "give each part its share")
        of_new = [each for each in rows if (each.new, each.quarter) == (change.new, change.quarter)]
        if change.kind == RENAME and len(of_new) > 1:
            raise _fault(f"others become {change.new!r} too", line, "kind", "call it a merge, in every row of it")


def _fault(what: str, line: int, column: str, fix: str) -> InputRejected:
    return InputRejected(what, where=f"reference/{FILE}, row {line}, column {column}", fix=fix)


def _former(change: RegionChange) -> str:
    return f"{change.old}@{change.quarter}"


def name_until(name: str, changed: Quarter, language: str) -> str:
    """Name of a region as it was before a quarter."""
    return _UNTIL[language].format(name=name, quarter=changed.shift(-1))


def _name(change: RegionChange, language: str) -> str:
    name = (change.name_zh if language == "zh" else change.name_en) or change.old
    return name_until(name, change.quarter, language)
