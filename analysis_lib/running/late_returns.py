"""Numbers of a release beside those that readers have: what rests on a few late returns stays as published (C11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.tables.store import Store, pinned_drops

if TYPE_CHECKING:
    from analysis_lib.publishing.releases import Results

_KEY = ["measure", "statistic", "unit", "region", "by", "category", "period"]


def keep_published(results: Results, *, study: Study, quarter: Quarter, ledger: Ledger) -> Results:
    """Results in which a number that readers have, and in which too few people changed since, stays as it was.

    Parameters
    ----------
    results : dict
        Unit → table name → table, as they would be published now.
    quarter : Quarter
        The quarter that they report.
    """
    releases = [each for each in _published(ledger) if _reports(each) <= str(quarter)]
    readers = _Readers(study, quarter, releases)
    changed = {each for facts in releases for each in readers.changed_in(facts["release"])}
    if not changed:
        return results
    # A release tells of quarters up to its own: earlier ones have no number in question.
    readers = replace(readers, releases=[each for each in releases if _reports(each) >= min(changed)])
    return {unit: {name: readers.beside(table) for name, table in tables.items()} for unit, tables in results.items()}


def _reports(facts: dict[str, Any]) -> str:
    """The quarter that a release reports."""
    return str(facts["release"]).partition("/")[0]


def _published(ledger: Ledger) -> list[dict[str, Any]]:
    """Releases that readers have seen and that say what they read, the newest first."""
    built = {each["release"]: each for each in ledger.releases() if each.get("drops")}
    seen = dict.fromkeys(each["release"] for each in reversed(ledger.publications()) if each["state"] == "published")
    return [built[name] for name in seen if name in built]


@dataclass(frozen=True)
class _Readers:
    """What readers of earlier releases have.

    Attributes
    ----------
    quarter : Quarter
        The quarter that is reported now.
    releases : list of dict
        Facts of the releases, the newest first.
    """

    study: Study
    quarter: Quarter
    releases: list[dict[str, Any]]

    def beside(self, table: Any) -> Any:
        """A table whose rows stay as published where they must."""
        from analysis_lib.disclosure.over_releases import count_changed, must_stay

        rows = table.table
        found = {place: self._rows[key] for place, key in _keyed(table.name, rows) if key in self._rows}
        if not found:
            return table
        published = pd.DataFrame([shown.loc[at] for shown, at, _ in found.values()], index=list(found))
        basis = pd.Series([release for *_, release in found.values()], index=published.index)
        counts = []
        for release in basis.unique():
            cells = rows.loc[basis.index[basis == release]]
            changed = self._changed_officials[release]
            counts.append(
                pd.DataFrame(
                    {
                        "here": count_changed(cells, changed, study=self.study),
                        "in_all": count_changed(cells.assign(region=NATION, by=""), changed, study=self.study),
                    }
                )
            )
        counted = pd.concat(counts).reindex(published.index)
        stays = must_stay(rows, published, counted["here"], counted["in_all"], study=self.study, report=self.quarter)
        return table.kept(published[stays.reindex(published.index)]) if stays.any() else table

    def changed_in(self, release: str) -> set[str]:
        """Quarters of which a release read other drops than are read now."""
        from analysis_lib.disclosure.over_releases import changed_quarters

        facts = next(each for each in self.releases if each["release"] == release)
        pins = facts["drops"]
        known = {drop.partition("/")[0] for drop in pins}
        return changed_quarters(pins, (drop for drop in self._drops_now if drop.partition("/")[0] in known))

    @cached_property
    def _drops_now(self) -> dict[str, str]:
        store = Store(self.study)
        return pinned_drops(store, [each for each in store.quarters_with_data() if each <= self.quarter])

    @cached_property
    def _changed_officials(self) -> dict[str, pd.DataFrame]:
        """Release → officials whose returns changed since."""
        from analysis_lib import pipeline
        from analysis_lib.disclosure.over_releases import changed_officials

        now, found = Store(self.study), {}
        for facts in self.releases:
            then = Store(self.study, only=facts["drops"])
            parts = [
                changed_officials(pipeline.officials_of(then, quarter), pipeline.officials_of(now, quarter))
                for quarter in map(Quarter.parse, sorted(self.changed_in(facts["release"])))
            ]
            found[facts["release"]] = (
                pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["respondent_id", "quarter"])
            )
        return found

    @cached_property
    def _rows(self) -> dict[tuple[str, ...], tuple[pd.DataFrame, Any, str]]:
        """Key → table and place of the row as published last, and the release that it was estimated for."""
        from analysis_lib.disclosure.policy import KEPT
        from analysis_lib.publishing.releases import release_of, results_of

        found: dict[tuple[str, ...], tuple[pd.DataFrame, Any, str]] = {}
        for facts in self.releases:
            made = Quarter.parse(_reports(facts))
            for tables in results_of(release_of(self.study, facts["release"])).values():
                for table in tables.values():
                    rows = table.table
                    rows = rows[~rows["mark"].str.endswith(KEPT)]  # it was estimated for an earlier release
                    today = self.study.region_changes.as_published
                    rows = rows.assign(region=[today(str(code), made) for code in rows["region"]])
                    for place, key in _keyed(table.name, rows):
                        found.setdefault(key, (rows, place, facts["release"]))
        return found


def _keyed(name: str, rows: pd.DataFrame) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Index and key of each row; plain estimates are the same number in whatever table they stand."""
    from analysis_lib.disclosure.protect import TEXTS

    table = name if set(TEXTS) & set(rows.columns) else ""
    values = rows[_KEY].astype(str).itertuples(index=True, name=None)
    return ((place, (table, *key)) for place, *key in values)
