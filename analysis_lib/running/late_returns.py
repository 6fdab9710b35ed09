"""Numbers of a release beside those that readers have: C11, and C10 over releases, from the rosters of the ledger (C18).

What rests on a few people who came, went or said something else stays as published; a cell that is new, and nearly the
same people as one that readers have, is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis_lib import pipeline
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.tables.contracts import ESTIMATE_KEY, NUMBER_KEY
from analysis_lib.tables.store import Store, pinned_drops

if TYPE_CHECKING:
    from analysis_lib.disclosure.members import Roster
    from analysis_lib.disclosure.over_releases import Published, Readers
    from analysis_lib.disclosure.protect import ProtectedTable
    from analysis_lib.publishing.releases import Results

_REGION = 1 + NUMBER_KEY.index("region")  # after the name of a table
_CELL = [NUMBER_KEY.index(name) for name in ESTIMATE_KEY]


def keep_published(results: Results, *, study: Study, quarter: Quarter, ledger: Ledger) -> tuple[Results, Readers]:
    """Results in which a number that readers have, and in which too few people changed since, stays as it was.

    Parameters
    ----------
    results : dict
        Unit → table name → table, as they would be published now.
    quarter : Quarter
        The quarter that they report.

    Returns
    -------
    (dict, Readers)
        The results, and what readers have of the cells in them, for the audit of linked tables.
    """
    from analysis_lib.disclosure.over_releases import Readers

    releases = _published(ledger)
    if not releases:
        return results, Readers()
    known = _Known(study, quarter, ledger, releases)
    together = {unit: {name: known.beside(table) for name, table in each.items()} for unit, each in results.items()}
    return together, Readers(known.numbers, known.too_near(together))


def record_members(study: Study, ledger: Ledger, release: str) -> None:
    """C18: keep in the ledger who stands behind the cells of a release, under keyed tags; nothing for one without pins."""
    facts = next((each for each in ledger.releases() if each["release"] == release), {})
    if facts.get("drops") and release not in ledger.memberships():
        known = _Known(study, Quarter.parse(_reports(facts)), ledger, _published(ledger))
        _Rosters(study, ledger).recorded(facts, stays=known.bases(release))


def _published(ledger: Ledger) -> list[dict[str, Any]]:
    """Releases that readers have seen and that say what they read, the newest first."""
    built = {each["release"]: each for each in ledger.releases() if each.get("drops")}
    seen = dict.fromkeys(each["release"] for each in reversed(ledger.publications()) if each["state"] == "published")
    return [built[name] for name in seen if name in built]


def _reports(facts: dict[str, Any]) -> str:
    """The quarter that a release reports."""
    return str(facts["release"]).partition("/")[0]


# -- who stands behind the cells ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Rosters:
    """The people of every quarter, in every state of its data that a release or this one stands on."""

    study: Study
    ledger: Ledger
    _read: dict[tuple[str, str], Roster] = field(default_factory=dict)

    @cached_property
    def _key(self) -> bytes:
        from analysis_lib.disclosure.members import key_of

        return key_of(self.study, known_as=next((each["key"] for each in self._memberships.values()), ""))

    @cached_property
    def _memberships(self) -> dict[str, dict[str, Any]]:
        return self.ledger.memberships()

    def states(self, store: Store, until: Quarter) -> dict[str, str]:
        """Quarter → what its official-quarters are made from."""
        quarters = [each for each in store.quarters_with_data() if each <= until]
        return {str(each): pipeline.measured_fingerprint(store, each) for each in quarters}

    def recorded(
        self, facts: dict[str, Any], *, stays: dict[str, list[tuple[str, ...]]] | None = None
    ) -> dict[str, str]:
        """The states that a release stands on; of one from before they were recorded, they are recorded now.

        ``stays`` are the cells that it shows as they were published before, by the release that they are of.
        """
        from analysis_lib.disclosure.members import name_of

        if known := self._memberships.get(facts["release"]):
            return known["states"]
        pinned = Store(self.study, only=facts["drops"])
        states = self.states(pinned, Quarter.parse(_reports(facts)))
        for quarter, state in states.items():
            self.ledger.record_roster(quarter, state, *self.of(quarter, state, pinned).to_entry())
        told = {"states": states, "key": name_of(self._key)} | ({} if stays is None else {"stays": stays})
        self.ledger.record_membership(facts["release"], **told)
        self._memberships[facts["release"]] = told
        return states

    def of(self, quarter: str, state: str, store: Store) -> Roster:
        """The people of a quarter in a state: from the ledger, or where it is not recorded, from a store in that state."""
        from analysis_lib.disclosure.members import Roster

        if (quarter, state) not in self._read:
            entry = self.ledger.roster(quarter, state)
            self._read[quarter, state] = Roster.from_entry(*entry) if entry else self.made(quarter, store)
        return self._read[quarter, state]

    def made(self, quarter: str, store: Store) -> Roster:
        """The people of a quarter as a store has them."""
        from analysis_lib.disclosure.members import Roster

        each = Quarter.parse(quarter)
        method = pipeline.method_fingerprint(store, each)
        officials = pipeline.officials_of(store, each)
        return Roster.of(officials, study=self.study, key=self._key, method=method)


# -- what readers have --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """What readers of earlier releases have.

    Attributes
    ----------
    quarter : Quarter
        The quarter that is reported now.
    releases : list of dict
        Facts of the releases, the newest first.
    numbers : dict
        Of the cells that were looked at: key → what readers have.
    """

    study: Study
    quarter: Quarter
    ledger: Ledger
    releases: list[dict[str, Any]]
    numbers: dict[tuple, Published] = field(default_factory=dict)
    _changed: dict[str, pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def _rosters(self) -> _Rosters:
        return _Rosters(self.study, self.ledger)

    @cached_property
    def _now(self) -> dict[str, str]:
        return self._rosters.states(Store(self.study), self.quarter)

    # -- C11 --------------------------------------------------------------------------------------

    def beside(self, table: ProtectedTable) -> ProtectedTable:
        """A table whose rows stay as published where they must."""
        from analysis_lib.disclosure.over_releases import Published, count_changed, must_stay, must_stay_withheld

        rows = table.table
        keys = dict(_keyed(table.name, rows))
        found = {place: shown for place, key in keys.items() if (shown := self._row(key)) is not None}
        if not found:
            return table
        published = pd.DataFrame([row for row, _ in found.values()], index=list(found))
        basis = pd.Series([release for _, release in found.values()], index=published.index)
        counts = []
        for release in basis.unique():
            cells, changed = rows.loc[basis.index[basis == release]], self._changed_since(release)
            here = count_changed(cells, changed, study=self.study)
            in_all = count_changed(cells.assign(region=NATION, by="", category=""), changed, study=self.study)
            people = count_changed(cells, self._people_now(changed["quarter"].unique()), study=self.study)
            counts.append(pd.DataFrame({"here": here, "in_all": in_all, "people": people}))
        counted = pd.concat(counts).reindex(published.index)
        here, people = counted["here"].to_dict(), counted["people"].to_dict()
        for place, (row, _) in found.items():
            table_name, *cell = keys[place]
            if not table_name:  # a plain estimate
                self.numbers.setdefault(tuple(cell[at] for at in _CELL), Published(row, here[place], people[place]))
        hidden = must_stay_withheld(published, counted["here"], study=self.study).reindex(rows.index, fill_value=False)
        table = table.without(hidden)
        rows = table.table
        stays = must_stay(rows, published, counted["here"], counted["in_all"], study=self.study, report=self.quarter)
        return table.kept(published[stays.reindex(published.index)]) if stays.any() else table

    def _changed_since(self, release: str) -> pd.DataFrame:
        """People who changed since a release: as they were counted then, and as they are."""
        from analysis_lib.disclosure.members import DESCRIBED, TAG, Roster, differing

        if release not in self._changed:
            facts = next(each for each in self.releases if each["release"] == release)
            today, levels = self.study.region_changes.as_published, set(self.study.regions["level"])
            store, pinned = Store(self.study), Store(self.study, only=facts["drops"])
            frames = [pd.DataFrame(columns=["quarter", TAG, DESCRIBED])]
            for quarter, state in self._rosters.recorded(facts).items():
                if quarter not in self._now or self._now[quarter] == state:
                    continue
                now = self._rosters.of(quarter, self._now[quarter], store)
                states = [self._rosters.of(quarter, state, pinned)]
                each = [Quarter.parse(quarter)]
                if states[0].method != now.method and pinned_drops(pinned, each) != pinned_drops(store, each):
                    states.append(self._rosters.made(quarter, pinned))  # what they said then, as it is read today
                for then in states:
                    named = {
                        name: then.rows[name].map(lambda code: today(str(code), Quarter.parse(_reports(facts))))
                        for name in levels & set(then.rows.columns)
                    }
                    moved = Roster(then.rows.assign(**named), then.measures, then.method)
                    frames.append(differing(moved, now).assign(quarter=quarter))
            self._changed[release] = pd.concat(frames, ignore_index=True)
        return self._changed[release]

    def _people_now(self, quarters: Iterable[str]) -> pd.DataFrame:
        """Everybody of some quarters."""
        store = Store(self.study)
        rosters = {each: self._rosters.of(each, self._now[each], store) for each in quarters}
        frames = [roster.rows.assign(quarter=quarter) for quarter, roster in rosters.items()]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    # -- rows as published ------------------------------------------------------------------------

    def _row(self, key: tuple[str, ...]) -> tuple[dict[str, Any], str] | None:
        """The row of a key as published last, and the release that it was estimated for.

        Releases are read from the newest on, as far as a row that is not found yet may stand in them: none tells of
        quarters after its own.
        """
        from analysis_lib.disclosure.policy import quarters_in

        last = max(quarters_in(key[-1]), default="")
        while key not in self._seen and (left := [each for each in self._unread if _reports(each) >= last]):
            self._unread.remove(left[0])
            self._read(left[0])
        return self._seen.get(key)

    @cached_property
    def _seen(self) -> dict[tuple[str, ...], tuple[dict[str, Any], str]]:
        return {}

    @cached_property
    def _found_in(self) -> dict[tuple[str, ...], int]:
        """Place among the releases of the one in which a row was seen."""
        return {}

    @cached_property
    def _unread(self) -> list[dict[str, Any]]:
        return list(self.releases)

    def _read(self, facts: dict[str, Any]) -> None:
        from analysis_lib.disclosure.policy import KEPT
        from analysis_lib.publishing.releases import release_of, results_of

        made, name = Quarter.parse(_reports(facts)), str(facts["release"])
        place = [each["release"] for each in self.releases].index(name)
        stays = self.ledger.memberships().get(name, {}).get("stays", {})
        basis = {tuple(key): release for release, keys in stays.items() for key in keys}
        today = cache(lambda code: self.study.region_changes.as_published(code, made))
        for tables in results_of(release_of(self.study, name)).values():
            for table in tables.values():
                rows = table.table
                keys = [key for _, key in _keyed(table.name, rows)]
                for record, own in zip(rows.astype(object).to_dict("records"), keys, strict=True):
                    if (of := basis.get(own) if record["mark"].endswith(KEPT) else name) is None:
                        continue  # it stands in an older release as it was estimated
                    region = today(record["region"])
                    key = (*own[:_REGION], region, *own[_REGION + 1 :])
                    if place < self._found_in.get(key, len(self.releases)):
                        self._found_in[key] = place
                        self._seen[key] = (record | {"region": region, "mark": record["mark"].removesuffix(KEPT)}, of)  # pyright: ignore[reportArgumentType]

    def bases(self, release: str) -> dict[str, list[tuple[str, ...]]]:
        """Release → the cells that another release, not published yet, shows as they were in it."""
        from analysis_lib.disclosure.policy import KEPT
        from analysis_lib.publishing.releases import release_of, results_of

        found: dict[str, set[tuple[str, ...]]] = {}
        for tables in results_of(release_of(self.study, release)).values():
            for table in tables.values():
                rows = table.table
                for _, key in _keyed(table.name, rows[rows["mark"].str.endswith(KEPT)]):
                    if shown := self._row(key):
                        found.setdefault(shown[1], set()).add(key)
        return {basis: sorted(keys) for basis, keys in found.items()}

    # -- C10 over releases ------------------------------------------------------------------------

    def too_near(self, results: Results) -> frozenset[tuple]:
        """Cells that would tell of a few people, by what readers have of nearly the same."""
        from analysis_lib.disclosure.nested import levels_of, too_near
        from analysis_lib.disclosure.policy import quarters_in

        shown = pd.concat([levels_of(table.table) for tables in results.values() for table in tables.values()])
        shown = shown.drop_duplicates()
        is_new = [not self._is_as_it_was(tuple(cell)) for cell in shown.itertuples(index=False, name=None)]
        new = shown[is_new]
        quarters = {each for period in new["period"].unique() for each in quarters_in(str(period))}
        if new.empty or not quarters <= set(self._now):
            return frozenset()
        store = Store(self.study)
        rosters = {each: self._rosters.of(each, self._now[each], store) for each in quarters}
        published = []
        for facts in self.releases:
            cells = self._cells(facts, quarters) if _reports(facts) >= min(quarters) else new.head(0)
            if cells.empty or not (states := self._rosters.recorded(facts)):
                continue
            pinned = Store(self.study, only=facts["drops"])
            people = {each: self._rosters.of(each, states[each], pinned) for each in quarters & set(states)}
            published.append((cells, people))
        return frozenset(too_near(new, rosters, published, study=self.study))

    def _is_as_it_was(self, cell: tuple[str, ...]) -> bool:
        had = self.numbers.get(cell)
        return had is not None and had.is_shown and had.changed == 0

    def _cells(self, facts: dict[str, Any], quarters: set[str]) -> pd.DataFrame:
        """Cells of a release that tell of any of these quarters."""
        import json

        from analysis_lib.disclosure.nested import levels_of
        from analysis_lib.disclosure.policy import quarters_in

        rows = [json.loads(each["key"]) | each for each in self.ledger.cells(facts["release"])]
        frame = levels_of(
            pd.DataFrame(rows, columns=[*NUMBER_KEY, "estimate", "mark"]).rename(columns={"estimate": "value"})
        )
        frame = frame[
            frame["period"].map(lambda period: not quarters.isdisjoint(quarters_in(str(period)))).astype(bool)
        ]
        made, today = Quarter.parse(_reports(facts)), self.study.region_changes.as_published
        return frame.drop_duplicates().assign(region=lambda each: [today(str(code), made) for code in each["region"]])


def _keyed(name: str, rows: pd.DataFrame) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Index and key of each row; plain estimates are the same number in whatever table they stand."""
    from analysis_lib.disclosure.protect import TEXTS

    table = name if set(TEXTS) & set(rows.columns) else ""
    values = rows[NUMBER_KEY].astype(str).itertuples(index=True, name=None)
    return ((place, (table, *key)) for place, *key in values)
