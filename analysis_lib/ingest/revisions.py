"""What a delivery does to what is known already: respondents and diary days added, changed, removed."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from pandas.util import hash_pandas_object

from analysis_lib.ingest.tidy import ingest_drops, ingest_quarter
from analysis_lib.tables.drops import Drop
from analysis_lib.tables.store import Store

_DAY_KEY = ["respondent_id", "diary_date"]
_KEYS = {"sample": ["respondent_id"], "respondents": ["respondent_id"], "episodes": _DAY_KEY, "day_totals": _DAY_KEY}
_BOOKKEEPING = ["drop", "received", "instrument"]  # by which drop a row came is not what it says
_DAYS = "diary_days"
_COUNTED_AS = {"episodes": _DAYS, "day_totals": _DAYS}

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one kind of thing (drawn, respondents, diary days), how many a delivery adds, changes, removes and leaves."""

    of: str
    added: int
    changed: int
    removed: int
    unchanged: int

    @property
    def is_revision(self) -> bool:
        """Whether something that was known is no longer so."""
        return bool(self.changed or self.removed)

    def __str__(self) -> str:
        return f"{self.of}: {self.added} added, {self.changed} changed, {self.removed} removed"


def review(store: Store, drop: Drop, before: Tables | None = None) -> list[Counts]:
    """Count what a drop would do to its quarter, before it is taken in.

    Parameters
    ----------
    before : dict, optional
        Tidy tables of the quarter as known now; read from its drops when not given.

    Raises
    ------
    InputRejected
        When the quarter cannot be read with the drop.
    """
    kept = [each for each in store.drops(drop.quarter) if each.id not in drop.supersedes]
    in_order = sorted([*kept, drop], key=lambda each: (each.received, each.id))
    before = before or ingest_quarter(store, drop.quarter)
    return compare(before, ingest_drops(store.study, drop.quarter, in_order))


def compare(before: Tables, after: Tables) -> list[Counts]:
    """Count what differs between two states of a quarter's tidy tables, whichever drop a row came by."""
    pairs: dict[str, list[pd.DataFrame]] = {}
    for name, key in _KEYS.items():
        both = _contents(before[name], after[name], key)
        pairs.setdefault(_COUNTED_AS.get(name, name), []).append(both)
    return [_counts(of, pd.concat(parts)) for of, parts in pairs.items()]


def _contents(before: pd.DataFrame, after: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """One row per key with a hash of all its rows before and after; missing where it is absent."""
    columns = sorted({*before.columns, *after.columns} - {*_BOOKKEEPING})
    hashes = {
        name: hash_pandas_object(frame.reindex(columns=columns).astype("string"), index=False)
        .groupby([frame[column] for column in key])
        .sum()  # rows of a diary day in any order
        .astype("string")  # a float, which gaps would make of it, is too coarse for a hash
        for name, frame in (("before", before), ("after", after))
    }
    return pd.concat(hashes, axis="columns")


def _counts(of: str, pairs: pd.DataFrame) -> Counts:
    was, stays = pairs["before"].notna(), pairs["after"].notna()
    both = pairs[was & stays]
    changed = int((both["before"] != both["after"]).sum())
    return Counts(of, int((~was).sum()), changed, int((~stays).sum()), len(both) - changed)
